//! Reads the codes that people paste, without asking anybody: what kind they are, whether they are whole, where they point.
//! Must not know whether what a code leads to is still there.

use super::error::{Code, UserError};
use kith_protocol::channel::invite::InviteLink;
use kith_protocol::identity::ContactLink;
use kith_protocol::identity::contact_link::{CodeKind, Error, kind_of};
use kith_protocol::mailbox::RelayCard;
use serde::{Deserialize, Serialize};

/// What a pasted code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastedKind {
    /// Names a person.
    Contact,
    /// Lets somebody into a channel.
    Invite,
    /// Describes a relay.
    Relay,
    /// Links a device.
    DeviceLink,
}

/// What a pasted code says by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pasted {
    /// What it is.
    pub kind: PastedKind,
    /// Where the link says that somebody may be found.
    pub hints: Vec<String>,
}

/// Reads a code or link of any kind, its checksum checked; nothing is asked of the network.
///
/// # Errors
/// `code_typo`, `code_truncated`, `code_unknown_version`, `code_bad_hint`.
pub fn inspect(text: &str) -> Result<Pasted, UserError> {
    let say = |e: Error| said(&e, "copy it again");
    let (kind, hints) = match kind_of(text).map_err(say)? {
        CodeKind::Contact => (PastedKind::Contact, ContactLink::parse(text).map_err(say)?.hints),
        CodeKind::Invite => (PastedKind::Invite, InviteLink::parse(text).map_err(say)?.hints),
        CodeKind::RelayCard => (PastedKind::Relay, RelayCard::parse(text).map_err(say)?.hints),
        CodeKind::DeviceLink => (PastedKind::DeviceLink, Vec::new()),
    };
    Ok(Pasted { kind, hints })
}

/// Refuses what is no invite, or whose link names nobody to ask.
///
/// # Errors
/// `code_typo`, `code_truncated`, `code_wrong_kind`, `code_unknown_version`, `code_bad_hint`.
pub fn check_invite(text: &str) -> Result<(), UserError> {
    let link = InviteLink::parse(text).map_err(|e| {
        let hint = match e {
            Error::WrongKind { have: CodeKind::Contact, .. } => "kith contact add CODE adds that person",
            Error::WrongKind { have: CodeKind::RelayCard, .. } => "kith relay add CARD lets that relay hold your mail",
            _ => "ask for an invite: kith invite '#NAME' makes one",
        };
        said(&e, hint)
    })?;
    // Nothing checks the addresses as its sum checks the code.
    let mut peers = link.hints.iter().filter_map(|hint| hint.rsplit_once("/p2p/"));
    if peers.any(|(_, peer)| !crate::net::is_peer(peer)) {
        return Err(UserError::new(Code::CodeBadHint, "the address in the link names no peer")
            .hint("copy the link again, or ask for it"));
    }
    Ok(())
}

/// Says what is wrong with a code; `kind` is what to do with one of another kind.
fn said(error: &Error, kind: &str) -> UserError {
    let (code, hint) = match error {
        Error::Typo | Error::NotACode | Error::NoAccount => (Code::CodeTypo, "copy it again, or ask for the link"),
        Error::Truncated { want, .. } => {
            let hint = format!("copy the whole code: {want} characters that begin with kith1");
            return UserError::new(Code::CodeTruncated, error.to_string()).hint(hint);
        }
        Error::WrongKind { .. } => (Code::CodeWrongKind, kind),
        Error::UnknownVersion(_) => (Code::CodeUnknownVersion, "update kith"),
        Error::BadHint(_) | Error::TooManyHints => {
            (Code::CodeBadHint, "use the code without the part after the question mark")
        }
    };
    UserError::new(code, error.to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel invite, and a contact code, both well written.
    const INVITE: &str = "kith1zgrswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswr43a4h";

    #[test]
    fn a_code_says_what_it_is_without_the_network() {
        let link = format!("«KITH:{}?a=/ip4/192.0.2.1/tcp/4001»", INVITE.to_uppercase());
        for (text, hints) in [(INVITE.to_owned(), 0), (link, 1)] {
            let pasted = inspect(&text).unwrap();
            assert_eq!((pasted.kind, pasted.hints.len()), (PastedKind::Invite, hints), "{text}");
            assert_eq!(check_invite(&text), Ok(()));
        }
        // Not in its first characters, which say of what kind and length it is.
        let typo = format!("{}{}{}", &INVITE[..40], if &INVITE[40..41] == "q" { "p" } else { "q" }, &INVITE[41..]);
        for (text, code) in [
            (typo.as_str(), Code::CodeTypo),
            ("hello", Code::CodeTypo),
            (&INVITE[..30], Code::CodeTruncated),
            (&format!("kith:{INVITE}?a=nonsense"), Code::CodeBadHint),
        ] {
            assert_eq!(inspect(text).unwrap_err().code, code, "{text}");
            let error = check_invite(text).unwrap_err();
            assert_eq!((error.code, error.hint.is_empty()), (code, false), "{text}");
        }
        let nobody = format!("kith:{INVITE}?a=/ip4/192.0.2.1/tcp/4001/p2p/nobody");
        assert_eq!(check_invite(&nobody).unwrap_err().code, Code::CodeBadHint);
    }
}
