//! `kith doctor`: what can be seen from outside, then what the daemon sees.

use crate::context::{Context, quoted};
use crate::failure::Outcome;
use kith_node::api::SOCKET_PATH_MAX;
use kith_node::api::types::{Check, CheckState};
use kith_node::config::Config;
use kith_node::{Code, UserError, profile};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Free space below which messages are in danger, in bytes.
const FREE_MIN: u64 = 256 * 1024 * 1024;

/// Checks this machine, the profile and the network; exit 1 if something is broken.
pub(crate) async fn run(context: &Context) -> Outcome {
    let mut checks = vec![config(context), profile(context), files(context), disk(context), socket_path(context)];
    checks.extend(terminal());
    checks.extend(daemon(context).await);
    for check in &mut checks {
        check.fix = context.here(&check.fix);
    }
    context.out.list(&checks, "")?;
    let problems = checks.iter().filter(|c| c.state == CheckState::Problem).count();
    match problems {
        0 => Ok(()),
        1 => Err(UserError::new(Code::Failed, "1 problem").into()),
        n => Err(UserError::new(Code::Failed, format!("{n} problems")).into()),
    }
}

fn check(name: &str, state: CheckState, detail: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name: name.into(), state, detail: detail.into(), fix: fix.into() }
}

/// Says an error as a problem.
fn problem(name: &str, error: UserError) -> Check {
    check(name, CheckState::Problem, error.message, error.hint)
}

fn config(context: &Context) -> Check {
    let path = context.paths.config.display();
    match Config::view(&context.paths.config) {
        Ok(view) => {
            let set = view.items.iter().filter(|i| i.set).count();
            check("config", CheckState::Ok, format!("{path} ({set} keys set)"), "")
        }
        Err(error) => problem("config", error),
    }
}

fn profile(context: &Context) -> Check {
    let home = context.paths.home.display();
    match profile::needs_passphrase(&context.paths.home) {
        Ok(true) => check("profile", CheckState::Ok, format!("{home}, sealed by a passphrase"), ""),
        Ok(false) => check("profile", CheckState::Note, format!("{home}: whoever reads the folder can open it"), ""),
        // A running daemon holds the store open; then it is there and opens.
        Err(error) if error.code == Code::ProfileInUse => check("profile", CheckState::Ok, home.to_string(), ""),
        Err(error) => problem("profile", error),
    }
}

/// Checks that nobody else can read the profile.
fn files(context: &Context) -> Check {
    let open: Vec<_> = [context.paths.home.clone(), context.paths.home.join("key"), context.paths.config.clone()]
        .into_iter()
        .filter(|path| is_open(path))
        .collect();
    match open.first() {
        None => check("files", CheckState::Ok, "owner-only permissions", ""),
        Some(path) => check(
            "files",
            CheckState::Problem,
            format!("others can get at {}", path.display()),
            format!("chmod go-rwx {}", quoted(path)),
        ),
    }
}

/// Tells whether group or others have any right on a file.
fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0)
}

fn disk(context: &Context) -> Check {
    // The profile may not be there yet: its nearest folder lies on the same disk.
    let there = context.paths.home.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let detail = format!("{} MiB free", free >> 20);
            if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
                return check("disk", CheckState::Problem, "mounted read-only", "move the profile: --home DIR");
            }
            if free < FREE_MIN {
                return check("disk", CheckState::Problem, detail, "make room: a full disk stops kith");
            }
            check("disk", CheckState::Ok, detail, "")
        }
        Err(error) => check("disk", CheckState::Note, format!("free space unknown: {error}"), ""),
    }
}

fn socket_path(context: &Context) -> Check {
    let path = &context.paths.socket;
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return check("socket", CheckState::Ok, path.display().to_string(), "");
    }
    let detail = format!("the path is longer than {SOCKET_PATH_MAX} bytes: {}", path.display());
    check("socket", CheckState::Problem, detail, "a shorter --home, or XDG_RUNTIME_DIR")
}

/// Notes a terminal that will not show everything.
fn terminal() -> Option<Check> {
    let set = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let utf8 = locale.to_ascii_lowercase().replace('-', "").contains("utf8");
    (!utf8)
        .then(|| check("terminal", CheckState::Note, "the locale is not UTF-8: signs may look broken", "LANG=C.UTF-8"))
}

async fn daemon(context: &Context) -> Vec<Check> {
    let status = match context.client.status().await {
        Ok(status) => status,
        Err(error) if error.code == Code::DaemonUnreachable => {
            let detail = "not running: nothing is sent or received";
            return vec![check("daemon", CheckState::Note, detail, "kith run")];
        }
        Err(error) => return vec![problem("daemon", error)],
    };
    let mine = env!("CARGO_PKG_VERSION");
    let mut checks = vec![if status.version == mine {
        check("daemon", CheckState::Ok, format!("pid {}, version {mine}", status.pid), "")
    } else {
        let detail = format!("it is version {}, this command is {mine}", status.version);
        check("daemon", CheckState::Note, detail, "stop it and run it again")
    }];
    match context.client.doctor().await {
        Ok(more) => checks.extend(more),
        Err(error) => checks.push(problem("daemon", error)),
    }
    checks
}
