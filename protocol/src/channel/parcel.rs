//! Operations and cards as they travel: sealed under the epoch that was in force before them, so that who was away reads
//! what made the keys anew. A parcel looks like a frame. Must not know what operations mean.

use super::{
    EpochId, EpochKeys, LineageKeys, OpId,
    frame::{BadFrame, Frame, Header, TRAILER, VERSION},
};
use crate::{
    ChannelId,
    crypto::{
        Secret, aead,
        kdf::{hkdf, sha256},
        label,
    },
    limits::{PARCEL_BYTES, PARCEL_ENTRIES_MAX},
    padding,
    proto::channel_sync as proto,
    wire::{self, Transcript, at_most, fixed},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Operations and cards that travel together, each as it was signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Signed operations, each after those it follows.
    pub ops: Vec<Vec<u8>>,
    /// Signed cards.
    pub cards: Vec<Vec<u8>>,
    /// Items of rekey blobs, where a relay keeps them for who was away: each is sealed to one device, and is verified against
    /// its operation.
    pub blob: Vec<BlobItem>,
    /// Messages with what proves them, each an encoded [`super::Attested`]: what a newcomer is given of the past.
    pub said: Vec<Vec<u8>>,
}

/// An item of a rekey blob with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobItem {
    /// The operation that made the keys anew.
    pub op: OpId,
    /// Its place.
    pub place: u32,
    /// Item and proof.
    pub item: Vec<u8>,
}

impl Parcel {
    /// Cuts items of a blob into parcels that each fit a frame.
    pub fn cut_blob(items: impl Iterator<Item = BlobItem>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut room = 0usize;
        for item in items {
            let needed = item.item.len() + 64;
            if needed > room {
                all.push(Self::default());
                room = PARCEL_BYTES;
            }
            room = room.saturating_sub(needed);
            if let Some(last) = all.last_mut() {
                last.blob.push(item);
            }
        }
        all
    }

    /// Cuts a list of operations into parcels that each fit a frame.
    pub fn cut(ops: impl Iterator<Item = Vec<u8>>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut room = 0usize;
        for op in ops {
            let needed = op.len() + 16;
            let full = all.last().is_none_or(|last| last.ops.len() >= PARCEL_ENTRIES_MAX);
            if full || needed > room {
                all.push(Self::default());
                room = PARCEL_BYTES;
            }
            room = room.saturating_sub(needed);
            if let Some(last) = all.last_mut() {
                last.ops.push(op);
            }
        }
        all
    }

    /// Seals it under an epoch, as a frame of a lineage.
    pub fn seal(
        &self,
        channel: &ChannelId,
        lineage: &LineageKeys,
        (epoch, keys): (EpochId, &EpochKeys),
        slot: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BadFrame> {
        let blob =
            |i: &BlobItem| proto::BlobItem { op: i.op.as_bytes().to_vec(), place: i.place, item: i.item.clone() };
        let plain = Zeroizing::new(wire::encode(&proto::Parcel {
            ops: self.ops.clone(),
            cards: self.cards.clone(),
            blob: self.blob.iter().map(blob).collect(),
            said: self.said.clone(),
        }));
        let mut padded =
            padding::pad(&plain).ok_or(BadFrame::BadEvent(wire::Error::TooLarge { max: padding::CONTENT_MAX }))?;
        // As long as a message's body, so that lengths do not tell parcels apart.
        let whole = padded.len() + TRAILER;
        padded.resize(whole, 0);
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let (key, nonce, associated) = key_of(channel, &epoch, keys, slot, &salt);
        let header = Header { epoch, sender: Header::PARCEL, generation: 0 };
        Ok(Frame::seal(lineage, slot, salt, &header, aead::seal(&key, &nonce, &associated, &padded)))
    }

    /// Opens a frame whose header says that it is a parcel.
    pub fn open(frame: &Frame, channel: &ChannelId, epoch: &EpochId, keys: &EpochKeys) -> Result<Self, BadFrame> {
        let (key, nonce, associated) = key_of(channel, epoch, keys, frame.slot(), frame.salt());
        let padded = aead::open(&key, &nonce, &associated, frame.body()).map_err(|_| BadFrame::NotAuthentic)?;
        let at = padded.len().checked_sub(TRAILER).ok_or(wire::Error::NotCanonical)?;
        let (padded, zeros) = padded.split_at_checked(at).ok_or(wire::Error::NotCanonical)?;
        if zeros.iter().any(|b| *b != 0) {
            return Err(wire::Error::NotCanonical.into());
        }
        let plain = padding::unpad(padded).ok_or(wire::Error::NotCanonical)?;
        let parcel: proto::Parcel = wire::decode(plain, padding::CONTENT_MAX)?;
        at_most(&parcel.ops, PARCEL_ENTRIES_MAX)?;
        at_most(&parcel.cards, PARCEL_ENTRIES_MAX)?;
        at_most(&parcel.blob, PARCEL_ENTRIES_MAX)?;
        at_most(&parcel.said, PARCEL_ENTRIES_MAX)?;
        let item = |i: proto::BlobItem| {
            Ok::<_, wire::Error>(BlobItem { op: OpId::from_bytes(fixed(&i.op)?), place: i.place, item: i.item })
        };
        let blob = parcel.blob.into_iter().map(item).collect::<Result<_, _>>()?;
        Ok(Self { ops: parcel.ops, cards: parcel.cards, blob, said: parcel.said })
    }
}

fn key_of(
    channel: &ChannelId,
    epoch: &EpochId,
    keys: &EpochKeys,
    slot: u32,
    salt: &[u8; 16],
) -> (Secret<32>, [u8; 12], Vec<u8>) {
    let associated = Transcript::new(label::PARCEL)
        .u32(VERSION)
        .field(channel.as_bytes())
        .field(epoch.as_bytes())
        .u32(slot)
        .field(salt)
        .bytes();
    let info = [label::PARCEL.as_bytes(), &sha256(&[&associated])].concat();
    let (key, nonce) = super::frame::split(&hkdf(salt, keys.parcels().as_bytes(), &info));
    (key, nonce, associated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::StoredEpoch;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn keys(n: u8) -> EpochKeys {
        EpochKeys::from_stored(&StoredEpoch::from_bytes(&[n; 96]).unwrap())
    }

    #[test]
    fn r_chan_20_a_parcel_opens_under_its_epoch_channel_and_lineage_alone() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let lineage = LineageKeys::new(Secret::new([1; 32]));
        let (channel, epoch) = (ChannelId::from_bytes([2; 32]), EpochId::from_bytes([3; 32]));
        let item = BlobItem { op: OpId::from_bytes([7; 32]), place: 3, item: vec![8; 70] };
        let (ops, cards, said) = (vec![vec![4; 40]], vec![vec![5; 60]], vec![vec![9; 50]]);
        let parcel = Parcel { ops, cards, blob: vec![item], said };
        let bytes = parcel.seal(&channel, &lineage, (epoch, &keys(6)), 9, &mut rng).unwrap();
        let frame = Frame::decode(&bytes).unwrap();
        let header = frame.header(&lineage).unwrap();
        assert_eq!((header.epoch, header.is_parcel()), (epoch, true));
        assert_eq!(Parcel::open(&frame, &channel, &epoch, &keys(6)), Ok(parcel));
        let no = Err(BadFrame::NotAuthentic);
        assert_eq!(Parcel::open(&frame, &channel, &epoch, &keys(7)), no);
        assert_eq!(Parcel::open(&frame, &ChannelId::from_bytes([9; 32]), &epoch, &keys(6)), no);
        assert_eq!(Parcel::open(&frame, &channel, &EpochId::from_bytes([9; 32]), &keys(6)), no);
        assert!(frame.header(&LineageKeys::new(Secret::new([9; 32]))).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let opened = Frame::decode(&bent).and_then(|f| {
                let header = f.header(&lineage)?;
                Parcel::open(&f, &channel, &header.epoch, &keys(6))
            });
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn r_chan_24_items_of_a_blob_are_cut_into_parcels_that_fit_in_order() {
        let item = |n: u32| BlobItem { op: OpId::from_bytes([1; 32]), place: n, item: vec![n as u8; 1_500] };
        let cut = Parcel::cut_blob((0..300).map(item));
        assert!(cut.len() > 5);
        assert_eq!(
            cut.iter().flat_map(|p| p.blob.iter().map(|i| i.place)).collect::<Vec<_>>(),
            (0..300).collect::<Vec<_>>()
        );
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let lineage = LineageKeys::new(Secret::new([1; 32]));
        for parcel in &cut {
            let to = (EpochId::from_bytes([3; 32]), &keys(6));
            assert!(parcel.seal(&ChannelId::from_bytes([2; 32]), &lineage, to, 9, &mut rng).is_ok());
        }
    }

    #[test]
    fn r_chan_20_operations_are_cut_into_parcels_that_fit_in_order() {
        let ops: Vec<Vec<u8>> = (0..3_000u32).map(|n| vec![n as u8; 20 + (n as usize * 7) % 900]).collect();
        let cut = Parcel::cut(ops.clone().into_iter());
        assert!(cut.len() > 10);
        assert_eq!(cut.iter().flat_map(|p| p.ops.clone()).collect::<Vec<_>>(), ops);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let lineage = LineageKeys::new(Secret::new([1; 32]));
        for parcel in &cut {
            let to = (EpochId::from_bytes([3; 32]), &keys(6));
            assert!(parcel.seal(&ChannelId::from_bytes([2; 32]), &lineage, to, 9, &mut rng).is_ok());
        }
        let large = Parcel::cut(std::iter::once(vec![0; crate::limits::CHANNEL_OP_MAX + 100]));
        assert!(
            large[0]
                .seal(&ChannelId::from_bytes([2; 32]), &lineage, (EpochId::from_bytes([3; 32]), &keys(6)), 9, &mut rng)
                .is_ok()
        );
    }
}
