//! More than anybody needs, and what it costs.

use super::{judgements, kit::*};
use crate::{
    channel::{Act, BadOp, Epochs, Error, Graph, Op, OpId, Refused, Signatures},
    crypto::sign::Signature,
    limits::{CHANNEL_OPS_MAX, CHANNEL_PARENTS_MAX},
    proto::channel as proto,
    wire::{self, Signed},
};

/// Writes an operation without spending a signature on it: as it would lie in a store.
fn unsigned(branch: &Branch, who: Who, parents: &[OpId], kind: u32, body: &[u8]) -> Result<Op, BadOp> {
    let payload = wire::encode(&proto::Op {
        version: 1,
        channel: branch.channel().as_bytes().to_vec(),
        parents: parents.iter().map(|p| p.as_bytes().to_vec()).collect(),
        account: who.id().as_bytes().to_vec(),
        device: who.device().as_bytes().to_vec(),
        at_ms: tick().as_millis(),
        kind,
        body: body.to_vec(),
    });
    Op::decode(&Signed { payload, signature: Signature([0; 64]) }.encode(), tick())
}

fn unmuted(whom: Who) -> Vec<u8> {
    wire::encode(&proto::Mute { account: whom.id().as_bytes().to_vec(), on: false, until_ms: 0 })
}

fn ops(branch: &Branch) -> Vec<Op> {
    branch.graph.ops().iter().map(|op| Op::clone(op)).collect()
}

/// How many operations make a flood in everyday runs; in full ones a few fewer than a channel has room for.
fn flood() -> usize {
    cases(8_000, CHANNEL_OPS_MAX - 8)
}

#[test]
fn c05_44_r_mem_11_ten_thousand_parents_are_refused_at_decoding() {
    let here = Branch::new();
    let parents: Vec<OpId> = (0..10_000u32)
        .map(|n| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            OpId::from_bytes(id)
        })
        .collect();
    let too_many = unsigned(&here, ALICE, &parents[..CHANNEL_PARENTS_MAX + 1], 15, &unmuted(ALICE));
    assert!(matches!(too_many, Err(BadOp::Wire(wire::Error::TooMany { .. }))), "{too_many:?}");
    let far_too_many = unsigned(&here, ALICE, &parents, 15, &unmuted(ALICE));
    assert!(matches!(far_too_many, Err(BadOp::Wire(wire::Error::TooLarge { .. }))), "{far_too_many:?}");
    assert!(unsigned(&here, ALICE, &parents[..CHANNEL_PARENTS_MAX], 15, &unmuted(ALICE)).is_ok());
    let twice = [parents[0], parents[0]];
    assert_eq!(unsigned(&here, ALICE, &twice, 15, &unmuted(ALICE)).err(), Some(BadOp::Wire(wire::Error::NotCanonical)));
}

#[test]
fn c05_44_a_million_operations_that_follow_nothing_known_cost_no_judgement() {
    let mut here = Branch::with(&[(BOB, "member")]);
    let unknown = unsigned(&here, BOB, &[OpId::from_bytes([1; 32])], 15, &unmuted(BOB)).unwrap();
    let stranger = unsigned(&here, FRED, &here.graph.heads(), 15, &unmuted(BOB)).unwrap();
    let known = Op::clone(&here.graph.ops()[1]);
    let forged = unsigned(&here, BOB, &here.graph.heads(), 15, &unmuted(BOB)).unwrap();
    assert_eq!(here.graph.add(forged), Err(Error::BadSignature));
    let (count, before) = (cases(100_000, 1_000_000), here.graph.ops().len());
    let ((), judged) = judgements(|| {
        for _ in 0..count / 3 {
            assert_eq!(here.graph.add(unknown.clone()), Err(Error::Missing(vec![OpId::from_bytes([1; 32])])));
            assert_eq!(here.graph.add(stranger.clone()), Err(Error::UnknownDevice));
            assert!(!here.graph.add(known.clone()).unwrap().new);
        }
    });
    assert_eq!((judged, here.graph.ops().len()), (0, before));
}

#[test]
fn c05_44_r_mem_11_a_deep_chain_and_a_wide_fan_are_judged_once_each() {
    let base = Branch::with(&[(BOB, "member"), (CARL, "moderator")]);
    let mut deep = ops(&base);
    let first = deep.len();
    while deep.len() < flood() {
        let last = deep[deep.len() - 1].id();
        deep.push(unsigned(&base, CARL, &[last], 15, &unmuted(BOB)).unwrap());
    }
    let (graph, judged) = judgements(|| Graph::load(deep.iter().cloned(), Signatures::Verified).unwrap());
    assert!(judged <= 2 * deep.len() as u64, "{judged}");
    assert!((first..graph.ops().len()).all(|at| graph.refused(at).is_none()));
    assert_eq!(Epochs::of(&graph).current(), Epochs::of(&base.graph).current());

    let mut wide = ops(&base);
    while wide.len() < flood() {
        wide.push(unsigned(&base, CARL, &[base.last()], 15, &unmuted(BOB)).unwrap());
    }
    let (graph, judged) = judgements(|| Graph::load(wide.iter().cloned(), Signatures::Verified).unwrap());
    assert!(judged <= 2 * wide.len() as u64, "{judged}");
    assert_eq!(graph.heads().len(), wide.len() - first);
    assert_eq!(Epochs::of(&graph).current(), Epochs::of(&base.graph).current());
    // Nobody is kept from going on: what is done names as many as can be named, and what holds.
    let mut here = Branch { graph };
    here.does(ALICE, &rekey());
    assert_eq!(here.graph.heads().len(), wide.len() - first - CHANNEL_PARENTS_MAX + 1);
    let removal = here.does_afresh(ALICE, &kick(CARL));
    assert!(here.holds(&removal) && here.graph.front().contains(&removal));
}

#[test]
fn c05_44_a_removed_member_who_floods_a_contested_channel_costs_a_few_judgements_each() {
    let mut here = Branch::with(&[(BOB, "owner"), (CARL, "owner"), (DORA, "moderator")]);
    let mut there = here.clone();
    let before = there.last();
    here.does(BOB, &kick(CARL));
    there.does(CARL, &kick(BOB));
    there.does(CARL, &kick(DORA));
    here.meets(&mut there);
    let mut all = ops(&here);
    // Carl writes removals, grants and keys, one behind the other, as if he had not been removed.
    let remove = wire::encode(&proto::Remove { account: DORA.id().as_bytes().to_vec(), ..Default::default() });
    let mut last = before;
    let first = all.len();
    while all.len() < flood() {
        let (kind, body) = if all.len().is_multiple_of(2) { (3, remove.clone()) } else { (15, unmuted(DORA)) };
        let op = unsigned(&here, CARL, &[last], kind, &body).unwrap();
        last = op.id();
        all.push(op);
    }
    let (graph, judged) = judgements(|| Graph::load(all.iter().cloned(), Signatures::Verified).unwrap());
    assert!(judged <= 24 * all.len() as u64, "{judged} for {}", all.len());
    assert!((first..graph.ops().len()).all(|at| graph.refused(at).is_some()));
    assert!(graph.is_member(&DORA.id()) && graph.is_member(&ALICE.id()) && !graph.is_member(&CARL.id()));
    let ((), judged) = judgements(|| drop(Epochs::of(&graph)));
    assert_eq!(judged, 0, "what authors saw is not found out again");
    // And the others go on at the usual price.
    let mut here = Branch { graph };
    let (_, judged) = judgements(|| here.does(ALICE, &rekey()));
    assert!(judged <= 4, "{judged}");
}

#[test]
fn c05_44_long_branches_in_a_contested_channel_are_looked_back_on_once() {
    let mut base = Branch::with(&[(BOB, "owner"), (CARL, "owner"), (DORA, "moderator"), (EVE, "moderator")]);
    let mut other = base.clone();
    base.does(BOB, &kick(CARL));
    other.does(CARL, &kick(BOB));
    base.meets(&mut other);
    // Two branches of keys, each long, and a removal at the end of the first that strikes the second.
    let (mut one, mut two) = (base.clone(), base);
    let steps = cases(300, 2_000);
    for _ in 0..steps {
        one.does(EVE, &rekey());
        two.does(DORA, &rekey());
    }
    one.does(ALICE, &kick(DORA));
    let both: Vec<Op> = [ops(&one), ops(&two)].concat();
    let (graph, judged) = judgements(|| Graph::load(both.iter().cloned(), Signatures::Verified).unwrap());
    assert!(judged <= 24 * graph.ops().len() as u64, "{judged} for {}", graph.ops().len());
    one.hears(&two);
    assert_eq!(one.graph.state_hash(), graph.state_hash());
    assert_eq!(Epochs::of(&one.graph).current(), Epochs::of(&graph).current());
}

#[test]
fn c05_44_r_mem_11_a_full_channel_takes_no_more_and_keeps_half_its_room_for_members() {
    let mut base = Branch::with(&[(BOB, "member"), (CARL, "moderator")]);
    base.does(ALICE, &kick(BOB));
    let mut all = ops(&base);
    let mut last = base.last();
    while all.len() < CHANNEL_OPS_MAX / 2 {
        let op = unsigned(&base, CARL, &[last], 15, &unmuted(ALICE)).unwrap();
        last = op.id();
        all.push(op);
    }
    let mut here = Branch { graph: Graph::load(all, Signatures::Verified).unwrap() };
    let op = here.forged(BOB, &here.graph.heads(), &call_it("x"));
    assert_eq!(here.graph.add(op), Err(Error::Full));
    assert_eq!(here.tries(CARL, &call_it("x")).1, Some(Refused::Lacks(crate::channel::Permission::EditMeta)));
    if std::env::var_os("KITH_FULL").is_some() {
        let mut all = ops(&here);
        let mut last = here.last();
        while all.len() < CHANNEL_OPS_MAX {
            let op = unsigned(&base, CARL, &[last], 15, &unmuted(ALICE)).unwrap();
            last = op.id();
            all.push(op);
        }
        let mut here = Branch { graph: Graph::load(all, Signatures::Verified).unwrap() };
        let op = here.forged(ALICE, &here.graph.heads(), &call_it("x"));
        assert_eq!(here.graph.add(op), Err(Error::Full));
    }
}

#[test]
fn what_does_not_belong_into_a_graph_changes_nothing() {
    let mut here = Branch::with(&[(BOB, "member")]);
    let hash = here.graph.state_hash();
    let second = creation(BOB, &BOB.person().one);
    assert_eq!(here.graph.add(second.clone()), Err(Error::OtherChannel));
    assert!(matches!(Graph::create(Op::clone(&here.graph.ops()[1])), Err(Error::NotFirst)));
    assert!(matches!(Graph::load([], Signatures::Verify), Err(Error::NotFirst)));
    assert!(matches!(
        Graph::load([second.clone(), Op::clone(&here.graph.ops()[1])], Signatures::Verify),
        Err(Error::OtherChannel)
    ));
    let others = fresh_for(&[BOB.device()].into());
    let Act::Create { nonce, devices, name, .. } = second.act().clone() else { panic!() };
    let ghost = crate::channel::Fresh { items: 2, ..others };
    let act = Act::Create { nonce, devices, name, fresh: ghost };
    let op = Op::sign(&BOB.author(), None, &[], tick(), &act).unwrap();
    assert_eq!(Graph::create(op).err(), Some(Error::First(Refused::WrongRecipients)));
    let stolen =
        Op::sign(&crate::channel::OpAuthor { key: CARL.author().key, ..BOB.author() }, None, &[], tick(), second.act());
    assert!(matches!(Graph::create(stolen.unwrap()), Err(Error::BadSignature)));
    assert_eq!(here.graph.state_hash(), hash);
}
