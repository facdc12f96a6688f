//! Relays, for people.

use super::{Show, Style, clean_line, local};
use kith_node::api::types::{Relay, RelayAdded, RelayCard, RelayInvite, RelayMember, RelayState, RelayStats};

/// How a relay is called: what it calls itself, and the beginning of its id.
pub(crate) fn relay_called(name: &str, id: &str) -> String {
    let short: String = id.chars().take(8).collect();
    if name.is_empty() { short } else { format!("{} ({short})", clean_line(name)) }
}

/// How things stand, in a word.
pub(crate) fn relay_state(state: RelayState, style: Style) -> String {
    match state {
        RelayState::New => style.warn("asked, no answer yet"),
        RelayState::Ready => style.good("holds your mail"),
        RelayState::Unreachable => style.warn("does not answer"),
        RelayState::Refused => style.bad("refuses"),
        RelayState::WrongKey => style.bad("another relay answers there"),
        RelayState::Leaving => style.faint("let go: read until nothing came for 8 days"),
    }
}

/// Writes bytes in the largest unit that leaves something before the point.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

/// Writes seconds in the two largest units.
fn elapsed(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

impl Show for Relay {
    fn human(&self, style: Style) -> String {
        let mut text = format!("{}  {}", relay_called(&self.name, &self.relay), relay_state(self.state, style));
        if let Some(detail) = &self.detail {
            text.push_str(&format!(": {}", clean_line(detail)));
        }
        if self.state == RelayState::Ready {
            text.push_str(&format!(
                " · up to {} messages, {} · {} one-time keys",
                self.envelopes_max,
                size(self.bytes_max),
                self.prekeys
            ));
        }
        if let Some(at) = self.last_answer {
            text.push_str(&format!(" · last answered {}", local(at)));
        }
        if self.broken > 0 {
            text.push_str(&format!(" · {}", style.bad(&format!("broke its word {} times", self.broken))));
        }
        text
    }
}

impl Show for RelayAdded {
    fn human(&self, style: Style) -> String {
        let relay = self.relay.human(style);
        if self.changed { relay } else { format!("in use already\n{relay}") }
    }
}

impl Show for RelayCard {
    fn human(&self, style: Style) -> String {
        let mode = if self.open { "open: anybody may register" } else { "for members only: kith relay invite" };
        format!(
            "relay  {}\nmode   {}\ncard   {}\nlink   {}",
            style.bold(&relay_called(&self.name, &self.relay)),
            style.here(mode),
            self.card,
            self.url
        )
    }
}

impl Show for RelayInvite {
    fn human(&self, _: Style) -> String {
        let head = format!("{}  admits {} more, until {}", self.id, self.uses, local(self.expires));
        match &self.url {
            Some(url) => format!("{head}\nlink  {url}"),
            None => head,
        }
    }
}

impl Show for RelayMember {
    fn human(&self, style: Style) -> String {
        let mut text = format!("{}  {} waiting, {}", self.mailbox, self.envelopes, size(self.bytes));
        if !self.registered {
            text.push_str(&format!(" · {}", style.faint("not registered")));
        }
        if self.allowed {
            text.push_str(" · allowed");
        }
        if self.blocked {
            text.push_str(&format!(" · {}", style.bad("blocked")));
        }
        if let (Some(envelopes), Some(bytes)) = (self.envelopes_max, self.bytes_max) {
            text.push_str(&format!(" · up to {envelopes}, {}", size(bytes)));
        }
        text
    }
}

impl Show for RelayStats {
    fn human(&self, style: Style) -> String {
        let storage = if self.storage_ok {
            "takes writes".to_owned()
        } else {
            style.bad("writing failed: nothing is accepted until it works again")
        };
        let refused: Vec<String> = self.refused.iter().map(|(why, n)| format!("{n} {}", clean_line(why))).collect();
        let refused = if refused.is_empty() { "nothing".to_owned() } else { refused.join(", ") };
        let clock = match &self.clock {
            None => "fits what the relay has seen".to_owned(),
            Some(doubt) => style.warn(&clean_line(doubt)),
        };
        format!(
            "relay        {}\nmode         {}\nmailboxes    {}, {} connected\nenvelopes    {}, {}\n\
             descriptors  {}\ntaken in     {}, {} collected, {} lapsed\nrefused      {refused}\n\
             storage      {storage}\nclock        {clock}\nup           {}",
            if self.name.is_empty() { "(no name)".to_owned() } else { clean_line(&self.name) },
            if self.open { "open" } else { "members only" },
            self.mailboxes,
            self.owners,
            self.envelopes,
            size(self.bytes),
            size(self.kept_bytes),
            self.deposits,
            self.collected,
            self.swept,
            elapsed(self.uptime_s)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_node::api::types::Time;

    fn relay(name: &str, detail: Option<&str>) -> Relay {
        Relay {
            relay: "abcdefgh2345".into(),
            peer: "p".into(),
            name: name.into(),
            state: RelayState::Ready,
            detail: detail.map(Into::into),
            added_at: Time::default(),
            last_answer: None,
            envelopes: 3,
            envelopes_max: 16_384,
            bytes: 1,
            bytes_max: 128 << 20,
            prekeys: 9,
            broken: 0,
        }
    }

    #[test]
    fn what_a_relay_calls_itself_cannot_command_a_terminal() {
        let style = crate::render::Output::new(true).style();
        let text = relay("cor\u{1b}[2Jner\u{202e}\nx", Some("a\u{9b}31m\nb")).human(style);
        assert_eq!(text.lines().count(), 1);
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        assert!(text.starts_with("cor␛[2Jner x (abcdefgh)  holds your mail: a"), "{text:?}");
        assert!(text.contains("up to 16384 messages, 128 MiB · 9 one-time keys"), "{text:?}");
        let mut liar = relay("", None);
        liar.broken = 2;
        assert!(liar.human(style).starts_with("abcdefgh  ") && liar.human(style).ends_with("broke its word 2 times"));
    }
}
