//! Relays over the API: mine, and the one that the node runs.

use super::backend::{Daemon, SIMILAR, invite, member, relay, stats};
use crate::Code;
use crate::api::types::{MailboxQuota, MemberWord, NewInvite, RelayMember};
use crate::app::command::Command;
use kith_protocol::{MailboxId, RelayId};

fn word(mailbox: &str) -> MemberWord {
    MemberWord { mailbox: mailbox.into(), ..MemberWord::default() }
}

#[tokio::test]
async fn my_relays_are_listed_added_and_removed_by_the_beginning_of_their_id() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let similar = RelayId::from_bytes(SIMILAR);
    assert_eq!(client.relays().await.unwrap()[1], relay(&similar.to_string()));
    assert!(client.add_relay("kith1card").await.unwrap().changed);
    let eight = RelayId::from_bytes([8; 32]);
    client.remove_relay(&format!(" {} ", &eight.to_string()[..6].to_uppercase())).await.unwrap();
    client.remove_relay(&similar.to_string()).await.unwrap();
    let several = client.remove_relay(&similar.to_string()[..20]).await.unwrap_err();
    assert_eq!((several.code, several.candidates.len()), (Code::Ambiguous, 2));
    assert_eq!(several.candidates[1], format!("{similar} corner"));
    assert_eq!(client.remove_relay("zzzzzz").await.unwrap_err().code, Code::RelayUnknown);
    for bad in ["short", "../../x", "абвгде"] {
        assert_eq!(client.remove_relay(bad).await.unwrap_err().code, Code::BadTarget, "{bad}");
    }
    let commands = daemon.memory.state.lock().unwrap().commands.clone();
    let expected = [
        Command::RelayAdd { card: "kith1card".into() },
        Command::RelayRemove { relay: eight },
        Command::RelayRemove { relay: similar },
    ];
    assert_eq!(commands.iter().map(|(command, _)| command).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    assert!(commands.iter().all(|(_, key)| key.is_some()));
}

#[tokio::test]
async fn where_no_relay_runs_every_question_of_its_operator_says_so() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let codes = [
        client.relay_card().await.unwrap_err().code,
        client.relay_invite(&NewInvite { uses: 1, expires_after_ms: 1 }).await.unwrap_err().code,
        client.relay_invites().await.unwrap_err().code,
        client.relay_revoke("00112233").await.unwrap_err().code,
        client.relay_members().await.unwrap_err().code,
        client.relay_judge(&word(&member(8).mailbox)).await.unwrap_err().code,
        client.relay_stats().await.unwrap_err().code,
    ];
    assert!(codes.iter().all(|code| *code == Code::NoRelay), "{codes:?}");
    assert!(client.metrics().await.unwrap().starts_with("kith_peers "), "metrics are there all the same");
}

#[tokio::test]
async fn an_operator_invites_and_judges_and_is_told_what_changed() {
    let daemon = Daemon::start();
    daemon.memory.state.lock().unwrap().relay = true;
    let client = daemon.client();
    assert_eq!(client.relay_card().await.unwrap().url, "kith:kith1card?a=x");
    assert_eq!(client.relay_stats().await.unwrap(), stats());
    let made = client.relay_invite(&NewInvite { uses: 9, expires_after_ms: 77 }).await.unwrap();
    assert_eq!((made.uses, made.url.as_deref()), (9, Some("for 77 ms")));
    assert_eq!(client.relay_invites().await.unwrap()[2], invite("ffeeddccbb"));
    client.relay_revoke("FFEEDD").await.unwrap();
    let several = client.relay_revoke("00112233").await.unwrap_err();
    assert_eq!((several.code, several.candidates), (Code::Ambiguous, vec!["00112233aa".into(), "00112233bb".into()]));
    assert_eq!(client.relay_revoke("aaaaaa").await.unwrap_err().code, Code::NotFound);

    assert_eq!(client.relay_members().await.unwrap().len(), 3);
    let eight = member(8).mailbox;
    let judge = async |word: MemberWord| client.relay_judge(&word).await.map(|done| done.changed);
    assert_eq!(judge(MemberWord { blocked: Some(true), ..word(&eight[..8]) }).await, Ok(false), "it is blocked");
    assert_eq!(judge(MemberWord { usual_quota: true, ..word(&eight[..8]) }).await, Ok(false));
    assert_eq!(judge(MemberWord { blocked: Some(false), ..word(&eight[..8]) }).await, Ok(true));
    // Not there yet: a whole name may be spoken of before, the beginning of one not.
    let new = MailboxId::from_bytes([5; 32]).to_string();
    assert_eq!(judge(MemberWord { allowed: Some(true), ..word(&new) }).await, Ok(true));
    assert_eq!(judge(MemberWord { allowed: Some(true), ..word(&new[..12]) }).await.unwrap_err().code, Code::NotFound);
    let several = judge(MemberWord { allowed: Some(true), ..word(&member(7).mailbox[..8]) }).await.unwrap_err();
    assert_eq!((several.code, several.candidates.len()), (Code::Ambiguous, 2));
    let operated = daemon.memory.state.lock().unwrap().operated.clone();
    assert_eq!(operated.len(), 3);
    assert_eq!(operated[0], "ffeeddccbb");
    assert!(operated[1].starts_with(&eight) && operated[1].contains("blocked: Some(false)"), "{operated:?}");
    assert!(operated[2].starts_with(&new) && operated[2].contains("allowed: Some(true)"), "{operated:?}");
}

#[test]
fn a_word_that_holds_already_changes_nothing() {
    let quota = MailboxQuota { envelopes: 5, bytes: 6 };
    let own = RelayMember { envelopes_max: Some(5), bytes_max: Some(6), allowed: true, ..member(1) };
    let say = |word: MemberWord, member: Option<&RelayMember>| word.changes(member);
    assert!(!say(word("x"), Some(&own)), "nothing is said");
    assert!(!say(MemberWord { quota: Some(quota), allowed: Some(true), ..word("x") }, Some(&own)));
    assert!(say(MemberWord { quota: Some(quota), ..word("x") }, Some(&member(1))));
    assert!(say(MemberWord { quota: Some(MailboxQuota { envelopes: 7, ..quota }), ..word("x") }, Some(&own)));
    assert!(say(MemberWord { usual_quota: true, ..word("x") }, Some(&own)));
    assert!(say(MemberWord { allowed: Some(false), ..word("x") }, Some(&own)));
    assert!(!say(MemberWord { blocked: Some(false), usual_quota: true, ..word("x") }, None));
    assert!(say(MemberWord { blocked: Some(true), ..word("x") }, None));
}
