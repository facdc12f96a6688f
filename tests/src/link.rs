//! A wire between two daemons that keeps a copy of every byte, and may be slow.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Bytes that a slow wire carries at once.
const DROP: usize = 64;
/// How long a slow wire takes for them.
const SLOWNESS: Duration = Duration::from_millis(5);

/// A wire: whoever connects to its port talks to the daemon behind it.
pub struct Link {
    /// Where to connect, on loopback.
    pub port: u16,
    carried: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Link {
    /// Lays a wire to a port.
    pub async fn to(port: u16) -> Self {
        Self::lay(port, None).await
    }

    /// Lays a wire that carries some ten thousand bytes a second.
    pub async fn slow(port: u16) -> Self {
        Self::lay(port, Some(SLOWNESS)).await
    }

    async fn lay(to: u16, slowness: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let carried = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&carried);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::spawn(carry(near_in, far_out, Arc::clone(&keep), slowness));
                tokio::spawn(carry(far_in, near_out, Arc::clone(&keep), slowness));
            }
        });
        Self { port, carried, task }
    }

    /// Every byte carried so far, both ways.
    pub fn bytes(&self) -> Vec<u8> {
        self.carried.lock().unwrap().clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries one direction until either end hangs up.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    keep: Arc<Mutex<Vec<u8>>>,
    slowness: Option<Duration>,
) {
    let mut buffer = vec![0; if slowness.is_some() { DROP } else { 64 * 1024 }];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        keep.lock().unwrap().extend_from_slice(&buffer[..n]);
        if let Some(slowness) = slowness {
            tokio::time::sleep(slowness).await;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
