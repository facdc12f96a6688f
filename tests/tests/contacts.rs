//! Contacts: adding, naming, comparing numbers, and a new code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    UserError,
    api::target::Target as Who,
    app::{Command, Outcome},
    net::Verdict,
};
use kith_protocol::{
    AccountId,
    content::{Body, Text},
    identity::{DeviceSecrets, ReachSecret, safety_number},
    prekey::{Bundle, PrekeyPool, reading::readers_keys},
};
use kith_store::{
    Rows,
    table::{Contact, PeerDevice},
};
use kith_tests::bench::{Bench, DAY, HOUR, MINUTE, Target};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

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

/// Whom a node means by a name.
fn means(bench: &Bench, at: usize, name: &str) -> Result<AccountId, UserError> {
    Who::parse(name).unwrap().contact(&bench.nodes[at].contacts()).map(|c| c.account)
}

/// Two nodes that added each other's codes, the first without a name of its own for the second.
fn meet(bench: &mut Bench, a: usize, b: usize) {
    let code_or_link = bench.nodes[b].me().url;
    bench.act(a, Command::ContactAdd { code_or_link, name: None }).unwrap();
    bench.add(b, a).unwrap();
    bench.say(b, a, "it is me");
    bench.wait(MINUTE);
}

fn set_name(bench: &mut Bench, who: usize, name: &str) {
    bench.act(who, Command::SetName { name: name.into() }).unwrap();
    bench.wait(MINUTE);
}

#[test]
fn a_name_that_a_contact_takes_for_itself_never_means_somebody_else() {
    let mut bench = Bench::new(811, 4);
    let (bob, mallory) = (bench.nodes[1].account, bench.nodes[2].account);
    for (who, name) in [(1, "Bob"), (2, "Mallory"), (3, "Carol")] {
        bench.act(who, Command::SetName { name: name.into() }).unwrap();
    }
    let code_or_link = bench.nodes[1].me().url;
    bench.act(0, Command::ContactAdd { code_or_link, name: Some("Bobby".into()) }).unwrap();
    meet(&mut bench, 0, 2);
    meet(&mut bench, 0, 3);
    set_name(&mut bench, 2, "bobby");
    assert_eq!(bench.contact(0, 2).unwrap().own_name.as_deref(), Some("bobby"), "it is shown all the same");
    for name in ["@bobby", "@Bobby", "@BOBBY"] {
        assert_eq!(means(&bench, 0, name), Ok(bob), "{name}");
    }
    // Somebody else lets go of a name, and another one takes it.
    let carol = bench.nodes[3].account;
    assert_eq!(means(&bench, 0, "@carol"), Ok(carol));
    set_name(&mut bench, 3, "Caroline");
    set_name(&mut bench, 2, "Carol");
    let contact = bench.contact(0, 3).unwrap();
    assert_eq!((contact.name.as_str(), contact.own_name.as_deref()), ("Carol", Some("Caroline")));
    assert_eq!(means(&bench, 0, "@carol"), Ok(carol));
    assert_eq!(means(&bench, 0, "@Carol"), Ok(carol));
    assert_eq!(means(&bench, 0, "@caroline").unwrap_err().code.as_str(), "contact_unknown");
    assert_eq!(means(&bench, 0, "@mallory"), Ok(mallory), "its first name stays its name");
}

#[test]
fn who_becomes_a_contact_under_a_name_that_is_taken_gets_a_number() {
    let mut bench = Bench::new(812, 4);
    for who in 1..4 {
        bench.act(who, Command::SetName { name: ["", "Bob", "BOB", "bob"][who].into() }).unwrap();
    }
    // The first by code, the second by a request that is accepted, the third by adding the code of a request.
    meet(&mut bench, 0, 1);
    for who in [2, 3] {
        bench.add(who, 0).unwrap();
        bench.say(who, 0, "hello");
        let request = bench.contact(0, who).unwrap();
        assert!(!request.name_given && means(&bench, 0, "@bob") == Ok(bench.nodes[1].account));
    }
    bench.act(0, Command::ContactAccept { account: bench.nodes[2].account }).unwrap();
    let code_or_link = bench.nodes[3].me().url;
    bench.act(0, Command::ContactAdd { code_or_link, name: None }).unwrap();
    let names: Vec<_> = (1..4).map(|who| bench.contact(0, who).unwrap().name).collect();
    assert_eq!(names, ["Bob", "BOB-2", "bob-3"]);
    for who in 1..4 {
        assert_eq!(means(&bench, 0, &format!("@{}", names[who - 1])), Ok(bench.nodes[who].account));
    }
}

/// How the first node reaches the second.
fn reach_of(bench: &Bench) -> Contact {
    let key = Contact::key_of(&bench.nodes[1].account);
    bench.nodes[0].read(|rows| rows.row::<Contact>(&key).unwrap().unwrap())
}

#[test]
fn an_old_code_pasted_again_does_not_take_away_how_a_contact_is_reached() {
    let mut bench = Bench::friends(813, 2);
    bench.say(0, 1, "hello");
    bench.say(1, 0, "hello yourself");
    let old = bench.nodes[1].me().code;
    bench.act(1, Command::RotateReach).unwrap();
    bench.wait(HOUR);
    let told = reach_of(&bench).reach;
    bench.act(0, Command::ContactAdd { code_or_link: old, name: None }).unwrap();
    bench.wait(DAY);
    assert_eq!(reach_of(&bench).reach, told);
    let (_, asked) = bench.lookups.iter().rev().find(|(who, _)| *who == 0).unwrap();
    let now = readers_keys(&bench.nodes[1].account, &ReachSecret::from_bytes(told.unwrap()), bench.now);
    assert!(now.iter().any(|key| asked.contains(key)), "what the contact said is asked for first");
    // The other way round: the word of a new code was lost, and the person pastes it.
    let lost = Contact { reach: Some([9; 16]), ..reach_of(&bench) };
    assert!(lost.reach_at.as_millis() > 0);
    bench.nodes[0].overwrite(&lost);
    let code_or_link = bench.nodes[1].me().code;
    bench.act(0, Command::ContactAdd { code_or_link, name: None }).unwrap();
    bench.wait(HOUR);
    assert_eq!(reach_of(&bench).reach, told, "what answers is taken over");
}

#[test]
fn a_clock_that_ran_ahead_does_not_pin_how_a_contact_is_reached() {
    let mut bench = Bench::friends(814, 2);
    bench.say(0, 1, "hello");
    bench.say(1, 0, "hello yourself");
    let target = Target::known_to(&bench.nodes[1], &bench.nodes[0], bench.now);
    let mut forger = bench.forger_of(1);
    forger.reach = [9; 16];
    let mut content = forger.content(&bench.nodes[0], Body::Text(Text::new("from 2037".into()).unwrap()), bench.now);
    content.sent_at = bench.now.plus_days(3_650);
    let frame = forger.seal(&target, &content, bench.now);
    assert_eq!(bench.hand(1, 0, frame), Some(Verdict::Accepted));
    assert_eq!(reach_of(&bench).reach, Some([9; 16]));
    bench.wait(2 * DAY);
    bench.act(1, Command::RotateReach).unwrap();
    bench.wait(HOUR);
    assert_ne!(reach_of(&bench).reach, Some([9; 16]), "a later word counts");
    // A moment stored by an earlier version counts as little.
    let pinned = Contact { reach: Some([8; 16]), reach_at: bench.now.plus_days(3_650), ..reach_of(&bench) };
    bench.nodes[0].overwrite(&pinned);
    bench.act(1, Command::RotateReach).unwrap();
    bench.wait(HOUR);
    assert_ne!(reach_of(&bench).reach, Some([8; 16]));
}

#[test]
fn devices_of_one_account_that_claim_anothers_peer_count_as_one() {
    let mut bench = Bench::friends(815, 3);
    bench.say(0, 1, "hello");
    bench.say(1, 0, "hello yourself");
    let now = bench.now;
    let mut rng = ChaCha20Rng::seed_from_u64(815);
    let mut mallory = bench.forger_of(1);
    let phone = DeviceSecrets::generate(&mut rng);
    let admit = mallory.admit(&phone, now);
    mallory.log = mallory.log.append(&admit, now).unwrap().0;
    let mut phone = mallory.another_device(phone);
    let victim = (bench.nodes[2].account, "peer-2");
    for device in [&mut mallory, &mut phone] {
        let signed = PrekeyPool::generate(now, &mut rng).bundle(device.account.id(), &device.device, now);
        let bundle = Bundle::verify(&signed.encode(), &device.account.id(), device.device.info(), now).unwrap();
        let records = device.records(&bundle, (victim.1, &[]), now.as_millis() + 1, now);
        bench.dht.extend(records);
    }
    bench.wait(HOUR);
    let code_or_link = bench.nodes[1].me().code;
    bench.act(0, Command::ContactAdd { code_or_link, name: None }).unwrap();
    bench.wait(HOUR);
    assert_eq!(bench.contact(0, 1).unwrap().devices, 2, "both devices were found");
    let key = PeerDevice::key_of(victim.1);
    let claims = bench.nodes[0].read(|rows| rows.row::<PeerDevice>(&key).unwrap().unwrap()).devices;
    let theirs = claims.iter().filter(|d| [phone.device.id(), mallory.device.id()].contains(d)).count();
    assert_eq!((theirs, claims.contains(&bench.nodes[2].device)), (1, true), "{claims:?}");
}
