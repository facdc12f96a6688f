//! A daemon and nothing else, as a process that tests can kill:
//! `HOME [--passphrase FILE] [--bootstrap ADDRESS]... [--relay] [ADDRESS]...`; its relay is open to anybody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use kith_node::{
    daemon::{self, DaemonOptions, Ready},
    log,
    net::DhtMode,
    paths::Paths,
    profile::Key,
    relay::RelayOptions,
};
use std::{io::Write as _, path::Path, process::ExitCode};
use zeroize::Zeroizing;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let home = args.next().expect("the profile's folder");
    let (mut key, mut listen, mut bootstrap, mut relay) = (Key::File, Vec::new(), Vec::new(), None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--passphrase" => {
                let file = args.next().expect("a file");
                key = Key::Passphrase(Zeroizing::new(std::fs::read_to_string(file).unwrap()));
            }
            "--relay" => relay = Some(RelayOptions { open: true, ..RelayOptions::default() }),
            "--bootstrap" => bootstrap.push(args.next().expect("an address")),
            _ => listen.push(arg),
        }
    }
    let options = DaemonOptions {
        paths: Paths::in_home(Path::new(&home), None),
        key,
        listen,
        announce: Vec::new(),
        bootstrap,
        mdns: false,
        dht: DhtMode::Server,
        accept_clock: false,
        read_receipts: false,
        relay,
    };
    log::start(&std::env::var("KITH_LOG").unwrap_or_else(|_| "warn".into())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(daemon::run(options, |ready| {
        let Ready { peer, listen, card, .. } = ready;
        println!("{}", serde_json::json!({ "event": "ready", "peer": peer, "listen": listen, "card": card }));
        std::io::stdout().flush().unwrap();
    }));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", serde_json::json!({ "error": error }));
            ExitCode::from(error.code.exit_code())
        }
    }
}
