//! Two operations with one predecessor: who wins, what freezes, what lifts.

use super::*;

/// Reads the operations in every order, one by one and then at once, and demands one outcome.
fn same_in_every_order(base: &DeviceLog, ops: &[&Signed]) -> DeviceLog {
    let mut outcomes = permutations(ops.len()).into_iter().map(|order| {
        let ops: Vec<Signed> = order.iter().map(|i| ops[*i].clone()).collect();
        let mut log = base.clone();
        for op in &ops {
            log = match log.append(op, NOW) {
                Ok((next, _)) => next,
                // A successor came before its predecessor, or stands on a branch that was dropped: asked for again.
                Err(Error::Gap) => log,
                Err(e) => panic!("{e}"),
            };
        }
        log.merge(&ops, NOW).unwrap().0
    });
    let first = outcomes.next().unwrap();
    assert!(outcomes.all(|log| log == first));
    first
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let with = |p: &Vec<usize>, at: usize| {
        let mut p = p.clone();
        p.insert(at, n - 1);
        p
    };
    permutations(n - 1).iter().flat_map(|p| (0..n).map(move |at| with(p, at))).collect()
}

#[test]
fn c05_24_two_operations_with_one_number_freeze_the_account_and_keep_the_proof() {
    let mut alice = Person::with_devices(1, 3);
    let (_, a) = alice.admission(1, false);
    let (_, b) = alice.admission(2, false);
    let (a, b) = (a.unwrap(), b.unwrap());
    let (log, _) = alice.log.append(&a, NOW).unwrap();
    let (frozen, change) = log.append(&b, NOW).unwrap();
    assert_eq!(change, Change::Froze);
    assert_eq!(frozen, same_in_every_order(&alice.log, &[&a, &b]));
    assert_eq!(frozen.head(), alice.log.head(), "nothing of either is followed");
    assert_eq!(frozen.devices().count(), 3);
    let proof = frozen.equivocation().unwrap();
    assert_eq!(proof.ops.len(), 2);
    assert_eq!(proof.ops[0].previous(), proof.ops[1].previous());
    let (_, c) = alice.admission(0, false);
    assert_eq!(frozen.append(&c.unwrap(), NOW).unwrap().1, Change::Unchanged, "frozen stays frozen");
    for act in [frozen.revoke(alice.device(0), &alice.id(1), NOW), frozen.set_limit(alice.root(), 3, NOW)] {
        assert_eq!(act, Err(Error::Frozen));
    }
    assert_eq!(DeviceLog::decode(alice.account.id(), &frozen.encode(), NOW), Ok(frozen), "also after a restart");
}

#[test]
fn r_id_4_the_root_lifts_a_freeze_by_naming_both_and_nothing_follows_the_other_branch() {
    let mut alice = Person::with_devices(1, 3);
    let (kept, a) = alice.admission(1, false);
    let (lost, b) = alice.admission(2, false);
    let (a, b) = (a.unwrap(), b.unwrap());
    let frozen = same_in_every_order(&alice.log, &[&a, &b]);
    let keep = *Op::decode(&a).unwrap().id();
    let lift = frozen.lift(&alice.account, &keep, NOW).unwrap();
    let (lifted, change) = frozen.append(&lift, NOW).unwrap();
    assert_eq!(change, Change::Lifted);
    assert!(lifted.device(&kept.id()).is_some() && lifted.member(&lost.id()).is_none());
    assert_eq!(lifted, same_in_every_order(&alice.log, &[&a, &b, &lift]));
    assert_eq!(lifted.append(&b, NOW).unwrap(), (lifted.clone(), Change::Unchanged), "named, so it is settled");
    // Whoever hears of it only now reads one plain chain.
    assert_eq!(DeviceLog::verify_from(alice.account.id(), &lifted.signed_ops(), NOW), Ok(lifted));
}

#[test]
fn r_id_4_only_the_root_lifts_and_only_by_naming_what_contradicts() {
    let mut alice = Person::with_devices(1, 3);
    let (_, a) = alice.admission(1, false);
    let (_, b) = alice.admission(2, false);
    let (a, b) = (a.unwrap(), b.unwrap());
    let (frozen, _) = alice.log.merge(&[a.clone(), b.clone()], NOW).unwrap();
    let (op_a, op_b) = (Op::decode(&a).unwrap(), Op::decode(&b).unwrap());
    let after_a = Place { account: alice.account.id(), number: 4, previous: *op_a.id().as_bytes() };
    let mut both = vec![*op_a.id(), *op_b.id()];
    both.sort();
    let by_device = author::sign(&after_a, alice.device(0), Act::Lift { ops: both.clone() }, NOW);
    assert_eq!(frozen.append(&by_device, NOW), Err(Error::NotPermitted));
    let mut strange = vec![OpId::from_bytes([1; 32]), OpId::from_bytes([2; 32])];
    let unrelated = author::sign(&after_a, alice.root(), Act::Lift { ops: strange.clone() }, NOW);
    assert_eq!(frozen.append(&unrelated, NOW), Err(Error::BadLift));
    strange[0] = *op_a.id();
    strange.sort();
    let half = author::sign(&after_a, alice.root(), Act::Lift { ops: strange }, NOW);
    let (still, change) = frozen.append(&half, NOW).unwrap();
    assert_eq!((still.is_frozen(), change), (true, Change::Unchanged), "it does not name the other");
    both.reverse();
    let unsorted = author::sign(&after_a, alice.root(), Act::Lift { ops: both }, NOW);
    assert_eq!(frozen.append(&unsorted, NOW), Err(Error::BadLift));
}

#[test]
fn c05_25_a_revocation_by_the_root_beats_what_the_revoked_device_did_at_once() {
    let mut alice = Person::with_devices(1, 3);
    let revoke = alice.log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    let (ghost, add) = alice.admission(1, false);
    let add = add.unwrap();
    let log = same_in_every_order(&alice.log, &[&revoke, &add]);
    assert!(!log.is_frozen());
    assert!(log.device(&alice.id(1)).is_none() && log.member(&ghost.id()).is_none());
    let (first_add, _) = alice.log.append(&add, NOW).unwrap();
    assert_eq!(first_add.append(&revoke, NOW).unwrap().1, Change::Overruled);
}

#[test]
fn c05_25_the_roots_revocation_beats_a_whole_branch_of_the_thief() {
    let mut alice = Person::with_devices(1, 2);
    let revoke = alice.log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    let before = alice.log.clone();
    let mut branch = Vec::new();
    for _ in 0..3 {
        let (device, op) = alice.admission(1, false);
        let op = op.unwrap();
        alice.take(&op);
        alice.devices.push(device);
        branch.push(op);
    }
    let ops: Vec<&Signed> = branch.iter().chain([&revoke]).collect();
    let log = same_in_every_order(&before, &ops);
    assert_eq!(log.devices().map(|d| d.id).collect::<Vec<_>>(), [alice.id(0)]);
}

#[test]
fn c05_25_a_device_that_the_root_revoked_cannot_freeze_the_account_from_further_back() {
    let mut alice = Person::with_devices(1, 3);
    let (_, backdated) = alice.admission(1, false);
    let limit = alice.log.set_limit(alice.device(0), 8, NOW).unwrap();
    alice.take(&limit);
    let revoke = alice.log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    alice.take(&revoke);
    let (log, change) = alice.log.append(&backdated.unwrap(), NOW).unwrap();
    assert_eq!((change, &log), (Change::Unchanged, &alice.log));
}

#[test]
fn r_id_4_a_revocation_by_a_device_does_not_win_and_two_by_the_root_freeze() {
    let mut alice = Person::with_devices(1, 4);
    let by_device = alice.log.revoke(alice.device(0), &alice.id(1), NOW).unwrap();
    let (_, add) = alice.admission(1, false);
    assert!(same_in_every_order(&alice.log, &[&by_device, &add.unwrap()]).is_frozen());
    let one = alice.log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    let other = alice.log.revoke(alice.root(), &alice.id(2), NOW).unwrap();
    assert!(same_in_every_order(&alice.log, &[&one, &other]).is_frozen());
    // Three at once: the root's word still wins against both others.
    let (_, a) = alice.admission(2, false);
    let (_, b) = alice.admission(3, false);
    let log = same_in_every_order(&alice.log, &[&one, &a.unwrap(), &b.unwrap()]);
    assert!(!log.is_frozen() && log.device(&alice.id(1)).is_none());
}

#[test]
fn r_id_4_the_root_ends_a_freeze_by_revoking_too() {
    let mut alice = Person::with_devices(1, 3);
    let (_, a) = alice.admission(1, false);
    let (_, b) = alice.admission(2, false);
    let (frozen, _) = alice.log.merge(&[a.unwrap(), b.unwrap()], NOW).unwrap();
    let revoke = frozen.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    let (log, change) = frozen.append(&revoke, NOW).unwrap();
    assert_eq!(change, Change::Lifted);
    assert_eq!(log.devices().count(), 2);
}

#[test]
fn r_id_4_a_replaced_root_undoes_its_replacement_by_nothing() {
    let mut alice = Person::with_devices(1, 2);
    let by_old_root = alice.log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    let next = alice.account.next_root(&mut alice.rng);
    let rotate = alice.log.rotate_root(&alice.account, &next, NOW).unwrap();
    let log = same_in_every_order(&alice.log, &[&by_old_root, &rotate]);
    assert!(log.is_frozen(), "a thief of the old root gets an alarm, not the account");
}

#[test]
fn c05_26_concurrent_adds_over_the_limit_give_every_reader_the_same_set() {
    let mut alice = Person::with_devices(1, 9);
    let (_, a) = alice.admission(1, false);
    let (_, b) = alice.admission(2, false);
    let (_, c) = alice.admission(3, false);
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    let log = same_in_every_order(&alice.log, &[&a, &b, &c]);
    assert!(log.is_frozen());
    assert_eq!(log.devices().count(), 9);
    let keep = *Op::decode(&b).unwrap().id();
    let lift = log.lift(&alice.account, &keep, NOW).unwrap();
    let log = same_in_every_order(&alice.log, &[&a, &b, &c, &lift]);
    assert_eq!((log.devices().count(), log.is_frozen()), (10, false));
}

#[test]
fn a_flood_of_contradictions_is_bounded_and_the_root_still_ends_it() {
    let mut alice = Person::with_devices(1, 2);
    let mut log = alice.log.clone();
    for _ in 0..40 {
        let (_, op) = alice.admission(1, false);
        log = log.append(&op.unwrap(), NOW).unwrap().0;
    }
    assert_eq!(log.equivocation().unwrap().ops.len(), FORK_KEPT);
    let revoke = log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    let (log, _) = log.append(&revoke, NOW).unwrap();
    assert!(!log.is_frozen());
}
