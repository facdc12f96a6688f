//! People who do things by chance, in partitions that hear of each other now and then.

use super::kit::*;
use crate::channel::{Act, Admission, Mode, Op, OpId, Permission as P, Permissions, Setting};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// Draws numbers.
pub(crate) struct Chance(ChaCha20Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        (!list.is_empty()).then(|| list[self.below(list.len())])
    }
}

/// What may happen, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Weights {
    /// Of a hundred: removals and bans, admissions, roles, keys, devices, invites, the rest.
    pub(crate) shares: [usize; 7],
    /// Of a hundred operations, how many are forged: done without the right to, or behind others than the last.
    pub(crate) forged: usize,
}

pub(crate) const EVERYTHING: Weights = Weights { shares: [20, 14, 24, 10, 8, 14, 10], forged: 20 };
pub(crate) const REMOVALS: Weights = Weights { shares: [42, 22, 8, 12, 8, 4, 4], forged: 8 };

/// People in partitions.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) partitions: Vec<Branch>,
    people: Vec<Who>,
    weights: Weights,
    invites: Vec<(OpId, Code, String)>,
    codes: u8,
}

const GIVEN: [&str; 7] = ["owner", "owner", "admin", "admin", "moderator", "member", "helper"];

impl World {
    /// Begins with some people in, some of them high up, in two or three partitions.
    pub(crate) fn new(seed: u64, people: usize, inside: usize, weights: Weights) -> Self {
        reset_clock(0);
        let mut chance = Chance::new(seed);
        let creator = if chance.one_in(2) { &ALICE.person().one } else { &ALICE.person().two };
        let mut base = Branch::of(ALICE, creator);
        if chance.one_in(2) {
            base.does(ALICE, &define("helper", Permissions::of(&[P::Kick, P::Pin])));
        }
        for who in (1..inside).map(Who) {
            let role = GIVEN[chance.below(6)];
            let log = if chance.one_in(3) { &who.person().two } else { &who.person().one };
            base.does(ALICE, &admit_with(who, log, role));
        }
        let partitions = vec![base; 2 + chance.below(2)];
        let people = (0..people).map(Who).collect();
        Self { chance, partitions, people, weights, invites: Vec::new(), codes: 0 }
    }

    /// Lets something happen somewhere; returns where, and the operation if there is a new one.
    pub(crate) fn step(&mut self) -> Option<(usize, Op)> {
        let at = self.chance.below(self.partitions.len());
        if self.chance.one_in(7) {
            let from = self.chance.below(self.partitions.len());
            self.tell(from, at);
            return None;
        }
        let (who, device) = (self.somebody(at)?, self.chance.below(6) / 5);
        let act = self.act(at, who)?;
        let mut act = self.partitions[at].completed(&act);
        if self.chance.one_in(3) && matches!(act, Act::Remove(_) | Act::Devices { .. }) {
            act = with_fresh(&act, fresh_for(&self.partitions[at].graph.recipients_after(&act)));
        }
        let author = who.author_with(device);
        let graph = &self.partitions[at].graph;
        let op = if self.chance.below(100) < self.weights.forged {
            let parents = self.parents(at);
            Op::sign(&author, Some(self.partitions[at].channel()), &parents, tick(), &act).unwrap()
        } else {
            graph.allow(author.account, author.device, &act, tick()).ok()?.sign(author.key).unwrap()
        };
        self.partitions[at].graph.add(op.clone()).ok()?;
        self.note(&op);
        Some((at, op))
    }

    /// Makes one partition hear what another knows.
    pub(crate) fn tell(&mut self, from: usize, to: usize) {
        let other = self.partitions[from].clone();
        self.partitions[to].hears(&other);
    }

    /// Makes all hear everything, the first one in the end too.
    pub(crate) fn heal(&mut self) {
        for from in 1..self.partitions.len() {
            self.tell(from, 0);
        }
        for to in 1..self.partitions.len() {
            self.tell(0, to);
        }
    }

    fn note(&mut self, op: &Op) {
        if let Act::PostInvite(terms) = op.act() {
            let code = Code::new(&self.partitions[0].channel(), self.codes);
            self.invites.push((op.id(), code, terms.role.as_str().to_owned()));
        }
    }

    /// Chooses what a forged operation follows: the last ones, or some from before.
    fn parents(&mut self, at: usize) -> Vec<OpId> {
        let graph = &self.partitions[at].graph;
        if self.chance.one_in(2) {
            return graph.front();
        }
        let count = graph.ops().len();
        let ids: Vec<OpId> =
            (0..1 + self.chance.below(2)).map(|_| graph.ops()[self.chance.below(count)].id()).collect();
        let mut ids: Vec<OpId> = ids;
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn somebody(&mut self, at: usize) -> Option<Who> {
        if self.chance.below(100) < self.weights.forged {
            return self.chance.pick(&self.people.clone());
        }
        let inside: Vec<Who> = self.people.iter().copied().filter(|w| self.partitions[at].is_in(*w)).collect();
        self.chance.pick(&inside)
    }

    fn other(&mut self, at: usize, who: Who) -> Option<Who> {
        let inside: Vec<Who> =
            self.people.iter().copied().filter(|w| *w != who && self.partitions[at].is_in(*w)).collect();
        self.chance.pick(&inside)
    }

    fn outsider(&mut self, at: usize) -> Option<Who> {
        let outside: Vec<Who> = self.people.iter().copied().filter(|w| !self.partitions[at].is_in(*w)).collect();
        self.chance.pick(&outside)
    }

    fn act(&mut self, at: usize, who: Who) -> Option<Act> {
        let mut left = self.chance.below(100);
        let kind = self.weights.shares.iter().position(|share| {
            let hit = left < *share;
            left = left.saturating_sub(*share);
            hit
        })?;
        match kind {
            0 => self.removal(at, who),
            1 => self.admission(at),
            2 => self.role_act(at, who),
            3 => Some(if self.chance.one_in(5) { emergency() } else { rekey() }),
            4 => self.device_act(at, who),
            5 => self.invite_act(at),
            _ => self.setting(at, who),
        }
    }

    fn removal(&mut self, at: usize, who: Who) -> Option<Act> {
        Some(match self.chance.below(10) {
            0 => kick(who),
            1 => ban(self.other(at, who)?),
            2 => unban(self.outsider(at)?),
            _ => kick(self.other(at, who)?),
        })
    }

    fn admission(&mut self, at: usize) -> Option<Act> {
        let whom = if self.chance.one_in(12) { self.other(at, ALICE)? } else { self.outsider(at)? };
        let log = match self.chance.below(5) {
            0 => &whom.person().two,
            1 => &whom.person().second_revoked,
            _ => &whom.person().one,
        };
        Some(admit_with(whom, log, GIVEN[self.chance.below(GIVEN.len())]))
    }

    fn role_act(&mut self, at: usize, who: Who) -> Option<Act> {
        let whom = if self.chance.one_in(6) { who } else { self.other(at, who)? };
        let role = GIVEN[self.chance.below(GIVEN.len())];
        Some(match self.chance.below(9) {
            0 | 1 => grant(whom, role),
            2 => grant(whom, "gag"),
            3 => define_role("helper", &[], Permissions::of(&[P::Kick]), Permissions::NONE),
            4 => define_role("helper", &["gag"], Permissions::of(&[P::Kick, P::Ban, P::Approve]), Permissions::NONE),
            5 => define_role("gag", &[], Permissions::NONE, Permissions::of(&[P::Kick, P::Approve])),
            6 => drop_role(if self.chance.one_in(2) { "helper" } else { "gag" }),
            _ => {
                let roles = self.partitions[at].roles(whom);
                let held: Vec<&str> = roles.iter().map(String::as_str).collect();
                revoke(whom, self.chance.pick(&held)?)
            }
        })
    }

    fn device_act(&mut self, at: usize, who: Who) -> Option<Act> {
        let whose = if self.chance.one_in(2) { who } else { self.other(at, who)? };
        let person = whose.person();
        Some(match self.chance.below(6) {
            0 => tell(whose, &person.two),
            1 => tell(whose, &person.second_revoked),
            2 => tell(whose, &person.first_revoked),
            3 => suspend(&[whose.device()], true),
            4 => suspend(&[whose.device(), whose.second()], true),
            _ => suspend(&[whose.device()], false),
        })
    }

    fn invite_act(&mut self, at: usize) -> Option<Act> {
        let channel = self.partitions[at].channel();
        if self.invites.is_empty() || self.chance.one_in(4) {
            self.codes += 1;
            let role = ["member", "moderator", "reader"][self.chance.below(3)];
            return Some(Act::PostInvite(Code::new(&channel, self.codes).terms(role, 1 + self.chance.below(2) as u32)));
        }
        let (invite, code, role) = self.invites[self.chance.below(self.invites.len())].clone();
        if self.chance.one_in(5) {
            return Some(Act::RevokeInvite { invite });
        }
        let whom = self.outsider(at)?;
        let act = code.admits(&channel, invite, whom, &role, self.chance.below(3) as u8);
        if !self.chance.one_in(8) {
            return Some(act);
        }
        let Act::Admit(admission) = act else { return None };
        let bent = admission.invite.map(|mut used| {
            used.nonce[3] ^= 1;
            used
        });
        Some(Act::Admit(Admission { invite: bent, ..admission }))
    }

    fn setting(&mut self, at: usize, who: Who) -> Option<Act> {
        let whom = self.other(at, who)?;
        Some(match self.chance.below(8) {
            0 => set_mode([Mode::Open, Mode::Private, Mode::Announce, Mode::Archive][self.chance.below(4)]),
            1 | 2 => set_mode(Mode::Open),
            3 => mute(whom, true),
            4 => mute(whom, false),
            5 => hand_over(whom.device(), &[[3; 32]]),
            6 => Act::Set(Setting::RetentionDays(self.chance.below(9) as u32)),
            _ => call_it("circle"),
        })
    }
}
