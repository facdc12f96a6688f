//! All tables, each with its number and its row types.

mod contact;
mod identity;
mod log;
mod message;
mod network;
mod outbox;
mod own;
mod setting;

pub use contact::{AccountDevices, Contact, ContactNumber, ContactState, Device, PeerDevice};
pub use identity::Identity;
pub use log::{Counters, Event, Idempotency};
pub use message::{ChainLink, Deliveries, Delivery, Message, MessageRef, Place, PlaceHead, Progress, Seen, StepTaken};
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
}

impl Table {
    /// Returns the number that stands for the table on disk.
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }
}
