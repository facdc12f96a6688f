//! From outcomes to answers, and what follows from them on open connections. What a stranger is told says nothing about
//! whether the mailbox is there.

use super::{ROOM_AGAIN_MS, SOON_AGAIN_MS, Service, Turn};
use crate::{net::PeerName, relay::counters::add};
use kith_protocol::{
    MailboxId,
    limits::POOL_KEYS_LOW,
    mailbox::{Answer, Class, Custody, Reason, Refusal, Registered},
};
use kith_store::mailbox::{Change, Deposit, Outcome, Quota, Room};

/// What a stranger is told whatever the reason.
pub(super) const NO_ROOM: Refusal = Refusal::later(Reason::NoRoom, ROOM_AGAIN_MS);

impl Service {
    /// Answers a change by its outcome.
    pub(super) fn answer(&mut self, from: &PeerName, change: &Change, outcome: Outcome, turn: &mut Turn) -> Answer {
        match (change, outcome) {
            (Change::Deposit(deposit), outcome) => self.deposited(deposit, &outcome, turn),
            (Change::TakePrekey { mailbox, class, .. }, outcome) => match outcome {
                Outcome::Prekey { key, left } => {
                    if key.is_some() {
                        add(&mut self.counters.prekeys, 1);
                        // The owner finds the pool low, and fills it.
                        if left == 0 || left + 1 == POOL_KEYS_LOW as u64 {
                            turn.wake.extend(self.owners.of(mailbox).iter().cloned());
                        }
                    }
                    Answer::Prekey(key.map(|(_, bytes)| bytes))
                }
                _ if *class == Class::Stranger => Answer::Prekey(None),
                other => Answer::Refused(Self::refusal(&other)),
            },
            (Change::Register { mailbox, .. }, Outcome::Registered { new, quota }) => {
                self.note_owner(from, *mailbox, turn);
                self.registered(mailbox, new, quota)
            }
            (Change::Acknowledge { mailbox, .. }, Outcome::Deleted { deleted, absent }) => {
                self.note_owner(from, *mailbox, turn);
                add(&mut self.counters.collected, deleted);
                Answer::Deleted { deleted, absent }
            }
            (Change::PutPrekeys { mailbox, .. }, Outcome::Prekeys(count)) => {
                self.note_owner(from, *mailbox, turn);
                Answer::Prekeys(count)
            }
            (Change::Keep { mailbox, .. } | Change::Revoke { mailbox, .. }, Outcome::Done) => {
                self.note_owner(from, *mailbox, turn);
                Answer::Done
            }
            (Change::Leave { .. }, Outcome::Done) => Answer::Done,
            (_, outcome) => Answer::Refused(Self::refusal(&outcome)),
        }
    }

    fn deposited(&mut self, deposit: &Deposit, outcome: &Outcome, turn: &mut Turn) -> Answer {
        let Deposit { tag, mailbox, class, serial, envelope, .. } = deposit;
        // Only grants of mailboxes that are here take room in the map of allowances.
        if matches!(outcome, Outcome::Stored { .. } | Outcome::Full(_)) {
            self.grants.charge((*mailbox, *serial), self.deposit_rate(*class), self.moment);
        }
        match outcome {
            Outcome::Stored { until, new, .. } => {
                add(&mut self.counters.accepted, 1);
                if *new {
                    turn.wake.extend(self.owners.of(mailbox).iter().cloned());
                }
                Answer::Custody(Custody::issue(&self.key, *tag, *envelope, *until, self.time.now()).encode())
            }
            _ if *class == Class::Stranger => Answer::Refused(NO_ROOM),
            other => Answer::Refused(Self::refusal(other)),
        }
    }

    fn registered(&self, mailbox: &MailboxId, new: bool, quota: Quota) -> Answer {
        // It is there: what cannot be read of it now is told as none.
        let info = self.shelf.store().mailbox(mailbox).ok().flatten();
        let (used, prekeys) = info.map_or((Quota::default(), 0), |info| (info.used, info.prekeys));
        Answer::Registered(Registered {
            new,
            envelopes: quota.envelopes,
            bytes: quota.bytes,
            used_envelopes: used.envelopes,
            used_bytes: used.bytes,
            prekeys,
        })
    }

    /// How an outcome is told to whom it may be told.
    fn refusal(outcome: &Outcome) -> Refusal {
        match outcome {
            // Also where the tag is another mailbox's: a grant that somebody made for themselves finds out nothing.
            Outcome::UnknownTag => Refusal::never(Reason::UnknownTag),
            Outcome::Full(Room::Relay) => Refusal::later(Reason::RelayFull, ROOM_AGAIN_MS),
            Outcome::Full(_) | Outcome::NameTaken => NO_ROOM,
            Outcome::Revoked => Refusal::never(Reason::Revoked),
            Outcome::Blocked => Refusal::never(Reason::Blocked),
            Outcome::NotAdmitted => Refusal::never(Reason::NotAdmitted),
            Outcome::NoMailbox => Refusal::never(Reason::NoMailbox),
            Outcome::Registered { .. }
            | Outcome::Stored { .. }
            | Outcome::Deleted { .. }
            | Outcome::Prekeys(_)
            | Outcome::Prekey { .. }
            | Outcome::Swept { .. }
            | Outcome::Done => {
                tracing::error!("a relay's store answered another question");
                Refusal::later(Reason::Storage, SOON_AGAIN_MS)
            }
        }
    }
}
