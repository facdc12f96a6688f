//! A channel with all that is known of it, as a step works on it: its row, its graph, its epochs, its keys. Must not know
//! what is done with them.

use crate::app::{
    App, Scan as _,
    work::{Halt, Work},
};
use kith_protocol::{
    ChannelId, Timestamp,
    channel::{Added, EpochId, EpochKeys, Epochs, Graph, KeyRing, LineageId, LineageKeys, Op, OpId},
};
use kith_store::{
    Damage, Error, RawRows,
    table::{ChannelEpoch, ChannelLineage, ChannelOp, ChannelRow, Membership},
};
use std::{cell::RefCell, collections::BTreeMap};

/// Graphs of channels as they were last: folding thousands of operations anew for each message would take long. An entry
/// serves only while it agrees with the row, so that one that a dropped step left behind is not used.
#[derive(Default)]
pub(in crate::app) struct Rooms(RefCell<BTreeMap<ChannelId, (Graph, Epochs)>>);

/// Channels whose graphs are kept; the others are folded when they are needed.
const KEPT_MAX: usize = 128;

/// A channel as a step works on it.
pub(in crate::app) struct Room {
    pub(in crate::app) row: ChannelRow,
    pub(in crate::app) graph: Graph,
    pub(in crate::app) epochs: Epochs,
    pub(in crate::app) ring: KeyRing,
}

impl Room {
    /// The epoch in force and its keys, if this device has them.
    pub(in crate::app) fn epoch(&mut self) -> Option<(EpochId, EpochKeys)> {
        let id = self.epochs.current()?;
        self.keys(&id).map(|keys| (id, keys))
    }

    /// Keys of an epoch, derived if need be.
    pub(in crate::app) fn keys(&mut self, id: &EpochId) -> Option<EpochKeys> {
        if self.ring.derive(&self.epochs, id) { self.ring.get(id).cloned() } else { None }
    }

    /// The newest epoch behind one of the first operations that this device has the keys of.
    pub(in crate::app) fn newest_epoch(&mut self, first: usize) -> Option<EpochId> {
        let behind: Vec<EpochId> = (0..first).rev().filter_map(|at| self.epochs.behind(at)).collect();
        behind.into_iter().find(|epoch| self.ring.derive(&self.epochs, epoch))
    }

    /// The lineage of an epoch and its keys.
    pub(in crate::app) fn lineage(&self, epoch: &EpochId) -> Option<(LineageId, LineageKeys)> {
        let id = self.epochs.get(epoch)?.lineage;
        self.ring.lineage(&id).map(|keys| (id, keys.clone()))
    }
}

/// Reads a channel's graph from its rows.
pub(in crate::app) fn graph_of(rows: &dyn RawRows, channel: &ChannelId) -> Result<Option<Graph>, Error> {
    let damaged = || Error::Corrupt(Damage::Encoding);
    // Times inside device logs were judged when the operations came.
    let late = Timestamp::from_millis(u64::MAX);
    let mut graph: Option<Graph> = None;
    for row in rows.group::<ChannelOp>(channel.as_bytes())? {
        let op = Op::decode(&row.op, late).map_err(|_| damaged())?;
        match &mut graph {
            None => graph = Some(Graph::create(op).map_err(|_| damaged())?),
            Some(graph) => drop(graph.add(op).map_err(|_| damaged())?),
        }
    }
    Ok(graph)
}

impl App {
    /// Opens a channel.
    pub(in crate::app) fn room(&self, w: &Work<'_>, channel: &ChannelId) -> Result<Option<Room>, Halt> {
        let Some(row) = w.get::<ChannelRow>(&ChannelRow::key_of(channel))? else { return Ok(None) };
        let kept = self.rooms.0.borrow_mut().remove(channel);
        let agrees = |graph: &Graph| {
            let last = graph.ops().last().map(|op| *op.id().as_bytes());
            graph.ops().len() as u64 == row.ops && last == Some(row.last_op)
        };
        let (graph, epochs) = match kept.filter(|(graph, _)| agrees(graph)) {
            Some(kept) => kept,
            None => {
                let Some(graph) = graph_of(w.rows(), channel)? else { return Ok(None) };
                let epochs = Epochs::of(&graph);
                (graph, epochs)
            }
        };
        let mut ring = KeyRing::default();
        for epoch in w.rows().group::<ChannelEpoch>(channel.as_bytes())? {
            ring.insert(epoch.epoch, EpochKeys::from_stored(&epoch.keys));
        }
        for lineage in w.rows().group::<ChannelLineage>(channel.as_bytes())? {
            ring.insert_lineage(lineage.lineage, LineageKeys::from_stored(&lineage.keys));
        }
        Ok(Some(Room { row, graph, epochs, ring }))
    }

    /// Opens a channel that one is in.
    pub(in crate::app) fn joined(&self, w: &Work<'_>, channel: &ChannelId) -> Result<Option<Room>, Halt> {
        Ok(self.room(w, channel)?.filter(|room| room.row.membership == Membership::Joined))
    }

    /// Writes what changed in a channel's row and keys, and keeps its graph for the next step.
    pub(in crate::app) fn close(&self, w: &mut Work<'_>, room: Room) -> Result<(), Halt> {
        let channel = room.row.channel;
        for (epoch, keys) in room.ring.epochs() {
            let key = ChannelEpoch::key_of(&channel, epoch);
            if w.get::<ChannelEpoch>(&key)?.is_none() {
                w.put(&ChannelEpoch { channel, epoch: *epoch, keys: keys.to_stored(), at: w.now })?;
            }
        }
        for (lineage, keys) in room.ring.lineages() {
            let key = ChannelLineage::key_of(&channel, lineage);
            if w.get::<ChannelLineage>(&key)?.is_none() {
                w.put(&ChannelLineage { channel, lineage: *lineage, keys: keys.to_stored(), at: w.now })?;
            }
        }
        self.settle_topic(w, &room)?;
        w.put(&room.row)?;
        let mut rooms = self.rooms.0.borrow_mut();
        if rooms.len() >= KEPT_MAX {
            rooms.pop_first();
        }
        rooms.insert(channel, (room.graph, room.epochs));
        Ok(())
    }

    /// Takes one operation into a channel: its row is written, its epoch computed.
    pub(in crate::app) fn take_op(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        op: Op,
    ) -> Result<Result<Added, kith_protocol::channel::Error>, Halt> {
        let (bytes, id) = (op.encode(), op.id());
        let added = match room.graph.add(op) {
            Ok(added) => added,
            Err(error) => return Ok(Err(error)),
        };
        if added.new {
            w.put(&ChannelOp { channel: room.row.channel, place: room.row.ops, op: bytes })?;
            room.row.ops += 1;
            room.row.last_op = *id.as_bytes();
            room.epochs.extend(&room.graph);
            // Derived while what it follows from is here: its lineage is where others may send.
            if let Some(epoch) = room.graph.position(&id).and_then(|at| room.epochs.behind(at)) {
                room.keys(&epoch);
            }
        }
        Ok(Ok(added))
    }

    /// Finds a channel by its number.
    pub(in crate::app) fn channel_numbered(&self, w: &Work<'_>, number: u64) -> Result<Option<ChannelId>, Halt> {
        let rows = w.rows().group::<ChannelRow>(ChannelRow::GROUP)?;
        Ok(rows.into_iter().find(|row| row.number == number).map(|row| row.channel))
    }

    /// The place of an operation, if it is known.
    pub(in crate::app) fn op_known(room: &Room, id: &OpId) -> bool {
        room.graph.position(id).is_some()
    }
}
