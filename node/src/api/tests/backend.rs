//! A backend in memory, and a daemon made of it that can go away and come back.

use crate::api::types::*;
use crate::api::{Backend, Client, MessageQuery, Socket, serve};
use crate::app::command::{Command, Outcome, Reply};
use crate::{Code, UserError};
use kith_protocol::{AccountId, ChannelId, DeviceId, MailboxId, MessageId, RelayId, Timestamp};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(super) const ME: AccountId = AccountId::from_bytes([1; 32]);
pub(super) const BOB: AccountId = AccountId::from_bytes([2; 32]);
pub(super) const CAROL: AccountId = AccountId::from_bytes([4; 32]);
pub(super) const GENERAL: ChannelId = ChannelId::from_bytes([5; 32]);

/// Begins like 32 bytes of 7.
pub(super) const SIMILAR: [u8; 32] = {
    let mut bytes = [7; 32];
    bytes[31] = 9;
    bytes
};

#[derive(Clone)]
pub(super) struct Memory {
    pub(super) state: Arc<Mutex<State>>,
    grew: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) commands: Vec<(Command, Option<String>)>,
    pub(super) contacts: Vec<Contact>,
    pub(super) messages: Vec<Message>,
    pub(super) queries: Vec<MessageQuery>,
    pub(super) searches: Vec<(String, Option<Conversation>, usize)>,
    pub(super) channels: Vec<Channel>,
    pub(super) joins: Vec<Join>,
    replies: BTreeMap<String, (Command, Outcome)>,
    events: Vec<Event>,
    pub(super) stopped: bool,
    /// Whether it runs a relay, and what its operator asked for.
    pub(super) relay: bool,
    pub(super) operated: Vec<String>,
    /// Makes `status` panic.
    pub(super) broken: bool,
    /// Answers the next so many commands with `stopping`.
    pub(super) stopping: u32,
}

pub(super) fn contact(account: AccountId, name: &str, state: ContactState) -> Contact {
    Contact {
        account,
        name: name.into(),
        name_given: true,
        own_name: Some("Robert".into()),
        state,
        verified: false,
        identity_changed: false,
        added_at: Time(Timestamp::from_millis(1_000)),
        last_seen: None,
        devices: 1,
        unread: 0,
    }
}

pub(super) fn message(n: u8, body: &str) -> Message {
    Message {
        id: MessageId::from_bytes([n; 16]),
        conversation: BOB,
        from: ME,
        from_name: "alice".into(),
        to: BOB,
        outgoing: true,
        at: Time(Timestamp::from_millis(2_000)),
        stored_at: Time(Timestamp::from_millis(2_000)),
        kind: MessageKind::Text,
        body: body.into(),
        state: DeliveryState::Queued,
        delivered: 0,
        members: 1,
        error: None,
        reply_to: None,
        expires: None,
        files: Vec::new(),
        channel: false,
        edited: false,
        pinned: false,
        reactions: Vec::new(),
        missing: 0,
    }
}

pub(super) fn channel(id: ChannelId, name: &str) -> Channel {
    Channel {
        id,
        name: name.into(),
        topic: "what is new".into(),
        state: ChannelState::Joined,
        mode: ChannelMode::Open,
        members: 3,
        roles: vec!["owner".into()],
        permissions: vec!["send".into()],
        unread: 4,
        creator: ME,
        retention_days: 30,
        expires_after_ms: 0,
        state_hash: "00ff".into(),
        ops: 9,
        gate: ChannelGate::RekeyFirst,
        requests: 1,
        missing: 0,
        relays: Vec::new(),
        muted: false,
        removal: None,
    }
}

pub(super) fn in_channel(account: AccountId, name: &str) -> Member {
    let roles = vec!["member".into()];
    Member {
        account,
        name: name.into(),
        roles,
        creator: false,
        me: account == ME,
        devices: 1,
        muted: false,
        caught: Vec::new(),
    }
}

pub(super) fn into_channel() -> ChannelInvite {
    ChannelInvite {
        id: "aabbccdd".into(),
        code: Some("kith1invite".into()),
        url: Some("kith:kith1invite?a=x".into()),
        expires: Time(Timestamp::from_millis(4_000)),
        uses: 25,
        used: 2,
        role: "member".into(),
        approval: false,
        history: HistoryGrant::Days(30),
        by: ME,
    }
}

pub(super) fn join(id: u64, state: JoinState) -> Join {
    Join {
        id,
        state,
        channel: Some(GENERAL),
        name: Some("general".into()),
        inviter: Some("bob".into()),
        members: Some(3),
        role: Some("member".into()),
        history: Some(HistoryGrant::None),
        expires: Some(Time(Timestamp::from_millis(4_000))),
        error: None,
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        let state = State {
            contacts: vec![contact(BOB, "bob", ContactState::Connected)],
            channels: vec![channel(GENERAL, "general")],
            joins: vec![join(7, JoinState::Preview)],
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(state)), grew: watch::Sender::new(0) }
    }

    /// Stores a message and the event of it.
    pub(super) fn push(&self, body: &str) -> Message {
        let mut state = self.state.lock().unwrap();
        let made = message(u8::try_from(state.messages.len() + 1).unwrap(), body);
        state.messages.push(made.clone());
        let cursor = state.events.len() as u64 + 1;
        state.events.push(Event { kind: EventKind::Message(made.clone()), cursor });
        self.grew.send_replace(cursor);
        made
    }

    /// Stores a message of a channel.
    pub(super) fn push_in(&self, channel: ChannelId, body: &str) -> Message {
        let place = AccountId::from_bytes(*channel.as_bytes());
        let mut state = self.state.lock().unwrap();
        let made = message(u8::try_from(state.messages.len() + 1).unwrap(), body);
        let made = Message { conversation: place, to: place, channel: true, ..made };
        state.messages.push(made.clone());
        made
    }

    fn relay_runs(&self) -> Result<(), UserError> {
        let no_relay = || UserError::new(Code::NoRelay, "this node runs no relay");
        self.state.lock().unwrap().relay.then_some(()).ok_or_else(no_relay)
    }

    fn carry_out(&self, command: &Command) -> Outcome {
        match command {
            Command::Send { body, .. } => Outcome::Sent(SendReply::from(&self.push(body))),
            Command::ChannelSay { .. } => Outcome::Sent(SendReply::from(&self.push_in(GENERAL, "said"))),
            Command::ChannelCreate { .. } | Command::ChannelSet { .. } => Outcome::Channel(channel(GENERAL, "general")),
            Command::ChannelInvite { .. } => Outcome::Invite(into_channel()),
            Command::Join { .. } => Outcome::Join(join(7, JoinState::Looking)),
            Command::JoinConfirm { join: id } => Outcome::Join(join(*id, JoinState::Asking)),
            Command::ContactAdd { .. } => {
                let contact = self.state.lock().unwrap().contacts[0].clone();
                Outcome::Added(Added { contact, changed: true, renamed_from: None })
            }
            Command::ContactAccept { .. }
            | Command::ContactRename { .. }
            | Command::ContactBlock { .. }
            | Command::ContactUnblock { .. } => Outcome::Contact(self.state.lock().unwrap().contacts[0].clone()),
            Command::ContactVerify { account, digits } => Outcome::Verification(Verification {
                account: *account,
                name: "bob".into(),
                safety_number: "12345 67890".into(),
                verified: digits.is_some(),
            }),
            Command::RelayAdd { .. } => Outcome::Relay(RelayAdded { relay: relay("r"), changed: true }),
            Command::SetName { .. } | Command::RotateReach => Outcome::Me(me()),
            _ => Outcome::Done(Done { changed: true }),
        }
    }
}

pub(super) fn relay(id: &str) -> Relay {
    Relay {
        relay: id.into(),
        peer: "12D3KooWrelay".into(),
        name: "corner".into(),
        state: RelayState::Ready,
        detail: None,
        added_at: Time(Timestamp::from_millis(1_000)),
        last_answer: None,
        envelopes: 1,
        envelopes_max: 2,
        bytes: 3,
        bytes_max: 4,
        prekeys: 5,
        broken: 0,
    }
}

pub(super) fn member(n: u8) -> RelayMember {
    RelayMember {
        mailbox: MailboxId::from_bytes([n; 32]).to_string(),
        registered: true,
        since: Time(Timestamp::from_millis(1_000)),
        envelopes: 1,
        bytes: 2,
        envelopes_max: None,
        bytes_max: None,
        allowed: false,
        blocked: false,
        prekeys: 3,
    }
}

pub(super) fn stats() -> RelayStats {
    RelayStats {
        name: "corner".into(),
        open: true,
        mailboxes: 1,
        envelopes: 2,
        bytes: 3,
        kept_bytes: 4,
        owners: 5,
        deposits: 6,
        refused: [("full".to_owned(), 7)].into(),
        collected: 8,
        swept: 9,
        storage_errors: 10,
        storage_ok: true,
        clock: None,
        uptime_s: 11,
    }
}

pub(super) fn invite(id: &str) -> RelayInvite {
    let expires = Time(Timestamp::from_millis(4_000));
    RelayInvite { id: id.into(), card: None, url: None, uses: 2, expires }
}

pub(super) fn me() -> Me {
    Me {
        code: "kith1code".into(),
        url: "kith:kith1code?a=x".into(),
        account: ME,
        device: DeviceId::from_bytes([3; 32]),
        name: "alice".into(),
    }
}

impl Backend for Memory {
    async fn command(&self, command: Command, key: Option<String>) -> Reply {
        {
            let mut state = self.state.lock().unwrap();
            if state.stopping > 0 {
                state.stopping -= 1;
                return Err(UserError::new(Code::Stopping, "the daemon is stopping"));
            }
            state.commands.push((command.clone(), key.clone()));
            if let Some((before, outcome)) = key.as_ref().and_then(|k| state.replies.get(k)) {
                return match *before == command {
                    true => Ok(outcome.clone()),
                    false => Err(UserError::new(Code::Conflict, "the key was used with another request")),
                };
            }
        }
        let outcome = self.carry_out(&command);
        if let Some(key) = key {
            self.state.lock().unwrap().replies.insert(key, (command, outcome.clone()));
        }
        Ok(outcome)
    }

    async fn status(&self) -> Result<Status, UserError> {
        let state = self.state.lock().unwrap();
        let (broken, contacts) = (state.broken, state.contacts.len() as u64);
        drop(state);
        assert!(!broken, "asked to panic");
        Ok(Status {
            ready: true,
            account: ME,
            device: DeviceId::from_bytes([3; 32]),
            name: "alice".into(),
            peer: "12D3KooWalice".into(),
            listen: vec!["/ip4/127.0.0.1/tcp/1".into()],
            peers: 1,
            transports: TransportCounts { noise: 0, quic: 1 },
            dht: DhtStatus { mode: "client".into(), routing: 1, published_to: 1 },
            relays: Vec::new(),
            contacts,
            requests: 0,
            channels: 0,
            unread: 0,
            outbox: 0,
            locked: false,
            storage: StorageState::Ok,
            version: "0.1.0".into(),
            pid: 7,
            started_at: Time(Timestamp::from_millis(1_000)),
        })
    }

    async fn me(&self) -> Result<Me, UserError> {
        Ok(me())
    }

    async fn contacts(&self) -> Result<Vec<Contact>, UserError> {
        Ok(self.state.lock().unwrap().contacts.clone())
    }

    async fn removed_contacts(&self) -> Result<Vec<Contact>, UserError> {
        Ok(Vec::new())
    }

    async fn channels(&self) -> Result<Vec<Channel>, UserError> {
        Ok(self.state.lock().unwrap().channels.clone())
    }

    async fn members(&self, _: ChannelId) -> Result<Vec<Member>, UserError> {
        Ok(vec![in_channel(ME, "alice"), in_channel(BOB, "robert"), in_channel(CAROL, "carol")])
    }

    async fn roles(&self, _: ChannelId) -> Result<Vec<RoleInfo>, UserError> {
        let (inherits, allow, deny) = (vec!["reader".into()], vec!["send".into()], vec!["pin".into()]);
        Ok(vec![RoleInfo { name: "helper".into(), builtin: false, inherits, allow, deny }])
    }

    async fn invites(&self, _: ChannelId) -> Result<Vec<ChannelInvite>, UserError> {
        Ok(vec![ChannelInvite { code: None, url: None, by: BOB, ..into_channel() }])
    }

    async fn join_requests(&self, _: ChannelId) -> Result<Vec<JoinRequestInfo>, UserError> {
        let at = Time(Timestamp::from_millis(3_000));
        Ok(vec![JoinRequestInfo { account: CAROL, name: "carol".into(), role: "member".into(), at }])
    }

    async fn joins(&self) -> Result<Vec<Join>, UserError> {
        Ok(self.state.lock().unwrap().joins.clone())
    }

    async fn messages(&self, query: MessageQuery) -> Result<Vec<Message>, UserError> {
        let mut state = self.state.lock().unwrap();
        let skip = state.messages.len().saturating_sub(query.limit);
        let found = state.messages.iter().skip(skip).cloned().collect();
        state.queries.push(query);
        Ok(found)
    }

    async fn search(&self, query: String, with: Option<Conversation>, limit: usize) -> Result<Vec<Message>, UserError> {
        let mut state = self.state.lock().unwrap();
        state.searches.push((query.clone(), with, limit));
        Ok(state.messages.iter().filter(|m| m.body.contains(&query)).take(limit).cloned().collect())
    }

    async fn message(&self, id: MessageId) -> Result<Message, UserError> {
        let state = self.state.lock().unwrap();
        let found = state.messages.iter().find(|m| m.id == id).cloned();
        found.ok_or_else(|| UserError::new(Code::MessageUnknown, "no such message"))
    }

    async fn find_messages(&self, prefix: String) -> Result<Vec<MessageId>, UserError> {
        let state = self.state.lock().unwrap();
        Ok(state.messages.iter().map(|m| m.id).filter(|id| id.to_string().starts_with(&prefix)).collect())
    }

    async fn why(&self, id: MessageId) -> Result<Why, UserError> {
        self.message(id).await?;
        let at = Time(Timestamp::from_millis(3_000));
        let steps = vec![WhyStep { at, what: "queued".into(), place: "here".into() }];
        let recipient = WhyRecipient {
            account: BOB,
            name: "bob".into(),
            device: None,
            state: DeliveryState::Queued,
            steps,
            next_retry: Some(at),
            error: Some("keys not found yet".into()),
        };
        Ok(Why { id, recipients: vec![recipient] })
    }

    async fn outbox(&self) -> Result<Vec<OutboxItem>, UserError> {
        Ok(Vec::new())
    }

    async fn newest_event(&self) -> Result<u64, UserError> {
        Ok(self.state.lock().unwrap().events.len() as u64)
    }

    async fn events(&self, after: u64, limit: usize) -> Result<EventPage, UserError> {
        let state = self.state.lock().unwrap();
        let events: Vec<Event> = state.events.iter().filter(|e| e.cursor > after).take(limit).cloned().collect();
        let next = events.last().map_or(after, |e| e.cursor);
        Ok(EventPage { events, next })
    }

    async fn wait_events(&self, after: u64) {
        let _ = self.grew.subscribe().wait_for(|newest| *newest > after).await;
    }

    async fn peers(&self) -> Result<Vec<Peer>, UserError> {
        let peer = |name: &str| Peer {
            peer: name.into(),
            connected: true,
            transport: Some("quic".into()),
            address: None,
            rtt_ms: Some(0.5),
            score: 0,
            banned: false,
        };
        Ok(vec![peer("12D3KooWaaaaaa111111"), peer("12D3KooWaaaaaa222222")])
    }

    async fn ping(&self, peer: String) -> Result<Ping, UserError> {
        Ok(Ping { peer, rtt_ms: 0.5 })
    }

    async fn relays(&self) -> Result<Vec<Relay>, UserError> {
        Ok([[7; 32], SIMILAR, [8; 32]].map(|bytes| relay(&RelayId::from_bytes(bytes).to_string())).to_vec())
    }

    async fn relay_card(&self) -> Result<RelayCard, UserError> {
        self.relay_runs()?;
        let (card, url) = ("kith1card".into(), "kith:kith1card?a=x".into());
        Ok(RelayCard { card, url, relay: "r".into(), name: "corner".into(), open: false })
    }

    async fn relay_invite(&self, new: NewInvite) -> Result<RelayInvite, UserError> {
        self.relay_runs()?;
        let made = invite("00112233aa");
        Ok(RelayInvite { uses: new.uses, url: Some(format!("for {} ms", new.expires_after_ms)), ..made })
    }

    async fn relay_invites(&self) -> Result<Vec<RelayInvite>, UserError> {
        self.relay_runs()?;
        Ok(["00112233aa", "00112233bb", "ffeeddccbb"].map(invite).to_vec())
    }

    async fn relay_revoke(&self, id: String) -> Result<(), UserError> {
        self.relay_runs()?;
        self.state.lock().unwrap().operated.push(id);
        Ok(())
    }

    async fn relay_members(&self) -> Result<Vec<RelayMember>, UserError> {
        self.relay_runs()?;
        let known = RelayMember { mailbox: MailboxId::from_bytes(SIMILAR).to_string(), ..member(7) };
        Ok(vec![member(7), known, RelayMember { blocked: true, ..member(8) }])
    }

    async fn relay_judge(&self, mailbox: MailboxId, word: MemberWord) -> Result<(), UserError> {
        self.relay_runs()?;
        let said = MemberWord { mailbox: String::new(), ..word };
        self.state.lock().unwrap().operated.push(format!("{mailbox} {said:?}"));
        Ok(())
    }

    async fn relay_stats(&self) -> Result<RelayStats, UserError> {
        self.relay_runs()?;
        Ok(stats())
    }

    async fn metrics(&self) -> Result<String, UserError> {
        Ok("kith_peers 3\n".into())
    }

    async fn config(&self) -> Result<ConfigView, UserError> {
        Ok(ConfigView { path: "/config.toml".into(), items: Vec::new() })
    }

    async fn doctor(&self) -> Result<Vec<Check>, UserError> {
        let state = CheckState::Ok;
        Ok(vec![Check { name: "clock".into(), state, detail: "agrees".into(), fix: String::new() }])
    }

    async fn stop(&self) -> Result<(), UserError> {
        self.state.lock().unwrap().stopped = true;
        Ok(())
    }
}

/// A daemon in this process over a real socket.
pub(super) struct Daemon {
    pub(super) memory: Memory,
    path: PathBuf,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Daemon {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kith.sock");
        let (memory, stop) = (Memory::new(), watch::Sender::new(false));
        let task = Self::run(&path, &memory, &stop);
        Self { memory, path, stop, task, _dir: dir }
    }

    fn run(path: &std::path::Path, memory: &Memory, stop: &watch::Sender<bool>) -> JoinHandle<std::io::Result<()>> {
        tokio::spawn(serve(Socket::bind(path).unwrap(), memory.clone(), stop.subscribe()))
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.path).with_patience(Duration::from_secs(30))
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Stops it and waits until it is gone.
    pub(super) async fn stop(&mut self) {
        self.stop.send_replace(true);
        (&mut self.task).await.unwrap().unwrap();
    }

    /// Starts it again with what it had stored.
    pub(super) fn start_again(&mut self) {
        self.stop = watch::Sender::new(false);
        self.task = Self::run(&self.path, &self.memory, &self.stop);
    }
}
