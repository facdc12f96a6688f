//! Whether a relay's promises are on disk before they leave the machine: told by the kernel, of a real process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_protocol::{crypto::Secret, mailbox::MailboxKey};
use kith_tests::{
    depositor::Depositor,
    process::{Person, eventually},
};
use std::{collections::HashMap, path::Path, process::Command};

/// Letters, one after the other.
const LETTERS: usize = 400;
/// Bytes of a letter: no other request of this client is as long.
const LETTER: usize = 2_000;
/// What the layers of the transport add to an answer, at most.
const AROUND: usize = 100;

/// What a trace shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Answers that left after a sync of the relay's file that began when their request was there.
    after: usize,
    /// Answers that did not.
    before: usize,
}

/// A call that has begun.
struct Begun {
    on_socket: bool,
    /// A sync of the relay's file that began when the request was there.
    covers: bool,
    /// The request was synced when it began.
    synced: bool,
}

/// Reads a trace in which every request waits for the answer to the one before.
fn judge(trace: &str, answer: usize) -> Seen {
    let (mut seen, mut begun) = (Seen::default(), HashMap::new());
    let (mut received, mut synced) = (0, false);
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        let name = call.trim_start_matches("<... ").split(['(', ' ']).next().unwrap_or_default();
        if !call.starts_with("<... ") {
            let on_socket = call.contains("<socket:") || call.contains("<TCP");
            let covers = name.ends_with("sync") && call.contains("relay.redb") && received >= LETTER;
            begun.insert(pid, Begun { on_socket, covers, synced });
        }
        // Calls that go on while others begin are told of twice; they count when they are over.
        let Some(call) = (!call.ends_with("<unfinished ...>")).then(|| begun.remove(pid)).flatten() else { continue };
        let value =
            line.rsplit_once(" = ").and_then(|(_, value)| value.split_whitespace().next()?.parse::<usize>().ok());
        let (Some(value), Begun { on_socket, covers, synced: then }) = (value, call) else { continue };
        match name {
            "fdatasync" | "fsync" => synced |= covers && value == 0,
            "recvfrom" | "recvmsg" | "read" | "readv" if on_socket => received += value,
            "sendto" | "sendmsg" | "write" | "writev"
                if on_socket && received >= LETTER && (answer..answer + AROUND).contains(&value) =>
            {
                *(if then { &mut seen.after } else { &mut seen.before }) += 1;
                (received, synced) = (0, false);
            }
            _ => {}
        }
    }
    seen
}

fn strace_works(folder: &Path) -> bool {
    let probe = Command::new("strace").args(["-f", "-o"]).arg(folder.join("probe")).arg("true").status();
    probe.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn r_rly_1_no_receipt_of_a_real_relay_leaves_before_the_sync_that_covers_it() {
    let folder = tempfile::tempdir().unwrap();
    if !strace_works(folder.path()) {
        println!("\nSKIPPED: needs strace, and the right to use it (Debian package strace)");
        return;
    }
    let trace = folder.path().join("trace");
    let mut carol = Person::create("carol");
    carol.relay = true;
    let calls = "trace=fsync,fdatasync,recvfrom,recvmsg,read,readv,sendto,sendmsg,write,writev";
    let strace = ["strace", "-D", "-f", "-y", "-s", "0", "-e", "signal=none", "-e", calls, "-o"];
    carol.under = strace.map(Into::into).to_vec();
    carol.under.push(trace.display().to_string());
    carol.start().await;
    let pid = carol.pid().to_string();

    let mut alice = Depositor::connect(carol.card.as_ref().unwrap(), 7).await;
    let bob = MailboxKey::from_seed(&Secret::new([3; 32]));
    alice.register(&bob).await;
    let pass = alice.pass(&bob);
    let mut answer = 0;
    for n in 0..LETTERS {
        answer = alice.leave(&pass, &n.to_be_bytes().repeat(LETTER / 8)).await.1;
    }
    alice.close().await;
    carol.stop().await;
    let ended = |text: &String| text.lines().any(|line| line.starts_with(&pid) && line.contains("+++ exited"));
    let read = || async { std::fs::read_to_string(&trace).ok().filter(ended) };
    let text = eventually("the trace is whole", read).await;

    assert_eq!(judge(&text, answer), Seen { after: LETTERS, before: 0 });
    // What is looked for can be seen: without the syncs every receipt is one too early.
    let without: String = text.lines().filter(|line| !line.contains("sync")).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(judge(&without, answer), Seen { after: 0, before: LETTERS });
    println!("counts: {LETTERS} receipts after their syncs");
}
