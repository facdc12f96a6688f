//! All tables, each with its number and its row types.

mod contact;
mod identity;
mod log;
mod mailbox;
mod message;
mod network;
mod outbox;
mod own;
mod setting;

pub use contact::{AccountDevices, CodeReach, Contact, ContactNumber, ContactState, Device, PeerDevice};
pub use identity::Identity;
pub use log::{Counters, Event, Idempotency};
pub use mailbox::{
    EnvelopeRef, EnvelopeState, GrantRow, HeldEnvelope, InviteRow, KeptRow, Lapse, LapseWhat, MailboxNumber,
    MailboxRow, MailboxTags, PoolKey, PoolTaken, RelayTotals, TagRow,
};
pub use message::{
    ChainLink, Deliveries, Delivery, Dropped, Message, MessageRef, Place, PlaceHead, Progress, Seen, StepTaken,
};
pub use network::{HeldRecord, LearnedPeer};
pub use outbox::{Cargo, Due, DueWhat, Outbox, OutboxOf, OutboxState, ReceiptsOf};
pub use own::{FirstSeen, OneTimeRow, OwnCertificates, OwnEmptied, OwnIdentity, OwnPool, OwnProfile, SessionsRow};
pub use setting::Setting;

pub(crate) use crate::{Key, Row};

/// Names a table. Numbers are part of the stored form: never change or reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Table {
    /// The account and device of this profile, with their secrets.
    Identity = 1,
    /// Named settings.
    Setting = 2,
    /// Long-lived keys of the account and this device.
    OwnIdentity = 3,
    /// What others see of this profile.
    OwnProfile = 4,
    /// Own prekeys.
    OwnPool = 5,
    /// Own certificates of the days ahead.
    OwnCertificates = 6,
    /// Sessions, by device.
    Sessions = 7,
    /// One-time keys, by device.
    OneTime = 8,
    /// Sessions that first messages began.
    FirstSeen = 9,
    /// People.
    Contact = 10,
    /// People by number.
    ContactNumber = 11,
    /// Devices of people.
    Device = 12,
    /// Devices by account.
    AccountDevices = 13,
    /// Devices by transport name.
    PeerDevice = 14,
    /// Messages.
    Message = 15,
    /// Messages by id.
    MessageRef = 16,
    /// Messages by sender device and number.
    ChainLink = 17,
    /// Heads of conversations.
    PlaceHead = 18,
    /// What became of own messages.
    Deliveries = 19,
    /// Envelopes that were opened.
    Seen = 20,
    /// What is to leave.
    Outbox = 21,
    /// What is to leave, by account.
    OutboxOf = 22,
    /// The timetable.
    Due = 23,
    /// Events for local clients.
    Event = 24,
    /// Replies to repeated requests.
    Idempotency = 25,
    /// Numbers that only rise.
    Counters = 26,
    /// Records held for others.
    HeldRecord = 27,
    /// Transport peers met before.
    LearnedPeer = 28,
    /// Own records that empty slots under older reach secrets.
    OwnEmptied = 29,
    /// Receipts that wait, by device.
    ReceiptsOf = 30,
    /// Reach secrets of codes that contacts did not confirm.
    CodeReach = 31,
    /// Messages that were dropped with their request.
    Dropped = 32,
    /// Sums of a relay.
    RelayTotals = 33,
    /// Mailboxes of a relay.
    Mailbox = 34,
    /// Mailboxes by number.
    MailboxNumber = 35,
    /// Tags by mailbox.
    MailboxTags = 36,
    /// Mailboxes by tag.
    MailboxTag = 37,
    /// Envelopes that wait at a relay.
    HeldEnvelope = 38,
    /// Envelopes at a relay, by name.
    EnvelopeRef = 39,
    /// Grants that are in use or were ended.
    GrantUse = 40,
    /// One-time keys at a relay.
    PoolKey = 41,
    /// One-time keys that were taken at a relay.
    PoolTaken = 42,
    /// Descriptors at a relay.
    KeptDescriptor = 43,
    /// Invites of a relay.
    RelayInvite = 44,
    /// What lapses at a relay.
    Lapse = 45,
}

impl Table {
    /// Returns the number that stands for the table on disk.
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }
}

#[cfg(test)]
mod tests {
    //! Rows of forms that are no longer written are still read.

    use super::*;
    use crate::row;
    use kith_protocol::AccountId;
    use serde::{Deserialize, Serialize};

    /// Fields of a row's first form, in the place of its table.
    macro_rules! first_form {
        ($name:ident, $table:ident, $($field:ident: $kind:ty),*) => {
            #[derive(Serialize, Deserialize)]
            struct $name { $($field: $kind),* }

            impl Row for $name {
                const TABLE: Table = Table::$table;
                const VERSION: u8 = 1;

                fn key(&self) -> Key {
                    Key::new(b"old", &[])
                }
            }
        };
    }

    first_form!(OldFirstSeen, FirstSeen, session: [u8; 16], prekey: u32);
    first_form!(OldCounters, Counters, outbox: u64, contact: u64, event: u64, events: u64, first_seen: u64);

    #[test]
    fn r_store_8_a_first_message_remembered_in_the_first_form_has_no_account() {
        let old = row::encode(&OldFirstSeen { session: [7; 16], prekey: 70_000 }).unwrap();
        let read: FirstSeen = row::decode(&old).unwrap();
        assert_eq!((read.session, read.prekey, read.account), ([7; 16], 70_000, None));
        let account = Some(AccountId::from_bytes([9; 32]));
        let now: FirstSeen = row::decode(&row::encode(&FirstSeen { account, ..read }).unwrap()).unwrap();
        assert_eq!((now.session, now.prekey, now.account), ([7; 16], 70_000, account));
    }

    #[test]
    fn r_store_8_counters_of_the_first_form_keep_their_numbers() {
        let old = OldCounters { outbox: 1, contact: 300, event: 1 << 40, events: 5, first_seen: 65_536 };
        let read: Counters = row::decode(&row::encode(&old).unwrap()).unwrap();
        assert_eq!(read, Counters { outbox: 1, contact: 300, event: 1 << 40, events: 5 });
        assert_eq!(row::decode::<Counters>(&row::encode(&read).unwrap()).unwrap(), read);
    }
}
