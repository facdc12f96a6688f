//! What the routes need of the daemon, so that they can be tested without one.

use super::error::UserError;
use super::types::{
    Channel, ChannelInvite, Check, ConfigView, Contact, Conversation, EventPage, Join, JoinRequestInfo, Me, Member,
    MemberWord, Message, NewInvite, OutboxItem, Peer, Ping, Relay, RelayCard, RelayInvite, RelayMember, RelayStats,
    RoleInfo, Status, Why,
};
use crate::app::command::{Command, Reply};
use kith_protocol::{ChannelId, MailboxId, MessageId, Timestamp};
use std::future::Future;

/// Which messages of a conversation to read. The newest that fit are returned, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageQuery {
    /// Which conversation.
    pub conversation: Conversation,
    /// Only messages before this one (not included).
    pub before: Option<MessageId>,
    /// Only messages stored at or after this.
    pub since: Option<Timestamp>,
    /// At most so many; the routes bound it.
    pub limit: usize,
}

/// Answers local clients. Queries read snapshots; commands pass through the app.
///
/// Implementers may write the methods as `async fn`.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Runs a command. The same key with the same command gives the same reply for 24 h, with another `conflict`.
    fn command(&self, command: Command, idempotency_key: Option<String>) -> impl Future<Output = Reply> + Send;
    /// Tells how the daemon is doing.
    fn status(&self) -> impl Future<Output = Result<Status, UserError>> + Send;
    /// Tells my code and link.
    fn me(&self) -> impl Future<Output = Result<Me, UserError>> + Send;
    /// Lists everybody known, requests and blocked included, sorted by name, then account.
    fn contacts(&self) -> impl Future<Output = Result<Vec<Contact>, UserError>> + Send;
    /// Lists those who were removed; what was written with them is still there.
    fn removed_contacts(&self) -> impl Future<Output = Result<Vec<Contact>, UserError>> + Send;
    /// Lists the channels, those that were left included, sorted by name.
    fn channels(&self) -> impl Future<Output = Result<Vec<Channel>, UserError>> + Send;
    /// Lists a channel's members; `channel_unknown` if there is no such channel, as all that follow.
    fn members(&self, channel: ChannelId) -> impl Future<Output = Result<Vec<Member>, UserError>> + Send;
    /// Lists a channel's roles.
    fn roles(&self, channel: ChannelId) -> impl Future<Output = Result<Vec<RoleInfo>, UserError>> + Send;
    /// Lists a channel's invites that still let somebody in.
    fn invites(&self, channel: ChannelId) -> impl Future<Output = Result<Vec<ChannelInvite>, UserError>> + Send;
    /// Lists who waits to be let into a channel.
    fn join_requests(&self, channel: ChannelId)
    -> impl Future<Output = Result<Vec<JoinRequestInfo>, UserError>> + Send;
    /// Lists the joins that are under way or ended lately.
    fn joins(&self) -> impl Future<Output = Result<Vec<Join>, UserError>> + Send;
    /// Reads a conversation.
    fn messages(&self, query: MessageQuery) -> impl Future<Output = Result<Vec<Message>, UserError>> + Send;
    /// Finds texts that contain all words of a query, in one conversation or in all: the newest that fit, oldest first.
    fn search(
        &self,
        query: String,
        conversation: Option<Conversation>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, UserError>> + Send;
    /// Reads one message; `message_unknown` if there is none.
    fn message(&self, id: MessageId) -> impl Future<Output = Result<Message, UserError>> + Send;
    /// Returns the ids that begin with a lower-case base32 prefix, at most 10.
    fn find_messages(&self, prefix: String) -> impl Future<Output = Result<Vec<MessageId>, UserError>> + Send;
    /// Tells a message's history; `message_unknown` if there is none.
    fn why(&self, id: MessageId) -> impl Future<Output = Result<Why, UserError>> + Send;
    /// Lists what is on its way, oldest first.
    fn outbox(&self) -> impl Future<Output = Result<Vec<OutboxItem>, UserError>> + Send;
    /// Returns the cursor of the newest event, 0 if there is none.
    fn newest_event(&self) -> impl Future<Output = Result<u64, UserError>> + Send;
    /// Returns events after a cursor, at most `limit`.
    fn events(&self, after: u64, limit: usize) -> impl Future<Output = Result<EventPage, UserError>> + Send;
    /// Returns when there may be events after a cursor, or the daemon stops; cancel-safe.
    fn wait_events(&self, after: u64) -> impl Future<Output = ()> + Send;
    /// Lists connected and banned peers.
    fn peers(&self) -> impl Future<Output = Result<Vec<Peer>, UserError>> + Send;
    /// Measures the round trip to a connected peer.
    fn ping(&self, peer: String) -> impl Future<Output = Result<Ping, UserError>> + Send;
    /// Lists the relays that hold my mail.
    fn relays(&self) -> impl Future<Output = Result<Vec<Relay>, UserError>> + Send;
    /// Shows the card of the relay that this node runs; `no_relay` if it runs none, as all that follow.
    fn relay_card(&self) -> impl Future<Output = Result<RelayCard, UserError>> + Send;
    /// Makes an invite to it.
    fn relay_invite(&self, invite: NewInvite) -> impl Future<Output = Result<RelayInvite, UserError>> + Send;
    /// Lists the invites that still admit.
    fn relay_invites(&self) -> impl Future<Output = Result<Vec<RelayInvite>, UserError>> + Send;
    /// Withdraws one by its name or the beginning of it.
    fn relay_revoke(&self, id: String) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Lists its mailboxes.
    fn relay_members(&self) -> impl Future<Output = Result<Vec<RelayMember>, UserError>> + Send;
    /// Says the operator's word on a mailbox.
    fn relay_judge(&self, mailbox: MailboxId, word: MemberWord) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Tells how it stands.
    fn relay_stats(&self) -> impl Future<Output = Result<RelayStats, UserError>> + Send;
    /// Tells counters as Prometheus text, those of a relay among them.
    fn metrics(&self) -> impl Future<Output = Result<String, UserError>> + Send;
    /// Tells the settings in effect.
    fn config(&self) -> impl Future<Output = Result<ConfigView, UserError>> + Send;
    /// Checks what only the daemon can see: clock, network, store, outbox.
    fn doctor(&self) -> impl Future<Output = Result<Vec<Check>, UserError>> + Send;
    /// Asks the daemon to stop; returns before it has.
    fn stop(&self) -> impl Future<Output = Result<(), UserError>> + Send;
}
