//! Contacts: adding, naming, comparing numbers, and a new code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::app::{Command, Outcome};
use kith_protocol::identity::safety_number;
use kith_tests::bench::{Bench, HOUR, MINUTE};

#[test]
fn adding_somebody_known_again_changes_the_name_and_nothing_else() {
    let mut bench = Bench::friends(801, 2);
    bench.say(0, 1, "hello");
    let code_or_link = bench.nodes[1].me().url;
    let name = Some("another".to_owned());
    bench.act(0, Command::ContactAdd { code_or_link: code_or_link.clone(), name }).unwrap();
    bench.act(0, Command::ContactAdd { code_or_link, name: None }).unwrap();
    let contact = bench.contact(0, 1).unwrap();
    assert_eq!((contact.name.as_str(), bench.nodes[0].contacts().len()), ("another", 1));
    let id = bench.say(0, 1, "still");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
}

#[test]
fn the_own_code_is_no_contact() {
    let mut bench = Bench::new(802, 1);
    assert_eq!(bench.add(0, 0).unwrap_err().code.as_str(), "code_own");
    assert!(bench.nodes[0].contacts().is_empty());
}

#[test]
fn a_contact_is_renamed_and_bad_names_are_refused() {
    let mut bench = Bench::friends(803, 2);
    let account = bench.nodes[1].account;
    bench.act(0, Command::ContactRename { account, name: "bob".into() }).unwrap();
    assert_eq!(bench.contact(0, 1).unwrap().name, "bob");
    for name in ["", "  ", "a\nb", &"x".repeat(65)] {
        let refused = bench.act(0, Command::ContactRename { account, name: name.into() }).unwrap_err();
        assert_eq!(refused.code.as_str(), "bad_name", "{name:?}");
    }
    assert_eq!(bench.contact(0, 1).unwrap().name, "bob");
}

#[test]
fn only_the_right_digits_verify() {
    let mut bench = Bench::friends(804, 2);
    let account = bench.nodes[1].account;
    let digits = safety_number(&bench.nodes[0].account, &account).to_string();
    let wrong: String = digits.chars().map(|c| if c == '1' { '2' } else { c }).collect();
    for bad in [wrong, digits[..30].to_owned(), String::new()] {
        let refused = bench.act(0, Command::ContactVerify { account, digits: Some(bad) }).unwrap_err();
        assert_eq!(refused.code.as_str(), "unverified");
        assert!(!bench.contact(0, 1).unwrap().verified);
    }
    let shown = bench.act(0, Command::ContactVerify { account, digits: None }).unwrap();
    assert!(matches!(shown, Outcome::Verification(v) if !v.verified && v.safety_number == digits));
    bench.act(0, Command::ContactVerify { account, digits: Some(digits) }).unwrap();
    assert!(bench.contact(0, 1).unwrap().verified);
}

#[test]
fn a_new_code_leaves_the_old_one_empty_and_contacts_in_reach() {
    let mut bench = Bench::friends(805, 3);
    bench.act(2, Command::ContactRemove { account: bench.nodes[1].account }).unwrap();
    bench.say(0, 1, "hello");
    let old = bench.nodes[1].me().code;
    bench.wait(HOUR);
    bench.act(1, Command::RotateReach).unwrap();
    bench.wait(HOUR);
    assert_ne!(bench.nodes[1].me().code, old);
    bench.act(2, Command::ContactAdd { code_or_link: old, name: None }).unwrap();
    let late = bench.say(2, 1, "by the old code");
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(2, &late)), "Queued", "{:?}", bench.nodes[2].why(&late));
    assert_eq!(bench.texts(1, 2), [""; 0]);
    bench.restart(1);
    let id = bench.say(0, 1, "still in reach");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    bench.add(2, 1).unwrap();
    bench.wait(HOUR);
    assert_eq!(bench.texts(1, 2), ["by the old code"], "the new code finds it");
}
