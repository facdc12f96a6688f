//! The operator's word: who may register, who is blocked, how much is kept.

use super::*;
use crate::mailbox::{InviteInfo, Room, TAGS_KEPT_MAX};

pub(super) fn checks<G: Ground>() -> Vec<Check<G>> {
    vec![
        ("without a word or a token nobody registers, whoever is there stays", members),
        ("an invite admits as often as it says and as long", invites),
        ("for a blocked mailbox nothing is taken, and everything is given", blocked),
        ("a quota of its own goes before the common one", own_quota),
        ("so many mailboxes and no more", mailboxes_bound),
        ("mailboxes are listed each once", listed),
    ]
}

fn judge(n: u8, allowed: Option<bool>, blocked: Option<bool>) -> Change {
    Change::Judge { mailbox: mailbox(n), allowed, blocked, quota: None }
}

fn ask(n: u8, token: Option<u8>) -> Change {
    Change::Register {
        mailbox: mailbox(n),
        tags: tags(n, TODAY..=TODAY),
        keep_from: TODAY,
        token: token.map(|n| [n; 32]),
        open: false,
    }
}

fn members<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    assert_eq!(relay.one(ask(2, None))?, Outcome::NotAdmitted);
    assert_eq!((relay.info(2)?, relay.store.class_of(&mailbox(2), &tag(2, TODAY, Class::Contact))?), (None, None));
    assert_eq!(relay.one(ask(1, None))?, registered(false, AMPLE));
    relay.one(judge(2, Some(true), None))?;
    let info = relay.info(2)?;
    assert_eq!(info.map(|info| (info.registered, info.allowed, info.blocked)), Some((false, true, false)));
    assert_eq!(relay.store.totals()?.mailboxes, 1);
    assert_eq!(relay.one(Change::Deposit(deposit(2, 1)))?, Outcome::UnknownTag);
    let mut relay = relay.crash();
    assert_eq!(relay.one(ask(2, None))?, registered(true, AMPLE));
    assert!(is_stored(&relay.one(Change::Deposit(deposit(2, 1)))?, true));
    // The word is taken back: who is there stays, who leaves does not come again.
    relay.one(judge(2, Some(false), None))?;
    assert_eq!(relay.one(ask(2, None))?, registered(false, AMPLE));
    let outcomes = relay.all(&[Change::Leave { mailbox: mailbox(2) }, ask(2, None)])?;
    assert_eq!(outcomes, [Outcome::Done, Outcome::NotAdmitted]);
    // A word on nobody leaves nothing behind once it is taken back.
    relay.all(&[judge(3, Some(true), Some(true)), judge(3, Some(false), None), judge(3, None, Some(false))])?;
    assert_eq!((relay.info(2)?, relay.info(3)?), (None, None));
    relay.recount()
}

fn invites<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::fresh(ground);
    let until = relay.now.plus_days(7);
    let invite = |n: u8, uses: u32| Change::Invite { token: [n; 32], uses, until };
    assert_eq!(relay.all(&[invite(1, 2), invite(2, 1)])?, [Outcome::Done, Outcome::Done]);
    let shown = |token: u8, uses: u32| InviteInfo { token: [token; 32], uses, until };
    let sorted = |relay: &Relay<'_, G>| -> Result<Vec<InviteInfo>, Error> {
        let mut all = relay.store.invites(relay.now)?;
        all.sort_by_key(|invite| invite.token);
        Ok(all)
    };
    assert_eq!(sorted(&relay)?, [shown(1, 2), shown(2, 1)]);
    // Three race for two uses; who is there already uses none.
    let outcomes = relay.all(&[ask(1, Some(1)), ask(1, Some(1)), ask(2, Some(1)), ask(3, Some(1)), ask(3, Some(9))])?;
    let (new, old) = (registered(true, AMPLE), registered(false, AMPLE));
    assert_eq!(outcomes, [new.clone(), old, new.clone(), Outcome::NotAdmitted, Outcome::NotAdmitted]);
    let mut relay = relay.crash();
    assert_eq!(sorted(&relay)?, [shown(2, 1)]);
    assert_eq!(relay.one(ask(3, Some(1)))?, Outcome::NotAdmitted);
    // An invite is used by nobody who needs none, nor by a registration that fails.
    relay.one(judge(4, Some(true), None))?;
    assert_eq!(relay.one(ask(4, Some(2)))?, new);
    let greedy = Change::Register {
        mailbox: mailbox(5),
        tags: tags(5, TODAY..=TODAY.saturating_add(TAGS_KEPT_MAX as u32 / 3)),
        keep_from: TODAY,
        token: Some([2; 32]),
        open: false,
    };
    assert_eq!(relay.one(greedy)?, Outcome::Full(Room::Mailbox));
    assert_eq!(sorted(&relay)?, [shown(2, 1)]);
    // Withdrawn, made anew, lapsed.
    relay.one(invite(2, 0))?;
    assert_eq!(relay.one(ask(5, Some(2)))?, Outcome::NotAdmitted);
    relay.one(invite(2, 3))?;
    relay.now = until;
    assert_eq!((relay.one(ask(5, Some(2)))?, sorted(&relay)?), (Outcome::NotAdmitted, vec![]));
    relay.now = until.minus_millis(1);
    assert_eq!(relay.one(ask(5, Some(2)))?, new);
    assert_eq!(sorted(&relay)?, [shown(2, 2)]);
    relay.recount()
}

fn blocked<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let put = Change::PutPrekeys { mailbox: mailbox(1), keys: vec![(1, vec![1]), (2, vec![2])] };
    relay.all(&[Change::Deposit(deposit(1, 1)), Change::Deposit(deposit(1, 2)), put.clone()])?;
    let keep = Change::Keep { mailbox: mailbox(1), id: kept(1), bytes: vec![1], until: relay.now.plus_days(1) };
    let changes = [judge(1, None, Some(true)), Change::Deposit(deposit(1, 3)), take(1, 1, 1), put, keep, register(1)];
    let outcomes = relay.all(&changes)?;
    assert!(outcomes.iter().skip(1).all(|outcome| *outcome == Outcome::Blocked), "{outcomes:?}");
    assert!(is_stored(&relay.one(Change::Deposit(deposit(2, 3)))?, true));
    let mut relay = relay.crash();
    assert_eq!(relay.names(1)?, [envelope(1), envelope(2)]);
    let acknowledge = Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(1)] };
    assert_eq!(relay.one(acknowledge)?, Outcome::Deleted { deleted: 1, absent: 0 });
    // It may go, and does not come again.
    relay.one(Change::Leave { mailbox: mailbox(1) })?;
    assert_eq!(relay.one(register(1))?, Outcome::Blocked);
    assert_eq!(relay.info(1)?.map(|info| (info.registered, info.blocked)), Some((false, true)));
    relay.one(judge(1, None, Some(false)))?;
    assert_eq!(relay.one(register(1))?, registered(true, AMPLE));
    relay.recount()
}

fn own_quota<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::fresh(ground);
    relay.caps.mailbox = Quota { envelopes: 3, bytes: 1 << 40 };
    let own = Quota { envelopes: 5, bytes: 1 << 40 };
    let give = |quota| Change::Judge { mailbox: mailbox(1), allowed: None, blocked: None, quota: Some(quota) };
    relay.one(give(Some(own)))?;
    assert_eq!(relay.one(register(1))?, registered(true, own));
    assert_eq!(relay.one(register(2))?, registered(true, relay.caps.mailbox));
    let stored = |relay: &mut Relay<'_, G>, n: u8, numbers: std::ops::Range<u32>| -> Result<usize, Error> {
        let changes: Vec<Change> = numbers.map(|number| Change::Deposit(deposit(n, number))).collect();
        Ok(relay.all(&changes)?.iter().filter(|outcome| is_stored(outcome, true)).count())
    };
    assert_eq!((stored(&mut relay, 1, 0..9)?, stored(&mut relay, 2, 0..9)?), (5, 3));
    // Taken back: nothing is dropped, nothing more is taken.
    relay.one(give(None))?;
    assert_eq!(relay.info(1)?.and_then(|info| info.quota), None);
    assert_eq!((stored(&mut relay, 1, 20..21)?, relay.names(1)?.len()), (0, 5));
    let ids = (0..3).map(envelope).collect();
    relay.one(Change::Acknowledge { mailbox: mailbox(1), ids })?;
    assert_eq!(stored(&mut relay, 1, 20..29)?, 1);
    relay.recount()
}

fn mailboxes_bound<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::fresh(ground);
    relay.caps.mailboxes = 2;
    relay.one(Change::Invite { token: [1; 32], uses: 1, until: relay.now.plus_days(1) })?;
    // A judged one counts once it registers.
    relay.one(judge(9, Some(true), None))?;
    let outcomes = relay.all(&[register(1), register(2), register(3), ask(4, Some(1)), ask(9, None), register(1)])?;
    let (new, full) = (registered(true, AMPLE), Outcome::Full(Room::Relay));
    assert_eq!(outcomes, [new.clone(), new.clone(), full.clone(), full.clone(), full, registered(false, AMPLE)]);
    assert_eq!(relay.store.invites(relay.now)?.len(), 1, "an invite is not used in vain");
    let outcomes = relay.all(&[Change::Leave { mailbox: mailbox(1) }, ask(4, Some(1))])?;
    assert_eq!(outcomes, [Outcome::Done, new]);
    relay.recount()
}

fn listed<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 20)?;
    relay.one(judge(21, None, Some(true)))?;
    let all = relay.store.mailboxes(None, 100)?;
    let mut names: Vec<MailboxId> = all.iter().map(|info| info.id).collect();
    for size in [1, 4, 21, 22] {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = relay.store.mailboxes(after.as_ref(), size)?;
            let Some(last) = page.last() else { break };
            assert!(page.len() <= size);
            after = Some(last.id);
            paged.extend(page);
        }
        assert_eq!(paged, all, "pages of {size}");
    }
    names.sort();
    assert_eq!(names, (1..=21).map(mailbox).collect::<Vec<_>>());
    relay.recount()
}
