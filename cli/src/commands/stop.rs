//! `kith stop`

use crate::context::Context;
use crate::failure::Outcome;
use crate::render::{Show, Style};
use kith_node::{Client, Code, UserError, profile};
use serde::Serialize;
use std::{path::Path, time::Duration};

/// How long a daemon may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to look.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of the daemon.
#[derive(Serialize)]
struct Stopped {
    running: bool,
    changed: bool,
}

impl Show for Stopped {
    fn human(&self, _: Style) -> String {
        if self.changed { "stopped" } else { "no daemon was running" }.to_owned()
    }
}

/// Stops the daemon and waits until it is gone; none running is fine.
pub(crate) async fn run(context: &Context) -> Outcome {
    let changed = stop(&context.client, &context.paths.home).await?;
    context.out.one(&Stopped { running: false, changed })
}

/// Stops a daemon and waits until another could start; tells whether there was one.
async fn stop(client: &Client, home: &Path) -> Result<bool, UserError> {
    match client.stop().await {
        Ok(_) => {}
        Err(error) if error.code == Code::DaemonUnreachable => return Ok(false),
        Err(error) if error.code == Code::Stopping => {}
        Err(error) => return Err(error),
    }
    let gone = async {
        while !matches!(client.status().await, Err(error) if error.code == Code::DaemonUnreachable) {
            tokio::time::sleep(PAUSE).await;
        }
        while profile::is_in_use(home) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(PATIENCE, gone).await {
        Ok(()) => Ok(true),
        Err(_) => Err(UserError::new(Code::Timeout, "the daemon was asked to stop and still runs")
            .hint("kith status shows its pid; kill -TERM, and at worst -KILL, loses nothing")),
    }
}
