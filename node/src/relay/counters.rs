//! What a relay counts, and how it tells that to machines: no names, no addresses, a fixed set of series.

use super::operator::Stats;
use kith_protocol::mailbox::Reason;
use std::{collections::BTreeMap, fmt::Write};

/// Counts since the relay started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests, all kinds.
    pub requests: u64,
    /// Deposits taken in; those that were there already count too.
    pub accepted: u64,
    /// Requests that were refused, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// Envelopes that their owners took.
    pub collected: u64,
    /// One-time keys given out.
    pub prekeys: u64,
    /// Things deleted because they had lapsed.
    pub swept: u64,
    /// Wake-ups sent.
    pub woken: u64,
    /// Commits.
    pub commits: u64,
    /// Errors that the disk reported.
    pub storage_errors: u64,
}

impl Counters {
    /// The refusals by the word that stands for each reason.
    pub fn refused_by_word(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refused.iter().map(|(reason, count)| (word(*reason), *count))
    }

    pub(super) fn refuse(&mut self, reason: Reason) {
        add(self.refused.entry(reason).or_default(), 1);
    }
}

/// Counts up; a counter that is full stays.
pub(super) const fn add(counter: &mut u64, by: u64) {
    *counter = counter.saturating_add(by);
}

/// How a reason is called in series and for operators.
const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Nonce => "nonce",
        Reason::Proof => "proof",
        Reason::Malformed => "malformed",
        Reason::NoRoom => "no_room",
        Reason::UnknownTag => "unknown_tag",
        Reason::WrongGrant => "wrong_grant",
        Reason::Expired => "expired",
        Reason::Revoked => "revoked",
        Reason::Blocked => "blocked",
        Reason::NotAdmitted => "not_admitted",
        Reason::TooLarge => "too_large",
        Reason::RateLimited => "rate_limited",
        Reason::RelayFull => "relay_full",
        Reason::Storage => "storage",
        Reason::Stopping => "stopping",
        Reason::NoMailbox => "no_mailbox",
        Reason::Other(_) => "other",
    }
}

/// Writes the Prometheus text form (version 0.0.4).
pub(super) fn prometheus(stats: &Stats) -> String {
    let counters = &stats.counters;
    let mut text = String::new();
    let mut series = |name: &str, kind: &str, help: &str, rows: &[(&str, u64)]| {
        // Writing into a string does not fail.
        let _ = writeln!(text, "# HELP kith_relay_{name} {help}\n# TYPE kith_relay_{name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "kith_relay_{name}{labels} {value}");
        }
    };
    let held = &stats.held;
    series("mailboxes", "gauge", "Registered mailboxes.", &[("", held.mailboxes)]);
    series("envelopes", "gauge", "Envelopes held.", &[("", held.envelopes)]);
    series("envelope_bytes", "gauge", "Bytes of envelopes held.", &[("", held.bytes)]);
    series("kept_bytes", "gauge", "Bytes of descriptors kept.", &[("", held.kept_bytes)]);
    series("owners_connected", "gauge", "Connected peers that own a mailbox.", &[("", stats.owners)]);
    series("storage_ok", "gauge", "1 while the store takes writes.", &[("", stats.storage_ok.into())]);
    series("clock_doubt", "gauge", "1 while the clock is not believed.", &[("", stats.clock_doubt.is_some().into())]);
    series("uptime_seconds", "gauge", "Seconds since the start.", &[("", stats.uptime_s)]);
    series("requests_total", "counter", "Requests.", &[("", counters.requests)]);
    series("deposits_total", "counter", "Deposits taken in.", &[("", counters.accepted)]);
    let refused: Vec<(String, u64)> =
        counters.refused_by_word().map(|(word, n)| (format!("{{reason=\"{word}\"}}"), n)).collect();
    let refused: Vec<(&str, u64)> = refused.iter().map(|(labels, n)| (labels.as_str(), *n)).collect();
    series("refused_total", "counter", "Requests refused, by reason.", &refused);
    series("collected_total", "counter", "Envelopes that their owners took.", &[("", counters.collected)]);
    series("prekeys_taken_total", "counter", "One-time keys given out.", &[("", counters.prekeys)]);
    series("swept_total", "counter", "Things deleted because they had lapsed.", &[("", counters.swept)]);
    series("wakeups_total", "counter", "Wake-ups sent.", &[("", counters.woken)]);
    series("commits_total", "counter", "Commits.", &[("", counters.commits)]);
    series("storage_errors_total", "counter", "Errors that the disk reported.", &[("", counters.storage_errors)]);
    text
}
