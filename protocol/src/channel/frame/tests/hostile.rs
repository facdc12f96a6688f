//! Frames bent on the way, and frames made by members who hold the keys and lie.

use super::*;
use crate::wire::mutate_test::every_field_altered;

/// Reads a frame as the reader of the sealed one does.
fn read(sealed: &Sealed, alice: &Sender, bytes: &[u8]) -> Result<(Header, Event), BadFrame> {
    let frame = Frame::decode(bytes)?;
    let header = frame.header(&alice.lineage)?;
    let (event, _, _) = frame.open(&sealed.context, &sealed.seed, &alice.public())?;
    Ok((header, event))
}

#[test]
fn a_frame_with_any_bit_altered_or_cut_short_is_refused() {
    let mut alice = alice(5);
    let sealed = alice.seal(&first(text("hello")));
    assert!(read(&sealed, &alice, &sealed.bytes).is_ok());
    for bit in 0..sealed.bytes.len() * 8 {
        let mut bent = sealed.bytes.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&sealed, &alice, &bent).is_err(), "bit {bit}");
    }
    for cut in 0..sealed.bytes.len() {
        assert!(read(&sealed, &alice, &sealed.bytes[..cut]).is_err(), "cut at {cut}");
    }
    for altered in every_field_altered(&sealed.bytes) {
        assert!(read(&sealed, &alice, &altered.bytes).is_err(), "{}", altered.what);
    }
    assert!(read(&sealed, &alice, &[sealed.bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn every_field_of_an_event_altered_and_rightly_signed_is_what_it_says_or_refused() {
    let mut alice = alice(5);
    let event = full("hello");
    let (mut taken, mut refused) = (0, 0);
    for altered in every_field_altered(&event.encode().unwrap()) {
        let padded = padding::pad(&altered.bytes).unwrap();
        let (frame, context, seed) = alice.forge(&padded, slot_of(event.sent_at));
        let frame = Frame::decode(&frame.encode()).unwrap();
        match frame.open(&context, &seed, &alice.public()) {
            Ok((said, _, _)) => {
                assert_eq!(said.encode().unwrap().as_slice(), altered.bytes, "{}", altered.what);
                assert_ne!(said, event, "{}", altered.what);
                taken += 1;
            }
            Err(BadFrame::Wire(_)) => refused += 1,
            Err(error) => panic!("{}: {error}", altered.what),
        }
    }
    assert!(taken > 5 && refused > 20, "{taken} taken, {refused} refused");
}

#[test]
fn r_chan_5_a_message_signed_by_another_device_is_refused() {
    let (mut alice, mallory) = (alice(5), sender(5, 4));
    let event = first(text("alice never said this"));
    // Mallory has the epoch, so Alice's seeds as well.
    let (context, seed) = alice.next();
    let (bytes, _, attested) =
        seal(&mallory.lineage, alice.place, &context, &seed, &event, &mallory.key, &mut rng(1)).unwrap();
    let frame = Frame::decode(&bytes).unwrap();
    assert_eq!(frame.header(&alice.lineage).unwrap().sender, alice.place);
    assert_eq!(frame.open(&context, &seed, &alice.public()).err(), Some(BadFrame::BadSignature));
    assert_eq!(attested.verify(&alice.public()), Err(BadFrame::BadSignature));
    // Nor does a signature made for another purpose count.
    let associated = context.associated(attested.slot, &attested.salt);
    let signature = alice.key.sign(label::CHANNEL_OP, &signed(&associated, &attested.com_key, &attested.padded));
    let borrowed = Attested { signature, ..attested };
    assert_eq!(borrowed.verify(&alice.public()), Err(BadFrame::BadSignature));
}

#[test]
fn r_chan_8_a_slot_that_is_not_the_events_time_is_refused() {
    let mut alice = alice(5);
    let event = first(text("hello"));
    let (padded, slot) = (padding::pad(&event.encode().unwrap()).unwrap(), slot_of(event.sent_at));
    for (lie, fine) in [(slot, true), (slot - 1, false), (slot + 1, false), (0, false), (u32::MAX, false)] {
        let (frame, context, seed) = alice.forge(&padded, lie);
        let opened = frame.open(&context, &seed, &alice.public());
        assert_eq!(opened.err(), (!fine).then_some(BadFrame::Wire(wire::Error::OutOfBounds)), "{lie}");
    }
    for (ms, slot) in [(0, 0), (599_999, 0), (600_000, 1), (u64::MAX, u32::MAX)] {
        assert_eq!(slot_of(Timestamp::from_millis(ms)), slot);
    }
}

#[test]
fn padding_of_another_form_is_refused_although_it_is_rightly_signed() {
    let mut alice = alice(5);
    let event = first(text("hello"));
    let padded = padding::pad(&event.encode().unwrap()).unwrap();
    let slot = slot_of(event.sent_at);
    let mut dirty = padded.to_vec();
    *dirty.last_mut().unwrap() = 1;
    let larger = [padded.as_slice(), &[0; 256]].concat();
    for bent in [dirty, larger, vec![0xff; 256]] {
        let (frame, context, seed) = alice.forge(&bent, slot);
        assert_eq!(frame.open(&context, &seed, &alice.public()).err(), Some(wire::Error::NotCanonical.into()));
    }
    // Lengths that are none of the buckets' do not even decode.
    for length in [0, 1, 255, 257, 300, 513, 65_535] {
        let (frame, ..) = alice.forge(&vec![0; length], slot);
        assert_eq!(Frame::decode(&frame.encode()), Err(wire::Error::OutOfBounds.into()), "{length}");
    }
    for length in [0, HEADER - 1, HEADER + 1] {
        let (frame, ..) = alice.forge(&padded, slot);
        let frame = Frame { header: vec![1; length], ..frame };
        let error = wire::Error::FieldLength { expected: HEADER };
        assert_eq!(Frame::decode(&frame.encode()), Err(error.into()), "{length}");
    }
}

#[test]
fn r_chan_5_a_kept_message_proves_what_was_said_and_altered_in_any_field_nothing() {
    let mut alice = alice(5);
    let sealed = alice.seal(&full("hello"));
    let bytes = sealed.attested.encode();
    let channel = sealed.context.channel;
    let kept = Attested::decode(channel, &bytes).unwrap();
    assert_eq!(kept, sealed.attested);
    assert_eq!(kept.verify(&alice.public()), Ok((full("hello"), sealed.hash)));
    assert_eq!(kept.context(), &sealed.context);
    let proves = |bytes: &[u8]| Attested::decode(channel, bytes).is_ok_and(|a| a.verify(&alice.public()).is_ok());
    assert!(proves(&bytes));
    for altered in every_field_altered(&bytes) {
        assert!(!proves(&altered.bytes), "{}", altered.what);
    }
    for bit in 0..bytes.len() * 8 {
        let mut bent = bytes.to_vec();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(!proves(&bent), "bit {bit}");
    }
    assert!((0..bytes.len()).all(|cut| !proves(&bytes[..cut])));
    let elsewhere = Attested::decode(ChannelId::from_bytes([0x77; 32]), &bytes).unwrap();
    assert_eq!(elsewhere.verify(&alice.public()), Err(BadFrame::BadSignature));
    assert_eq!(kept.verify(&sender(5, 4).public()), Err(BadFrame::BadSignature));
}

#[test]
fn the_largest_message_fits_a_frame_and_a_kept_row() {
    let mut alice = alice(5);
    let sealed = alice.seal(&full(&"x".repeat(limits::TEXT_MAX)));
    assert!(sealed.bytes.len() <= CHANNEL_FRAME_MAX && sealed.attested.encode().len() <= limits::ATTESTED_MAX);
    assert!(Attested::decode(sealed.context.channel, &sealed.attested.encode()).is_ok());
    let over = vec![0; CHANNEL_FRAME_MAX + 1];
    assert_eq!(Frame::decode(&over), Err(wire::Error::TooLarge { max: CHANNEL_FRAME_MAX }.into()));
}
