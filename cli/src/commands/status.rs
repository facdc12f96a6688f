//! `kith status`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::Args;
use kith_node::api::types::Status;
use kith_node::{Client, Code, UserError};
use std::time::Duration;

/// How often to look while waiting.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether to wait.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Wait until the daemon is ready (30s if no time is given)
    #[arg(long, value_name = "TIME", value_parser = input::duration, num_args = 0..=1, default_missing_value = "30s")]
    wait: Option<Duration>,
}

/// Shows how the daemon is doing; exit 0 ready, 3 not running, 7 not ready in time.
pub(crate) async fn run(args: StatusArgs, context: &Context) -> Outcome {
    let status = match args.wait {
        Some(time) => wait(&context.client, time).await?,
        None => context.client.status().await?,
    };
    context.out.one(&status)?;
    if !status.ready {
        return Err(UserError::new(Code::NotYet, "the daemon is not ready yet").hint("kith status --wait").into());
    }
    Ok(())
}

/// Waits until a daemon is ready; returns its last state if it was there but not ready in time.
pub(crate) async fn wait(client: &Client, time: Duration) -> Result<Status, UserError> {
    let mut last =
        Err(UserError::new(Code::DaemonUnreachable, "no daemon is running for this profile").hint("kith run"));
    let ready = async {
        loop {
            last = client.status().await;
            match &last {
                Ok(status) if status.ready => return,
                Err(error) if !matches!(error.code, Code::DaemonUnreachable | Code::Stopping) => return,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    // Whether in time or not: what was seen last is the answer.
    let _ = tokio::time::timeout(time, ready).await;
    last
}
