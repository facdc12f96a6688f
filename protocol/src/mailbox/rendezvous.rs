//! In which order a sender tries the relays of a device: weighted rendezvous hashing, so that senders spread over them,
//! each keeps to its own two, and one that goes away moves only its share. Must not know how a relay behaved.

use crate::{DeviceId, MailboxId, RelayId, crypto::label, wire::Transcript};
use std::cmp::Ordering;

/// Sorts relays for one sender and mailbox, best first. A weight is 1 for a relay that keeps its word, less for one that
/// does not; 0 puts it last.
pub fn order_relays(sender: &DeviceId, relays: &mut [(RelayId, MailboxId, f64)]) {
    relays
        .sort_by(|a, b| score(sender, b).partial_cmp(&score(sender, a)).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0)));
}

/// −weight / ln(h) with h uniform in (0, 1): the highest of several falls on each in proportion to its weight
/// (Thaler and Ravishankar's highest random weight, in the form of Schindelhauer and Schomaker).
fn score(sender: &DeviceId, (relay, mailbox, weight): &(RelayId, MailboxId, f64)) -> f64 {
    let hash = Transcript::new(label::RENDEZVOUS)
        .field(sender.as_bytes())
        .field(relay.as_bytes())
        .field(mailbox.as_bytes())
        .sha256();
    let top = hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes) >> 11);
    // 53 bits, moved by a half so that neither 0 nor 1 comes out.
    let h = (top as f64 + 0.5) / (1u64 << 53) as f64;
    -weight.max(0.0) / h.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relays(weights: &[f64]) -> Vec<(RelayId, MailboxId, f64)> {
        (0..).zip(weights).map(|(n, w)| (RelayId::from_bytes([n; 32]), MailboxId::from_bytes([9; 32]), *w)).collect()
    }

    #[test]
    fn senders_spread_by_weight_and_one_that_goes_moves_only_its_share() {
        let mut first = [0u32; 3];
        for n in 0..3000u32 {
            let sender = DeviceId::from_bytes(*Transcript::new("kith/v1/test").u32(n).sha256().first_chunk().unwrap());
            let mut all = relays(&[1.0, 1.0, 2.0]);
            order_relays(&sender, &mut all);
            let best = all[0].0;
            first[best.as_bytes()[0] as usize] += 1;
            let mut fewer: Vec<_> = relays(&[1.0, 1.0, 2.0]).into_iter().filter(|r| r.0 != all[2].0).collect();
            order_relays(&sender, &mut fewer);
            assert_eq!(fewer[0].0, best, "the loss of another relay moves nobody");
        }
        assert!((600..900).contains(&first[0]) && (600..900).contains(&first[1]), "{first:?}");
        assert!((1350..1650).contains(&first[2]), "{first:?}");
    }

    #[test]
    fn one_without_weight_comes_last() {
        let mut all = relays(&[0.0, 1.0, 0.001]);
        order_relays(&DeviceId::from_bytes([3; 32]), &mut all);
        assert_eq!(all[2].0, RelayId::from_bytes([0; 32]));
    }
}
