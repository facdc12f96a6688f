//! What a user is told when something does not work, and the one table of codes.
//! Must not know where an error came from: whoever raises it says what to do next.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Makes the enum of codes and its table: name, text, HTTP status, exit code of the CLI.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $http:literal $exit:literal;)*) => {
        /// Names a kind of failure; scripts may rely on the text form, which is never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// A code this version does not know (a newer daemon answered).
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)* Code::Unknown];

            /// Returns the text form used in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* Code::Unknown => "unknown" }
            }

            /// Returns the HTTP status it is answered with.
            pub const fn http_status(self) -> u16 {
                match self { $(Code::$name => $http,)* Code::Unknown => 500 }
            }

            /// Returns the exit code of the CLI, as documented for scripts.
            pub const fn exit_code(self) -> u8 {
                match self { $(Code::$name => $exit,)* Code::Unknown => 1 }
            }
        }
    };
}

codes! {
    // 1: failed
    /// A bug in Kith.
    Internal "internal" 500 1;
    /// A write to the store failed; nothing is written until the profile is opened again.
    StorageFailed "storage_failed" 500 1;
    /// The disk is full.
    DiskFull "disk_full" 507 1;
    /// The profile's folder cannot be written.
    ReadOnly "read_only" 500 1;
    /// Another program listens on the address.
    PortInUse "port_in_use" 500 1;
    /// A file or folder could not be read or written.
    Io "io" 500 1;
    /// A check of `doctor`, a step of `demo` or a message did not work out.
    Failed "failed" 500 1;
    /// The daemon is stopping.
    Stopping "stopping" 503 1;

    // 2: usage
    /// The command line or request is malformed.
    Usage "usage" 400 2;
    /// An answer is needed and there is no terminal to ask on.
    InputNeeded "input_needed" 400 2;
    /// The message has no text.
    EmptyMessage "empty_message" 400 2;
    /// The message is longer than the limit.
    MessageTooLong "message_too_long" 413 2;
    /// The request is larger than the limit.
    BodyTooLarge "body_too_large" 413 2;
    /// The text is not UTF-8.
    InvalidUtf8 "invalid_utf8" 400 2;
    /// The name is empty, too long or made of characters that do not show.
    BadName "bad_name" 400 2;
    /// The text is neither a name, an id nor a prefix of one.
    BadTarget "bad_target" 400 2;
    /// A contact code has a typing error.
    CodeTypo "code_typo" 400 2;
    /// A contact code is cut off.
    CodeTruncated "code_truncated" 400 2;
    /// A code of another kind, such as an invite.
    CodeWrongKind "code_wrong_kind" 400 2;
    /// A code made by a newer version.
    CodeUnknownVersion "code_unknown_version" 400 2;
    /// The link's address hints are malformed.
    CodeBadHint "code_bad_hint" 400 2;
    /// The contact code is this account's own.
    CodeOwn "code_own" 400 2;
    /// The card is of the relay that this node runs.
    RelayOwn "relay_own" 400 2;
    /// A role would inherit from itself.
    RoleCycle "role_cycle" 400 2;
    /// The configuration file or a value for it is wrong.
    ConfigInvalid "config_invalid" 400 2;
    /// The path of the socket is longer than the system allows.
    SocketPathTooLong "socket_path_too_long" 400 2;
    /// No such resource in this API.
    NoSuchRoute "no_such_route" 404 2;
    /// The resource does not take this method.
    MethodNotAllowed "method_not_allowed" 405 2;

    // 3: daemon
    /// No daemon answers on the socket.
    DaemonUnreachable "daemon_unreachable" 503 3;

    // 4: not found or ambiguous
    /// There is no profile yet.
    NoProfile "no_profile" 404 4;
    /// No such contact.
    ContactUnknown "contact_unknown" 404 4;
    /// No such channel.
    ChannelUnknown "channel_unknown" 404 4;
    /// Nobody meant is a member of the channel, or waits to be.
    MemberUnknown "member_unknown" 404 4;
    /// The channel has no such role.
    RoleUnknown "role_unknown" 404 4;
    /// The channel has no such invite.
    InviteUnknown "invite_unknown" 404 4;
    /// No such join is under way.
    JoinUnknown "join_unknown" 404 4;
    /// No such message.
    MessageUnknown "message_unknown" 404 4;
    /// No such peer.
    PeerUnknown "peer_unknown" 404 4;
    /// No such relay holds this account's mail.
    RelayUnknown "relay_unknown" 404 4;
    /// This node runs no relay.
    NoRelay "no_relay" 404 4;
    /// No such thing.
    NotFound "not_found" 404 4;
    /// A name or prefix fits several; `candidates` lists them.
    Ambiguous "ambiguous" 409 4;

    // 5: locked or not permitted
    /// The passphrase is wrong.
    WrongPassphrase "wrong_passphrase" 401 5;
    /// The profile is locked.
    Locked "locked" 401 5;
    /// Not allowed: another user, a blocked contact, files that others may read.
    NotPermitted "not_permitted" 403 5;
    /// The contact is blocked.
    Blocked "blocked" 403 5;
    /// A relay does not take this mailbox.
    RelayRefused "relay_refused" 403 5;
    /// This account is banned from the channel.
    Banned "banned" 403 5;
    /// This account is not in the channel, or no longer.
    NotMember "not_member" 403 5;
    /// A role gives more than whoever gives it has.
    MoreThanHeld "more_than_held" 403 5;
    /// Whom it is done to does not stand below whoever does it.
    NotAbove "not_above" 403 5;

    // 6: conflict
    /// A profile is there already.
    ProfileExists "profile_exists" 409 6;
    /// Another daemon has the profile open.
    ProfileInUse "profile_in_use" 409 6;
    /// The idempotency key was used with another body, or the state does not allow it.
    Conflict "conflict" 409 6;
    /// A code is past its end.
    CodeExpired "code_expired" 410 6;
    /// The invite is past its end.
    InviteExpired "invite_expired" 410 6;
    /// The invite was ended by a member.
    InviteRevoked "invite_revoked" 410 6;
    /// As many came by the invite as it lets in.
    InviteUsedUp "invite_used_up" 410 6;
    /// The channel would be left without an owner.
    LastOwner "last_owner" 409 6;
    /// The channel has as many members as one can have.
    ChannelFull "channel_full" 409 6;

    // 7: time
    /// No answer in time.
    Timeout "timeout" 504 7;
    /// Safe, but not yet at the stage asked for.
    NotYet "not_yet" 409 7;
    /// Nobody can be reached yet.
    NobodyReachable "nobody_reachable" 503 7;
    /// The keys that a member made anew have not come yet.
    KeysOnTheirWay "keys_on_their_way" 409 7;

    // 8: limits
    /// Too many requests.
    RateLimited "rate_limited" 429 8;
    /// A queue is full; try again.
    Busy "busy" 503 8;

    // 9: integrity
    /// The store is damaged.
    StoreCorrupt "store_corrupt" 500 9;
    /// The store was written by a newer version.
    StoreNewer "store_newer" 500 9;
    /// A signature or checksum does not fit.
    Integrity "integrity" 500 9;
    /// Another key than the one on a relay's card answers at its address.
    RelayWrongKey "relay_wrong_key" 409 9;

    // 10: identity
    /// A contact's identity changed.
    IdentityChanged "identity_changed" 409 10;
    /// The safety numbers do not match, or verification is required first.
    Unverified "unverified" 409 10;

    // 130
    /// Interrupted from the keyboard.
    Interrupted "interrupted" 499 130;
}

impl Code {
    /// Returns the code of what the system says about a file.
    pub fn of_io(kind: std::io::ErrorKind) -> Self {
        match kind {
            std::io::ErrorKind::StorageFull => Self::DiskFull,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            std::io::ErrorKind::PermissionDenied => Self::NotPermitted,
            _ => Self::Io,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells a user what did not work, in one sentence, and what to do next.
///
/// It carries no key, no content and no code of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    /// What kind of failure.
    pub code: Code,
    /// One sentence: what happened and why.
    pub message: String,
    /// One command or step to try; may be empty.
    #[serde(default)]
    pub hint: String,
    /// When to try again, in milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What an ambiguous name or prefix could mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

impl UserError {
    /// Makes an error without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new(), retry_after_ms: None, candidates: Vec::new() }
    }

    /// Sets what to try next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Sets when to try again, in milliseconds.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Sets what the name or prefix could mean.
    #[must_use]
    pub fn candidates(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// Makes the error for a state that cannot be: a bug.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message).hint("this is a bug in kith: please report it with the log (KITH_LOG=debug)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_distinct_text_and_a_documented_exit() {
        let documented = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130];
        let texts: BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(documented.contains(&code.exit_code()), "{code}");
            assert!((400..600).contains(&code.http_status()), "{code}");
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        let used: BTreeSet<_> = Code::ALL.iter().map(|c| c.exit_code()).collect();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), documented);
    }

    #[test]
    fn a_code_from_a_newer_daemon_is_unknown_not_an_error() {
        let error: UserError = serde_json::from_str(r#"{"code":"from_the_future","message":"m"}"#).unwrap();
        assert_eq!((error.code, error.hint.as_str()), (Code::Unknown, ""));
    }
}
