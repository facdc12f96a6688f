//! How members' devices come to have the same: what is asked of whom, and what is answered. Must not read what is sealed
//! for others.

use super::{Room, act::SOON_MS, talk::Opened};
use crate::{
    app::{
        App, Scan as _,
        asking::Question,
        work::{Halt, Work},
    },
    net::{AskOutcome, MemberToken, NetCommand, PeerName},
};
use kith_protocol::{
    DeviceId, Timestamp,
    channel::{
        Act, EpochId, Frame, OpId, Parcel, SignedCard, slot_of,
        sync::{Ask, Reply},
    },
    crypto::kdf::sha256,
    limits::{CHANNEL_FRAME_MAX, SYNC_EPOCHS_MAX, SYNC_ITEMS_MAX, SYNC_TOPICS_MAX},
};
use kith_store::table::{
    ChannelBlobItem, ChannelCard, ChannelItem, ChannelItemBytes, ChannelRow, ChannelUnread, DueWhat, Membership,
    TopicRow,
};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use rand_core::Rng as _;
use std::collections::BTreeSet;

/// Milliseconds between two comparisons when nothing happens.
const COMPARE_MS: u64 = 30_000;
/// Milliseconds between two comparisons while keys are missing.
const LACKING_MS: u64 = 3_000;
/// Bytes of items in one answer or question.
pub(super) const PAGE_BYTES: usize = 96 * 1024;
/// Items that are asked for at once: most are short, so that an answer holds them.
const ITEMS_AT_ONCE: usize = 128;
/// Largest message of a comparison in bytes.
const COMPARE_BYTES: u64 = 48 * 1024;
/// Items that wait for operations or keys, in one channel.
const WAITING_MAX: usize = 4_096;
/// Milliseconds that a topic is compared each time after another took its place.
const LATE_TOPIC_MS: u64 = 3_600_000;
/// Topics older than that which are compared each time; which ones is drawn.
const OLD_TOPICS: usize = 4;
/// Milliseconds that items of an old topic are compared.
const OLD_ITEMS_MS: u64 = 30 * 86_400_000;

/// At most `max` of a list: the first half of them, and of all that follow some at even distances.
fn thinned<T: Copy>(list: Vec<T>, max: usize) -> Vec<T> {
    let Some((first, rest)) = list.split_at_checked(max / 2).filter(|_| list.len() > max) else { return list };
    let places = max - first.len();
    let even = (1..=places).filter_map(|n| rest.get(n * rest.len() / places - 1));
    first.iter().chain(even).copied().collect()
}

/// A member's device that can be asked.
pub(super) struct Whom {
    peer: String,
    addresses: Vec<String>,
}

impl From<ChannelCard> for Whom {
    fn from(card: ChannelCard) -> Self {
        Self { peer: card.peer, addresses: card.addresses }
    }
}

impl App {
    /// It is time to compare a channel with another member.
    pub(in crate::app) fn channel_due(&self, w: &mut Work<'_>, number: u64) -> Result<(), Halt> {
        let Some(channel) = self.channel_numbered(w, number)? else { return Ok(()) };
        let Some(mut room) = self.joined(w, &channel)? else { return Ok(()) };
        self.leave_old_topics(w, &room.row)?;
        self.forget_old(w, &room)?;
        let profile = self.profile(w)?;
        let mine = w.get::<ChannelCard>(&ChannelCard::key_of(&channel, &self.me.device))?;
        let same = mine.as_ref().is_some_and(|card| {
            card.peer == profile.peer
                && profile.addresses.iter().take(card.addresses.len().max(1)).eq(card.addresses.iter())
        });
        if !same {
            self.tell_card(w, &mut room)?;
        }
        self.mailboxes_follow(w, &room)?;
        self.compare(w, &mut room)?;
        self.want_keys(w, &mut room)?;
        self.want_past(w, &mut room)?;
        self.heal(w, &mut room)?;
        // One entry of the timetable for each channel: what was put there to be soon goes.
        for due in w.rows().group::<kith_store::table::Due>(kith_store::table::Due::GROUP)? {
            if due.what == DueWhat::Channel(number) && due.at <= w.now.plus_millis(COMPARE_MS) {
                w.unschedule(due.at, due.what)?;
            }
        }
        let lacks = room.epoch().is_none();
        let pause = if lacks { LACKING_MS } else { COMPARE_MS };
        w.schedule(w.now.plus_millis(pause), DueWhat::Channel(number))?;
        self.settle(w, &mut room)?;
        self.close(w, room)
    }

    /// The next member to compare with; each in turn.
    fn next_peer(&self, w: &Work<'_>, room: &mut Room) -> Result<Option<(u16, Whom)>, Halt> {
        let cards = self.askable(w, room)?;
        let row = &mut room.row;
        if cards.is_empty() {
            return Ok(None);
        }
        row.asked = row.asked.wrapping_add(1);
        let at = (row.asked % cards.len().min(usize::from(u16::MAX)) as u64) as usize;
        let whom = cards.into_iter().nth(at);
        Ok(whom.map(|card| (u16::try_from(at).unwrap_or(0), Whom::from(card))))
    }

    /// Cards of those who belong: who was removed learns no topic by being asked.
    pub(super) fn askable(&self, w: &Work<'_>, room: &Room) -> Result<Vec<ChannelCard>, Halt> {
        let members = room.graph.recipients();
        let mut cards = w.rows().group::<ChannelCard>(room.row.channel.as_bytes())?;
        cards.retain(|card| card.device != self.me.device && members.contains(&card.device));
        Ok(cards)
    }

    pub(super) fn whom(&self, w: &Work<'_>, room: &Room, at: u16) -> Result<Option<Whom>, Halt> {
        let card = self.askable(w, room)?.into_iter().nth(usize::from(at));
        Ok(card.map(Whom::from))
    }

    pub(super) fn ask_member(&self, w: &mut Work<'_>, question: Question, whom: &Whom, ask: &Ask) {
        w.effects().net.push(NetCommand::AskMember {
            ask: question.number(),
            peer: PeerName(whom.peer.clone()),
            addresses: whom.addresses.iter().map(|a| crate::app::seal::with_peer(a, &whom.peer)).collect(),
            request: ask.encode(),
        });
    }

    /// The question for the operations that are not here. Changes on both sides of a partition lead to topics and epochs of
    /// their own: those from before are known to both.
    fn wants_ops(&self, w: &Work<'_>, room: &mut Room, card: Option<Vec<u8>>) -> Result<Ask, Halt> {
        let mut epochs: Vec<EpochId> = room.newest_epoch(room.graph.ops().len()).into_iter().collect();
        let mut named: BTreeSet<EpochId> = epochs.iter().copied().collect();
        for epoch in (0..room.graph.ops().len()).rev().filter_map(|at| room.epochs.behind(at)) {
            if room.ring.get(&epoch).is_some() && named.insert(epoch) {
                epochs.push(epoch);
            }
        }
        let (topics, epochs) = (self.known_by(w, &room.row)?, thinned(epochs, SYNC_EPOCHS_MAX));
        Ok(Ask::Ops { topics, heads: room.graph.front(), admission: None, epochs, card })
    }

    /// The topics by which this device knows a channel.
    pub(super) fn known_by(&self, w: &Work<'_>, row: &ChannelRow) -> Result<Vec<[u8; 32]>, Halt> {
        Ok(thinned(self.topics(w, row)?.into_iter().map(|t| t.topic).collect(), SYNC_TOPICS_MAX))
    }

    /// Compares operations and items with the next member.
    pub(super) fn compare(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let Some((at, whom)) = self.next_peer(w, room)? else { return Ok(()) };
        let number = room.row.number;
        let ask = self.wants_ops(w, room, None)?;
        self.ask_member(w, Question::ChannelOps { channel: number, at }, &whom, &ask);
        for t in self.compared_now(w, &room.row)? {
            let mut state = self.comparison(w, &t.topic)?;
            if let Ok(message) = state.initiate() {
                let ask = Ask::Reconcile { topic: t.topic, message };
                self.ask_member(w, Question::ChannelCompare { channel: number, at }, &whom, &ask);
            }
        }
        Ok(())
    }

    /// A channel's topics whose items are still kept alike: the present one, then the others from the latest on.
    fn topics(&self, w: &Work<'_>, row: &ChannelRow) -> Result<Vec<TopicRow>, Halt> {
        let mut topics: Vec<TopicRow> = w.rows().group::<TopicRow>(TopicRow::GROUP)?;
        topics.retain(|t| {
            t.channel == row.channel
                && (t.topic == row.topic || t.replaced.is_none_or(|at| w.now.millis_since(at) < OLD_ITEMS_MS))
        });
        topics.sort_by_key(|t| (t.topic != row.topic, std::cmp::Reverse(t.replaced)));
        Ok(topics)
    }

    /// Which topics a comparison is about: the present one, whatever it replaced lately, and some of the older ones.
    fn compared_now(&self, w: &mut Work<'_>, row: &ChannelRow) -> Result<Vec<TopicRow>, Halt> {
        let (mut now, mut old): (Vec<_>, Vec<_>) = self
            .topics(w, row)?
            .into_iter()
            .partition(|t| t.topic == row.topic || t.replaced.is_some_and(|at| w.now.millis_since(at) < LATE_TOPIC_MS));
        if !old.is_empty() {
            let first = (w.rng.next_u64() % old.len() as u64) as usize;
            old.rotate_left(first);
            now.extend(old.into_iter().take(OLD_TOPICS));
        }
        Ok(now)
    }

    /// The topic under which an operation was sent: who knows the operation knows it, unless they came later.
    pub(super) fn topic_of(room: &mut Room, at: usize) -> [u8; 32] {
        let before = room.epochs.before_op(&room.graph, at);
        before.and_then(|epoch| room.lineage(&epoch)).map_or(room.row.topic, |(_, keys)| keys.topic())
    }

    fn comparison(&self, w: &Work<'_>, topic: &[u8; 32]) -> Result<Negentropy<'static, NegentropyStorageVector>, Halt> {
        let mut storage = NegentropyStorageVector::new();
        for item in w.rows().group::<ChannelItem>(topic)? {
            let _ = storage.insert(u64::from(item.slot), Id::from_byte_array(item.id));
        }
        let _ = storage.seal();
        Negentropy::owned(storage, COMPARE_BYTES)
            .map_err(|_| crate::api::error::UserError::internal("a comparison").into())
    }

    /// Something came over a channel's live path.
    pub(in crate::app) fn gossip(&self, w: &mut Work<'_>, topic: [u8; 32], frame: Vec<u8>) -> Result<(), Halt> {
        let Some(found) = w.get::<TopicRow>(&TopicRow::key_of(&topic))? else { return Ok(()) };
        let Some(mut room) = self.joined(w, &found.channel)? else { return Ok(()) };
        if self.item_in(w, &mut room, &topic, frame)? {
            self.wake_waiting(w, &mut room)?;
        }
        self.close(w, room)
    }

    /// Takes an item in; says whether operations or keys came with it.
    pub(super) fn item_in(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        topic: &[u8; 32],
        bytes: Vec<u8>,
    ) -> Result<bool, Halt> {
        let id = sha256(&[&bytes]);
        let Ok(frame) = Frame::decode(&bytes) else { return Ok(false) };
        let key = ChannelItem::key_of(topic, frame.slot(), &id);
        // A slot from the future would stand at the end of every comparison.
        if w.get::<ChannelItem>(&key)?.is_some() || frame.slot() > slot_of(w.now).saturating_add(1_000) {
            return Ok(false);
        }
        let (read, moved) = self.read_item(w, room, topic, &frame)?;
        if read == Opened::Useless {
            return Ok(moved);
        }
        if read == Opened::Waits {
            if w.rows().group::<ChannelUnread>(room.row.channel.as_bytes())?.len() >= WAITING_MAX {
                return Ok(moved);
            }
            w.put(&ChannelUnread { channel: room.row.channel, topic: *topic, id })?;
        }
        w.put(&ChannelItem { topic: *topic, slot: frame.slot(), id, at: w.now })?;
        w.put(&ChannelItemBytes { topic: *topic, id, bytes })?;
        Ok(moved)
    }

    /// Reads an item; says what became of it, and whether operations came with it.
    fn read_item(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        topic: &[u8; 32],
        frame: &Frame,
    ) -> Result<(Opened, bool), Halt> {
        let useless = (Opened::Useless, false);
        let Some(lineage) = w.get::<TopicRow>(&TopicRow::key_of(topic))? else { return Ok(useless) };
        let Some(keys) = room.ring.lineage(&lineage.lineage).cloned() else { return Ok(useless) };
        let Ok(header) = frame.header(&keys) else { return Ok(useless) };
        let Some(epoch) = room.keys(&header.epoch) else {
            // Kept for the others; it is never opened here, unless its keys are handed over.
            let theirs = room.epochs.get(&header.epoch).is_some()
                && !room.epochs.holders(&header.epoch).contains(&self.me.device);
            return Ok((if theirs { Opened::Done } else { Opened::Waits }, false));
        };
        if !header.is_parcel() {
            return Ok((self.open_said(w, room, frame, &header)?, false));
        }
        let Ok(parcel) = Parcel::open(frame, &room.row.channel, &header.epoch, &epoch) else { return Ok(useless) };
        let (moved, whole) = self.parcel_in(w, room, &parcel)?;
        Ok((if whole { Opened::Done } else { Opened::Waits }, moved))
    }

    /// Takes operations and cards in; says whether anything was new, and whether all could be used.
    pub(super) fn parcel_in(&self, w: &mut Work<'_>, room: &mut Room, parcel: &Parcel) -> Result<(bool, bool), Halt> {
        let (mut moved, mut whole) = (false, true);
        for bytes in &parcel.ops {
            let Some(op) = self.decoded(w, room, bytes)? else { continue };
            let invites = matches!(op.act(), Act::PostInvite(_) | Act::RevokeInvite { .. });
            let came = self.take_op(w, room, op)?;
            self.op_came(w, room, &came)?;
            match came {
                Ok(added) => {
                    moved |= added.new;
                    // Invites that others posted are kept findable here too.
                    if added.new && invites {
                        self.publish_soon(w)?;
                    }
                }
                Err(kith_protocol::channel::Error::Missing(_)) => whole = false,
                Err(error) => tracing::debug!(%error, "an operation is refused"),
            }
        }
        for bytes in &parcel.cards {
            whole &= self.card_in(w, room, bytes)?;
        }
        if moved {
            self.after_ops(w, room)?;
        }
        if !whole {
            self.compare_soon(w, &room.row)?;
        }
        Ok((moved, whole))
    }

    /// Takes a card in; says whether its device is known.
    pub(super) fn card_in(&self, w: &mut Work<'_>, room: &Room, bytes: &[u8]) -> Result<bool, Halt> {
        let Ok(signed) = SignedCard::decode(bytes) else { return Ok(true) };
        let Some(info) = room.graph.device(signed.device()) else { return Ok(false) };
        let Ok(card) = signed.verify(info) else { return Ok(true) };
        let key = ChannelCard::key_of(&room.row.channel, &card.device);
        let known = w.get::<ChannelCard>(&key)?;
        let newer = known.is_none_or(|known| known.sequence < card.sequence);
        let honest = card.channel == room.row.channel
            && card.device != self.me.device
            && card.sequence <= w.now.plus_millis(kith_protocol::limits::CLOCK_SKEW_MS).as_millis();
        let Ok(peer) = String::from_utf8(card.peer_id) else { return Ok(true) };
        if newer && honest {
            w.put(&ChannelCard {
                channel: card.channel,
                device: card.device,
                sequence: card.sequence,
                peer,
                addresses: card.addresses,
                name: card.name,
                leaf: card.leaf.as_bytes().to_vec(),
                card: bytes.to_vec(),
            })?;
            let peers = self.protected(w)?;
            w.effects().net.push(NetCommand::Protect { peers });
        }
        Ok(true)
    }

    /// Tries what waits again, as long as that brings something.
    pub(super) fn wake_waiting(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        for _ in 0..8 {
            let mut moved = false;
            for unread in w.rows().group::<ChannelUnread>(room.row.channel.as_bytes())? {
                let kept = w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(&unread.topic, &unread.id))?;
                let read = match kept.and_then(|kept| Frame::decode(&kept.bytes).ok()) {
                    Some(frame) => {
                        let (read, new) = self.read_item(w, room, &unread.topic, &frame)?;
                        moved |= new;
                        read
                    }
                    None => Opened::Useless,
                };
                if read != Opened::Waits {
                    w.delete::<ChannelUnread>(&ChannelUnread::key_of(&unread.channel, &unread.id))?;
                }
            }
            if !moved {
                break;
            }
        }
        Ok(())
    }

    /// Reads all items of an epoch's topic once more: its keys were handed over after they came.
    pub(super) fn read_again(&self, w: &mut Work<'_>, room: &mut Room, topic: &[u8; 32]) -> Result<(), Halt> {
        for item in w.rows().group::<ChannelItem>(topic)? {
            let kept = w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(topic, &item.id))?;
            if let Some(frame) = kept.and_then(|kept| Frame::decode(&kept.bytes).ok()) {
                let (read, _) = self.read_item(w, room, topic, &frame)?;
                if read == Opened::Waits {
                    w.put(&ChannelUnread { channel: room.row.channel, topic: *topic, id: item.id })?;
                }
            }
        }
        Ok(())
    }

    /// Draws a member that can be asked.
    pub(super) fn any_peer(&self, w: &mut Work<'_>, room: &Room) -> Result<Option<(u16, Whom)>, Halt> {
        let cards = self.askable(w, room)?;
        let places: Vec<usize> = (0..cards.len()).collect();
        self.drawn(w, cards, &places)
    }

    pub(super) fn drawn(
        &self,
        w: &mut Work<'_>,
        cards: Vec<ChannelCard>,
        places: &[usize],
    ) -> Result<Option<(u16, Whom)>, Halt> {
        let drawn = w.rng.next_u64() % (places.len() as u64).max(1);
        let Some(at) = places.get(drawn as usize).copied() else { return Ok(None) };
        let whom = cards.into_iter().nth(at).map(Whom::from);
        Ok(whom.map(|whom| (u16::try_from(at).unwrap_or(0), whom)))
    }

    /// A question to a member ended.
    pub(in crate::app) fn member_answered(
        &self,
        w: &mut Work<'_>,
        question: Question,
        outcome: AskOutcome,
    ) -> Result<(), Halt> {
        let (Question::ChannelOps { channel, .. }
        | Question::ChannelPast { channel, .. }
        | Question::ChannelCarded { channel, .. }
        | Question::ChannelCompare { channel, .. }
        | Question::ChannelItems { channel, .. }
        | Question::ChannelBlob { channel, .. }
        | Question::ChannelKeys { channel, .. }
        | Question::ChannelPush { channel, .. }) = question
        else {
            return Ok(());
        };
        let AskOutcome::Answered(bytes) = outcome else { return Ok(()) };
        let Ok(reply) = Reply::decode(&bytes) else { return Ok(()) };
        let Some(id) = self.channel_numbered(w, channel)? else { return Ok(()) };
        let Some(mut room) = self.joined(w, &id)? else { return Ok(()) };
        match question {
            Question::ChannelOps { at, .. } if reply.unknown => self.ask_with_card(w, &mut room, at)?,
            Question::ChannelOps { at, .. } | Question::ChannelCarded { at, .. } => {
                self.ops_came(w, &mut room, at, &reply)?;
            }
            Question::ChannelCompare { at, .. } => self.compared(w, &mut room, at, &reply)?,
            Question::ChannelItems { .. } => {
                let mut moved = false;
                // The first item names the topic: the answer repeats it in its message.
                if let Ok(topic) = <[u8; 32]>::try_from(reply.message.as_slice()) {
                    for item in reply.items {
                        moved |= self.item_in(w, &mut room, &topic, item)?;
                    }
                }
                if moved {
                    self.wake_waiting(w, &mut room)?;
                }
                if reply.more {
                    self.compare_soon(w, &room.row)?;
                }
            }
            Question::ChannelBlob { op, .. } => self.blob_came(w, &mut room, op, &reply)?,
            Question::ChannelPast { at, .. } => self.past_came(w, &mut room, at, &reply)?,
            Question::ChannelKeys { old, .. } => self.keys_came(w, &mut room, &reply, old)?,
            _ => {}
        }
        self.settle(w, &mut room)?;
        self.close(w, room)
    }

    /// Asks a member for operations that does not know this device's card.
    fn ask_with_card(&self, w: &mut Work<'_>, room: &mut Room, at: u16) -> Result<(), Halt> {
        let (Some(whom), card) = (self.whom(w, room, at)?, self.own_card(w, &mut room.row)?) else { return Ok(()) };
        let ask = self.wants_ops(w, room, card)?;
        self.ask_member(w, Question::ChannelCarded { channel: room.row.number, at }, &whom, &ask);
        Ok(())
    }

    fn ops_came(&self, w: &mut Work<'_>, room: &mut Room, at: u16, reply: &Reply) -> Result<(), Halt> {
        let mut moved = false;
        for item in &reply.items {
            let Some(parcel) = self.open_parcel(room, item) else { continue };
            moved |= self.parcel_in(w, room, &parcel)?.0;
        }
        if moved {
            self.wake_waiting(w, room)?;
            if reply.more
                && let Some(whom) = self.whom(w, room, at)?
            {
                let ask = self.wants_ops(w, room, None)?;
                self.ask_member(w, Question::ChannelOps { channel: room.row.number, at }, &whom, &ask);
            }
        }
        Ok(())
    }

    /// Opens a parcel under whichever lineage and epoch it is of.
    pub(super) fn open_parcel(&self, room: &mut Room, item: &[u8]) -> Option<Parcel> {
        let frame = Frame::decode(item).ok()?;
        let header = room.ring.lineages().find_map(|(_, keys)| frame.header(keys).ok())?;
        let keys = room.keys(&header.epoch)?;
        Parcel::open(&frame, &room.row.channel, &header.epoch, &keys).ok()
    }

    fn compared(&self, w: &mut Work<'_>, room: &mut Room, at: u16, reply: &Reply) -> Result<(), Halt> {
        let Some((topic, message)) = reply.message.split_first_chunk::<32>() else { return Ok(()) };
        let Some(whom) = self.whom(w, room, at)? else { return Ok(()) };
        if w.get::<TopicRow>(&TopicRow::key_of(topic))?.is_none_or(|t| t.channel != room.row.channel) {
            return Ok(());
        }
        let mut state = self.comparison(w, topic)?;
        state.set_initiator();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let Ok(next) = state.reconcile_with_ids(message, &mut have, &mut need) else { return Ok(()) };
        // They come in no order, and what a node does follows from what it was told alone.
        have.sort_unstable_by_key(|id| *id.as_bytes());
        need.sort_unstable_by_key(|id| *id.as_bytes());
        let number = room.row.number;
        let ended = next.is_none();
        self.compared_with(w, room, topic, |item| have.iter().any(|id| id.as_bytes() == item), ended)?;
        if let Some(message) = next {
            let ask = Ask::Reconcile { topic: *topic, message };
            self.ask_member(w, Question::ChannelCompare { channel: number, at }, &whom, &ask);
        }
        for ids in need.chunks(ITEMS_AT_ONCE) {
            let ids = ids.iter().map(|id| *id.as_bytes()).collect();
            self.ask_member(
                w,
                Question::ChannelItems { channel: number, at },
                &whom,
                &Ask::Items { topic: *topic, ids },
            );
        }
        let mut page: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        for id in have {
            let Some(item) = w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(topic, id.as_bytes()))? else {
                continue;
            };
            let full = bytes + item.bytes.len() > PAGE_BYTES || page.len() >= SYNC_ITEMS_MAX;
            if full && !page.is_empty() {
                let items = std::mem::take(&mut page);
                self.ask_member(
                    w,
                    Question::ChannelPush { channel: number, at },
                    &whom,
                    &Ask::Push { topic: *topic, items },
                );
                bytes = 0;
            }
            bytes += item.bytes.len();
            page.push(item.bytes);
        }
        if !page.is_empty() {
            self.ask_member(
                w,
                Question::ChannelPush { channel: number, at },
                &whom,
                &Ask::Push { topic: *topic, items: page },
            );
        }
        Ok(())
    }

    /// Writes what a lineage needs to be found by its topic.
    pub(super) fn settle_topic(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let channel = room.row.channel;
        for (lineage, keys) in room.ring.lineages() {
            let topic = keys.topic();
            if w.get::<TopicRow>(&TopicRow::key_of(&topic))?.is_none() {
                let replaced = (topic != room.row.topic).then_some(w.now);
                w.put(&TopicRow { topic, channel, lineage: *lineage, replaced })?;
            }
        }
        Ok(())
    }

    /// Another member asks.
    pub(in crate::app) fn member_asks(
        &self,
        w: &mut Work<'_>,
        token: MemberToken,
        from: &PeerName,
        request: &[u8],
    ) -> Result<(), Halt> {
        let reply = match Ask::decode(request) {
            Ok(ask) => self.reply_to(w, ask, from)?,
            Err(_) => {
                w.effects().net.push(NetCommand::Fault { peer: from.clone() });
                Reply::default()
            }
        };
        w.effects().net.push(NetCommand::AnswerMember { token, answer: reply.encode() });
        Ok(())
    }

    fn reply_to(&self, w: &mut Work<'_>, ask: Ask, from: &PeerName) -> Result<Reply, Halt> {
        let topics = match &ask {
            Ask::Join { request } => return self.join_asked(w, request),
            Ask::Push { topic, .. }
            | Ask::Reconcile { topic, .. }
            | Ask::Items { topic, .. }
            | Ask::History { topic, .. } => std::slice::from_ref(topic),
            Ask::Ops { topics, .. } | Ask::Blob { topics, .. } | Ask::Keys { topics, .. } => topics,
        };
        let unknown = Reply { unknown: true, ..Reply::default() };
        let mut found = None;
        for topic in topics {
            found = w.get::<TopicRow>(&TopicRow::key_of(topic))?;
            if found.is_some() {
                break;
            }
        }
        let Some(TopicRow { topic, channel, .. }) = found else { return Ok(unknown) };
        let Some(mut room) = self.joined(w, &channel)? else { return Ok(unknown) };
        let reply = match ask {
            Ask::Push { items, .. } => {
                let mut moved = false;
                for item in items {
                    moved |= self.item_in(w, &mut room, &topic, item)?;
                }
                if moved {
                    self.wake_waiting(w, &mut room)?;
                }
                self.settle(w, &mut room)?;
                Reply::default()
            }
            Ask::Reconcile { message, .. } => {
                let mut state = self.comparison(w, &topic)?;
                match state.reconcile(&message) {
                    Ok(answer) => Reply { message: [topic.as_slice(), &answer].concat(), ..Reply::default() },
                    Err(_) => Reply::default(),
                }
            }
            Ask::Items { ids, .. } => {
                let mut reply = Reply { message: topic.to_vec(), ..Reply::default() };
                let mut bytes = 0;
                let mut given = Vec::new();
                for id in ids {
                    let Some(item) = w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(&topic, &id))? else {
                        continue;
                    };
                    bytes += item.bytes.len();
                    if bytes > 2 * PAGE_BYTES {
                        reply.more = true;
                        break;
                    }
                    given.push(id);
                    reply.items.push(item.bytes);
                }
                self.handed(w, &room, "a member fetched it", |leaving| given.contains(&leaving.item))?;
                reply
            }
            Ask::Ops { heads, admission, epochs, card, .. } => {
                if let Some(card) = &card {
                    self.card_in(w, &room, card)?;
                }
                match self.member_at(w, &room, from)? {
                    // What it can read follows from who it is.
                    None if card.is_none() && admission.is_none() => unknown,
                    asker => {
                        let readable = asker.and_then(|asker| Self::readable(&mut room, &epochs, asker));
                        self.ops_for(w, &mut room, &heads, admission, readable)?
                    }
                }
            }
            Ask::Blob { op, places, .. } => {
                let mut reply = Reply::default();
                for place in places {
                    let key = ChannelBlobItem::key_of(op.as_bytes(), place);
                    reply.items.extend(w.get::<ChannelBlobItem>(&key)?.map(|row| row.item));
                }
                reply
            }
            Ask::Keys { epoch, card, .. } => self.hand_keys(w, &mut room, &epoch, &card)?,
            Ask::History { before, .. } => self.past_for(w, &mut room, from, before)?,
            Ask::Join { .. } => Reply::default(),
        };
        self.close(w, room)?;
        Ok(reply)
    }

    /// Gives the operations that are not in the past of what the asker has, each under the epoch that was in force before
    /// it; to a newcomer all before its admission, under the epoch that this made.
    fn ops_for(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        heads: &[OpId],
        admission: Option<OpId>,
        readable: Option<EpochId>,
    ) -> Result<Reply, Halt> {
        let known: Vec<usize> = heads.iter().filter_map(|head| room.graph.position(head)).collect();
        let lacking = room.graph.not_in_past(&known);
        let newcomer = admission.and_then(|id| room.graph.position(&id));
        let mut reply = Reply::default();
        let mut bytes = 0usize;
        let channel = room.row.channel;
        // Operations that are sealed alike stand together.
        let mut sealed: Vec<(Vec<EpochId>, Vec<Vec<u8>>)> = Vec::new();
        for at in lacking {
            let Some(op) = room.graph.ops().get(at).cloned() else { continue };
            let under = match newcomer {
                Some(admitted) if at == admitted || room.graph.is_before(at, admitted) => {
                    room.epochs.behind(admitted).into_iter().collect()
                }
                // What came after is read as by everybody.
                _ => match room.epochs.before_op(&room.graph, at) {
                    Some(epoch) if room.epochs.is_anchored(&epoch) => vec![epoch],
                    Some(epoch) => room.epochs.parts(&epoch),
                    None => continue,
                },
            };
            let under = match readable {
                Some(epoch) => vec![epoch],
                None => self.keyed(room, at, under),
            };
            let encoded = op.encode();
            bytes += encoded.len();
            if bytes > 2 * PAGE_BYTES {
                reply.more = true;
                break;
            }
            match sealed.last_mut() {
                Some((of, ops)) if *of == under => ops.push(encoded),
                _ => sealed.push((under, vec![encoded])),
            }
        }
        for (under, ops) in sealed {
            for epoch in under {
                let (Some(keys), Some((_, lineage))) = (room.keys(&epoch), room.lineage(&epoch)) else { continue };
                for parcel in Parcel::cut(ops.iter().cloned()) {
                    if let Ok(item) = parcel.seal(&channel, &lineage, (epoch, &keys), slot_of(w.now), w.rng) {
                        reply.items.push(item);
                    }
                }
            }
        }
        reply.items.retain(|item| item.len() <= CHANNEL_FRAME_MAX);
        Ok(reply)
    }

    /// A member that is on the other end of a connection, by what its card says.
    pub(super) fn member_at(&self, w: &Work<'_>, room: &Room, peer: &PeerName) -> Result<Option<DeviceId>, Halt> {
        Ok(self.askable(w, room)?.into_iter().find(|card| card.peer == peer.0).map(|card| card.device))
    }

    /// The first epoch that a member names, that it may have the keys of, and whose keys are here too (R-CHAN-26).
    fn readable(room: &mut Room, epochs: &[EpochId], asker: DeviceId) -> Option<EpochId> {
        let asker = BTreeSet::from([asker]);
        epochs.iter().copied().find(|epoch| room.epochs.any_can_derive(epoch, &asker) && room.keys(epoch).is_some())
    }

    /// Where nobody was given the keys that an operation should be sealed under, they were made anew by now: what did that
    /// was told under an older epoch (R-EPOCH-11).
    fn keyed(&self, room: &mut Room, at: usize, under: Vec<EpochId>) -> Vec<EpochId> {
        if room.epoch().is_none() || under.iter().any(|epoch| room.keys(epoch).is_some()) {
            return under;
        }
        room.newest_epoch(at).into_iter().collect()
    }

    /// A peer came up: channels with members there are compared at once.
    pub(in crate::app) fn member_up(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        for row in w.rows().group::<ChannelRow>(ChannelRow::GROUP)? {
            if row.membership != Membership::Joined {
                continue;
            }
            let cards = w.rows().group::<ChannelCard>(row.channel.as_bytes())?;
            if cards.iter().any(|card| card.peer == peer) {
                let soon: Timestamp = w.now.plus_millis(SOON_MS / 10);
                w.schedule(soon, DueWhat::Channel(row.number))?;
            }
        }
        Ok(())
    }
}
