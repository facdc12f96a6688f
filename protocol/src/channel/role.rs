//! Roles: five that every channel has, and those it defines. Must not know who holds them.

use super::{
    name::{BadName, Name},
    permission::{Permission, Permissions},
};
use std::fmt;

/// The name of a role, which is all there is to tell it by: a [`Name`] in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);

impl RoleName {
    /// Accepts a text that can name a role; letters are lowered first, so that `Admin` is no second `admin`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        Name::parse(&text.to_lowercase()).map(|name| Self(name.as_str().to_owned()))
    }

    /// Accepts a role's name as the wire spells it.
    pub(super) fn from_wire(text: &str) -> Result<Self, crate::wire::Error> {
        let name = Self::parse(text).map_err(|_| crate::wire::Error::OutOfBounds)?;
        if name.as_str() == text { Ok(name) } else { Err(crate::wire::Error::NotCanonical) }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Finds what the name stands for in every channel.
    pub fn builtin(&self) -> Option<Role> {
        Role::builtin(self.as_str())
    }

    /// The role of whoever made the channel.
    pub fn owner() -> Self {
        Self("owner".to_owned())
    }

    /// The role of whoever joins, if the invite says nothing else.
    pub fn member() -> Self {
        Self("member".to_owned())
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a role gives its rights to a message. Operations are never judged by them: they hold whatever the clock says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Minutes of the UTC day between which it does, the second excluded; nothing for the whole day.
    pub minutes: Option<(u16, u16)>,
    /// Whether only for devices that the account lets manage others.
    pub managing_device: bool,
    /// Messages that a device may send in a minute; nothing for any number.
    pub per_minute: Option<u32>,
}

impl Conditions {
    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a role gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Roles whose rights it has as well, in order.
    pub inherits: Vec<RoleName>,
    /// Rights it gives.
    pub allow: Permissions,
    /// Rights it takes away, whatever gives them.
    pub deny: Permissions,
    /// When it gives them.
    pub conditions: Conditions,
}

impl Role {
    /// Every channel's own roles, from the top.
    pub const BUILTIN: [&str; 5] = ["owner", "admin", "moderator", "member", "reader"];

    fn builtin(name: &str) -> Option<Self> {
        use Permission as P;
        let allow = match name {
            "owner" => Permissions::ALL.with(Permissions::OWNER),
            "admin" => Permissions::ALL,
            "moderator" => Permissions::of(&[
                P::Send,
                P::SendFiles,
                P::React,
                P::Invite,
                P::Approve,
                P::Pin,
                P::DeleteOthers,
                P::Mute,
                P::Kick,
                P::Rekey,
                P::ViewAudit,
            ]),
            "member" => Permissions::of(&[P::Send, P::SendFiles, P::React, P::Invite, P::Rekey]),
            "reader" => Permissions::NONE,
            _ => return None,
        };
        Some(Self { allow, ..Self::default() })
    }
}

/// Who may come and speak, whatever their roles say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// As the roles say.
    #[default]
    Open,
    /// Who lets others in must be allowed to approve.
    Private,
    /// Who speaks must be allowed to silence others; everybody may react.
    Announce,
    /// Nobody speaks and nobody comes; what was said stays.
    Archive,
}

impl Mode {
    /// Takes the wire's number.
    pub(super) const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Open),
            1 => Some(Self::Private),
            2 => Some(Self::Announce),
            3 => Some(Self::Archive),
            _ => None,
        }
    }

    /// Returns the wire's number.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Private => 1,
            Self::Announce => 2,
            Self::Archive => 3,
        }
    }

    /// Takes away what the mode does not leave to somebody with these rights.
    pub(super) const fn restrict(self, rights: Permissions) -> Permissions {
        use Permission as P;
        match self {
            Self::Private if !rights.has(P::Approve) => rights.without(Permissions::of(&[P::Invite])),
            Self::Announce if !rights.has(P::Mute) => rights.without(Permissions::of(&[P::Send, P::SendFiles])),
            Self::Archive => {
                rights.without(Permissions::of(&[P::Send, P::SendFiles, P::React, P::Pin, P::Invite, P::Approve]))
            }
            _ => rights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_roles_of_every_channel_stand_one_above_the_other() {
        let all: Vec<Role> = Role::BUILTIN.iter().map(|n| RoleName::parse(n).unwrap().builtin().unwrap()).collect();
        for pair in all.windows(2) {
            assert!(pair[0].allow.above(pair[1].allow) && !pair[1].allow.above(pair[0].allow));
        }
        assert_eq!(RoleName::owner().as_str(), "owner");
        assert_eq!(RoleName::member().as_str(), "member");
        assert_eq!(RoleName::parse("Owner"), Ok(RoleName::owner()));
        assert!(RoleName::from_wire("Owner").is_err());
        assert_eq!(RoleName::parse("helper").unwrap().builtin(), None);
    }
}
