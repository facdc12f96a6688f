//! A member who has all keys and no scruples, against nodes as people run them: what it sends is refused, told of once, and
//! costs the others nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::{ChannelGate, JoinState},
    app::{Command, channel_query},
    net::AskOutcome,
};
use kith_protocol::{
    ChannelId, DeviceId, Timestamp,
    channel::{
        Act, Equivocation, Fresh, Op, OpId, Permissions, Removal, Role, RoleName, Saying,
        blob::{Blob, EpochSecrets, recipients_digest},
        sync::{Ask, Reply},
    },
    content::Text,
    crypto::hpke::{LeafPublic, LeafSecret},
    limits,
};
use kith_store::{
    Rows as _,
    table::{ChannelBlobItem, ChannelCard, ChannelCaught, ChannelItem, ChannelItemBytes, ChannelOp, ChannelSeed},
};
use kith_tests::world::{Insider, Weather, World};
use std::collections::{BTreeMap, BTreeSet};

const MALLORY: usize = 3;
const HONEST: [usize; 3] = [0, 1, 2];

/// A channel of three honest people, of whom the first made it, and Mallory, a member.
fn circle(seed: u64) -> (World, ChannelId) {
    let mut world = World::new(seed, 4, Weather::fine());
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 50, "member");
    for who in 1..4 {
        world.join(who, &code);
        world.run_for(20_000);
        assert_eq!(world.join_state(who), JoinState::Joined, "{who}");
    }
    world.run_for(60_000);
    (world, channel)
}

/// How often a person was told of something.
fn told(world: &World, who: usize, code: &str) -> usize {
    world.people[who].alerts().iter().filter(|alert| alert.code == code).count()
}

fn told_at_all(world: &World) -> Vec<String> {
    HONEST.iter().flat_map(|who| world.people[*who].alerts()).map(|alert| alert.code).collect()
}

/// How often Mallory was caught at something, as a person's member list says.
fn caught(world: &World, who: usize, channel: &ChannelId, code: &str) -> u64 {
    let account = world.people[MALLORY].account();
    let members = world.people[who].read(|rows| channel_query::members(rows, channel, world.now).unwrap()).unwrap();
    let mallory = members.into_iter().find(|m| m.account == account).unwrap();
    mallory.caught.iter().find(|caught| caught.code == code).map_or(0, |caught| caught.times)
}

fn rows<R: kith_store::Row>(world: &World, who: usize) -> Vec<R> {
    world.people[who].read(|rows| rows.all::<R>(None, usize::MAX).unwrap())
}

/// Honest members agree, and hear each other.
fn all_is_well(world: &mut World, channel: &ChannelId, members: usize, word: &str) {
    world.say(1, *channel, word);
    world.run_for(90_000);
    let state = world.channel(0, channel).unwrap().state_hash;
    for who in HONEST {
        let seen = world.channel(who, channel).unwrap();
        assert_eq!((seen.state_hash.as_str(), seen.gate), (state.as_str(), ChannelGate::Open), "{who}");
        assert_eq!(world.in_channel(who, channel).len(), members, "{who}");
        assert!(world.heard(who, channel).contains(&word.to_owned()), "{who} hears {word}");
    }
}

fn fresh_for(devices: &BTreeSet<DeviceId>) -> Fresh {
    let items = devices.len() as u32;
    Fresh { nonce: [3; 16], commit: [7; 32], recipients: recipients_digest(devices), items, root: [8; 32] }
}

fn kick(world: &World, whom: usize, fresh: Option<Fresh>) -> Act {
    let account = world.people[whom].account();
    Act::Remove(Removal { account, ban: false, reason: String::new(), cutoffs: Vec::new(), fresh })
}

#[test]
fn sec_forged_acts_of_a_member_are_refused_and_told_of_once_an_hour() {
    let (mut world, channel) = circle(11);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let right = mallory.graph.recipients_after(&kick(&world, 1, None));
    let all = mallory.graph.recipients();
    let ghost = all.iter().copied().chain([DeviceId::from_bytes([9; 32])]).collect();
    let role = |name: &str| RoleName::parse(name).unwrap();
    let acts = [
        kick(&world, 1, Some(fresh_for(&right))),
        kick(&world, 0, Some(fresh_for(&right))),
        Act::GrantRole { account: mallory.account, role: role("admin"), until: None },
        Act::DefineRole { name: role("boss"), role: Role { allow: Permissions::ALL, ..Role::default() } },
        Act::Rekey { emergency: true, fresh: fresh_for(&ghost) },
        Act::Rekey { emergency: false, fresh: fresh_for(&right) },
        Act::EpochGrant { device: DeviceId::from_bytes([9; 32]), epochs: Vec::new() },
    ];
    let sign = |mallory: &Insider, now: Timestamp| -> Vec<Vec<u8>> {
        acts.iter().map(|act| mallory.sign(&heads, act, now).encode()).collect()
    };
    let state = world.channel(0, &channel).unwrap().state_hash;
    let ops = sign(&mallory, world.now);
    let item = mallory.parcel(&epoch, ops, Vec::new(), world.now);
    mallory.puts_out(&mut world, &epoch, vec![item]);
    world.run_for(60_000);
    for who in HONEST {
        assert_eq!(told(&world, who, "operation_forbidden"), 1, "{who}");
        assert_eq!(caught(&world, who, &channel, "operation_forbidden"), acts.len() as u64, "{who}");
        assert_eq!(world.channel(who, &channel).unwrap().state_hash, state, "{who}");
    }
    // More of it is counted and not told again, until an hour is over.
    for n in 1..20 {
        let ops = sign(&mallory, world.now.plus_millis(n));
        let item = mallory.parcel(&epoch, ops, Vec::new(), world.now);
        mallory.puts_out(&mut world, &epoch, vec![item]);
        world.run_for(1_000);
    }
    assert!(HONEST.iter().all(|who| told(&world, *who, "operation_forbidden") == 1));
    world.run_for(3_600_000);
    let ops = sign(&mallory, world.now);
    let item = mallory.parcel(&epoch, ops, Vec::new(), world.now);
    mallory.puts_out(&mut world, &epoch, vec![item]);
    world.run_for(60_000);
    for who in HONEST {
        assert_eq!(told(&world, who, "operation_forbidden"), 2, "{who}");
        assert_eq!(caught(&world, who, &channel, "operation_forbidden"), 21 * acts.len() as u64, "{who}");
        assert_eq!(rows::<ChannelCaught>(&world, who).len(), 1, "one row, however often");
    }
    all_is_well(&mut world, &channel, 4, "still here");
}

#[test]
fn c05_41_r_chan_12_of_two_words_at_one_place_everybody_shows_one_and_keeps_the_proof() {
    let (mut world, channel) = circle(12);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let key = mallory.graph.device(&mallory.device).unwrap().sign_pk;
    // One generation, two words: each half hears another one first.
    for (to, text) in [(0, "yes"), (1, "no")] {
        let event = mallory.words(text, 1, heads.clone(), world.now);
        let frame = mallory.frame(&epoch, 0, &event);
        mallory.pushes(&mut world, to, &epoch, vec![frame]);
    }
    // Two generations, one number.
    for (generation, to, text) in [(1, 0, "left"), (2, 1, "right")] {
        let event = mallory.words(text, 2, heads.clone(), world.now);
        let frame = mallory.frame(&epoch, generation, &event);
        mallory.pushes(&mut world, to, &epoch, vec![frame]);
    }
    world.run_for(1_000);
    for (who, said) in [(0, ["left", "yes"]), (1, ["no", "right"])] {
        assert_eq!(sorted(world.heard(who, &channel)), said, "{who}");
    }
    world.run_for(240_000);
    let heard = sorted(world.heard(0, &channel));
    assert_eq!(heard.len(), 2, "{heard:?}");
    for who in HONEST {
        assert_eq!(sorted(world.heard(who, &channel)), heard, "{who}");
        assert_eq!(told(&world, who, "equivocation"), 1, "{who}");
        assert!(caught(&world, who, &channel, "equivocation") >= 2, "{who}");
        let row = rows::<ChannelCaught>(&world, who).into_iter().find(|row| row.proof.is_some()).unwrap();
        let proof = Equivocation::decode(channel, &row.proof.unwrap(), &key).unwrap();
        assert_eq!(proof.context().device, mallory.device);
    }
    // However many more there are, nobody grows, and all still show the same.
    let before: Vec<usize> = HONEST.iter().map(|who| rows::<ChannelItem>(&world, *who).len()).collect();
    for n in 0..60 {
        let event = mallory.words(&format!("again {n}"), 1, heads.clone(), world.now);
        let frame = mallory.frame(&epoch, 0, &event);
        mallory.pushes(&mut world, n % 3, &epoch, vec![frame]);
        world.run_for(500);
    }
    world.run_for(240_000);
    let heard: BTreeSet<String> = world.heard(0, &channel).into_iter().collect();
    assert_eq!(heard.len(), 2);
    for (who, before) in HONEST.into_iter().zip(before) {
        assert_eq!(world.heard(who, &channel).into_iter().collect::<BTreeSet<_>>(), heard, "{who}");
        assert_eq!(told(&world, who, "equivocation"), 1, "{who}");
        // A lower hash takes the place of a higher one: of sixty by chance some four or five do.
        let items = rows::<ChannelItem>(&world, who).len();
        assert!(items < before + 30, "{who}: {before} to {items}");
    }
    all_is_well(&mut world, &channel, 4, "and we go on");
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn c05_31_sec_who_was_removed_is_heard_by_nobody_under_old_keys_old_heads_and_other_names() {
    let (mut world, channel) = circle(13);
    world.say(MALLORY, channel, "while a member");
    world.say(1, channel, "before");
    world.run_for(60_000);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let old: Vec<Vec<u8>> = rows::<ChannelItemBytes>(&world, MALLORY).into_iter().map(|item| item.bytes).collect();
    world.sleep(2);
    let account = world.people[MALLORY].account();
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.run_for(60_000);
    world.wake(2);
    world.run_for(120_000);
    let said = words(&["while a member", "before"]);
    assert!(HONEST.iter().all(|who| sorted(world.heard(*who, &channel)) == sorted(said.clone())));
    let items: Vec<usize> = HONEST.iter().map(|who| rows::<ChannelItem>(&world, *who).len()).collect();
    let mut frames = Vec::new();
    // (a) On as if nothing had been, (b) with a time and heads from before, far ahead and at the place of what counts.
    let long_ago = world.now.minus_millis(120_000);
    let first = mallory.graph.ops()[0].id();
    for (generation, sequence, heads, at) in [
        (1, 2, heads.clone(), world.now),
        (2, 3, heads.clone(), long_ago),
        (3, 4, vec![first], long_ago),
        (700, 701, vec![first], long_ago),
    ] {
        let event = mallory.words(&format!("late {generation}"), sequence, heads, at);
        frames.push(mallory.frame(&epoch, generation, &event));
    }
    // In the names of those who are in.
    let (own, all) = (mallory.device, mallory.graph.recipients());
    for other in all.into_iter().filter(|device| *device != own) {
        let event = mallory.words("in another name", 9, heads.clone(), world.now);
        frames.push(mallory.frame_as(other, &epoch, 3, &event));
    }
    // (c) What others said, once more.
    frames.extend(old);
    for to in HONEST {
        mallory.pushes(&mut world, to, &epoch, frames.clone());
    }
    mallory.puts_out(&mut world, &epoch, frames);
    world.run_for(120_000);
    for (who, items) in HONEST.into_iter().zip(items) {
        assert_eq!(sorted(world.heard(who, &channel)), sorted(said.clone()), "{who}");
        assert_eq!(rows::<ChannelItem>(&world, who).len(), items, "{who} keeps nothing of it");
        assert_eq!(told(&world, who, "after_removal"), 1, "{who}");
        assert_eq!(told(&world, who, "channel_forgery"), 1, "{who}");
    }
    all_is_well(&mut world, &channel, 3, "without her");
    assert!(!world.heard(MALLORY, &channel).contains(&"without her".to_owned()));
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

#[test]
fn sec_backdated_acts_of_who_was_removed_are_refused_by_everybody_and_told_of() {
    let (mut world, channel) = circle(14);
    let account = world.people[MALLORY].account();
    world.act(0, Command::MemberRole { channel, account, role: "admin".into(), give: true, for_ms: None });
    world.run_for(60_000);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    world.act(0, Command::MemberRemove { channel, account, ban: true, reason: String::new() });
    world.run_for(60_000);
    let state = world.channel(0, &channel).unwrap().state_hash;
    let bob = world.people[1].account();
    let role = |name: &str| RoleName::parse(name).unwrap();
    let acts = [
        kick(&world, 1, None),
        Act::GrantRole { account: bob, role: role("admin"), until: None },
        Act::RevokeRole { account: bob, role: role("member") },
        Act::DefineRole { name: role("door"), role: Role { allow: Permissions::ALL, ..Role::default() } },
        Act::Mute { account: bob, on: true, until: None },
        Act::Rekey { emergency: false, fresh: fresh_for(&mallory.graph.recipients()) },
        Act::Set(kith_protocol::channel::Setting::RetentionDays(1)),
        Act::EpochGrant { device: mallory.device, epochs: vec![*epoch.as_bytes()] },
    ];
    let at = world.now.minus_millis(120_000);
    let ops: Vec<Vec<u8>> = acts.iter().map(|act| mallory.sign(&heads, act, at).encode()).collect();
    let item = mallory.parcel(&epoch, ops, Vec::new(), world.now);
    for to in HONEST {
        mallory.pushes(&mut world, to, &epoch, vec![item.clone()]);
    }
    world.run_for(120_000);
    for who in HONEST {
        assert_eq!(world.channel(who, &channel).unwrap().state_hash, state, "{who}");
        assert_eq!(told(&world, who, "after_removal"), 1, "{who}: {:?}", told_at_all(&world));
        assert_eq!(told(&world, who, "operation_forbidden"), 0, "whoever had not heard would do the same");
    }
    all_is_well(&mut world, &channel, 3, "without her");
    assert!(!world.heard(MALLORY, &channel).contains(&"without her".to_owned()));
}

/// Fields of protocol buffers, as nobody here would write them.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

#[test]
fn c05_44_bombs_of_operations_cost_nobody_room_and_stop_nobody() {
    let (mut world, channel) = circle(15);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let ops: Vec<usize> = HONEST.iter().map(|who| rows::<ChannelOp>(&world, *who).len()).collect();
    // One operation with a thousand parents: as many as a parcel has room for, and far more than one may name.
    let mut payload = vec![1 << 3, 1];
    payload.extend(field(2, channel.as_bytes()));
    (0..1_000u32).for_each(|n| {
        let mut parent = [0; 32];
        parent[..4].copy_from_slice(&n.to_be_bytes());
        payload.extend(field(3, &parent));
    });
    let bomb = [field(1, &payload), field(2, &[1; 64])].concat();
    assert!(Op::decode(&bomb, world.now).is_err() && bomb.len() < limits::PARCEL_BYTES);
    let item = mallory.parcel(&epoch, vec![bomb, vec![0xff; 900], Vec::new()], Vec::new(), world.now);
    mallory.puts_out(&mut world, &epoch, vec![item]);
    // A log of which only the far end is shown: every one of them follows what nobody knows.
    let act = Act::EpochGrant { device: mallory.device, epochs: Vec::new() };
    let mut tip = OpId::from_bytes([5; 32]);
    let mut log = Vec::new();
    for n in 0..2_000 {
        let op = mallory.sign(&[tip], &act, world.now.plus_millis(n));
        tip = op.id();
        log.push(op.encode());
    }
    for ops in log.chunks(100) {
        let item = mallory.parcel(&epoch, ops.to_vec(), Vec::new(), world.now);
        mallory.puts_out(&mut world, &epoch, vec![item]);
        world.run_for(500);
    }
    // And signed by nobody.
    let good = mallory.sign(&heads, &act, world.now).encode();
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let item = mallory.parcel(&epoch, vec![forged], Vec::new(), world.now);
    mallory.puts_out(&mut world, &epoch, vec![item]);
    world.run_for(120_000);
    for (who, ops) in HONEST.into_iter().zip(ops) {
        assert_eq!(rows::<ChannelOp>(&world, who).len(), ops, "{who} took in nothing");
        assert!(rows::<ChannelItem>(&world, who).len() < 200, "{who}");
        assert_eq!(told(&world, who, "channel_forgery"), 1, "{who}");
    }
    all_is_well(&mut world, &channel, 4, "unmoved");
}

#[test]
fn r_mem_11_who_puts_forty_operations_side_by_side_keeps_nobody_from_speaking() {
    let (mut world, channel) = circle(16);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let act = Act::EpochGrant { device: mallory.device, epochs: Vec::new() };
    let ops: Vec<Vec<u8>> = (0..40).map(|n| mallory.sign(&heads, &act, world.now.plus_millis(n)).encode()).collect();
    let item = mallory.parcel(&epoch, ops, Vec::new(), world.now);
    mallory.puts_out(&mut world, &epoch, vec![item]);
    world.run_for(5_000);
    let more = rows::<ChannelOp>(&world, 1).len();
    assert!(more > 40, "they hold, each by itself: {more}");
    all_is_well(&mut world, &channel, 4, "side by side");
    world.act(0, Command::ChannelRekey { channel, emergency: false });
    world.run_for(60_000);
    all_is_well(&mut world, &channel, 4, "under new keys");
    assert!(world.heard(MALLORY, &channel).contains(&"under new keys".to_owned()));
}

/// Mallory makes keys anew; what is in the items she serves, if any, `secrets` says.
fn rekey(world: &mut World, channel: ChannelId, secrets: Option<&EpochSecrets>) {
    let mut mallory = Insider::of(world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let cards: Vec<ChannelCard> = rows(world, MALLORY);
    let keys: BTreeMap<DeviceId, LeafPublic> =
        cards.iter().map(|card| (card.device, LeafPublic::parse(&card.leaf).unwrap())).collect();
    let devices = mallory.graph.recipients();
    let to: BTreeMap<DeviceId, &LeafPublic> = devices.iter().map(|device| (*device, &keys[device])).collect();
    let (promised, nonce) = (EpochSecrets::random(mallory.rng()), [4; 16]);
    let (commit, recipients) = (promised.commit(), recipients_digest(&devices));
    let context = Op::rekey_context(Some(&channel), &mallory.device, &heads, &nonce, &commit, &recipients);
    let blob = Blob::seal(&context, &to, secrets.unwrap_or(&promised), mallory.rng()).unwrap();
    let fresh = Fresh { nonce, commit, recipients, items: blob.pins.count, root: blob.pins.root };
    let op = mallory.sign(&heads, &Act::Rekey { emergency: false, fresh }, world.now);
    let item = mallory.parcel(&epoch, vec![op.encode()], Vec::new(), world.now);
    if secrets.is_some() {
        world.sleep(MALLORY);
        world.people[MALLORY].tamper(|_, writes| {
            for (place, item) in (0..).zip(&blob.items) {
                let row = ChannelBlobItem { op: *op.id().as_bytes(), place, item: item.encode() };
                writes.put(&row).unwrap();
            }
        });
        world.wake(MALLORY);
    }
    mallory.puts_out(world, &epoch, vec![item]);
}

#[test]
fn c05_37_r_epoch_11_keys_that_do_not_open_name_their_maker_and_stop_nobody() {
    let (mut world, channel) = circle(17);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (promised, others) = (EpochSecrets::random(mallory.rng()), EpochSecrets::random(mallory.rng()));
    assert_ne!(promised.commit(), others.commit());
    rekey(&mut world, channel, Some(&others));
    world.run_for(20_000);
    assert!(HONEST.iter().any(|who| told(&world, *who, "rekey_poisoned") > 0), "{:?}", told_at_all(&world));
    world.sleep(MALLORY);
    world.run_for(240_000);
    for who in HONEST {
        assert!(told(&world, who, "rekey_poisoned") <= 1, "{who}");
    }
    all_is_well(&mut world, &channel, 4, "under our own");
    world.wake(MALLORY);
    world.run_for(240_000);
    assert!(world.heard(MALLORY, &channel).contains(&"under our own".to_owned()), "she is still in");
}

#[test]
fn c05_37_r_epoch_11_keys_that_nobody_was_given_are_made_anew_after_a_while() {
    let (mut world, channel) = circle(18);
    rekey(&mut world, channel, None);
    world.run_for(2_000);
    world.sleep(MALLORY);
    world.run_for(240_000);
    assert!(HONEST.iter().all(|who| world.channel(*who, &channel).unwrap().gate == ChannelGate::WaitingForKeys));
    world.run_for(900_000);
    assert!(HONEST.iter().any(|who| told(&world, *who, "rekey_withheld") == 1), "{:?}", told_at_all(&world));
    all_is_well(&mut world, &channel, 4, "under our own");
    // Who was away all the time comes to the same keys.
    world.wake(MALLORY);
    world.run_for(240_000);
    assert!(world.heard(MALLORY, &channel).contains(&"under our own".to_owned()));
}

#[test]
fn c05_60_junk_with_good_headers_and_words_in_other_names_leave_nothing_behind() {
    let (mut world, channel) = circle(19);
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let victims: Vec<DeviceId> = mallory.graph.recipients().into_iter().filter(|d| *d != mallory.device).collect();
    let items: Vec<usize> = HONEST.iter().map(|who| rows::<ChannelItem>(&world, *who).len()).collect();
    let mut frames = Vec::new();
    for n in 0..40 {
        let event = mallory.words("not what it seems", 1 + n, heads.clone(), world.now);
        // In another's name, at places that were used, come next, or lie far ahead.
        for victim in &victims {
            frames.push(mallory.frame_as(*victim, &epoch, [0, 1, 9, 4_000][n as usize % 4], &event));
        }
        // A good header before a body of nothing.
        let mut junk = mallory.frame(&epoch, n as u32, &event);
        let last = junk.len() - 1;
        junk[last] ^= 1;
        frames.push(junk);
    }
    frames.extend((0..50).map(|n| vec![n; 700]));
    for to in HONEST {
        mallory.pushes(&mut world, to, &epoch, frames.clone());
        world.run_for(5_000);
    }
    mallory.puts_out(&mut world, &epoch, frames);
    world.run_for(60_000);
    for (who, items) in HONEST.into_iter().zip(items) {
        assert_eq!(rows::<ChannelItem>(&world, who).len(), items, "{who}");
        assert_eq!(told(&world, who, "channel_forgery"), 1, "{who}");
        assert_eq!(world.heard(who, &channel), [""; 0], "{who}");
    }
    // Nobody's chain was moved: all of them are heard.
    for who in 0..4 {
        world.say(who, channel, &format!("{who}"));
        world.run_for(5_000);
    }
    all_is_well(&mut world, &channel, 4, "all");
    for who in HONEST {
        assert_eq!(sorted(world.heard(who, &channel)), words(&["0", "1", "2", "3", "all"]), "{who}");
    }
}

#[test]
fn r_mem_12_who_changes_the_words_of_others_or_speaks_unasked_is_told_of() {
    let (mut world, channel) = circle(20);
    world.say(1, channel, "mine");
    let account = world.people[MALLORY].account();
    world.act(0, Command::MemberMute { channel, account, on: true, for_ms: None });
    world.run_for(60_000);
    let target = {
        let place = kith_node::api::types::Conversation::Channel(channel);
        let all = world.people[0].read(|rows| kith_node::app::query::messages(rows, &place, None, None, 9).unwrap());
        all[0].id
    };
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let (epoch, heads) = (mallory.epoch(), mallory.graph.heads());
    let mut events = Vec::new();
    for saying in [
        Saying::Edit { target, text: Text::new("hers".to_owned()).unwrap() },
        Saying::Delete { target },
        Saying::React { target, emoji: "!".into(), on: true },
        Saying::Pin { target, on: true },
        Saying::Text { text: Text::new("unasked".to_owned()).unwrap(), reply_to: None, mentions: Vec::new() },
    ] {
        // Her own node says what it has, too: what she says herself comes far behind that.
        let sequence = 101 + events.len() as u64;
        events.push(kith_protocol::channel::Event { saying, ..mallory.words("x", sequence, heads.clone(), world.now) });
    }
    let frames: Vec<Vec<u8>> = events.iter().zip(100..).map(|(event, n)| mallory.frame(&epoch, n, event)).collect();
    mallory.puts_out(&mut world, &epoch, frames);
    world.run_for(120_000);
    for who in HONEST {
        assert_eq!(world.heard(who, &channel), ["mine"], "{who}");
        assert_eq!(told(&world, who, "message_forbidden"), 1, "{who}: {:?}", told_at_all(&world));
        assert_eq!(caught(&world, who, &channel, "message_forbidden"), 5, "{who}");
        let kept = |row: &&ChannelSeed| row.device == mallory.device && row.sequence > 100;
        assert_eq!(rows::<ChannelSeed>(&world, who).iter().filter(kept).count(), 0);
    }
    all_is_well(&mut world, &channel, 4, "and we go on");
}

#[test]
fn c05_32_who_hears_of_a_removal_from_anybody_sends_under_new_keys_whatever_the_removed_leaves_out() {
    let (mut world, channel) = circle(21);
    world.sleep(2);
    let account = world.people[MALLORY].account();
    world.sleep(MALLORY);
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.run_for(60_000);
    // Who comes back meets only the removed one, whose node has not heard of it either.
    world.weather.side = [2, MALLORY].into();
    world.wake(MALLORY);
    world.wake(2);
    world.run_for(120_000);
    world.say(2, channel, "only us two");
    world.run_for(60_000);
    assert!(world.heard(MALLORY, &channel).contains(&"only us two".to_owned()), "nothing can be done about that");
    let old = Insider::of(&world, 2, channel).epoch();
    // Then somebody else is reached too.
    world.heal();
    world.run_for(180_000);
    assert_eq!(world.in_channel(2, &channel).len(), 3);
    let mut now = Insider::of(&world, 2, channel);
    let epoch = now.epoch();
    assert_ne!(epoch, old);
    assert!(!now.epochs.any_can_derive(&epoch, &now.graph.outsiders()));
    assert_ne!(now.topic(&epoch), now.topic(&old));
    world.say(2, channel, "among ourselves");
    all_is_well(&mut world, &channel, 3, "again");
    for who in HONEST {
        assert!(world.heard(who, &channel).contains(&"among ourselves".to_owned()), "{who}");
    }
    assert!(!world.heard(MALLORY, &channel).contains(&"among ourselves".to_owned()));
}

#[test]
fn c05_45_keys_are_handed_to_nobody_who_was_removed_and_a_question_said_again_gives_its_sayer_nothing() {
    let (mut world, channel) = circle(22);
    let leaf = LeafSecret::random(Insider::of(&world, MALLORY, channel).rng());
    let account = world.people[MALLORY].account();
    let mut mallory = Insider::of(&world, MALLORY, channel);
    let mut honest = Insider::of(&world, 2, channel);
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.run_for(60_000);
    let mut now = Insider::of(&world, 0, channel);
    let epoch = now.epoch();
    let handed = |outcome: AskOutcome| match outcome {
        AskOutcome::Answered(bytes) => Reply::decode(&bytes).unwrap().items,
        other => panic!("{other:?}"),
    };
    // With a card of her own, though she knew topic and epoch.
    let topics = [now.topic(&epoch), mallory.topic(&mallory.epoch())];
    for topic in topics {
        let card = mallory.card(&world, &leaf);
        for to in HONEST {
            let ask = Ask::Keys { topics: vec![topic], epoch, card: card.clone() };
            assert_eq!(handed(world.ask_as(MALLORY, to, ask.encode())), Vec::<Vec<u8>>::new(), "{to}");
        }
    }
    // The card of one who belongs: the answer opens by that one's leaf key alone.
    let theirs = LeafSecret::random(honest.rng());
    let card = honest.card(&world, &theirs);
    let ask = Ask::Keys { topics: vec![topics[0]], epoch, card };
    let items = handed(world.ask_as(MALLORY, 0, ask.encode()));
    assert_eq!(items.len(), 1, "who belongs is answered");
    assert!(kith_protocol::channel::Welcome::open(&items[0], &channel, &leaf).is_err());
    assert!(kith_protocol::channel::Welcome::open(&items[0], &channel, &theirs).is_ok());
    // An epoch that was is handed to who was given it and belongs, and opens for that one alone.
    let before = mallory.epoch();
    let of_hers = Ask::Keys { topics: vec![topics[1]], epoch: before, card: mallory.card(&world, &leaf) };
    assert_eq!(handed(world.ask_as(MALLORY, 0, of_hers.encode())), Vec::<Vec<u8>>::new());
    let ask = Ask::Keys { topics: vec![topics[1]], epoch: before, card: honest.card(&world, &theirs) };
    let items = handed(world.ask_as(MALLORY, 0, ask.encode()));
    assert!(kith_protocol::channel::Welcome::open(&items[0], &channel, &leaf).is_err());
    assert!(kith_protocol::channel::Welcome::open(&items[0], &channel, &theirs).is_ok());
}

#[test]
fn c05_62_the_topic_that_nodes_follow_moves_with_each_lineage_and_with_no_join() {
    let (mut world, channel) = circle(23);
    let topic = |world: &World| {
        let topics: BTreeSet<[u8; 32]> = HONEST.iter().map(|who| Insider::of(world, *who, channel).row.topic).collect();
        assert_eq!(topics.len(), 1, "all follow the same");
        *topics.first().unwrap()
    };
    let mut seen = BTreeSet::from([topic(&world)]);
    for n in 0..3 {
        world.act(n, Command::ChannelRekey { channel, emergency: n == 2 });
        world.run_for(60_000);
        assert!(seen.insert(topic(&world)), "{n}");
    }
    let account = world.people[MALLORY].account();
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.run_for(60_000);
    assert!(seen.insert(topic(&world)));
    let code = world.invite(0, channel, 5, "member");
    world.join(MALLORY, &code);
    world.run_for(120_000);
    assert_eq!(world.join_state(MALLORY), JoinState::Joined);
    assert!(!seen.insert(topic(&world)), "who comes in moves nothing");
}
