//! Who is connected and has proven whose mailbox: they are woken. Holds for connections alone, never on disk.

use crate::net::PeerName;
use kith_protocol::MailboxId;
use std::collections::HashMap;

/// Peers that are remembered: more are served, but not woken.
const PEERS_MAX: usize = 8_192;
/// Mailboxes remembered for one peer: some profiles on one node.
const MAILBOXES_PER_PEER: usize = 8;
/// Peers remembered for one mailbox: connections that died unnoticed, and the living one.
const PEERS_PER_MAILBOX: usize = 4;

/// Mailboxes and the connected peers of their owners.
#[derive(Debug, Default)]
pub(super) struct Owners {
    peers: HashMap<PeerName, Vec<MailboxId>>,
    mailboxes: HashMap<MailboxId, Vec<PeerName>>,
}

impl Owners {
    /// Notes that a peer has proven a mailbox; says whether it is the peer's first.
    pub(super) fn note(&mut self, peer: &PeerName, mailbox: MailboxId) -> bool {
        let new = !self.peers.contains_key(peer);
        if new && self.peers.len() >= PEERS_MAX {
            return false;
        }
        let own = self.peers.entry(peer.clone()).or_default();
        if own.contains(&mailbox) {
            return false;
        }
        let dropped = if own.len() >= MAILBOXES_PER_PEER { Some(own.remove(0)) } else { None };
        own.push(mailbox);
        if let Some(dropped) = dropped {
            self.unlink(peer, &dropped);
        }
        let peers = self.mailboxes.entry(mailbox).or_default();
        let oldest = if peers.len() >= PEERS_PER_MAILBOX { Some(peers.remove(0)) } else { None };
        peers.push(peer.clone());
        if let Some(own) = oldest.and_then(|oldest| self.peers.get_mut(&oldest)) {
            own.retain(|known| *known != mailbox);
        }
        new
    }

    /// Says whether a peer has proven a mailbox.
    pub(super) fn knows(&self, peer: &PeerName) -> bool {
        self.peers.contains_key(peer)
    }

    /// The connected peers of a mailbox's owner.
    pub(super) fn of(&self, mailbox: &MailboxId) -> &[PeerName] {
        self.mailboxes.get(mailbox).map_or(&[], Vec::as_slice)
    }

    /// Forgets a peer that is gone.
    pub(super) fn gone(&mut self, peer: &PeerName) {
        for mailbox in self.peers.remove(peer).unwrap_or_default() {
            self.unlink(peer, &mailbox);
        }
    }

    /// Peers that are remembered.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    fn unlink(&mut self, peer: &PeerName, mailbox: &MailboxId) {
        if let Some(peers) = self.mailboxes.get_mut(mailbox) {
            peers.retain(|known| known != peer);
            if peers.is_empty() {
                self.mailboxes.remove(mailbox);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> PeerName {
        PeerName(format!("peer {n}"))
    }

    fn mailbox(n: u8) -> MailboxId {
        MailboxId::from_bytes([n; 32])
    }

    #[test]
    fn who_is_gone_is_forgotten_and_everything_is_bounded() {
        let mut owners = Owners::default();
        assert!(owners.note(&peer(1), mailbox(1)));
        assert!(!owners.note(&peer(1), mailbox(1)) && !owners.note(&peer(1), mailbox(2)));
        assert!(owners.note(&peer(2), mailbox(1)));
        assert_eq!(owners.of(&mailbox(1)), [peer(1), peer(2)]);
        owners.gone(&peer(1));
        assert_eq!((owners.of(&mailbox(1)), owners.of(&mailbox(2))), ([peer(2)].as_slice(), [].as_slice()));
        for n in 0..200 {
            owners.note(&peer(7), mailbox(n));
        }
        assert_eq!(owners.mailboxes.len(), MAILBOXES_PER_PEER + 1);
        for n in 0..20_000 {
            owners.note(&peer(n), mailbox(250));
        }
        assert_eq!((owners.of(&mailbox(250)).len(), owners.len()), (PEERS_PER_MAILBOX, PEERS_MAX));
        (0..20_000).for_each(|n| owners.gone(&peer(n)));
        assert!(owners.peers.is_empty() && owners.mailboxes.is_empty());
    }
}
