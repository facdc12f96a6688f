//! Finds what a person means by `@name`, `#name`, an id, or a unique prefix of one.
//! Must not know where contacts come from.

use super::error::{Code, UserError};
use super::types::{Contact, ContactState};
use kith_protocol::AccountId;

/// The shortest prefix of an id that counts as one.
pub const PREFIX_MIN: usize = 6;

/// How many candidates an ambiguity lists.
const CANDIDATES_MAX: usize = 10;

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
            Self::Channel(_) => {
                return Err(UserError::new(Code::ChannelUnknown, "no such channel: this version has none yet")
                    .hint("people are @name or an id: kith contact list"));
            }
            Self::Person(name) => by_name(name, contacts),
            Self::Id(prefix) => {
                contacts.iter().filter(|c| c.account.to_string().starts_with(prefix.as_str())).collect()
            }
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(self.unknown()),
            several => Err(UserError::new(Code::Ambiguous, format!("{} contacts fit", several.len()))
                .hint("name one of the candidates by its id")
                .candidates(
                    several.iter().take(CANDIDATES_MAX).map(|c| format!("{} @{}", c.account, c.name)).collect(),
                )),
        }
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

/// Returns the account of the contact meant.
pub(crate) fn account(text: &str, contacts: &[Contact]) -> Result<AccountId, UserError> {
    find(text, contacts).map(|c| c.account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::Time;

    fn contact(byte: u8, name: &str, state: ContactState) -> Contact {
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
        assert_eq!(account("#general", &people).unwrap_err().code, Code::ChannelUnknown);
    }
}
