//! Two parties under random loss, reordering, duplication, replay, damage, crashes, restarts and old copies put back.
//! A failure names its seed; `KITH_CASES` sets how many runs there are (1000 without it), `KITH_SEED` runs one alone.

use super::*;
use rand_core::Rng;

/// One side: its device, and what it has shown, which a put-back copy forgets with everything else.
#[derive(Clone)]
struct Side {
    person: Person,
    shown: BTreeSet<String>,
    repaired: Timestamp,
}

struct Flying {
    to: usize,
    body: EnvelopeBody,
}

/// One run.
struct Run {
    seed: u64,
    chance: ChaCha20Rng,
    /// Whether anything but order is disturbed.
    rough: bool,
    sides: [Side; 2],
    copies: [Option<Side>; 2],
    flying: Vec<Flying>,
    past: Vec<(usize, EnvelopeBody)>,
    sent: [BTreeSet<String>; 2],
    counts: Counts,
}

/// What happened over all runs, so that a run in which nothing happens cannot pass for one.
#[derive(Debug, Default)]
struct Counts {
    sealed: usize,
    opened: usize,
    duplicates: usize,
    refused: usize,
    repairs: usize,
    put_back: usize,
    pq_steps: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut chance = rng(seed);
        let names = [(seed % 100) as u8 * 2, (seed % 100) as u8 * 2 + 1];
        let side = |name: u8, chance: &mut ChaCha20Rng| {
            let mut person = Person::new(name);
            person.rng = rng(chance.next_u64());
            Side { person, shown: BTreeSet::new(), repaired: Timestamp::from_millis(0) }
        };
        Self {
            seed,
            rough: !seed.is_multiple_of(4),
            sides: [side(names[0], &mut chance), side(names[1], &mut chance)],
            chance,
            copies: [None, None],
            flying: Vec::new(),
            past: Vec::new(),
            sent: [BTreeSet::new(), BTreeSet::new()],
            counts: Counts::default(),
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.chance.next_u32() as usize % n
    }

    /// True in `percent` of the cases, in rough runs alone.
    fn rough(&mut self, percent: usize) -> bool {
        let hit = self.below(100) < percent;
        self.rough && hit
    }

    fn run(mut self) -> Counts {
        hooks::take_sealings();
        for _ in 0..40 {
            let who = self.below(2);
            match self.below(20) {
                0..=6 => self.send(who),
                7..=13 => self.deliver_any(),
                14 => self.replay(),
                15 => self.pass_time(),
                16 => self.sides[who].person.restart(),
                17 => self.copies[who] = Some(self.sides[who].clone()),
                18 => self.put_back(who),
                _ => self.burst(who),
            }
        }
        self.settle();
        let (sealings, repeated) = hooks::take_sealings();
        assert_eq!(repeated, 0, "seed {}: a key and nonce sealed twice", self.seed);
        assert!(sealings >= self.counts.sealed, "seed {}", self.seed);
        let lists = self.sides.iter().flat_map(|s| s.person.sessions.values());
        self.counts.pq_steps = lists.flat_map(|s| &s.list).map(|s| s.pq.steps).sum();
        self.counts
    }

    /// Seals one text, unless the process dies before the commit.
    fn send(&mut self, who: usize) {
        let text = format!("{who}-{}", self.sent[who].len());
        let peer = self.sides[1 - who].person.clone();
        if self.rough(8) {
            // Sealed, then lost with the process: another text is sealed from the same state.
            let mut lost = self.sides[who].person.clone();
            lost.send(&peer, "never leaves");
            self.sides[who].person.rng = lost.rng;
        }
        let before = self.sides[who].person.clone();
        let body = self.sides[who].person.send(&peer, &text);
        self.check_deletion(who, &before);
        self.counts.sealed += 1;
        self.sent[who].insert(text);
        self.launch(1 - who, body);
    }

    fn launch(&mut self, to: usize, body: EnvelopeBody) {
        self.past.push((to, body.clone()));
        if self.below(100) < 15 {
            self.flying.push(Flying { to, body: body.clone() });
        }
        if !self.rough(20) {
            self.flying.push(Flying { to, body });
        }
    }

    /// Many in a row, so that a rekey comes due.
    fn burst(&mut self, who: usize) {
        for _ in 0..20 {
            self.send(who);
        }
    }

    fn deliver_any(&mut self) {
        if self.flying.is_empty() {
            return;
        }
        let at = self.below(self.flying.len());
        let Flying { to, body } = self.flying.swap_remove(at);
        if self.rough(8) {
            // Opened, then lost with the process before the commit: it comes again.
            let opened = self.sides[to].person.clone().open(&self.sides[1 - to].person, &body);
            drop(opened);
            self.flying.push(Flying { to, body });
            return;
        }
        if self.rough(10) {
            let mut bent = body.clone();
            let (EnvelopeBody::Initial(bytes) | EnvelopeBody::Ratchet(bytes)) = &mut bent;
            let bit = self.chance.next_u32() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            self.open(to, &bent);
        }
        self.open(to, &body);
    }

    fn replay(&mut self) {
        if !self.past.is_empty() {
            let at = self.below(self.past.len());
            let (to, body) = self.past[at].clone();
            self.open(to, &body);
        }
    }

    /// Opens and commits; an error moves nothing (`Person::open` compares), and may lead to a repair.
    fn open(&mut self, to: usize, body: &EnvelopeBody) -> bool {
        let peer = self.sides[1 - to].person.clone();
        let before = self.sides[to].person.clone();
        match self.sides[to].person.open(&peer, body) {
            Ok(text) => {
                self.check_deletion(to, &before);
                let context = format!("seed {}: {text}", self.seed);
                assert!(self.sent[1 - to].contains(&text), "{context} was never sent");
                assert!(self.sides[to].shown.insert(text), "{context} was opened twice");
                self.counts.opened += 1;
                true
            }
            Err(open::Error::Duplicate) => {
                self.counts.duplicates += 1;
                false
            }
            Err(error) => {
                assert!(self.rough, "seed {}: {error} although only the order was disturbed", self.seed);
                self.counts.refused += 1;
                if error.calls_for_repair() {
                    self.repair(to);
                }
                false
            }
        }
    }

    /// Says "cannot open" in a fresh handshake, at most once an hour.
    fn repair(&mut self, who: usize) {
        let now = self.sides[who].person.now;
        if now.millis_since(self.sides[who].repaired) < crate::limits::CANNOT_OPEN_INTERVAL_MS {
            return;
        }
        self.sides[who].repaired = now;
        let text = format!("repair {who}-{}", self.sent[who].len());
        let peer = self.sides[1 - who].person.clone();
        let body = self.sides[who].person.initiate(&peer, &text);
        self.sent[who].insert(text);
        self.counts.repairs += 1;
        self.launch(1 - who, body);
    }

    /// Hours, or days enough for a rekey; where nothing may be lost, not so many that skipped keys lapse.
    fn pass_time(&mut self) {
        let ms = [1, 1000, DAY_MS / 12, 8 * DAY_MS][self.below(4)];
        let passed = self.sides[0].person.now.plus_millis(ms).millis_since(START);
        if !self.rough && passed >= crate::limits::SKIPPED_KEY_MS {
            return;
        }
        for side in &mut self.sides {
            side.person.now = side.person.now.plus_millis(ms);
        }
    }

    /// Puts an old copy of everything stored back; chance and clock are not stored.
    fn put_back(&mut self, who: usize) {
        if !self.rough(60) {
            return;
        }
        if let Some(mut copy) = self.copies[who].clone() {
            copy.person.rng = rng(self.chance.next_u64());
            copy.person.now = self.sides[who].person.now;
            self.sides[who] = copy;
            self.counts.put_back += 1;
        }
    }

    /// Checks that what a commit made useless is gone from the stored bytes; one commit in four, for it is the slow part.
    fn check_deletion(&mut self, who: usize, before: &Person) {
        if self.below(4) != 0 {
            return;
        }
        let after = &self.sides[who].person;
        let state = after.state();
        for sessions in before.sessions.values() {
            for old in &sessions.list {
                let lists = after.sessions.values().flat_map(|s| &s.list);
                let Some(new) = lists.into_iter().find(|s| s.id == old.id) else { continue };
                for secret in dead(old, new) {
                    assert!(!state.windows(32).any(|w| w == secret), "seed {}: a dead key is stored", self.seed);
                }
            }
        }
    }

    /// Everything that still flies arrives; then both talk until they find each other.
    fn settle(&mut self) {
        while !self.flying.is_empty() {
            let at = self.below(self.flying.len());
            let Flying { to, body } = self.flying.swap_remove(at);
            self.open(to, &body);
        }
        if !self.rough {
            for who in 0..2 {
                assert_eq!(self.sides[1 - who].shown, self.sent[who], "seed {}: something was lost", self.seed);
            }
        }
        for round in 0..5 {
            for side in &mut self.sides {
                side.person.now = side.person.now.plus_millis(crate::limits::CANNOT_OPEN_INTERVAL_MS);
            }
            let arrived = [0, 1].map(|who| self.talk(who));
            let [a, b] = &self.sides;
            let in_use = [a.person.session_in_use(&b.person), b.person.session_in_use(&a.person)];
            if arrived == [true, true] && in_use[0] == in_use[1] {
                assert!(self.rough || round <= 1, "seed {}: {round} rounds to agree", self.seed);
                return;
            }
        }
        panic!("seed {}: the two never found each other again", self.seed);
    }

    /// Sends one message that surely arrives, and whatever repair it causes.
    fn talk(&mut self, who: usize) -> bool {
        let text = format!("{who}-{} at last", self.sent[who].len());
        let peer = self.sides[1 - who].person.clone();
        let body = self.sides[who].person.send(&peer, &text);
        self.sent[who].insert(text);
        let arrived = self.open(1 - who, &body);
        while let Some(Flying { to, body }) = self.flying.pop() {
            self.open(to, &body);
        }
        arrived
    }
}

/// Lists the secrets of a session that its next state has no use for.
fn dead(old: &ratchet::Session, new: &ratchet::Session) -> Vec<[u8; 32]> {
    let mut dead = Vec::new();
    if old.root != new.root {
        dead.push(*old.root.as_bytes());
    }
    let sending = |s: &ratchet::Session| match &s.turn {
        ratchet::Turn::Theirs(chain) => Some((*chain.key.as_bytes(), *chain.secret.to_bytes().as_bytes())),
        ratchet::Turn::Ours { .. } => None,
    };
    if let Some((key, secret)) = sending(old) {
        let now = sending(new);
        dead.extend((now.as_ref().map(|n| n.0) != Some(key)).then_some(key));
        dead.extend((now.map(|n| n.1) != Some(secret)).then_some(secret));
    }
    let receiving = |s: &ratchet::Session| s.receiving.as_ref().map(|c| *c.key.as_bytes());
    dead.extend(receiving(old).filter(|key| receiving(new) != Some(*key)));
    dead
}

#[test]
fn two_parties_under_any_disturbance_reuse_no_key_show_nothing_twice_and_find_each_other() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let cases = number("KITH_CASES").unwrap_or(1000);
    let seeds = number("KITH_SEED").map_or(0..cases, |seed| seed..seed + 1);
    let alone = seeds.end - seeds.start < 100;
    let mut total = Counts::default();
    for seed in seeds {
        let counts = Run::new(seed).run();
        total.sealed += counts.sealed;
        total.opened += counts.opened;
        total.duplicates += counts.duplicates;
        total.refused += counts.refused;
        total.repairs += counts.repairs;
        total.put_back += counts.put_back;
        total.pq_steps += counts.pq_steps;
    }
    println!("{total:?}");
    // Everything that a run is about must have happened.
    let happened = [total.opened, total.duplicates, total.refused, total.repairs, total.put_back];
    assert!(alone || (happened.iter().all(|n| *n > 50) && total.pq_steps > 50), "{total:?}");
}
