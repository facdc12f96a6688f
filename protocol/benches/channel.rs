//! Measures what a signed channel message of 1 KiB costs beside Megolm (vodozemac), which signs as well:
//! `cargo bench -p kith-protocol --bench channel`.
//!
//! Both run by turns in one process and the least time of many short rounds counts, so that what else the machine does
//! cancels out. Prints each as a ratio to Megolm and fails beyond its bound.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::disallowed_methods)]

use kith_protocol::{
    AccountId, ChannelId, DeviceId, Timestamp,
    channel::{
        Attested, Chain, Context, EpochId, Event, Frame, LineageKeys, MessageHash, OpId, Saying, SenderTree, seal,
    },
    content::Text,
    crypto::{Secret, sign::SigningKey},
    wire::Extensions,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};
use vodozemac::megolm::{GroupSession, InboundGroupSession, MegolmMessage, SessionConfig};

/// Messages in one round: short enough that some rounds are left in peace.
const MESSAGES: u32 = 8;
const ROUNDS: u32 = 3_000;
const TEXT: usize = 1_024;
/// How much more than Megolm sealing and opening may cost.
const SEAL: f64 = 1.0;
const OPEN: f64 = 1.15;

struct Ours {
    lineage: LineageKeys,
    context: Context,
    sending: Chain,
    receiving: Chain,
    key: SigningKey,
    event: Event,
    rng: ChaCha20Rng,
}

impl Ours {
    fn new() -> Self {
        let chain = SenderTree::new(&Secret::new([1; 32]), 50).take(17).unwrap();
        Self {
            lineage: LineageKeys::new(Secret::new([2; 32])),
            context: Context {
                channel: ChannelId::from_bytes([3; 32]),
                epoch: EpochId::from_bytes([4; 32]),
                recipients: [5; 32],
                account: AccountId::from_bytes([6; 32]),
                device: DeviceId::from_bytes([7; 32]),
                generation: 0,
            },
            sending: chain.clone(),
            receiving: chain,
            key: SigningKey::from_seed(&Secret::new([8; 32])),
            event: Event {
                sequence: 1,
                previous: None,
                heads: vec![OpId::from_bytes([9; 32])],
                sent_at: Timestamp::from_millis(1_800_000_000_000),
                expires_after_ms: None,
                saying: Saying::Text {
                    text: Text::new("x".repeat(TEXT)).unwrap(),
                    reply_to: None,
                    mentions: Vec::new(),
                },
                extensions: Extensions::default(),
            },
            rng: ChaCha20Rng::seed_from_u64(1),
        }
    }

    fn seal(&mut self) -> (Vec<u8>, MessageHash, Attested) {
        let (generation, seed) = self.sending.advance();
        let context = Context { generation, ..self.context };
        seal(&self.lineage, 17, &context, &seed, &self.event, &self.key, &mut self.rng).unwrap()
    }

    fn open(&mut self, bytes: &[u8]) -> (Event, MessageHash, Attested) {
        let frame = Frame::decode(bytes).unwrap();
        let generation = frame.header(&self.lineage).unwrap().generation;
        let (after, seed) = self.receiving.seed(generation).unwrap();
        let context = Context { generation, ..self.context };
        let opened = frame.open(&context, &seed, &self.key.public()).unwrap();
        self.receiving = after;
        opened
    }
}

struct Megolm {
    sending: GroupSession,
    receiving: InboundGroupSession,
    text: String,
}

impl Megolm {
    fn new() -> Self {
        let sending = GroupSession::new(SessionConfig::version_1());
        let receiving = InboundGroupSession::new(&sending.session_key(), SessionConfig::version_1());
        Self { sending, receiving, text: "x".repeat(TEXT) }
    }

    fn seal(&mut self) -> Vec<u8> {
        self.sending.encrypt(&self.text).to_bytes()
    }

    fn open(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.receiving.decrypt(&MegolmMessage::from_bytes(bytes).unwrap()).unwrap().plaintext
    }
}

/// Runs something once for each of a round's messages, and keeps the least time; what it gives is kept and wiped outside.
fn least<T, U>(best: &mut Duration, inputs: impl IntoIterator<Item = T>, mut run: impl FnMut(T) -> U) -> Vec<U> {
    let inputs = inputs.into_iter();
    let mut outputs = Vec::with_capacity(MESSAGES as usize);
    let start = Instant::now();
    for input in inputs {
        outputs.push(black_box(run(black_box(input))));
    }
    *best = (*best).min(start.elapsed());
    outputs
}

fn main() -> ExitCode {
    let (mut ours, mut megolm) = (Ours::new(), Megolm::new());
    let [mut seal, mut megolm_seal, mut open, mut megolm_open] = [Duration::MAX; 4];
    let mut sizes = (0, 0);
    for _ in 0..ROUNDS {
        let frames = least(&mut seal, 0..MESSAGES, |_| ours.seal());
        let theirs = least(&mut megolm_seal, 0..MESSAGES, |_| megolm.seal());
        least(&mut open, &frames, |(frame, ..)| ours.open(frame));
        least(&mut megolm_open, &theirs, |message| megolm.open(message));
        sizes = (frames[0].0.len(), theirs[0].len());
    }
    println!("message of {TEXT} B: {} B beside {} B of Megolm", sizes.0, sizes.1);
    let rows = [("seal", seal, megolm_seal, SEAL), ("open", open, megolm_open, OPEN)];
    let mut within = true;
    for (what, ours, anchor, bound) in rows {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(MESSAGES);
        let ratio = each(ours) / each(anchor);
        println!("{what}: {:>5.1} us beside {:>5.1} us: {ratio:.2} of {bound:.2}", each(ours), each(anchor));
        within &= ratio <= bound;
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
