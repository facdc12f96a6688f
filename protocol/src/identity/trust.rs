//! How far a contact's device is trusted, and the only ways that may change. Must not know keys.

use serde::{Deserialize, Serialize};

/// How far a contact's device is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trust {
    /// Known from a code or a log, never heard of.
    #[default]
    Unverified,
    /// A session with it has carried a message.
    Seen,
    /// A person compared the safety number.
    Verified,
    /// It was verified and then the account's root changed: nothing passes until it is verified again.
    Violated,
    /// The user shut it out.
    Blocked,
    /// Its account revoked it, for good.
    Revoked,
}

impl Trust {
    /// Says whether this is `level` or more on the scale unverified < seen < verified; what is violated, blocked or
    /// revoked is on no scale and reaches no level.
    pub const fn reaches(self, level: Self) -> bool {
        match (self.rank(), level.rank()) {
            (Some(have), Some(need)) => have >= need,
            _ => false,
        }
    }

    /// Says whether content may be sealed to the device and shown from it.
    pub const fn permits(self) -> bool {
        self.rank().is_some()
    }

    /// Returns the trust after an authenticated message came from the device.
    #[must_use]
    pub const fn heard(self) -> Self {
        match self {
            Self::Unverified => Self::Seen,
            other => other,
        }
    }

    /// Returns the trust after a person compared the whole safety number: the only way up to verified, and the only way
    /// out of a violation. A blocked device stays blocked and a revoked one revoked.
    #[must_use]
    pub const fn compared(self) -> Self {
        match self {
            Self::Unverified | Self::Seen | Self::Verified | Self::Violated => Self::Verified,
            Self::Blocked => Self::Blocked,
            Self::Revoked => Self::Revoked,
        }
    }

    /// Returns the trust after the account's root changed: what was verified no longer is, and stops everything.
    #[must_use]
    pub const fn root_changed(self) -> Self {
        match self {
            Self::Verified | Self::Violated => Self::Violated,
            Self::Unverified | Self::Seen => Self::Unverified,
            Self::Blocked => Self::Blocked,
            Self::Revoked => Self::Revoked,
        }
    }

    /// Returns the trust after the user shut the device out.
    #[must_use]
    pub const fn blocked(self) -> Self {
        match self {
            Self::Revoked => Self::Revoked,
            _ => Self::Blocked,
        }
    }

    /// Returns the trust after the user let a blocked device in again: it starts from the bottom.
    #[must_use]
    pub const fn unblocked(self) -> Self {
        match self {
            Self::Blocked => Self::Unverified,
            other => other,
        }
    }

    /// Returns the trust after the account revoked the device.
    #[must_use]
    pub const fn revoked(self) -> Self {
        Self::Revoked
    }

    const fn rank(self) -> Option<u8> {
        match self {
            Self::Unverified => Some(0),
            Self::Seen => Some(1),
            Self::Verified => Some(2),
            Self::Violated | Self::Blocked | Self::Revoked => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Trust; 6] =
        [Trust::Unverified, Trust::Seen, Trust::Verified, Trust::Violated, Trust::Blocked, Trust::Revoked];

    #[test]
    fn c05_29_a_verified_contact_whose_root_changes_is_blocked_until_compared_again() {
        let violated = Trust::Verified.root_changed();
        assert_eq!(violated, Trust::Violated);
        for after in [violated, violated.heard(), violated.root_changed()] {
            assert!(!after.permits() && !after.reaches(Trust::Unverified));
        }
        assert_eq!(violated.compared(), Trust::Verified);
    }

    #[test]
    fn only_comparing_leads_up_to_verified() {
        for trust in ALL {
            for after in [trust.heard(), trust.root_changed(), trust.blocked(), trust.unblocked(), trust.revoked()] {
                assert!(after != Trust::Verified || trust == Trust::Verified, "{trust:?} became {after:?}");
            }
        }
    }

    #[test]
    fn revoked_is_for_good() {
        let r = Trust::Revoked;
        for after in [r.heard(), r.compared(), r.root_changed(), r.blocked(), r.unblocked(), r.revoked()] {
            assert_eq!(after, Trust::Revoked);
        }
    }

    #[test]
    fn the_scale_is_unverified_seen_verified_and_the_rest_stands_outside() {
        assert!(Trust::Verified.reaches(Trust::Seen) && Trust::Seen.reaches(Trust::Unverified));
        assert!(!Trust::Seen.reaches(Trust::Verified) && !Trust::Unverified.reaches(Trust::Seen));
        for outside in [Trust::Violated, Trust::Blocked, Trust::Revoked] {
            assert!(ALL.iter().all(|level| !outside.reaches(*level) && !level.reaches(outside)));
        }
    }
}
