//! Answers to requests: what the joiner believes, and what others can make of one.

use super::*;
use crate::{
    crypto::{self, label, sign::SigningKey},
    limits::{CLOCK_SKEW_MS, ENVELOPE_MAX, INVITE_PAD, JOIN_ANSWER_MAX, WELCOME_MAX},
    proto::invite as proto,
    wire::{Transcript, decode, encode, mutate_test::every_field_altered},
};
use answer::Error;

/// Answers Bob's request as Alice's first device.
fn answered(outcome: &Outcome) -> Vec<u8> {
    let alice = alice();
    JoinAnswer::seal(outcome, &opened(), &alice.account.id(), &alice.devices[0], NOW, &mut rng(5)).unwrap()
}

fn read(bytes: &[u8]) -> Result<JoinAnswer, Error> {
    JoinAnswer::open(bytes, &bob().devices[0], &channel(1), &NONCE, NOW)
}

fn context(aad: &[u8]) -> seal::Context<'_> {
    seal::Context { label: label::INVITE_ANSWER_SEAL, aad, max: JOIN_ANSWER_MAX }
}

fn aad() -> Vec<u8> {
    let transcript = Transcript::new(label::INVITE_ANSWER_SEAL).u32(1).field(channel(1).as_bytes());
    transcript.field(bob().devices[0].id().as_bytes()).field(&NONCE).bytes()
}

fn inner(bytes: &[u8]) -> Signed {
    let sealed = decode::<proto::SealedAnswer>(bytes, 1 << 17).unwrap().sealed;
    let plain = context(&aad()).open(bob().devices[0].dh(), &sealed).unwrap();
    Signed::decode(&plain, JOIN_ANSWER_MAX).unwrap()
}

/// Seals anything to Bob's device.
fn sealed(inner: &[u8]) -> Vec<u8> {
    let sealed = context(&aad()).seal(&bob().devices[0].info().dh_pk, inner, &mut rng(4)).unwrap();
    encode(&proto::SealedAnswer { version: 1, sealed })
}

fn bent(key: &SigningKey, bend: impl FnOnce(&mut proto::JoinAnswer)) -> Vec<u8> {
    let mut wire: proto::JoinAnswer = decode(&inner(&answered(&Outcome::Waiting)).payload, JOIN_ANSWER_MAX).unwrap();
    bend(&mut wire);
    sealed(&Signed::sign(label::INVITE_ANSWER, encode(&wire), key).encode())
}

#[test]
fn r_inv_8_the_joiner_reads_what_became_of_its_request_and_who_says_so() {
    let alice = alice();
    let mut outcomes = vec![Outcome::Admitted(vec![7; 900]), Outcome::Waiting];
    outcomes.extend(Reason::ALL.map(Outcome::Refused));
    for outcome in outcomes {
        let answer = read(&answered(&outcome)).unwrap();
        assert_eq!(answer.outcome, outcome);
        assert_eq!((answer.author, &answer.device, answer.at), (alice.account.id(), alice.devices[0].info(), NOW));
    }
    for (number, reason) in (1..).zip(Reason::ALL) {
        assert_eq!((reason.number(), Reason::from_number(number)), (number, Some(reason)));
    }
    assert_eq!((Reason::from_number(0), Reason::from_number(7)), (None, None));
}

#[test]
fn r_inv_8_an_answer_opens_on_the_device_that_asked_for_the_request_it_made_and_nowhere_else() {
    let (bytes, bob) = (answered(&Outcome::Admitted(b"a welcome".to_vec())), bob());
    let open = |device: &DeviceSecrets, channel: &ChannelId, nonce: &[u8; 16]| {
        JoinAnswer::open(&bytes, device, channel, nonce, NOW)
    };
    assert!(open(&bob.devices[0], &channel(1), &NONCE).is_ok());
    for device in [&bob.devices[1], &mallory().devices[0], &alice().devices[0]] {
        assert_eq!(open(device, &channel(1), &NONCE), Err(Error::NotAuthentic));
    }
    assert_eq!(open(&bob.devices[0], &channel(2), &NONCE), Err(Error::NotAuthentic));
    assert_eq!(
        open(&bob.devices[0], &channel(1), &[0x0d; 16]),
        Err(Error::NotAuthentic),
        "an earlier request's answer"
    );
    assert!(!contains(&bytes, b"a welcome") && !contains(&bytes, alice().account.id().as_bytes()));
    // Sealed rightly for this request and signed for another.
    let alice = alice();
    let key = alice.devices[0].sign();
    for other in [
        bent(key, |a| a.nonce = vec![0x0d; 16]),
        bent(key, |a| a.channel = channel(2).as_bytes().to_vec()),
        bent(key, |a| a.device = bob.devices[1].id().as_bytes().to_vec()),
    ] {
        assert_eq!(read(&other), Err(Error::WrongRequest));
    }
}

#[test]
fn r_inv_8_a_refusal_by_who_is_no_member_bears_the_name_of_who_made_it() {
    let mallory = mallory();
    // Mallory was removed and still opens requests: what she answers is hers, not Alice's.
    let outcome = Outcome::Refused(Reason::Banned);
    let hers = JoinAnswer::seal(&outcome, &opened(), &alice().account.id(), &mallory.devices[0], NOW, &mut rng(5));
    let answer = read(&hers.unwrap()).unwrap();
    assert_eq!(answer.device.id, mallory.devices[0].id());
    assert!(alice().log.device(&answer.device.id).is_none(), "the account she claims does not know the device");
    // Under Alice's keys she can say nothing.
    let forged = bent(mallory.devices[0].sign(), |a| (a.kind, a.reason) = (3, 4));
    assert_eq!(read(&forged), Err(Error::BadSignature));
}

#[test]
fn r_inv_8_every_field_altered_is_refused_unless_its_author_signs_again() {
    let alice = alice();
    for outcome in [Outcome::Admitted(vec![7; 40]), Outcome::Waiting, Outcome::Refused(Reason::UsedUp)] {
        let honest = answered(&outcome);
        let whole = inner(&honest);
        for altered in every_field_altered(&honest) {
            assert!(read(&altered.bytes).is_err(), "{}", altered.what);
        }
        for altered in every_field_altered(&whole.encode()) {
            assert!(read(&sealed(&altered.bytes)).is_err(), "{}", altered.what);
        }
        let mut accepted = 0;
        for altered in every_field_altered(&whole.payload) {
            let kept = Signed { payload: altered.bytes.clone(), signature: whole.signature };
            assert!(read(&sealed(&kept.encode())).is_err(), "{}", altered.what);
            let again = Signed::sign(label::INVITE_ANSWER, altered.bytes, alice.devices[0].sign());
            if let Ok(answer) = read(&sealed(&again.encode())) {
                accepted += 1;
                assert_eq!(answer.device.sign_pk, alice.devices[0].info().sign_pk, "{}", altered.what);
            }
        }
        assert!(accepted > 0);
    }
}

#[test]
fn r_inv_8_what_contradicts_itself_is_refused_though_its_author_signs_it() {
    type Bend = fn(&mut proto::JoinAnswer);
    let alice = alice();
    let bends: &[(&str, Bend)] = &[
        ("version 2", |a| a.version = 2),
        ("no kind", |a| a.kind = 0),
        ("an unknown kind", |a| a.kind = 4),
        ("admitted without a welcome", |a| a.kind = 1),
        ("waiting with a welcome", |a| a.welcome = vec![1]),
        ("waiting with a reason", |a| a.reason = 1),
        ("refused without a reason", |a| a.kind = 3),
        ("refused for an unknown reason", |a| (a.kind, a.reason) = (3, 7)),
        ("refused with a welcome", |a| (a.kind, a.reason, a.welcome) = (3, 1, vec![1])),
        ("a fat welcome", |a| (a.kind, a.welcome) = (1, vec![1; WELCOME_MAX + 1])),
        ("a weak author", |a| a.author = [&[1][..], &[0; 31]].concat()),
        ("a weak device", |a| a.author_dh_pk = vec![0; 32]),
        ("a time to come", |a| a.at_ms = NOW.plus_millis(CLOCK_SKEW_MS + 1).as_millis()),
    ];
    for (what, bend) in bends {
        let result = read(&bent(alice.devices[0].sign(), bend));
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    for garbage in [vec![], vec![0], vec![7; 500], vec![0xff; 1 << 17]] {
        assert!(matches!(read(&garbage), Err(Error::Wire(_))));
    }
}

#[test]
fn r_inv_10_the_largest_welcome_fits_where_an_envelope_does_and_short_answers_are_of_one_length() {
    let largest = answered(&Outcome::Admitted(vec![7; WELCOME_MAX]));
    assert!(largest.len() <= ENVELOPE_MAX && read(&largest).is_ok());
    let alice = alice();
    let seal = |outcome: &Outcome| {
        JoinAnswer::seal(outcome, &opened(), &alice.account.id(), &alice.devices[0], NOW, &mut rng(5))
    };
    assert_eq!(seal(&Outcome::Admitted(vec![7; WELCOME_MAX + 1])), Err(Error::TooLarge));
    let mut short = vec![Outcome::Waiting];
    short.extend(Reason::ALL.map(Outcome::Refused));
    let lengths: std::collections::BTreeSet<usize> = short.iter().map(|outcome| answered(outcome).len()).collect();
    assert_eq!(lengths.len(), 1);
    let sealed = decode::<proto::SealedAnswer>(&largest, 1 << 17).unwrap().sealed;
    assert_eq!((sealed.len() - seal::OVERHEAD) % INVITE_PAD, 0);
    // What is sealed to the device for another purpose is no answer.
    let (enc, other) = crypto::hpke::seal(&bob().devices[0].info().dh_pk, b"other", &aad(), b"x", &mut rng(1)).unwrap();
    let other = encode(&proto::SealedAnswer { version: 1, sealed: [enc.as_slice(), &other].concat() });
    assert_eq!(read(&other), Err(Error::NotAuthentic));
}

#[test]
fn debug_of_an_answer_shows_no_welcome() {
    assert_eq!(format!("{:?}", Outcome::Admitted(vec![77; 9])), "Admitted(9 bytes)");
}
