//! Receipts: one for each device and batch, told only to people we accepted, made again whenever a message comes again.

use super::{
    App,
    effect::Owed,
    work::{Halt, Work},
};
use kith_protocol::{
    DeviceId, MessageId,
    content::{Body, Content, Marks, Receipt},
    limits,
};
use kith_store::{
    Range, Rows,
    table::{Cargo, ChainLink, Contact, ContactState, Deposited, Device, Left, Outbox, OutboxState, Place, ReceiptsOf},
};

/// Receipts on their way to one device at once; what is owed meanwhile waits and gathers.
const FLYING_MAX: usize = 4;
/// Receipts that wait for or fly to one device. What is owed beyond them is dropped: that a message was delivered is owed
/// again when the message comes again, as it does until it is confirmed; that it was read is not.
const ROWS_MAX: usize = 16;
/// How long a receipt gathers while others fly, in milliseconds.
const GATHER_MS: u64 = 200;

/// The receipts for one device that are still here.
struct Waiting {
    row: ReceiptsOf,
    flying: usize,
    /// One that is not on its way, with what it says.
    open: Option<(Outbox, Receipt)>,
}

impl App {
    /// Sends what the batch owes to one device: the batch's commit makes it durable together with what it confirms.
    pub(super) fn send_receipts(&self, w: &mut Work<'_>, device: DeviceId, owed: &[Owed]) -> Result<(), Halt> {
        let Some(account) = owed.first().map(|o| o.account) else { return Ok(()) };
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&account))? else { return Ok(()) };
        if contact.state != ContactState::Added || contact.blocked {
            return Ok(());
        }
        let Waiting { mut row, mut flying, open } = self.waiting_receipts(w, &device)?;
        // What the open one said comes first, so that it never says less.
        let (mut open, mut marks) = match open {
            Some((outbox, said)) => (Some(outbox), marks_of(&said)),
            None => (None, Vec::new()),
        };
        for mark in owed.iter().map(|owed| (owed.message, owed.read)) {
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        for part in marks.chunks(limits::RECEIPT_ENTRIES_MAX).map(receipt_of) {
            let id = match open.take() {
                Some(outbox) => self.put_receipt(w, &contact, outbox, part)?,
                None if row.rows.len() >= ROWS_MAX => break,
                None => {
                    let id = self.queue_content(w, &contact, device, Body::Receipt(part))?;
                    row.rows.push(id);
                    id
                }
            };
            if flying < FLYING_MAX {
                self.attempt(w, id)?;
                flying += 1;
            } else {
                self.gather(w, id)?;
            }
        }
        w.put(&row)
    }

    fn waiting_receipts(&self, w: &Work<'_>, device: &DeviceId) -> Result<Waiting, Halt> {
        let known = w.get::<ReceiptsOf>(&ReceiptsOf::key_of(device))?;
        let mut waiting = Waiting { row: ReceiptsOf { device: *device, rows: Vec::new() }, flying: 0, open: None };
        for id in known.map(|known| known.rows).unwrap_or_default() {
            let Some(outbox) = w.get::<Outbox>(&Outbox::key_of(id))? else { continue };
            waiting.row.rows.push(id);
            let at_relays = |d: &Deposited| matches!(d.left, Left::Asked { .. } | Left::Held { .. });
            if outbox.in_flight || outbox.deposits.iter().any(at_relays) {
                waiting.flying += 1;
            } else if let Some(said) = says(&outbox) {
                waiting.open = Some((outbox, said));
            }
        }
        Ok(waiting)
    }

    /// Lets a receipt that waits say more.
    fn put_receipt(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        mut outbox: Outbox,
        receipt: Receipt,
    ) -> Result<u64, Halt> {
        outbox.cargo = Cargo::Content(self.content_to(w, contact, Body::Receipt(receipt))?);
        outbox.state = OutboxState::NeedsKeys;
        outbox.deposits.clear();
        outbox.tries = 0;
        w.put(&outbox)?;
        Ok(outbox.id)
    }

    /// Lets a receipt wait for what else is owed, once: it does not wait longer for coming anew.
    fn gather(&self, w: &mut Work<'_>, id: u64) -> Result<(), Halt> {
        match w.get::<Outbox>(&Outbox::key_of(id))? {
            Some(row) if row.due_at <= w.now => self.put_off(w, id, GATHER_MS),
            _ => Ok(()),
        }
    }

    /// Takes a receipt for messages of ours.
    pub(super) fn take_receipt(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: &Device,
        receipt: &Receipt,
    ) -> Result<(), Halt> {
        let place = Place::Person(contact.account);
        for (marks, read) in [(&receipt.delivered, false), (&receipt.read, true)] {
            for id in &marks.ids {
                self.confirmed(w, &contact.account, &device.device, id, read)?;
            }
            for range in marks.ranges.iter().filter(|r| r.device == self.me.device) {
                let group = ChainLink::group_of(&place, &self.me.device);
                let span = Range::all().from(&range.from.to_be_bytes()).until(&range.to.to_be_bytes());
                for link in w.rows().rows::<ChainLink>(&group, &span, limits::RECEIPT_ENTRIES_MAX)? {
                    self.confirmed(w, &contact.account, &device.device, &link.id, read)?;
                }
            }
        }
        Ok(())
    }
}

/// What a receipt in the outbox says.
fn says(outbox: &Outbox) -> Option<Receipt> {
    let Cargo::Content(bytes) = &outbox.cargo else { return None };
    match Content::decode(bytes).ok()?.body {
        Body::Receipt(receipt) => Some(receipt),
        _ => None,
    }
}

/// What a receipt says of each message: delivered, or read.
fn marks_of(receipt: &Receipt) -> Vec<(MessageId, bool)> {
    let delivered = receipt.delivered.ids.iter().map(|id| (*id, false));
    delivered.chain(receipt.read.ids.iter().map(|id| (*id, true))).collect()
}

/// The receipt that says so much.
fn receipt_of(marks: &[(MessageId, bool)]) -> Receipt {
    let ids = |read| marks.iter().filter(|mark| mark.1 == read).map(|mark| mark.0).collect();
    Receipt {
        delivered: Marks { ids: ids(false), ranges: Vec::new() },
        read: Marks { ids: ids(true), ranges: Vec::new() },
    }
}
