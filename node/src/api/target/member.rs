//! Finds whom a person means among those who are in a channel, or ask to be. Must not let a stranger take the name of a
//! contact: what is done to members gives rights and takes them.

use super::{Target, ambiguous, by_name, no_person};
use crate::api::error::{Code, UserError};
use crate::api::types::{Contact, ContactState, JoinRequestInfo, Member, Time};
use kith_protocol::AccountId;

/// Finds the member meant.
pub(crate) fn member(text: &str, members: &[Member], contacts: &[Contact]) -> Result<AccountId, UserError> {
    let there = members.iter().map(|m| (m.account, m.name.as_str())).collect();
    Group { there, contacts, is: "a member of this channel", hint: "kith member list '#NAME'" }.find(text)
}

/// Finds who is meant of those who wait for approval.
pub(crate) fn asker(text: &str, requests: &[JoinRequestInfo], contacts: &[Contact]) -> Result<AccountId, UserError> {
    let there = requests.iter().map(|r| (r.account, r.name.as_str())).collect();
    Group { there, contacts, is: "waiting for approval", hint: "kith channel requests '#NAME'" }.find(text)
}

/// Finds somebody who need not be a member: a contact, or whoever has this whole id.
pub(crate) fn banned(text: &str, contacts: &[Contact]) -> Result<AccountId, UserError> {
    if let Some(whole) = whole_account(text) {
        return Ok(whole);
    }
    super::account(text, contacts).map_err(|error| match error.code {
        Code::ContactUnknown => error.hint("whoever is no contact is named by the whole id"),
        _ => error,
    })
}

/// Reads the whole id of somebody who need not be known.
pub(crate) fn whole_account(text: &str) -> Option<AccountId> {
    text.trim().to_ascii_lowercase().parse().ok()
}

/// Those among whom somebody is meant.
struct Group<'a> {
    /// Their accounts and the names they go by.
    there: Vec<(AccountId, &'a str)>,
    /// People known here.
    contacts: &'a [Contact],
    /// What they are.
    is: &'static str,
    /// What lists them.
    hint: &'static str,
}

impl Group<'_> {
    fn find(&self, text: &str) -> Result<AccountId, UserError> {
        match Target::parse(text) {
            Ok(Target::Person(name)) => self.named(&name),
            Ok(Target::Id(prefix)) => {
                let fits = self.there.iter().filter(|(account, _)| account.to_string().starts_with(prefix.as_str()));
                self.one(fits.map(|(account, _)| *account).collect(), || {
                    format!("nobody whose id begins with {prefix} is {}", self.is)
                })
            }
            Ok(Target::Channel(_)) => Err(no_person()),
            Err(error) if by_name(text.trim(), &self.people()).is_empty() => Err(error),
            Err(error) => {
                Err(UserError::new(error.code, error.message).hint("people are named with an @: @NAME, or by an id"))
            }
        }
    }

    /// Finds by name. A name that was given here to somebody who is not there means nobody: not a stranger of that name.
    fn named(&self, name: &str) -> Result<AccountId, UserError> {
        let people = self.people();
        let mut fits: Vec<AccountId> = by_name(name, &people).into_iter().map(|c| c.account).collect();
        let known = !fits.is_empty();
        fits.retain(|account| self.there.iter().any(|(there, _)| there == account));
        fits.sort_unstable();
        fits.dedup();
        self.one(fits, || match known {
            true => format!("@{name} is not {}", self.is),
            false => format!("nobody called @{name} is {}", self.is),
        })
    }

    fn one(&self, fits: Vec<AccountId>, missing: impl FnOnce() -> String) -> Result<AccountId, UserError> {
        match fits.as_slice() {
            [one] => Ok(*one),
            [] => Err(UserError::new(Code::MemberUnknown, missing()).hint(self.hint)),
            several => Err(ambiguous("people", several.iter().map(|account| self.line(account)))),
        }
    }

    fn line(&self, account: &AccountId) -> String {
        let known = self.there.iter().find(|(there, _)| there == account);
        format!("{account} @{}", known.map_or("", |(_, name)| name))
    }

    /// Contacts, and who goes by a name that no contact of that account has: they give way like any stranger.
    fn people(&self) -> Vec<Contact> {
        let is_contacts = |account: &AccountId, name: &str| {
            self.contacts.iter().any(|c| c.account == *account && c.name.to_lowercase() == name.to_lowercase())
        };
        let strangers = self.there.iter().filter(|(account, name)| !name.is_empty() && !is_contacts(account, name));
        self.contacts.iter().cloned().chain(strangers.map(|(account, name)| stranger(*account, name))).collect()
    }
}

/// Somebody as by a name they chose themselves.
fn stranger(account: AccountId, name: &str) -> Contact {
    Contact {
        account,
        name: name.to_owned(),
        name_given: false,
        own_name: None,
        state: ContactState::Request,
        verified: false,
        identity_changed: false,
        added_at: Time::default(),
        last_seen: None,
        devices: 0,
        unread: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::contact;
    use super::*;

    fn in_channel(byte: u8, name: &str) -> Member {
        Member {
            account: AccountId::from_bytes([byte; 32]),
            name: name.into(),
            roles: vec!["member".into()],
            creator: false,
            me: false,
            devices: 1,
            muted: false,
            caught: Vec::new(),
        }
    }

    fn code(text: &str, members: &[Member], contacts: &[Contact]) -> Code {
        member(text, members, contacts).unwrap_err().code
    }

    #[test]
    fn a_member_is_found_by_the_name_given_here_by_their_own_and_by_id() {
        let contacts = [contact(1, "Bob", ContactState::Connected), contact(2, "Carol", ContactState::Connected)];
        let members = [in_channel(1, "bobby"), in_channel(2, "Carol"), in_channel(3, "dave")];
        let find = |text: &str| member(text, &members, &contacts);
        for (text, at) in [("@bob", 0), ("@BOBBY", 0), ("@carol", 1), ("@Dave", 2)] {
            assert_eq!(find(text), Ok(members[at].account), "{text}");
        }
        assert_eq!(find(&members[2].account.to_string()[..8]), Ok(members[2].account));
        assert_eq!(code("@nobody", &members, &contacts), Code::MemberUnknown);
        assert_eq!(code("zzzzzz", &members, &contacts), Code::MemberUnknown);
        assert_eq!(code("#dave", &members, &contacts), Code::BadTarget);
        assert_eq!(find("dave").unwrap_err().hint, "people are named with an @: @NAME, or by an id");
    }

    #[test]
    fn a_stranger_in_a_channel_cannot_take_the_name_of_a_contact_who_is_not() {
        let contacts = [contact(1, "bob", ContactState::Connected)];
        let members = [in_channel(7, "bob"), in_channel(8, "Bob")];
        let error = member("@bob", &members, &contacts).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::MemberUnknown, "@bob is not a member of this channel"));
        assert_eq!(code("@bob", &members, &[]), Code::Ambiguous, "of two strangers neither is meant");
        let both = [in_channel(1, "robert"), in_channel(7, "bob")];
        assert_eq!(member("@bob", &both, &contacts), Ok(both[0].account));
    }

    #[test]
    fn a_name_that_two_go_by_is_ambiguous_even_if_one_is_a_contact() {
        let contacts = [contact(1, "Al", ContactState::Connected)];
        let members = [in_channel(1, "queen"), in_channel(7, "Queen")];
        let error = member("@queen", &members, &contacts).unwrap_err();
        assert_eq!((error.code, error.candidates.len()), (Code::Ambiguous, 2));
        assert_eq!(error.candidates[1], format!("{} @Queen", members[1].account));
    }

    #[test]
    fn who_was_banned_is_named_by_the_whole_id_or_as_a_contact() {
        let contacts = [contact(1, "bob", ContactState::Connected)];
        let other = AccountId::from_bytes([9; 32]);
        assert_eq!(banned("@bob", &contacts), Ok(contacts[0].account));
        assert_eq!(banned(&other.to_string().to_uppercase(), &contacts), Ok(other));
        let error = banned(&other.to_string()[..9], &contacts).unwrap_err();
        assert_eq!(
            (error.code, error.hint.as_str()),
            (Code::ContactUnknown, "whoever is no contact is named by the whole id")
        );
    }
}
