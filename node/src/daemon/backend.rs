//! Answers local clients: changes go to the app, questions are read from a snapshot.

mod doctor;
mod operator;

use super::{DaemonOptions, RelayHandle, app_thread::Post};
use crate::{
    api::{
        Backend, MessageQuery,
        error::{Code, UserError},
        types::{
            Channel, ChannelInvite, ChannelState, Check, ConfigView, Contact, Conversation, DhtStatus, EventPage, Join,
            JoinRequestInfo, Me, Member, MemberWord, Message, NewInvite, OutboxItem, Peer, Ping, Relay, RelayCard,
            RelayInvite, RelayMember, RelayStats, RelayStatus, RoleInfo, Status, StorageState, TransportCounts, Why,
        },
    },
    app::{Command, Reply, came_in, channel_query, query, storage_error},
    clock::Clock,
    config::Config,
    net::{NetHandle, PeerName, PeerStatus, Transport},
};
use kith_protocol::{ChannelId, MailboxId, MessageId, Timestamp};
use kith_store::{Snapshot, Store};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// What a daemon's backend is made of.
pub(super) struct Parts {
    pub(super) inbox: mpsc::Sender<Post>,
    pub(super) store: Arc<Store>,
    pub(super) net: NetHandle,
    pub(super) events: watch::Receiver<u64>,
    pub(super) storage_ok: watch::Receiver<bool>,
    pub(super) options: DaemonOptions,
    pub(super) clock: Clock,
    pub(super) stop: watch::Sender<bool>,
    pub(super) relay: Option<RelayHandle>,
}

/// A running daemon, as its API sees it.
#[derive(Clone)]
pub struct Daemon(Arc<Inner>);

struct Inner {
    parts: Parts,
    started: Timestamp,
}

impl Daemon {
    pub(super) fn new(parts: Parts) -> Self {
        let started = parts.clock.now();
        Self(Arc::new(Inner { parts, started }))
    }

    pub(super) fn net(&self) -> &NetHandle {
        &self.0.parts.net
    }

    /// The relay that this daemon runs, if it does.
    pub fn relay(&self) -> Option<&RelayHandle> {
        self.0.parts.relay.as_ref()
    }

    /// Reads from a snapshot, away from the runtime's own threads.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, kith_store::Error> + Send + 'static,
    ) -> Result<T, UserError> {
        let store = Arc::clone(&self.0.parts.store);
        let read = tokio::task::spawn_blocking(move || store.snapshot().and_then(|rows| look(&rows)));
        read.await.map_err(|_| UserError::internal("a query died"))?.map_err(|e| storage_error(&e))
    }

    /// Reads of one channel what there is none of where there is no such channel.
    async fn read_channel<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<Option<T>, kith_store::Error> + Send + 'static,
    ) -> Result<T, UserError> {
        let unknown = || UserError::new(Code::ChannelUnknown, "no such channel").hint("kith channel list");
        self.read(look).await?.ok_or_else(unknown)
    }
}

fn unknown_message(id: &MessageId) -> UserError {
    UserError::new(Code::MessageUnknown, format!("no message {id}")).hint("kith read @NAME --json shows ids")
}

impl Backend for Daemon {
    async fn command(&self, command: Command, idempotency_key: Option<String>) -> Reply {
        let (reply, answer) = oneshot::channel();
        let post = Post::Request { command, idempotency_key, reply };
        let stopping = || UserError::new(Code::Stopping, "the daemon is stopping").hint("kith run");
        match self.0.parts.inbox.try_send(post) {
            Ok(()) => answer.await.map_err(|_| stopping())?,
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(UserError::new(Code::Busy, "too much is asked at once").hint("try again").retry_after(200))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(stopping()),
        }
    }

    async fn status(&self) -> Result<Status, UserError> {
        let net = self.net().status();
        let counts = self.read(|rows| query::overview(rows)).await?;
        let channels = self.channels().await?.iter().filter(|c| c.state == ChannelState::Joined).count() as u64;
        let relays = self.relays().await?;
        let relays = relays.into_iter().map(|relay| RelayStatus {
            peer: relay.peer,
            state: relay.state,
            name: relay.name,
            relay: relay.relay,
        });
        let relays = relays.collect();
        let storage_ok = *self.0.parts.storage_ok.borrow();
        let over = |t: Transport| {
            let n = net.peers.iter().filter(|p| p.transport == Some(t)).count();
            u32::try_from(n).unwrap_or(u32::MAX)
        };
        let (noise, quic) = (over(Transport::Noise), over(Transport::Quic));
        Ok(Status {
            ready: !net.listen.is_empty() && storage_ok,
            account: counts.account,
            device: counts.device,
            name: counts.name,
            peer: net.peer,
            listen: net.listen,
            peers: noise + quic,
            transports: TransportCounts { noise, quic },
            dht: DhtStatus {
                mode: if net.dht_server { "server" } else { "client" }.into(),
                routing: net.routing,
                published_to: net.published_to,
            },
            relays,
            contacts: counts.contacts,
            requests: counts.requests,
            channels,
            unread: counts.unread,
            outbox: counts.outbox,
            locked: false,
            storage: if storage_ok { StorageState::Ok } else { StorageState::Failed },
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started_at: self.0.started.into(),
        })
    }

    async fn me(&self) -> Result<Me, UserError> {
        self.read(|rows| query::me(rows)).await
    }

    async fn contacts(&self) -> Result<Vec<Contact>, UserError> {
        self.read(|rows| query::contacts(rows)).await
    }

    async fn removed_contacts(&self) -> Result<Vec<Contact>, UserError> {
        self.read(|rows| query::removed_contacts(rows)).await
    }

    async fn messages(&self, q: MessageQuery) -> Result<Vec<Message>, UserError> {
        self.read(move |rows| query::messages(rows, &q.conversation, q.before, q.since, q.limit)).await
    }

    async fn search(
        &self,
        query: String,
        conversation: Option<Conversation>,
        limit: usize,
    ) -> Result<Vec<Message>, UserError> {
        self.read(move |rows| query::search(rows, &query, conversation.as_ref(), limit)).await
    }

    async fn channels(&self) -> Result<Vec<Channel>, UserError> {
        let now = self.0.parts.clock.now();
        self.read(move |rows| channel_query::channels(rows, now)).await
    }

    async fn members(&self, channel: ChannelId) -> Result<Vec<Member>, UserError> {
        let now = self.0.parts.clock.now();
        self.read_channel(move |rows| channel_query::members(rows, &channel, now)).await
    }

    async fn roles(&self, channel: ChannelId) -> Result<Vec<RoleInfo>, UserError> {
        self.read_channel(move |rows| channel_query::roles(rows, &channel)).await
    }

    async fn invites(&self, channel: ChannelId) -> Result<Vec<ChannelInvite>, UserError> {
        let now = self.0.parts.clock.now();
        self.read_channel(move |rows| channel_query::channel_invites(rows, &channel, now)).await
    }

    async fn join_requests(&self, channel: ChannelId) -> Result<Vec<JoinRequestInfo>, UserError> {
        self.read_channel(move |rows| channel_query::join_requests(rows, &channel)).await
    }

    async fn joins(&self) -> Result<Vec<Join>, UserError> {
        self.read(|rows| channel_query::joins(rows)).await
    }

    async fn message(&self, id: MessageId) -> Result<Message, UserError> {
        self.read(move |rows| query::one_message(rows, &id)).await?.ok_or_else(|| unknown_message(&id))
    }

    async fn find_messages(&self, prefix: String) -> Result<Vec<MessageId>, UserError> {
        self.read(move |rows| query::find_messages(rows, &prefix, 10)).await
    }

    async fn why(&self, id: MessageId) -> Result<Why, UserError> {
        if let Some(why) = self.read(move |rows| query::why(rows, &id)).await? {
            return Ok(why);
        }
        self.message(id).await?;
        Err(came_in("kith why"))
    }

    async fn outbox(&self) -> Result<Vec<OutboxItem>, UserError> {
        self.read(|rows| query::outbox(rows)).await
    }

    async fn newest_event(&self) -> Result<u64, UserError> {
        self.read(|rows| query::newest_event(rows)).await
    }

    async fn events(&self, after: u64, limit: usize) -> Result<EventPage, UserError> {
        self.read(move |rows| query::events(rows, after, limit)).await
    }

    async fn wait_events(&self, after: u64) {
        let mut newest = self.0.parts.events.clone();
        let mut stop = self.0.parts.stop.subscribe();
        tokio::select! {
            _ = newest.wait_for(|newest| *newest > after) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn peers(&self) -> Result<Vec<Peer>, UserError> {
        let banned = self.read(|rows| query::banned(rows)).await?;
        // The picture of the network is renewed now and then; who the user banned is known at once.
        let mut known = self.net().status().peers;
        for peer in banned {
            match known.iter_mut().find(|p| p.peer.0 == peer) {
                Some(p) => p.banned = true,
                None => known.push(PeerStatus::banned(PeerName(peer))),
            }
        }
        let peers = known.into_iter().map(|p| Peer {
            peer: p.peer.0,
            connected: p.transport.is_some(),
            transport: p.transport.map(|t| if t == Transport::Noise { "noise" } else { "quic" }.to_owned()),
            address: p.address,
            rtt_ms: p.rtt_us.map(|us| us as f64 / 1000.0),
            score: p.score,
            banned: p.banned,
        });
        Ok(peers.collect())
    }

    async fn ping(&self, peer: String) -> Result<Ping, UserError> {
        let measured = self.net().ping(PeerName(peer.clone()), Vec::new()).await;
        let rtt = measured.map_err(|e| UserError::new(Code::Timeout, e.to_string()).hint("kith peer list"))?;
        Ok(Ping { peer, rtt_ms: rtt.as_secs_f64() * 1000.0 })
    }

    async fn relays(&self) -> Result<Vec<Relay>, UserError> {
        self.read(|rows| query::relays(rows)).await
    }

    async fn relay_card(&self) -> Result<RelayCard, UserError> {
        self.operator()?.card().await
    }

    async fn relay_invite(&self, invite: NewInvite) -> Result<RelayInvite, UserError> {
        self.operator()?.invite(invite).await
    }

    async fn relay_invites(&self) -> Result<Vec<RelayInvite>, UserError> {
        self.operator()?.invites().await
    }

    async fn relay_revoke(&self, id: String) -> Result<(), UserError> {
        self.operator()?.revoke(id).await
    }

    async fn relay_members(&self) -> Result<Vec<RelayMember>, UserError> {
        self.operator()?.members().await
    }

    async fn relay_judge(&self, mailbox: MailboxId, word: MemberWord) -> Result<(), UserError> {
        self.operator()?.judge(mailbox, word).await
    }

    async fn relay_stats(&self) -> Result<RelayStats, UserError> {
        self.operator()?.stats().await
    }

    async fn metrics(&self) -> Result<String, UserError> {
        let status = self.status().await?;
        let mut text = String::new();
        let gauges = [
            ("kith_peers", "Connected peers.", u64::from(status.peers)),
            ("kith_outbox_messages", "Messages on their way.", status.outbox),
            ("kith_unread_messages", "Messages not read yet.", status.unread),
            ("kith_contacts", "Contacts.", status.contacts),
            ("kith_storage_ok", "Whether the store takes writes.", u64::from(status.storage == StorageState::Ok)),
        ];
        for (name, about, value) in gauges {
            text.push_str(&format!("# HELP {name} {about}\n# TYPE {name} gauge\n{name} {value}\n"));
        }
        if self.relay().is_some() {
            text.push_str(&self.operator()?.metrics().await?);
        }
        Ok(text)
    }

    async fn config(&self) -> Result<ConfigView, UserError> {
        Config::view(&self.0.parts.options.paths.config)
    }

    async fn doctor(&self) -> Result<Vec<Check>, UserError> {
        self.checks().await
    }

    async fn stop(&self) -> Result<(), UserError> {
        self.0.parts.stop.send_replace(true);
        Ok(())
    }
}
