//! The node, for people.

use super::{Show, Style, clean_line, local};
use kith_node::api::types::{Check, CheckState, ConfigEntry, ConfigView, Done, Peer, Ping, Status, StorageState};
use serde_json::Value;

impl Show for Status {
    fn human(&self, style: Style) -> String {
        let ready = match (self.locked, self.ready) {
            (true, _) => style.warn("locked"),
            (false, true) => style.good("ready"),
            (false, false) => style.warn("starting"),
        };
        let name = if self.name.is_empty() { "(no name)".into() } else { clean_line(&self.name) };
        let network = if self.peers == 0 {
            style.warn("no way to reach the network yet: use the link, or --bootstrap, or add a relay")
        } else {
            format!("{} peers ({} noise, {} quic)", self.peers, self.transports.noise, self.transports.quic)
        };
        let storage = match self.storage {
            StorageState::Ok => "writes".to_owned(),
            StorageState::Failed => style.bad("writing failed: nothing is written until the daemon starts again"),
        };
        let listen: Vec<String> = self.listen.iter().map(|a| format!("\n           {}", clean_line(a))).collect();
        format!(
            "kith {} · {ready} · pid {} · since {}\n\
             identity   {}  {}\n\
             network    {network}\n\
             dht        {}, {} known, descriptor at {}\n\
             listens    {}{}\n\
             contacts   {} · {} requests · {} unread · {} in the outbox\n\
             storage    {storage}",
            clean_line(&self.version),
            self.pid,
            local(self.started_at),
            style.bold(&name),
            self.account,
            clean_line(&self.dht.mode),
            self.dht.routing,
            self.dht.published_to,
            clean_line(&self.peer),
            listen.concat(),
            self.contacts,
            self.requests,
            self.unread,
            self.outbox,
        )
    }
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
