//! What carries a message between nodes: the anonymous envelope, and the names of mailboxes and grants.
//! Must not know sessions or contents.

pub mod envelope;
mod grant;
mod padding;

pub use envelope::{EnvelopeBody, RoutingHeader};
pub use grant::{Class, Grant, MailboxAddress};
