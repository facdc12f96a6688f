//! People, what they do, and branches on which they do it without knowing of each other.

use crate::{
    AccountId, ChannelId, DeviceId, Timestamp,
    channel::{
        Act, Admission, Cutoff, Fresh, Graph, InviteTerms, Mode, Name, Op, OpAuthor, OpId, Permissions, Refused,
        Removal, Role, RoleName, Setting, Use,
        blob::recipients_digest,
        invite::{History, InviteCode, InviteKeys, InviteSecret, Joiner},
        role::Conditions,
    },
    identity::{
        Account, DeviceLog, DeviceSecrets,
        device_log::{Signer, prove_admission, tests::NOW},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

/// Somebody with a first device, a second one, and what the account says about them.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) devices: [DeviceSecrets; 2],
    /// The first device alone.
    pub(crate) one: DeviceLog,
    /// Both devices.
    pub(crate) two: DeviceLog,
    /// The second one revoked.
    pub(crate) second_revoked: DeviceLog,
    /// The first one revoked.
    pub(crate) first_revoked: DeviceLog,
}

/// How many people there are.
pub(crate) const PEOPLE: usize = 40;

static ALL: LazyLock<Vec<Person>> = LazyLock::new(|| (0..PEOPLE).map(|n| Person::new(n as u64)).collect());

/// Names somebody: the n-th of all people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who(pub(crate) usize);

pub(crate) const ALICE: Who = Who(0);
pub(crate) const BOB: Who = Who(1);
pub(crate) const CARL: Who = Who(2);
pub(crate) const DORA: Who = Who(3);
pub(crate) const EVE: Who = Who(4);
pub(crate) const FRED: Who = Who(5);

impl Person {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let account = Account::generate(&mut rng);
        let devices = [DeviceSecrets::generate(&mut rng), DeviceSecrets::generate(&mut rng)];
        let one = DeviceLog::genesis(&account, &devices[0], NOW).unwrap();
        let proof = prove_admission(&one.next_place(), &devices[1], false);
        let admission = one.admit(Signer::Root(&account), devices[1].info(), false, proof, NOW).unwrap();
        let two = one.append(&admission, NOW).unwrap().0;
        let without = |gone: usize| {
            let op = two.revoke(Signer::Root(&account), &devices[gone].id(), NOW).unwrap();
            two.append(&op, NOW).unwrap().0
        };
        let (first_revoked, second_revoked) = (without(0), without(1));
        Self { account, devices, one, two, second_revoked, first_revoked }
    }
}

impl Who {
    pub(crate) fn person(self) -> &'static Person {
        &ALL[self.0]
    }

    pub(crate) fn id(self) -> AccountId {
        self.person().account.id()
    }

    /// Names the first device.
    pub(crate) fn device(self) -> DeviceId {
        self.person().devices[0].id()
    }

    /// Names the second device.
    pub(crate) fn second(self) -> DeviceId {
        self.person().devices[1].id()
    }

    pub(crate) fn author(self) -> OpAuthor<'static> {
        self.author_with(0)
    }

    pub(crate) fn author_with(self, device: usize) -> OpAuthor<'static> {
        let device = &self.person().devices[device];
        OpAuthor { account: self.id(), device: device.id(), key: device.sign() }
    }
}

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

/// Tells the time: later each time it is asked, so that nothing happens twice in the same way.
pub(crate) fn tick() -> Timestamp {
    NOW.plus_millis(TICKS.with(|t| {
        t.set(t.get() + 1);
        t.get()
    }))
}

/// Starts the clock anew, so that what follows has the same ids whatever came before.
pub(crate) fn reset_clock(to: u64) {
    TICKS.with(|t| t.set(to));
}

pub(crate) fn role(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Names the secrets that are sealed to these devices.
pub(crate) fn fresh_for(devices: &BTreeSet<DeviceId>) -> Fresh {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&tick().as_millis().to_be_bytes());
    Fresh { nonce, commit: [7; 32], recipients: recipients_digest(devices), items: devices.len() as u32, root: [8; 32] }
}

// What people do, without what depends on the graph.

pub(crate) fn admit(whom: Who, as_role: &str) -> Act {
    admit_with(whom, &whom.person().one, as_role)
}

pub(crate) fn admit_with(whom: Who, devices: &DeviceLog, as_role: &str) -> Act {
    Act::Admit(Admission { account: whom.id(), devices: devices.clone(), role: role(as_role), invite: None })
}

pub(crate) fn kick(whom: Who) -> Act {
    Act::Remove(removal(whom, false))
}

pub(crate) fn ban(whom: Who) -> Act {
    Act::Remove(removal(whom, true))
}

pub(crate) fn removal(whom: Who, ban: bool) -> Removal {
    Removal { account: whom.id(), ban, reason: String::new(), cutoffs: Vec::new(), fresh: None }
}

pub(crate) fn unban(whom: Who) -> Act {
    Act::Unban { account: whom.id() }
}

pub(crate) fn grant(whom: Who, what: &str) -> Act {
    Act::GrantRole { account: whom.id(), role: role(what), until: None }
}

pub(crate) fn revoke(whom: Who, what: &str) -> Act {
    Act::RevokeRole { account: whom.id(), role: role(what) }
}

pub(crate) fn define(what: &str, allow: Permissions) -> Act {
    Act::DefineRole { name: role(what), role: Role { allow, ..Role::default() } }
}

pub(crate) fn define_role(what: &str, inherits: &[&str], allow: Permissions, deny: Permissions) -> Act {
    let mut inherits: Vec<RoleName> = inherits.iter().map(|r| role(r)).collect();
    inherits.sort();
    Act::DefineRole { name: role(what), role: Role { inherits, allow, deny, conditions: Conditions::default() } }
}

pub(crate) fn drop_role(what: &str) -> Act {
    Act::DropRole { name: role(what) }
}

pub(crate) fn tell(whose: Who, devices: &DeviceLog) -> Act {
    Act::Devices { account: whose.id(), devices: devices.clone(), cutoffs: Vec::new(), fresh: None }
}

pub(crate) fn mute(whom: Who, on: bool) -> Act {
    Act::Mute { account: whom.id(), on, until: None }
}

pub(crate) fn suspend(devices: &[DeviceId], on: bool) -> Act {
    let devices: BTreeSet<DeviceId> = devices.iter().copied().collect();
    Act::Suspend { devices: devices.into_iter().collect(), on }
}

pub(crate) fn set_mode(mode: Mode) -> Act {
    Act::Set(Setting::Mode(mode))
}

pub(crate) fn call_it(what: &str) -> Act {
    Act::Set(Setting::Name(name(what)))
}

pub(crate) fn rekey() -> Act {
    Act::Rekey { emergency: false, fresh: fresh_for(&BTreeSet::new()) }
}

pub(crate) fn emergency() -> Act {
    Act::Rekey { emergency: true, fresh: fresh_for(&BTreeSet::new()) }
}

pub(crate) fn hand_over(device: DeviceId, epochs: &[[u8; 32]]) -> Act {
    let epochs: BTreeSet<[u8; 32]> = epochs.iter().copied().collect();
    Act::EpochGrant { device, epochs: epochs.into_iter().collect() }
}

pub(crate) fn cutoff(device: DeviceId, generation: u32) -> Cutoff {
    Cutoff { device, epoch: [1; 32], generation }
}

/// Adds fresh secrets to an act that can carry some.
pub(crate) fn with_fresh(act: &Act, fresh: Fresh) -> Act {
    match act.clone() {
        Act::Remove(removal) => Act::Remove(Removal { fresh: Some(fresh), ..removal }),
        Act::Rekey { emergency, .. } => Act::Rekey { emergency, fresh },
        Act::Devices { account, devices, cutoffs, .. } => {
            Act::Devices { account, devices, cutoffs, fresh: Some(fresh) }
        }
        act => act,
    }
}

/// An invite whose secret is known to whoever holds this.
#[derive(Clone)]
pub(crate) struct Code {
    keys: InviteKeys,
}

impl Code {
    pub(crate) fn new(channel: &ChannelId, n: u8) -> Self {
        Self { keys: InviteCode::new(InviteSecret::from_bytes([n; 16]), channel).keys() }
    }

    pub(crate) fn terms(&self, as_role: &str, uses: u32) -> InviteTerms {
        InviteTerms {
            public: self.keys.public(),
            role: role(as_role),
            uses,
            expires: NOW.plus_days(7),
            approval: false,
            history: History::None,
        }
    }

    /// Proves for somebody's first device that they know the secret.
    pub(crate) fn used_by(&self, channel: &ChannelId, invite: OpId, who: Who, nonce: u8) -> Use {
        let (account, device, nonce) = (who.id(), who.device(), [nonce; 16]);
        let joiner = Joiner { channel, account: &account, device: &device, leaf_key: b"leaf", nonce: &nonce };
        let proof = joiner.prove(&self.keys);
        Use { invite, device, leaf: joiner.claim().leaf, nonce, proof }
    }

    pub(crate) fn admits(&self, channel: &ChannelId, invite: OpId, who: Who, as_role: &str, nonce: u8) -> Act {
        Act::Admit(Admission {
            account: who.id(),
            devices: who.person().one.clone(),
            role: role(as_role),
            invite: Some(self.used_by(channel, invite, who, nonce)),
        })
    }
}

/// Signs the operation that makes a channel.
pub(crate) fn creation(by: Who, devices: &DeviceLog) -> Op {
    let ids = devices.devices().map(|info| info.id).collect();
    let act =
        Act::Create { nonce: [9; 32], devices: devices.clone(), name: name("reading circle"), fresh: fresh_for(&ids) };
    Op::sign(&by.author(), None, &[], tick(), &act).unwrap()
}

/// What those know who hear of each other.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) graph: Graph,
}

impl Branch {
    /// Begins a channel of Alice's.
    pub(crate) fn new() -> Self {
        Self::of(ALICE, &ALICE.person().one)
    }

    pub(crate) fn of(creator: Who, devices: &DeviceLog) -> Self {
        Self { graph: Graph::create(creation(creator, devices)).unwrap() }
    }

    /// Begins a channel of Alice's with others in it.
    pub(crate) fn with(others: &[(Who, &str)]) -> Self {
        let mut branch = Self::new();
        for (who, as_role) in others {
            let by_role = branch.does(ALICE, &admit(*who, "member"));
            assert!(branch.graph.position(&by_role).is_some());
            if *as_role != "member" {
                branch.does(ALICE, &grant(*who, as_role));
            }
        }
        branch
    }

    pub(crate) fn channel(&self) -> ChannelId {
        self.graph.channel()
    }

    /// Says why somebody may not do something now.
    pub(crate) fn may(&self, who: Who, act: &Act) -> Result<(), Refused> {
        self.graph.allow(who.id(), who.device(), &self.completed(act), NOW).map(|_| ())
    }

    /// Names the right recipients in an act that makes keys anew.
    pub(crate) fn completed(&self, act: &Act) -> Act {
        match act.fresh() {
            Some(_) => with_fresh(act, fresh_for(&self.graph.recipients_after(act))),
            None => act.clone(),
        }
    }

    /// Does what somebody may do now.
    pub(crate) fn does(&mut self, who: Who, act: &Act) -> OpId {
        self.does_with(who, 0, act)
    }

    pub(crate) fn does_with(&mut self, who: Who, device: usize, act: &Act) -> OpId {
        let (act, author) = (self.completed(act), who.author_with(device));
        let allowed = self.graph.allow(author.account, author.device, &act, tick());
        let op = allowed.unwrap_or_else(|why| panic!("{who:?}: {why} in {act:?}")).sign(author.key).unwrap();
        let (id, added) = (op.id(), self.graph.add(op).unwrap());
        assert_eq!(added.refused, None);
        id
    }

    /// Removes somebody, or makes keys anew with what is done: the keys go to who belongs then.
    pub(crate) fn does_afresh(&mut self, who: Who, act: &Act) -> OpId {
        let act = with_fresh(act, fresh_for(&self.graph.recipients_after(act)));
        self.does(who, &act)
    }

    /// Signs something whether or not it may be done, after these operations.
    pub(crate) fn forged(&self, who: Who, parents: &[OpId], act: &Act) -> Op {
        Op::sign(&who.author(), Some(self.channel()), parents, tick(), act).unwrap()
    }

    /// Does something whether or not it may be done, after these operations; says why it does not hold.
    pub(crate) fn forces(&mut self, who: Who, parents: &[OpId], act: &Act) -> (OpId, Option<Refused>) {
        let op = self.forged(who, parents, act);
        (op.id(), self.graph.add(op).unwrap().refused)
    }

    /// Does something whether or not it may be done, after all that is known. Who knows everything and does what is refused
    /// is caught at it.
    pub(crate) fn tries(&mut self, who: Who, act: &Act) -> (OpId, Option<Refused>) {
        let (heads, act) = (self.graph.heads(), self.completed(act));
        let (op, why) = self.forces(who, &heads, &act);
        assert_eq!(self.graph.forbidden(self.graph.position(&op).unwrap()), why, "{act:?}");
        (op, why)
    }

    /// Hears of everything that others know.
    pub(crate) fn hears(&mut self, other: &Self) {
        let ops: Vec<Arc<Op>> = other.graph.ops().to_vec();
        for op in ops {
            self.graph.add(Op::clone(&op)).unwrap();
        }
    }

    /// Makes both know everything.
    pub(crate) fn meets(&mut self, other: &mut Self) {
        self.hears(other);
        other.hears(self);
        assert_eq!(self.graph.state_hash(), other.graph.state_hash());
    }

    pub(crate) fn why(&self, id: &OpId) -> Option<Refused> {
        self.graph.refused(self.graph.position(id).unwrap())
    }

    pub(crate) fn holds(&self, id: &OpId) -> bool {
        self.why(id).is_none()
    }

    pub(crate) fn is_in(&self, who: Who) -> bool {
        self.graph.is_member(&who.id())
    }

    pub(crate) fn roles(&self, who: Who) -> Vec<String> {
        let standing = self.graph.standing(&who.id(), NOW);
        standing.map_or_else(Vec::new, |s| s.roles.iter().map(|r| r.as_str().to_owned()).collect())
    }

    pub(crate) fn last(&self) -> OpId {
        self.graph.ops().last().unwrap().id()
    }
}

/// How much is tried: more where `KITH_FULL` asks for it.
pub(crate) fn cases(fast: usize, full: usize) -> usize {
    if std::env::var_os("KITH_FULL").is_some() { full } else { fast }
}
