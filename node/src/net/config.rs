//! How a net task is set up, and what can go wrong when it starts.
//! Must not know the daemon's configuration file.

use super::peers::limits::Limits;
use kith_protocol::Fault;

/// Whether this node stores records for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DhtMode {
    /// Server where others can reach it: only loopback or private listens, or a confirmed public address; else client.
    #[default]
    Auto,
    /// Always stores and answers.
    Server,
    /// Only asks.
    Client,
}

/// What the net task is started with.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Multiaddresses to listen on: TCP, or UDP with QUIC.
    pub listen: Vec<String>,
    /// Multiaddresses under which others are known to reach this node (a forwarded port, a public server).
    pub announce: Vec<String>,
    /// Multiaddresses dialled at the start, and again while nobody is connected.
    pub bootstrap: Vec<String>,
    /// Whether peers on the same network are found by multicast; tells that network that Kith runs here.
    pub mdns: bool,
    /// Whether this node stores records for others.
    pub dht_mode: DhtMode,
    /// The bounds.
    pub limits: Limits,
}

impl Default for NetConfig {
    /// Listens everywhere on free ports, over TCP and QUIC, finds nobody by multicast.
    fn default() -> Self {
        let listen = ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/tcp/0", "/ip6/::/udp/0/quic-v1"];
        Self {
            listen: listen.map(String::from).to_vec(),
            announce: Vec::new(),
            bootstrap: Vec::new(),
            mdns: false,
            dht_mode: DhtMode::Auto,
            limits: Limits::default(),
        }
    }
}

impl NetConfig {
    /// Listens on this machine only, on free ports: for tests, demonstrations and many nodes in one process.
    pub fn loopback() -> Self {
        let listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"].map(String::from).to_vec();
        Self { listen, ..Self::default() }
    }
}

/// Why the net task did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Another program listens there.
    #[error("another program already listens on {address}")]
    PortInUse {
        /// The address as configured.
        address: String,
    },
    /// This user may not listen there (ports below 1024).
    #[error("this user may not listen on {address}")]
    PortForbidden {
        /// The address as configured.
        address: String,
    },
    /// Not a multiaddress this node can use for that purpose.
    #[error("{address:?} is no address this node can use")]
    BadAddress {
        /// The address as configured.
        address: String,
    },
    /// The operating system refused for another reason.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as configured.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The 32 bytes are no transport key, or a transport could not be set up.
    #[error("the network could not be set up")]
    Setup,
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] crate::clock::NoRandomness),
}

impl NetError {
    /// Returns the stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "port_in_use",
            Self::PortForbidden { .. } => "port_forbidden",
            Self::BadAddress { .. } => "bad_address",
            Self::Listen { .. } => "listen_failed",
            Self::Setup => "net_setup_failed",
            Self::NoRandomness(_) => "no_randomness",
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => {
                "stop the other program, or choose another port in network.listen (0 takes a free one)"
            }
            Self::PortForbidden { .. } => "choose a port from 1024 up in network.listen",
            Self::BadAddress { .. } => "write addresses like /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1",
            Self::Listen { .. } => "check that the address belongs to this machine",
            Self::Setup | Self::NoRandomness(_) => "run `kith doctor`",
        }
    }

    /// Says who is to blame.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Setup => Fault::Bug,
            _ => Fault::Local,
        }
    }
}
