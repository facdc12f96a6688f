//! What `doctor` asks a running daemon: clock, network, store, outbox, relays.

use super::Daemon;
use crate::{
    api::{
        Backend,
        error::UserError,
        types::{Check, CheckState, Relay, RelayState, RelayStats, StorageState},
    },
    app::query,
};

impl Daemon {
    /// Everything that only a running daemon can see.
    pub(super) async fn checks(&self) -> Result<Vec<Check>, UserError> {
        let status = self.status().await?;
        let waiting = self.outbox().await?;
        let now = self.0.parts.clock.now();
        let clock = match self.0.parts.options.accept_clock {
            true => None,
            false => self.read(move |rows| query::clock_doubt(rows, now)).await?,
        };
        let mut checks = vec![
            check(
                "storage",
                status.storage == StorageState::Ok,
                "the store takes writes",
                "writing failed",
                "look at the disk",
            ),
            check(
                "clock",
                clock.is_none(),
                "fits what this profile has seen",
                clock.as_deref().unwrap_or_default(),
                "set the clock; if it is right: kith run --accept-clock",
            ),
            check(
                "listen",
                !status.listen.is_empty(),
                "the node listens",
                "the node listens nowhere",
                "kith config set network.listen, or run with --listen",
            ),
            note(
                "peers",
                status.peers > 0,
                &format!(
                    "{} connected ({} Noise, {} QUIC)",
                    status.peers, status.transports.noise, status.transports.quic
                ),
                "no way to reach the network yet",
                "use a contact's link, or --bootstrap, or add a relay",
            ),
            note(
                "descriptor",
                status.dht.published_to > 0,
                &format!("{} peers hold how you are reached", status.dht.published_to),
                "nobody holds how you are reached yet: contacts need your link",
                "kith me",
            ),
            note(
                "outbox",
                waiting.iter().all(|w| now.millis_since(w.queued_at.0) < 86_400_000),
                &format!("{} messages on their way", waiting.len()),
                "messages wait for more than a day",
                "kith outbox list",
            ),
            relays_of(&self.relays().await?),
        ];
        if self.relay().is_some() {
            checks.push(relay_run(&self.operator()?.stats().await?));
        }
        Ok(checks)
    }
}

/// How the relays stand that hold this account's mail.
fn relays_of(relays: &[Relay]) -> Check {
    let ready = relays.iter().filter(|relay| relay.state == RelayState::Ready).count();
    let fine = format!("{ready} hold your mail while you are off");
    let bad = match relays.len() {
        0 => "none holds your mail: who writes while you are off keeps it until you are both on".to_owned(),
        all => format!("{} of {all} do not hold your mail now", all - ready),
    };
    let fix = if relays.is_empty() { "kith relay add CARD" } else { "kith relay list" };
    note("relays", ready > 0 && ready == relays.len(), &fine, &bad, fix)
}

/// How the relay stands that this daemon runs.
fn relay_run(stats: &RelayStats) -> Check {
    let fine = format!("{} mailboxes, {} envelopes wait", stats.mailboxes, stats.envelopes);
    match &stats.clock {
        _ if !stats.storage_ok => {
            check("relay", false, &fine, "its disk fails: it accepts nothing", "make room; it goes on by itself")
        }
        Some(doubt) => {
            check("relay", false, &fine, doubt, "set the clock; if it is right: kith relay run --accept-clock")
        }
        None => check("relay", true, &fine, "", ""),
    }
}

fn check(name: &str, good: bool, fine: &str, bad: &str, fix: &str) -> Check {
    let (state, detail, fix) = if good { (CheckState::Ok, fine, "") } else { (CheckState::Problem, bad, fix) };
    Check { name: name.into(), state, detail: detail.into(), fix: fix.into() }
}

fn note(name: &str, good: bool, fine: &str, bad: &str, fix: &str) -> Check {
    let (state, detail, fix) = if good { (CheckState::Ok, fine, "") } else { (CheckState::Note, bad, fix) };
    Check { name: name.into(), state, detail: detail.into(), fix: fix.into() }
}
