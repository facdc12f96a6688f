//! Who may do what: every role of every channel against every act, written out.

use super::kit::*;
use crate::channel::{Act, Mode, Permission as P, Permissions, Refused, Setting};

const OWNER: usize = 0;
const ADMIN: usize = 1;
const MODERATOR: usize = 2;
const MEMBER: usize = 3;
const READER: usize = 4;
const ROLES: [&str; 5] = ["owner", "admin", "moderator", "member", "reader"];

/// Whom the acts are about: one of each role, and somebody with two devices.
const SUBJECTS: [Who; 5] = [Who(11), Who(12), Who(13), Who(14), Who(15)];
const OTHER: Who = Who(16);
const BANNED: Who = Who(17);
const OUTSIDER: Who = Who(18);

struct Table {
    channel: Branch,
    acts: Vec<(&'static str, Act, &'static [usize])>,
}

/// Who does them: one of each role.
fn actor(role: usize) -> Who {
    Who(1 + role)
}

fn table() -> Table {
    let mut channel = Branch::new();
    for (n, role) in ROLES.iter().enumerate() {
        channel.does(ALICE, &admit(actor(n), role));
        channel.does(ALICE, &admit(SUBJECTS[n], role));
    }
    channel.does(ALICE, &admit_with(OTHER, &OTHER.person().two, "member"));
    channel.does(ALICE, &ban(BANNED));
    channel.does(ALICE, &define("helper", Permissions::of(&[P::Pin])));
    channel.does(ALICE, &suspend(&[OTHER.second()], true));
    let id = channel.channel();
    let (open, asked) = (Code::new(&id, 1), Code::new(&id, 2));
    let by_code = channel.does(ALICE, &Act::PostInvite(open.terms("member", 5)));
    let terms = crate::channel::InviteTerms { approval: true, ..asked.terms("moderator", 5) };
    let by_asking = channel.does(ALICE, &Act::PostInvite(terms));
    let [owner, admin, moderator, member, reader] = SUBJECTS;
    let afresh = |act: Act| with_fresh(&act, fresh_for(&Default::default()));

    const ALL: &[usize] = &[OWNER, ADMIN, MODERATOR, MEMBER, READER];
    const SPEAKERS: &[usize] = &[OWNER, ADMIN, MODERATOR, MEMBER];
    const STAFF: &[usize] = &[OWNER, ADMIN, MODERATOR];
    const HEADS: &[usize] = &[OWNER, ADMIN];
    const OWNERS: &[usize] = &[OWNER];
    const NOBODY: &[usize] = &[];
    let acts = vec![
        ("create", creation(ALICE, &ALICE.person().one).act().clone(), NOBODY),
        ("admit a reader", admit(OUTSIDER, "reader"), STAFF),
        ("admit a member", admit(OUTSIDER, "member"), STAFF),
        ("admit a moderator", admit(OUTSIDER, "moderator"), HEADS),
        ("admit an admin", admit(OUTSIDER, "admin"), HEADS),
        ("admit an owner", admit(OUTSIDER, "owner"), OWNERS),
        ("admit by code", open.admits(&id, by_code, OUTSIDER, "member", 1), SPEAKERS),
        ("admit who asked", asked.admits(&id, by_asking, OUTSIDER, "moderator", 1), STAFF),
        ("admit a banned one", admit(BANNED, "member"), NOBODY),
        ("kick a reader", kick(reader), STAFF),
        ("kick a member", afresh(kick(member)), STAFF),
        ("kick a moderator", kick(moderator), HEADS),
        ("kick an admin", kick(admin), OWNERS),
        ("kick an owner", kick(owner), OWNERS),
        ("kick the creator", kick(ALICE), NOBODY),
        ("ban a member", ban(member), HEADS),
        ("ban an outsider", ban(OUTSIDER), HEADS),
        ("ban an admin", ban(admin), OWNERS),
        ("unban", unban(BANNED), HEADS),
        ("tell a device log", tell(OTHER, &OTHER.person().first_revoked), ALL),
        ("tell one and make keys", afresh(tell(OTHER, &OTHER.person().first_revoked)), ALL),
        ("tell an older one", tell(OTHER, &OTHER.person().one), NOBODY),
        ("define a small role", define("scribe", Permissions::of(&[P::Pin])), HEADS),
        ("define a big role", define("boss", Permissions::ALL), HEADS),
        ("define an own role", define("member", Permissions::ALL), NOBODY),
        ("drop a role", drop_role("helper"), HEADS),
        ("drop an own role", drop_role("reader"), NOBODY),
        ("grant a small role", grant(member, "helper"), HEADS),
        ("grant admin", grant(member, "admin"), HEADS),
        ("grant owner", grant(member, "owner"), OWNERS),
        ("revoke a moderator", revoke(moderator, "moderator"), HEADS),
        ("revoke an admin", revoke(admin, "admin"), OWNERS),
        ("revoke an owner", revoke(owner, "owner"), OWNERS),
        ("revoke the creator", revoke(ALICE, "owner"), NOBODY),
        ("invite readers", Act::PostInvite(open.terms("reader", 1)), SPEAKERS),
        ("invite members", Act::PostInvite(open.terms("member", 1)), SPEAKERS),
        ("invite moderators", Act::PostInvite(open.terms("moderator", 1)), HEADS),
        ("invite owners", Act::PostInvite(open.terms("owner", 1)), OWNERS),
        ("end an invite", Act::RevokeInvite { invite: by_code }, STAFF),
        ("rekey", rekey(), SPEAKERS),
        ("rekey in an emergency", emergency(), SPEAKERS),
        ("hand epochs over", hand_over(member.device(), &[[1; 32]]), ALL),
        ("hand epochs to an outsider", hand_over(OUTSIDER.device(), &[[1; 32]]), NOBODY),
        ("rename", call_it("another circle"), HEADS),
        ("set the topic", Act::Set(Setting::Topic("poems".to_owned())), HEADS),
        ("set the mode", set_mode(Mode::Announce), HEADS),
        ("set retention", Act::Set(Setting::RetentionDays(30)), HEADS),
        ("set expiry", Act::Set(Setting::ExpireAfterMs(1000)), HEADS),
        ("set relays", Act::Set(Setting::Relays(vec![vec![1]])), HEADS),
        ("mute a member", mute(member, true), STAFF),
        ("mute a moderator", mute(moderator, true), HEADS),
        ("mute an owner", mute(owner, true), OWNERS),
        ("unmute a member", mute(member, false), STAFF),
        ("suspend a member's device", suspend(&[member.device()], true), STAFF),
        ("suspend an admin's device", suspend(&[admin.device()], true), OWNERS),
        ("suspend the creator's device", suspend(&[ALICE.device()], true), NOBODY),
        ("resume a device", suspend(&[OTHER.second()], false), STAFF),
    ];
    Table { channel, acts }
}

#[test]
fn r_mem_1_every_role_may_do_what_the_table_says_and_nothing_else() {
    let Table { channel, acts } = table();
    let mut kinds = std::collections::HashSet::new();
    for (what, act, allowed) in &acts {
        kinds.insert(std::mem::discriminant(act));
        for (n, role) in ROLES.iter().enumerate() {
            let may = channel.may(actor(n), act);
            assert_eq!(may.is_ok(), allowed.contains(&n), "{role}: {what}: {may:?}");
            if matches!(act, Act::Create { .. }) {
                continue;
            }
            // What may not be done is taken in and does not hold; what may be done holds.
            let mut here = channel.clone();
            let (_, why) = here.tries(actor(n), act);
            assert_eq!(why, may.err(), "{role}: {what}");
        }
        assert!(channel.may(OUTSIDER, act).is_err() && channel.may(BANNED, act).is_err(), "{what}");
    }
    assert_eq!(kinds.len(), 16, "every kind of act stands in the table");
}

#[test]
fn everybody_may_leave_step_down_and_rest_their_own_devices() {
    let Table { channel, .. } = table();
    for (n, role) in ROLES.iter().enumerate() {
        let who = actor(n);
        assert_eq!(channel.may(who, &kick(who)), Ok(()));
        assert_eq!(channel.may(who, &ban(who)), Err(Refused::OwnRemoval));
        let afresh = with_fresh(&kick(who), fresh_for(&Default::default()));
        assert_eq!(channel.may(who, &afresh), Err(Refused::OwnRemoval));
        assert_eq!(channel.may(who, &revoke(who, role)), Ok(()));
        assert_eq!(channel.may(who, &suspend(&[who.device()], true)), Ok(()));
        assert_eq!(channel.may(who, &suspend(&[who.device()], false)), Ok(()));
    }
}

#[test]
fn r_mem_1_another_device_of_a_member_speaks_for_it_and_no_other_does() {
    let Table { mut channel, .. } = table();
    assert_eq!(
        channel.graph.allow(OTHER.id(), OTHER.second(), &call_it("x"), tick()).err(),
        Some(Refused::Lacks(P::EditMeta))
    );
    assert_eq!(
        channel.graph.allow(OTHER.id(), SUBJECTS[0].device(), &call_it("x"), tick()).err(),
        Some(Refused::NotTheirDevice)
    );
    channel.does(OTHER, &tell(OTHER, &OTHER.person().second_revoked));
    let by_revoked = channel.graph.allow(OTHER.id(), OTHER.second(), &kick(OTHER), tick()).err();
    assert_eq!(by_revoked, Some(Refused::NotTheirDevice));
}
