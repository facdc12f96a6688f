//! Messages, their states and their history, for people.

use super::contact::called;
use super::{Show, Style, clean, clean_line, local};
use kith_node::api::types::{
    Alert, DeliveryState, Event, EventKind, Message, MessageKind, OutboxItem, Receipt, SendReply, Time, Why,
    WhyRecipient,
};

/// Writes a delivery state with its sign; the same on all surfaces.
pub(crate) fn state(state: DeliveryState, delivered: u32, members: u32, style: Style) -> String {
    match state {
        DeliveryState::Queued => style.faint("… queued"),
        DeliveryState::Sent => "↑ sent".to_owned(),
        DeliveryState::Stored => "▣ stored".to_owned(),
        DeliveryState::Delivered => style.good(&format!("✓{delivered}/{members} delivered")),
        DeliveryState::Read => style.good("✓✓ read"),
        DeliveryState::Failed => style.bad("! failed"),
    }
}

impl Show for SendReply {
    fn human(&self, style: Style) -> String {
        format!("{}  {}", state(self.state, self.delivered, self.members, style), style.faint(&self.id.to_string()))
    }
}

impl Show for Message {
    fn human(&self, style: Style) -> String {
        let from = if self.outgoing { "me".to_owned() } else { called(&self.from_name, &self.from.to_string()) };
        let body = match self.kind {
            MessageKind::Text => clean(&self.body).replace('\n', "\n    "),
            MessageKind::Unknown => "(a kind of message that this version does not know: update kith)".to_owned(),
        };
        let mut text = format!("{}  {}  {body}", style.faint(&local(self.at)), style.bold(&from));
        if self.outgoing {
            text.push_str(&format!("  {}", state(self.state, self.delivered, self.members, style)));
        }
        if let Some(error) = &self.error {
            text.push_str(&format!("  {}", style.bad(&clean_line(error))));
        }
        text
    }
}

impl Show for Receipt {
    fn human(&self, style: Style) -> String {
        let mut text = format!(
            "{}  {}",
            style.faint(&self.id.to_string()),
            state(self.state, self.delivered, self.members, style)
        );
        if let Some(error) = &self.error {
            text.push_str(&format!("  {}", style.bad(&clean_line(error))));
        }
        text
    }
}

impl Show for Alert {
    fn human(&self, style: Style) -> String {
        let hint = if self.hint.is_empty() { String::new() } else { format!("  try: {}", clean_line(&self.hint)) };
        format!("{} {}{hint}", style.bad("alert"), clean_line(&self.message))
    }
}

impl Show for Event {
    fn human(&self, style: Style) -> String {
        match &self.kind {
            EventKind::Message(message) => message.human(style),
            EventKind::Receipt(receipt) => receipt.human(style),
            EventKind::Contact(contact) => contact.human(style),
            EventKind::Request(contact) => contact.human(style),
            EventKind::Device(device) => {
                format!("device {} {} of {}", device.device, clean_line(&device.change), device.account)
            }
            EventKind::Alert(alert) => alert.human(style),
            EventKind::Gap(gap) => {
                style.warn(&style.here(&format!(
                    "events until {} are no longer kept: kith read @NAME has the messages",
                    local(gap.at)
                )))
            }
            EventKind::State(progress) => style.faint(&clean_line(&progress.state)),
            EventKind::Unknown => style.faint("(an event that this version does not know: update kith)"),
        }
    }
}

impl Show for Why {
    fn human(&self, style: Style) -> String {
        let mut text = format!("message {}", self.id);
        for recipient in &self.recipients {
            text.push_str(&format!("\n{}", recipient_text(recipient, style)));
        }
        text
    }
}

/// Writes a step for people: what is stored has its sign, and the time until when stands in this place's own.
fn told(step: &str) -> String {
    let Some(rest) = step.strip_prefix("stored: ") else { return step.to_owned() };
    let at = rest.rsplit_once(" until ").and_then(|(held, until)| Some((held, until.parse::<Time>().ok()?)));
    match at {
        Some((held, until)) => format!("▣ stored: {held} until {}", local(until)),
        None => format!("▣ stored: {rest}"),
    }
}

/// Writes what happened towards one device.
fn recipient_text(recipient: &WhyRecipient, style: Style) -> String {
    let who = called(&recipient.name, &recipient.account.to_string());
    let device = match recipient.device {
        Some(device) => format!("device {}", device.to_string().chars().take(12).collect::<String>()),
        None => "no device known yet".to_owned(),
    };
    let mut text = format!("  {} {device}  {}", style.bold(&who), state(recipient.state, 1, 1, style));
    for step in &recipient.steps {
        let (what, place) = (told(&clean_line(&step.what)), clean_line(&step.place));
        let place = if what.contains(&place) { String::new() } else { format!("  {}", style.faint(&place)) };
        text.push_str(&format!("\n    {}  {what}{place}", style.faint(&local(step.at))));
    }
    if let Some(error) = &recipient.error {
        text.push_str(&format!("\n    {}", style.warn(&style.here(&clean_line(error)))));
    }
    if let Some(at) = recipient.next_retry {
        text.push_str(&format!("\n    next attempt {}", local(at)));
    }
    text
}

impl Show for OutboxItem {
    fn human(&self, style: Style) -> String {
        let who = called(&self.name, &self.to.to_string());
        let mut text = format!(
            "{}  {}  {}  since {}, {} attempts",
            style.faint(&self.id.to_string()),
            style.bold(&who),
            state(self.state, 1, 1, style),
            local(self.queued_at),
            self.attempts
        );
        if let Some(at) = self.next_retry {
            text.push_str(&format!(", next {}", local(at)));
        }
        if let Some(error) = &self.error {
            text.push_str(&format!("  {}", style.warn(&style.here(&clean_line(error)))));
        }
        text
    }
}
