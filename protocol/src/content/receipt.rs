//! Receipts: which messages arrived, which were read. Must not know the messages.

use crate::{DeviceId, MessageId, limits, proto, wire};

/// What arrived and what was read, of the peer's messages in this conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Stored durably here.
    pub delivered: Marks,
    /// Seen by the person.
    pub read: Marks,
}

/// Messages named one by one or as ranges; at most `limits::RECEIPT_ENTRIES_MAX` entries in a receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// By their ids.
    pub ids: Vec<MessageId>,
    /// By their sender's sequence.
    pub ranges: Vec<Range>,
}

/// Sequences of one sender device, both ends included: said only where the chain of previous ids inside is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The sender device.
    pub device: DeviceId,
    /// First sequence, at least 1.
    pub from: u64,
    /// Last sequence, not below the first.
    pub to: u64,
}

impl Marks {
    /// Says whether nothing is named.
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.ranges.is_empty()
    }

    fn to_wire(&self) -> (Vec<Vec<u8>>, Vec<proto::content::Range>) {
        let range = |r: &Range| proto::content::Range { device: r.device.as_bytes().to_vec(), from: r.from, to: r.to };
        (self.ids.iter().map(|id| id.as_bytes().to_vec()).collect(), self.ranges.iter().map(range).collect())
    }

    fn from_wire(ids: &[Vec<u8>], ranges: &[proto::content::Range]) -> Result<Self, wire::Error> {
        let range = |r: &proto::content::Range| {
            if r.from == 0 || r.from > r.to {
                return Err(wire::Error::OutOfBounds);
            }
            Ok(Range { device: DeviceId::from_bytes(wire::fixed(&r.device)?), from: r.from, to: r.to })
        };
        Ok(Self {
            ids: ids.iter().map(|id| wire::fixed(id).map(MessageId::from_bytes)).collect::<Result<_, _>>()?,
            ranges: ranges.iter().map(range).collect::<Result<_, _>>()?,
        })
    }
}

impl Receipt {
    pub(super) fn to_wire(&self) -> proto::content::Receipt {
        let (delivered, delivered_ranges) = self.delivered.to_wire();
        let (read, read_ranges) = self.read.to_wire();
        proto::content::Receipt { delivered, delivered_ranges, read, read_ranges }
    }

    pub(super) fn from_wire(wire: &proto::content::Receipt) -> Result<Self, wire::Error> {
        let entries = wire.delivered.len() + wire.delivered_ranges.len() + wire.read.len() + wire.read_ranges.len();
        if entries == 0 {
            return Err(wire::Error::OutOfBounds);
        }
        if entries > limits::RECEIPT_ENTRIES_MAX {
            return Err(wire::Error::TooMany { max: limits::RECEIPT_ENTRIES_MAX });
        }
        Ok(Self {
            delivered: Marks::from_wire(&wire.delivered, &wire.delivered_ranges)?,
            read: Marks::from_wire(&wire.read, &wire.read_ranges)?,
        })
    }
}
