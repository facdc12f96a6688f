//! Real daemons on loopback sockets in one process, and hostile peers beside them.

pub mod daemon;
pub mod liar;

use std::{future::Future, time::Duration};

/// Far beyond what anything here takes on a busy machine: only a hanging test meets it.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// How often a condition is looked at that nobody tells about.
const LOOK: Duration = Duration::from_millis(25);

/// Waits for a future, or fails the test.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Waits until a condition holds, or fails the test.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let mut looks = tokio::time::interval(LOOK);
    soon(what, async {
        while !holds().await {
            looks.tick().await;
        }
    })
    .await;
}
