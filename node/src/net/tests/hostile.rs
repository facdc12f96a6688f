//! Peers that speak garbage, too much, by halves, slowly or not at all: they are scored, and others are served.

use super::kit::{DEADLINE, Node, assert_serves, config, frame, key, node, record, soon};
use crate::net::{
    DeliverOutcome, NetCommand, NetEvent, PeerName, PeerStatus, Transport,
    behaviour::KAD,
    wire::{Deliver, Descriptor, Layout},
};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use kith_protocol::{Timestamp, limits::ENVELOPE_MAX};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, SwarmBuilder, identify, identity,
    kad::{self, store::RecordStore},
    noise,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::{borrow::Cow, collections::HashMap, io, time::Duration};
use tokio::{io::AsyncWriteExt as _, sync::mpsc};

/// What Mallory writes on a stream, and what she does then.
#[derive(Clone, Debug)]
pub(super) struct Script {
    bytes: Vec<u8>,
    end: End,
}

/// How Mallory ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    HangUp,
    /// Holds it open without a word.
    Hold,
    /// Writes one byte, waits, writes the next.
    Drip,
}

/// How long Mallory waits between two drops.
const DRIP: Duration = Duration::from_millis(20);

impl Script {
    pub(super) fn new(bytes: Vec<u8>, end: End) -> Self {
        Self { bytes, end }
    }
}

/// Writes scripts as they are.
#[derive(Clone, Default)]
struct Raw;

impl Raw {
    async fn play<T: AsyncWrite + Unpin + Send>(io: &mut T, script: Script) -> io::Result<()> {
        let drips = script.end == End::Drip;
        for part in script.bytes.chunks(if drips { 1 } else { usize::MAX }) {
            io.write_all(part).await?;
            io.flush().await?;
            if drips {
                tokio::time::sleep(DRIP).await;
            }
        }
        if script.end == End::Hold {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Script;
    type Response = Script;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Script> {
        let mut length = [0; 4];
        io.read_exact(&mut length).await?;
        Ok(Script::new(length.to_vec(), End::HangUp))
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Script> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(Script::new(bytes, End::HangUp))
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        script: Script,
    ) -> io::Result<()> {
        Self::play(io, script).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        script: Script,
    ) -> io::Result<()> {
        Self::play(io, script).await
    }
}

/// Acknowledges every record, keeps none, and answers with what it was given at the start.
struct Liar(HashMap<kad::RecordKey, kad::Record>);

impl RecordStore for Liar {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, kad::Record>>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, kad::ProviderRecord>>;

    fn get(&self, key: &kad::RecordKey) -> Option<Cow<'_, kad::Record>> {
        self.0.get(key).map(Cow::Borrowed)
    }
    fn put(&mut self, _: kad::Record) -> kad::store::Result<()> {
        Ok(())
    }
    fn remove(&mut self, _: &kad::RecordKey) {}
    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }
    fn add_provider(&mut self, _: kad::ProviderRecord) -> kad::store::Result<()> {
        Ok(())
    }
    fn providers(&self, _: &kad::RecordKey) -> Vec<kad::ProviderRecord> {
        Vec::new()
    }
    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }
    fn remove_provider(&mut self, _: &kad::RecordKey, _: &PeerId) {}
}

#[derive(NetworkBehaviour)]
struct Tricks {
    identify: identify::Behaviour,
    raw: request_response::Behaviour<Raw>,
    kad: kad::Behaviour<Liar>,
}

/// What Mallory can be told to do.
enum Trick {
    /// Opens a stream to the peer and plays the script.
    Play(PeerId, Script),
    /// Puts these bytes into the peer's record store.
    Put(PeerId, kad::Record),
}

/// A peer that keeps to Noise and Yamux, and to nothing above.
pub(super) struct Mallory {
    pub(super) name: PeerName,
    pub(super) address: String,
    tricks: mpsc::Sender<Trick>,
    /// How each put ended: whether the peer acknowledged it.
    puts: mpsc::Receiver<bool>,
    /// Comes when the peer has closed a stream that was played to its end.
    played: mpsc::Receiver<()>,
}

impl Mallory {
    /// Connects to the victim; answers its requests on `protocol` with the script, and lookups with the records.
    pub(super) async fn connect(
        protocol: StreamProtocol,
        victim: &Node,
        answer: Script,
        records: Vec<kad::Record>,
    ) -> Self {
        let keys = identity::Keypair::generate_ed25519();
        let me = keys.public().to_peer_id();
        let mut swarm = SwarmBuilder::with_existing_identity(keys)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|key| {
                let identify =
                    identify::Behaviour::new(identify::Config::new("/kith/1".into(), key.public()).with_cache_size(0));
                let config = request_response::Config::default().with_request_timeout(DEADLINE);
                let lies = records.into_iter().map(|record| (record.key.clone(), record)).collect();
                let mut kad = kad::Behaviour::with_config(me, Liar(lies), kad::Config::new(KAD));
                kad.set_mode(Some(kad::Mode::Server));
                Tricks {
                    identify,
                    raw: request_response::Behaviour::new([(protocol, ProtocolSupport::Full)], config),
                    kad,
                }
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
            .build();
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = soon("mallory listens", async {
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    return address.with_p2p(me).unwrap();
                }
            }
        })
        .await;
        let to: Multiaddr = victim.listens(Transport::Noise).remove(0).parse().unwrap();
        swarm.behaviour_mut().kad.add_address(&victim.id(), to.clone());
        swarm.dial(to).unwrap();
        let (tricks, mut orders) = mpsc::channel(8);
        let (put, puts) = mpsc::channel(8);
        let (end, played) = mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    order = orders.recv() => match order {
                        Some(Trick::Play(peer, script)) => drop(swarm.behaviour_mut().raw.send_request(&peer, script)),
                        Some(Trick::Put(peer, record)) => {
                            swarm.behaviour_mut().kad.put_record_to(record, [peer].into_iter(), kad::Quorum::One);
                        }
                        None => return,
                    },
                    event = swarm.select_next_some() => match event {
                        SwarmEvent::Behaviour(TricksEvent::Raw(request_response::Event::Message {
                            message: request_response::Message::Request { channel, .. }, ..
                        })) => drop(swarm.behaviour_mut().raw.send_response(channel, answer.clone())),
                        SwarmEvent::Behaviour(TricksEvent::Raw(request_response::Event::Message {
                            message: request_response::Message::Response { .. }, ..
                        })) => drop(end.try_send(())),
                        SwarmEvent::Behaviour(TricksEvent::Kad(kad::Event::OutboundQueryProgressed {
                            result: kad::QueryResult::PutRecord(result), ..
                        })) => drop(put.try_send(result.is_ok())),
                        _ => {}
                    },
                }
            }
        });
        let name = PeerName(me.to_base58());
        victim.status("mallory is in", |status| status.peers.iter().any(|peer| peer.peer == name)).await;
        Self { name, address: address.to_string(), tricks, puts, played }
    }

    pub(super) async fn play(&self, victim: &Node, bytes: Vec<u8>, end: End) {
        let trick = Trick::Play(victim.id(), Script::new(bytes, end));
        assert!(self.tricks.send(trick).await.is_ok());
    }

    /// Plays bytes on a stream and returns when the victim has read them to their end.
    pub(super) async fn play_to_the_end(&mut self, victim: &Node, bytes: Vec<u8>) {
        self.play(victim, bytes, End::HangUp).await;
        self.has_played().await;
    }

    /// Waits until the victim has read a stream to its end, and closed it.
    pub(super) async fn has_played(&mut self) {
        soon("the stream is read and closed", self.played.recv()).await.unwrap();
    }

    /// Puts a record to the victim; says whether it was acknowledged.
    async fn put(&mut self, victim: &Node, key: Vec<u8>, value: Vec<u8>) -> bool {
        let record = kad::Record::new(key, value);
        assert!(self.tricks.send(Trick::Put(victim.id(), record)).await.is_ok());
        soon("the end of a put", self.puts.recv()).await.unwrap()
    }
}

pub(super) fn nothing() -> Script {
    Script::new(vec![], End::HangUp)
}

impl Node {
    fn id(&self) -> PeerId {
        self.name.0.parse().unwrap()
    }

    /// Waits until the score of a peer fits, connected or not.
    pub(super) async fn scored(&self, name: &PeerName, fits: impl Fn(&PeerStatus) -> bool) {
        let shown = |status: &crate::net::NetStatus| status.peers.iter().any(|peer| peer.peer == *name && fits(peer));
        self.status("the score", shown).await;
    }

    /// Waits until the peer's last connection is closed.
    pub(super) async fn hangs_up_on(&mut self, name: &PeerName) {
        let down = |event| match event {
            NetEvent::PeerDown { peer } if peer == *name => Some(()),
            _ => None,
        };
        self.event("the hang-up", down).await;
    }
}

pub(super) fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

#[tokio::test]
async fn r_net_7_garbage_and_oversize_frames_are_scored_hung_up_on_and_others_served() {
    let garbage = prefixed(&[0xff; 100]);
    let empty = prefixed(&[]);
    let announced = u32::try_from(ENVELOPE_MAX + 26).unwrap().to_be_bytes().to_vec();
    let huge = [&u32::MAX.to_be_bytes()[..], &[7; 100_000]].concat();
    let cases = [
        (Deliver::NAME, garbage.clone()),
        (Deliver::NAME, empty),
        (Deliver::NAME, announced),
        (Deliver::NAME, huge),
        (Descriptor::NAME, garbage),
        (Descriptor::NAME, prefixed(&[[1].as_slice(), &[0; 17 * 32]].concat())),
    ];
    // Side by side: each waits for deadlines of its own.
    futures::future::join_all(cases.map(|(protocol, bytes)| async move {
        let mut bob = node(config()).await;
        let mallory = Mallory::connect(protocol, &bob, nothing(), vec![]).await;
        mallory.play(&bob, bytes, End::HangUp).await;
        bob.hangs_up_on(&mallory.name).await;
        // Back again, her score is still there.
        bob.send(NetCommand::Dial { addresses: vec![mallory.address.clone()] });
        bob.scored(&mallory.name, |peer| peer.score <= -15).await;
        assert_serves(&mut bob).await;
        bob.net.shutdown().await;
    }))
    .await;
}

#[tokio::test]
async fn r_net_7_half_frames_are_scored_mildly_and_the_connection_stays() {
    let mut bob = node(config()).await;
    let mallory = Mallory::connect(Deliver::NAME, &bob, nothing(), vec![]).await;
    mallory.play(&bob, [&500u32.to_be_bytes()[..], &[1; 20]].concat(), End::HangUp).await;
    bob.scored(&mallory.name, |peer| peer.score == -1 && peer.transport.is_some()).await;
    mallory.play(&bob, vec![0, 0], End::HangUp).await;
    bob.scored(&mallory.name, |peer| peer.score == -2 && peer.transport.is_some()).await;
    assert_serves(&mut bob).await;
}

#[tokio::test]
async fn silent_and_slow_senders_meet_the_deadline_while_others_are_served() {
    let mut impatient = config();
    impatient.limits.request_timeout = Duration::from_millis(1_500);
    impatient.limits.verdict_timeout = Duration::from_millis(1_000);
    let mut bob = node(impatient).await;
    let mallory = Mallory::connect(Deliver::NAME, &bob, nothing(), vec![]).await;
    // Announces much, sends some, and waits; and a stream with nothing on it at all.
    mallory.play(&bob, [&60_000u32.to_be_bytes()[..], &[1; 2_000]].concat(), End::Hold).await;
    mallory.play(&bob, vec![], End::Hold).await;
    assert_serves(&mut bob).await;
    bob.scored(&mallory.name, |peer| peer.score == -2 && peer.transport.is_some()).await;
}

#[tokio::test]
async fn unreadable_silent_and_broken_answers_end_the_attempt_with_a_reason() {
    let mut impatient = config();
    impatient.limits.request_timeout = Duration::from_millis(1_500);
    for (answer, why, score) in [
        (Script::new(prefixed(&[9, 9]), End::HangUp), "the answer was unreadable", -20),
        (Script::new(vec![0xff; 8], End::HangUp), "the answer was unreadable", -20),
        (Script::new(vec![], End::Hold), "no answer in time", -1),
        (Script::new(vec![0, 0, 0], End::HangUp), "the stream broke", -1),
    ] {
        let mut alice = node(impatient.clone()).await;
        let mallory = Mallory::connect(Deliver::NAME, &alice, answer, vec![]).await;
        let peer = mallory.name.clone();
        alice.send(NetCommand::Deliver { attempt: 1, peer, addresses: vec![], frame: frame("hi") });
        assert_eq!(alice.done().await, (1, DeliverOutcome::Unreachable { why }));
        if score < -1 {
            alice.hangs_up_on(&mallory.name).await;
            alice.send(NetCommand::Dial { addresses: vec![mallory.address.clone()] });
        }
        alice.scored(&mallory.name, |peer| peer.score < 0 && (peer.score < -2) == (score < -2)).await;
        alice.net.shutdown().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_handshake_and_silence_before_one_do_not_stop_others() {
    let mut bob = node(config()).await;
    let port = |transport| {
        let address: Multiaddr = bob.listens(transport).remove(0).parse().unwrap();
        address.iter().find_map(|part| match part {
            libp2p::multiaddr::Protocol::Tcp(port) | libp2p::multiaddr::Protocol::Udp(port) => Some(port),
            _ => None,
        })
    };
    let (tcp_port, udp_port) = (port(Transport::Noise).unwrap(), port(Transport::Quic).unwrap());
    let mut open = Vec::new();
    for number in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", tcp_port)).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&[number; 4_096]).await.unwrap();
        }
        open.push(stream);
    }
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..50 {
        socket.send_to(&[number; 1_200], ("127.0.0.1", udp_port)).await.unwrap();
    }
    assert_serves(&mut bob).await;
    drop(open);
}

#[tokio::test]
async fn a_storing_node_refuses_replays_and_forgeries_and_scores_the_forger() {
    let mut bob = node(config()).await;
    let mut mallory = Mallory::connect(Deliver::NAME, &bob, nothing(), vec![]).await;
    let later = Timestamp::from_millis(u64::MAX / 2);
    let (one, two) = (key(1).as_bytes().to_vec(), key(2).as_bytes().to_vec());
    // (What is kept and what not in detail is shown on the store itself; a refused put takes Kademlia ten seconds.)
    assert!(mallory.put(&bob, one.clone(), record(&key(1), 5, later, "five")).await);
    assert!(mallory.put(&bob, one.clone(), record(&key(1), 6, later, "six")).await);
    assert!(!mallory.put(&bob, one, record(&key(1), 5, later, "five")).await, "a replay");
    bob.scored(&mallory.name, |peer| peer.score == 0).await;
    assert!(!mallory.put(&bob, two, record(&key(1), 9, later, "foreign")).await);
    bob.scored(&mallory.name, |peer| peer.score <= -15).await;
    bob.send(NetCommand::Fetch { query: 1, keys: vec![key(1), key(2)], hints: vec![] });
    assert_eq!(bob.found(1).await.0, vec![(key(1), record(&key(1), 6, later, "six"))]);
    assert_serves(&mut bob).await;
}

#[tokio::test]
async fn a_lookup_passes_over_forged_foreign_expired_and_old_records_and_scores_the_liars() {
    let later = Timestamp::from_millis(u64::MAX / 2);
    let (mut alice, bob) = (node(config()).await, node(config()).await);
    let newest = record(&key(1), 8, later, "newest");
    bob.send(NetCommand::Publish { records: vec![(key(1), newest.clone())] });
    let forged = kad::Record::new(key(1).as_bytes().to_vec(), b"forged".to_vec());
    let forger = Mallory::connect(Deliver::NAME, &alice, nothing(), vec![forged]).await;
    let old = record(&key(1), 3, later, "old");
    let stale = kad::Record::new(key(1).as_bytes().to_vec(), old.clone());
    let replayer = Mallory::connect(Deliver::NAME, &alice, nothing(), vec![stale]).await;
    // Both claim to be newer than the newest.
    let past = Timestamp::from_millis(1_000);
    let (foreign, expired) = (record(&key(2), 10, later, "foreign"), record(&key(1), 9, past, "expired"));
    let lie = |bytes: &[u8]| vec![kad::Record::new(key(1).as_bytes().to_vec(), bytes.to_vec())];
    let swapper = Mallory::connect(Deliver::NAME, &alice, nothing(), lie(&foreign)).await;
    let hoarder = Mallory::connect(Deliver::NAME, &alice, nothing(), lie(&expired)).await;
    alice.status("all in the routing table", |status| status.routing == 4).await;
    alice.send(NetCommand::Fetch { query: 1, keys: vec![key(1)], hints: bob.net.status().listen });
    let (records, asked) = alice.found(1).await;
    assert_eq!(records.first(), Some(&(key(1), newest)));
    for lie in [b"forged".as_slice(), &foreign, &expired] {
        assert!(records.iter().all(|(_, bytes)| bytes != lie), "{}", String::from_utf8_lossy(lie));
    }
    alice.scored(&swapper.name, |peer| peer.score <= -15).await;
    // Only its clock may differ from ours.
    alice.scored(&hoarder.name, |peer| peer.score > -15).await;
    assert!(records.contains(&(key(1), old)), "every valid candidate is handed on");
    assert!(asked >= 2);
    alice.scored(&forger.name, |peer| peer.score <= -15).await;
    alice.scored(&replayer.name, |peer| peer.score == 0).await;
}

#[tokio::test]
async fn a_forged_direct_answer_is_scored_and_never_found() {
    let mut alice = node(config()).await;
    // Version 1, index 0, six bytes.
    let answer = prefixed(&[&[1, 0, 0, 6][..], b"forged"].concat());
    let mallory = Mallory::connect(Descriptor::NAME, &alice, Script::new(answer, End::HangUp), vec![]).await;
    alice.send(NetCommand::Fetch { query: 1, keys: vec![key(1)], hints: vec![] });
    let (records, asked) = alice.found(1).await;
    assert_eq!((records, asked), (vec![], 1));
    alice.scored(&mallory.name, |peer| peer.score <= -15).await;
    // An answer to what was not asked is a fault as well.
    let unasked = prefixed(&[1, 5, 0, 0]);
    let other = Mallory::connect(Descriptor::NAME, &alice, Script::new(unasked, End::HangUp), vec![]).await;
    alice.send(NetCommand::Fetch { query: 2, keys: vec![key(1)], hints: vec![] });
    assert_eq!(alice.found(2).await.0, vec![]);
    alice.scored(&other.name, |peer| peer.score <= -15).await;
}
