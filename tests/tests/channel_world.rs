//! Whole channels in a bad world: loss, partitions and power cuts while people speak, come, go and make keys anew. When it
//! ends, everybody who belongs has everything that was taken, once, nobody else has anything, and all agree on one state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::app::Command;
use kith_protocol::{AccountId, ChannelId};
use kith_tests::{
    count,
    world::{Weather, World},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::collections::BTreeSet;

/// What was said: by whom, who belonged as its author saw it, and under which text.
struct Said {
    by: usize,
    to: Vec<AccountId>,
    text: String,
}

/// What one seed did.
#[derive(Default)]
struct Counts {
    people: usize,
    messages: usize,
    changes: usize,
    partitions: usize,
    crashes: usize,
    healed_ms: u64,
}

struct Play {
    world: World,
    rng: ChaCha20Rng,
    channel: ChannelId,
    code: String,
    /// Whoever was put out; nobody of them comes back.
    out: BTreeSet<usize>,
    asked: BTreeSet<usize>,
    said: Vec<Said>,
    counts: Counts,
}

impl Play {
    fn begin(seed: u64, people: usize) -> Self {
        let mut world = World::new(seed, people, Weather::fine());
        world.run_for(5_000);
        let channel = world.make_channel(0, "circle");
        let code = world.invite(0, channel, 500, "member");
        let first = (people / 2).max(2).min(people);
        for who in 1..first {
            world.join(who, &code);
            world.run_for(2_000);
        }
        world.run_for(60_000);
        for who in 0..first {
            assert!(world.channel(who, &channel).is_some(), "{who} is not in");
        }
        let rng = ChaCha20Rng::seed_from_u64(seed ^ 0x77);
        let counts = Counts { people, ..Counts::default() };
        let asked = (0..first).collect();
        Self { world, rng, channel, code, out: BTreeSet::new(), asked, said: Vec::new(), counts }
    }

    fn chance(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end
    }

    fn someone(&mut self) -> Option<usize> {
        let people = self.counts.people as u64;
        let who = self.chance(people) as usize;
        let up = self.world.people[who].is_up() && !self.out.contains(&who) && self.asked.contains(&who);
        (up && self.world.channel(who, &self.channel).is_some()).then_some(who)
    }

    fn say(&mut self) {
        let Some(by) = self.someone() else { return };
        let text = format!("{}", self.said.len());
        let to = self.world.in_channel(by, &self.channel);
        self.world.say(by, self.channel, &text);
        // Refused while keys are on their way: then nothing was taken.
        if self.world.heard(by, &self.channel).contains(&text) {
            self.said.push(Said { by, to, text });
        }
    }

    fn change(&mut self) {
        let channel = self.channel;
        match self.chance(10) {
            0..=3 => {
                let next = (0..self.counts.people).find(|who| !self.asked.contains(who));
                let Some(who) = next.filter(|who| self.world.people[*who].is_up()) else { return };
                let code = self.code.clone();
                self.world.join(who, &code);
                self.asked.insert(who);
            }
            4..=5 => {
                let who = self.chance(self.counts.people as u64) as usize;
                if who == 0 || self.out.contains(&who) || !self.asked.contains(&who) || !self.world.people[0].is_up() {
                    return;
                }
                let account = self.world.people[who].account();
                if self.out.len() * 4 < self.counts.people && self.world.in_channel(0, &channel).contains(&account) {
                    let ban = self.chance(2) == 0;
                    self.world.act(0, Command::MemberRemove { channel, account, ban, reason: String::new() });
                    self.out.insert(who);
                }
            }
            6..=7 => {
                let Some(by) = self.someone() else { return };
                let emergency = by == 0 && self.chance(4) == 0;
                self.world.act(by, Command::ChannelRekey { channel, emergency });
            }
            _ => {
                let who = self.chance(self.counts.people as u64) as usize;
                let account = self.world.people[who].account();
                if who == 0 || !self.world.people[0].is_up() || !self.world.in_channel(0, &channel).contains(&account) {
                    return;
                }
                let (role, give) = ("moderator".to_owned(), self.chance(2) == 0);
                self.world.act(0, Command::MemberRole { channel, account, role, give, for_ms: None });
            }
        }
        self.counts.changes += 1;
    }

    fn trouble(&mut self) {
        let people = self.counts.people as u64;
        match self.chance(4) {
            0 => {
                let side = (0..self.counts.people).filter(|_| self.chance(2) == 0).collect();
                self.world.weather.side = side;
                self.counts.partitions += 1;
            }
            1 => self.rejoin_sides(),
            _ => {
                let (who, back) = (self.chance(people) as usize, 1_000 + self.chance(60_000));
                self.world.crash(who, back);
                self.counts.crashes += 1;
            }
        }
    }

    fn rejoin_sides(&mut self) {
        self.world.weather.side = BTreeSet::new();
    }

    /// Lets everything heal, and says how long it took until all who belong agree.
    fn heal(&mut self) {
        self.world.heal();
        for step in 1..=600 {
            self.world.run_for(1_000);
            if self.agreed() {
                self.counts.healed_ms = step * 1_000;
                break;
            }
        }
        // Frames come after what lets them be read.
        self.world.run_for(180_000);
    }

    fn members(&self) -> Vec<usize> {
        let accounts = self.world.in_channel(0, &self.channel);
        (0..self.counts.people).filter(|who| accounts.contains(&self.world.people[*who].account())).collect()
    }

    fn agreed(&self) -> bool {
        let members = self.members();
        let hash = |who: usize| self.world.channel(who, &self.channel).map(|c| c.state_hash);
        members.iter().all(|who| hash(*who) == hash(0))
    }

    fn judge(&self, seed: u64) {
        for who in self.members().into_iter().filter(|_| !self.agreed()) {
            let channel = self.world.channel(who, &self.channel);
            let shown = channel.map(|c| (c.state_hash.chars().take(8).collect::<String>(), c.ops, c.gate, c.state));
            println!("  {who}: {shown:?}, out {}", self.out.contains(&who));
        }
        assert!(self.agreed(), "seed {seed}: no agreement");
        let members = self.members();
        for who in 0..self.counts.people {
            let account = self.world.people[who].account();
            let heard = self.world.heard(who, &self.channel);
            for said in &self.said {
                let times = heard.iter().filter(|text| **text == said.text).count();
                assert!(times <= 1, "seed {seed}: {who} has {:?} {times} times", said.text);
                let meant = said.to.contains(&account);
                assert!(meant || times == 0, "seed {seed}: {who} did not belong and has {:?}", said.text);
                let stays = members.contains(&who) && members.contains(&said.by);
                assert!(!stays || !meant || times == 1, "seed {seed}: {who} lacks {:?} of {}", said.text, said.by);
            }
        }
    }
}

fn play(seed: u64) -> Counts {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let people = match rng.next_u64() % 10 {
        0..=4 => 4 + (rng.next_u64() % 5) as usize,
        5..=8 => 9 + (rng.next_u64() % 8) as usize,
        _ => 20 + (rng.next_u64() % 31) as usize,
    };
    let mut play = Play::begin(seed, people);
    play.world.weather = Weather {
        latency_ms: 20,
        jitter_ms: rng.next_u64() % 800,
        loss_percent: rng.next_u64() % 31,
        duplicate_percent: 5,
        side: BTreeSet::new(),
    };
    while play.said.len() < 500 || play.counts.changes < 20 {
        play.say();
        if play.chance(20) == 0 {
            play.change();
        }
        if play.chance(40) == 0 {
            play.trouble();
        }
        let pause = 200 + play.chance(1_500);
        play.world.run_for(pause);
    }
    play.heal();
    play.judge(seed);
    play.counts.messages = play.said.len();
    play.counts
}

/// Plays seeds, the first by `KITH_SEED`, and prints what they did.
fn campaign(seeds: u64) {
    let begin: u64 = std::env::var("KITH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let (mut all, mut slowest) = (Counts::default(), 0);
    for seed in begin..begin + seeds {
        println!("seed {seed}");
        let counts = play(seed);
        all.people += counts.people;
        all.messages += counts.messages;
        all.changes += counts.changes;
        all.partitions += counts.partitions;
        all.crashes += counts.crashes;
        slowest = slowest.max(counts.healed_ms);
        println!(
            "  {} people, {} messages, {} changes, {} partitions, {} crashes, one state {} ms after healing",
            counts.people, counts.messages, counts.changes, counts.partitions, counts.crashes, counts.healed_ms
        );
        assert!(counts.healed_ms > 0 && counts.healed_ms <= 30_000, "seed {seed}: {} ms", counts.healed_ms);
    }
    println!(
        "counts: {seeds} seeds from {begin}, {} people, {} messages, {} changes, {} partitions, {} crashes; one state at \
         most {slowest} ms after healing",
        all.people, all.messages, all.changes, all.partitions, all.crashes
    );
}

#[test]
fn whoever_belongs_has_all_that_was_taken_once_and_nobody_else_anything() {
    campaign(count("worlds of channels", "KITH_CHANNEL_SEEDS", 3));
}

#[test]
#[ignore = "open: not all of the 60 seeds pass yet; in some a member lacks a message, or its keys, after a partition"]
fn whoever_belongs_has_all_in_sixty_worlds() {
    campaign(count("worlds of channels, the campaign", "KITH_CHANNEL_CAMPAIGN", 60));
}
