//! Several readers who learn of operations in different orders and tell each other: they end with one log.

use super::*;
use proptest::prelude::*;

/// What may happen next, with numbers that choose who and what.
#[derive(Clone, Debug)]
enum Event {
    /// A reader who holds a device's keys, or the root's, issues an operation on its own view.
    Issue { reader: usize, signer: usize, act: u8, subject: usize },
    /// One reader hears the other's whole log.
    Tell { from: usize, to: usize },
}

/// How many histories are tried; `KITH_CASES` raises it.
fn cases() -> u32 {
    std::env::var("KITH_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(100)
}

const READERS: usize = 3;
const DEVICES: usize = 4;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..READERS, 0..=DEVICES, 0u8..7, 0..DEVICES)
            .prop_map(|(reader, signer, act, subject)| Event::Issue { reader, signer, act, subject }),
        2 => (0..READERS, 0..READERS).prop_map(|(from, to)| Event::Tell { from, to }),
    ]
}

/// Issues what the numbers say, if it is allowed in this view.
fn issue(
    log: &DeviceLog,
    alice: &Person,
    roots: &[Account],
    (signer, act, subject): (usize, u8, usize),
    rng: &mut ChaCha20Rng,
) -> Option<Signed> {
    let root = roots.iter().find(|r| r.root_public() == *log.root())?;
    let by = alice.devices.get(signer).map_or(Signer::Root(root), Signer::Device);
    let subject = alice.devices[subject].id();
    let op = match act {
        0 | 1 => {
            let new = DeviceSecrets::generate(rng);
            let proof = prove_admission(&log.next_place(), &new, false);
            log.admit(by, new.info(), false, proof, NOW)
        }
        2 => log.revoke(by, &subject, NOW),
        3 => log.set_limit(by, 5 + u32::from(rng.next_u32() as u8 % 5), NOW),
        4 => log.set_trust(by, &subject, rng.next_u32().is_multiple_of(2), NOW),
        5 => log.rotate_root(root, roots.iter().find(|r| r.root_public() != *log.root())?, NOW),
        _ => log.lift(root, log.equivocation()?.ops[0].id(), NOW),
    };
    op.ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn r_id_4_readers_who_tell_each_other_end_with_one_log(
        seed in any::<u64>(), events in prop::collection::vec(event(), 1..14),
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let alice = Person::with_devices(1, DEVICES);
        let roots = [alice.account.clone(), alice.account.next_root(&mut rng)];
        let mut readers = vec![alice.log.clone(); READERS];
        for event in events {
            match event {
                Event::Issue { reader, signer, act, subject } => {
                    if let Some(op) = issue(&readers[reader], &alice, &roots, (signer, act, subject), &mut rng) {
                        readers[reader] = readers[reader].append(&op, NOW).unwrap().0;
                    }
                }
                Event::Tell { from, to } => {
                    let told = readers[from].signed_ops();
                    readers[to] = readers[to].merge(&told, NOW).unwrap().0;
                }
            }
        }
        for _ in 0..READERS {
            for from in 0..READERS {
                let told = readers[from].signed_ops();
                for reader in &mut readers {
                    *reader = reader.merge(&told, NOW).unwrap().0;
                }
            }
        }
        for reader in &readers {
            prop_assert_eq!(&readers[0], reader);
            let read_anew = DeviceLog::decode(alice.account.id(), &reader.encode(), NOW);
            prop_assert_eq!(read_anew.as_ref(), Ok(reader));
        }
    }
}
