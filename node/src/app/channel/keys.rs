//! How a device comes to the keys that were made for it: asked of who made them or of whoever has them, checked, and handed
//! on. Must not know how operations and items travel.

use super::{Room, caught::Offence, sync::Whom};
use crate::app::{
    App, Scan as _,
    asking::Question,
    work::{Halt, Work},
};
use kith_protocol::crypto::hpke::{LeafPublic, LeafSecret};
use kith_protocol::{
    DeviceId,
    channel::{
        Act, EpochId, OpId, Origin, SignedCard, Welcome,
        blob::{Item, ItemError, Pins, PlacedItem},
        sync::{Ask, Reply},
    },
    crypto::Secret,
};
use kith_store::table::{ChannelBlobItem, ChannelCard, ChannelLeaf, ChannelUnread};
use rand_core::Rng as _;
use std::collections::BTreeSet;

/// Rekeys whose keys are asked for at once.
const KEYS_AT_ONCE: usize = 8;
/// Every how many times, on average, that its author is asked for keys somebody else is asked too.
const AUTHOR_AWAY: u64 = 4;
/// Operations whose epochs are derived when keys come.
const FOLLOWING: usize = 256;

impl App {
    /// Asks for the keys of epochs that were sealed to this device and did not come yet.
    pub(super) fn want_keys(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let Some(current) = room.epochs.current() else { return Ok(()) };
        let lacks = room.keys(&current).is_none();
        // Also those that are over by now: something was said under them.
        let mut fresh: BTreeSet<usize> = (0..room.graph.ops().len()).rev().take(FOLLOWING).collect();
        fresh.retain(|at| {
            self.is_for_me(room, *at) && room.epochs.behind(*at).is_some_and(|e| room.ring.get(&e).is_none())
        });
        let mut stack = vec![current];
        while let Some(id) = stack.pop().filter(|_| lacks) {
            match room.epochs.get(&id).map(|epoch| epoch.origin.clone()) {
                _ if room.ring.get(&id).is_some() => {}
                Some(Origin::Derived(parent, _)) => stack.push(parent),
                Some(Origin::Merged(parts)) => stack.extend(parts),
                Some(Origin::Fresh(at)) => drop(fresh.insert(at)),
                None => {}
            }
        }
        let topics = self.known_by(w, &room.row)?;
        let mut wanted: Vec<EpochId> = Vec::new();
        for at in fresh.into_iter().rev().take(KEYS_AT_ONCE) {
            let Some(op) = room.graph.ops().get(at).cloned() else { continue };
            let Some(place) = room.graph.sealed_place(at, &self.me.device) else { continue };
            let author = w.get::<ChannelCard>(&ChannelCard::key_of(&room.row.channel, &op.device()))?;
            let key = ChannelBlobItem::key_of(op.id().as_bytes(), place);
            let mut others = author.is_none() || w.get::<ChannelBlobItem>(&key)?.is_some();
            if let Some(card) = author.filter(|_| !others) {
                let whom = Whom::from(card);
                let ask = Ask::Blob { topics: topics.clone(), op: op.id(), places: vec![place] };
                let question = Question::ChannelBlob { channel: room.row.number, op: at as u16 };
                self.ask_member(w, question, &whom, &ask);
                let topic = Self::topic_of(room, at);
                self.read_mailboxes_again(w, &room.row.channel, &topic)?;
                // Its author may be away for long.
                others = w.rng.next_u64().is_multiple_of(AUTHOR_AWAY);
            }
            // Or the item is sealed to a key that this device does not have, because its author did not know its card.
            wanted.extend(room.epochs.behind(at).filter(|_| others));
        }
        wanted.extend(self.lacking(w, room)?.into_iter().take(KEYS_AT_ONCE));
        if lacks && !wanted.contains(&current) {
            wanted.push(current);
        }
        for epoch in wanted {
            let (Some((_, whom)), Some(card)) = (self.holder(w, room, &epoch)?, self.own_card(w, &mut room.row)?)
            else {
                continue;
            };
            let question = Question::ChannelKeys { channel: room.row.number, old: epoch != current };
            self.ask_member(w, question, &whom, &Ask::Keys { topics: topics.clone(), epoch, card });
        }
        Ok(())
    }

    /// Epochs that something which waits may be sealed under, whose keys are not here although this device was meant to have
    /// them, from the newest on: those that no other one of them leads to.
    fn lacking(&self, w: &Work<'_>, room: &Room) -> Result<Vec<EpochId>, Halt> {
        if w.rows().group::<ChannelUnread>(room.row.channel.as_bytes())?.is_empty() {
            return Ok(Vec::new());
        }
        let me = BTreeSet::from([self.me.device]);
        let behind = (0..room.graph.ops().len()).rev().take(FOLLOWING).filter_map(|at| room.epochs.behind(at));
        let mut lacking: Vec<EpochId> = Vec::new();
        for epoch in behind {
            if room.ring.get(&epoch).is_none() && !lacking.contains(&epoch) && room.epochs.any_can_derive(&epoch, &me) {
                lacking.push(epoch);
            }
        }
        let origin = |id: &EpochId| room.epochs.get(id).map(|epoch| epoch.origin.clone());
        let first = lacking.iter().filter(|id| match origin(id) {
            Some(Origin::Derived(parent, _)) => !lacking.contains(&parent),
            Some(Origin::Merged(parts)) => !parts.iter().any(|part| lacking.contains(part)),
            // What was sealed to this device is asked of who made it.
            Some(Origin::Fresh(_)) | None => false,
        });
        Ok(first.copied().collect())
    }

    /// Draws a member that was given an epoch's keys; any member where none of them can be asked.
    fn holder(&self, w: &mut Work<'_>, room: &Room, epoch: &EpochId) -> Result<Option<(u16, Whom)>, Halt> {
        let holders = room.epochs.holders(epoch);
        let cards = self.askable(w, room)?;
        let mut places: Vec<usize> = (0..cards.len()).collect();
        if cards.iter().any(|card| holders.contains(&card.device)) {
            places.retain(|at| cards.get(*at).is_some_and(|card| holders.contains(&card.device)));
        }
        self.drawn(w, cards, &places)
    }

    /// Whether an operation made keys that were sealed to this device.
    fn is_for_me(&self, room: &Room, at: usize) -> bool {
        let fresh = room.graph.ops().get(at).is_some_and(|op| op.act().fresh().is_some());
        fresh && room.graph.sealed_place(at, &self.me.device).is_some()
    }

    pub(super) fn blob_came(&self, w: &mut Work<'_>, room: &mut Room, op: u16, reply: &Reply) -> Result<(), Halt> {
        let Some(at) = (0..room.graph.ops().len()).rev().find(|at| *at as u16 == op) else { return Ok(()) };
        for bytes in &reply.items {
            self.blob_item_in(w, room, at, bytes)?;
        }
        Ok(())
    }

    /// Takes this device's item of a rekey blob in: the keys of an epoch.
    pub(super) fn blob_item_in(&self, w: &mut Work<'_>, room: &mut Room, at: usize, bytes: &[u8]) -> Result<(), Halt> {
        let Some(op) = room.graph.ops().get(at).cloned() else { return Ok(()) };
        let placed = match self.placed(room, at, bytes) {
            Some((place, Ok(placed))) => {
                w.put(&ChannelBlobItem { op: *op.id().as_bytes(), place, item: bytes.to_vec() })?;
                placed
            }
            Some(_) => return self.caught(w, room, None, Offence::Forged),
            None => return Ok(()),
        };
        let Some(leaf) = self.leaf_for(w, room, &placed)? else { return Ok(()) };
        match placed.open(&self.me.device, &leaf) {
            Ok(secrets) => {
                if let Some(epoch) = room.epochs.behind(at)
                    && let Some(of) = room.epochs.get(&epoch)
                {
                    room.ring.insert_fresh(epoch, of, &secrets);
                    self.keys_are_here(w, room)?;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a member made keys that do not open");
                self.caught(w, room, Some(&op.account()), Offence::Keys)?;
            }
        }
        Ok(())
    }

    /// Checks this device's item of a rekey blob against what its operation pins; nothing where there can be none.
    fn placed(&self, room: &Room, at: usize, bytes: &[u8]) -> Option<(u32, Result<PlacedItem, ItemError>)> {
        let op = room.graph.ops().get(at)?;
        let (fresh, context) = (op.act().fresh()?, op.context()?);
        let pins =
            Pins { context, recipients: fresh.recipients, count: fresh.items, root: fresh.root, commit: fresh.commit };
        let place = room.graph.sealed_place(at, &self.me.device)?;
        Some((place, Item::decode(bytes).ok()?.verify(&pins, place)))
    }

    /// The leaf key that an item is sealed to, if it is one of this device's.
    fn leaf_for(&self, w: &Work<'_>, room: &Room, placed: &PlacedItem) -> Result<Option<LeafSecret>, Halt> {
        let key = ChannelLeaf::key_of(&room.row.channel, placed.leaf_key().as_bytes());
        Ok(w.get::<ChannelLeaf>(&key)?.map(|leaf| LeafSecret::from_seed(Secret::new(leaf.seed))))
    }

    /// Says whether this device's item of a rekey blob is here, sealed to a key that it has, and does not open.
    pub(super) fn does_not_open(&self, w: &Work<'_>, room: &Room, at: usize) -> Result<bool, Halt> {
        let Some(op) = room.graph.ops().get(at) else { return Ok(false) };
        let Some(place) = room.graph.sealed_place(at, &self.me.device) else { return Ok(false) };
        let row = w.get::<ChannelBlobItem>(&ChannelBlobItem::key_of(op.id().as_bytes(), place))?;
        let Some((_, Ok(placed))) = row.and_then(|row| self.placed(room, at, &row.item)) else { return Ok(false) };
        let leaf = self.leaf_for(w, room, &placed)?;
        Ok(leaf.is_some_and(|leaf| placed.open(&self.me.device, &leaf).is_err()))
    }

    pub(super) fn keys_came(&self, w: &mut Work<'_>, room: &mut Room, reply: &Reply, old: bool) -> Result<(), Halt> {
        let Some(bytes) = reply.items.first() else {
            return if old { Ok(()) } else { self.keys_unknown(w, room) };
        };
        for leaf in w.rows().group::<ChannelLeaf>(room.row.channel.as_bytes())? {
            let leaf = LeafSecret::from_seed(Secret::new(leaf.seed));
            let Ok(handed) = Welcome::open(bytes, &room.row.channel, &leaf) else { continue };
            // Taken only for an epoch that is in force here, or whose keys this device was meant to have: nobody can make it
            // send under another.
            let meant = room.epochs.current() == Some(handed.epoch)
                || room.epochs.any_can_derive(&handed.epoch, &BTreeSet::from([self.me.device]));
            if meant
                && room.ring.get(&handed.epoch).is_none()
                && room.epochs.get(&handed.epoch).is_some_and(|e| e.lineage == handed.lineage)
            {
                let topic = handed.lineage_keys.topic();
                room.ring.insert(handed.epoch, handed.keys);
                room.ring.insert_lineage(handed.lineage, handed.lineage_keys);
                self.keys_are_here(w, room)?;
                self.read_again(w, room, &topic)?;
            }
        }
        Ok(())
    }

    fn keys_are_here(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        for at in (0..room.graph.ops().len()).rev().take(FOLLOWING) {
            if let Some(epoch) = room.epochs.behind(at) {
                room.keys(&epoch);
            }
        }
        self.settle_topic(w, room)?;
        self.wake_waiting(w, room)?;
        self.compare_soon(w, &room.row)
    }

    /// Hands keys to a device that belongs and could not open them: of the epoch in force, or of one that it may have.
    pub(super) fn hand_keys(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        epoch: &EpochId,
        card: &[u8],
    ) -> Result<Reply, Halt> {
        let Ok(signed) = SignedCard::decode(card) else { return Ok(Reply::default()) };
        let device: DeviceId = *signed.device();
        let Some(info) = room.graph.device(&device).cloned() else { return Ok(Reply::default()) };
        let Ok(claimed) = signed.verify(&info) else { return Ok(Reply::default()) };
        let member = room.graph.standing(&claimed.account, w.now);
        let belongs = member.is_some_and(|m| m.devices.iter().any(|d| d.id == device));
        let held = room.epochs.any_can_derive(epoch, &BTreeSet::from([device]));
        if !belongs || claimed.channel != room.row.channel || !(held || room.epochs.current() == Some(*epoch)) {
            return Ok(Reply::default());
        }
        let (Some(keys), Some((lineage, lineage_keys))) = (room.keys(epoch), room.lineage(epoch)) else {
            return Ok(Reply::default());
        };
        self.card_in(w, room, card)?;
        if !held {
            // Recorded first, so that everybody can compute who has which keys.
            let act = Act::EpochGrant { device, epochs: vec![*epoch.as_bytes()] };
            if self.act(w, room, &act).is_err() {
                return Ok(Reply::default());
            }
        }
        let op = room.graph.heads().first().copied().unwrap_or(OpId::from_bytes([0; 32]));
        let welcome = Welcome { op, epoch: *epoch, keys, lineage, lineage_keys, cards: Vec::new() };
        let leaf: &LeafPublic = &claimed.leaf;
        let sealed = welcome.seal(&room.row.channel, leaf, w.rng);
        Ok(Reply { items: sealed.into_iter().collect(), ..Reply::default() })
    }
}
