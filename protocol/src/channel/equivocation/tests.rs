use super::*;
use crate::{
    channel::{
        event::tests::{first, full, text},
        frame::tests::{Sealed, Sender, alice, rng, sender},
    },
    wire::mutate_test::every_field_altered,
};

fn said(sender: &mut Sender, words: &str) -> Sealed {
    sender.seal(&first(text(words)))
}

/// Two things that a device, and the same device put back from a copy, say at one place.
fn twice() -> (Sealed, Sealed, VerifyingKey) {
    let (mut here, mut there) = (alice(5), alice(5));
    there.rng = rng(41);
    let key = here.key.public();
    (said(&mut here, "yes"), there.seal(&full("no")), key)
}

fn judged(one: &Sealed, other: &Sealed, key: &VerifyingKey) -> Result<Equivocation, NoEquivocation> {
    Equivocation::new(one.attested.clone(), other.attested.clone(), key)
}

#[test]
fn c05_41_r_chan_12_two_messages_at_one_place_are_proof_and_everybody_keeps_the_lower_hash() {
    let (one, other, key) = twice();
    let proof = judged(&one, &other, &key).unwrap();
    assert_eq!(proof, judged(&other, &one, &key).unwrap());
    assert_eq!(*proof.winner(), one.hash.min(other.hash));
    assert_eq!(*proof.loser(), one.hash.max(other.hash));
    assert_eq!(proof.context(), one.attested.context());
}

#[test]
fn c05_41_two_messages_under_one_number_are_proof_even_in_two_epochs() {
    let (mut before, mut after) = (alice(5), alice(6));
    let (one, other) = (said(&mut before, "yes"), said(&mut after, "no"));
    let proof = judged(&one, &other, &before.key.public()).unwrap();
    assert_eq!(*proof.winner(), one.hash.min(other.hash));
    // At the next number of the next place there is nothing wrong.
    assert_eq!(judged(&one, &after.seal(&full("later")), &before.key.public()), Err(NoEquivocation::Apart));
}

#[test]
fn c05_41_nobody_is_accused_for_one_message_for_anothers_or_for_one_in_another_channel() {
    let (one, other, key) = twice();
    assert_eq!(judged(&one, &one, &key), Err(NoEquivocation::Same));
    // Mallory says something at the same place of the same epoch, in her own name and in Alice's.
    let mut mallory = sender(5, 4);
    let hers = said(&mut mallory, "no");
    assert_eq!(judged(&one, &hers, &key), Err(BadFrame::BadSignature.into()));
    mallory.context = *one.attested.context();
    let forged = said(&mut mallory, "no");
    assert_eq!(judged(&one, &forged, &key), Err(BadFrame::BadSignature.into()));
    assert_eq!(judged(&forged, &hers, &mallory.key.public()), Err(NoEquivocation::Elsewhere));
    assert_eq!(judged(&one, &other, &mallory.key.public()), Err(BadFrame::BadSignature.into()));
    // The same place and number in another channel.
    let mut elsewhere = alice(5);
    elsewhere.context.channel = ChannelId::from_bytes([0x77; 32]);
    assert_eq!(judged(&one, &said(&mut elsewhere, "no"), &key), Err(NoEquivocation::Elsewhere));
}

#[test]
fn c05_41_a_proof_convinces_somebody_who_never_had_the_epoch_and_altered_nobody() {
    let (one, other, key) = twice();
    let proof = judged(&one, &other, &key).unwrap();
    let (bytes, channel) = (proof.encode(), proof.context().channel);
    assert_eq!(Equivocation::decode(channel, &bytes, &key), Ok(proof.clone()));
    for altered in every_field_altered(&bytes) {
        assert!(Equivocation::decode(channel, &altered.bytes, &key).is_err(), "{}", altered.what);
    }
    for (at, _) in bytes.iter().enumerate() {
        let mut bent = bytes.to_vec();
        bent[at] ^= 1;
        assert!(Equivocation::decode(channel, &bent, &key).is_err(), "{at}");
        assert!(Equivocation::decode(channel, &bytes[..at], &key).is_err(), "{at}");
    }
    // In the other order it is a second spelling.
    let Equivocation { winner, loser } = proof;
    let swapped = Equivocation { winner: loser, loser: winner }.encode();
    assert_eq!(Equivocation::decode(channel, &swapped, &key), Err(wire::Error::NotCanonical.into()));
    assert!(Equivocation::decode(ChannelId::from_bytes([0x77; 32]), &bytes, &key).is_err());
    let error = Equivocation::decode(channel, &vec![0; EQUIVOCATION_MAX + 1], &key);
    assert_eq!(error, Err(wire::Error::TooLarge { max: EQUIVOCATION_MAX }.into()));
}

#[test]
fn the_largest_proof_fits() {
    let (mut here, mut there) = (alice(5), alice(5));
    there.rng = rng(41);
    let largest = full(&"x".repeat(crate::limits::TEXT_MAX));
    let key = here.key.public();
    let proof = judged(&here.seal(&largest), &there.seal(&largest), &key).unwrap();
    assert_eq!(Equivocation::decode(proof.context().channel, &proof.encode(), &key), Ok(proof));
}
