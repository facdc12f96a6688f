//! What a member does about a channel: operations signed, stored and spread. Must not know how they travel.

use super::{Room, refused};
use crate::{
    api::error::{Code, UserError},
    app::{
        App, Scan as _,
        work::{Halt, Work},
    },
    net::NetCommand,
};
use kith_protocol::{
    AccountId, ChannelId, DeviceId, LeafKeyId, MessageId,
    channel::{
        Act, Card, Cutoff, EpochId, EpochKeys, Epochs, Fresh, Gate, Graph, KeyRing, Name, Op, OpAuthor, OpId, Parcel,
        Permission, Removal,
        blob::{Blob, EpochSecrets, recipients_digest},
        slot_of,
    },
    crypto::hpke::{LeafPublic, LeafSecret},
};
use kith_store::table::{
    ChannelBlobItem, ChannelCard, ChannelItem, ChannelItemBytes, ChannelLeaf, ChannelOp, ChannelRow, DueWhat,
    Membership, TopicRow,
};
use rand_core::Rng as _;
use std::collections::{BTreeMap, BTreeSet};

/// How soon after a change a channel is compared with another member, in milliseconds.
pub(super) const SOON_MS: u64 = 1_500;
/// How soon after invites or members changed the records that lead here are made anew, in milliseconds.
const PUBLISH_MS: u64 = 500;
/// Milliseconds that the topic of an old lineage is followed after the keys were made anew.
const OLD_TOPIC_MS: u64 = 10 * 60_000;
/// Milliseconds after which keys are made anew.
const ROTATE_MS: u64 = 7 * 86_400_000;
/// Messages after which they are.
const ROTATE_MESSAGES: u64 = 5_000;

impl App {
    /// Makes a channel.
    pub(super) fn channel_create(&self, w: &mut Work<'_>, name: &str) -> Result<Room, Halt> {
        let name = Name::parse(name).map_err(|error| {
            UserError::new(Code::BadName, error.to_string()).hint("kith channel create 'reading circle'")
        })?;
        let mut nonce = [0; 32];
        w.rng.fill_bytes(&mut nonce);
        let leaf = LeafSecret::random(w.rng);
        let secrets = EpochSecrets::random(w.rng);
        let public = leaf.public();
        let (fresh, blob) = self.seal_fresh(w, None, &[], &BTreeMap::from([(self.me.device, public)]), &secrets)?;
        let act = Act::Create { nonce, devices: self.me.log.clone(), name, fresh };
        let author = OpAuthor { account: self.me.account, device: self.me.device, key: self.me.secrets.sign() };
        let op = Op::sign(&author, None, &[], w.now, &act).map_err(|_| UserError::internal("an operation"))?;
        let (bytes, id) = (op.encode(), op.id());
        let graph = Graph::create(op).map_err(|_| UserError::internal("a channel's first operation"))?;
        let epochs = Epochs::of(&graph);
        let channel = graph.channel();
        let mut ring = KeyRing::default();
        if let Some((epoch, of)) = epochs.current().and_then(|id| epochs.get(&id).map(|of| (id, of))) {
            ring.insert_fresh(epoch, of, &secrets);
        }
        w.put(&ChannelOp { channel, place: 0, op: bytes })?;
        self.keep_blob(w, &id, &blob)?;
        self.keep_leaf(w, &channel, &leaf)?;
        let row = self.new_row(w, channel, &id)?;
        let mut room = Room { row, graph, epochs, ring };
        self.settle(w, &mut room)?;
        self.tell_card(w, &mut room)?;
        Ok(room)
    }

    /// A row for a channel that one comes into.
    pub(super) fn new_row(&self, w: &Work<'_>, channel: ChannelId, first: &OpId) -> Result<ChannelRow, Halt> {
        let rows = w.rows().group::<ChannelRow>(ChannelRow::GROUP)?;
        let number = rows.iter().map(|row| row.number).max().unwrap_or(0) + 1;
        Ok(ChannelRow {
            channel,
            number,
            membership: Membership::Joined,
            ops: 1,
            last_op: *first.as_bytes(),
            sequence: 0,
            last_message: None,
            sending: None,
            topic: [0; 32],
            card: 0,
            fresh_at: w.now,
            since_fresh: 0,
            since: w.now,
            muted: false,
            asked: 0,
            past: None,
        })
    }

    pub(super) fn keep_leaf(&self, w: &mut Work<'_>, channel: &ChannelId, leaf: &LeafSecret) -> Result<(), Halt> {
        let id = *LeafKeyId::of(&leaf.public()).as_bytes();
        w.put(&ChannelLeaf { channel: *channel, id, seed: *leaf.to_seed().as_bytes(), at: w.now })
    }

    /// The newest own leaf key of a channel.
    pub(super) fn own_leaf(&self, w: &Work<'_>, channel: &ChannelId) -> Result<Option<LeafSecret>, Halt> {
        let rows = w.rows().group::<ChannelLeaf>(channel.as_bytes())?;
        let newest = rows.into_iter().max_by_key(|leaf| leaf.at);
        Ok(newest.map(|leaf| LeafSecret::from_seed(kith_protocol::crypto::Secret::new(leaf.seed))))
    }

    fn keep_blob(&self, w: &mut Work<'_>, op: &OpId, blob: &Blob) -> Result<(), Halt> {
        for (place, item) in (0..).zip(&blob.items) {
            w.put(&ChannelBlobItem { op: *op.as_bytes(), place, item: item.encode() })?;
        }
        Ok(())
    }

    fn seal_fresh(
        &self,
        w: &mut Work<'_>,
        channel: Option<&ChannelId>,
        parents: &[OpId],
        to: &BTreeMap<DeviceId, LeafPublic>,
        secrets: &EpochSecrets,
    ) -> Result<(Fresh, Blob), Halt> {
        let mut nonce = [0; 16];
        w.rng.fill_bytes(&mut nonce);
        let devices: BTreeSet<DeviceId> = to.keys().copied().collect();
        let (commit, recipients) = (secrets.commit(), recipients_digest(&devices));
        let context = Op::rekey_context(channel, &self.me.device, parents, &nonce, &commit, &recipients);
        let keys: BTreeMap<DeviceId, &LeafPublic> = to.iter().map(|(device, key)| (*device, key)).collect();
        let blob = Blob::seal(&context, &keys, secrets, w.rng)
            .map_err(|_| UserError::internal("new keys could not be sealed"))?;
        let fresh = Fresh { nonce, commit, recipients, items: blob.pins.count, root: blob.pins.root };
        Ok((fresh, blob))
    }

    /// Does something whose operation needs no new keys.
    pub(super) fn act(&self, w: &mut Work<'_>, room: &mut Room, act: &Act) -> Result<OpId, Halt> {
        let before = self.common_epoch(w, room)?;
        let allowed = room.graph.allow(self.me.account, self.me.device, act, w.now).map_err(refused)?;
        let op = allowed.sign(self.me.secrets.sign()).map_err(|_| UserError::internal("an operation"))?;
        self.spread_op(w, room, op, before)
    }

    /// Does something that makes the keys anew, for everybody who remains.
    pub(super) fn act_fresh(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        with: impl Fn(Fresh) -> Act,
    ) -> Result<OpId, Halt> {
        let before = self.epoch_before(w, room)?;
        let blank = Fresh { nonce: [0; 16], commit: [0; 32], recipients: [0; 32], items: 0, root: [0; 32] };
        let parents = room.graph.front();
        let devices = room.graph.recipients_after(&with(blank.clone()));
        let mut to = BTreeMap::new();
        for device in devices {
            let key = self.leaf_of(w, room, &device)?;
            to.insert(device, key);
        }
        // Asked before anything costly is done, and again for what is signed.
        drop(room.graph.allow(self.me.account, self.me.device, &with(blank), w.now).map_err(refused)?);
        let secrets = EpochSecrets::random(w.rng);
        let (fresh, blob) = self.seal_fresh(w, Some(&room.row.channel), &parents, &to, &secrets)?;
        let act = with(fresh);
        let allowed = room.graph.allow(self.me.account, self.me.device, &act, w.now).map_err(refused)?;
        let op = allowed.sign(self.me.secrets.sign()).map_err(|_| UserError::internal("an operation"))?;
        let id = op.id();
        self.keep_blob(w, &id, &blob)?;
        let (epoch, keys) = before.clone();
        let at = self.spread_op(w, room, op, before)?;
        self.leave_blob(w, room, id, &blob, (epoch, &keys))?;
        if let Some(epoch) = room.graph.position(&id).and_then(|at| room.epochs.behind(at))
            && let Some(of) = room.epochs.get(&epoch)
        {
            room.ring.insert_fresh(epoch, of, &secrets);
        }
        room.row.fresh_at = w.now;
        room.row.since_fresh = 0;
        self.settle(w, room)?;
        Ok(at)
    }

    /// The epoch that keys made anew are told under: the one in force, or where its keys never came the newest that did.
    fn epoch_before(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(EpochId, EpochKeys), Halt> {
        if room.epoch().is_some() {
            return self.common_epoch(w, room);
        }
        let newest = room.newest_epoch(room.graph.ops().len());
        let found = newest.and_then(|epoch| room.keys(&epoch).map(|keys| (epoch, keys)));
        found.ok_or_else(|| keys_missing().into())
    }

    /// The leaf key of a member's device. One whose card is not known yet gets an item that nobody opens; it asks for the
    /// keys once it sees that.
    fn leaf_of(&self, w: &mut Work<'_>, room: &Room, device: &DeviceId) -> Result<LeafPublic, Halt> {
        if *device == self.me.device
            && let Some(leaf) = self.own_leaf(w, &room.row.channel)?
        {
            return Ok(leaf.public());
        }
        let card = w.get::<ChannelCard>(&ChannelCard::key_of(&room.row.channel, device))?;
        let known = card.and_then(|card| LeafPublic::parse(&card.leaf).ok());
        Ok(known.unwrap_or_else(|| LeafSecret::random(w.rng).public()))
    }

    /// The epoch in force, known to everybody who knows the operations. One that joins heads for the first time is not:
    /// an operation that does nothing follows them first, under each of the epochs that it joins (R-EPOCH-10, R-CHAN-20).
    pub(super) fn common_epoch(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(EpochId, EpochKeys), Halt> {
        let Some((epoch, keys)) = room.epoch() else { return Err(keys_missing().into()) };
        if room.epochs.is_anchored(&epoch) {
            return Ok((epoch, keys));
        }
        let act = Act::EpochGrant { device: self.me.device, epochs: Vec::new() };
        let allowed = room.graph.allow(self.me.account, self.me.device, &act, w.now).map_err(refused)?;
        let op = allowed.sign(self.me.secrets.sign()).map_err(|_| UserError::internal("an operation"))?;
        let bytes = op.encode();
        self.take_op(w, room, op)?.map_err(|_| UserError::internal("an own operation does not fit"))?;
        let parcel = Parcel { ops: vec![bytes], ..Parcel::default() };
        for part in room.epochs.parts(&epoch) {
            if let Some(keys) = room.keys(&part) {
                self.spread_parcel(w, room, &parcel, (part, keys))?;
            }
        }
        Ok((epoch, keys))
    }

    fn spread_op(&self, w: &mut Work<'_>, room: &mut Room, op: Op, before: (EpochId, EpochKeys)) -> Result<OpId, Halt> {
        let (bytes, id) = (op.encode(), op.id());
        self.take_op(w, room, op)?.map_err(|_| UserError::internal("an own operation does not fit"))?;
        let parcel = Parcel { ops: vec![bytes], ..Parcel::default() };
        self.spread_parcel(w, room, &parcel, before)?;
        self.settle(w, room)?;
        Ok(id)
    }

    pub(super) fn spread_parcel(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        parcel: &Parcel,
        (epoch, keys): (EpochId, EpochKeys),
    ) -> Result<(), Halt> {
        let Some((_, lineage)) = room.lineage(&epoch) else { return Ok(()) };
        let sealed = parcel.seal(&room.row.channel, &lineage, (epoch, &keys), slot_of(w.now), w.rng);
        match sealed {
            Ok(item) => self.spread(w, room, lineage.topic(), item, None),
            Err(error) => {
                tracing::error!(%error, "a parcel could not be sealed");
                Ok(())
            }
        }
    }

    /// Stores an item of one's own, lets it out, and looks soon whether others have it.
    pub(super) fn spread(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        topic: [u8; 32],
        item: Vec<u8>,
        message: Option<MessageId>,
    ) -> Result<(), Halt> {
        self.put_out(w, &room.row, topic, item, message)?;
        self.compare_soon(w, &room.row)
    }

    /// Stores an item of one's own and lets it out.
    pub(super) fn put_out(
        &self,
        w: &mut Work<'_>,
        row: &ChannelRow,
        topic: [u8; 32],
        item: Vec<u8>,
        message: Option<MessageId>,
    ) -> Result<(), Halt> {
        let id = kith_protocol::crypto::kdf::sha256(&[&item]);
        w.put(&ChannelItem { topic, slot: slot_of(w.now), id, at: w.now })?;
        w.put(&ChannelItemBytes { topic, id, bytes: item.clone() })?;
        self.leave_item(w, &row.channel, &topic, &id, message)?;
        w.effects().net.push(NetCommand::ChannelPublish { topic, frame: item });
        Ok(())
    }

    /// Compares a channel with another member soon.
    pub(super) fn compare_soon(&self, w: &mut Work<'_>, row: &ChannelRow) -> Result<(), Halt> {
        w.schedule(w.now.plus_millis(SOON_MS), DueWhat::Channel(row.number))
    }

    /// Tells the others how this device is reached and sealed to.
    pub(super) fn tell_card(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let Some(card) = self.own_card(w, &mut room.row)? else { return Ok(()) };
        if room.epoch().is_none() {
            return Ok(());
        }
        let before = self.common_epoch(w, room)?;
        self.spread_parcel(w, room, &Parcel { cards: vec![card], ..Parcel::default() }, before)
    }

    /// Makes a new card of this device.
    pub(super) fn own_card(&self, w: &mut Work<'_>, row: &mut ChannelRow) -> Result<Option<Vec<u8>>, Halt> {
        let profile = self.profile(w)?;
        let Some(leaf) = self.own_leaf(w, &row.channel)? else { return Ok(None) };
        if profile.peer.is_empty() {
            return Ok(None);
        }
        row.card = (row.card + 1).max(w.now.as_millis());
        let addresses: Vec<String> =
            profile.addresses.iter().take(kith_protocol::limits::CARD_ADDRESSES_MAX).cloned().collect();
        let name = self.nick(w, &row.channel)?.unwrap_or(profile.name);
        let card = Card {
            channel: row.channel,
            account: self.me.account,
            device: self.me.device,
            sequence: row.card,
            leaf: leaf.public(),
            peer_id: profile.peer.as_bytes().to_vec(),
            addresses: addresses.clone(),
            name: name.clone(),
        };
        let bytes = card.sign(&self.me.secrets);
        w.put(&ChannelCard {
            channel: row.channel,
            device: self.me.device,
            sequence: row.card,
            peer: profile.peer.clone(),
            addresses,
            name,
            leaf: leaf.public().as_bytes().to_vec(),
            card: bytes.clone(),
        })?;
        Ok(Some(bytes))
    }

    /// Puts somebody out.
    pub(super) fn member_remove(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        account: AccountId,
        ban: bool,
        reason: &str,
    ) -> Result<(), Halt> {
        let mut cutoffs = Vec::new();
        if let Some(standing) = room.graph.standing(&account, w.now) {
            for device in standing.devices {
                cutoffs.extend(self.cutoffs_of(w, room, &device.id)?);
            }
        }
        cutoffs.sort_unstable();
        cutoffs.truncate(kith_protocol::limits::CUTOFFS_MAX);
        self.act_fresh(w, room, |fresh| {
            Act::Remove(Removal {
                account,
                ban,
                reason: reason.to_owned(),
                cutoffs: cutoffs.clone(),
                fresh: Some(fresh),
            })
        })
        .map(drop)
    }

    /// The last message of a device in each epoch, as this device saw it.
    fn cutoffs_of(&self, w: &Work<'_>, room: &Room, device: &DeviceId) -> Result<Vec<Cutoff>, Halt> {
        let mut found = Vec::new();
        for (epoch, _) in room.ring.epochs() {
            let senders = room.epochs.senders(epoch);
            let Ok(place) = senders.binary_search(device) else { continue };
            let Ok(place) = u32::try_from(place) else { continue };
            let chain =
                w.get::<kith_store::table::ChannelChain>(&kith_store::table::ChannelChain::key_of(epoch, place))?;
            let next = chain.map(|row| kith_protocol::channel::Chain::from_stored(&row.chain).next());
            if let Some(last) = next.and_then(|next| next.checked_sub(1)) {
                found.push(Cutoff { device: *device, epoch: *epoch.as_bytes(), generation: last });
            }
        }
        Ok(found)
    }

    /// Makes sure that something may be sent now: makes the keys anew where the gate asks for it.
    pub(super) fn pass_gate(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        for _ in 0..2 {
            match room.epochs.gate(&room.graph) {
                Some(Gate::Open(epoch)) => {
                    if room.keys(&epoch).is_none() {
                        return Err(keys_missing().into());
                    }
                    return self.rotate(w, room);
                }
                // Fresh keys for everybody who belongs also serve those who lack a part of the present ones.
                Some(Gate::Tainted(_) | Gate::Lacking(..)) => {
                    if room.epoch().is_none() {
                        return Err(keys_missing().into());
                    }
                    self.act_fresh(w, room, |fresh| Act::Rekey { emergency: false, fresh })?;
                }
                None => return Err(keys_missing().into()),
            }
        }
        Err(keys_missing().into())
    }

    /// Makes the keys anew where they served for long enough, if this member may.
    fn rotate(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let old = w.now.millis_since(room.row.fresh_at) >= ROTATE_MS || room.row.since_fresh >= ROTATE_MESSAGES;
        if old && room.graph.permissions(&self.me.account, w.now).has(Permission::Rekey) {
            self.act_fresh(w, room, |fresh| Act::Rekey { emergency: false, fresh })?;
        }
        Ok(())
    }

    /// Makes the keys anew where nothing could be said as it is, or where they served for long: one of the members does it,
    /// by chance, so that the next who says something need not.
    pub(super) fn heal(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let others = room.graph.members().count() as u64;
        let mine = w.rng.next_u64().is_multiple_of(1 + others / 3);
        let may = room.graph.permissions(&self.me.account, w.now).has(Permission::Rekey);
        let withheld = self.keys_withheld(w, room)?;
        if !mine || !may || room.epoch().is_none() && !withheld {
            return Ok(());
        }
        let healed = if withheld {
            self.act_fresh(w, room, |fresh| Act::Rekey { emergency: false, fresh }).map(drop)
        } else {
            self.pass_gate(w, room)
        };
        match healed {
            // Another moment, or another member.
            Err(Halt::User(_)) => Ok(()),
            done => done,
        }
    }

    /// Brings everything that follows from operations and keys in line with them.
    pub(super) fn settle(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let member = room.graph.is_member(&self.me.account);
        if !member && room.row.membership == Membership::Joined {
            room.row.membership = Membership::Removed;
            room.row.sending = None;
            w.effects().net.push(NetCommand::ChannelLeave { topic: room.row.topic });
            return self.tell_channel(w, room);
        }
        if let Some((epoch, _)) = room.epoch()
            && let Some((_, lineage)) = room.lineage(&epoch)
            && lineage.topic() != room.row.topic
        {
            self.follow(w, room, &lineage)?;
        }
        Ok(())
    }

    /// Publishes how this node is reached, and where invites lead, as soon as what goes on is over.
    pub(super) fn publish_soon(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let mut profile = self.profile(w)?;
        profile.published_at = None;
        w.put(&profile)?;
        w.schedule(w.now.plus_millis(PUBLISH_MS), DueWhat::Housekeeping)
    }

    fn follow(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        lineage: &kith_protocol::channel::LineageKeys,
    ) -> Result<(), Halt> {
        let old = std::mem::replace(&mut room.row.topic, lineage.topic());
        if let Some(mut row) = w.get::<TopicRow>(&TopicRow::key_of(&old))? {
            row.replaced = Some(w.now);
            w.put(&row)?;
            // The daemon leaves the old topic when the channel is compared next after that.
            w.schedule(w.now.plus_millis(OLD_TOPIC_MS), DueWhat::Channel(room.row.number))?;
        }
        room.row.fresh_at = w.now;
        room.row.since_fresh = 0;
        w.effects().net.push(NetCommand::ChannelFollow { topic: lineage.topic(), keys: vec![lineage.gate()] });
        self.settle_topic(w, room)?;
        if let Some(row) = w.get::<TopicRow>(&TopicRow::key_of(&lineage.topic()))? {
            w.put(&TopicRow { replaced: None, ..row })?;
        }
        self.mailboxes_follow(w, room)
    }

    /// Leaves topics whose lineage was replaced long enough ago.
    pub(super) fn leave_old_topics(&self, w: &mut Work<'_>, channel: &ChannelRow) -> Result<(), Halt> {
        for row in w.rows().group::<TopicRow>(TopicRow::GROUP)? {
            let old = row.replaced.is_some_and(|at| w.now.millis_since(at) >= OLD_TOPIC_MS);
            if row.channel == channel.channel && row.topic != channel.topic && old {
                w.effects().net.push(NetCommand::ChannelLeave { topic: row.topic });
            }
        }
        Ok(())
    }

    /// Follows the topics of all channels again, after a start.
    pub(in crate::app) fn channels_start(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for row in w.rows().group::<ChannelRow>(ChannelRow::GROUP)? {
            if row.membership != Membership::Joined {
                continue;
            }
            let topic = w.get::<TopicRow>(&TopicRow::key_of(&row.topic))?;
            let lineage = match topic {
                Some(topic) => w.get::<kith_store::table::ChannelLineage>(
                    &kith_store::table::ChannelLineage::key_of(&row.channel, &topic.lineage),
                )?,
                None => None,
            };
            if let Some(lineage) = lineage {
                let keys = kith_protocol::channel::LineageKeys::from_stored(&lineage.keys);
                w.effects().net.push(NetCommand::ChannelFollow { topic: row.topic, keys: vec![keys.gate()] });
            }
            self.compare_soon(w, &row)?;
        }
        self.mailboxes_start(w)?;
        self.joins_start(w)
    }
}

/// Says that keys which were made anew are still on their way.
pub(super) fn keys_missing() -> UserError {
    UserError::new(Code::KeysOnTheirWay, "the channel's newest keys are not here yet")
        .hint("they come when a member who has them is reached; try again then")
}
