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
    let (mut relay, alice) = (Person::nobody(), Person::online("alice"));
    let (shell, plain) = commands();
    assert!(shell.len() >= 7 && plain.len() >= 7, "the page has blocks: {shell:?} {plain:?}");
    let words = |line: &str| -> Vec<String> { line.split_whitespace().skip(1).map(str::to_owned).collect() };
    let mut link = String::new();
    for line in &shell {
        let args = words(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let told = relay.ok(&args);
        if let Some(url) = told["url"].as_str().filter(|_| line.contains("invite")) {
            url.clone_into(&mut link);
        }
        if args[0] == "init" {
            let runs: Vec<Vec<String>> = plain.iter().filter(|l| l.contains(" relay run ")).map(|l| words(l)).collect();
            assert_eq!(runs.len(), 2, "one way to run it for members, one for anybody");
            for run in runs.iter().rev() {
                relay.daemon.is_some().then(|| relay.stop());
                relay.run(&run.iter().map(String::as_str).collect::<Vec<_>>());
                assert_eq!(relay.ok(&["relay", "card"])["open"], run.contains(&"--open".to_owned()));
            }
        }
    }
    // Its card alone admits nobody; the invite does.
    let added = alice.ok(&["relay", "add", &link]);
    assert_eq!((&added["changed"], &added["state"]), (&true.into(), &"ready".into()));
    let mailbox = relay.ok(&["relay", "members"])["items"][0]["mailbox"].as_str().unwrap().to_owned();
    for line in plain.iter().filter(|line| line.starts_with("kith relay") && !line.contains(" run ")) {
        let line = line.replace("MAILBOX", &mailbox[..12]);
        let args: Vec<&str> = line.split_whitespace().skip(1).collect();
        assert_eq!(relay.ok(&args)["changed"], true, "{line}");
    }
    let invites = relay.ok(&["relay", "invite", "list"]);
    let id = invites["items"][0]["id"].as_str().unwrap();
    assert_eq!(relay.ok(&["relay", "invite", "revoke", &id[..8]])["changed"], true);
}
