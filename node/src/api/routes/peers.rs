//! `/v1/peers`: machines of the network.

use super::Shared;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, list, one};
use crate::api::target::PREFIX_MIN;
use crate::api::types::{Done, ErrorBody, Items, Peer, PeerSelection, Ping, Versioned};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

/// Longest text taken for a peer id; real ones have about 52 characters.
const PEER_MAX: usize = 128;

/// How the id of every peer begins, and its length: an Ed25519 key in base58 (libp2p peer ids).
const WHOLE: (&str, usize) = ("12D3KooW", 52);

/// Tells whether a text has the form of a whole peer id.
fn is_whole(text: &str) -> bool {
    text.len() == WHOLE.1 && text.starts_with(WHOLE.0) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/peers", get(all::<B>))
        .route("/v1/peers/ping", post(ping::<B>))
        .route("/v1/peers/ban", post(ban::<B>))
        .route("/v1/peers/unban", post(unban::<B>))
}

/// Lists connected and banned peers.
#[utoipa::path(get, path = "/v1/peers",
    responses((status = 200, body = Items<Peer>), (status = "default", body = ErrorBody)))]
pub(super) async fn all<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<Peer> {
    list(shared.backend.peers().await?)
}

/// Measures the round trip to a peer.
#[utoipa::path(post, path = "/v1/peers/ping", request_body = PeerSelection,
    responses((status = 200, body = Versioned<Ping>), (status = "default", body = ErrorBody)))]
pub(super) async fn ping<B: Backend>(
    State(shared): State<Shared<B>>,
    Body(request): Body<PeerSelection>,
) -> Answer<Ping> {
    let peer = shared.peer(&request.peer).await?;
    one(shared.backend.ping(peer).await?)
}

/// Bans a peer: its connections are closed and none is made.
#[utoipa::path(post, path = "/v1/peers/ban", request_body = PeerSelection,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn ban<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<PeerSelection>,
) -> Answer<Done> {
    let peer = shared.peer_or_whole(&request.peer).await?;
    one(shared.backend.command(Command::PeerBan { peer }, key).await?.done()?)
}

/// Lifts a ban.
#[utoipa::path(post, path = "/v1/peers/unban", request_body = PeerSelection,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn unban<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<PeerSelection>,
) -> Answer<Done> {
    let peer = shared.peer_or_whole(&request.peer).await?;
    one(shared.backend.command(Command::PeerUnban { peer }, key).await?.done()?)
}

impl<B: Backend> Shared<B> {
    /// Finds the peer meant; a whole id also names one that is not there now.
    async fn peer_or_whole(&self, text: &str) -> Result<String, UserError> {
        match self.peer(text).await {
            Err(error) if error.code == Code::PeerUnknown && is_whole(text.trim()) => Ok(text.trim().to_owned()),
            found => found,
        }
    }

    /// Finds the peer meant by an id, a unique prefix, or (peer ids begin alike) a unique ending.
    async fn peer(&self, text: &str) -> Result<String, UserError> {
        let text = text.trim();
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(PREFIX_MIN..=PEER_MAX).contains(&text.len()) || !plain {
            return Err(UserError::new(Code::BadTarget, "not a peer id, nor at least six characters of one")
                .hint("kith peer list"));
        }
        let peers = self.backend.peers().await?;
        let mut found: Vec<String> = peers.into_iter().map(|p| p.peer).collect();
        found.retain(|peer| peer.starts_with(text) || peer.ends_with(text));
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(UserError::new(Code::PeerUnknown, format!("no peer known by {text}")).hint("kith peer list")),
            several => Err(UserError::new(Code::Ambiguous, format!("{} peers fit", several.len()))
                .hint("name one of the candidates")
                .candidates(several.iter().take(10).cloned().collect())),
        }
    }
}
