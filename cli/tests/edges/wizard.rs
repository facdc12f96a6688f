//! `kith` alone on a terminal: three questions, then what to type next.

use crate::person::Person;
use crate::space::skipped;
use crate::terminal::Terminal;

const NEEDS: &str = "setsid (Debian package util-linux)";
const NAME: &str = "1/3  What should people call you?  > ";
const PASSPHRASE: &str = "2/3  A passphrase";
const AGAIN: &str = "Again  > ";
const CODE: &str = "3/3  Somebody's contact code or link?";

#[test]
fn a_newcomer_who_mistypes_everything_is_asked_again_and_ends_with_a_running_daemon() {
    let nobody = Person::nobody_at_home();
    let Some(mut tty) = Terminal::start(&nobody.command(&[])) else { return skipped(NEEDS) };
    tty.expect("Welcome to Kith");
    // Names that are none: nothing at all, and one that does not show.
    for bad in ["", "a\u{202e}b"] {
        tty.expect(NAME);
        tty.type_line(bad);
        let told = tty.expect("error: ");
        assert!(!told.contains(PASSPHRASE), "{bad:?} is taken for a name: {told}");
    }
    tty.expect(NAME);
    tty.type_line("Alice");
    tty.expect(PASSPHRASE);
    tty.expect_prompt(true);
    tty.type_line("correct horse");
    tty.expect(AGAIN);
    tty.expect_prompt(true);
    tty.type_line("correct house");
    tty.expect("The two differ.");
    tty.expect(PASSPHRASE);
    tty.expect_prompt(true);
    tty.type_line("correct horse");
    tty.expect(AGAIN);
    tty.expect_prompt(true);
    tty.type_line("correct horse");
    tty.expect(CODE);
    assert!(nobody.has_nothing(), "nothing is made before the last answer");
    tty.type_line("not a code");
    let words = tty.expect("Whoever has them is you");
    assert!((1..=24).all(|n| words.contains(&format!("{n:>2} "))), "24 words: {words}");
    tty.expect("error: ");
    tty.expect("You are reachable now. Give this link to somebody:");
    let link = tty.expect("Next:");
    assert!(link.contains("kith:kith1"), "{link}");
    let next = tty.expect("bring you back");
    for verb in ["contact add CODE", "send @NAME TEXT", "listen", "stop"] {
        assert!(next.contains(&format!("kith --home {} {verb}", nobody.home.display())), "{verb}: {next}");
    }
    assert!(tty.end().success(), "{}", tty.shown);
    assert!(!tty.shown.contains("horse") && !tty.shown.contains("house"), "a passphrase was shown: {}", tty.shown);
    tty.close();

    // The daemon lives on when its terminal is closed, and what was answered holds.
    let status = nobody.ok(&["status", "--wait"]);
    assert_eq!((&status["name"], &status["contacts"]), (&"Alice".into(), &0.into()));
    let shown = link.split_whitespace().find(|w| w.starts_with("kith:")).unwrap();
    assert_eq!(nobody.ok(&["me"])["url"], shown);
    let mut tty = Terminal::start(&nobody.command(&[])).unwrap();
    tty.expect("Alice");
    tty.expect("send @NAME TEXT");
    assert!(tty.end().success());
    nobody.ok(&["stop"]);
    assert_eq!(nobody.error(&["run", "--no-mdns"]).1, "input_needed", "the passphrase seals it");
    let mut tty = Terminal::start(&nobody.command(&[])).unwrap();
    tty.expect("The daemon is not running. Start it:");
    assert!(tty.end().success());
}

#[test]
fn a_newcomer_with_a_link_and_no_passphrase_is_told_what_that_means_and_can_write_at_once() {
    let mut bob = Person::new("bob");
    bob.start(&[]);
    let nobody = Person::nobody_at_home();
    let Some(mut tty) = Terminal::start(&nobody.command(&[])) else { return skipped(NEEDS) };
    tty.expect(NAME);
    tty.type_line("Alice");
    let question = tty.expect("> ");
    tty.expect_prompt(true);
    assert!(question.contains(PASSPHRASE) && question.contains("whoever reads the folder can open it"), "{question}");
    tty.type_line("");
    tty.expect(CODE);
    tty.type_line(bob.ok(&["me"])["url"].as_str().unwrap());
    tty.expect("Next:");
    assert!(tty.end().success(), "{}", tty.shown);
    let contact = nobody.ok(&["contact", "list"])["items"][0]["account"].as_str().unwrap().to_owned();
    assert_eq!(bob.ok(&["me"])["account"], contact.as_str());
    nobody.ok(&["send", &contact, "hello"]);
    crate::person::until("the request arrives", || {
        !bob.ok(&["contact", "requests"])["items"].as_array().unwrap().is_empty()
    });
    nobody.ok(&["stop"]);
    bob.stop();
}

#[test]
fn a_newcomer_who_leaves_at_any_question_leaves_nothing_behind() {
    const END: &str = "\u{4}";
    const INTERRUPT: &str = "\u{3}";
    for answered in 0..3 {
        for key in [END, INTERRUPT] {
            let nobody = Person::nobody_at_home();
            let Some(mut tty) = Terminal::start(&nobody.command(&[])) else { return skipped(NEEDS) };
            for (question, answer) in [(NAME, "Alice"), (PASSPHRASE, ""), (CODE, "")].into_iter().take(answered) {
                tty.expect(question);
                tty.expect_prompt(question == PASSPHRASE);
                tty.type_line(answer);
            }
            tty.expect([NAME, PASSPHRASE, CODE][answered]);
            tty.expect_prompt(answered == 1);
            tty.press(key);
            let ended = tty.end();
            assert_eq!(ended.code(), Some(130), "{answered} {key:?}: {ended} {}", tty.shown);
            assert!(nobody.has_nothing(), "{answered} {key:?}");
            assert!(tty.echoes(), "{answered} {key:?}: what is typed is not shown any more");
        }
    }
}

#[test]
fn an_interrupt_at_a_passphrase_gives_the_terminal_back() {
    let sealed = Person::nobody_at_home();
    let Some(mut tty) = Terminal::start(&sealed.command(&["init", "--name", "alice"])) else { return skipped(NEEDS) };
    for question in ["Passphrase: ", "Again: "] {
        tty.expect(question);
        crate::person::until("what is typed is hidden", || !tty.echoes());
        tty.type_line("correct horse");
    }
    assert!(tty.end().success(), "{}", tty.shown);
    assert!(!tty.shown.contains("horse"), "{}", tty.shown);
    assert!(tty.echoes());
    let mut tty = Terminal::start(&sealed.command(&["run"])).unwrap();
    tty.expect("Passphrase: ");
    crate::person::until("what is typed is hidden", || !tty.echoes());
    tty.press("half of it\u{3}");
    assert_eq!(tty.end().code(), Some(130), "{}", tty.shown);
    assert!(tty.echoes(), "what is typed is not shown any more");
    assert!(!tty.shown.contains("half of it"), "{}", tty.shown);
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let nobody = Person::nobody_at_home();
    let output = nobody.command(&[]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{told}");
    assert!(told.contains("Usage: kith") && told.lines().count() <= 50, "{told}");
    assert!(nobody.has_nothing());
}
