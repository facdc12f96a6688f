//! Receipts: one for each device and batch, told only to people we accepted, made again whenever a message comes again.

use super::{
    App,
    effect::Owed,
    work::{Halt, Work},
};
use kith_protocol::{
    DeviceId, MessageId,
    content::{Body, Marks, Receipt},
    limits,
};
use kith_store::{
    Range, Rows,
    table::{ChainLink, Contact, ContactState, Device, Place},
};
use std::collections::BTreeMap;

impl App {
    /// Sends what the batch owes: the batch's commit makes it durable together with what it confirms.
    pub(super) fn send_receipts(&self, w: &mut Work<'_>, owed: Vec<Owed>) -> Result<(), Halt> {
        let mut by_device = BTreeMap::<DeviceId, Receipt>::new();
        let mut accounts = BTreeMap::new();
        for owed in owed {
            accounts.insert(owed.device, owed.account);
            let receipt = by_device.entry(owed.device).or_default();
            let list = if owed.read { &mut receipt.read.ids } else { &mut receipt.delivered.ids };
            if !list.contains(&owed.message) {
                list.push(owed.message);
            }
        }
        for (device, receipt) in by_device {
            let Some(account) = accounts.get(&device) else { continue };
            let Some(contact) = w.get::<Contact>(&Contact::key_of(account))? else { continue };
            if contact.state != ContactState::Added || contact.blocked {
                continue;
            }
            for part in parts(&receipt) {
                self.enqueue_content(w, &contact, device, Body::Receipt(part), false)?;
            }
        }
        Ok(())
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

/// Splits a receipt so that each part fits.
fn parts(receipt: &Receipt) -> Vec<Receipt> {
    let marks = |ids: &[MessageId]| Marks { ids: ids.to_vec(), ranges: Vec::new() };
    let delivered = receipt.delivered.ids.chunks(limits::RECEIPT_ENTRIES_MAX);
    let read = receipt.read.ids.chunks(limits::RECEIPT_ENTRIES_MAX);
    delivered
        .map(|ids| Receipt { delivered: marks(ids), ..Receipt::default() })
        .chain(read.map(|ids| Receipt { read: marks(ids), ..Receipt::default() }))
        .collect()
}
