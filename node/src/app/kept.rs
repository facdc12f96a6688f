//! Lookups at relays: a descriptor that a relay kept while its device was off serves as one from the DHT, marked by its age.
//! Must not know the DHT.

use super::{
    App,
    asking::Question,
    work::{Halt, Work},
};
use crate::net::AskOutcome;
use kith_protocol::{
    KeptId,
    identity::ReachSecret,
    mailbox::{Answer, KeptSlot},
    prekey::reading::FIRST_SLOTS,
};
use kith_store::table::{CodeReach, Contact, ContactNumber};

/// Relays asked in one lookup.
const ASKED_MAX: usize = 4;

impl App {
    /// Asks the relays that a contact's link and passes name for its descriptors.
    pub(super) fn look_at_relays(&self, w: &mut Work<'_>, contact: &Contact) -> Result<(), Halt> {
        let reaches = self.reaches(w, contact)?;
        for (place, (peer, addresses)) in (0..).zip(self.keepers(w, contact)?) {
            let names = reaches.iter().flat_map(|reach| slots(contact, reach, &peer).map(|slot| slot.id()));
            let request = KeptId::ask(&names.collect::<Vec<_>>());
            self.ask(w, Question::Kept { contact: contact.number, place }, &peer, &addresses, request)?;
        }
        Ok(())
    }

    /// What a relay kept of a contact.
    pub(super) fn kept_found(
        &self,
        w: &mut Work<'_>,
        number: u64,
        place: u16,
        outcome: AskOutcome,
    ) -> Result<(), Halt> {
        let Some(row) = w.get::<ContactNumber>(&ContactNumber::key_of(number))? else { return Ok(()) };
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? else { return Ok(()) };
        let Some((peer, _)) = self.keepers(w, &contact)?.into_iter().nth(usize::from(place)) else { return Ok(()) };
        let AskOutcome::Answered(bytes) = outcome else { return Ok(()) };
        let Ok(Answer::Kept(found)) = Answer::decode(&bytes) else { return Ok(()) };
        let reaches = self.reaches(w, &contact)?;
        let slots: Vec<_> = reaches.iter().flat_map(|reach| slots(&contact, reach, &peer)).collect();
        let opened = slots.iter().zip(found).filter_map(|(slot, sealed)| slot.open(&sealed?));
        let records: Vec<Vec<u8>> = opened.collect();
        if records.is_empty() { Ok(()) } else { self.found_kept(w, contact, &records) }
    }

    /// Under which secrets a contact may be found.
    pub(super) fn reaches(&self, w: &Work<'_>, contact: &Contact) -> Result<Vec<ReachSecret>, Halt> {
        let code = w.get::<CodeReach>(&CodeReach::key_of(&contact.account))?.map(|code| code.reach);
        Ok(contact.reach.into_iter().chain(code).map(ReachSecret::from_bytes).collect())
    }

    /// Peers that may keep a contact's descriptor, and where they listen: those of its link, then those of its passes.
    fn keepers(&self, w: &Work<'_>, contact: &Contact) -> Result<Vec<(String, Vec<String>)>, Halt> {
        let mut keepers: Vec<(String, Vec<String>)> = Vec::new();
        let mut add = |peer: &str, addresses: &[String]| match keepers.iter_mut().find(|(known, _)| known == peer) {
            Some((_, known)) => {
                known.extend(addresses.iter().filter(|a| !known.contains(a)).cloned().collect::<Vec<_>>())
            }
            None => keepers.push((peer.to_owned(), addresses.to_vec())),
        };
        for hint in &contact.hints {
            if let Some((_, peer)) = hint.rsplit_once("/p2p/") {
                add(peer, std::slice::from_ref(hint));
            }
        }
        for device in self.live_devices(w, &contact.account)? {
            for pass in self.held_passes(w, &device)? {
                add(&pass.peer, &pass.addresses);
            }
        }
        keepers.truncate(ASKED_MAX);
        Ok(keepers)
    }
}

fn slots<'a>(contact: &'a Contact, reach: &'a ReachSecret, peer: &'a str) -> impl Iterator<Item = KeptSlot<'a>> {
    FIRST_SLOTS.map(move |slot| KeptSlot { account: &contact.account, reach, peer, slot })
}
