//! Somebody was removed, or demoted, and writes operations as if it had been before: each shape in which that could pay.

use super::kit::*;
use crate::channel::{Act, Epochs, Gate, Mode, Op, OpId, Permission as P, Permissions, Refused, Setting};

/// The channel after Bob, an admin, lost what he had, and the operations that he remembers from before.
struct Aftermath {
    now: Branch,
    before: Branch,
}

fn stage() -> Branch {
    let mut channel = Branch::new();
    channel.does(ALICE, &admit_with(BOB, &BOB.person().one, "admin"));
    for (who, role) in [(CARL, "moderator"), (DORA, "member"), (EVE, "member")] {
        channel.does(ALICE, &admit(who, role));
    }
    channel.does(ALICE, &ban(FRED));
    channel.does(ALICE, &define("helper", Permissions::of(&[P::Pin])));
    channel.does(ALICE, &grant(DORA, "helper"));
    channel
}

fn removed() -> Aftermath {
    let before = stage();
    let mut now = before.clone();
    now.does_afresh(ALICE, &kick(BOB));
    Aftermath { now, before }
}

fn demoted() -> Aftermath {
    let before = stage();
    let mut now = before.clone();
    now.does(ALICE, &revoke(BOB, "admin"));
    Aftermath { now, before }
}

/// Everything that the channel says, but for which operations there are.
fn state(branch: &Branch) -> String {
    let people: Vec<_> = (0..PEOPLE).map(Who).filter(|w| branch.is_in(*w)).map(|w| (w, branch.roles(w))).collect();
    let graph = &branch.graph;
    let settings: Vec<_> = (1..7).map(|key| graph.setting(key)).collect();
    let muted: Vec<_> = [CARL, DORA, EVE].iter().map(|who| graph.permissions(&who.id(), tick())).collect();
    let invites: Vec<_> = graph.invites().map(|i| i.id).collect();
    format!("{people:?} {settings:?} {muted:?} {invites:?} {:?} {:?}", graph.role(&role("helper")), graph.recipients())
}

/// Lets Bob do things before he lost his rights, and shows them to everybody; says why each does not hold.
fn backdate(after: &Aftermath, acts: impl FnOnce(&mut Branch) -> Vec<OpId>) -> Vec<Refused> {
    let mut bobs = after.before.clone();
    let ops = acts(&mut bobs);
    let before = state(&after.now);
    let mut now = after.now.clone();
    now.hears(&bobs);
    assert_eq!(state(&now), before);
    // Nor does it help to be heard first.
    let mut late = bobs;
    late.hears(&after.now);
    assert_eq!(late.graph.state_hash(), now.graph.state_hash());
    assert_eq!(Epochs::of(&late.graph).current(), Epochs::of(&now.graph).current());
    ops.iter().map(|op| now.why(op).expect("what was backdated holds")).collect()
}

/// Tries one act after the removal, and after the demotion too unless any member may do it.
fn shape(act: impl Fn(&Branch) -> Act, by_any_member: bool) {
    let done = |after: &Aftermath| {
        backdate(after, |bobs| {
            let act = act(bobs);
            vec![bobs.does(BOB, &act)]
        })
    };
    assert_eq!(done(&removed()), [Refused::Removed]);
    if !by_any_member {
        assert!(matches!(done(&demoted())[..], [Refused::Lacks(_) | Refused::NotAbove | Refused::MoreThanHeld]));
    }
}

#[test]
fn sec_backdating_01_admission() {
    shape(|_| admit(Who(9), "admin"), false);
}

#[test]
fn sec_backdating_02_promotion() {
    shape(|_| grant(EVE, "admin"), false);
}

#[test]
fn sec_backdating_03_removal() {
    shape(|_| kick(CARL), false);
    shape(|_| ban(EVE), false);
}

#[test]
fn sec_backdating_04_rekey() {
    let after = removed();
    assert_eq!(backdate(&after, |bobs| vec![bobs.does(BOB, &rekey())]), [Refused::Removed]);
    // What he knows is not what is sent under.
    let mut bobs = after.before.clone();
    bobs.does(BOB, &rekey());
    let mut now = after.now.clone();
    now.hears(&bobs);
    let epochs = Epochs::of(&now.graph);
    let Some(Gate::Open(current)) = epochs.gate(&now.graph) else { panic!("{:?}", epochs.gate(&now.graph)) };
    assert!(!epochs.any_can_derive(&current, &now.graph.outsiders()));
    assert!(now.graph.outsiders().contains(&BOB.device()));
}

#[test]
fn sec_backdating_05_invite() {
    shape(|bobs| Act::PostInvite(Code::new(&bobs.channel(), 9).terms("admin", 5)), false);
    // Nor is it good for who remained.
    let after = removed();
    let channel = after.now.channel();
    let code = Code::new(&channel, 9);
    let refused = backdate(&after, |bobs| {
        let invite = bobs.does(BOB, &Act::PostInvite(code.terms("member", 5)));
        vec![invite, bobs.does(CARL, &code.admits(&channel, invite, Who(9), "member", 1))]
    });
    assert_eq!(refused, [Refused::Removed, Refused::UnknownInvite]);
}

#[test]
fn sec_backdating_06_role_definition() {
    shape(|_| define("helper", Permissions::ALL), false);
    shape(|_| define("trapdoor", Permissions::ALL), false);
}

#[test]
fn sec_backdating_07_unban() {
    shape(|_| unban(FRED), false);
    let after = removed();
    let refused = backdate(&after, |bobs| vec![bobs.does(BOB, &unban(FRED)), bobs.does(CARL, &admit(FRED, "member"))]);
    assert_eq!(refused, [Refused::Removed, Refused::Banned]);
}

#[test]
fn sec_backdating_08_mute() {
    shape(|_| mute(CARL, true), false);
}

#[test]
fn sec_backdating_09_device_list() {
    let after = removed();
    let refused = backdate(&after, |bobs| {
        let told = bobs.does(BOB, &tell(BOB, &BOB.person().two));
        vec![told, bobs.does_with(BOB, 1, &admit(Who(9), "member"))]
    });
    assert_eq!(refused, [Refused::Removed, Refused::Removed]);
}

#[test]
fn sec_backdating_10_setting() {
    shape(|_| call_it("bobs"), false);
    shape(|_| set_mode(Mode::Archive), false);
    shape(|_| Act::Set(Setting::RetentionDays(1)), false);
    shape(|_| Act::Set(Setting::Relays(vec![vec![6; 6]])), false);
}

#[test]
fn sec_backdating_11_grant_of_epochs() {
    shape(|bobs| hand_over(EVE.device(), &[*Epochs::of(&bobs.graph).current().unwrap().as_bytes()]), true);
}

#[test]
fn sec_backdating_12_second_hand_through_a_sock_puppet() {
    let puppet = Who(9);
    let after = removed();
    // A new one: struck with its admission, whatever it does.
    let refused = backdate(&after, |bobs| {
        let admission = bobs.does(BOB, &admit(puppet, "admin"));
        vec![
            admission,
            bobs.does(puppet, &admit(Who(10), "member")),
            bobs.does(puppet, &kick(CARL)),
            bobs.does(puppet, &rekey()),
        ]
    });
    assert_eq!(refused, [Refused::Removed, Refused::NotMember, Refused::NotMember, Refused::NotMember]);
    // One who was in all the time and makes keys, as if to settle the admission: worth what it could have done itself.
    let refused = backdate(&after, |bobs| {
        let admission = bobs.does(BOB, &admit(puppet, "admin"));
        let _ = bobs.does(EVE, &rekey());
        vec![admission]
    });
    assert_eq!(refused, [Refused::Removed]);
}

#[test]
fn sec_backdating_13_end_of_a_role() {
    shape(|_| drop_role("helper"), false);
    shape(|_| revoke(CARL, "moderator"), false);
}

#[test]
fn sec_backdating_14_silence_of_devices() {
    shape(|_| suspend(&[CARL.device()], true), false);
}

#[test]
fn sec_backdating_15_end_of_an_invite() {
    let mut before = stage();
    let code = Code::new(&before.channel(), 3);
    let invite = before.does(ALICE, &Act::PostInvite(code.terms("member", 5)));
    let mut now = before.clone();
    now.does_afresh(ALICE, &kick(BOB));
    let joined = now.does(CARL, &code.admits(&now.channel(), invite, Who(9), "member", 1));
    let after = Aftermath { now, before };
    assert_eq!(backdate(&after, |bobs| vec![bobs.does(BOB, &Act::RevokeInvite { invite })]), [Refused::Removed]);
    assert!(after.now.holds(&joined));
}

#[test]
fn sec_backdating_16_admission_by_an_invite_that_is_there() {
    let mut before = stage();
    let code = Code::new(&before.channel(), 3);
    let invite = before.does(ALICE, &Act::PostInvite(code.terms("member", 5)));
    let mut now = before.clone();
    now.does_afresh(ALICE, &kick(BOB));
    let after = Aftermath { now, before };
    let refused = backdate(&after, |bobs| {
        let act = code.admits(&bobs.channel(), invite, Who(9), "member", 1);
        vec![bobs.does(BOB, &act)]
    });
    assert_eq!(refused, [Refused::Removed]);
}

#[test]
fn c05_38_what_time_an_operation_claims_changes_nothing() {
    let mut channel = Branch::with(&[(BOB, "admin"), (CARL, "member")]);
    let mut ids = Vec::new();
    for at in [0, 4_102_444_800_000, u64::MAX] {
        let act = channel.completed(&rekey());
        let at = crate::Timestamp::from_millis(at);
        let op = channel.graph.allow(BOB.id(), BOB.device(), &act, at).unwrap().sign(BOB.author().key).unwrap();
        let added = channel.graph.add(Op::clone(&op)).unwrap();
        assert_eq!(added.refused, None);
        let epochs = Epochs::of(&channel.graph);
        assert_eq!(epochs.current(), epochs.behind(added.at), "the last one counts, whatever the clock said");
        ids.push(epochs.current());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
