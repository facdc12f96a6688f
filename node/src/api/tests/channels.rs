//! Channels over the API: each verb reaches the command that is meant, with whoever is meant.

use super::backend::{BOB, CAROL, Daemon, GENERAL, ME, channel, in_channel, into_channel, join};
use crate::Code;
use crate::api::ReadRequest;
use crate::api::types::*;
use crate::app::command::Command;
use kith_protocol::{AccountId, ChannelId};

/// A channel invite, well written.
const INVITE: &str = "kith1zgrswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswr43a4h";

fn terms() -> NewChannelInvite {
    let history = HistoryGrant::Days(30);
    NewChannelInvite { uses: 25, expires_after_ms: 60_000, role: "Member".into(), history, approval: true }
}

/// Checks that exactly these commands were carried out, each under a key.
fn carried_out(daemon: &Daemon, expected: &[Command]) {
    let commands = daemon.memory.state.lock().unwrap().commands.clone();
    assert!(commands.iter().all(|(_, key)| key.is_some()));
    assert_eq!(commands.iter().map(|(c, _)| c).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_channel_is_made_changed_and_left() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let general = channel(GENERAL, "general");
    assert_eq!(client.channels().await.unwrap(), std::slice::from_ref(&general));
    assert_eq!(client.channel("#General").await.unwrap(), general);
    assert_eq!(client.channel(&GENERAL.to_string()[..6]).await.unwrap(), general);
    client.create_channel(" #reading circle ").await.unwrap();
    client.change_channel("#general", &ChannelChange::Name("news".into())).await.unwrap();
    client.change_channel("#general", &ChannelChange::Topic(" all ".into())).await.unwrap();
    client.change_channel("#general", &ChannelChange::Mode(ChannelMode::Archive)).await.unwrap();
    client.change_channel("#general", &ChannelChange::ExpireAfterMs(0)).await.unwrap();
    client.change_channel("#general", &ChannelChange::Muted(true)).await.unwrap();
    client.rekey_channel("#general", true).await.unwrap();
    assert!(client.leave_channel(&GENERAL.to_string()).await.unwrap().changed);
    let set = |change| Command::ChannelSet { channel: GENERAL, change };
    carried_out(
        &daemon,
        &[
            Command::ChannelCreate { name: "reading circle".into() },
            set(ChannelChange::Name("news".into())),
            set(ChannelChange::Topic("all".into())),
            set(ChannelChange::Mode(ChannelMode::Archive)),
            set(ChannelChange::ExpireAfterMs(0)),
            set(ChannelChange::Muted(true)),
            Command::ChannelRekey { channel: GENERAL, emergency: true },
            Command::ChannelLeave { channel: GENERAL },
        ],
    );
}

#[tokio::test]
async fn members_are_named_by_contact_by_their_own_name_or_by_id() {
    let daemon = Daemon::start();
    let client = daemon.client();
    assert_eq!(client.members("#general").await.unwrap()[2], in_channel(CAROL, "carol"));
    let admin = GiveRole { role: "Admin".into(), give: true, for_ms: Some(86_400_000) };
    client.give_role("#general", "@bob", &admin).await.unwrap();
    client.remove_member("#general", "@robert", " spam & more? ").await.unwrap();
    client.ban_member("#general", &CAROL.to_string()[..6], "").await.unwrap();
    let gone = AccountId::from_bytes([9; 32]);
    client.ban_member("#general", &gone.to_string(), "was here").await.unwrap();
    client.unban_member("#general", &gone.to_string()).await.unwrap();
    client.unban_member("#general", "@bob").await.unwrap();
    client.mute_member("#general", "@Carol", &MuteMember { on: true, for_ms: Some(3_600_000) }).await.unwrap();
    client.mute_member("#general", "@carol", &MuteMember { on: false, for_ms: None }).await.unwrap();
    let remove =
        |account, ban, reason: &str| Command::MemberRemove { channel: GENERAL, account, ban, reason: reason.into() };
    carried_out(
        &daemon,
        &[
            Command::MemberRole {
                channel: GENERAL,
                account: BOB,
                role: "admin".into(),
                give: true,
                for_ms: Some(86_400_000),
            },
            remove(BOB, false, "spam & more?"),
            remove(CAROL, true, ""),
            remove(gone, true, "was here"),
            Command::MemberUnban { channel: GENERAL, account: gone },
            Command::MemberUnban { channel: GENERAL, account: BOB },
            Command::MemberMute { channel: GENERAL, account: CAROL, on: true, for_ms: Some(3_600_000) },
            Command::MemberMute { channel: GENERAL, account: CAROL, on: false, for_ms: None },
        ],
    );
    // Removing takes a member; the whole id of somebody else is none.
    let error = client.remove_member("#general", &gone.to_string(), "").await.unwrap_err();
    assert_eq!((error.code, error.hint.as_str()), (Code::MemberUnknown, "kith member list '#general'"));
}

#[tokio::test]
async fn who_waits_is_let_in_or_not_and_roles_are_defined_and_ended() {
    let daemon = Daemon::start();
    let client = daemon.client();
    assert_eq!(client.join_requests("#general").await.unwrap()[0].account, CAROL);
    client.judge_request("#general", "@carol", true).await.unwrap();
    client.judge_request("#general", &CAROL.to_string(), false).await.unwrap();
    assert_eq!(client.judge_request("#general", "@alice", true).await.unwrap_err().code, Code::MemberUnknown);
    assert_eq!(client.roles("#general").await.unwrap()[0].name, "helper");
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let role = NewRole {
        name: "Helper".into(),
        inherits: words(&["Reader"]),
        allow: words(&["Delete-Others", "pin"]),
        deny: words(&["send"]),
        minutes: Some((480, 1_440)),
        ..NewRole::default()
    };
    client.define_role("#general", &role).await.unwrap();
    let error = client.define_role("#general", &NewRole { allow: words(&["fly"]), ..role.clone() }).await.unwrap_err();
    assert!(error.message.contains("send, send_files, react"), "{error}");
    client.drop_role("#general", "HELPER").await.unwrap();
    let judge = |admit| Command::JoinJudge { channel: GENERAL, account: CAROL, admit };
    let spelled = NewRole {
        name: "helper".into(),
        inherits: words(&["reader"]),
        allow: words(&["delete_others", "pin"]),
        ..role
    };
    carried_out(
        &daemon,
        &[
            judge(true),
            judge(false),
            Command::RoleDefine { channel: GENERAL, role: spelled },
            Command::RoleDrop { channel: GENERAL, name: "helper".into() },
        ],
    );
}

#[tokio::test]
async fn invites_are_made_listed_and_revoked_and_joins_followed() {
    let daemon = Daemon::start();
    let client = daemon.client();
    assert_eq!(client.invite("#general", &terms()).await.unwrap(), into_channel());
    let listed = client.invites("#general").await.unwrap();
    assert_eq!((listed[0].code.as_deref(), listed[0].by), (None, BOB));
    client.revoke_invite("#general", " AABBCC ").await.unwrap();
    let begin = NewJoin { code: format!("«{INVITE}»"), name: Some(" al ".into()), yes: false };
    assert_eq!(client.join(&begin).await.unwrap(), join(7, JoinState::Looking));
    assert_eq!(client.joins().await.unwrap(), [join(7, JoinState::Preview)]);
    assert_eq!(client.join_state(7).await.unwrap().state, JoinState::Preview);
    assert_eq!(client.join_state(8).await.unwrap_err().code, Code::JoinUnknown);
    assert_eq!(client.confirm_join(7).await.unwrap().state, JoinState::Asking);
    client.cancel_join(7).await.unwrap();
    let wrong = client.join(&NewJoin { code: "kith1x".into(), ..begin.clone() }).await.unwrap_err();
    assert!(matches!(wrong.code, Code::CodeTypo | Code::CodeTruncated), "{wrong:?}");
    carried_out(
        &daemon,
        &[
            Command::ChannelInvite { channel: GENERAL, terms: NewChannelInvite { role: "member".into(), ..terms() } },
            Command::ChannelInviteRevoke { channel: GENERAL, invite: "aabbcc".into() },
            Command::Join { code_or_link: begin.code, name: Some("al".into()), yes: false },
            Command::JoinConfirm { join: 7 },
            Command::JoinCancel { join: 7 },
        ],
    );
}

#[tokio::test]
async fn what_is_said_goes_to_the_channel_by_its_name_or_by_an_id_that_is_no_contacts() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let first = client.send_text("#general", "hi").await.unwrap();
    assert_eq!(first.to, AccountId::from_bytes(*GENERAL.as_bytes()));
    let id = first.id.to_string();
    let reply = SendRequest {
        to: GENERAL.to_string()[..8].to_owned(),
        body: "answer".into(),
        expires_after_ms: Some(60_000),
        reply_to: Some(id[..6].to_owned()),
    };
    client.send(&reply).await.unwrap();
    client.edit_message(&id, "hello").await.unwrap();
    client.react(&id, " 👍 ", true).await.unwrap();
    client.pin(&id, false).await.unwrap();
    client.delete_message(&id, true).await.unwrap();
    client.mark_read("#general", Some(first.id)).await.unwrap();
    client.mark_read("@bob", None).await.unwrap();
    client.read(&ReadRequest { with: "#general".into(), ..ReadRequest::default() }).await.unwrap();
    assert_eq!(daemon.memory.state.lock().unwrap().queries[0].conversation, GENERAL.into());
    let target = first.id;
    let say = |saying| Command::ChannelSay { channel: GENERAL, saying, expires_after_ms: None };
    carried_out(
        &daemon,
        &[
            say(ChannelSaying::Text { body: "hi".into(), reply_to: None }),
            Command::ChannelSay {
                channel: GENERAL,
                saying: ChannelSaying::Text { body: "answer".into(), reply_to: Some(target) },
                expires_after_ms: Some(60_000),
            },
            say(ChannelSaying::Edit { target, body: "hello".into() }),
            say(ChannelSaying::React { target, emoji: "👍".into(), on: true }),
            say(ChannelSaying::Pin { target, on: false }),
            say(ChannelSaying::Delete { target }),
            Command::MarkRead { conversation: GENERAL.into(), up_to: Some(target) },
            Command::MarkRead { conversation: BOB.into(), up_to: None },
        ],
    );
}

#[tokio::test]
async fn what_is_of_channels_only_is_refused_to_people_and_elsewhere() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let private = daemon.memory.push("to bob").id.to_string();
    let elsewhere = daemon.memory.push_in(ChannelId::from_bytes([8; 32]), "there").id.to_string();
    assert_eq!(client.react(&private, "👍", true).await.unwrap_err().code, Code::Usage);
    assert_eq!(client.edit_message(&private, "x").await.unwrap_err().code, Code::Usage);
    assert_eq!(
        client.delete_message(&elsewhere, false).await.unwrap_err().hint,
        "--everyone asks all members to hide it"
    );
    let reply = |to: &str| SendRequest {
        to: to.into(),
        body: "x".into(),
        reply_to: Some(elsewhere.clone()),
        ..SendRequest::default()
    };
    assert_eq!(client.send(&reply("#general")).await.unwrap_err().code, Code::MessageUnknown);
    assert_eq!(client.send(&reply("@bob")).await.unwrap_err().code, Code::Usage);
    let error = client.send_text("general", "hi").await.unwrap_err();
    assert_eq!((error.code, error.hint.as_str()), (Code::ContactUnknown, "channels are named with a #: '#general'"));
    carried_out(&daemon, &[]);
}

#[tokio::test]
async fn an_id_of_a_contact_and_of_a_channel_is_ambiguous() {
    let daemon = Daemon::start();
    let twin = ChannelId::from_bytes({
        let mut bytes = *BOB.as_bytes();
        bytes[31] = 9;
        bytes
    });
    daemon.memory.state.lock().unwrap().channels.push(channel(twin, "twin"));
    let client = daemon.client();
    let error = client.send_text(&BOB.to_string()[..10], "hi").await.unwrap_err();
    assert_eq!((error.code, error.candidates), (Code::Ambiguous, vec![format!("{BOB} @bob"), format!("{twin} #twin")]));
    client.send_text(&BOB.to_string(), "hi").await.unwrap();
    assert_eq!(client.channel(&ME.to_string()).await.unwrap_err().code, Code::ChannelUnknown);
    carried_out(&daemon, &[Command::Send { to: BOB, body: "hi".into(), expires_after_ms: None }]);
}
