//! Channels, for people. Names, topics, roles and reasons are written by others: nothing of them reaches a terminal uncleaned.

use super::contact::called;
use super::{Show, Style, clean_line, local, words};
use kith_node::api::code::{Pasted, PastedKind};
use kith_node::api::types::{
    Channel, ChannelGate, ChannelInvite, ChannelMode, ChannelState, HistoryGrant, Join, JoinRequestInfo, JoinState,
    Member, MemberEvent, RoleInfo,
};
use serde::Serialize;

/// How many characters of an id are shown where it only has to be told from others.
const SHORT: usize = 12;

/// Names a channel: `#name`, or the beginning of its id where there is no name.
fn channel_called(name: &str, id: &str) -> String {
    if name.is_empty() { short(id) } else { format!("#{}", clean_line(name)) }
}

fn short(id: &str) -> String {
    id.chars().take(SHORT).collect()
}

/// Writes words that others chose, one behind the other.
fn listed(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| clean_line(word)).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Writes how many there are.
fn count(n: u32, one: &str, more: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {more}") }
}

/// Says who may come and speak, in words.
fn mode(mode: ChannelMode) -> &'static str {
    match mode {
        ChannelMode::Open => "open: as the roles say",
        ChannelMode::Private => "private: who lets others in must be allowed to approve",
        ChannelMode::Announce => "announce: who speaks must be allowed to silence others",
        ChannelMode::Archive => "archive: nobody speaks and nobody comes",
    }
}

/// Says what of the past is given.
fn history(grant: HistoryGrant) -> String {
    match grant {
        HistoryGrant::None => "nothing from before".to_owned(),
        HistoryGrant::All => "everything from before".to_owned(),
        HistoryGrant::Days(days) => format!("the last {}", count(days, "day", "days")),
    }
}

/// Says by whom one was put out, and why.
fn removed(channel: &Channel) -> String {
    let Some(removal) = &channel.removal else { return "removed".to_owned() };
    let mut text = if removal.banned { "banned" } else { "removed" }.to_owned();
    text.push_str(&format!(" by {}", called(&removal.by_name, &short(&removal.by.to_string()))));
    if !removal.reason.is_empty() {
        text.push_str(&format!(": {}", clean_line(&removal.reason)));
    }
    text
}

impl Show for Channel {
    fn human(&self, style: Style) -> String {
        let id = self.id.to_string();
        let name = style.bold(&channel_called(&self.name, &id));
        let mut text = format!("{name}  {}  {}", short(&id), count(self.members, "member", "members"));
        let mut add = |part: String| text.push_str(&format!(" · {part}"));
        match self.state {
            ChannelState::Joined => add(listed(&self.roles)),
            ChannelState::Left => add(style.faint("left")),
            ChannelState::Removed => add(style.bad(&removed(self))),
        }
        if self.unread > 0 {
            add(format!("{} unread", self.unread));
        }
        if self.muted {
            add(style.faint("no news"));
        }
        match self.mode {
            ChannelMode::Open => {}
            ChannelMode::Private => add("private".to_owned()),
            ChannelMode::Announce => add("announcements".to_owned()),
            ChannelMode::Archive => add(style.faint("archived")),
        }
        if self.requests > 0 {
            add(style.warn(&format!("{} to be let in", count(self.requests, "person waits", "people wait"))));
        }
        if self.gate == ChannelGate::WaitingForKeys {
            add(style.warn("keys on their way"));
        }
        if !self.topic.is_empty() {
            add(clean_line(&self.topic));
        }
        text
    }
}

/// A channel with everything that is known of it.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct ChannelDetails(pub(crate) Channel);

impl Show for ChannelDetails {
    fn human(&self, style: Style) -> String {
        let channel = &self.0;
        let id = channel.id.to_string();
        let state = match channel.state {
            ChannelState::Joined => style.good("in"),
            ChannelState::Left => "left; what was said is still here".to_owned(),
            ChannelState::Removed => style.bad(&format!("{}; what was said is still here", removed(channel))),
        };
        let sending = match channel.gate {
            ChannelGate::Open => "now".to_owned(),
            ChannelGate::RekeyFirst => "now, with new keys first".to_owned(),
            ChannelGate::WaitingForKeys => style.warn("once the keys that a member made anew are here"),
            ChannelGate::Closed => style.faint("no"),
        };
        let kept = match channel.retention_days {
            0 => "for ever".to_owned(),
            days => count(days, "day", "days"),
        };
        let expire = match channel.expires_after_ms {
            0 => "never".to_owned(),
            ms => format!("after {}", words(ms)),
        };
        let mut text = format!(
            "channel   {}\nid        {id}\ntopic     {}\nstate     {state}\nmode      {}\nmembers   {}\nmy roles  {}\n\
             i may     {}\nsending   {sending}\nkept      {kept}\ndisappear {expire}\nunread    {}{}\ncreator   {}\n\
             agreement {} ({} operations)",
            style.bold(&channel_called(&channel.name, &id)),
            if channel.topic.is_empty() { "none".to_owned() } else { clean_line(&channel.topic) },
            mode(channel.mode),
            channel.members,
            listed(&channel.roles),
            listed(&channel.permissions),
            channel.unread,
            if channel.muted { ", no news" } else { "" },
            channel.creator,
            clean_line(&channel.state_hash.chars().take(16).collect::<String>()),
            channel.ops,
        );
        for relay in &channel.relays {
            let state = match &relay.detail {
                Some(detail) => style.warn(&clean_line(detail)),
                None if relay.ready => style.good("keeps what is said for who is away"),
                None => "not reached yet".to_owned(),
            };
            text.push_str(&format!("\nrelay     {}  {state}", short(&relay.relay.to_string())));
            if relay.waiting > 0 {
                text.push_str(&format!(" · {} on the way there", relay.waiting));
            }
        }
        if channel.missing > 0 {
            let missing = format!("\nmissing   {} messages, asked for", channel.missing);
            text.push_str(&style.warn(&missing));
        }
        if channel.requests > 0 {
            let hint = style.here(&format!("kith channel requests {}", short(&id)));
            text.push_str(&format!("\nwaiting   {}: {hint}", count(channel.requests, "person", "people")));
        }
        text
    }
}

impl Show for Member {
    fn human(&self, style: Style) -> String {
        let name = style.bold(&called(&self.name, ""));
        let mut text = format!("{name}  {}  {}", self.account, listed(&self.roles));
        if self.me {
            text.push_str(" · me");
        }
        if self.creator {
            text.push_str(" · made the channel");
        }
        text.push_str(&format!(" · {}", count(self.devices, "device", "devices")));
        if self.muted {
            text.push_str(&format!(" · {}", style.bad("silenced")));
        }
        for caught in &self.caught {
            let what = match caught.code.as_str() {
                "operation_forbidden" => "signed changes that are refused",
                "message_forbidden" => "said what is refused",
                "after_removal" => "did more after being removed",
                "equivocation" => "said two things at one place",
                "rekey_poisoned" => "made keys that do not open",
                "rekey_withheld" => "made keys that did not come",
                other => &clean_line(other),
            };
            text.push_str(&format!(" · {}", style.bad(&format!("{what} ({} times)", caught.times))));
        }
        text
    }
}

impl Show for RoleInfo {
    fn human(&self, style: Style) -> String {
        let mut text = format!("{}  {}", style.bold(&clean_line(&self.name)), listed(&self.allow));
        if !self.inherits.is_empty() {
            text.push_str(&format!(" · as {}", listed(&self.inherits)));
        }
        if !self.deny.is_empty() {
            text.push_str(&format!(" · not {}", listed(&self.deny)));
        }
        if self.builtin {
            text.push_str(&format!(" · {}", style.faint("in every channel")));
        }
        text
    }
}

impl Show for ChannelInvite {
    fn human(&self, style: Style) -> String {
        let left = self.uses.saturating_sub(self.used);
        let mut text = format!(
            "{}  lets in {left} more of {} until {}, as {}, with {}",
            clean_line(&self.id),
            self.uses,
            local(self.expires),
            clean_line(&self.role),
            history(self.history)
        );
        if self.approval {
            text.push_str(&format!(" · {}", style.warn("somebody has to say yes to each")));
        }
        if let Some(code) = &self.code {
            text.push_str(&format!("\ncode  {}", clean_line(code)));
        }
        if let Some(url) = &self.url {
            text.push_str(&format!("\nlink  {}", clean_line(url)));
        }
        if self.code.is_none() && self.url.is_none() {
            text.push_str(&format!(" · {}", style.faint(&format!("made by {}", short(&self.by.to_string())))));
        }
        text
    }
}

/// Says how far a join has come, in words.
fn join_state(state: JoinState, style: Style) -> String {
    match state {
        JoinState::Looking => style.faint("looking for what the invite leads to"),
        JoinState::Preview => "found; waits for your yes".to_owned(),
        JoinState::Asking => style.faint("asking members to be let in"),
        JoinState::Waiting => style.warn("a member has to say yes"),
        JoinState::Joined => style.good("in"),
        JoinState::Failed => style.bad("came to nothing"),
    }
}

/// What an invite leads to, and how far the join has come.
impl Show for Join {
    fn human(&self, style: Style) -> String {
        let id = self.channel.map(|id| id.to_string()).unwrap_or_default();
        let name = channel_called(self.name.as_deref().unwrap_or_default(), &id);
        let mut text = format!("join {}  {}  {}", self.id, style.bold(&name), join_state(self.state, style));
        let mut line = |label: &str, value: String| text.push_str(&format!("\n  {label:<8} {value}"));
        if let Some(inviter) = &self.inviter {
            line("inviter", called(inviter, "somebody"));
        }
        if let Some(members) = self.members {
            line("members", members.to_string());
        }
        if let Some(role) = &self.role {
            line("you as", clean_line(role));
        }
        if let Some(grant) = self.history {
            line("history", history(grant));
        }
        if let Some(expires) = self.expires {
            line("good", format!("until {}", local(expires)));
        }
        if let Some((_, sentence)) = &self.error {
            line("why", style.bad(&clean_line(sentence)));
        }
        text
    }
}

/// What `kith join` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct JoinReply {
    /// The channel, once known.
    pub(crate) channel: Option<String>,
    /// What it is called.
    pub(crate) name: Option<String>,
    /// `joined` or `pending`.
    pub(crate) state: &'static str,
    /// How many members it has, once known.
    pub(crate) members: Option<u32>,
}

impl From<&Join> for JoinReply {
    fn from(join: &Join) -> Self {
        Self {
            channel: join.channel.map(|id| id.to_string()),
            name: join.name.clone(),
            state: if join.state == JoinState::Joined { "joined" } else { "pending" },
            members: join.members,
        }
    }
}

impl Show for JoinReply {
    fn human(&self, style: Style) -> String {
        let id = self.channel.as_deref().unwrap_or("a channel");
        let name = style.bold(&channel_called(self.name.as_deref().unwrap_or_default(), id));
        let members = self.members.map(|n| format!(" · {}", count(n, "member", "members"))).unwrap_or_default();
        if self.state != "joined" {
            return format!("{name}  {}{members}", style.warn("not in yet"));
        }
        let next = style.here(&format!("kith read {0} · kith send {0} TEXT", short(id)));
        format!("{name}  {}{members}\n{}", style.good("joined"), style.faint(&next))
    }
}

impl Show for JoinRequestInfo {
    fn human(&self, style: Style) -> String {
        let name = style.bold(&called(&self.name, ""));
        format!("{name}  {}  as {} · asked {}", self.account, clean_line(&self.role), local(self.at))
    }
}

impl Show for MemberEvent {
    fn human(&self, style: Style) -> String {
        let who = called(&self.name, &self.account.to_string());
        let what = if self.joined { "came into" } else { "is no longer in" };
        format!("{}  {} {what} {}", style.faint(&local(self.at)), style.bold(&who), short(&self.channel.to_string()))
    }
}

/// What a code says by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Inspected {
    kind: PastedKind,
    checksum: &'static str,
    hints: Vec<String>,
}

impl From<Pasted> for Inspected {
    fn from(Pasted { kind, hints }: Pasted) -> Self {
        // What has another sum is refused, with its own error.
        Self { kind, checksum: "ok", hints }
    }
}

impl Show for Inspected {
    fn human(&self, style: Style) -> String {
        let (what, verb) = match self.kind {
            PastedKind::Contact => ("a person's contact code", "kith contact add CODE"),
            PastedKind::Invite => ("an invite into a channel", "kith join CODE"),
            PastedKind::Relay => ("a relay's card", "kith relay add CARD"),
            PastedKind::DeviceLink => ("a link for a device of the same account", "kith --help"),
        };
        let mut text = format!("code   {what}: {}\nsum    right: it is whole\n", style.here(verb));
        match self.hints.is_empty() {
            true => text.push_str("hints  none: the network is searched"),
            false => {
                let hints: Vec<String> = self.hints.iter().map(|hint| clean_line(hint)).collect();
                text.push_str(&format!("hints  {}", hints.join("\n       ")));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_node::api::types::{CaughtAt, RemovalInfo, Time};

    /// What strangers call things.
    const NASTY: &str = "a\u{1b}[2Jb\u{202e}\nc\u{9b}31m";

    fn style() -> Style {
        crate::render::Output::new(true).style()
    }

    /// Checks that nothing commands a terminal, and that no line was added.
    fn harmless(text: &str, lines: usize) {
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        assert_eq!(text.lines().count(), lines, "{text:?}");
    }

    fn channel() -> Channel {
        Channel {
            id: "a".repeat(52).parse().unwrap(),
            name: NASTY.into(),
            topic: NASTY.into(),
            state: ChannelState::Joined,
            mode: ChannelMode::Private,
            members: 1,
            roles: vec![NASTY.into()],
            permissions: vec![NASTY.into()],
            unread: 2,
            creator: "a".repeat(52).parse().unwrap(),
            retention_days: 1,
            expires_after_ms: 86_400_000,
            state_hash: NASTY.into(),
            ops: 3,
            gate: ChannelGate::WaitingForKeys,
            requests: 1,
            missing: 1,
            relays: Vec::new(),
            muted: false,
            removal: None,
        }
    }

    #[test]
    fn what_others_call_channels_roles_and_themselves_cannot_command_a_terminal() {
        harmless(&channel().human(style()), 1);
        let by = "a".repeat(52).parse().unwrap();
        let removal = Some(RemovalInfo { by, by_name: NASTY.into(), reason: NASTY.into(), banned: true });
        let removed = Channel { state: ChannelState::Removed, removal, ..channel() };
        harmless(&removed.human(style()), 1);
        harmless(&ChannelDetails(removed).human(style()), 16);
        harmless(&ChannelDetails(channel()).human(style()), 16);
        let account = "a".repeat(52).parse().unwrap();
        let (name, roles) = (NASTY.to_owned(), vec![NASTY.to_owned()]);
        let caught = vec![CaughtAt { code: NASTY.into(), times: 2, at: Time::default() }];
        let member =
            Member { account, name, roles: roles.clone(), creator: true, me: true, devices: 1, muted: true, caught };
        harmless(&member.human(style()), 1);
        let (inherits, deny) = (roles.clone(), roles.clone());
        harmless(&RoleInfo { name: NASTY.into(), builtin: true, inherits, allow: roles, deny }.human(style()), 1);
        let at = Time::default();
        harmless(&JoinRequestInfo { account, name: NASTY.into(), role: NASTY.into(), at }.human(style()), 1);
        let channel = "a".repeat(52).parse().unwrap();
        harmless(&MemberEvent { channel, account, name: NASTY.into(), joined: true, at }.human(style()), 1);
        let invite = ChannelInvite {
            id: NASTY.into(),
            code: Some(NASTY.into()),
            url: Some(NASTY.into()),
            expires: at,
            uses: 3,
            used: 1,
            role: NASTY.into(),
            approval: true,
            history: HistoryGrant::Days(1),
            by: account,
        };
        harmless(&invite.human(style()), 3);
        let join = Join {
            id: 1,
            state: JoinState::Preview,
            channel: Some(channel),
            name: Some(NASTY.into()),
            inviter: Some(NASTY.into()),
            members: Some(3),
            role: Some(NASTY.into()),
            history: Some(HistoryGrant::All),
            expires: Some(at),
            error: Some((NASTY.into(), NASTY.into())),
        };
        harmless(&join.human(style()), 7);
        harmless(&JoinReply::from(&join).human(style()), 1);
    }

    #[test]
    fn a_channel_is_a_line_that_tells_what_matters() {
        let plain = Channel {
            name: "general".into(),
            topic: String::new(),
            roles: vec!["owner".into()],
            mode: ChannelMode::Open,
            gate: ChannelGate::RekeyFirst,
            unread: 0,
            requests: 0,
            ..channel()
        };
        assert_eq!(plain.human(style()), "#general  aaaaaaaaaaaa  1 member · owner");
        let busy = Channel { members: 3, unread: 2, requests: 2, state: ChannelState::Left, ..plain };
        assert_eq!(
            busy.human(style()),
            "#general  aaaaaaaaaaaa  3 members · left · 2 unread · 2 people wait to be let in"
        );
    }

    #[test]
    fn a_join_is_joined_or_pending() {
        let reply = |state| {
            let join = Join {
                id: 1,
                state,
                channel: None,
                name: None,
                inviter: None,
                members: None,
                role: None,
                history: None,
                expires: None,
                error: None,
            };
            serde_json::to_string(&JoinReply::from(&join)).unwrap()
        };
        assert_eq!(reply(JoinState::Joined), r#"{"channel":null,"name":null,"state":"joined","members":null}"#);
        assert!(reply(JoinState::Waiting).contains(r#""state":"pending""#));
    }
}
