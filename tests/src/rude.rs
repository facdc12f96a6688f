//! Peers that hold a relay's connections and streams open and say nothing useful: on bare sockets, and with valid
//! transport keys. Whoever is hung up on comes back, as somebody else.
//! Must not know what the relay does meanwhile.

use crate::process::DEADLINE;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise,
    request_response::{self, ProtocolSupport},
    swarm::SwarmEvent,
    tcp, yamux,
};
use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// The protocol whose streams are held.
const MAILBOX: StreamProtocol = StreamProtocol::new("/kith/mailbox/1");
/// How long somebody waits between two drops, and before they come back.
const PAUSE: Duration = Duration::from_millis(250);

/// What somebody writes, and how; then they say nothing and do not hang up.
#[derive(Clone, Debug)]
pub enum Manner {
    /// All at once.
    Burst(Vec<u8>),
    /// One byte after the other, over and over.
    Drip(Vec<u8>),
}

/// Rude peers; they go when this is dropped.
#[derive(Debug, Default)]
pub struct Crowd {
    guests: JoinSet<()>,
    ended: Arc<AtomicU64>,
}

impl Crowd {
    /// Somebody connects a bare socket to a port of this machine.
    pub fn socket(&mut self, port: u16, manner: Manner) {
        self.come_again(move || socket(port, manner.clone()));
    }

    /// Somebody connects with a valid transport key to an address that names the relay, and opens a stream for each of
    /// the manners.
    pub fn peer(&mut self, address: &str, manners: Vec<Manner>) {
        let address: Multiaddr = address.parse().unwrap();
        self.come_again(move || peer(address.clone(), manners.clone()));
    }

    /// How often somebody was hung up on, or not let in.
    pub fn hung_up_on(&self) -> u64 {
        self.ended.load(SeqCst)
    }

    fn come_again<F: Future + Send>(&mut self, mut visit: impl FnMut() -> F + Send + 'static) {
        let ended = Arc::clone(&self.ended);
        self.guests.spawn(async move {
            loop {
                visit().await;
                ended.fetch_add(1, SeqCst);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

/// One visit; ends when the other side hangs up.
async fn socket(port: u16, manner: Manner) -> io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from, mut to) = socket.split();
    let speaking = async {
        match manner {
            Manner::Burst(bytes) => to.write_all(&bytes).await?,
            Manner::Drip(bytes) => {
                for byte in bytes.iter().cycle() {
                    to.write_u8(*byte).await?;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        std::future::pending().await
    };
    let hearing = async {
        let mut heard = [0; 1024];
        while from.read(&mut heard).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        ended = speaking => ended,
        ended = hearing => ended,
    }
}

/// One visit; ends when the other side hangs up.
async fn peer(address: Multiaddr, manners: Vec<Manner>) {
    let mut swarm = swarm();
    if swarm.dial(address.clone()).is_err() {
        return;
    }
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => play(&mut swarm, &peer_id, &manners),
            SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => return,
            _ => {}
        }
    }
}

fn play(swarm: &mut Swarm<request_response::Behaviour<Raw>>, relay: &PeerId, manners: &[Manner]) {
    for manner in manners {
        swarm.behaviour_mut().send_request(relay, manner.clone());
    }
}

fn swarm() -> Swarm<request_response::Behaviour<Raw>> {
    let config = request_response::Config::default().with_request_timeout(DEADLINE);
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| request_response::Behaviour::new([(MAILBOX, ProtocolSupport::Outbound)], config))
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
        .build()
}

/// Writes bytes as they are, and never finishes.
#[derive(Clone, Default)]
struct Raw;

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Manner;
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Manner> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()> {
        io.read_to_end(&mut Vec::new()).await.map(drop)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        manner: Manner,
    ) -> io::Result<()> {
        match manner {
            Manner::Burst(bytes) => {
                io.write_all(&bytes).await?;
                io.flush().await?;
            }
            Manner::Drip(bytes) => {
                for byte in bytes.iter().cycle() {
                    io.write_all(&[*byte]).await?;
                    io.flush().await?;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        std::future::pending().await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
