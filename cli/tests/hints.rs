//! Hints are commands: what stands in one can be typed as it stands, wherever the profile lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;

use person::{Person, pair};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::{TempDir, tempdir};

/// A user of the XDG folders, whose paths hold a space.
struct User {
    dir: TempDir,
    select: Vec<String>,
}

impl User {
    fn new(select: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let dir = tempdir().unwrap();
        std::fs::create_dir(dir.path().join("r")).unwrap();
        let select = select(dir.path());
        Self { dir, select }
    }

    fn at_home(&self, mut command: Command) -> Command {
        let folder = |name: &str| self.dir.path().join(name);
        command.env_clear().env("HOME", self.dir.path()).env("XDG_RUNTIME_DIR", folder("r"));
        command.env("XDG_DATA_HOME", folder("my data")).env("XDG_CONFIG_HOME", folder("my settings"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
        command.args(&self.select).args(args);
        self.at_home(command)
    }

    fn start(&self) -> Child {
        let args = ["run", "--json", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        let mut child = self.command(&args).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(r#""event":"ready""#), "{line}");
        child
    }

    /// Types a line as the user would.
    fn types(&self, line: &str) -> Output {
        self.at_home(shell(line)).env("PATH", path()).output().unwrap()
    }

    /// The hint of what fails, the same with and without --json.
    fn hint(&self, args: &[&str]) -> String {
        let json = self.command(args).arg("--json").output().unwrap();
        let hint = hint_of(&json);
        let plain = String::from_utf8(self.command(args).output().unwrap().stderr).unwrap();
        assert!(plain.ends_with(&format!("\n  try: {hint}\n")), "{plain}");
        hint
    }
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]);
    command
}

/// Where `kith` is found by its name.
fn path() -> String {
    Path::new(env!("CARGO_BIN_EXE_kith")).parent().unwrap().display().to_string()
}

fn hint_of(output: &Output) -> String {
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    error["error"]["hint"].as_str().unwrap().to_owned()
}

#[test]
fn the_hints_of_a_profile_work_wherever_it_lies() {
    let default = User::new(|_| Vec::new());
    let named = User::new(|_| vec!["--profile".into(), "work".into()]);
    let home = User::new(|dir| vec!["--home".into(), dir.join("my home").display().to_string()]);
    let quoted = format!("kith --home '{}/my home'", home.dir.path().display());
    for (user, kith) in [(default, "kith".to_owned()), (named, "kith --profile work".to_owned()), (home, quoted)] {
        assert_eq!(user.hint(&["run"]), format!("{kith} init"));
        assert_eq!(user.hint(&["send", "@bob", "hi"]), format!("{kith} init, then {kith} run"));
        let made = user.types(&format!("{kith} init --no-passphrase --name alice"));
        assert!(made.status.success());
        let told = String::from_utf8(made.stderr).unwrap();
        assert!(told.contains(&format!("Next: {kith} run\n")), "{told}");
        assert_eq!(user.hint(&["init", "--no-passphrase"]), format!("{kith} run"));
        assert_eq!(user.hint(&["status"]), format!("{kith} run"));

        let mut daemon = user.start();
        let hint = user.hint(&["run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        assert_eq!(hint, format!("{kith} stop"));
        let list = user.command(&["contact", "list"]).output().unwrap();
        assert_eq!(String::from_utf8(list.stdout).unwrap(), format!("nobody yet: {kith} contact add CODE\n"));
        let stopped = user.types(&hint);
        assert_eq!(String::from_utf8(stopped.stdout).unwrap(), "stopped\n", "{hint}");
        assert!(daemon.wait().unwrap().success());

        let doctor = user.command(&["doctor", "--json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let check = report["items"].as_array().unwrap().iter().find(|c| c["name"] == "daemon").unwrap().clone();
        assert_eq!(check["fix"], format!("{kith} run"));
    }
}

#[test]
fn hints_about_people_name_them_so_that_they_are_found() {
    let (alice, bob) = pair();
    let mut carol = Person::new("Carol C.");
    carol.start(&["--bootstrap", &alice.address()]);
    carol.ok(&["contact", "add", &alice.link()]);
    carol.ok(&["send", alice.ok(&["me"])["account"].as_str().unwrap(), "let me in"]);
    let stranger = loop {
        if let Some(id) = alice.ok(&["contact", "requests"])["items"][0]["account"].as_str() {
            break id.to_owned();
        }
    };
    let types = |line: &str| {
        let output = shell(line).env_clear().env("PATH", path()).env("HOME", alice.dir.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let kith = format!("kith --home {}", alice.home().display());
    let shown = String::from_utf8(alice.command(&["contact", "requests"]).output().unwrap().stdout).unwrap();
    let accept = format!("{kith} contact accept {stranger}");
    assert!(shown.contains(&accept) && shown.contains(&format!("{kith} contact block {stranger}")), "{shown}");

    let refused = |to: &str, code: &str, expected: &str| {
        let (_, got, error) = alice.error(&["send", to, "hi"], b"");
        assert_eq!((got.as_str(), error["hint"].as_str()), (code, Some(expected)));
    };
    refused(&stranger, "not_permitted", &accept);
    types(&accept);
    alice.ok(&["send", &stranger, "come in"]);
    // With the name that was kept when they were accepted, with a plain one, and with one that a shell would take apart.
    for (name, handle) in [(None, "'@Carol C.'"), (Some("carol"), "@carol"), (Some("it's Carol"), r"'@it'\''s Carol'")]
    {
        if let Some(name) = name {
            alice.ok(&["contact", "rename", &stranger, name]);
        }
        alice.ok(&["contact", "block", &stranger]);
        let unblock = format!("{kith} contact unblock {handle}");
        refused(&stranger, "blocked", &unblock);
        types(&unblock);
        alice.ok(&["send", &stranger, "unblocked"]);
    }

    // The command that verify shows compares, once the digits stand in it.
    let shown = String::from_utf8(alice.command(&["contact", "verify", "@bob"]).output().unwrap().stdout).unwrap();
    let line = shown.lines().last().unwrap().trim().to_owned();
    assert!(line.starts_with(&format!("{kith} contact verify ")) && line.ends_with(" --code DIGITS"), "{shown}");
    let digits: String = bob.ok(&["contact", "verify", "@alice"])["safety_number"]
        .as_str()
        .unwrap()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    assert!(types(&line.replace("DIGITS", &digits)).ends_with("verified\n"));
}

#[test]
fn hints_about_relays_can_be_typed_as_they_stand() {
    let (relay, alice, bob) = (Person::relay("corner"), Person::online("alice"), Person::online("bob"));
    let types = |person: &Person, line: &str| {
        let output = shell(line).env_clear().env("PATH", path()).env("HOME", person.dir.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let hint = |person: &Person, args: &[&str]| {
        let said = String::from_utf8(person.command(args).output().unwrap().stderr).unwrap();
        said.lines().last().unwrap().trim_start_matches("  try: ").to_owned()
    };
    let kith = format!("kith --home {}", alice.home().display());
    let empty = String::from_utf8(alice.command(&["relay", "list"]).output().unwrap().stdout).unwrap();
    assert_eq!(empty, format!("no relay holds your mail: {kith} relay add CARD\n"));
    let add = empty.trim().strip_prefix("no relay holds your mail: ").unwrap().to_owned();

    // Refused without an invite; what is said then puts it right, or takes it away again.
    let card = relay.ok(&["relay", "card"])["url"].as_str().unwrap().to_owned();
    let refused = hint(&alice, &["relay", "add", &card]);
    let (with, without) = refused.split_once(" with an invite of its operator, or ").unwrap();
    assert_eq!(types(&alice, without), "done\n");
    assert_eq!(alice.ok(&["relay", "list"])["items"], Value::Array(Vec::new()));
    let asks = hint(&relay, &["relay", "add", &card]);
    let shown = types(&relay, asks.split_once(": ").unwrap().1.split(';').next().unwrap());
    assert!(shown.contains("for members only: ") && shown.ends_with(&format!("link   {card}\n")), "{shown}");
    let invite = shown.lines().find_map(|line| line.strip_prefix("mode   for members only: ")).unwrap();
    let invited = types(&relay, invite);
    let link = invited.trim().rsplit(' ').next().unwrap();
    assert!(types(&alice, &with.replace("LINK", &format!("'{link}'"))).contains("holds your mail"));
    assert!(types(&alice, &add.replace("CARD", &format!("'{link}'"))).starts_with("in use already\n"));
    assert!(types(&alice, &hint(&alice, &["relay", "remove", "zzzzzz"])).starts_with("corner ("));

    // A code of another kind: the hint names the verb that takes it.
    let contact = hint(&alice, &["relay", "add", &bob.link()]);
    let verb = contact.split(" adds that person").next().unwrap();
    let account = bob.ok(&["me"])["account"].as_str().unwrap().to_owned();
    assert!(types(&alice, &verb.replace("CODE", &format!("'{}'", bob.link()))).contains(&account));
    let relays = hint(&bob, &["contact", "add", link]);
    let verb = relays.split(" lets that relay").next().unwrap().replace("CARD", &format!("'{link}'"));
    relay.ok(&["relay", "invite"]);
    assert_eq!(hint(&bob, &["relay", "stats"]), format!("kith --home {} relay run", bob.home().display()));
    let second = types(&relay, invite);
    let verb = verb.replace(link, second.trim().rsplit(' ').next().unwrap());
    assert!(types(&bob, &verb).contains("holds your mail"));
    for list in ["members", "invite list"] {
        let args: Vec<&str> = ["relay"].into_iter().chain(list.split(' ')).collect();
        assert!(!relay.ok(&args)["items"].as_array().unwrap().is_empty());
    }
    assert_eq!(types(&relay, &hint(&relay, &["relay", "block", "zzzzzz"])).lines().count(), 2);
}

#[test]
fn hints_about_channels_name_the_one_at_hand_and_can_be_typed_as_they_stand() {
    let alice = Person::online("alice");
    let mut bob = Person::new("bob");
    bob.start(&["--bootstrap", &alice.address()]);
    let types = |person: &Person, line: &str| {
        let output = shell(line).env_clear().env("PATH", path()).env("HOME", person.dir.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let hint = |person: &Person, args: &[&str]| {
        let said = String::from_utf8(person.command(args).output().unwrap().stderr).unwrap();
        said.lines().last().unwrap().trim_start_matches("  try: ").to_owned()
    };
    let kith = |person: &Person| format!("kith --home {}", person.home().display());
    let empty = String::from_utf8(alice.command(&["channel", "list"]).output().unwrap().stdout).unwrap();
    assert_eq!(empty, format!("no channel yet: {0} channel create NAME, or {0} join CODE\n", kith(&alice)));
    let (create, _) = empty.trim().trim_start_matches("no channel yet: ").split_once(", or ").unwrap();
    // A name that a shell would take apart.
    assert!(types(&alice, &create.replace("NAME", r"'it'\''s $HOME'")).starts_with("#it's $HOME  "));
    let channel = "#it's $HOME";
    let word = r"'#it'\''s $HOME'";

    let none = String::from_utf8(alice.command(&["invite", "list", channel]).output().unwrap().stdout).unwrap();
    let invite = none.trim().strip_prefix("no invite lets anybody in now: ").unwrap();
    assert_eq!(invite, format!("{} invite {word}", kith(&alice)));
    let made = types(&alice, invite);
    let code = made.lines().find_map(|line| line.strip_prefix("code  ")).unwrap();
    assert_eq!(code.len(), 64);
    let yes = hint(&bob, &["join", code]);
    assert_eq!(yes, format!("{} join CODE --yes", kith(&bob)));
    let joined = types(&bob, &yes.replace("CODE", code));
    let next = joined.lines().nth(1).unwrap().split(" · ").next().unwrap();
    assert_eq!(types(&bob, next), "no messages\n");

    for (args, list) in [
        (["role", "drop", channel, "no such"], "role list"),
        (["member", "remove", channel, "@nobody"], "member list"),
        (["invite", "revoke", channel, "zzzzzz"], "invite list"),
        (["member", "approve", channel, "@nobody"], "channel requests"),
    ] {
        let told = hint(&alice, &args);
        assert_eq!(told, format!("{} {list} {word}", kith(&alice)));
        types(&alice, &told);
    }
    let may = hint(&bob, &["channel", "rename", channel, "mine"]);
    let (members, roles) = may.split_once(" shows who may; roles: ").unwrap();
    assert_eq!((types(&bob, members).lines().count(), types(&bob, roles).lines().count()), (2, 5));
    let plain = hint(&alice, &["channel", "info", &channel[1..]]);
    assert_eq!(plain, format!("channels are named with a #: {word}"));

    // The last owner makes another one first, as it says, and leaves.
    let owner = hint(&alice, &["channel", "leave", channel]);
    let line = owner.strip_prefix("make somebody else owner first: ").unwrap().replace("@PERSON", "@bob");
    assert_eq!(types(&alice, &line), "done\n");
    assert_eq!(types(&alice, &format!("{} channel leave {word}", kith(&alice))), "done\n");
    let again = hint(&alice, &["send", channel, "hi"]);
    assert_eq!(again, format!("ask for an invite: {} join CODE", kith(&alice)));
}
