//! Decides: input → step → commit → effects. Must not know libp2p, tokio, the clock or redb.
//!
//! All state lies in rows; the app itself holds only the long-lived keys of this device, so a step can be thrown away
//! and a killed node goes on where its rows are.

mod asking;
mod channel;
pub mod channel_query;
mod channel_reach;
pub mod command;
mod contact;
mod create;
mod deposit;
mod effect;
mod events;
mod input;
mod kept;
mod keys;
mod mail;
mod me;
mod names;
mod outbox;
mod passes;
mod publish;
pub mod query;
mod receipts;
mod receive;
mod relays;
mod repair;
mod resolve;
mod run;
mod scan;
mod seal;
mod send;
mod tend;
mod work;

pub use command::{Command, Outcome, Reply};
pub use create::{Created, create_profile};
pub use effect::{Effects, Owed, RequestId};
pub use input::Input;
pub use mail::PageEnd;
pub use me::Me;
pub use run::{BATCH_BYTES_MAX, BATCH_MAX, Outlet, Refusal, Runner, Turn, release, storage_error};
pub(crate) use scan::Scan;
pub(crate) use send::came_in;
pub use work::{Halt, Rng, Work};

use crate::{
    api::{
        error::{Code, UserError},
        types,
    },
    net::{AskOutcome, NetEvent},
};
use asking::Question;
use channel::{JOIN_NUMBER, JOIN_QUERY};
use kith_protocol::{RelayId, Timestamp};
use kith_store::{
    Store,
    table::{Due, DueWhat, Idempotency},
};

/// The node's decisions.
pub struct App {
    me: Me,
    /// Takes the clock for right although it is far from what this profile has seen.
    accept_clock: bool,
    /// Tells contacts which of their messages were read.
    share_read: bool,
    /// When the clock leapt forward last.
    leapt_at: Option<Timestamp>,
    /// The relay that this node runs: never one for its own mail.
    own_relay: Option<RelayId>,
    /// The passes of devices, as they were read last.
    read_passes: passes::ReadPasses,
    /// Channels as they were last.
    rooms: channel::Rooms,
}

impl App {
    /// Loads the long-lived keys of a profile.
    ///
    /// # Errors
    /// `Corrupt` where the profile's rows are missing or make no sense.
    pub fn load(store: &Store) -> Result<Self, kith_store::Error> {
        let me = Me::load(&store.snapshot()?)?;
        Ok(Self {
            me,
            accept_clock: false,
            share_read: false,
            leapt_at: None,
            own_relay: None,
            read_passes: passes::ReadPasses::default(),
            rooms: channel::Rooms::default(),
        })
    }

    /// Takes the clock for right although it is far from what this profile has seen.
    #[must_use]
    pub fn accept_clock(mut self, accept: bool) -> Self {
        self.accept_clock = accept;
        self
    }

    /// Tells contacts which of their messages were read.
    #[must_use]
    pub fn share_read(mut self, share: bool) -> Self {
        self.share_read = share;
        self
    }

    /// Names the relay that this node runs, if it runs one.
    #[must_use]
    pub fn runs_relay(mut self, relay: Option<RelayId>) -> Self {
        self.own_relay = relay;
        self
    }

    /// The account and device this app acts for.
    pub fn me(&self) -> &Me {
        &self.me
    }

    /// Works out one input.
    pub(crate) fn handle(&self, w: &mut Work<'_>, input: Input) -> Result<(), Halt> {
        match input {
            Input::Start => self.start(w),
            Input::Tick => Ok(()),
            Input::Command { request, command, idempotency_key } => self.command(w, request, command, idempotency_key),
            Input::Net(event) => self.net(w, event),
            Input::Mail { relay, envelope } => self.mail(w, relay, &envelope),
            Input::PageRead(end) => self.page_read(w, &end),
        }
    }

    fn net(&self, w: &mut Work<'_>, event: NetEvent) -> Result<(), Halt> {
        match event {
            NetEvent::Inbound { token, from, frame } => self.inbound(w, token, from, &frame.envelope),
            NetEvent::DeliverDone { attempt, outcome } => self.attempt_done(w, attempt, outcome),
            NetEvent::Found { query, records, .. } if query & JOIN_QUERY != 0 => {
                self.join_found(w, query & JOIN_NUMBER, &records)
            }
            NetEvent::Found { query, records, asked } => self.found(w, query, &records, asked),
            NetEvent::PeerUp { peer } => {
                self.member_up(w, &peer.0)?;
                self.mailboxes_woken(w, &peer.0)?;
                self.peer_up(w, &peer.0)
            }
            NetEvent::Asked { ask, outcome } => self.asked(w, ask, outcome),
            NetEvent::Woken { from } => {
                self.mailboxes_woken(w, &from.0)?;
                self.woken(w, &from.0)
            }
            NetEvent::Addresses { peer, addresses } => self.addresses(w, &peer.0, addresses),
            NetEvent::PeerDown { peer } => self.relay_down(w, &peer.0),
            NetEvent::Gossip { topic, frame, .. } => self.gossip(w, topic, frame),
            NetEvent::MemberAsks { token, from, request } => self.member_asks(w, token, &from, &request),
            NetEvent::FrameLeft { topic, item } => self.frame_left(w, &topic, &item),
            NetEvent::Published { .. } => Ok(()),
        }
    }

    /// A question to a relay ended.
    fn asked(&self, w: &mut Work<'_>, ask: u64, outcome: AskOutcome) -> Result<(), Halt> {
        match Question::of(ask) {
            Some(Question::Own { relay, tag }) => self.own_answered(w, relay, tag, outcome),
            Some(Question::Acknowledge { relay }) => self.acknowledged(w, relay, outcome),
            Some(Question::Deposit { row, place }) => self.deposited(w, row, place, outcome),
            Some(Question::Audit { row, place }) => self.audited(w, row, place, outcome),
            Some(Question::Prove { row, place }) => self.proved(w, row, place, outcome),
            Some(Question::Prekey { row, place }) => self.key_came(w, row, place, outcome),
            Some(Question::Kept { contact, place }) => self.kept_found(w, contact, place, outcome),
            Some(question @ (Question::Join { .. } | Question::JoinOps { .. })) => {
                self.join_answered(w, question, outcome)
            }
            Some(Question::ChannelMailbox { mailbox, tag }) => self.mailbox_answered(w, mailbox, tag, outcome),
            Some(Question::ChannelDeposit { deposit, mailbox }) => self.item_left(w, mailbox, deposit, outcome),
            Some(question) => self.member_answered(w, question, outcome),
            None => Ok(()),
        }
    }

    /// Works off one item of the timetable.
    pub(crate) fn due(&self, w: &mut Work<'_>, due: Due) -> Result<(), Halt> {
        w.unschedule(due.at, due.what)?;
        match due.what {
            DueWhat::Outbox(id) => self.outbox_due(w, id),
            DueWhat::Resolve(number) => self.resolve_due(w, number),
            DueWhat::Housekeeping => self.housekeeping(w),
            DueWhat::Sweep => self.sweep(w),
            DueWhat::Vanish(id) => self.vanish(w, id),
            DueWhat::Forget(id) => self.forget_id(w, id),
            DueWhat::Relay(number) => self.relay_due(w, number),
            DueWhat::Channel(number) => self.channel_due(w, number),
            DueWhat::Join(number) => self.join_due(w, number),
            DueWhat::ChannelMailbox(number) => self.mailbox_due(w, number),
            DueWhat::ChannelTend(number) => self.channel_tend(w, number),
        }
    }

    /// Answers a client's request; the same key gives the same answer, and never two effects.
    fn command(&self, w: &mut Work<'_>, request: RequestId, command: Command, key: Option<String>) -> Result<(), Halt> {
        let Some(key) = key else {
            let outcome = self.carry_out(w, command)?;
            w.effects().replies.push((request, Ok(outcome)));
            return Ok(());
        };
        let hash = command.fingerprint();
        if let Some(known) = w.get::<Idempotency>(&Idempotency::key_of(&key))? {
            if known.request != hash {
                return Err(UserError::new(Code::Conflict, "this idempotency key was used for another request")
                    .hint("use a new key for a new request")
                    .into());
            }
            let outcome =
                serde_json::from_slice(&known.reply).map_err(|_| UserError::internal("a kept reply cannot be read"))?;
            w.effects().replies.push((request, Ok(outcome)));
            return Ok(());
        }
        let outcome = self.carry_out(w, command)?;
        let reply = serde_json::to_vec(&outcome).unwrap_or_default();
        w.put(&Idempotency { key, request: hash, reply, at: w.now })?;
        w.effects().replies.push((request, Ok(outcome)));
        Ok(())
    }

    fn carry_out(&self, w: &mut Work<'_>, command: Command) -> Result<Outcome, Halt> {
        match command {
            Command::Send { to, body, expires_after_ms } => self.send(w, to, body, expires_after_ms),
            Command::MarkRead { conversation, up_to } => self.mark_read(w, conversation, up_to),
            Command::ContactAdd { code_or_link, name } => self.contact_add(w, &code_or_link, name),
            Command::ContactAccept { account } => self.contact_accept(w, account),
            Command::ContactVerify { account, digits } => self.contact_verify(w, account, digits),
            Command::ContactRename { account, name } => self.contact_rename(w, account, &name),
            Command::ContactBlock { account } => self.contact_block(w, account, true),
            Command::ContactUnblock { account } => self.contact_block(w, account, false),
            Command::ContactRemove { account } => self.contact_remove(w, account),
            Command::SetName { name } => self.set_name(w, &name),
            Command::RotateReach => self.rotate_reach(w),
            Command::OutboxRetry { message } => self.outbox_retry(w, message).map(done),
            Command::OutboxCancel { message } => self.outbox_cancel(w, message).map(|()| done(true)),
            Command::RelayAdd { card } => self.relay_add(w, &card),
            Command::RelayRemove { relay } => self.relay_remove(w, &relay),
            Command::PeerBan { peer } => self.ban(w, peer, true),
            Command::PeerUnban { peer } => self.ban(w, peer, false),
            Command::SessionReset { account } => self.session_reset(w, account),
            of_channels => self.channel_command(w, of_channels),
        }
    }
}

/// The answer of a command that returns nothing else.
fn done(changed: bool) -> Outcome {
    Outcome::Done(types::Done { changed })
}
