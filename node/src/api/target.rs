//! Finds what a person means by `@name`, `#name`, an id, or a unique prefix of one.
//! Must not know where contacts and channels come from.

mod member;

pub(crate) use member::{asker, banned, member, whole_account};

use super::error::{Code, UserError};
use super::types::{Channel, ChannelState, Contact, ContactState, Conversation};
use kith_protocol::{AccountId, ChannelId};

/// The shortest prefix of an id that counts as one.
pub const PREFIX_MIN: usize = 6;

/// How many candidates an ambiguity lists.
const CANDIDATES_MAX: usize = 10;

/// What stands in a hint for the channel it is about, until that is known.
pub(crate) const ANY_CHANNEL: &str = "'#NAME'";

/// How many characters of an id name a channel whose name does not.
const SHORT: usize = 12;

/// What was meant, as far as its form tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A person by name.
    Person(String),
    /// A channel by name.
    Channel(String),
    /// An id or the beginning of one, lower case.
    Id(String),
}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// `bad_target` if it is neither a marked name nor an id nor a prefix of at least six characters.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('@').map(str::trim).filter(|n| !n.is_empty()) {
            return Ok(Self::Person(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix('#').map(str::trim).filter(|n| !n.is_empty()) {
            return Ok(Self::Channel(name.to_owned()));
        }
        let id = text.to_ascii_lowercase();
        if id.len() >= PREFIX_MIN && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')) {
            return Ok(Self::Id(id));
        }
        let message = match id.len() {
            0 => "no name or id given".to_owned(),
            n if n < PREFIX_MIN => format!("too short for an id: at least {PREFIX_MIN} characters are needed"),
            _ => "neither a name nor an id".to_owned(),
        };
        Err(UserError::new(Code::BadTarget, message).hint("people are @name or an id, channels #name or an id"))
    }

    /// Finds the contact meant, requests and blocked ones included.
    ///
    /// # Errors
    /// `contact_unknown`, `channel_unknown`, or `ambiguous` with the candidates.
    pub fn contact<'a>(&self, contacts: &'a [Contact]) -> Result<&'a Contact, UserError> {
        let found: Vec<&Contact> = match self {
            Self::Channel(_) => return Err(no_person()),
            Self::Person(name) => by_name(name, contacts),
            Self::Id(prefix) => {
                contacts.iter().filter(|c| c.account.to_string().starts_with(prefix.as_str())).collect()
            }
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(self.unknown()),
            several => Err(ambiguous("contacts", several.iter().map(|c| person_line(c)))),
        }
    }

    /// Finds the channel meant, those that were left included.
    ///
    /// # Errors
    /// `channel_unknown`, `bad_target` for a person, or `ambiguous` with the candidates.
    pub fn channel<'a>(&self, channels: &'a [Channel]) -> Result<&'a Channel, UserError> {
        let found: Vec<&Channel> = match self {
            Self::Person(_) => {
                return Err(UserError::new(Code::BadTarget, "that is a person, and a channel is needed")
                    .hint("channels are '#name' or an id: kith channel list"));
            }
            Self::Channel(name) => channels_by_name(name, channels),
            Self::Id(prefix) => channels_by_id(prefix, channels),
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(self.no_channel()),
            several => Err(ambiguous("channels", several.iter().map(|c| channel_line(c)))),
        }
    }

    /// Finds the person or the channel meant. An id that nobody has means the channel that has it.
    ///
    /// # Errors
    /// `contact_unknown`, `channel_unknown`, or `ambiguous` with the candidates of both kinds.
    pub fn conversation(&self, contacts: &[Contact], channels: &[Channel]) -> Result<Conversation, UserError> {
        let channel = |c: &Channel| Conversation::Channel(c.id);
        let Self::Id(prefix) = self else {
            return match self {
                Self::Channel(_) => self.channel(channels).map(channel),
                _ => self.contact(contacts).map(|c| Conversation::Person(c.account)),
            };
        };
        let fitting = channels_by_id(prefix, channels);
        match (self.contact(contacts), fitting.is_empty()) {
            (found, true) => found.map(|c| Conversation::Person(c.account)),
            (Err(error), false) if error.code == Code::ContactUnknown => self.channel(channels).map(channel),
            (people, false) => {
                let people = match people {
                    Ok(contact) => vec![person_line(contact)],
                    Err(error) => error.candidates,
                };
                Err(ambiguous("people and channels", people.into_iter().chain(fitting.into_iter().map(channel_line))))
            }
        }
    }

    /// Says that no channel fits.
    fn no_channel(&self) -> UserError {
        let message = match self {
            Self::Person(name) | Self::Channel(name) => format!("no channel is called #{name}"),
            Self::Id(id) => format!("no channel's id begins with {id}"),
        };
        UserError::new(Code::ChannelUnknown, message).hint("kith channel list, or kith join CODE")
    }

    /// Says that nobody fits.
    fn unknown(&self) -> UserError {
        let message = match self {
            // An id is prefix-safe to repeat; a name comes from the caller's own command line.
            Self::Person(name) | Self::Channel(name) => format!("no contact is called @{name}"),
            Self::Id(id) => format!("no contact's id begins with {id}"),
        };
        UserError::new(Code::ContactUnknown, message).hint("kith contact list, or kith contact add CODE")
    }
}

/// Says that a channel stands where a person is needed.
fn no_person() -> UserError {
    UserError::new(Code::BadTarget, "that is a channel, and a person is needed")
        .hint("people are @name or an id: kith contact list")
}

/// Says that several fit.
fn ambiguous(what: &str, candidates: impl Iterator<Item = String>) -> UserError {
    let mut candidates: Vec<String> = candidates.collect();
    let error = UserError::new(Code::Ambiguous, format!("{} {what} fit", candidates.len()));
    candidates.truncate(CANDIDATES_MAX);
    error.hint("name one of the candidates by its id").candidates(candidates)
}

/// Names a person among candidates.
fn person_line(contact: &Contact) -> String {
    format!("{} @{}", contact.account, contact.name)
}

/// Names a channel among candidates.
fn channel_line(channel: &Channel) -> String {
    format!("{} #{}", channel.id, channel.name)
}

/// Finds channels by name: exactly, else in any case. One that was left gives way to one that one is in.
fn channels_by_name<'a>(name: &str, channels: &'a [Channel]) -> Vec<&'a Channel> {
    let wanted = name.to_lowercase();
    let (joined, gone): (Vec<&Channel>, Vec<&Channel>) =
        channels.iter().filter(|c| c.name.to_lowercase() == wanted).partition(|c| c.state == ChannelState::Joined);
    let fits = if joined.is_empty() { gone } else { joined };
    let exact: Vec<_> = fits.iter().copied().filter(|c| c.name == name).collect();
    if exact.is_empty() { fits } else { exact }
}

/// Finds channels whose id begins so.
fn channels_by_id<'a>(prefix: &str, channels: &'a [Channel]) -> Vec<&'a Channel> {
    channels.iter().filter(|c| c.id.to_string().starts_with(prefix)).collect()
}

/// Finds by name: by one given here, exactly, else in any case. Only a name that nobody was given here means somebody who
/// calls themselves so, and only as long as nobody else does. A person blocked or asking gives way to a contact.
fn by_name<'a>(name: &str, contacts: &'a [Contact]) -> Vec<&'a Contact> {
    let wanted = name.to_lowercase();
    let (given, other): (Vec<&Contact>, Vec<&Contact>) = contacts.iter().partition(|c| c.name_given);
    let fits: Vec<_> = given.iter().copied().filter(|c| c.name.to_lowercase() == wanted).collect();
    if !fits.is_empty() {
        let exact: Vec<_> = fits.iter().copied().filter(|c| c.name == name).collect();
        return known_first(if exact.is_empty() { fits } else { exact });
    }
    let mut found = known_first(other.into_iter().filter(|c| c.name.to_lowercase() == wanted).collect());
    if !found.is_empty() {
        let claims = |c: &&Contact| c.own_name.as_ref().is_some_and(|own| own.to_lowercase() == wanted);
        found.extend(given.into_iter().filter(claims));
    }
    found
}

/// Leaves those whom the user did not choose out, unless they are all.
fn known_first(found: Vec<&Contact>) -> Vec<&Contact> {
    let known: Vec<_> = found.iter().copied().filter(|c| is_known(c)).collect();
    if known.is_empty() { found } else { known }
}

/// Tells whether the user chose this contact.
fn is_known(contact: &Contact) -> bool {
    !matches!(contact.state, ContactState::Request | ContactState::Blocked)
}

/// Finds the one id that begins with a prefix.
///
/// # Errors
/// `bad_target`, `message_unknown`, or `ambiguous` with the candidates.
pub(crate) fn id_prefix(text: &str) -> Result<String, UserError> {
    match Target::parse(text) {
        Ok(Target::Id(prefix)) => Ok(prefix),
        _ => Err(UserError::new(Code::BadTarget, "a message is named by its id, or at least six characters of it")
            .hint("kith read @NAME --json shows ids")),
    }
}

/// Finds the contact meant. Who writes a name without its mark is told of it.
pub(crate) fn find<'a>(text: &str, contacts: &'a [Contact]) -> Result<&'a Contact, UserError> {
    let found = Target::parse(text).and_then(|target| target.contact(contacts));
    found.map_err(|error| match by_name(text.trim(), contacts).as_slice() {
        [one, ..] if !one.name.is_empty() && !text.trim().starts_with(['@', '#']) => {
            UserError::new(error.code, error.message).hint(format!("people are named with an @: @{}", one.name))
        }
        _ => error,
    })
}

/// Finds the channel meant. Who writes a name without its mark is told of it.
pub(crate) fn find_channel<'a>(text: &str, channels: &'a [Channel]) -> Result<&'a Channel, UserError> {
    let found = Target::parse(text).and_then(|target| target.channel(channels));
    found.map_err(|error| unmarked(text, channels, error))
}

/// Says of an error how the channel is named that was meant, if its name was written without the mark.
pub(crate) fn unmarked(text: &str, channels: &[Channel], error: UserError) -> UserError {
    match channels_by_name(text.trim(), channels).as_slice() {
        [one, ..] if !text.trim().starts_with(['@', '#']) => UserError::new(error.code, error.message)
            .hint(format!("channels are named with a #: {}", marked(&one.name))),
        _ => error,
    }
}

/// Writes what is typed to mean a channel: its name as one word of a shell, or the beginning of its id where the name means
/// another one as well.
pub(crate) fn channel_handle(id: ChannelId, channels: &[Channel]) -> Option<String> {
    let channel = channels.iter().find(|c| c.id == id)?;
    match channels_by_name(&channel.name, channels).as_slice() {
        [one] if one.id == id && !channel.name.is_empty() => Some(marked(&channel.name)),
        _ => Some(id.to_string().chars().take(SHORT).collect()),
    }
}

/// Writes a channel's name as one word of a shell.
fn marked(name: &str) -> String {
    format!("'#{}'", name.replace('\'', r"'\''"))
}

/// Returns the account of the contact meant.
pub(crate) fn account(text: &str, contacts: &[Contact]) -> Result<AccountId, UserError> {
    find(text, contacts).map(|c| c.account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::{ChannelGate, ChannelMode, Time};

    fn channel(name: &str) -> Channel {
        Channel {
            id: ChannelId::from_bytes([9; 32]),
            name: name.into(),
            topic: String::new(),
            state: ChannelState::Joined,
            mode: ChannelMode::Open,
            members: 1,
            roles: Vec::new(),
            permissions: Vec::new(),
            unread: 0,
            creator: AccountId::from_bytes([1; 32]),
            retention_days: 0,
            expires_after_ms: 0,
            state_hash: String::new(),
            ops: 1,
            gate: ChannelGate::Open,
            requests: 0,
            missing: 0,
            relays: Vec::new(),
            muted: false,
            removal: None,
        }
    }

    pub(super) fn contact(byte: u8, name: &str, state: ContactState) -> Contact {
        Contact {
            account: AccountId::from_bytes([byte; 32]),
            name: name.into(),
            name_given: true,
            own_name: None,
            state,
            verified: false,
            identity_changed: false,
            added_at: Time::default(),
            last_seen: None,
            devices: 1,
            unread: 0,
        }
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(Target::parse(" @Bob Smith "), Ok(Target::Person("Bob Smith".into())));
        assert_eq!(Target::parse("#general"), Ok(Target::Channel("general".into())));
        assert_eq!(Target::parse("ABCDEF"), Ok(Target::Id("abcdef".into())));
        for bad in ["", " ", "@", "#", "bob", "abcde", "not an id", "abcdef1", "ключключ", "abc\u{202e}def"] {
            let error = Target::parse(bad).unwrap_err();
            assert_eq!((error.code, error.hint.is_empty()), (Code::BadTarget, false), "{bad:?}");
        }
    }

    #[test]
    fn what_names_a_channel_in_a_hint_finds_it_again() {
        let other = |name: &str, byte: u8| Channel { id: ChannelId::from_bytes([byte; 32]), ..channel(name) };
        let alone = [other("it's ours", 1), other("general", 2)];
        assert_eq!(channel_handle(alone[0].id, &alone), Some(r"'#it'\''s ours'".to_owned()));
        let left = Channel { state: ChannelState::Left, ..other("general", 3) };
        for several in
            [[other("general", 2), other("general", 3)], [other("general", 2), left], [other("", 2), other("x", 3)]]
        {
            for meant in &several {
                let handle = channel_handle(meant.id, &several).unwrap();
                let typed = handle.trim_matches('\'');
                assert_eq!(
                    Target::parse(typed).and_then(|t| t.channel(&several).map(|c| c.id)),
                    Ok(meant.id),
                    "{handle}"
                );
            }
        }
        assert_eq!(channel_handle(ChannelId::from_bytes([9; 32]), &alone), None);
    }

    #[test]
    fn a_name_is_found_exactly_before_in_any_case() {
        let people = [contact(1, "Bob", ContactState::Connected), contact(2, "bob", ContactState::Connected)];
        assert_eq!(account("@Bob", &people), Ok(people[0].account));
        assert_eq!(account("@bob", &people), Ok(people[1].account));
        let error = account("@BOB", &people).unwrap_err();
        assert_eq!((error.code, error.candidates.len()), (Code::Ambiguous, 2));
        assert!(error.candidates[0].starts_with(&people[0].account.to_string()));
    }

    #[test]
    fn a_stranger_cannot_take_the_name_of_a_contact() {
        let people = [contact(1, "bob", ContactState::Connected), contact(2, "bob", ContactState::Request)];
        assert_eq!(account("@bob", &people), Ok(people[0].account));
        let blocked = [contact(3, "eve", ContactState::Blocked)];
        assert_eq!(account("@eve", &blocked), Ok(blocked[0].account), "to unblock, a name must still find");
    }

    /// Somebody without a name of ours.
    fn unnamed(byte: u8, own: &str, state: ContactState) -> Contact {
        Contact { name_given: false, own_name: Some(own.into()), ..contact(byte, own, state) }
    }

    #[test]
    fn a_name_given_here_wins_over_what_somebody_calls_themselves_in_any_case() {
        let people = [contact(1, "Bob", ContactState::Connected), unnamed(2, "bob", ContactState::Connected)];
        for name in ["@bob", "@Bob", "@BOB"] {
            assert_eq!(account(name, &people), Ok(people[0].account), "{name}");
        }
        let blocked = [contact(1, "Bob", ContactState::Blocked), unnamed(2, "bob", ContactState::Connected)];
        assert_eq!(account("@bob", &blocked), Ok(blocked[0].account), "a block opens a name to nobody");
    }

    #[test]
    fn what_somebody_calls_themselves_means_them_only_while_nobody_else_does() {
        let mut al = contact(1, "Al", ContactState::Connected);
        al.own_name = Some("alice".into());
        let mallory = unnamed(2, "Alice", ContactState::Connected);
        assert_eq!(account("@alice", std::slice::from_ref(&mallory)), Ok(mallory.account));
        let both = [al.clone(), mallory.clone()];
        let error = account("@alice", &both).unwrap_err();
        assert_eq!((error.code, error.candidates.len()), (Code::Ambiguous, 2));
        let two = [unnamed(3, "alice", ContactState::Added), mallory.clone()];
        assert_eq!(account("@Alice", &two).unwrap_err().code, Code::Ambiguous);
        assert_eq!(account("@alice", &[al]).unwrap_err().code, Code::ContactUnknown, "a contact has one name");
        let asks = [mallory, unnamed(4, "alice", ContactState::Request)];
        assert_eq!(account("@alice", &asks), Ok(asks[0].account), "a stranger takes no name away");
    }

    #[test]
    fn a_prefix_must_be_unique() {
        let (a, mut b) = (contact(1, "a", ContactState::Added), contact(1, "b", ContactState::Added));
        let mut bytes = [1; 32];
        bytes[31] = 9;
        b.account = AccountId::from_bytes(bytes);
        let people = [a, b];
        let text = people[0].account.to_string();
        assert_eq!(account(&text[..8], &people).unwrap_err().code, Code::Ambiguous);
        assert_eq!(account(&text, &people), Ok(people[0].account));
        assert_eq!(account("zzzzzzzz", &people).unwrap_err().code, Code::ContactUnknown);
        assert_eq!(account("#general", &people).unwrap_err().code, Code::BadTarget);
    }

    fn named(byte: u8, name: &str, state: ChannelState) -> Channel {
        Channel { id: ChannelId::from_bytes([byte; 32]), state, ..channel(name) }
    }

    fn found(text: &str, channels: &[Channel]) -> Result<ChannelId, UserError> {
        find_channel(text, channels).map(|c| c.id)
    }

    #[test]
    fn a_channel_is_found_by_name_in_any_case_and_by_its_id() {
        let all = [
            named(1, "General", ChannelState::Joined),
            named(2, "general", ChannelState::Joined),
            named(3, "Ideas", ChannelState::Joined),
        ];
        assert_eq!(found("#General", &all), Ok(all[0].id));
        assert_eq!(found("#general", &all), Ok(all[1].id));
        assert_eq!(found(" # IDEAS ", &all), Ok(all[2].id));
        let several = found("#GENERAL", &all).unwrap_err();
        assert_eq!((several.code, several.candidates.len()), (Code::Ambiguous, 2));
        assert_eq!(several.candidates[0], format!("{} #General", all[0].id));
        assert_eq!(found(&all[2].id.to_string()[..6].to_uppercase(), &all), Ok(all[2].id));
        assert_eq!(found("#nowhere", &all).unwrap_err().code, Code::ChannelUnknown);
        assert_eq!(found("zzzzzz", &all).unwrap_err().code, Code::ChannelUnknown);
        for bad in ["@General", "short", "", "#"] {
            assert_eq!(found(bad, &all).unwrap_err().code, Code::BadTarget, "{bad}");
        }
    }

    #[test]
    fn who_leaves_the_mark_out_is_told_of_it() {
        let all = [named(1, "it's on", ChannelState::Joined), named(2, "general", ChannelState::Joined)];
        assert_eq!(found("it's on", &all).unwrap_err().hint, r"channels are named with a #: '#it'\''s on'");
        assert_eq!(found("general", &all).unwrap_err().hint, "channels are named with a #: '#general'");
        assert_eq!(found("other", &all).unwrap_err().hint, "people are @name or an id, channels #name or an id");
    }

    #[test]
    fn a_channel_that_was_left_gives_its_name_to_one_that_is_joined() {
        let all = [named(1, "general", ChannelState::Left), named(2, "General", ChannelState::Joined)];
        assert_eq!(found("#general", &all), Ok(all[1].id));
        assert_eq!(found("#general", &all[..1]), Ok(all[0].id), "what was said there is still read");
    }

    #[test]
    fn an_id_that_nobody_has_is_the_channels() {
        let people = [contact(1, "bob", ContactState::Connected)];
        let channels = [named(2, "general", ChannelState::Joined), named(1, "odd", ChannelState::Joined)];
        let meant = |text: &str| Target::parse(text).and_then(|t| t.conversation(&people, &channels));
        let of = |channel: &Channel| Conversation::Channel(channel.id);
        assert_eq!(meant("@bob"), Ok(Conversation::Person(people[0].account)));
        assert_eq!(meant("#general"), Ok(of(&channels[0])));
        assert_eq!(meant(&channels[0].id.to_string()[..8]), Ok(of(&channels[0])));
        let both = meant(&channels[1].id.to_string()[..8]).unwrap_err();
        assert_eq!((both.code, both.candidates.len()), (Code::Ambiguous, 2), "nothing goes to the wrong place");
        assert_eq!(meant("zzzzzz").unwrap_err().code, Code::ContactUnknown);
        assert_eq!(meant("#bob").unwrap_err().code, Code::ChannelUnknown);
        assert_eq!(meant("@general").unwrap_err().code, Code::ContactUnknown);
    }
}
