//! Somebody who is in a channel, has its keys, and does with them what no honest node does. Must not reach into what others
//! know: everything here comes from the insider's own store.

use super::World;
use kith_node::net::NetCommand;
use kith_protocol::{
    AccountId, ChannelId, DeviceId, Timestamp,
    channel::{
        Act, Card, Context, EpochId, EpochKeys, Epochs, Event, Graph, KeyRing, LineageKeys, MessageHash, Op, OpAuthor,
        OpId, Parcel, Saying, SenderTree, Signatures, seal, slot_of, sync::Ask,
    },
    content::Text,
    crypto::hpke::LeafSecret,
    identity::DeviceSecrets,
    wire::Extensions,
};
use kith_store::{
    Range, Rows as _,
    table::{ChannelEpoch, ChannelLineage, ChannelOp, ChannelRow, OwnIdentity},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// What a member knows and can sign.
pub struct Insider {
    /// Which person.
    pub who: usize,
    /// In which channel.
    pub channel: ChannelId,
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The operations as known when the keys were taken.
    pub graph: Graph,
    /// The epochs of them.
    pub epochs: Epochs,
    /// The keys.
    pub ring: KeyRing,
    /// The row of the channel.
    pub row: ChannelRow,
    secrets: DeviceSecrets,
    rng: ChaCha20Rng,
}

impl Insider {
    /// Takes what a person's node knows of a channel.
    pub fn of(world: &World, who: usize, channel: ChannelId) -> Self {
        let group = channel.as_bytes();
        world.people[who].read(|rows| {
            let own = rows.row::<OwnIdentity>(&OwnIdentity::only()).unwrap().unwrap();
            let secrets = DeviceSecrets::from_stored(&own.device);
            let row = rows.row::<ChannelRow>(&ChannelRow::key_of(&channel)).unwrap().unwrap();
            let late = Timestamp::from_millis(u64::MAX);
            let ops = rows.rows::<ChannelOp>(group, &Range::all(), usize::MAX).unwrap();
            let ops = ops.into_iter().map(|row| Op::decode(&row.op, late).unwrap());
            let graph = Graph::load(ops, Signatures::Verified).unwrap();
            let mut ring = KeyRing::default();
            for row in rows.rows::<ChannelEpoch>(group, &Range::all(), usize::MAX).unwrap() {
                ring.insert(row.epoch, EpochKeys::from_stored(&row.keys));
            }
            for row in rows.rows::<ChannelLineage>(group, &Range::all(), usize::MAX).unwrap() {
                ring.insert_lineage(row.lineage, LineageKeys::from_stored(&row.keys));
            }
            let epochs = Epochs::of(&graph);
            Self {
                who,
                channel,
                account: world.people[who].account(),
                device: secrets.id(),
                graph,
                epochs,
                ring,
                row,
                secrets,
                rng: ChaCha20Rng::seed_from_u64(world.seed ^ 0xbad ^ ((who as u64) << 32)),
            }
        })
    }

    /// The epoch in force as the insider knew it.
    pub fn epoch(&self) -> EpochId {
        self.epochs.current().unwrap()
    }

    fn keys(&mut self, epoch: &EpochId) -> (EpochKeys, LineageKeys) {
        assert!(self.ring.derive(&self.epochs, epoch), "an insider has the keys");
        let lineage = self.epochs.get(epoch).unwrap().lineage;
        (self.ring.get(epoch).unwrap().clone(), self.ring.lineage(&lineage).unwrap().clone())
    }

    /// The topic of an epoch.
    pub fn topic(&mut self, epoch: &EpochId) -> [u8; 32] {
        self.keys(epoch).1.topic()
    }

    /// Signs something, whether or not it may be done.
    pub fn sign(&self, parents: &[OpId], act: &Act, at: Timestamp) -> Op {
        let author = OpAuthor { account: self.account, device: self.device, key: self.secrets.sign() };
        Op::sign(&author, Some(self.channel), parents, at, act).unwrap()
    }

    /// Signs a card of its device.
    pub fn card(&mut self, world: &World, leaf: &LeafSecret) -> Vec<u8> {
        let card = Card {
            channel: self.channel,
            account: self.account,
            device: self.device,
            sequence: world.now.as_millis(),
            leaf: leaf.public(),
            peer_id: world.people[self.who].peer().0.into_bytes(),
            addresses: Vec::new(),
            name: "mallory".into(),
        };
        card.sign(&self.secrets)
    }

    /// Seals entries under an epoch, as an item of its topic.
    pub fn parcel(&mut self, epoch: &EpochId, ops: Vec<Vec<u8>>, cards: Vec<Vec<u8>>, now: Timestamp) -> Vec<u8> {
        let (keys, lineage) = self.keys(epoch);
        let parcel = Parcel { ops, cards, ..Parcel::default() };
        parcel.seal(&self.channel, &lineage, (*epoch, &keys), slot_of(now), &mut self.rng).unwrap()
    }

    /// Makes an event that says some words.
    pub fn words(&self, text: &str, sequence: u64, heads: Vec<OpId>, now: Timestamp) -> Event {
        Event {
            sequence,
            previous: (sequence > 1).then(|| MessageHash::from_bytes([7; 32])),
            heads,
            sent_at: now,
            expires_after_ms: None,
            saying: Saying::Text { text: Text::new(text.to_owned()).unwrap(), reply_to: None, mentions: Vec::new() },
            extensions: Extensions::default(),
        }
    }

    /// Seals an event at any place of any sender's chain, always signed by the insider's own device.
    pub fn frame_as(&mut self, device: DeviceId, epoch: &EpochId, generation: u32, event: &Event) -> Vec<u8> {
        let (keys, lineage) = self.keys(epoch);
        let senders = self.epochs.senders(epoch);
        let place = senders.iter().position(|d| *d == device).map_or(0, |at| at as u32);
        let mut chain = SenderTree::new(keys.senders(), senders.len() as u32).take(place).unwrap();
        let mut seed = chain.advance();
        while seed.0 < generation {
            seed = chain.advance();
        }
        let context = Context {
            channel: self.channel,
            epoch: *epoch,
            recipients: self.epochs.get(epoch).unwrap().recipients,
            account: self.graph.owner_of(&device).unwrap(),
            device,
            generation,
        };
        seal(&lineage, place, &context, &seed.1, event, self.secrets.sign(), &mut self.rng).unwrap().0
    }

    /// Seals an event at a place of its own chain.
    pub fn frame(&mut self, epoch: &EpochId, generation: u32, event: &Event) -> Vec<u8> {
        self.frame_as(self.device, epoch, generation, event)
    }

    /// Puts items out on the live path of an epoch's topic, whether or not its node still follows it.
    pub fn puts_out(&mut self, world: &mut World, epoch: &EpochId, items: Vec<Vec<u8>>) {
        let (_, lineage) = self.keys(epoch);
        let topic = lineage.topic();
        world.order(self.who, NetCommand::ChannelFollow { topic, keys: vec![lineage.gate()] });
        for frame in items {
            world.order(self.who, NetCommand::ChannelPublish { topic, frame });
        }
    }

    /// Gives items to one node alone, past the live path.
    pub fn pushes(&mut self, world: &mut World, to: usize, epoch: &EpochId, items: Vec<Vec<u8>>) {
        let topic = self.topic(epoch);
        for items in items.chunks(8) {
            let request = Ask::Push { topic, items: items.to_vec() }.encode();
            let peer = world.people[to].peer();
            world.order(self.who, NetCommand::AskMember { ask: 1 << 50, peer, addresses: Vec::new(), request });
        }
    }

    /// Draws from the insider's chance.
    pub const fn rng(&mut self) -> &mut ChaCha20Rng {
        &mut self.rng
    }
}
