//! Starts daemons as processes of this same program: for the guided first run and for the demo.

use crate::context::Context;
use kith_node::api::types::ErrorBody;
use kith_node::{Client, Code, UserError};
use serde::Deserialize;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// How long a daemon may take until it is ready: Argon2 on a slow machine, a store checked after a kill.
const START: Duration = Duration::from_secs(30);

/// How a daemon is started.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    /// Arguments that name the profile.
    pub(crate) select: Vec<String>,
    /// Whether a relay runs beside it.
    pub(crate) relay: bool,
    /// Arguments after `run`.
    pub(crate) args: Vec<String>,
    /// Where its log goes.
    pub(crate) log: PathBuf,
    /// Handed over by stdin.
    pub(crate) passphrase: Option<Zeroizing<String>>,
    /// Whether it lives on when this process ends.
    pub(crate) detached: bool,
}

/// What a daemon says when it is ready.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ready {
    /// Its transport name.
    pub(crate) peer: String,
    /// Addresses listened on.
    pub(crate) listen: Vec<String>,
    /// Its socket.
    pub(crate) socket: PathBuf,
}

/// A daemon process.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Talks to it.
    pub(crate) client: Client,
    /// What it said.
    pub(crate) ready: Ready,
    /// Its process id.
    pub(crate) pid: u32,
    child: Child,
}

impl Daemon {
    /// Starts the daemon of the context's profile so that it lives on; its log goes to the profile's folder.
    pub(crate) async fn start_detached(
        context: &Context,
        passphrase: Option<Zeroizing<String>>,
    ) -> Result<Self, UserError> {
        let select = match &context.profile {
            Some(profile) => vec!["--profile".to_owned(), profile.clone()],
            None => vec!["--home".to_owned(), path_text(&context.paths.home)?],
        };
        let log = context.paths.home.join("daemon.log");
        Self::start(Launch { select, log, passphrase, detached: true, ..Launch::default() }).await
    }

    /// Starts a daemon and waits until it is ready.
    ///
    /// # Errors
    /// What the daemon said, or `timeout`.
    pub(crate) async fn start(launch: Launch) -> Result<Self, UserError> {
        let log = File::options().write(true).create(true).truncate(true).mode(0o600).open(&launch.log);
        let log = log.map_err(|e| cannot("write the log", &e))?;
        let mut command = this_program()?;
        let verb: &[&str] = if launch.relay { &["relay", "run"] } else { &["run"] };
        command.args(&launch.select).args(verb).arg("--json").args(&launch.args);
        if launch.passphrase.is_some() {
            command.args(["--passphrase-file", "-"]);
        }
        command.stdin(if launch.passphrase.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::from(log)).kill_on_drop(!launch.detached);
        // In a group of its own Ctrl-C does not reach it: a detached one lives on, a demo's is stopped by the demo.
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| cannot("start the daemon", &e))?;
        if let (Some(mut stdin), Some(passphrase)) = (child.stdin.take(), &launch.passphrase) {
            stdin.write_all(passphrase.as_bytes()).await.map_err(|e| cannot("hand the passphrase over", &e))?;
        }
        let pid = child.id().unwrap_or_default();
        let ready = first_line(&mut child, &launch.log).await?;
        Ok(Self { client: Client::new(&ready.socket), ready, pid, child })
    }

    /// Kills it without warning (SIGKILL) and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), UserError> {
        self.child.kill().await.map_err(|e| cannot("kill the daemon", &e))
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), UserError> {
        self.child.wait().await.map(|_| ()).map_err(|e| cannot("wait for the daemon", &e))
    }
}

/// Names this program.
pub(crate) fn this_program() -> Result<Command, UserError> {
    let exe = std::env::current_exe().map_err(|e| cannot("find this program", &e))?;
    let mut command = Command::new(exe);
    // What the user set for their own profile must not reach another one.
    for variable in ["KITH_HOME", "KITH_PROFILE", "KITH_PASSPHRASE_FILE"] {
        command.env_remove(variable);
    }
    Ok(command)
}

/// Writes a path as an argument.
pub(crate) fn path_text(path: &Path) -> Result<String, UserError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| UserError::new(Code::InvalidUtf8, "the profile's path is not valid UTF-8"))
}

/// Reads the line that says that it is ready.
async fn first_line(child: &mut Child, log: &Path) -> Result<Ready, UserError> {
    let Some(stdout) = child.stdout.take() else { return Err(UserError::internal("the daemon has no output")) };
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    let read = tokio::time::timeout(START, reader.read_line(&mut line)).await;
    match read {
        Ok(Ok(n)) if n > 0 => serde_json::from_str(&line)
            .map_err(|e| UserError::internal(format!("the daemon's first line does not fit: {e}"))),
        Ok(_) => {
            // It ended: what it said last is why.
            let _ = child.wait().await;
            Err(last_error(log))
        }
        Err(_) => {
            let _ = child.kill().await;
            Err(UserError::new(Code::Timeout, format!("the daemon was not ready within {} s", START.as_secs()))
                .hint(format!("its log: {}", log.display())))
        }
    }
}

/// Finds the error object at the end of a log.
fn last_error(log: &Path) -> UserError {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let error = text.lines().rev().find_map(|line| serde_json::from_str::<ErrorBody>(line).ok());
    error.map_or_else(
        || {
            UserError::new(Code::Failed, "the daemon ended before it was ready")
                .hint(format!("its log: {}", log.display()))
        },
        |body| body.error,
    )
}

fn cannot(what: &str, error: &std::io::Error) -> UserError {
    UserError::new(Code::Io, format!("could not {what}: {error}"))
}
