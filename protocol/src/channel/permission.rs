//! What somebody may do in a channel. Must not know who.

use std::fmt;

/// One right in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Say something.
    Send,
    /// Share files.
    SendFiles,
    /// React to what was said.
    React,
    /// Hand out invites, and let in who comes with one.
    Invite,
    /// Let in who waits for approval, or without an invite.
    Approve,
    /// Pin what was said.
    Pin,
    /// Change name, topic and mode.
    EditMeta,
    /// Delete what others said.
    DeleteOthers,
    /// Silence somebody.
    Mute,
    /// Remove somebody, who may come back.
    Kick,
    /// Remove somebody for good.
    Ban,
    /// Define, grant and revoke roles.
    AssignRole,
    /// Make the keys anew.
    Rekey,
    /// Choose the channel's relays.
    SetRelay,
    /// Choose how long messages are kept.
    SetRetention,
    /// See who did what.
    ViewAudit,
}

impl Permission {
    /// Every one, in the order of their numbers on the wire.
    pub const ALL: [Self; 16] = [
        Self::Send,
        Self::SendFiles,
        Self::React,
        Self::Invite,
        Self::Approve,
        Self::Pin,
        Self::EditMeta,
        Self::DeleteOthers,
        Self::Mute,
        Self::Kick,
        Self::Ban,
        Self::AssignRole,
        Self::Rekey,
        Self::SetRelay,
        Self::SetRetention,
        Self::ViewAudit,
    ];

    /// Returns the word by which people and scripts call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::SendFiles => "send_files",
            Self::React => "react",
            Self::Invite => "invite",
            Self::Approve => "approve",
            Self::Pin => "pin",
            Self::EditMeta => "edit_meta",
            Self::DeleteOthers => "delete_others",
            Self::Mute => "mute",
            Self::Kick => "kick",
            Self::Ban => "ban",
            Self::AssignRole => "assign_role",
            Self::Rekey => "rekey",
            Self::SetRelay => "set_relay",
            Self::SetRetention => "set_retention",
            Self::ViewAudit => "view_audit",
        }
    }

    /// Finds the right that a word calls.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.word() == word)
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every right that a role can give.
    pub const ALL: Self = Self((1 << Permission::ALL.len()) - 1);
    /// What only the role `owner` has: to act on its equals. No defined role can give it.
    pub(super) const OWNER: Self = Self(1 << 31);

    /// Collects rights.
    pub const fn of(list: &[Permission]) -> Self {
        let mut bits = 0;
        let mut rest = list;
        while let [first, tail @ ..] = rest {
            bits |= 1 << *first as u8;
            rest = tail;
        }
        Self(bits)
    }

    /// Takes the wire's bits; `None` where one stands for no right that this program knows (the most restrictive
    /// reading of an unknown right is to refuse what names it).
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// Returns the wire's bits.
    pub const fn bits(self) -> u32 {
        self.0 & Self::ALL.0
    }

    /// Says whether a right is among them.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// Says whether all of `other` are among them.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Says whether these stand above `other`: they cover it and more, or are an owner's.
    pub(super) const fn above(self, other: Self) -> bool {
        self.covers(other) && (self.0 != other.0 || Self::OWNER.0 & self.0 != 0)
    }

    /// Joins two sets.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Takes a set away.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Lists the rights.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |p| self.has(*p))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::word)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_has_its_own_bit_and_word() {
        for (at, permission) in Permission::ALL.into_iter().enumerate() {
            assert_eq!(permission as usize, at);
            assert_eq!(Permission::from_word(permission.word()), Some(permission));
            assert_eq!(Permissions::of(&[permission]).iter().collect::<Vec<_>>(), [permission]);
        }
        assert_eq!(Permission::from_word("everything"), None);
    }

    #[test]
    fn bits_of_no_right_are_refused_and_only_owners_stand_above_their_equals() {
        for bit in 16..32 {
            assert_eq!(Permissions::from_bits(1 << bit), None);
        }
        assert_eq!(Permissions::from_bits(u32::MAX), None);
        let some = Permissions::of(&[Permission::Send, Permission::Kick]);
        assert!(!some.above(some) && some.above(Permissions::NONE) && !Permissions::NONE.above(some));
        let owner = Permissions::ALL.with(Permissions::OWNER);
        assert!(owner.above(owner) && owner.above(Permissions::ALL) && !Permissions::ALL.above(owner));
    }
}
