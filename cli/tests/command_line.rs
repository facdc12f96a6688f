//! The contract of the command line where no daemon runs: exit codes, error objects, input by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::{TempDir, tempdir};

/// A channel invite, well written.
const INVITE: &str = "kith1zgrswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswr43a4h";

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempdir().unwrap() }
    }

    fn home(&self) -> std::path::PathBuf {
        self.dir.path().join("home")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
        command.env_clear().env("HOME", self.dir.path()).arg("--home").arg(self.home()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn kith(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn kith_with(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // It may refuse before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    /// Runs with --json, expects exactly one error object on stderr and nothing on stdout.
    fn error(&self, args: &[&str], stdin: &[u8]) -> (i32, String, Value) {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.kith_with(&args, stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{args:?}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.starts_with(r#"{"v":1,"error":{"code":""#), "{args:?}: {stderr}");
        let value: Value = serde_json::from_str(&stderr).unwrap();
        let error = value["error"].clone();
        (output.status.code().unwrap(), error["code"].as_str().unwrap().to_owned(), error)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn usage_errors_are_objects_with_exit_2() {
    let place = Place::new();
    for args in [
        &["frobnicate"][..],
        &["send"],
        &["status", "--wait", "soon"],
        &["status", "--color"],
        &["contact"],
        &["read", "@bob", "-n", "0"],
        &["send", "@bob", "hi", "--wait", "yesterday"],
        &["channel"],
        &["channel", "info"],
        &["channel", "topic", "#general"],
        &["channel", "set", "#general", "mode=secret"],
        &["channel", "set", "#general", "retention=1h"],
        &["channel", "set", "#general", "expire"],
        &["invite"],
        &["invite", "#general", "--uses", "0"],
        &["invite", "#general", "--uses", "10001"],
        &["invite", "#general", "--history", "some"],
        &["invite", "list"],
        &["invite", "revoke", "#general"],
        &["invite", "inspect"],
        &["join"],
        &["join", "kith1x", "--wait", "soon"],
        &["member", "list"],
        &["member", "role", "#general", "@bob"],
        &["member", "role", "#general", "@bob", "admin", "--take", "--for", "1d"],
        &["member", "mute", "#general", "@bob", "--off", "--for", "1d"],
        &["role", "define", "#general", "helper", "--allow", "everything"],
        &["role", "drop", "#general"],
        &["react", "abcdef"],
        &["react", "abcdef", " "],
        &["edit", "abcdef"],
        &["delete", "abcdef"],
        &["pin"],
    ] {
        let (exit, code, error) = place.error(args, b"");
        assert_eq!((exit, code.as_str()), (2, "usage"), "{args:?}");
        assert!(
            !error["message"].as_str().unwrap().is_empty() && !error["hint"].as_str().unwrap().is_empty(),
            "{args:?}"
        );
    }
    for args in [
        &["invite", "#general", "--role", "a\u{202e}b"][..],
        &["member", "role", "#general", "@bob", " "],
        &["role", "define", "#general", "helper", "--inherit", "a\nb"],
        &["role", "drop", "#general", ""],
    ] {
        let (exit, code, error) = place.error(args, b"");
        assert_eq!((exit, code.as_str()), (2, "bad_name"), "{args:?}: {error}");
    }
    let plain = place.kith(&["frobnicate"]);
    assert_eq!(plain.status.code(), Some(2));
    assert!(text(&plain.stderr).contains("frobnicate") && plain.stdout.is_empty());
}

#[test]
fn a_usage_error_points_to_the_help_of_its_command() {
    let place = Place::new();
    let mut bare = Command::new(env!("CARGO_BIN_EXE_kith"));
    let output = bare.args(["send", "--json"]).output().unwrap();
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["hint"], "kith send --help");
    // A text that looks like the flag, after --, is not the flag.
    let output = place.kith(&["frobnicate", "--", "--json"]);
    assert!(!text(&output.stderr).starts_with('{'));
}

#[test]
fn profile_names_are_no_paths() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_kith")).args(["--profile", "a/b", "status", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn help_and_version_are_data() {
    let place = Place::new();
    for args in [&["--help"][..], &["send", "--help"], &["version"], &["--version"]] {
        let output = place.kith(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{args:?}");
    }
    let json = text(&place.kith(&["version", "--json"]).stdout);
    assert_eq!(json, format!("{{\"v\":1,\"version\":\"{}\"}}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn kith_alone_without_a_terminal_is_short_help_and_exit_2() {
    let place = Place::new();
    let output = place.kith(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("Usage: kith"));
    assert_eq!(place.error(&[], b"").1, "usage");
}

#[test]
fn without_a_daemon_every_verb_that_needs_one_exits_3() {
    let place = Place::new();
    for args in [
        &["status"][..],
        &["me"],
        &["contact", "list"],
        &["send", "@bob", "hi"],
        &["send", "@bob", "hi", "--wait", "delivered"],
        &["read", "@bob"],
        &["listen"],
        &["send", "#general", "hi", "--reply", "abcdef"],
        &["read", "#general"],
        &["listen", "#general"],
        &["react", "abcdef", "👍"],
        &["edit", "abcdef", "other", "words"],
        &["delete", "abcdef", "--everyone"],
        &["pin", "abcdef", "--off"],
        &["channel", "create", "general"],
        &["channel", "list"],
        &["channel", "info", "#general"],
        &["channel", "topic", "#general", "all", "of", "it"],
        &["channel", "set", "#general", "retention=30d"],
        &["channel", "rekey", "#general", "--emergency"],
        &["channel", "mute", "#general", "--off"],
        &["channel", "requests", "#general"],
        &["channel", "leave", "#general"],
        &["invite", "#general"],
        &["invite", "#general", "--uses", "1", "--history", "30d", "--role", "Reader", "--approve"],
        &["invite", "list", "#general"],
        &["invite", "revoke", "#general", "abcdef"],
        &["join", INVITE, "--yes"],
        &["member", "list", "#general"],
        &["member", "role", "#general", "@bob", "admin", "--for", "1d"],
        &["member", "ban", "#general", "@bob", "--reason", "spam"],
        &["member", "approve", "#general", "@bob"],
        &["role", "list", "#general"],
        &["role", "define", "#general", "helper", "--inherit", "reader", "--allow", "pin,mute", "--deny", "send"],
        &["outbox", "list"],
        &["peer", "list"],
        &["why", "abcdef"],
        &["session", "reset", "@bob"],
        &["status", "--wait", "200ms"],
    ] {
        let (exit, code, error) = place.error(args, b"");
        let home = place.home();
        let hint = format!("kith --home {0} init, then kith --home {0} run", home.display());
        assert_eq!(
            (exit, code.as_str(), error["hint"].as_str()),
            (3, "daemon_unreachable", Some(hint.as_str())),
            "{args:?}"
        );
    }
}

#[test]
fn stopping_what_does_not_run_is_fine() {
    let output = Place::new().kith(&["stop", "--json"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(0), "{\"v\":1,\"running\":false,\"changed\":false}\n")
    );
}

#[test]
fn a_text_that_cannot_be_a_message_is_named_before_anything_is_asked_of_the_daemon() {
    let place = Place::new();
    let long = vec![b'x'; 32 * 1024 + 1];
    for (stdin, code) in [
        (&b""[..], "empty_message"),
        (b"\n", "empty_message"),
        (b" \t\n", "empty_message"),
        (b"caf\xe9\n", "invalid_utf8"),
        (long.as_slice(), "message_too_long"),
    ] {
        let (exit, got, error) = place.error(&["send", "@bob", "-"], stdin);
        assert_eq!((exit, got.as_str()), (2, code));
        assert!(!error["hint"].as_str().unwrap().is_empty());
    }
    assert_eq!(place.error(&["send", "@bob", ""], b"").1, "empty_message");
    // Exactly at the limit it goes on to the daemon.
    assert_eq!(place.error(&["send", "@bob", "-"], &long[1..]).1, "daemon_unreachable");
    // Without a text and without a terminal nothing is guessed.
    assert_eq!(place.error(&["send", "@bob"], b"").1, "input_needed");
}

#[test]
fn a_secret_is_never_asked_for_without_a_terminal() {
    let place = Place::new();
    let (exit, code, error) = place.error(&["init", "--name", "alice"], b"");
    assert_eq!((exit, code.as_str()), (2, "input_needed"));
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("--passphrase-file") && hint.contains("--no-passphrase"));
    assert!(!place.home().exists(), "nothing may be made before the question is answered");
    let (exit, code, _) = place.error(&["init", "--passphrase-file", "-"], b"\n");
    assert_eq!((exit, code.as_str()), (2, "usage"), "an empty passphrase is none");
    assert_eq!(place.error(&["init", "--name", "a\u{202e}b", "--no-passphrase"], b"").1, "bad_name");
}

#[test]
fn settings_are_shown_set_and_checked() {
    let place = Place::new();
    let show: Value = serde_json::from_slice(&place.kith(&["config", "show", "--json"]).stdout).unwrap();
    assert_eq!((&show["v"], show["items"].as_array().unwrap().len()), (&1.into(), 7));
    assert!(place.kith(&["config", "set", "network.mdns", "off"]).status.success());
    let get: Value = serde_json::from_slice(&place.kith(&["config", "get", "network.mdns", "--json"]).stdout).unwrap();
    assert_eq!((&get["value"], &get["set"]), (&false.into(), &true.into()));
    assert!(place.kith(&["config", "set", "network.mdns", "--default"]).status.success());
    assert!(place.kith(&["config", "validate"]).status.success());

    let (exit, code, error) = place.error(&["config", "get", "mdns"], b"");
    assert_eq!((exit, code.as_str(), &error["candidates"][0]), (2, "config_invalid", &"network.mdns".into()));
    assert_eq!(place.error(&["config", "set", "network.mdns", "perhaps"], b"").1, "config_invalid");
    assert_eq!(place.error(&["config", "validate", "/nowhere.toml"], b"").0, 4);

    std::fs::write(place.home().join("config.toml"), "[network]\nmdns = true\nlissten = []\n").unwrap();
    for args in [&["config", "validate"][..], &["config", "show"], &["run"]] {
        let (exit, code, error) = place.error(args, b"");
        assert_eq!((exit, code.as_str()), (2, "config_invalid"), "{args:?}");
        assert!(error["message"].as_str().unwrap().contains("line 3, column 1: unknown field `lissten`"), "{error}");
    }
}

#[test]
fn completions_and_man_pages_are_whole() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&place.kith(&["completions", shell]).stdout).contains("kith"), "{shell}");
    }
    let dir = place.dir.path().join("man/man1");
    let output = place.kith(&["man", dir.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(dir.join("kith.1").exists() && dir.join("kith-send.1").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place.command(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn a_socket_path_too_long_for_the_system_moves_or_is_named() {
    let place = Place::new();
    let long = place.dir.path().join("x".repeat(120));
    let run = |runtime: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
        command.env_clear().env("HOME", place.dir.path()).arg("--home").arg(&long).args(["doctor", "--json"]);
        if let Some(runtime) = runtime {
            command.env("XDG_RUNTIME_DIR", runtime);
        }
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let items = report["items"].as_array().unwrap().clone();
        items.into_iter().find(|i| i["name"] == "socket").unwrap()
    };
    let alone = run(None);
    assert_eq!(alone["state"], "problem");
    assert!(alone["fix"].as_str().unwrap().contains("--home"));
    assert_eq!(run(Some(place.dir.path()))["state"], "ok");
}

#[test]
fn doctor_without_a_profile_says_what_to_do_and_exits_1() {
    let place = Place::new();
    let output = place.kith(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let find = |name: &str| report["items"].as_array().unwrap().iter().find(|i| i["name"] == name).unwrap().clone();
    assert_eq!(find("profile")["state"], "problem");
    assert!(find("profile")["fix"].as_str().unwrap().ends_with(" init"));
    assert_eq!(find("daemon")["state"], "note");
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "failed");
}

#[test]
fn a_usage_error_says_what_is_missing_and_where_help_is() {
    let place = Place::new();
    for (args, message, help) in [
        (&["send"][..], "the following required arguments were not provided: <#C|@P>", "kith send --help"),
        (&["why"], "the following required arguments were not provided: <MESSAGE>", "kith why --help"),
        (
            &["contact", "add"],
            "the following required arguments were not provided: <CODE|LINK|->...",
            "kith contact add --help",
        ),
        (
            &["contact"],
            "'kith contact' requires a subcommand but one was not provided [subcommands: add, list, requests, accept, verify, rename, block, unblock, remove]",
            "kith contact --help",
        ),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'", "kith --help"),
        (
            &["contact", "lst"],
            "unrecognized subcommand 'lst' tip: a similar subcommand exists: 'list'",
            "kith contact --help",
        ),
        (
            &["send", "@bob", "hi", "--wait", "yesterday"],
            "invalid value 'yesterday' for '--wait <STAGE>' [possible values: queued, sent, stored, delivered]",
            "kith send --help",
        ),
        (
            &["config", "set", "network.mdns"],
            "the following required arguments were not provided: <VALUE>",
            "kith config set --help",
        ),
    ] {
        let (exit, code, error) = place.error(args, b"");
        assert_eq!((exit, code.as_str()), (2, "usage"), "{args:?}");
        assert_eq!((error["message"].as_str(), error["hint"].as_str()), (Some(message), Some(help)), "{args:?}");
    }
}

#[test]
fn a_code_is_inspected_without_a_daemon_or_a_profile() {
    let place = Place::new();
    let link = format!("kith:{INVITE}?a=/ip4/192.0.2.1/tcp/4001");
    let inspect = |args: &[&str], stdin: &[u8]| -> Value {
        let args: Vec<&str> = ["invite", "inspect"].iter().chain(args).copied().chain(["--json"]).collect();
        serde_json::from_slice(&place.kith_with(&args, stdin).stdout).unwrap()
    };
    let hints: Value = vec!["/ip4/192.0.2.1/tcp/4001"].into();
    for found in [inspect(&[&link], b""), inspect(&["-"], link.as_bytes())] {
        assert_eq!(found, serde_json::json!({"v": 1, "kind": "invite", "checksum": "ok", "hints": hints}));
    }
    // In groups, without quotes, it is several words.
    assert_eq!(inspect(&[&INVITE[..20], &INVITE[20..]], b"")["kind"], "invite");
    assert!(text(&place.kith(&["invite", "inspect", INVITE]).stdout).contains("join CODE"));
    let typo = INVITE.replace("pc8qurswr", "pc8qurswq");
    for (code, error) in [(typo.as_str(), "code_typo"), (&INVITE[..30], "code_truncated"), ("hello", "code_typo")] {
        let (exit, got, said) = place.error(&["invite", "inspect", code], b"");
        assert_eq!((exit, got.as_str(), said["hint"].as_str().unwrap().is_empty()), (2, error, false), "{code}");
    }
}

#[test]
fn joining_takes_a_yes_and_names_the_flag_where_nobody_can_be_asked() {
    let place = Place::new();
    let (exit, code, error) = place.error(&["join", INVITE], b"");
    assert_eq!((exit, code.as_str()), (2, "input_needed"));
    assert!(error["hint"].as_str().unwrap().ends_with(" join CODE --yes"), "{error}");
    assert_eq!(place.kith_with(&["join", "-"], INVITE.as_bytes()).status.code(), Some(2));
    // What is no invite is named before that.
    assert_eq!(place.error(&["join", "hello"], b"").1, "code_typo");
    assert_eq!(place.error(&["join", "--yes", &INVITE[..30]], b"").1, "code_truncated");
    let (_, code, error) = place.error(&["delete", "abcdef"], b"");
    assert_eq!((code.as_str(), error["hint"].as_str()), ("usage", Some("--everyone asks all members to hide it")));
}

#[test]
fn completions_are_an_object_where_json_is_asked_for() {
    let place = Place::new();
    let object: Value = serde_json::from_slice(&place.kith(&["completions", "bash", "--json"]).stdout).unwrap();
    let script = text(&place.kith(&["completions", "bash"]).stdout);
    assert_eq!((&object["v"], &object["shell"], &object["script"]), (&1.into(), &"bash".into(), &script.into()));
}

#[test]
fn the_demo_takes_no_profile_of_the_users() {
    let (exit, code, error) = Place::new().error(&["demo"], b"");
    assert_eq!((exit, code.as_str(), error["hint"].is_string()), (2, "usage", true), "{error}");
}

#[test]
fn a_passphrase_file_in_the_environment_is_no_obstacle_to_a_profile_without() {
    let place = Place::new();
    let mut command = place.command(&["init", "--no-passphrase", "--json"]);
    let output = command.env("KITH_PASSPHRASE_FILE", "/nowhere").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // Named beside it, it is a contradiction.
    let other = Place::new();
    assert_eq!(other.error(&["init", "--no-passphrase", "--passphrase-file", "/nowhere"], b"").1, "usage");
}
