//! What the operator asks: changes go into the same commit as everybody's, questions are read.

use super::{Service, Waiter, Work};
use crate::relay::{
    Denied, Operator, Told,
    counters::prometheus,
    operator::{InviteId, MEMBERS_MAX, token_hash},
};
use kith_store::{
    Damage, Error,
    mailbox::{Change, InviteInfo, Outcome},
};
use rand_core::Rng;

impl Service {
    /// Puts an operator's wish to the work of the turn, or answers it.
    pub(super) fn prepare(&mut self, ask: Operator, work: &mut Work) {
        let place = work.told.len();
        let answer = match self.operate(ask) {
            Ok((told, Some(change))) => {
                work.first.push((Waiter::Operator { place, told }, change));
                None
            }
            Ok((told, None)) => Some(Ok(told)),
            Err(denied) => Some(Err(denied)),
        };
        work.told.push(answer);
    }

    /// What is told, and what must be on disk before.
    fn operate(&mut self, ask: Operator) -> Result<(Told, Option<Change>), Denied> {
        if self.stopping {
            return Err(Denied::Stopping);
        }
        let store = self.shelf.store();
        match ask {
            Operator::Invite { uses, until } => {
                if uses == 0 || until <= self.time.now() {
                    return Err(Denied::Empty);
                }
                let mut token = [0; 16];
                self.rng.fill_bytes(&mut token);
                let hash = token_hash(&token);
                let told = Told::Invited { token, id: InviteId::of(&hash) };
                Ok((told, Some(Change::Invite { token: hash, uses, until })))
            }
            Operator::Invites => Ok((Told::Invites(store.invites(self.time.now())?), None)),
            Operator::RevokeInvite { id } => {
                let invite = named(store.invites(self.time.now())?, &id)?;
                let change = Change::Invite { token: invite.token, uses: 0, until: invite.until };
                Ok((Told::Done, Some(change)))
            }
            Operator::Members { after, limit } => {
                Ok((Told::Members(store.mailboxes(after.as_ref(), limit.min(MEMBERS_MAX))?), None))
            }
            Operator::Judge { mailbox, allowed, blocked, quota } => {
                Ok((Told::Done, Some(Change::Judge { mailbox, allowed, blocked, quota })))
            }
            Operator::Stats => Ok((Told::Stats(Box::new(self.stats()?)), None)),
            Operator::Metrics => Ok((Told::Metrics(prometheus(&self.stats()?)), None)),
        }
    }
}

/// The one invite whose name begins so.
fn named(invites: Vec<InviteInfo>, id: &str) -> Result<InviteInfo, Denied> {
    let id = id.to_ascii_lowercase();
    let mut found =
        invites.into_iter().filter(|i| !id.is_empty() && InviteId::of(&i.token).to_string().starts_with(&id));
    match (found.next(), found.next()) {
        (Some(invite), None) => Ok(invite),
        (None, _) => Err(Denied::NoSuchInvite),
        (Some(_), Some(_)) => Err(Denied::Ambiguous),
    }
}

/// What an operator is told of a change by its outcome.
pub(super) fn tell(told: Told, outcome: &Outcome) -> Result<Told, Denied> {
    match outcome {
        Outcome::Done => Ok(told),
        Outcome::Full(_) => Err(Denied::TooManyInvites),
        _ => {
            tracing::error!("a relay's store answered another question");
            Err(Denied::Storage)
        }
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        match error {
            Error::Corrupt(Damage::Row | Damage::Encoding) => Self::Damaged,
            _ => Self::Storage,
        }
    }
}
