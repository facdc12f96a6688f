//! What carries a message between nodes that are never on together: the anonymous envelope, and everything a relay, the
//! owner of a mailbox and those who leave mail in it tell each other. Must not know sessions or contents.

mod answer;
mod ask;
mod card;
mod custody;
pub mod envelope;
mod grant;
mod kept;
mod owner;
mod pass;
mod refusal;
mod rendezvous;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Audited, Item, Page, Registered, Welcome, WelcomeError};
pub use ask::{Ask, AskError, DepositAsk, Hello, Nonce, OwnerAsk, Revoked, SignedAsk};
pub use card::RelayCard;
pub use custody::{Custody, CustodyError};
pub use envelope::{EnvelopeBody, RoutingHeader};
pub use grant::{Class, Grant, GrantError, Terms};
pub use kept::{KeptSlot, seal_kept};
pub use owner::{MailboxKey, TagSecret};
pub use pass::{Pass, passes};
pub use refusal::{Reason, Refusal};
pub use rendezvous::order_relays;
