//! The node, for people.

use super::{Show, Style, clean_line, local, relay_called, relay_state};
use kith_node::api::types::{Check, CheckState, ConfigEntry, ConfigView, Done, Peer, Ping, Status, StorageState};
use serde_json::Value;

impl Show for Status {
    fn human(&self, style: Style) -> String {
        let ready = if self.ready { style.good("ready") } else { style.warn("starting") };
        let name = if self.name.is_empty() { "(no name)".into() } else { clean_line(&self.name) };
        let network = if self.peers == 0 {
            style.warn("no way to reach the network yet: use the link, or --bootstrap, or add a relay")
        } else {
            let (noise, quic) = (self.transports.noise, self.transports.quic);
            format!("{} connected ({noise} Noise, {quic} QUIC)", counted(self.peers.into(), "peer"))
        };
        let storage = match self.storage {
            StorageState::Ok => "takes writes".to_owned(),
            StorageState::Failed => style.bad("writing failed: nothing is written until the daemon starts again"),
        };
        // Every address ends with the peer's own name, which stands above.
        let suffix = format!("/p2p/{}", self.peer);
        let listen: Vec<String> =
            self.listen.iter().map(|a| clean_line(a.strip_suffix(suffix.as_str()).unwrap_or(a))).collect();
        let listen = if listen.is_empty() { "nowhere".to_owned() } else { listen.join("\n           ") };
        let relays: Vec<String> = self
            .relays
            .iter()
            .map(|r| format!("{} {}", relay_called(&r.name, &r.relay), relay_state(r.state, style)))
            .collect();
        let none = style.here("none holds your mail: kith relay add CARD");
        let relays = if relays.is_empty() { none } else { relays.join("\n           ") };
        format!(
            "kith {} · {ready} · pid {} · since {}\n\
             name       {}\n\
             account    {}\n\
             peer       {}\n\
             network    {network}\n\
             listens    {listen}\n\
             dht        {}, {} in the table; how you are reached is held by {}\n\
             relays     {}\n\
             people     {}, {}\n\
             channels   {}\n\
             messages   {} unread, {} on their way\n\
             storage    {storage}",
            clean_line(&self.version),
            self.pid,
            local(self.started_at),
            style.bold(&name),
            self.account,
            clean_line(&self.peer),
            clean_line(&self.dht.mode),
            counted(self.dht.routing.into(), "peer"),
            counted(self.dht.published_to.into(), "peer"),
            relays,
            counted(self.contacts, "contact"),
            counted(self.requests, "request"),
            self.channels,
            self.unread,
            self.outbox,
        )
    }
}

/// Writes a number with what it counts.
fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

impl Show for Peer {
    fn human(&self, style: Style) -> String {
        let state = match (self.banned, self.connected) {
            (true, _) => style.bad("banned"),
            (false, true) => style.good("connected"),
            (false, false) => style.faint("known"),
        };
        let mut text = format!("{}  {state}", clean_line(&self.peer));
        if let Some(transport) = &self.transport {
            text.push_str(&format!(" · {}", clean_line(transport)));
        }
        if let Some(rtt) = self.rtt_ms {
            text.push_str(&format!(" · {rtt:.1} ms"));
        }
        if let Some(address) = &self.address {
            text.push_str(&format!(" · {}", clean_line(address)));
        }
        if self.score != 0 {
            text.push_str(&format!(" · score {}", self.score));
        }
        text
    }
}

impl Show for Ping {
    fn human(&self, _: Style) -> String {
        format!("{} answered in {:.2} ms", clean_line(&self.peer), self.rtt_ms)
    }
}

impl Show for Done {
    fn human(&self, style: Style) -> String {
        if self.changed { style.good("done") } else { style.faint("nothing to change") }
    }
}

impl Show for Check {
    fn human(&self, style: Style) -> String {
        let sign = match self.state {
            CheckState::Ok => style.good("✓"),
            CheckState::Note => style.warn("!"),
            CheckState::Problem => style.bad("✗"),
        };
        let mut text = format!("{sign} {:<10} {}", self.name, clean_line(&self.detail));
        if !self.fix.is_empty() {
            text.push_str(&format!("\n             fix: {}", clean_line(&self.fix)));
        }
        text
    }
}

impl Show for ConfigView {
    fn human(&self, style: Style) -> String {
        let mut text = style.faint(&format!("# {}", clean_line(&self.path)));
        for item in &self.items {
            text.push_str(&format!("\n{}", item.human(style)));
        }
        text
    }
}

impl Show for ConfigEntry {
    fn human(&self, style: Style) -> String {
        let value = plain(&self.value);
        let value = if self.set { style.bold(&value) } else { value };
        format!("{} = {value}\n    {}", self.key, style.faint(&self.about))
    }
}

/// Writes a setting's value as it stands in the file.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => clean_line(&other.to_string()),
    }
}
