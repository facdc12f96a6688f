//! What is read and changes nothing: it goes on while the disk takes nothing in.

use super::{SOON_AGAIN_MS, Service, Work};
use crate::net::PeerName;
use kith_protocol::{
    KeptId, MailboxId,
    limits::{ENVELOPE_MAX, PAGE_ITEMS_MAX},
    mailbox::{Answer, Audited, Custody, Item, Page, Reason, Refusal},
};
use kith_store::{Error, mailbox};

/// What somebody reads.
pub(super) enum Look {
    Fetch { mailbox: MailboxId, after: u64 },
    Kept(Vec<KeptId>),
    Audit(Custody),
}

impl Service {
    /// Reads and answers.
    pub(super) fn look(&mut self, from: &PeerName, look: Look, work: &mut Work) -> Answer {
        let now = self.time.now();
        let found = match look {
            Look::Fetch { mailbox, after } => self.fetch(from, &mailbox, after, work),
            Look::Kept(ids) => {
                let kept = ids.iter().map(|id| self.shelf.store().kept(id, now)).collect::<Result<_, _>>();
                kept.map(Answer::Kept)
            }
            Look::Audit(custody) => {
                let found = self.shelf.store().custody(&custody.tag, &custody.envelope, now);
                found.map(|found| Answer::Audited(audited(found)))
            }
        };
        found.unwrap_or_else(|error| {
            tracing::warn!(code = error.code(), "the relay's store could not be read");
            Answer::Refused(Refusal::later(Reason::Storage, SOON_AGAIN_MS))
        })
    }

    fn fetch(&mut self, from: &PeerName, mailbox: &MailboxId, after: u64, work: &mut Work) -> Result<Answer, Error> {
        let Some(info) = self.shelf.store().mailbox(mailbox)?.filter(|info| info.registered) else {
            return Ok(Answer::Refused(Refusal::never(Reason::NoMailbox)));
        };
        self.note_owner(from, *mailbox, &mut work.turn);
        let room = work.page_bytes();
        let found = self.shelf.store().page(mailbox, after, PAGE_ITEMS_MAX, room, self.time.now())?;
        let bytes: usize = found.iter().map(|item| item.bytes.len()).sum();
        work.pages_left = work.pages_left.saturating_sub(bytes);
        // A page that another envelope might not have fitted into may have ended for that.
        let more = !found.is_empty() && (found.len() >= PAGE_ITEMS_MAX || bytes + ENVELOPE_MAX > room);
        let item = |i: mailbox::Item| Item { cursor: i.cursor, until: i.until, envelope: i.bytes };
        Ok(Answer::Page(Page { items: found.into_iter().map(item).collect(), more, prekeys: info.prekeys }))
    }
}

fn audited(found: mailbox::Custody) -> Audited {
    match found {
        mailbox::Custody::Held { bytes, .. } => Audited::Held(bytes),
        mailbox::Custody::Collected => Audited::Collected,
        mailbox::Custody::Absent => Audited::Absent,
    }
}
