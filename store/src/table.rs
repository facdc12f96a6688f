//! All tables, each with its number and its row types.

mod channel;
mod contact;
mod identity;
mod log;
mod mailbox;
mod message;
mod network;
mod outbox;
mod own;
mod relay;
mod setting;

pub use channel::{
    ChannelBlobItem, ChannelCard, ChannelCaught, ChannelChain, ChannelDeposit, ChannelEpoch, ChannelHead,
    ChannelInviteRow, ChannelItem, ChannelItemBytes, ChannelLater, ChannelLeaf, ChannelLineage, ChannelMailbox,
    ChannelMarks, ChannelOp, ChannelRow, ChannelSaid, ChannelSeed, ChannelSeen, ChannelSent, ChannelTend, ChannelTree,
    ChannelUnread, JoinRow, JoinStage, JoinWaits, Leaving, Mark, Membership, Past, Reach, Sending, TopicRow,
};
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
pub use outbox::{Cargo, Deposited, Due, DueWhat, Left, Outbox, OutboxOf, OutboxState, ReceiptsOf};
pub use own::{FirstSeen, OneTimeRow, OwnCertificates, OwnEmptied, OwnIdentity, OwnPool, OwnProfile, SessionsRow};
pub use relay::{
    EndedGrant, GivenGrant, Granted, KnownRelay, OwnRecord, OwnRelay, OwnRelayPool, PassesOf, RelayQuestion,
    RelayStanding, Told,
};
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
    /// Relays that are asked.
    KnownRelay = 46,
    /// Relays that hold our mail.
    OwnRelay = 47,
    /// Private halves of one-time keys at relays.
    OwnRelayPool = 48,
    /// Grants given, by device.
    Granted = 49,
    /// Passes held, by device.
    PassesOf = 50,
    /// The newest descriptor, for relays to keep.
    OwnRecord = 51,
    /// Channels.
    Channel = 52,
    /// Operations of channels, in the order in which they came.
    ChannelOp = 53,
    /// Keys of epochs.
    ChannelEpoch = 54,
    /// Secrets of lineages.
    ChannelLineage = 55,
    /// Channels by topic.
    ChannelTopic = 56,
    /// What is left of the trees of senders' chains.
    ChannelTree = 57,
    /// Senders' chains.
    ChannelChain = 58,
    /// Names of frames and parcels.
    ChannelItem = 59,
    /// Messages with what proves them.
    ChannelSaid = 60,
    /// Cards of members' devices.
    ChannelCard = 61,
    /// Own leaf keys.
    ChannelLeaf = 62,
    /// Items of rekey blobs.
    ChannelBlob = 63,
    /// Own invites.
    ChannelInvite = 64,
    /// Joins.
    Join = 65,
    /// People who wait for approval.
    JoinWaits = 66,
    /// How far each device's messages were seen.
    ChannelHead = 67,
    /// Reactions to messages, and pins.
    ChannelMarks = 68,
    /// Bytes of frames and parcels.
    ChannelItemBytes = 69,
    /// Items that wait for operations or keys.
    ChannelUnread = 70,
    /// What members of channels were caught at, and what proves it.
    ChannelCaught = 71,
    /// The last messages of each device, with what opens another one at the same place.
    ChannelSeed = 72,
    /// Mailboxes of channels at relays.
    ChannelMailbox = 73,
    /// Items that are to be left there.
    ChannelDeposit = 74,
    /// What is to be looked after in channels.
    ChannelTend = 75,
    /// What members said they have of own messages.
    ChannelSeen = 76,
    /// What waits for messages that are not here yet.
    ChannelLater = 77,
    /// Whom own messages in channels were sealed for.
    ChannelSent = 78,
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
    use kith_protocol::{AccountId, DeviceId, Timestamp};
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
        assert_eq!(read, Counters { outbox: 1, contact: 300, event: 1 << 40, events: 5, relay: 0 });
        assert_eq!(row::decode::<Counters>(&row::encode(&read).unwrap()).unwrap(), read);
    }

    /// Counters of the second form, in the place of their table.
    #[derive(Serialize, Deserialize)]
    struct SecondCounters {
        outbox: u64,
        contact: u64,
        event: u64,
        events: u64,
    }

    impl Row for SecondCounters {
        const TABLE: Table = Table::Counters;
        const VERSION: u8 = 2;

        fn key(&self) -> Key {
            Key::new(b"old", &[])
        }
    }

    #[test]
    fn r_store_8_counters_of_the_second_form_begin_with_relays() {
        let old = SecondCounters { outbox: 1, contact: 2, event: 3, events: 4 };
        let read: Counters = row::decode(&row::encode(&old).unwrap()).unwrap();
        assert_eq!(read, Counters { outbox: 1, contact: 2, event: 3, events: 4, relay: 0 });
    }

    first_form!(
        OldOutbox, Outbox, id: u64, account: AccountId, device: Option<DeviceId>, cargo: Cargo, state: OldState,
        tries: u32, attempts: u32, takings: u32, since: Timestamp, expires_at: Timestamp, due_at: Timestamp,
        in_flight: bool, fresh_session: bool
    );

    #[derive(Serialize, Deserialize)]
    enum OldState {
        NeedsKeys,
        Sealed { envelope: Vec<u8>, expires: Timestamp },
        Taken { again_at: Timestamp },
    }

    #[test]
    fn r_store_8_an_outbox_row_of_the_first_form_has_left_nothing_at_relays() {
        let at = Timestamp::from_millis;
        let of = |state: OldState| OldOutbox {
            id: 9,
            account: AccountId::from_bytes([1; 32]),
            device: None,
            cargo: Cargo::Content(vec![1, 2]),
            state,
            tries: 1,
            attempts: 2,
            takings: 3,
            since: at(4),
            expires_at: at(5),
            due_at: at(6),
            in_flight: true,
            fresh_session: false,
        };
        let read = |old: &OldOutbox| -> Outbox { row::decode(&row::encode(old).unwrap()).unwrap() };
        let sealed = read(&of(OldState::Sealed { envelope: vec![7; 40], expires: at(8) }));
        assert_eq!(sealed.state, OutboxState::Sealed { envelope: vec![7; 40], expires: at(8) });
        assert_eq!((sealed.id, sealed.due_at, sealed.direct_at, sealed.in_flight), (9, at(6), at(6), true));
        assert!(sealed.deposits.is_empty() && !sealed.key_asked);
        assert_eq!(read(&of(OldState::Taken { again_at: at(3) })).state, OutboxState::Taken { again_at: at(3) });
        assert_eq!(read(&of(OldState::NeedsKeys)).state, OutboxState::NeedsKeys);
        let now: Outbox = row::decode(&row::encode(&sealed).unwrap()).unwrap();
        assert_eq!((now.id, now.state), (9, sealed.state));
    }
}
