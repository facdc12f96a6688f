//! What a frame shows to those who only carry it.

use super::*;
use std::collections::BTreeSet;

/// Bytes that are the same in every frame of one slot: the tags of version and slot, the two, and the tag of the salt.
const OPEN: usize = 9;
/// So many equal bytes in two frames are no accident.
const WINDOW: usize = 8;

#[test]
fn c05_62_r_chan_7_two_frames_of_one_sender_have_nothing_in_common_but_version_and_slot() {
    let mut alice = alice(5);
    let frames: Vec<_> = (0..200).map(|_| alice.seal(&first(text("hello hello hello hello"))).bytes).collect();
    let mut seen = BTreeSet::new();
    for frame in &frames {
        assert_eq!(frame[..OPEN], frames[0][..OPEN]);
        for window in frame[OPEN..].windows(WINDOW) {
            assert!(seen.insert(window.to_vec()), "{window:02x?} came before");
        }
    }
    // Nothing of who, where and what stands in the open.
    let Context { channel, epoch, recipients, account, device, generation: _ } = alice.context;
    let public = alice.public();
    let [channel, epoch, account, device] =
        [channel.as_bytes(), epoch.as_bytes(), account.as_bytes(), device.as_bytes()];
    for known in [channel, epoch, &recipients, account, device, public.as_bytes(), b"hello hello".as_slice()] {
        assert!(known.windows(WINDOW).all(|w| !seen.contains(w)));
    }
}

#[test]
fn c05_62_the_search_for_common_bytes_finds_some() {
    // Two frames whose salt is the same have the same header.
    let (mut alice, mut again) = (alice(5), alice(5));
    let (one, two) = (alice.seal(&first(text("one"))).bytes, again.seal(&first(text("two"))).bytes);
    let windows: BTreeSet<_> = one[OPEN..].windows(WINDOW).collect();
    assert!(one != two && two[OPEN..].windows(WINDOW).any(|w| windows.contains(w)));
}

#[test]
fn c05_62_r_chan_7_a_frames_length_is_one_of_nine_whatever_it_says() {
    let mut alice = alice(5);
    let lengths: BTreeSet<_> = (1..=limits::TEXT_MAX)
        .step_by(61)
        .chain([limits::TEXT_MAX])
        .map(|n| alice.seal(&first(text(&"x".repeat(n)))).bytes.len())
        .collect();
    assert!(lengths.len() <= 9, "{lengths:?}");
    // Epoch, sender and generation do not show in it either.
    let near = alice.seal(&first(text("hi"))).bytes.len();
    alice.place = u32::MAX;
    alice.context.epoch = EpochId::from_bytes([0xff; 32]);
    for _ in 0..300 {
        assert_eq!(alice.seal(&first(text("hi"))).bytes.len(), near);
    }
}
