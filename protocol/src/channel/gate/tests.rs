//! Packets of members, of strangers, and of clocks that are wrong.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_123_456);

fn key(n: u8) -> GateKey {
    GateKey::new(Secret::new([n; 32]))
}

#[test]
fn r_gate_1_frame_of_a_holder_is_let_in_by_whichever_of_its_keys() {
    let packet = seal(&key(1), NOW, b"frame").unwrap();
    assert_eq!(packet.len(), 5 + GATE_OVERHEAD);
    assert_eq!(judge(&[key(1)], NOW, &packet), Verdict::Accept { frame: b"frame" });
    assert_eq!(judge(&[key(2), key(1), key(3)], NOW, &packet), Verdict::Accept { frame: b"frame" });
}

#[test]
fn r_gate_1_packet_is_slot_code_and_frame() {
    let packet = seal(&key(1), NOW, b"frame").unwrap();
    let slot = (1_800_000_123_456u64 / 600_000) as u32;
    let code = kdf::hmac(&[1; 32], &[&Transcript::new(label::GATE).u32(slot).field(b"frame").bytes()]);
    assert_eq!(packet, [slot.to_be_bytes().as_slice(), &code.as_bytes()[..16], b"frame"].concat());
}

#[test]
fn r_gate_1_every_bit_is_covered_and_no_other_key_fits() {
    let packet = seal(&key(1), NOW, b"frame").unwrap();
    for bit in 0..packet.len() * 8 {
        let mut bent = packet.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(judge(&[key(1)], NOW, &bent), Verdict::Reject, "bit {bit}");
    }
    assert_eq!(judge(&[key(2)], NOW, &packet), Verdict::Reject);
    assert_eq!(judge(&[key(1)], NOW, &[packet.as_slice(), &[0]].concat()), Verdict::Reject);
    for cut in 0..packet.len() {
        assert_eq!(judge(&[key(1)], NOW, &packet[..cut]), Verdict::Reject, "{cut}");
    }
}

#[test]
fn r_gate_1_frames_have_a_least_and_a_largest_length() {
    let largest = vec![7; CHANNEL_FRAME_MAX];
    let packet = seal(&key(1), NOW, &largest).unwrap();
    assert_eq!(packet.len(), GOSSIP_PACKET_MAX);
    assert_eq!(judge(&[key(1)], NOW, &packet), Verdict::Accept { frame: &largest });
    assert_eq!(seal(&key(1), NOW, &[]), Err(BadFrame));
    assert_eq!(seal(&key(1), NOW, &[7; CHANNEL_FRAME_MAX + 1]), Err(BadFrame));
    assert_eq!(BadFrame.fault(), Fault::Bug);

    // With the right code, which a member can make.
    let forged = |frame: &[u8]| {
        let slot = slot(NOW);
        [slot.to_be_bytes().as_slice(), key(1).mac(&fields(slot, frame)).as_bytes(), frame].concat()
    };
    assert_eq!(forged(b"frame"), seal(&key(1), NOW, b"frame").unwrap());
    assert_eq!(judge(&[key(1)], NOW, &forged(&[])), Verdict::Reject);
    assert_eq!(judge(&[key(1)], NOW, &forged(&[7; CHANNEL_FRAME_MAX + 1])), Verdict::Reject);
}

#[test]
fn r_gate_2_one_slot_early_or_late_is_let_in_and_two_are_ignored() {
    let first = Timestamp::from_millis(NOW.as_millis() / GATE_SLOT_MS * GATE_SLOT_MS);
    let last = first.plus_millis(GATE_SLOT_MS - 1);
    let packet = seal(&key(1), NOW, b"frame").unwrap();
    let (accept, judge_at) = (Verdict::Accept { frame: b"frame" }, |now| judge(&[key(1)], now, &packet));
    assert_eq!(seal(&key(1), first, b"frame"), seal(&key(1), last, b"frame"));
    assert_ne!(seal(&key(1), last, b"frame"), seal(&key(1), last.plus_millis(1), b"frame"));
    for now in [first, last, first.minus_millis(GATE_SLOT_MS), last.plus_millis(GATE_SLOT_MS)] {
        assert_eq!(judge_at(now), accept, "{now:?}");
    }
    for now in [first.minus_millis(GATE_SLOT_MS + 1), last.plus_millis(GATE_SLOT_MS + 1)] {
        assert_eq!(judge_at(now), Verdict::Ignore, "{now:?}");
    }
}

#[test]
fn r_gate_2_clocks_at_the_beginning_and_end_of_time_do_no_harm() {
    let (zero, end) = (Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX));
    let last_slot = Timestamp::from_millis(u64::from(u32::MAX) * GATE_SLOT_MS);
    let (early, late) = (seal(&key(1), zero, b"frame").unwrap(), seal(&key(1), end, b"frame").unwrap());
    assert_eq!((&early[..4], &late[..4]), ([0; 4].as_slice(), [0xff; 4].as_slice()));
    let accept = Verdict::Accept { frame: b"frame" };
    assert_eq!(judge(&[key(1)], zero, &early), accept);
    assert_eq!(judge(&[key(1)], end, &late), accept);
    assert_eq!(judge(&[key(1)], last_slot, &late), accept);
    assert_eq!(judge(&[key(1)], last_slot.minus_millis(1), &late), accept);
    for (now, packet) in [(zero, &late), (end, &early), (NOW, &early), (NOW, &late)] {
        assert_eq!(judge(&[key(1)], now, packet), Verdict::Ignore);
    }
}

#[test]
fn r_gate_3_without_a_key_nothing_is_held_against_anybody_but_a_length_that_none_has() {
    let packet = seal(&key(1), NOW, b"frame").unwrap();
    assert_eq!(judge(&[], NOW, &packet), Verdict::Ignore);
    assert_eq!(judge(&[], NOW, &packet[..GATE_OVERHEAD]), Verdict::Reject);
    assert_eq!(judge(&[], NOW, &vec![0; GOSSIP_PACKET_MAX + 1]), Verdict::Reject);
}

#[test]
fn r_gate_3_wrong_code_is_rejected_whatever_its_slot() {
    let mut packet = seal(&key(2), NOW, b"frame").unwrap();
    for slot in [0u32, u32::MAX] {
        packet[..4].copy_from_slice(&slot.to_be_bytes());
        assert_eq!(judge(&[key(1)], NOW, &packet), Verdict::Reject);
    }
}

#[test]
fn r_crypto_8_debug_of_a_gate_key_prints_its_name_alone() {
    assert_eq!(format!("{:?}", key(1)), "GateKey(..)");
}
