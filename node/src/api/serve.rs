//! Runs the routes on the socket until the daemon stops.

use super::backend::Backend;
use super::routes;
use super::socket::Socket;
use std::io;
use tokio::sync::watch;

/// Serves local clients until `stop` becomes true, then lets requests under way end.
///
/// # Errors
/// Those of the socket.
pub async fn serve<B: Backend>(socket: Socket, backend: B, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let router = routes::router(backend, stop.clone());
    let stopped = async move {
        // The sender gone means the same: the daemon is going down.
        let _ = stop.wait_for(|stopping| *stopping).await;
    };
    axum::serve(socket, router).with_graceful_shutdown(stopped).await
}
