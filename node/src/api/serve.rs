//! Runs the routes on the socket until the daemon stops.

use super::backend::Backend;
use super::routes;
use super::socket::Socket;
use std::io;
use std::time::Duration;
use tokio::sync::watch;

/// How long requests under way may take after the stop; a client that sends half a request or reads nothing must not
/// keep the daemon alive.
const DRAIN: Duration = Duration::from_secs(3);

/// Serves local clients until `stop` becomes true, then lets requests under way end for three seconds at most.
///
/// # Errors
/// Those of the socket.
pub async fn serve<B: Backend>(socket: Socket, backend: B, stop: watch::Receiver<bool>) -> io::Result<()> {
    let router = routes::router(backend, stop.clone());
    let serving = axum::serve(socket, router).with_graceful_shutdown(stopped(stop.clone()));
    let drained = async {
        stopped(stop).await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = drained => {
            tracing::warn!("a client held its connection longer than the daemon waits");
            Ok(())
        }
    }
}

/// Returns when the daemon stops; its sender gone means the same.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopping| *stopping).await;
}
