//! The typed client: what the CLI, bots and tests use to talk to a running daemon.
//! Must not know how the daemon does it, nor how answers are shown.

mod channels;
mod connection;
mod events;

pub use events::Events;

use super::error::{Code, UserError};
use super::types::{
    AddContact, AddRelay, Added, Check, ConfigView, Contact, ContactState, Done, Items, MarkRead, Me, MemberWord,
    Message, NewInvite, OutboxItem, OutboxSelection, Peer, PeerSelection, Ping, Relay, RelayAdded, RelayCard,
    RelayInvite, RelayMember, RelayStats, RenameContact, SendReply, SendRequest, SetName, Status, Time, Verification,
    VerifyContact, Versioned, Why,
};
use crate::clock;
use connection::{Failure, Request};
use kith_protocol::MessageId;
use rand_core::Rng as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a mutation is repeated after the daemon went away in the middle of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(150);

/// Talks to the daemon of one profile. Cheap to clone; every request is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

/// Which messages to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadRequest {
    /// Which conversation: `@name`, `#name`, an id, or a prefix.
    pub with: String,
    /// Only messages before this one.
    pub before: Option<MessageId>,
    /// Only messages stored at or after this time.
    pub since: Option<Time>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Client {
    /// Makes a client for a socket; nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: PATIENCE }
    }

    /// Sets how long mutations and event streams wait for a daemon that went away in the middle.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Tells how the daemon is doing.
    ///
    /// # Errors
    /// `daemon_unreachable` if none answers. All methods of this type answer with the daemon's own errors besides.
    pub async fn status(&self) -> Result<Status, UserError> {
        self.get("/v1/status").await
    }

    /// Asks the daemon to stop; it may still be stopping when this returns.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn stop(&self) -> Result<Done, UserError> {
        self.once(Request::post("/v1/stop", &Empty {})?).await
    }

    /// Asks for the checks that only the daemon can make.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn doctor(&self) -> Result<Vec<Check>, UserError> {
        self.list("/v1/doctor").await
    }

    /// Tells the settings in effect.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn config(&self) -> Result<ConfigView, UserError> {
        self.get("/v1/config").await
    }

    /// Tells my code and link.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn me(&self) -> Result<Me, UserError> {
        self.get("/v1/me").await
    }

    /// Changes the name that contacts see.
    ///
    /// # Errors
    /// See [`Client::status`]; `bad_name`.
    pub async fn set_name(&self, name: &str) -> Result<Me, UserError> {
        self.post("/v1/me/name", &SetName { name: name.into() }).await
    }

    /// Makes a new reach secret.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn rotate(&self) -> Result<Me, UserError> {
        self.post("/v1/me/rotate", &Empty {}).await
    }

    /// Lists contacts: those in one state, or all but requests.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn contacts(&self, state: Option<ContactState>) -> Result<Vec<Contact>, UserError> {
        let mut path = "/v1/contacts".to_owned();
        if let Some(state) = state {
            let state = serde_json::to_value(state).ok().and_then(|v| v.as_str().map(str::to_owned));
            path = format!("{path}?state={}", state.unwrap_or_default());
        }
        self.list(&path).await
    }

    /// Shows one contact.
    ///
    /// # Errors
    /// See [`Client::status`]; `contact_unknown`, `ambiguous`.
    pub async fn contact(&self, who: &str) -> Result<Contact, UserError> {
        self.get(&contact_path(who, "")).await
    }

    /// Adds a contact by code or link; known already is no error.
    ///
    /// # Errors
    /// See [`Client::status`]; `code_…`.
    pub async fn add_contact(&self, code: &str, name: Option<&str>) -> Result<Added, UserError> {
        self.post("/v1/contacts", &AddContact { code: code.into(), name: name.map(Into::into) }).await
    }

    /// Accepts a stranger's request.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn accept_contact(&self, who: &str) -> Result<Contact, UserError> {
        self.post(&contact_path(who, "/accept"), &Empty {}).await
    }

    /// Shows the safety number, or compares digits with it.
    ///
    /// # Errors
    /// See [`Client::contact`]; `unverified` if the digits differ.
    pub async fn verify_contact(&self, who: &str, digits: Option<&str>) -> Result<Verification, UserError> {
        self.post(&contact_path(who, "/verify"), &VerifyContact { digits: digits.map(Into::into) }).await
    }

    /// Gives a contact another name here.
    ///
    /// # Errors
    /// See [`Client::contact`]; `bad_name`.
    pub async fn rename_contact(&self, who: &str, name: &str) -> Result<Contact, UserError> {
        self.post(&contact_path(who, "/rename"), &RenameContact { name: name.into() }).await
    }

    /// Blocks a contact.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn block_contact(&self, who: &str) -> Result<Contact, UserError> {
        self.post(&contact_path(who, "/block"), &Empty {}).await
    }

    /// Unblocks a contact.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn unblock_contact(&self, who: &str) -> Result<Contact, UserError> {
        self.post(&contact_path(who, "/unblock"), &Empty {}).await
    }

    /// Removes a contact; messages stay. Removed already is no error.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn remove_contact(&self, who: &str) -> Result<Done, UserError> {
        self.mutate(Request::delete(&contact_path(who, "")), &idempotency_key()?).await
    }

    /// Drops the sessions with a contact.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn reset_session(&self, who: &str) -> Result<Done, UserError> {
        self.post(&contact_path(who, "/session/reset"), &Empty {}).await
    }

    /// Queues a message. If the daemon goes away before it answers, the same request is repeated under the same key
    /// until it is back, so that the message is sent once.
    ///
    /// # Errors
    /// See [`Client::contact`]; `empty_message`, `message_too_long`; `timeout` if the daemon did not come back.
    pub async fn send(&self, request: &SendRequest) -> Result<SendReply, UserError> {
        self.send_with_key(request, &idempotency_key()?).await
    }

    /// Queues a message under the caller's own idempotency key.
    ///
    /// # Errors
    /// See [`Client::send`]; `conflict` if the key was used with another message.
    pub async fn send_with_key(&self, request: &SendRequest, key: &str) -> Result<SendReply, UserError> {
        self.mutate(Request::post("/v1/messages", request)?, key).await
    }

    /// Queues a text for somebody or a channel: the short form of [`Client::send`].
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn send_text(&self, to: &str, body: &str) -> Result<SendReply, UserError> {
        self.send(&SendRequest { to: to.into(), body: body.into(), ..SendRequest::default() }).await
    }

    /// Reads a conversation, oldest first.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn read(&self, request: &ReadRequest) -> Result<Vec<Message>, UserError> {
        let mut path = format!("/v1/messages?with={}", connection::escape(&request.with));
        if let Some(before) = request.before {
            path.push_str(&format!("&before={before}"));
        }
        if let Some(since) = request.since {
            path.push_str(&format!("&since={since}"));
        }
        if let Some(limit) = request.limit {
            path.push_str(&format!("&limit={limit}"));
        }
        self.list(&path).await
    }

    /// Finds texts that contain all words of a query, oldest first.
    ///
    /// # Errors
    /// See [`Client::contact`]; `usage` for a query without words.
    pub async fn search(
        &self,
        query: &str,
        with: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<Message>, UserError> {
        let mut path = format!("/v1/messages/search?query={}", connection::escape(query));
        if let Some(with) = with {
            path.push_str(&format!("&with={}", connection::escape(with)));
        }
        if let Some(limit) = limit {
            path.push_str(&format!("&limit={limit}"));
        }
        self.list(&path).await
    }

    /// Marks messages as read, up to one or all.
    ///
    /// # Errors
    /// See [`Client::contact`].
    pub async fn mark_read(&self, with: &str, up_to: Option<MessageId>) -> Result<Done, UserError> {
        self.post("/v1/messages/read", &MarkRead { conversation: with.into(), up_to }).await
    }

    /// Reads one message by its id or a unique prefix.
    ///
    /// # Errors
    /// See [`Client::status`]; `message_unknown`, `ambiguous`.
    pub async fn message(&self, id: &str) -> Result<Message, UserError> {
        self.get(&format!("/v1/messages/{}", connection::escape(id))).await
    }

    /// Tells how far a message got, step by step.
    ///
    /// # Errors
    /// See [`Client::message`].
    pub async fn why(&self, id: &str) -> Result<Why, UserError> {
        self.get(&format!("/v1/messages/{}/why", connection::escape(id))).await
    }

    /// Lists what is on its way.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn outbox(&self) -> Result<Vec<OutboxItem>, UserError> {
        self.list("/v1/outbox").await
    }

    /// Tries one message, or all, now.
    ///
    /// # Errors
    /// See [`Client::message`].
    pub async fn retry(&self, message: Option<&str>) -> Result<Done, UserError> {
        self.post("/v1/outbox/retry", &OutboxSelection { message: message.map(Into::into) }).await
    }

    /// Gives a message up.
    ///
    /// # Errors
    /// See [`Client::message`].
    pub async fn cancel(&self, message: &str) -> Result<Done, UserError> {
        self.post("/v1/outbox/cancel", &OutboxSelection { message: Some(message.into()) }).await
    }

    /// Lists connected and banned peers.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn peers(&self) -> Result<Vec<Peer>, UserError> {
        self.list("/v1/peers").await
    }

    /// Measures the round trip to a peer.
    ///
    /// # Errors
    /// See [`Client::status`]; `peer_unknown`, `timeout`.
    pub async fn ping(&self, peer: &str) -> Result<Ping, UserError> {
        self.once(Request::post("/v1/peers/ping", &PeerSelection { peer: peer.into() })?).await
    }

    /// Bans a peer.
    ///
    /// # Errors
    /// See [`Client::ping`].
    pub async fn ban(&self, peer: &str) -> Result<Done, UserError> {
        self.post("/v1/peers/ban", &PeerSelection { peer: peer.into() }).await
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// See [`Client::ping`].
    pub async fn unban(&self, peer: &str) -> Result<Done, UserError> {
        self.post("/v1/peers/unban", &PeerSelection { peer: peer.into() }).await
    }

    /// Lists the relays that hold my mail.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn relays(&self) -> Result<Vec<Relay>, UserError> {
        self.list("/v1/relays").await
    }

    /// Lets a relay hold my mail, by its card or link.
    ///
    /// # Errors
    /// See [`Client::status`]; the codes of what is wrong with a card, `relay_own`.
    pub async fn add_relay(&self, card: &str) -> Result<RelayAdded, UserError> {
        self.post("/v1/relays", &AddRelay { card: card.into() }).await
    }

    /// Lets a relay go.
    ///
    /// # Errors
    /// See [`Client::status`]; `relay_unknown`, `ambiguous`.
    pub async fn remove_relay(&self, relay: &str) -> Result<Done, UserError> {
        let path = format!("/v1/relays/{}", connection::escape(relay));
        self.mutate(Request::delete(&path), &idempotency_key()?).await
    }

    /// Shows the card of the relay that the daemon runs.
    ///
    /// # Errors
    /// See [`Client::status`]; `no_relay`.
    pub async fn relay_card(&self) -> Result<RelayCard, UserError> {
        self.get("/v1/relay").await
    }

    /// Makes an invite to it.
    ///
    /// # Errors
    /// See [`Client::relay_card`].
    pub async fn relay_invite(&self, invite: &NewInvite) -> Result<RelayInvite, UserError> {
        self.once(Request::post("/v1/relay/invites", invite)?).await
    }

    /// Lists the invites that still admit.
    ///
    /// # Errors
    /// See [`Client::relay_card`].
    pub async fn relay_invites(&self) -> Result<Vec<RelayInvite>, UserError> {
        self.list("/v1/relay/invites").await
    }

    /// Withdraws an invite.
    ///
    /// # Errors
    /// See [`Client::relay_card`]; `not_found`, `ambiguous`.
    pub async fn relay_revoke(&self, id: &str) -> Result<Done, UserError> {
        self.once(Request::delete(&format!("/v1/relay/invites/{}", connection::escape(id)))).await
    }

    /// Lists its mailboxes.
    ///
    /// # Errors
    /// See [`Client::relay_card`].
    pub async fn relay_members(&self) -> Result<Vec<RelayMember>, UserError> {
        self.list("/v1/relay/members").await
    }

    /// Says the operator's word on a mailbox.
    ///
    /// # Errors
    /// See [`Client::relay_card`]; `not_found`, `ambiguous`.
    pub async fn relay_judge(&self, word: &MemberWord) -> Result<Done, UserError> {
        self.once(Request::post("/v1/relay/members", word)?).await
    }

    /// Tells how it stands.
    ///
    /// # Errors
    /// See [`Client::relay_card`].
    pub async fn relay_stats(&self) -> Result<RelayStats, UserError> {
        self.get("/v1/relay/stats").await
    }

    /// Tells counters as Prometheus text.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn metrics(&self) -> Result<String, UserError> {
        let request = Request::get("/v1/metrics");
        let bytes = connection::call(&self.socket, &request, None).await.map_err(Failure::into_error)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Follows events: those after a cursor, or only what happens from now on. Returns when the daemon listens.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn events(&self, after: Option<u64>) -> Result<Events, UserError> {
        Events::open(self.clone(), after).await
    }

    /// Asks for one object.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, UserError> {
        self.once(Request::get(path)).await
    }

    /// Asks for a list.
    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, UserError> {
        let bytes = connection::call(&self.socket, &Request::get(path), None).await.map_err(Failure::into_error)?;
        parse::<Items<T>>(&bytes).map(|items| items.items)
    }

    /// Asks once for one object.
    async fn once<T: DeserializeOwned>(&self, request: Request) -> Result<T, UserError> {
        let bytes = connection::call(&self.socket, &request, None).await.map_err(Failure::into_error)?;
        parse::<Versioned<T>>(&bytes).map(|v| v.body)
    }

    /// Changes something under a fresh idempotency key.
    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, UserError> {
        self.mutate(Request::post(path, body)?, &idempotency_key()?).await
    }

    /// Changes something, repeating it under the same key if the daemon goes away in the middle.
    async fn mutate<T: DeserializeOwned>(&self, request: Request, key: &str) -> Result<T, UserError> {
        let first = match connection::call(&self.socket, &request, Some(key)).await {
            Ok(bytes) => return parse::<Versioned<T>>(&bytes).map(|v| v.body),
            // Never reached it: nothing is unclear, and waiting would hide that it is not running.
            Err(Failure::Unreachable(error) | Failure::Answered(error)) if error.code != Code::Stopping => {
                return Err(error);
            }
            Err(failure) => failure.into_error(),
        };
        let again = async {
            loop {
                tokio::time::sleep(PAUSE).await;
                match connection::call(&self.socket, &request, Some(key)).await {
                    Ok(bytes) => return parse::<Versioned<T>>(&bytes).map(|v| v.body),
                    Err(Failure::Answered(error)) if error.code != Code::Stopping => return Err(error),
                    Err(_) => {}
                }
            }
        };
        match tokio::time::timeout(self.patience, again).await {
            Ok(answer) => answer,
            Err(_) => Err(UserError::new(
                Code::Timeout,
                format!("the daemon went away and did not come back: {}", first.message),
            )
            .hint("start it with `kith run`; whether the request was carried out, `kith read` and `kith outbox list` tell")),
        }
    }
}

/// An empty object.
#[derive(Serialize)]
struct Empty {}

/// Makes the path of a contact.
fn contact_path(who: &str, rest: &str) -> String {
    format!("/v1/contacts/{}{rest}", connection::escape(who))
}

/// Makes a fresh idempotency key.
fn idempotency_key() -> Result<String, UserError> {
    let mut bytes = [0; 16];
    clock::system_rng().map_err(|e| UserError::internal(e.to_string()))?.fill_bytes(&mut bytes);
    Ok(MessageId::from_bytes(bytes).to_string())
}

/// Reads an answer.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UserError> {
    serde_json::from_slice(bytes).map_err(|e| {
        UserError::new(Code::Internal, format!("the daemon's answer does not fit: {e}"))
            .hint("client and daemon may be of different versions: kith version, kith status")
    })
}
