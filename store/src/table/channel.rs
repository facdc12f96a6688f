//! Channels: operations, keys, what travels under them, and how one comes in.

use super::RelayQuestion;
use super::{Key, Row, Table};
use kith_protocol::{
    AccountId, ChannelId, Day, DeviceId, MessageId, RelayId, Timestamp,
    channel::{EpochId, LineageId, StoredChain, StoredEpoch, StoredLineage, StoredTree},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether one is in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Membership {
    /// Let in; the operations are on their way.
    Joining,
    /// In.
    Joined,
    /// Gone by oneself.
    Left,
    /// Put out by somebody.
    Removed,
}

/// The chain that this device sends by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sending {
    /// In which epoch.
    pub epoch: EpochId,
    /// The place among its senders.
    pub place: u32,
    /// The chain.
    pub chain: StoredChain,
}

/// One channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelRow {
    /// Which.
    pub channel: ChannelId,
    /// Its number here, for the timetable and for questions.
    pub number: u64,
    /// Whether one is in.
    pub membership: Membership,
    /// How many operations are stored.
    pub ops: u64,
    /// The last of them.
    pub last_op: [u8; 32],
    /// How many messages this device sent in it.
    pub sequence: u64,
    /// Hash of the last of them.
    pub last_message: Option<[u8; 32]>,
    /// The chain that this device sends by.
    pub sending: Option<Sending>,
    /// The topic that is followed.
    pub topic: [u8; 32],
    /// Sequence of the newest own card.
    pub card: u64,
    /// When the keys were made anew last, as this device saw it.
    pub fresh_at: Timestamp,
    /// Messages seen since.
    pub since_fresh: u64,
    /// When one came in.
    pub since: Timestamp,
    /// Whether its messages are no news.
    pub muted: bool,
    /// Which member was asked last, for the next one to be another.
    pub asked: u64,
    /// What is still to be given of what was said before one came; nothing if all of it was, or none is granted.
    pub past: Option<Past>,
}

/// How far a newcomer was given what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Where the last answer ended.
    pub before: u64,
    /// When a member was asked last, or answered.
    pub asked_at: Timestamp,
    /// Members who gave all that they have.
    pub givers: u8,
}

impl ChannelRow {
    /// All channels lie in one group.
    pub const GROUP: &[u8] = b"channel";

    /// Key of a channel.
    pub fn key_of(channel: &ChannelId) -> Key {
        Key::new(Self::GROUP, channel.as_bytes())
    }
}

impl Row for ChannelRow {
    const TABLE: Table = Table::Channel;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel)
    }
}

/// One operation, signed as it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelOp {
    /// Of which channel.
    pub channel: ChannelId,
    /// Its place in the order in which they came.
    pub place: u64,
    /// The signed bytes.
    pub op: Vec<u8>,
}

impl ChannelOp {
    /// Key of an operation.
    pub fn key_of(channel: &ChannelId, place: u64) -> Key {
        Key::new(channel.as_bytes(), &place.to_be_bytes())
    }
}

impl Row for ChannelOp {
    const TABLE: Table = Table::ChannelOp;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, self.place)
    }
}

/// Keys of one epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelEpoch {
    /// Of which channel.
    pub channel: ChannelId,
    /// Which epoch.
    pub epoch: EpochId,
    /// Its keys.
    pub keys: StoredEpoch,
    /// When they came.
    pub at: Timestamp,
}

impl ChannelEpoch {
    /// Key of an epoch.
    pub fn key_of(channel: &ChannelId, epoch: &EpochId) -> Key {
        Key::new(channel.as_bytes(), epoch.as_bytes())
    }
}

impl Row for ChannelEpoch {
    const TABLE: Table = Table::ChannelEpoch;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.epoch)
    }
}

/// Secret of one lineage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelLineage {
    /// Of which channel.
    pub channel: ChannelId,
    /// Which lineage.
    pub lineage: LineageId,
    /// Its secret.
    pub keys: StoredLineage,
    /// When it came.
    pub at: Timestamp,
}

impl ChannelLineage {
    /// Key of a lineage.
    pub fn key_of(channel: &ChannelId, lineage: &LineageId) -> Key {
        Key::new(channel.as_bytes(), lineage.as_bytes())
    }
}

impl Row for ChannelLineage {
    const TABLE: Table = Table::ChannelLineage;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.lineage)
    }
}

/// Finds channel and lineage by topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicRow {
    /// The topic.
    pub topic: [u8; 32],
    /// Of which channel.
    pub channel: ChannelId,
    /// Of which lineage.
    pub lineage: LineageId,
    /// Since when another one is in its place; nothing while it is followed.
    pub replaced: Option<Timestamp>,
}

impl TopicRow {
    /// All topics lie in one group.
    pub const GROUP: &[u8] = b"topic";

    /// Key of a topic.
    pub fn key_of(topic: &[u8; 32]) -> Key {
        Key::new(Self::GROUP, topic)
    }
}

impl Row for TopicRow {
    const TABLE: Table = Table::ChannelTopic;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.topic)
    }
}

/// What is left of an epoch's tree of senders' chains.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelTree {
    /// Of which epoch.
    pub epoch: EpochId,
    /// The tree.
    pub tree: StoredTree,
}

impl ChannelTree {
    /// Key of a tree.
    pub fn key_of(epoch: &EpochId) -> Key {
        Key::new(epoch.as_bytes(), b"")
    }
}

impl Row for ChannelTree {
    const TABLE: Table = Table::ChannelTree;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.epoch)
    }
}

/// One sender's chain in one epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelChain {
    /// In which epoch.
    pub epoch: EpochId,
    /// The sender's place.
    pub place: u32,
    /// The chain.
    pub chain: StoredChain,
}

impl ChannelChain {
    /// Key of a chain.
    pub fn key_of(epoch: &EpochId, place: u32) -> Key {
        Key::new(epoch.as_bytes(), &place.to_be_bytes())
    }
}

impl Row for ChannelChain {
    const TABLE: Table = Table::ChannelChain;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.epoch, self.place)
    }
}

/// Names a frame or parcel of a topic that is kept for members who lack it, apart from its bytes: comparisons read all names.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelItem {
    /// Of which topic.
    pub topic: [u8; 32],
    /// The ten minutes its sender names.
    pub slot: u32,
    /// Hash of its bytes.
    pub id: [u8; 32],
    /// When it came.
    pub at: Timestamp,
}

impl fmt::Debug for ChannelItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic: _, slot, id: _, at: _ } = self;
        write!(f, "ChannelItem(slot {slot})")
    }
}

impl ChannelItem {
    /// Order part of an item's key.
    pub fn order_of(slot: u32, id: &[u8; 32]) -> [u8; 36] {
        let mut bytes = [0; 36];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&slot.to_be_bytes());
        tail.copy_from_slice(id);
        bytes
    }

    /// Key of an item.
    pub fn key_of(topic: &[u8; 32], slot: u32, id: &[u8; 32]) -> Key {
        Key::new(topic, &Self::order_of(slot, id))
    }
}

impl Row for ChannelItem {
    const TABLE: Table = Table::ChannelItem;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.topic, self.slot, &self.id)
    }
}

/// The bytes of a frame or parcel.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelItemBytes {
    /// Of which topic.
    pub topic: [u8; 32],
    /// Hash of the bytes.
    pub id: [u8; 32],
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for ChannelItemBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic: _, id: _, bytes } = self;
        write!(f, "ChannelItemBytes({} bytes)", bytes.len())
    }
}

impl ChannelItemBytes {
    /// Key of an item's bytes.
    pub fn key_of(topic: &[u8; 32], id: &[u8; 32]) -> Key {
        Key::new(topic, id)
    }
}

impl Row for ChannelItemBytes {
    const TABLE: Table = Table::ChannelItemBytes;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.topic, &self.id)
    }
}

/// An item that waits for operations or keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelUnread {
    /// Of which channel.
    pub channel: ChannelId,
    /// Of which topic.
    pub topic: [u8; 32],
    /// Hash of its bytes.
    pub id: [u8; 32],
}

impl ChannelUnread {
    /// Key of an item that waits.
    pub fn key_of(channel: &ChannelId, id: &[u8; 32]) -> Key {
        Key::new(channel.as_bytes(), id)
    }
}

impl Row for ChannelUnread {
    const TABLE: Table = Table::ChannelUnread;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.id)
    }
}

/// A message with what proves it to somebody who never had its epoch.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelSaid {
    /// In which channel.
    pub channel: ChannelId,
    /// Its id.
    pub id: MessageId,
    /// Who said it.
    pub account: AccountId,
    /// The encoded `Attested`.
    pub attested: Vec<u8>,
    /// What it answers.
    pub reply_to: Option<MessageId>,
    /// The number and device of the newest other words that were taken for it, and what said them.
    pub edited: Option<(u64, DeviceId, MessageId)>,
}

impl fmt::Debug for ChannelSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel: _, id, account: _, attested: _, reply_to: _, edited: _ } = self;
        write!(f, "ChannelSaid({id:?})")
    }
}

impl ChannelSaid {
    /// Key of a message's proof.
    pub fn key_of(channel: &ChannelId, id: &MessageId) -> Key {
        Key::new(channel.as_bytes(), id.as_bytes())
    }
}

impl Row for ChannelSaid {
    const TABLE: Table = Table::ChannelSaid;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.id)
    }
}

/// The newest card of a member's device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelCard {
    /// Of which channel.
    pub channel: ChannelId,
    /// Of which device.
    pub device: DeviceId,
    /// Its sequence.
    pub sequence: u64,
    /// Its transport name.
    pub peer: String,
    /// Where it says it is reached.
    pub addresses: Vec<String>,
    /// What its member calls themselves here.
    pub name: String,
    /// Its leaf key, 1216 bytes.
    pub leaf: Vec<u8>,
    /// The signed bytes.
    pub card: Vec<u8>,
}

impl ChannelCard {
    /// Key of a card.
    pub fn key_of(channel: &ChannelId, device: &DeviceId) -> Key {
        Key::new(channel.as_bytes(), device.as_bytes())
    }
}

impl Row for ChannelCard {
    const TABLE: Table = Table::ChannelCard;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.device)
    }
}

/// One own leaf key: what is sealed to this device in a channel opens by it.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelLeaf {
    /// Of which channel.
    pub channel: ChannelId,
    /// Names the key.
    pub id: [u8; 16],
    /// Its seed.
    pub seed: [u8; 32],
    /// When it was made.
    pub at: Timestamp,
}

impl fmt::Debug for ChannelLeaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel: _, id: _, seed: _, at } = self;
        write!(f, "ChannelLeaf({at:?}, ..)")
    }
}

impl ChannelLeaf {
    /// Key of a leaf key.
    pub fn key_of(channel: &ChannelId, id: &[u8; 16]) -> Key {
        Key::new(channel.as_bytes(), id)
    }
}

impl Row for ChannelLeaf {
    const TABLE: Table = Table::ChannelLeaf;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.id)
    }
}

/// One item of a rekey blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelBlobItem {
    /// The operation that made the keys anew.
    pub op: [u8; 32],
    /// Its place in the blob.
    pub place: u32,
    /// Item and proof.
    pub item: Vec<u8>,
}

impl ChannelBlobItem {
    /// Key of an item.
    pub fn key_of(op: &[u8; 32], place: u32) -> Key {
        Key::new(op, &place.to_be_bytes())
    }
}

impl Row for ChannelBlobItem {
    const TABLE: Table = Table::ChannelBlob;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.op, self.place)
    }
}

/// An invite that this profile made.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelInviteRow {
    /// Into which channel.
    pub channel: ChannelId,
    /// The operation that posted it.
    pub op: [u8; 32],
    /// The code's secret.
    pub secret: [u8; 16],
}

impl fmt::Debug for ChannelInviteRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel: _, op: _, secret: _ } = self;
        f.write_str("ChannelInviteRow(..)")
    }
}

impl ChannelInviteRow {
    /// Key of an invite.
    pub fn key_of(channel: &ChannelId, op: &[u8; 32]) -> Key {
        Key::new(channel.as_bytes(), op)
    }
}

impl Row for ChannelInviteRow {
    const TABLE: Table = Table::ChannelInvite;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.op)
    }
}

/// How far a join has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinStage {
    /// Looks for the invite's record.
    Looking,
    /// The record was found; waits for a yes.
    Preview,
    /// Asks members.
    Asking,
    /// A member has to say yes.
    Waiting,
    /// Let in: the operations are on their way.
    Admitted {
        /// The operation that let this account in.
        op: [u8; 32],
        /// The topic that its keys give.
        topic: [u8; 32],
    },
    /// In.
    Joined,
    /// It came to nothing.
    Failed {
        /// The code of the error.
        code: String,
        /// Why.
        why: String,
    },
}

/// A join that is under way.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRow {
    /// Its number.
    pub number: u64,
    /// The code.
    pub code: String,
    /// Addresses that the link carried.
    pub hints: Vec<String>,
    /// The name to go by.
    pub name: String,
    /// Whether a yes was given.
    pub yes: bool,
    /// How far it has come.
    pub stage: JoinStage,
    /// The channel, once known.
    pub channel: Option<ChannelId>,
    /// What the record says, encoded as the API shows it.
    pub shown: Vec<u8>,
    /// Ways to members: transport name and addresses.
    pub peers: Vec<(String, Vec<String>)>,
    /// Seed of the leaf key that the request names.
    pub leaf: [u8; 32],
    /// Names the request.
    pub nonce: [u8; 16],
    /// When it began.
    pub since: Timestamp,
    /// When it is looked at next.
    pub due: Timestamp,
    /// Tries since something came back.
    pub tries: u32,
    /// Cards that came with the welcome.
    pub cards: Vec<Vec<u8>>,
}

impl fmt::Debug for JoinRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinRow({}, {:?})", self.number, self.stage)
    }
}

impl JoinRow {
    /// All joins lie in one group.
    pub const GROUP: &[u8] = b"join";

    /// Key of a join.
    pub fn key_of(number: u64) -> Key {
        Key::new(Self::GROUP, &number.to_be_bytes())
    }
}

impl Row for JoinRow {
    const TABLE: Table = Table::Join;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// Somebody who waits for approval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinWaits {
    /// For which channel.
    pub channel: ChannelId,
    /// Who.
    pub account: AccountId,
    /// What they call themselves.
    pub name: String,
    /// The operation that posted the invite they came with.
    pub invite: [u8; 32],
    /// The sealed request.
    pub request: Vec<u8>,
    /// When they asked.
    pub at: Timestamp,
    /// Whether somebody said no.
    pub denied: bool,
}

impl JoinWaits {
    /// Key of somebody who waits.
    pub fn key_of(channel: &ChannelId, account: &AccountId) -> Key {
        Key::new(channel.as_bytes(), account.as_bytes())
    }
}

impl Row for JoinWaits {
    const TABLE: Table = Table::JoinWaits;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.account)
    }
}

/// Runs of numbers that are kept of one device: what comes between them fills them up. Only a device that numbers at will has
/// more; what it says is shown all the same.
const RUNS_MAX: usize = 4_096;
/// How far a number may lie beyond the highest one: a device that leaves out more numbers at will, and nobody waits for them.
const AHEAD_MAX: u64 = 1 << 20;

/// Which of the things that a device said in a channel are here, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelHead {
    /// In which channel.
    pub channel: ChannelId,
    /// Of which device.
    pub device: DeviceId,
    /// The first number that was to come here: who came in later never had what was said before.
    pub from: u64,
    /// The highest number that is here.
    pub highest: u64,
    /// When it came.
    pub at: Timestamp,
    /// The numbers that are here: first and last of each run, in order, with gaps between them.
    pub here: Vec<(u64, u64)>,
    /// Since when some are missing.
    pub gap_at: Option<Timestamp>,
    /// Up to which number a person was told that some are missing; 0 while nothing they were told of is.
    pub told: u64,
}

impl ChannelHead {
    /// Key of a device's head.
    pub fn key_of(channel: &ChannelId, device: &DeviceId) -> Key {
        Key::new(channel.as_bytes(), device.as_bytes())
    }

    /// A head of which nothing is here.
    pub fn empty(channel: ChannelId, device: DeviceId) -> Self {
        let at = Timestamp::from_millis(0);
        Self { channel, device, from: u64::MAX, highest: 0, at, here: Vec::new(), gap_at: None, told: 0 }
    }

    /// Takes in that a number is here, and that all from `first` on were to come.
    pub fn take(&mut self, first: u64, number: u64, at: Timestamp) {
        if self.highest > 0 && number > self.highest.saturating_add(AHEAD_MAX) {
            return;
        }
        self.from = self.from.min(first).min(number);
        if number > self.highest {
            (self.highest, self.at) = (number, at);
        }
        let next = self.here.partition_point(|run| run.0 <= number);
        let before = next.checked_sub(1).and_then(|i| self.here.get(i).copied());
        if before.is_some_and(|run| number <= run.1) {
            return;
        }
        let after = self.here.get(next).copied();
        let joins_before = before.is_some_and(|run| run.1.checked_add(1) == Some(number));
        let joins_after = after.is_some_and(|run| number.checked_add(1) == Some(run.0));
        match (joins_before, joins_after) {
            (true, true) => {
                let last = self.here.remove(next).1;
                self.put_run(next - 1, |run| run.1 = last);
            }
            (true, false) => self.put_run(next - 1, |run| run.1 = number),
            (false, true) => self.put_run(next, |run| run.0 = number),
            (false, false) if self.here.len() < RUNS_MAX => self.here.insert(next, (number, number)),
            (false, false) => {}
        }
    }

    fn put_run(&mut self, at: usize, change: impl FnOnce(&mut (u64, u64))) {
        if let Some(run) = self.here.get_mut(at) {
            change(run);
        }
    }

    /// Up to which number everything is here; one less than the first if that is missing.
    pub fn complete(&self) -> u64 {
        match self.here.first() {
            Some((first, last)) if *first <= self.from => *last,
            _ => self.from.saturating_sub(1),
        }
    }

    /// The numbers that are missing, in order: first and last of each gap.
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let mut next = self.from;
        let mut gaps = Vec::new();
        for (first, last) in &self.here {
            if next < *first {
                gaps.push((next, first.saturating_sub(1)));
            }
            next = next.max(last.saturating_add(1));
        }
        gaps
    }

    /// How many are missing.
    pub fn missing(&self) -> u64 {
        self.gaps().iter().map(|(first, last)| last - first + 1).sum()
    }
}

impl Row for ChannelHead {
    const TABLE: Table = Table::ChannelHead;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.device)
    }
}

/// A reaction of a member, or a pin, where it says no emoji.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Whose.
    pub account: AccountId,
    /// By which device.
    pub device: DeviceId,
    /// That device's number for it: of two about one thing the later counts.
    pub sequence: u64,
    /// What; empty for a pin.
    pub emoji: String,
    /// Whether it was given or taken back.
    pub on: bool,
}

/// Reactions to one message, and pins of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelMarks {
    /// In which channel.
    pub channel: ChannelId,
    /// Of which message.
    pub target: MessageId,
    /// All of them.
    pub marks: Vec<Mark>,
}

impl ChannelMarks {
    /// Key of a message's marks.
    pub fn key_of(channel: &ChannelId, target: &MessageId) -> Key {
        Key::new(channel.as_bytes(), target.as_bytes())
    }
}

impl Row for ChannelMarks {
    const TABLE: Table = Table::ChannelMarks;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.target)
    }
}

/// The mailbox of a lineage at one of its channel's relays.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelMailbox {
    /// Its number here.
    pub number: u64,
    /// Of which channel.
    pub channel: ChannelId,
    /// Of which lineage.
    pub lineage: LineageId,
    /// At which relay.
    pub relay: RelayId,
    /// The relay's transport name.
    pub peer: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// What admits to a relay for members only.
    pub token: Option<[u8; 16]>,
    /// The day its tags were registered last.
    pub registered: Option<Day>,
    /// The place up to which it was read.
    pub after: u64,
    /// Whether something may lie behind it.
    pub unread: bool,
    /// When it was read last.
    pub read_at: Option<Timestamp>,
    /// The question under way.
    pub question: Option<RelayQuestion>,
    /// The last number of a question.
    pub tag: u16,
    /// Questions in a row that came to nothing.
    pub failures: u32,
    /// What is wrong, if anything is.
    pub detail: Option<String>,
    /// Since when another lineage, or no relay, has its place.
    pub replaced: Option<Timestamp>,
    /// When it is looked at again.
    pub due_at: Timestamp,
}

impl fmt::Debug for ChannelMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelMailbox({}, {:?}, after {}, {:?})", self.number, self.relay, self.after, self.detail)
    }
}

impl ChannelMailbox {
    /// Group of all.
    pub const GROUP: &'static [u8] = b"channel-mailboxes";

    /// Key of a mailbox.
    pub fn key_of(number: u64) -> Key {
        Key::new(Self::GROUP, &number.to_be_bytes())
    }
}

impl Row for ChannelMailbox {
    const TABLE: Table = Table::ChannelMailbox;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// An item that is to be left in a mailbox of its channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelDeposit {
    /// In which mailbox.
    pub mailbox: u64,
    /// Its number here.
    pub number: u64,
    /// Of which topic it is.
    pub topic: [u8; 32],
    /// Hash of its bytes.
    pub id: [u8; 32],
    /// The message in it, where it is one.
    pub message: Option<MessageId>,
    /// Until when an answer is waited for.
    pub asked: Option<Timestamp>,
}

impl ChannelDeposit {
    /// Key of an item.
    pub fn key_of(mailbox: u64, number: u64) -> Key {
        Key::new(&mailbox.to_be_bytes(), &number.to_be_bytes())
    }
}

impl Row for ChannelDeposit {
    const TABLE: Table = Table::ChannelDeposit;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.mailbox, self.number)
    }
}

/// One kind of thing that a member of a channel was caught at, or somebody who has its keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelCaught {
    /// In which channel.
    pub channel: ChannelId,
    /// Who; nobody where it cannot be told which member it was.
    pub account: Option<AccountId>,
    /// Which kind.
    pub kind: u8,
    /// How often.
    pub times: u64,
    /// When last.
    pub at: Timestamp,
    /// When it was told last.
    pub told: Option<Timestamp>,
    /// Since when looks are counted.
    pub looked: Timestamp,
    /// How often something of the kind was looked at closely since then.
    pub looks: u32,
    /// The first proof of it, encoded, where there can be one.
    pub proof: Option<Vec<u8>>,
}

impl ChannelCaught {
    /// Key of a kind of thing that somebody was caught at.
    pub fn key_of(channel: &ChannelId, account: Option<&AccountId>, kind: u8) -> Key {
        let account: &[u8] = account.map_or(&[], |account| account.as_bytes());
        Key::new(channel.as_bytes(), &[&[kind], account].concat())
    }
}

impl Row for ChannelCaught {
    const TABLE: Table = Table::ChannelCaught;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, self.account.as_ref(), self.kind)
    }
}

/// One of the last messages of a device, with the seed that opens whatever else the device sealed at its place.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChannelSeed {
    /// In which channel.
    pub channel: ChannelId,
    /// Of which device.
    pub device: DeviceId,
    /// The device's number for the message.
    pub sequence: u64,
    /// In which epoch.
    pub epoch: EpochId,
    /// Its place in the sender's chain there.
    pub generation: u32,
    /// The message.
    pub id: MessageId,
    /// The seed.
    pub seed: [u8; 32],
}

impl fmt::Debug for ChannelSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel: _, device: _, sequence, epoch: _, generation, id: _, seed: _ } = self;
        write!(f, "ChannelSeed({sequence} at {generation}, ..)")
    }
}

impl ChannelSeed {
    /// How many messages of each device are kept: a later one takes the place of that so many before.
    pub const KEPT: u64 = 64;

    /// Group of a device's messages in a channel.
    pub fn group_of(channel: &ChannelId, device: &DeviceId) -> Vec<u8> {
        [channel.as_bytes().as_slice(), device.as_bytes()].concat()
    }

    /// Key of the message with a number, or of one that has its place.
    pub fn key_of(channel: &ChannelId, device: &DeviceId, sequence: u64) -> Key {
        Key::new(&Self::group_of(channel, device), &(sequence % Self::KEPT).to_be_bytes())
    }
}

impl Row for ChannelSeed {
    const TABLE: Table = Table::ChannelSeed;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.device, self.sequence)
    }
}

/// Everything from one number of a device up to another, and what a person read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Whose numbers.
    pub device: DeviceId,
    /// The first.
    pub from: u64,
    /// The last.
    pub sequence: u64,
    /// Up to which a person read it; 0 if nothing, or if that is not told.
    pub read: u64,
}

impl Reach {
    /// Says whether a number lies in it.
    pub fn covers(&self, number: u64) -> bool {
        self.from <= number && number <= self.sequence
    }
}

/// An own message that nobody is known to have taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// Hash of its frame.
    pub item: [u8; 32],
    /// The message.
    pub message: MessageId,
    /// When a member was given it last that was not known to have it.
    pub given: Timestamp,
}

/// What is to be looked after in a channel that hangs on no single message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelTend {
    /// Which channel.
    pub channel: ChannelId,
    /// When it is looked at next, if it is.
    pub due: Option<Timestamp>,
    /// What this device said last of what others said, by device.
    pub told: Vec<Reach>,
    /// When it said so.
    pub told_at: Timestamp,
    /// Own messages that nobody is known to have taken, oldest first.
    pub leaving: Vec<Leaving>,
}

impl ChannelTend {
    /// Key of a channel's row.
    pub fn key_of(channel: &ChannelId) -> Key {
        Key::new(channel.as_bytes(), &[])
    }
}

impl Row for ChannelTend {
    const TABLE: Table = Table::ChannelTend;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel)
    }
}

/// The newest word of a member's device on what it has of this account's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelSeen {
    /// In which channel.
    pub channel: ChannelId,
    /// Whose word.
    pub account: AccountId,
    /// Of which device.
    pub device: DeviceId,
    /// That device's number for it: only the newest counts.
    pub word: u64,
    /// When it was said.
    pub at: Timestamp,
    /// What it has of this account's devices.
    pub reached: Vec<Reach>,
}

impl ChannelSeen {
    /// Key of a device's word.
    pub fn key_of(channel: &ChannelId, device: &DeviceId) -> Key {
        Key::new(channel.as_bytes(), device.as_bytes())
    }
}

impl Row for ChannelSeen {
    const TABLE: Table = Table::ChannelSeen;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.device)
    }
}

/// What waits for a message that is not here yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelLater {
    /// In which channel.
    pub channel: ChannelId,
    /// For which message.
    pub target: MessageId,
    /// Other words for it and ends of it, in the order in which they came.
    pub waits: Vec<MessageId>,
    /// Answers to it, in the order in which they came: they do not wait for ever.
    pub answers: Vec<MessageId>,
    /// Since when.
    pub since: Timestamp,
}

impl ChannelLater {
    /// Key of what waits for a message.
    pub fn key_of(channel: &ChannelId, target: &MessageId) -> Key {
        Key::new(channel.as_bytes(), target.as_bytes())
    }
}

impl Row for ChannelLater {
    const TABLE: Table = Table::ChannelLater;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.target)
    }
}

/// Whom an own message was sealed for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelSent {
    /// In which channel.
    pub channel: ChannelId,
    /// Which message.
    pub id: MessageId,
    /// How many other members there were.
    pub members: u32,
    /// Who they were; nobody where they are too many to say what they have by themselves.
    pub to: Vec<AccountId>,
    /// When somebody is known to have taken it first, and how.
    pub left: Option<(Timestamp, String)>,
}

impl ChannelSent {
    /// Key of a message's row.
    pub fn key_of(channel: &ChannelId, id: &MessageId) -> Key {
        Key::new(channel.as_bytes(), id.as_bytes())
    }
}

impl Row for ChannelSent {
    const TABLE: Table = Table::ChannelSent;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.channel, &self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> ChannelHead {
        ChannelHead::empty(ChannelId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]))
    }

    fn taken(numbers: &[(u64, u64)]) -> ChannelHead {
        let mut head = head();
        for (first, number) in numbers {
            head.take(*first, *number, Timestamp::from_millis(*number));
        }
        head
    }

    #[test]
    fn numbers_come_in_any_order_and_what_is_missing_is_known() {
        let head = taken(&[(1, 3), (1, 7), (1, 4)]);
        assert_eq!((head.from, head.highest, head.complete(), head.missing()), (1, 7, 0, 4));
        assert_eq!(head.gaps(), [(1, 2), (5, 6)]);
        let head = taken(&[(1, 3), (1, 7), (1, 4), (1, 1), (1, 2), (1, 2), (1, 6)]);
        assert_eq!((head.complete(), head.gaps()), (4, vec![(5, 5)]));
        let head = taken(&[(1, 2), (1, 1), (1, 3)]);
        assert_eq!((head.complete(), head.missing(), head.here), (3, 0, vec![(1, 3)]));
    }

    #[test]
    fn who_came_in_later_misses_nothing_that_was_said_before() {
        let head = taken(&[(20, 22)]);
        assert_eq!((head.complete(), head.gaps()), (19, vec![(20, 21)]));
        // What comes from before is here, and so is what lies between if it was to come.
        let head = taken(&[(20, 22), (20, 20), (20, 21), (15, 16)]);
        assert_eq!((head.from, head.complete(), head.gaps()), (15, 14, vec![(15, 15), (17, 19)]));
        assert_eq!((self::head().complete(), self::head().missing()), (u64::MAX - 1, 0));
    }

    #[test]
    fn a_device_that_numbers_at_will_costs_little() {
        let mut head = taken(&[(1, 1)]);
        head.take(1, u64::MAX, Timestamp::from_millis(9));
        assert_eq!((head.highest, head.missing()), (1, 0));
        for n in 1..10_000 {
            head.take(1, 2 * n + 1, Timestamp::from_millis(n));
        }
        assert_eq!(head.here.len(), RUNS_MAX);
        let random = [9, 2, 17, 4, 3, 8, 1, 16, 10];
        let mut all: Vec<(u64, u64)> = random.iter().map(|n| (1, *n)).collect();
        let one = taken(&all);
        all.reverse();
        assert_eq!(one.here, taken(&all).here);
        assert_eq!(one.here, [(1, 4), (8, 10), (16, 17)]);
    }
}
