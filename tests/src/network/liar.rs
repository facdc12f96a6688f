//! A peer with valid transport keys that serves the DHT and lies in it.

use super::{DEADLINE, soon};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, identity,
    kad::{self, ProviderRecord, Record, store},
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::{borrow::Cow, collections::HashMap, iter};
use tokio::sync::{mpsc, oneshot};

/// The name of the network's DHT.
const KAD: StreamProtocol = StreamProtocol::new("/kith/kad/1");

/// How a liar answers lookups; every liar acknowledges whatever it is given.
#[derive(Clone, Debug)]
pub enum Lie {
    /// With bytes that are no record.
    Garbage,
    /// With the first record it was ever given for the key: genuine, and outdated once there is a newer one.
    Oldest,
    /// With the record of another key.
    Foreign,
    /// With these bytes, whatever was asked.
    Always(Vec<u8>),
    /// With nothing.
    Nothing,
}

struct Lies {
    lie: Lie,
    given: HashMap<kad::RecordKey, Record>,
}

impl store::RecordStore for Lies {
    type RecordsIter<'a> = iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &kad::RecordKey) -> Option<Cow<'_, Record>> {
        let value = match &self.lie {
            Lie::Garbage => b"garbage".to_vec(),
            Lie::Always(bytes) => bytes.clone(),
            Lie::Oldest => self.given.get(key)?.value.clone(),
            Lie::Foreign => self.given.iter().find(|(other, _)| *other != key)?.1.value.clone(),
            Lie::Nothing => return None,
        };
        Some(Cow::Owned(Record::new(key.clone(), value)))
    }

    fn put(&mut self, record: Record) -> store::Result<()> {
        self.given.entry(record.key.clone()).or_insert(record);
        Ok(())
    }

    fn remove(&mut self, _: &kad::RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        iter::empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> store::Result<()> {
        Ok(())
    }

    fn providers(&self, _: &kad::RecordKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        iter::empty()
    }

    fn remove_provider(&mut self, _: &kad::RecordKey, _: &PeerId) {}
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    kad: kad::Behaviour<Lies>,
}

enum Order {
    Put(PeerId, Box<Record>, oneshot::Sender<bool>),
    Get(kad::RecordKey, oneshot::Sender<Vec<Vec<u8>>>),
}

/// A running liar; it ends when this is dropped.
pub struct Liar {
    /// Its transport name.
    pub peer: String,
    orders: mpsc::Sender<Order>,
}

impl Liar {
    /// Joins the network at these addresses and lies from then on.
    pub async fn join(lie: Lie, at: &[String]) -> Self {
        let mut swarm = swarm(lie);
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        for address in at {
            let address: Multiaddr = address.parse().unwrap();
            swarm.behaviour_mut().kad.add_address(&peer_of(&address), address.clone());
            swarm.dial(address).unwrap();
        }
        let peer = swarm.local_peer_id().to_string();
        let (orders, mut inbox) = mpsc::channel(8);
        let (met, meeting) = oneshot::channel();
        let mut met = Some(met);
        tokio::spawn(async move {
            let (mut puts, mut gets) = (HashMap::new(), HashMap::new());
            loop {
                tokio::select! {
                    order = inbox.recv() => match order {
                        Some(Order::Put(to, record, done)) => {
                            let kad = &mut swarm.behaviour_mut().kad;
                            puts.insert(kad.put_record_to(*record, iter::once(to), kad::Quorum::One), done);
                        }
                        Some(Order::Get(key, done)) => {
                            gets.insert(swarm.behaviour_mut().kad.get_record(key), (done, Vec::new()));
                        }
                        None => return,
                    },
                    event = swarm.select_next_some() => match event {
                        SwarmEvent::ConnectionEstablished { .. } => {
                            let _ = swarm.behaviour_mut().kad.bootstrap();
                            if let Some(met) = met.take() {
                                let _ = met.send(());
                            }
                        }
                        SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                            id, result, step, ..
                        })) => match result {
                            kad::QueryResult::PutRecord(result) => {
                                if let Some(done) = puts.remove(&id) {
                                    let _ = done.send(result.is_ok());
                                }
                            }
                            kad::QueryResult::GetRecord(result) => {
                                if let (Some((_, found)), Ok(kad::GetRecordOk::FoundRecord(record))) =
                                    (gets.get_mut(&id), result)
                                    && record.peer.is_some()
                                {
                                    found.push(record.record.value);
                                }
                                if step.last && let Some((done, found)) = gets.remove(&id) {
                                    let _ = done.send(found);
                                }
                            }
                            _ => {}
                        },
                        _ => {}
                    },
                }
            }
        });
        soon("a liar meets somebody", meeting).await.unwrap();
        Self { peer, orders }
    }

    /// Puts bytes under a key to a peer; tells whether the peer acknowledged them.
    pub async fn put(&self, to: &str, key: &[u8], value: Vec<u8>) -> bool {
        let (done, answer) = oneshot::channel();
        let order = Order::Put(to.parse().unwrap(), Box::new(Record::new(key.to_vec(), value)), done);
        assert!(self.orders.send(order).await.is_ok(), "the liar runs");
        soon("the end of a put", answer).await.unwrap()
    }

    /// Looks a key up like anybody else; returns what others answered.
    pub async fn get(&self, key: &[u8]) -> Vec<Vec<u8>> {
        let (done, answer) = oneshot::channel();
        assert!(self.orders.send(Order::Get(key.to_vec().into(), done)).await.is_ok(), "the liar runs");
        soon("the end of a lookup", answer).await.unwrap()
    }
}

fn swarm(lie: Lie) -> Swarm<Behaviour> {
    SwarmBuilder::with_existing_identity(identity::Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| {
            let me = key.public().to_peer_id();
            let told = identify::Config::new("/kith/1".into(), key.public()).with_cache_size(0);
            let lies = Lies { lie, given: HashMap::new() };
            let mut kad = kad::Behaviour::with_config(me, lies, kad::Config::new(KAD));
            kad.set_mode(Some(kad::Mode::Server));
            Behaviour { identify: identify::Behaviour::new(told), kad }
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
        .build()
}

fn peer_of(address: &Multiaddr) -> PeerId {
    let last = address.iter().last();
    let Some(libp2p::multiaddr::Protocol::P2p(peer)) = last else { panic!("no name in {address}") };
    peer
}
