//! Answers local clients: changes go to the app, questions are read from a snapshot.

use super::{DaemonOptions, RelayHandle, app_thread::Post};
use crate::{
    api::{
        Backend, MessageQuery,
        error::{Code, UserError},
        types::{
            Check, CheckState, ConfigView, Contact, DhtStatus, EventPage, Me, MemberWord, Message, NewInvite,
            OutboxItem, Peer, Ping, Relay, RelayCard, RelayInvite, RelayMember, RelayState, RelayStats, RelayStatus,
            Status, StorageState, TransportCounts, Why,
        },
    },
    app::{Command, Reply, came_in, query, storage_error},
    clock::Clock,
    config::Config,
    net::{NetHandle, PeerName, PeerStatus, Transport},
    relay::{InviteId, Operator, Told},
};
use kith_protocol::{MailboxId, MessageId, Timestamp, mailbox::RelayCard as RelayCardCode};
use kith_store::{
    Rows, Snapshot, Store,
    mailbox::{InviteInfo, Quota},
    table::OwnProfile,
};
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

    /// The card of the relay that this daemon runs, with the addresses under which others reach it; `token` admits.
    ///
    /// # Errors
    /// `no_relay` where none runs; what the store reports.
    pub async fn card(&self, token: Option<[u8; 16]>) -> Result<RelayCardCode, UserError> {
        let id = self.relay().ok_or_else(no_relay)?.id();
        let own: Option<OwnProfile> = self.read(|rows| rows.row(&OwnProfile::only())).await?;
        let addresses = own.into_iter().flat_map(|own| {
            let at = |address: &String| match address.contains("/p2p/") {
                true => address.clone(),
                false => format!("{address}/p2p/{}", own.peer),
            };
            own.addresses.iter().map(at).collect::<Vec<_>>()
        });
        Ok(RelayCardCode::new(id, token, addresses))
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
}

/// Mailboxes asked for at once.
const MEMBERS_PAGE: usize = 1_000;

impl Daemon {
    /// Asks the relay that this daemon runs.
    async fn operator(&self, ask: Operator) -> Result<Told, UserError> {
        let relay = self.relay().ok_or_else(no_relay)?;
        Ok(relay.ask(ask).await?)
    }
}

fn no_relay() -> UserError {
    UserError::new(Code::NoRelay, "this node runs no relay").hint("kith relay run")
}

fn misfit() -> UserError {
    UserError::internal("the relay answered something else than it was asked")
}

fn unknown_message(id: &MessageId) -> UserError {
    UserError::new(Code::MessageUnknown, format!("no message {id}")).hint("kith read @name shows ids with --json")
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
            channels: 0,
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
        let stats = self.operator(Operator::Stats).await?;
        let Told::Stats(stats) = stats else { return Err(misfit()) };
        let card = self.card(None).await?;
        Ok(RelayCard {
            card: card.code(),
            url: card.to_string(),
            relay: card.relay.to_string(),
            name: stats.name.clone(),
            open: stats.open,
        })
    }

    async fn relay_invite(&self, invite: NewInvite) -> Result<RelayInvite, UserError> {
        let expires = self.0.parts.clock.now().plus_millis(invite.expires_after_ms);
        let told = self.operator(Operator::Invite { uses: invite.uses, until: expires }).await?;
        let Told::Invited { token, id } = told else { return Err(misfit()) };
        let card = self.card(Some(token)).await?;
        Ok(RelayInvite {
            id: id.to_string(),
            card: Some(card.code()),
            url: Some(card.to_string()),
            uses: invite.uses,
            expires: expires.into(),
        })
    }

    async fn relay_invites(&self) -> Result<Vec<RelayInvite>, UserError> {
        let Told::Invites(invites) = self.operator(Operator::Invites).await? else { return Err(misfit()) };
        let shown = |invite: InviteInfo| RelayInvite {
            id: InviteId::of(&invite.token).to_string(),
            card: None,
            url: None,
            uses: invite.uses,
            expires: invite.until.into(),
        };
        Ok(invites.into_iter().map(shown).collect())
    }

    async fn relay_revoke(&self, id: String) -> Result<(), UserError> {
        self.operator(Operator::RevokeInvite { id }).await.map(drop)
    }

    async fn relay_members(&self) -> Result<Vec<RelayMember>, UserError> {
        let mut members: Vec<RelayMember> = Vec::new();
        let mut after = None;
        loop {
            let Told::Members(page) = self.operator(Operator::Members { after, limit: MEMBERS_PAGE }).await? else {
                return Err(misfit());
            };
            after = page.last().map(|member| member.id);
            let last = page.len() < MEMBERS_PAGE;
            members.extend(page.into_iter().map(|member| RelayMember {
                mailbox: member.id.to_string(),
                registered: member.registered,
                since: member.since.into(),
                envelopes: member.used.envelopes,
                bytes: member.used.bytes,
                envelopes_max: member.quota.map(|quota| quota.envelopes),
                bytes_max: member.quota.map(|quota| quota.bytes),
                allowed: member.allowed,
                blocked: member.blocked,
                prekeys: member.prekeys,
            }));
            if last || after.is_none() {
                return Ok(members);
            }
        }
    }

    async fn relay_judge(&self, mailbox: MailboxId, word: MemberWord) -> Result<(), UserError> {
        let own = word.quota.map(|quota| Some(Quota { envelopes: quota.envelopes, bytes: quota.bytes }));
        let quota = own.or_else(|| word.usual_quota.then_some(None));
        let judge = Operator::Judge { mailbox, allowed: word.allowed, blocked: word.blocked, quota };
        self.operator(judge).await.map(drop)
    }

    async fn relay_stats(&self) -> Result<RelayStats, UserError> {
        let Told::Stats(stats) = self.operator(Operator::Stats).await? else { return Err(misfit()) };
        Ok(RelayStats {
            name: stats.name.clone(),
            open: stats.open,
            mailboxes: stats.held.mailboxes,
            envelopes: stats.held.envelopes,
            bytes: stats.held.bytes,
            kept_bytes: stats.held.kept_bytes,
            owners: stats.owners,
            deposits: stats.counters.accepted,
            refused: stats.counters.refused_by_word().map(|(word, count)| (word.to_owned(), count)).collect(),
            collected: stats.counters.collected,
            swept: stats.counters.swept,
            storage_errors: stats.counters.storage_errors,
            storage_ok: stats.storage_ok,
            clock: stats.clock_doubt.map(|doubt| doubt.to_string()),
            uptime_s: stats.uptime_s,
        })
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
            let Told::Metrics(relay) = self.operator(Operator::Metrics).await? else { return Err(misfit()) };
            text.push_str(&relay);
        }
        Ok(text)
    }

    async fn config(&self) -> Result<ConfigView, UserError> {
        Config::view(&self.0.parts.options.paths.config)
    }

    async fn doctor(&self) -> Result<Vec<Check>, UserError> {
        let status = self.status().await?;
        let waiting = self.outbox().await?;
        let now = self.0.parts.clock.now();
        let clock = match self.0.parts.options.accept_clock {
            true => None,
            false => self.read(move |rows| query::clock_doubt(rows, now)).await?,
        };
        let unwell = status.relays.iter().filter(|relay| relay.state != RelayState::Ready).count();
        let mut checks = vec![
            check(
                "storage",
                status.storage == StorageState::Ok,
                "the store takes writes",
                "writing failed",
                "look at the disk",
            ),
            check(
                "clock",
                clock.is_none(),
                "fits what this profile has seen",
                clock.as_deref().unwrap_or_default(),
                "set the clock; if it is right: kith run --accept-clock",
            ),
            check(
                "listen",
                !status.listen.is_empty(),
                "the node listens",
                "the node listens nowhere",
                "kith config set network.listen, or run with --listen",
            ),
            note(
                "peers",
                status.peers > 0,
                &format!(
                    "{} connected ({} Noise, {} QUIC)",
                    status.peers, status.transports.noise, status.transports.quic
                ),
                "no way to reach the network yet",
                "use a contact's link, or --bootstrap, or add a relay",
            ),
            note(
                "descriptor",
                status.dht.published_to > 0,
                &format!("{} peers hold how you are reached", status.dht.published_to),
                "nobody holds how you are reached yet: contacts need your link",
                "kith me",
            ),
            note(
                "outbox",
                waiting.iter().all(|w| now.millis_since(w.queued_at.0) < 86_400_000),
                &format!("{} messages on their way", waiting.len()),
                "messages wait for more than a day",
                "kith outbox list",
            ),
            match status.relays.len() {
                0 => note("relays", false, "", "no relay holds your mail while you are off", "kith relay add CARD"),
                all => note(
                    "relays",
                    unwell == 0,
                    &format!("{all} hold your mail while you are off"),
                    &format!("{unwell} of {all} do not hold your mail now"),
                    "kith relay list",
                ),
            },
        ];
        if self.relay().is_some() {
            let stats = self.relay_stats().await?;
            checks.push(check(
                "relay",
                stats.storage_ok && stats.clock.is_none(),
                "the relay that runs here takes mail",
                stats.clock.as_deref().unwrap_or("the relay's disk reports errors: nothing is accepted meanwhile"),
                "kith relay stats",
            ));
        }
        Ok(checks)
    }

    async fn stop(&self) -> Result<(), UserError> {
        self.0.parts.stop.send_replace(true);
        Ok(())
    }
}

fn check(name: &str, good: bool, fine: &str, bad: &str, fix: &str) -> Check {
    let (state, detail, fix) = if good { (CheckState::Ok, fine, "") } else { (CheckState::Problem, bad, fix) };
    Check { name: name.into(), state, detail: detail.into(), fix: fix.into() }
}

fn note(name: &str, good: bool, fine: &str, bad: &str, fix: &str) -> Check {
    let (state, detail, fix) = if good { (CheckState::Ok, fine, "") } else { (CheckState::Note, bad, fix) };
    Check { name: name.into(), state, detail: detail.into(), fix: fix.into() }
}
