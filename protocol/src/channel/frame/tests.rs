use super::*;
use crate::channel::{
    Chain, NoSeed, SenderTree,
    event::tests::{first, full, text},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

mod commitment;
mod hostile;
mod shape;

pub(in crate::channel) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A device that sends in an epoch of eight senders.
#[derive(Clone)]
pub(in crate::channel) struct Sender {
    pub(in crate::channel) lineage: LineageKeys,
    pub(in crate::channel) place: u32,
    pub(in crate::channel) context: Context,
    pub(in crate::channel) chain: Chain,
    pub(in crate::channel) key: SigningKey,
    pub(in crate::channel) rng: ChaCha20Rng,
}

/// Returns Alice's device in an epoch; another number is another epoch.
pub(in crate::channel) fn alice(epoch: u8) -> Sender {
    sender(epoch, 3)
}

/// Returns the device at a place of an epoch.
pub(in crate::channel) fn sender(epoch: u8, place: u8) -> Sender {
    let mut tree = SenderTree::new(&Secret::new([epoch; 32]), 8);
    Sender {
        lineage: LineageKeys::new(Secret::new([epoch ^ 0x80; 32])),
        place: u32::from(place),
        context: Context {
            channel: ChannelId::from_bytes([1; 32]),
            epoch: EpochId::from_bytes([epoch; 32]),
            recipients: [2; 32],
            account: AccountId::from_bytes([0xa0 + place; 32]),
            device: DeviceId::from_bytes([0xd0 + place; 32]),
            generation: 0,
        },
        chain: tree.take(u32::from(place)).unwrap(),
        key: SigningKey::from_seed(&Secret::new([place; 32])),
        rng: rng(u64::from(epoch)),
    }
}

/// What a sender sealed.
pub(in crate::channel) struct Sealed {
    pub(in crate::channel) bytes: Vec<u8>,
    pub(in crate::channel) hash: MessageHash,
    pub(in crate::channel) attested: Attested,
    context: Context,
    seed: Secret<32>,
}

impl Sealed {
    fn frame(&self) -> Frame {
        Frame::decode(&self.bytes).unwrap()
    }
}

impl Sender {
    fn next(&mut self) -> (Context, Secret<32>) {
        let (generation, seed) = self.chain.advance();
        (Context { generation, ..self.context }, seed)
    }

    pub(in crate::channel) fn seal(&mut self, event: &Event) -> Sealed {
        let (context, seed) = self.next();
        let (bytes, hash, attested) =
            seal(&self.lineage, self.place, &context, &seed, event, &self.key, &mut self.rng).unwrap();
        Sealed { bytes, hash, attested, context, seed }
    }

    fn public(&self) -> VerifyingKey {
        self.key.public()
    }

    /// Seals what the rules forbid: any bytes, at any slot.
    fn forge(&mut self, padded: &[u8], slot: u32) -> (Frame, Context, Secret<32>) {
        let (context, seed) = self.next();
        let padded = Zeroizing::new(padded.to_vec());
        let (attested, associated, _) = Attested::sign(&context, slot, padded, &self.key, &mut self.rng);
        (attested.seal(&self.lineage, self.place, &seed, &associated), context, seed)
    }
}

/// Receives in another's chain as a member does: the chain moves when a message was opened, and only then.
struct Reader {
    lineage: LineageKeys,
    context: Context,
    chain: Chain,
    sender: VerifyingKey,
}

impl Reader {
    fn of(sender: &Sender) -> Self {
        let Sender { lineage, context, chain, .. } = sender.clone();
        Self { lineage, context, chain, sender: sender.public() }
    }

    fn open(&mut self, frame: &Frame) -> Result<Event, Refused> {
        let Header { epoch, sender: _, generation } = frame.header(&self.lineage)?;
        let (after, seed) = self.chain.seed(generation)?;
        let (event, _, _) = frame.open(&Context { epoch, generation, ..self.context }, &seed, &self.sender)?;
        self.chain = after;
        Ok(event)
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Frame(#[from] BadFrame),
    #[error(transparent)]
    Seed(#[from] NoSeed),
}

/// Every field of a context changed, each to another plausible value.
fn other_contexts(context: &Context) -> Vec<(&'static str, Context)> {
    let Context { channel: _, epoch: _, recipients: _, account: _, device: _, generation } = *context;
    vec![
        ("channel", Context { channel: ChannelId::from_bytes([0x77; 32]), ..*context }),
        ("epoch", Context { epoch: EpochId::from_bytes([0x77; 32]), ..*context }),
        ("recipients", Context { recipients: [0x77; 32], ..*context }),
        ("account", Context { account: AccountId::from_bytes([0x77; 32]), ..*context }),
        ("device", Context { device: DeviceId::from_bytes([0x77; 32]), ..*context }),
        ("generation", Context { generation: generation + 1, ..*context }),
    ]
}

#[test]
fn r_chan_1_a_message_opens_where_it_stands_and_says_what_was_said() {
    let mut alice = alice(5);
    for event in [first(text("hello")), full(&"x".repeat(limits::TEXT_MAX))] {
        let sealed = alice.seal(&event);
        let frame = sealed.frame();
        let header = Header { epoch: alice.context.epoch, sender: 3, generation: sealed.context.generation };
        assert_eq!(frame.header(&alice.lineage), Ok(header));
        assert_eq!(frame.slot(), slot_of(event.sent_at));
        let (said, hash, attested) = frame.open(&sealed.context, &sealed.seed, &alice.public()).unwrap();
        assert_eq!((said, hash, &attested), (event.clone(), sealed.hash, &sealed.attested));
        assert_eq!(attested.verify(&alice.public()), Ok((event, hash)));
        assert_eq!(hash.id().as_bytes(), &hash.as_bytes()[..16]);
    }
}

#[test]
fn c05_30_r_chan_1_a_message_moved_to_another_channel_epoch_sender_or_place_is_refused() {
    let mut alice = alice(5);
    let sealed = alice.seal(&first(text("hello")));
    for (what, context) in other_contexts(&sealed.context) {
        let opened = sealed.frame().open(&context, &sealed.seed, &alice.public());
        assert_eq!(opened.err(), Some(BadFrame::NotAuthentic), "{what}");
    }
    // Sealed again there by a member who has both keys, it is not what the sender signed.
    for (what, context) in other_contexts(&sealed.context) {
        let moved = Attested { context, ..sealed.attested.clone() };
        let associated = context.associated(moved.slot, &moved.salt);
        let frame = moved.seal(&alice.lineage, alice.place, &sealed.seed, &associated);
        let frame = Frame::decode(&frame.encode()).unwrap();
        let opened = frame.open(&context, &sealed.seed, &alice.public());
        assert_eq!(opened.err(), Some(BadFrame::BadSignature), "{what}");
    }
    // Slot and salt travel in the open, and are bound as well.
    let open = |frame: Frame| frame.open(&sealed.context, &sealed.seed, &alice.public()).err();
    let slot = sealed.frame().slot;
    assert_eq!(open(Frame { slot: slot + 1, ..sealed.frame() }), Some(BadFrame::NotAuthentic));
    assert_eq!(open(Frame { salt: [0; 16], ..sealed.frame() }), Some(BadFrame::NotAuthentic));
}

#[test]
fn c05_30_headers_of_other_frames_and_lineages_do_not_open_a_body() {
    let (mut alice, bob) = (alice(5), alice(6));
    let (one, two) = (alice.seal(&first(text("one"))), alice.seal(&first(text("two"))));
    let mixed = Frame { header: two.frame().header, ..one.frame() };
    assert_eq!(mixed.header(&alice.lineage), Err(BadFrame::NotAuthentic));
    assert_eq!(one.frame().header(&bob.lineage), Err(BadFrame::NotAuthentic));
    // A member can write any header: the body stays where its sender put it.
    let lie = Header { epoch: alice.context.epoch, sender: 3, generation: 1 };
    let Frame { slot, salt, .. } = one.frame();
    let lied = Frame { header: lie.seal(&alice.lineage, slot, &salt), ..one.frame() };
    assert_eq!(lied.header(&alice.lineage), Ok(lie));
    let opened = lied.open(&two.context, &two.seed, &alice.public());
    assert_eq!(opened.err(), Some(BadFrame::NotAuthentic));
}

#[test]
fn c05_60_a_frame_of_nobodys_is_refused_at_its_size_or_header() {
    let alice = alice(5);
    let mut chance = rng(60);
    for length in [0, 1, 100, 400, 2_000, CHANNEL_FRAME_MAX, CHANNEL_FRAME_MAX + 1] {
        let mut junk = vec![0; length];
        rand_core::Rng::fill_bytes(&mut chance, &mut junk);
        assert!(Frame::decode(&junk).is_err());
    }
    let (mut header, mut body) = (vec![0; HEADER], vec![0; 256 + TRAILER + aead::TAG_LEN]);
    for _ in 0..100 {
        rand_core::Rng::fill_bytes(&mut chance, &mut header);
        rand_core::Rng::fill_bytes(&mut chance, &mut body);
        let frame = Frame { slot: 1, salt: [7; 16], header: header.clone(), body: body.clone() };
        let frame = Frame::decode(&frame.encode()).unwrap();
        assert_eq!(frame.header(&alice.lineage), Err(BadFrame::NotAuthentic));
    }
}

#[test]
fn r_chan_3_a_message_opens_once_and_a_forged_one_leaves_the_chain_as_it_was() {
    let mut alice = alice(5);
    let mut bob = Reader::of(&alice);
    let sealed: Vec<_> = (0..4).map(|n| alice.seal(&first(text(&format!("{n}"))))).collect();
    let forged = Frame { body: sealed[1].frame().body, ..sealed[2].frame() };
    let before = bob.chain.clone();
    assert_eq!(bob.open(&forged), Err(BadFrame::NotAuthentic.into()));
    assert_eq!(bob.chain, before);
    assert!(bob.open(&sealed[2].frame()).is_ok());
    assert_eq!(bob.chain.next(), 3);
    assert_eq!(bob.open(&sealed[2].frame()), Err(NoSeed::Used.into()));
    // Those left out open later, each once.
    for late in [0, 1] {
        assert!(bob.open(&sealed[late].frame()).is_ok());
        assert_eq!(bob.open(&sealed[late].frame()), Err(NoSeed::Used.into()));
    }
    assert!(bob.open(&sealed[3].frame()).is_ok());
    // Nothing is left that opens them: not even the state that was stored.
    let stored = Chain::from_stored(&bob.chain.to_stored());
    assert!((0..4).all(|n| stored.seed(n).is_err()));
}

#[test]
fn c05_46_nothing_that_comes_later_in_a_chain_opens_what_was_sent_before() {
    let mut alice = alice(5);
    let early = alice.seal(&first(text("before they came")));
    let mut later = alice.chain.clone();
    for _ in 0..100 {
        let (_, seed) = later.advance();
        assert!(early.frame().open(&early.context, &seed, &alice.public()).is_err());
    }
}

#[test]
fn c05_42_r_chan_4_a_state_put_back_seals_under_other_keys_and_nonces() {
    let seed = Secret::new([1; 32]);
    let mut keys = std::collections::BTreeSet::new();
    for n in 0..1_000u16 {
        let mut salt = [0; 16];
        salt[..2].copy_from_slice(&n.to_be_bytes());
        let associated = alice(5).context.associated(1, &salt);
        let (key, nonce) = message_key(&seed, &salt, &associated);
        assert!(keys.insert(key.as_bytes().to_vec()) && keys.insert(nonce.to_vec()));
    }
    // The same device, twice at the same place: both open, and under one key the two would differ as their texts do.
    let (mut alice, mut restored) = (alice(5), alice(5));
    restored.rng = rng(42);
    let (one, two) = (alice.seal(&first(text("one"))), restored.seal(&first(text("two"))));
    assert_eq!((one.context, &one.seed), (two.context, &two.seed));
    let xor = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a ^ b).collect::<Vec<_>>();
    let texts = xor(&one.attested.padded, &two.attested.padded);
    assert_ne!(xor(&one.frame().body, &two.frame().body)[..texts.len()], texts);
    for sealed in [&one, &two] {
        assert!(sealed.frame().open(&sealed.context, &sealed.seed, &alice.public()).is_ok());
    }
}

#[test]
fn r_chan_6_a_message_signed_again_is_the_same_message_and_any_other_has_another_name() {
    let mut alice = alice(5);
    let sealed = alice.seal(&first(text("hello")));
    let (_, hash) = Attested { signature: Signature([0; 64]), ..sealed.attested.clone() }.named();
    assert_eq!(hash, sealed.hash);
    let mut names = std::collections::BTreeSet::from([sealed.hash]);
    for (what, context) in other_contexts(&sealed.context) {
        assert!(names.insert(Attested { context, ..sealed.attested.clone() }.named().1), "{what}");
    }
    let mut other = |change: fn(&mut Attested)| {
        let mut attested = sealed.attested.clone();
        change(&mut attested);
        assert!(names.insert(attested.named().1));
    };
    other(|a| a.slot += 1);
    other(|a| a.salt[0] ^= 1);
    other(|a| a.com_key[0] ^= 1);
    other(|a| a.padded[10] ^= 1);
}

impl Attested {
    fn named(&self) -> (Vec<u8>, MessageHash) {
        let signed = signed(&self.context.associated(self.slot, &self.salt), &self.com_key, &self.padded);
        let hash = hash_of(&signed);
        (signed, hash)
    }
}

#[test]
fn what_cannot_be_opened_is_not_sealed() {
    let alice = alice(5);
    let seal = |event: &Event| {
        seal(&alice.lineage, 3, &alice.context, &Secret::new([1; 32]), event, &alice.key, &mut rng(1)).map(|_| ())
    };
    assert_eq!(seal(&first(text("hi"))), Ok(()));
    let bad = Event { sequence: 0, ..first(text("hi")) };
    let error = seal(&bad).unwrap_err();
    assert_eq!((error, error.fault()), (BadFrame::BadEvent(wire::Error::OutOfBounds), Fault::Local));
}

#[test]
fn debug_shows_no_byte_of_a_message() {
    let mut alice = alice(5);
    let sealed = alice.seal(&first(text("hello")));
    let shown = format!("{:?}", sealed.attested);
    assert!(shown.starts_with("Attested(Context") && !shown.contains("salt") && !shown.contains("padded"), "{shown}");
}
