//! `kith service`: a hardened systemd user unit. It writes the file and says what to type; it starts nothing itself.

use super::relay::RelayVerb;
use crate::args::{Cli, Verb};
use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use crate::render::{Show, Style, clean_line};
use clap::{Args, Parser as _, Subcommand};
use etcetera::BaseStrategy;
use kith_node::paths::short_name;
use kith_node::{Code, UserError, profile};
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Letters of a folder's hashed path in the name of its unit.
const PATH_LETTERS: usize = 8;

/// What to do with the service.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceVerb {
    /// Write the unit and say what to type
    Install(InstallArgs),
    /// Remove the unit
    Uninstall,
    /// Show the daemon's log
    Logs(LogsArgs),
}

/// How the service opens the profile.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// A file with the passphrase, handed to the service as a systemd credential
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// What it runs, after `--`: run, or relay run, with flags of theirs
    #[arg(last = true, value_name = "RUN")]
    run: Vec<String>,
}

/// Which part of the log.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Follow
    #[arg(short)]
    f: bool,
}

/// What was done with the unit.
#[derive(Serialize)]
struct Unit {
    unit: String,
    path: String,
    installed: bool,
    changed: bool,
    next: Vec<String>,
}

impl Show for Unit {
    fn human(&self, _: Style) -> String {
        let done = match (self.installed, self.changed) {
            (true, true) => "wrote",
            (true, false) => "already there:",
            (false, true) => "removed",
            (false, false) => "not there:",
        };
        let mut text = format!("{done} {}", clean_line(&self.path));
        if !self.next.is_empty() {
            text.push_str(&format!("\nnow type:\n  {}", self.next.join("\n  ")));
        }
        text
    }
}

/// Carries out what to do with the service.
pub(crate) async fn run(verb: ServiceVerb, context: &Context) -> Outcome {
    match verb {
        ServiceVerb::Install(args) => install(args, context),
        ServiceVerb::Uninstall => uninstall(context),
        ServiceVerb::Logs(args) => logs(args, context).await,
    }
}

/// What a unit runs.
struct Runs {
    /// Its words, as a unit file takes them.
    words: String,
    /// A folder beside the profile's that it writes.
    folder: Option<PathBuf>,
}

impl Runs {
    /// Checks what is to be run as if it were typed.
    fn of(words: Vec<String>, context: &Context) -> Result<Self, UserError> {
        let wrong = |what: &str| {
            UserError::new(Code::Usage, format!("a service cannot run that: {what}"))
                .hint("kith service install -- relay run --name N")
        };
        let words = if words.is_empty() { vec!["run".to_owned()] } else { words };
        let typed = ["kith", "--home"].into_iter().map(OsString::from);
        let typed = typed.chain([context.paths.home.clone().into()]).chain(words.iter().map(OsString::from));
        let parsed = Cli::try_parse_from(typed);
        let parsed = parsed.map_err(|e| wrong(e.to_string().lines().next().unwrap_or_default()))?;
        if parsed.global.home.as_ref() != Some(&context.paths.home) {
            return Err(wrong("the profile is named before the verb, once"));
        }
        let file = match &parsed.command {
            Some(Verb::Run(_)) => None,
            Some(Verb::Relay(RelayVerb::Run(args))) => {
                args.options()?;
                args.file()
            }
            _ => return Err(wrong("neither run nor relay run")),
        };
        let folder = match file {
            Some(file) if file.is_relative() => return Err(wrong("--store takes a whole path there")),
            file => file.and_then(Path::parent).map(Path::to_owned),
        };
        if words.iter().any(|word| word.chars().any(char::is_control)) {
            return Err(wrong("a unit holds visible characters only"));
        }
        let words: Vec<String> = words.iter().map(|word| unit_word(word)).collect();
        Ok(Self { words: words.join(" "), folder })
    }
}

/// Writes an argument of ExecStart.
fn unit_word(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@,=".contains(&b);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => unit_quoted(Path::new(word)).replace('$', "$$"),
    }
}

/// Names the unit of a profile.
fn unit_name(context: &Context) -> String {
    match context.profile.as_deref() {
        Some("default") => "kith.service".to_owned(),
        Some(profile) => format!("kith-{profile}.service"),
        // A unit name holds no slashes: the last part of the folder for the person, and a few letters of the whole path
        // so that two folders of one name have two units.
        None => {
            let last = context.paths.home.file_name().unwrap_or_default().to_string_lossy();
            let last: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let path: String = short_name(&context.paths.home).chars().take(PATH_LETTERS).collect();
            format!("kith-home-{last}-{path}.service")
        }
    }
}

/// Returns where user units lie.
fn unit_path(context: &Context) -> Result<PathBuf, UserError> {
    let base = etcetera::base_strategy::Xdg::new()
        .map_err(|_| UserError::new(Code::Usage, "this user has no home folder for units"))?;
    Ok(base.config_dir().join("systemd/user").join(unit_name(context)))
}

fn install(args: InstallArgs, context: &Context) -> Outcome {
    let sealed = profile::needs_passphrase(&context.paths.home);
    if matches!(&sealed, Err(e) if e.code == Code::NoProfile)
        || matches!(sealed, Ok(true)) && args.passphrase_file.is_none()
    {
        return Err(match sealed {
            Err(error) => error,
            Ok(_) => input::needed("the profile has a passphrase", "--passphrase-file F"),
        }
        .into());
    }
    // systemd takes a credential's path only without dots and doubled slashes.
    let passphrase = match args.passphrase_file {
        Some(file) => Some(std::fs::canonicalize(&file).map_err(|e| {
            UserError::new(Code::of_io(e.kind()), format!("could not read {}: {e}", file.display()))
                .hint("name the file with the passphrase: --passphrase-file F")
        })?),
        None => None,
    };
    for path in passphrase.iter().chain([&context.paths.home]) {
        if path.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
            let message = format!("a unit cannot hold the path {}", path.display());
            return Err(UserError::new(Code::Usage, message).hint("choose a path of visible characters").into());
        }
    }
    let runs = Runs::of(args.run, context)?;
    let exe = std::env::current_exe().map_err(|e| UserError::new(Code::Io, format!("where is kith? {e}")))?;
    let text = unit_text(&exe, context, passphrase.as_deref(), &runs);
    let path = unit_path(context)?;
    let changed = std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str());
    if changed {
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            std::fs::write(&path, &text)
        };
        write().map_err(|e| cannot("write", &path, &e))?;
    }
    let unit = unit_name(context);
    let next = vec![
        "systemctl --user daemon-reload".to_owned(),
        format!("systemctl --user enable --now {unit}"),
        "loginctl enable-linger    # to stay reachable after you log out".to_owned(),
        format!("{} status --wait", context.kith),
    ];
    context.out.one(&Unit { unit, path: path.display().to_string(), installed: true, changed, next })
}

fn uninstall(context: &Context) -> Outcome {
    let (path, unit) = (unit_path(context)?, unit_name(context));
    let changed = match std::fs::remove_file(&path) {
        Ok(()) => true,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(cannot("remove", &path, &e).into()),
    };
    // What `systemctl --user enable` made.
    if let Some(folder) = path.parent() {
        let _ = std::fs::remove_file(folder.join("default.target.wants").join(&unit));
    }
    let next = if changed {
        vec![format!("systemctl --user stop {unit}"), "systemctl --user daemon-reload".to_owned()]
    } else {
        Vec::new()
    };
    context.out.one(&Unit { unit, path: path.display().to_string(), installed: false, changed, next })
}

/// Says what could not be done with the unit.
fn cannot(what: &str, path: &Path, error: &std::io::Error) -> UserError {
    let message = format!("could not {what} {}: {error}", path.display());
    UserError::new(Code::of_io(error.kind()), message).hint("XDG_CONFIG_HOME names another folder for units")
}

async fn logs(args: LogsArgs, context: &Context) -> Outcome {
    let mut command = tokio::process::Command::new("journalctl");
    command.args(["--user", "--unit", &unit_name(context)]);
    if args.f {
        command.arg("--follow");
    }
    let status = command.status().await.map_err(|e| {
        UserError::new(Code::NotFound, format!("could not start journalctl: {e}"))
            .hint("the daemon logs to stderr: KITH_LOG=info kith run")
    })?;
    if status.success() {
        return Ok(());
    }
    Err(UserError::new(Code::Failed, "journalctl failed").hint("kith service install").into())
}

/// Writes the unit. The service may write the profile and the socket's folder, nothing else (systemd.exec(5)).
fn unit_text(exe: &Path, context: &Context, passphrase: Option<&Path>, runs: &Runs) -> String {
    let paths = &context.paths;
    let select = match &context.profile {
        Some(profile) => format!("--profile {profile}"),
        None => format!("--home {}", unit_quoted(&paths.home).replace('$', "$$")),
    };
    let credential = passphrase.map_or_else(String::new, |file| {
        format!(
            "LoadCredential=kith.passphrase:{}\nEnvironment=KITH_PASSPHRASE_FILE=%d/kith.passphrase\n",
            file.display().to_string().replace('%', "%%")
        )
    });
    // The runtime folder is read-only for the service except for what systemd makes there; it stays when one of several
    // profiles stops.
    let runtime = if paths.socket.starts_with(&paths.home) {
        ""
    } else {
        "RuntimeDirectory=kith\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes\n"
    };
    format!(
        "[Unit]\n\
         Description=Kith messenger\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         ExecStart={exe} {select} {words}\n\
         {credential}\
         Restart=on-failure\n\
         RestartSec=2\n\
         TimeoutStopSec=30\n\
         UMask=0077\n\
         NoNewPrivileges=yes\n\
         ProtectSystem=strict\n\
         ProtectHome=read-only\n\
         ReadWritePaths={home}{beside}\n\
         {runtime}\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectClock=yes\n\
         ProtectControlGroups=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectHostname=yes\n\
         ProtectProc=invisible\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallErrorNumber=EPERM\n\
         LimitCORE=0\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        exe = unit_quoted(exe),
        words = runs.words,
        home = unit_quoted(&paths.home),
        beside = runs.folder.as_ref().map(|folder| format!(" {}", unit_quoted(folder))).unwrap_or_default(),
    )
}

/// Writes a path as one word of a unit file (systemd.syntax(7): C escapes in quotes, % doubled). An argument of ExecStart
/// needs its $ doubled too; the program's own path and the values of other keys must not have that (systemd.service(5)).
fn unit_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Global;
    use crate::render::Output;

    fn context(home: &str) -> Context {
        let global = Global { home: Some(home.into()), profile: "default".into(), json: false };
        Context::new(&global, Output::new(false)).unwrap()
    }

    fn runs(words: &[&str]) -> Result<Runs, UserError> {
        Runs::of(words.iter().map(|word| (*word).to_owned()).collect(), &context("/h"))
    }

    fn run() -> Runs {
        runs(&[]).unwrap()
    }

    #[test]
    fn a_unit_runs_a_relay_where_that_was_asked_for_and_nothing_else() {
        let relay = runs(&["relay", "run", "--name", "my $corner", "--store", "redb:/srv/mail/relay.redb"]).unwrap();
        let text = unit_text(Path::new("/k"), &context("/h"), None, &relay);
        let line =
            "ExecStart=\"/k\" --home \"/h\" relay run --name \"my $$corner\" --store redb:/srv/mail/relay.redb\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("ReadWritePaths=\"/h\" \"/srv/mail\"\n"), "{text}");
        assert_eq!(runs(&["run", "--no-mdns"]).unwrap().words, "run --no-mdns");
        for bad in [
            &["stop"][..],
            &["run", "--nonsense"],
            &["relay", "list"],
            &["run", "--home", "/x"],
            &["relay", "run", "--store", "redb:here"],
            &["relay", "run", "--listen", "/a\nExecStart=/bin/sh"],
        ] {
            assert_eq!(runs(bad).map(|r| r.words).map_err(|e| e.code), Err(Code::Usage), "{bad:?}");
        }
    }

    #[test]
    fn the_unit_runs_this_profile_and_may_write_nothing_else() {
        let text =
            unit_text(Path::new("/usr/bin/kith"), &context("/home/a b/100%"), Some(Path::new("/etc/pass")), &run());
        assert!(text.contains("ExecStart=\"/usr/bin/kith\" --home \"/home/a b/100%%\" run\n"), "{text}");
        assert!(text.contains("ReadWritePaths=\"/home/a b/100%%\"\n") && !text.contains("RuntimeDirectory"));
        assert!(text.contains("LoadCredential=kith.passphrase:/etc/pass\n"));
        for rule in
            ["NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "MemoryDenyWriteExecute=yes"]
        {
            assert!(text.contains(rule));
        }
        assert!(!unit_text(Path::new("/k"), &context("/h"), None, &run()).contains("Credential"));
    }

    #[test]
    fn a_socket_in_the_runtime_folder_has_a_folder_that_systemd_makes() {
        let mut context = context("/h");
        context.paths.socket = "/run/user/1000/kith/work.sock".into();
        assert!(unit_text(Path::new("/k"), &context, None, &run()).contains("\nRuntimeDirectory=kith\n"));
    }

    #[test]
    fn quoting_leaves_nothing_to_expand() {
        assert_eq!(unit_quoted(Path::new("/a\"b\\c$d%e")), "\"/a\\\"b\\\\c$d%%e\"");
        let pass = Some(Path::new("/etc/my pass$"));
        let text = unit_text(Path::new("/opt/a$b/kith"), &context("/srv/a$b"), pass, &run());
        assert!(text.contains("ExecStart=\"/opt/a$b/kith\" --home \"/srv/a$$b\" run\n"), "{text}");
        assert!(text.contains("ReadWritePaths=\"/srv/a$b\"\n"));
        assert!(text.contains("LoadCredential=kith.passphrase:/etc/my pass$\n"), "taken as it is up to the line's end");
        let name = unit_name(&context("/x/my home"));
        assert!(name.starts_with("kith-home-my-home-") && name.ends_with(".service") && name.len() == 34, "{name}");
        assert_ne!(name, unit_name(&context("/y/my home")));
    }
}
