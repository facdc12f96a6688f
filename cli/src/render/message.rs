//! Messages, their states and their history, for people.

use super::contact::called;
use super::{Show, Style, clean, clean_line, local};
use kith_node::api::types::{
    Alert, DeliveryState, Event, EventKind, Message, MessageKind, Missing, OutboxItem, Receipt, SendReply, Time, Why,
    WhyRecipient,
};
use serde::Serialize;

/// Writes a delivery state with its sign; the same on all surfaces. What some of several have is with those.
pub(crate) fn state(state: DeliveryState, delivered: u32, members: u32, style: Style) -> String {
    match state {
        DeliveryState::Queued | DeliveryState::Sent | DeliveryState::Stored if delivered > 0 => {
            format!("✓{delivered}/{members} delivered")
        }
        DeliveryState::Queued => style.faint("… queued"),
        DeliveryState::Sent => "↑ sent".to_owned(),
        DeliveryState::Stored => "▣ stored".to_owned(),
        DeliveryState::Delivered => style.good(&format!("✓{delivered}/{members} delivered")),
        DeliveryState::Read => style.good("✓✓ read"),
        DeliveryState::Failed => style.bad("! failed"),
    }
}

/// Says how far a message got towards one recipient.
fn state_at_one(at: DeliveryState, style: Style) -> String {
    state(at, u32::from(matches!(at, DeliveryState::Delivered | DeliveryState::Read)), 1, style)
}

impl Show for SendReply {
    fn human(&self, style: Style) -> String {
        format!("{}  {}", state(self.state, self.delivered, self.members, style), style.faint(&self.id.to_string()))
    }
}

/// Says how many messages of somebody are missing, and what is done about it.
fn missing(from: &str, n: u64) -> String {
    let (messages, they) =
        if n == 1 { ("1 message".to_owned(), "it comes") } else { (format!("{n} messages"), "they come") };
    format!("({messages} of {from} missing here: the others are asked, {they} in this place)")
}

impl Show for Message {
    fn human(&self, style: Style) -> String {
        if self.kind == MessageKind::Gap {
            let text = missing(&called(&self.from_name, &self.from.to_string()), self.missing);
            return format!("{}  {}", style.faint(&local(self.at)), style.warn(&text));
        }
        let from = if self.outgoing { "me".to_owned() } else { called(&self.from_name, &self.from.to_string()) };
        let body = match self.kind {
            MessageKind::Text => clean(&self.body).replace('\n', "\n    "),
            MessageKind::Deleted => style.faint("(taken back)"),
            MessageKind::Gap | MessageKind::Unknown => {
                "(a kind of message that this version does not know: update kith)".to_owned()
            }
        };
        let mut text = format!("{}  {}  {body}", style.faint(&local(self.at)), style.bold(&from));
        text.push_str(&marks(self, style));
        if self.outgoing {
            text.push_str(&format!("  {}", state(self.state, self.delivered, self.members, style)));
        }
        if let Some(error) = &self.error {
            text.push_str(&format!("  {}", style.bad(&clean_line(error))));
        }
        text
    }
}

/// Writes what became of a message in its channel: what it answers, whether it was edited or pinned, reactions.
fn marks(message: &Message, style: Style) -> String {
    let mut marks = Vec::new();
    if let Some(id) = message.reply_to {
        marks.push(format!("re {}", id.to_string().chars().take(8).collect::<String>()));
    }
    if message.edited {
        marks.push("edited".to_owned());
    }
    if message.pinned {
        marks.push("pinned".to_owned());
    }
    for reaction in &message.reactions {
        marks.push(format!("{} {}", clean_line(&reaction.emoji), reaction.count));
    }
    if marks.is_empty() { String::new() } else { format!("  {}", style.faint(&format!("({})", marks.join(" · ")))) }
}

/// A message that was found, with the name of the conversation it stands in.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    pub(crate) message: Message,
    /// `#name` or `@name`; nothing where there is no name.
    pub(crate) place: Option<String>,
}

impl Show for Found {
    fn human(&self, style: Style) -> String {
        let place = self.place.as_deref().map_or_else(|| self.message.conversation.to_string(), clean_line);
        let id: String = self.message.id.to_string().chars().take(8).collect();
        format!("{}  {}  {}", style.here(&place), self.message.human(style), style.faint(&id))
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

impl Show for Missing {
    fn human(&self, style: Style) -> String {
        let who = called(&self.name, &self.account.to_string());
        let text = match self.missing {
            0 => style.faint(&format!("(what was missing of {who} is here)")),
            n => style.warn(&missing(&who, n)),
        };
        let channel: String = self.channel.to_string().chars().take(12).collect();
        format!("{}  {text}  {}", style.faint(&local(self.at)), style.faint(&channel))
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
            EventKind::Member(member) => member.human(style),
            EventKind::Channel(channel) => channel.human(style),
            EventKind::Missing(missing) => missing.human(style),
            EventKind::Join(join) => join.human(style),
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
    let mut text = format!("  {} {device}  {}", style.bold(&who), state_at_one(recipient.state, style));
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
            state_at_one(self.state, style),
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

#[cfg(test)]
mod tests {
    use super::*;
    use kith_node::api::types::Reaction;

    fn message() -> Message {
        let id: String = "a".repeat(52);
        Message {
            id: "a".repeat(26).parse().unwrap(),
            conversation: id.parse().unwrap(),
            from: id.parse().unwrap(),
            from_name: "carol".into(),
            to: id.parse().unwrap(),
            outgoing: false,
            at: Time::default(),
            stored_at: Time::default(),
            kind: MessageKind::Text,
            body: "hi".into(),
            state: DeliveryState::Delivered,
            delivered: 0,
            members: 0,
            error: None,
            reply_to: None,
            expires: None,
            files: Vec::new(),
            channel: true,
            edited: false,
            pinned: false,
            reactions: Vec::new(),
            missing: 0,
        }
    }

    #[test]
    fn what_became_of_a_message_stands_behind_it_and_cannot_command_a_terminal() {
        let mut message = message();
        let style = crate::render::Output::new(true).style();
        assert!(message.human(style).ends_with("  @carol  hi"));
        (message.edited, message.pinned) = (true, true);
        message.reply_to = Some("a".repeat(26).parse().unwrap());
        message.reactions = vec![
            Reaction { emoji: "👍".into(), count: 2, mine: true },
            Reaction { emoji: "\u{1b}[2J".into(), count: 1, mine: false },
        ];
        let shown = message.human(style);
        assert!(shown.ends_with("  hi  (re aaaaaaaa · edited · pinned · 👍 2 · ␛[2J 1)"), "{shown:?}");
    }

    #[test]
    fn a_message_that_some_of_several_have_is_shown_with_how_many() {
        let style = crate::render::Output::new(true).style();
        let shown = |at, delivered| state(at, delivered, 3, style);
        assert_eq!(shown(DeliveryState::Queued, 0), "… queued");
        assert_eq!(shown(DeliveryState::Sent, 0), "↑ sent");
        assert_eq!(shown(DeliveryState::Sent, 2), "✓2/3 delivered");
        assert_eq!(shown(DeliveryState::Delivered, 3), "✓3/3 delivered");
        assert_eq!(shown(DeliveryState::Read, 3), "✓✓ read");
        let mine = Message { outgoing: true, state: DeliveryState::Sent, delivered: 1, members: 2, ..message() };
        assert!(mine.human(style).ends_with("  me  hi  ✓1/2 delivered"), "{}", mine.human(style));
    }

    #[test]
    fn what_is_missing_is_named_with_whose_it_is_and_cannot_command_a_terminal() {
        let style = crate::render::Output::new(true).style();
        let gap = Message { kind: MessageKind::Gap, body: String::new(), missing: 3, ..message() };
        let shown = gap.human(style);
        assert!(
            shown.ends_with("  (3 messages of @carol missing here: the others are asked, they come in this place)"),
            "{shown}"
        );
        let one = Message { missing: 1, from_name: "a\u{1b}[2Jb\nc".into(), ..gap };
        let shown = one.human(style);
        assert!(!shown.contains(['\u{1b}', '\n']), "{shown:?}");
        assert!(shown.ends_with("missing here: the others are asked, it comes in this place)"), "{shown}");
        let mut event = Missing {
            channel: format!("{}a", "b".repeat(51)).parse().unwrap(),
            account: gap.from,
            name: "carol".into(),
            device: "a".repeat(52).parse().unwrap(),
            missing: 2,
            at: Time::default(),
        };
        assert!(event.human(style).contains("(2 messages of @carol missing here"), "{}", event.human(style));
        assert!(event.human(style).ends_with("  bbbbbbbbbbbb"), "{}", event.human(style));
        event.missing = 0;
        assert!(event.human(style).contains("(what was missing of @carol is here)"), "{}", event.human(style));
    }

    #[test]
    fn a_story_of_a_channel_message_names_each_member_and_what_stands_in_the_way() {
        let style = crate::render::Output::new(true).style();
        let step = |what: &str, place: &str| kith_node::api::types::WhyStep {
            at: Time::default(),
            what: what.into(),
            place: place.into(),
        };
        let recipient = |name: &str, state, steps, error: Option<&str>| WhyRecipient {
            account: "a".repeat(52).parse().unwrap(),
            name: name.into(),
            device: Some("a".repeat(52).parse().unwrap()),
            state,
            steps,
            next_retry: None,
            error: error.map(Into::into),
        };
        let why = Why {
            id: "a".repeat(26).parse().unwrap(),
            recipients: vec![
                recipient("bob", DeliveryState::Delivered, vec![step("delivered", "their device")], None),
                recipient("carol", DeliveryState::Sent, vec![], Some("never seen here\u{1b}[2J")),
            ],
        };
        let shown = why.human(style);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].contains("@bob") && lines[1].ends_with("✓1/1 delivered"), "{shown}");
        assert!(lines[2].ends_with("delivered  their device"), "{shown}");
        assert!(lines[3].contains("@carol") && lines[3].ends_with("↑ sent"), "{shown}");
        assert_eq!(lines[4], "    never seen here␛[2J");
    }
}
