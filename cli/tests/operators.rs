//! Every command of docs/operators.md is carried out as it stands there, by a relay that really runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;

use person::Person;

/// The lines of the document's `sh` blocks; those of plain blocks, with MAILBOX and ID filled in, follow.
fn commands() -> (Vec<String>, Vec<String>) {
    let text = std::fs::read_to_string("../docs/operators.md").unwrap();
    let (mut shell, mut plain) = (Vec::new(), Vec::new());
    let mut block = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(kind), None) => block = Some(kind == "sh"),
            (Some(_), Some(_)) => block = None,
            (None, Some(true)) => shell.push(line.to_owned()),
            (None, Some(false)) => plain.push(line.split('#').next().unwrap().trim().to_owned()),
            (None, None) => {}
        }
    }
    (shell, plain)
}

#[test]
fn the_commands_of_the_operators_page_work() {
    let relay = Person::relay("corner");
    let alice = Person::online("alice");
    let (shell, plain) = commands();
    assert!(shell.len() >= 7 && plain.len() >= 7, "the page has blocks: {shell:?} {plain:?}");
    let mut link = String::new();
    for line in shell.iter().filter(|line| !line.contains(" init ")) {
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let told = relay.ok(&args);
        if let Some(url) = told["url"].as_str().filter(|_| line.contains("invite")) {
            url.clone_into(&mut link);
        }
    }
    // Its card alone admits nobody; the invite does.
    let added = alice.ok(&["relay", "add", &link]);
    assert_eq!((&added["changed"], &added["state"]), (&true.into(), &"new".into()));
    let mut mailbox = String::new();
    for _ in 0..200 {
        let members = relay.ok(&["relay", "members"]);
        if let Some(name) = members["items"][0]["mailbox"].as_str() {
            name.clone_into(&mut mailbox);
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(!mailbox.is_empty(), "the invited mailbox is there: {}", alice.ok(&["relay", "list"]));
    for line in plain.iter().filter(|line| line.starts_with("kith relay") && !line.contains(" run ")) {
        let line = line.replace("MAILBOX", &mailbox[..12]);
        let args: Vec<&str> = line.split(' ').filter(|w| !w.is_empty()).skip(1).collect();
        assert_eq!(relay.ok(&args)["changed"], true, "{line}");
    }
    let invites = relay.ok(&["relay", "invite", "list"]);
    let id = invites["items"][0]["id"].as_str().unwrap();
    assert_eq!(relay.ok(&["relay", "invite", "revoke", &id[..8]])["changed"], true);
}
