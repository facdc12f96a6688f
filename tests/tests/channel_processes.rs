//! A channel of ten daemons as processes on two machines whose cable is cut while both sides talk, let people in, put people
//! out and make keys anew, and while one daemon after the other is killed. When the cable is mended, everybody who belongs
//! has everything that was acknowledged, once, nobody else has anything, and all agree on one state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    Client, Code, UserError,
    api::types::{ChannelState, GiveRole, HistoryGrant, JoinState, NewChannelInvite, NewJoin, SendRequest},
};
use kith_protocol::AccountId;
use kith_tests::{
    cable::{self, Cable},
    count,
    process::Person,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

/// Daemons; the first half of them is on the left machine.
const PEOPLE: usize = 10;
/// Seconds of a full run for which the cable is cut.
const SECONDS: u64 = 60;
/// How often one of the daemons is killed meanwhile.
const KILL_EVERY: Duration = Duration::from_secs(5);
/// How often each of them says something.
const PACE: Duration = Duration::from_millis(700);
/// How long anything may take before the test gives up: only a failing one waits that long.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Who is not in yet when the cable is cut, one on each side.
const JOINERS: [usize; 2] = [4, 9];
/// Who is put out while it is cut: by their own side, by the other side, by their own side.
const REMOVED: [usize; 3] = [3, 7, 8];

/// A change of who belongs, or of the keys.
#[derive(Clone, Copy, Debug)]
enum Change {
    Join,
    Remove(usize),
    Role(usize, &'static str),
    Rekey,
}

/// When something is done, in percent of the time for which the cable is cut; by whom; and what.
type Plan = [(u32, usize, Change); 5];

const LEFT: Plan = [
    (10, 4, Change::Join),
    (30, 0, Change::Remove(3)),
    (50, 1, Change::Remove(7)),
    (70, 2, Change::Rekey),
    (80, 0, Change::Role(2, "moderator")),
];
const RIGHT: Plan = [
    (10, 6, Change::Rekey),
    (20, 5, Change::Remove(8)),
    (40, 9, Change::Join),
    (60, 6, Change::Rekey),
    (80, 5, Change::Rekey),
];

/// What was said, under which text.
struct Said {
    by: usize,
    text: String,
    /// Who belonged as its author saw it, just before and just after.
    to: [BTreeSet<AccountId>; 2],
}

impl Said {
    /// Whether somebody has to have it.
    fn is_owed(&self, account: &AccountId) -> bool {
        self.to.iter().all(|to| to.contains(account))
    }

    /// Whether somebody may have it.
    fn is_meant_for(&self, account: &AccountId) -> bool {
        self.to.iter().any(|to| to.contains(account))
    }
}

/// Looks until nothing is wrong any more, and says how long that took; fails with what was wrong last.
async fn until<F: Future<Output = Result<(), String>>>(what: &str, mut look: impl FnMut() -> F) -> Duration {
    let begun = Instant::now();
    while let Err(wrong) = look().await {
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}:\n{wrong}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
    begun.elapsed()
}

/// Does something at a daemon that may be killed meanwhile, again and again until it is done.
async fn done<T, F: Future<Output = Result<T, UserError>>>(what: &str, mut act: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        match act().await {
            Ok(done) => return done,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{what}: {error:?}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Who is in the channel, as a daemon sees it, once it runs; nobody where it is not in.
async fn members(client: &Client, channel: &str) -> BTreeSet<AccountId> {
    let seen = done("the members", || async {
        match client.members(channel).await {
            Err(error) if error.code == Code::DaemonUnreachable => Err(error),
            seen => Ok(seen.unwrap_or_default()),
        }
    });
    seen.await.into_iter().map(|member| member.account).collect()
}

/// Says one thing; nothing where that is not acknowledged.
async fn say(by: usize, client: &Client, channel: &str, text: String) -> Option<Said> {
    let before = members(client, channel).await;
    if before.is_empty() {
        return None;
    }
    let request = SendRequest { to: channel.to_owned(), body: text.clone(), ..SendRequest::default() };
    client.send(&request).await.ok()?;
    Some(Said { by, text, to: [before, members(client, channel).await] })
}

/// Talks until asked to stop, and returns what was acknowledged.
async fn talk(by: usize, client: Client, channel: String, stop: Arc<AtomicBool>) -> Vec<Said> {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut all = Vec::new();
    for n in 0_u64.. {
        pace.tick().await;
        if stop.load(SeqCst) {
            break;
        }
        all.extend(say(by, &client, &channel, format!("{by} says {n}")).await);
    }
    all
}

/// Comes in by a code.
async fn join(client: &Client, code: &str) {
    let new = NewJoin { code: code.to_owned(), name: None, yes: true };
    let join = done("a join begins", || client.join(&new)).await;
    let in_by_now = || async {
        let state = client.join_state(join.id).await.map_err(|error| format!("{error:?}"))?;
        (state.state == JoinState::Joined).then_some(()).ok_or_else(|| format!("{state:?}"))
    };
    until("somebody is let in", in_by_now).await;
}

/// What the changes of one side are done with.
#[derive(Clone)]
struct Side {
    clients: Vec<Client>,
    accounts: Vec<AccountId>,
    channel: String,
    code: String,
}

impl Side {
    async fn carry_out(&self, by: usize, change: Change) {
        let (client, channel) = (&self.clients[by], self.channel.as_str());
        let what = format!("{by}: {change:?}");
        match change {
            Change::Join => join(client, &self.code).await,
            Change::Remove(who) => {
                let account = self.accounts[who].to_string();
                done(&what, || client.remove_member(channel, &account, "")).await;
            }
            Change::Role(who, role) => {
                let role = GiveRole { role: role.to_owned(), give: true, for_ms: None };
                let account = self.accounts[who].to_string();
                done(&what, || client.give_role(channel, &account, &role)).await;
            }
            Change::Rekey => {
                done(&what, || client.rekey_channel(channel, false)).await;
            }
        }
    }

    /// Carries a plan out, each part at its time.
    async fn follow(self, plan: Plan, cut_at: Instant, cut_for: Duration) {
        for (percent, by, change) in plan {
            tokio::time::sleep_until(cut_at + cut_for * percent / 100).await;
            self.carry_out(by, change).await;
            println!("  {:.1} s: {by}: {change:?}", cut_at.elapsed().as_secs_f64());
        }
    }
}

struct Play {
    cable: Cable,
    people: Vec<Person>,
    channel: String,
    code: String,
}

impl Play {
    /// Ten daemons that run on two machines, and a channel with all of them but the joiners, who have said hello.
    async fn begin(cable: Cable) -> Self {
        let mut people: Vec<Person> = (0..PEOPLE).map(|n| Person::create(&format!("p{n}"))).collect();
        let mut known = Vec::new();
        // One of each side is known to all from the beginning.
        for who in [0, PEOPLE / 2].into_iter().chain((0..PEOPLE).filter(|who| who % (PEOPLE / 2) != 0)) {
            let machine = if who < PEOPLE / 2 { &cable.left } else { &cable.right };
            let person = &mut people[who];
            (person.host, person.under, person.bootstrap) = (machine.address, machine.enter(), known.clone());
            person.start().await;
            if who % (PEOPLE / 2) == 0 {
                known.push(format!("{}/p2p/{}", person.address(), person.client().status().await.unwrap().peer));
            }
        }
        people[0].bootstrap = known[1..].to_vec();
        let owner = people[0].client();
        let channel = owner.create_channel("circle").await.unwrap().id.to_string();
        let terms = NewChannelInvite {
            uses: 100,
            expires_after_ms: 86_400_000,
            role: "member".into(),
            history: HistoryGrant::None,
            approval: false,
        };
        let code = owner.invite(&channel, &terms).await.unwrap().code.unwrap();
        let play = Self { cable, people, channel, code };
        let first: Vec<usize> = (0..PEOPLE).filter(|who| !JOINERS.contains(who)).collect();
        for who in &first[1..] {
            join(&play.people[*who].client(), &play.code).await;
        }
        let side = play.side();
        side.carry_out(0, Change::Role(1, "admin")).await;
        side.carry_out(0, Change::Role(5, "moderator")).await;
        until("all agree before the cable is cut", || play.agreed()).await;
        let hellos = play.all_say("hello").await;
        assert_eq!(hellos.len(), first.len());
        assert!(hellos.iter().all(|said| said.to[0].len() == first.len()));
        until("all hear each other before the cable is cut", || play.complete(&hellos)).await;
        play
    }

    fn side(&self) -> Side {
        Side {
            clients: self.people.iter().map(Person::client).collect(),
            accounts: self.people.iter().map(|person| person.account).collect(),
            channel: self.channel.clone(),
            code: self.code.clone(),
        }
    }

    /// Those who belong, as the owner sees it.
    async fn members(&self) -> Vec<usize> {
        let accounts = members(&self.people[0].client(), &self.channel).await;
        (0..PEOPLE).filter(|who| accounts.contains(&self.people[*who].account)).collect()
    }

    /// Each member says something, which is acknowledged.
    async fn all_say(&self, word: &str) -> Vec<Said> {
        let mut all = Vec::new();
        for by in self.members().await {
            let client = self.people[by].client();
            let text = format!("{by} says {word}");
            let said = done("something is said", || async {
                say(by, &client, &self.channel, text.clone())
                    .await
                    .ok_or_else(|| UserError::new(Code::Timeout, "not acknowledged"))
            });
            all.push(said.await);
        }
        all
    }

    async fn heard(&self, who: usize) -> Vec<String> {
        // A stranger to the channel has nothing there.
        let all = self.people[who].read_all(&self.channel).await.unwrap_or_default();
        all.into_iter().map(|message| message.body).collect()
    }

    /// Whether all who belong show one state.
    async fn agreed(&self) -> Result<(), String> {
        let members = self.members().await;
        let (mut states, mut wrong) = (BTreeSet::new(), String::new());
        for who in members.iter().copied() {
            match self.people[who].client().channel(&self.channel).await {
                Ok(c) => {
                    let is_in = c.state == ChannelState::Joined && c.members as usize == members.len();
                    wrong += &format!(
                        "  {who}: {:.8}, {} operations, {} members, {:?}, gate {:?}, {} missing\n",
                        c.state_hash, c.ops, c.members, c.state, c.gate, c.missing
                    );
                    states.insert((c.state_hash, is_in));
                }
                Err(error) => return Err(format!("{who}: {error:?}")),
            }
        }
        let agreed = states.len() == 1 && states.iter().all(|(_, is_in)| *is_in);
        if agreed { Ok(()) } else { Err(format!("{wrong}  the owner sees {members:?}")) }
    }

    /// Whether those who were put out know it.
    async fn told(&self) -> Result<(), String> {
        for who in REMOVED {
            let shown = self.people[who].client().channel(&self.channel).await;
            let shown = shown.map_err(|error| format!("{who}: {error:?}"))?;
            if shown.state != ChannelState::Removed {
                return Err(format!("  {who} is {:?}", shown.state));
            }
        }
        Ok(())
    }

    /// Whether every member has what is owed to it.
    async fn complete(&self, all: &[Said]) -> Result<(), String> {
        let members = self.members().await;
        let mut wrong = String::new();
        for who in &members {
            let (account, heard) = (self.people[*who].account, self.heard(*who).await);
            let heard: BTreeSet<&str> = heard.iter().map(String::as_str).collect();
            let owed = all.iter().filter(|said| members.contains(&said.by) && said.is_owed(&account));
            let lacks: Vec<_> = owed.map(|said| said.text.as_str()).filter(|text| !heard.contains(text)).collect();
            if !lacks.is_empty() {
                wrong += &format!("  {who} lacks {} texts: {lacks:?}\n", lacks.len());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong}{:?}", self.agreed().await)) }
    }

    /// Checks that nobody has anything twice, nor anything that was not meant for them.
    async fn judge(&self, all: &[Said]) {
        for who in 0..PEOPLE {
            let (account, heard) = (self.people[who].account, self.heard(who).await);
            let distinct: BTreeSet<&String> = heard.iter().collect();
            let twice: Vec<_> =
                distinct.iter().filter(|text| heard.iter().filter(|h| h == *text).count() > 1).collect();
            assert!(twice.is_empty(), "{who} has more than once: {twice:?}");
            let foreign = all.iter().filter(|said| !said.is_meant_for(&account) && distinct.contains(&said.text));
            let foreign: Vec<_> = foreign.map(|said| said.text.as_str()).collect();
            assert!(foreign.is_empty(), "{who} did not belong and has {foreign:?}");
        }
    }

    /// Checks that nothing of what was said on one side has come to the other.
    async fn judge_partition(&self) {
        for who in 0..PEOPLE {
            let heard = self.heard(who).await;
            let side = |who: usize| who < PEOPLE / 2;
            for by in (0..PEOPLE).filter(|by| side(*by) != side(who)) {
                let came =
                    heard.iter().find(|text| text.starts_with(&format!("{by} says ")) && !text.ends_with("hello"));
                assert_eq!(came, None, "it came from {by} to {who} over a cable that is cut");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_daemons_cut_apart_and_killed_agree_and_have_all_that_was_acknowledged_once() {
    let seconds = count("seconds for which the cable is cut", "KITH_CUT_SECONDS", SECONDS);
    let seed = std::env::var("KITH_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    let Some(cable) = Cable::lay() else {
        println!("\nSKIPPED: needs {}", cable::NEEDS);
        return;
    };
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut play = Play::begin(cable).await;
    let (stop, mut talkers, mut changes) = (Arc::new(AtomicBool::new(false)), JoinSet::new(), JoinSet::new());
    play.cable.cut();
    let (cut_at, cut_for) = (Instant::now(), Duration::from_secs(seconds));
    for (by, person) in play.people.iter().enumerate() {
        talkers.spawn(talk(by, person.client(), play.channel.clone(), Arc::clone(&stop)));
    }
    for plan in [LEFT, RIGHT] {
        changes.spawn(play.side().follow(plan, cut_at, cut_for));
    }
    let (mut kills, mut pace) = (0_u64, tokio::time::interval(KILL_EVERY));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.tick().await;
    // The cable stays cut until both sides are through with what they had in mind.
    while cut_at.elapsed() < cut_for || !changes.is_empty() {
        tokio::select! {
            _ = pace.tick() => {
                let victim = (rng.next_u64() % PEOPLE as u64) as usize;
                play.people[victim].kill();
                play.people[victim].start().await;
                kills += 1;
                println!("  {:.1} s: {victim} was killed", cut_at.elapsed().as_secs_f64());
            }
            Some(side) = changes.join_next() => side.unwrap(),
            () = tokio::time::sleep_until(cut_at + cut_for), if cut_at.elapsed() < cut_for => {}
        }
    }
    stop.store(true, SeqCst);
    let mut all: Vec<Said> = talkers.join_all().await.into_iter().flatten().collect();
    play.judge_partition().await;
    let cut_for = cut_at.elapsed();
    play.cable.mend();
    let mended_at = Instant::now();
    until("all agree after the cable is mended", || play.agreed()).await;
    let one_state = mended_at.elapsed();
    println!("  one state {:.1} s after the cable was mended", one_state.as_secs_f64());
    until("all have what was said", || play.complete(&all)).await;
    let complete = mended_at.elapsed();
    // What is said now comes behind all that could still come.
    let members = play.members().await;
    let said = all.len();
    all.extend(play.all_say("goodbye").await);
    until("all have what was said and goodbye", || play.complete(&all)).await;
    until("all agree in the end", || play.agreed()).await;
    until("those who were put out know it", || play.told()).await;
    println!("  those who were put out know it {:.1} s after the cable was mended", mended_at.elapsed().as_secs_f64());
    play.judge(&all).await;
    assert!(REMOVED.iter().all(|who| !members.contains(who)), "somebody put out is among {members:?}");
    let stay = [0, 1, 2, 5, 6];
    assert!(stay.iter().all(|who| members.contains(who)), "somebody whom nobody put out is not among {members:?}");
    println!(
        "counts: {PEOPLE} daemons, cable cut for {:.0} s, {kills} kills (seed {seed}), {said} texts acknowledged, {} \
         changes; members at the end: {members:?}",
        cut_for.as_secs_f64(),
        LEFT.len() + RIGHT.len()
    );
    println!(
        "counts: one state {:.1} s, everything everywhere {:.1} s after the cable was mended",
        one_state.as_secs_f64(),
        complete.as_secs_f64()
    );
}
