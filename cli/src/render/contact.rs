//! People, for people.

use super::{Show, Style, clean_line};
use kith_node::api::types::{Added, Contact, ContactState, Me, Verification};

/// Names a contact: `@name`, or the beginning of the id where there is no name.
pub(crate) fn called(name: &str, id: &str) -> String {
    if name.is_empty() { id.chars().take(12).collect() } else { format!("@{}", clean_line(name)) }
}

impl Show for Me {
    fn human(&self, style: Style) -> String {
        let name =
            if self.name.is_empty() { style.here("(no name: kith me --name NAME)") } else { clean_line(&self.name) };
        format!(
            "name     {}\naccount  {}\ndevice   {}\ncode     {}\nlink     {}",
            style.bold(&name),
            self.account,
            self.device,
            self.code,
            self.url
        )
    }
}

impl Show for Contact {
    fn human(&self, style: Style) -> String {
        let state = match self.state {
            ContactState::NeedsKeys => style.warn("looking for their keys"),
            ContactState::Added => style.faint("added, not heard from yet"),
            ContactState::Connected => style.good("connected"),
            ContactState::Request => {
                let id = self.account;
                style.warn(&style.here(&format!("asks to talk: kith contact accept {id}, or kith contact block {id}")))
            }
            ContactState::Blocked => style.bad("blocked"),
        };
        let mut text = format!("{}  {}  {state}", style.bold(&called(&self.name, "")), self.account);
        if self.identity_changed {
            text.push_str(&format!(" · {}", style.bad("identity changed: compare the safety number again")));
        } else if self.verified {
            text.push_str(&format!(" · {}", style.good("verified")));
        }
        if self.unread > 0 {
            text.push_str(&format!(" · {} unread", self.unread));
        }
        match &self.own_name {
            Some(own) if *own != self.name => text.push_str(&format!(" · calls themselves {}", clean_line(own))),
            _ => {}
        }
        text
    }
}

impl Show for Added {
    fn human(&self, style: Style) -> String {
        let contact = self.contact.human(style);
        match &self.renamed_from {
            Some(name) if name.is_empty() => format!("known already, without a name until now\n{contact}"),
            Some(name) => format!("known already, called @{} until now\n{contact}", clean_line(name)),
            None if self.changed => contact,
            None => format!("known already\n{contact}"),
        }
    }
}

impl Show for Verification {
    fn human(&self, style: Style) -> String {
        let who = called(&self.name, &self.account.to_string());
        let command = style.here(&format!("kith contact verify {} --code DIGITS", self.account));
        let groups: Vec<&str> = self.safety_number.split_whitespace().collect();
        let rows: Vec<String> = groups.chunks(4).map(|row| format!("  {}", style.bold(&row.join(" ")))).collect();
        let state = if self.verified {
            style.good("verified")
        } else {
            format!("not verified. Compare with {who} by voice or in person; if all digits are the same:\n  {command}")
        };
        format!("safety number with {who}\n{}\n{state}", rows.join("\n"))
    }
}
