//! Whatever the order in which operations come, they add up to the same.

use super::{chance::*, kit::*};
use crate::channel::{Act, Epochs, Graph, InviteTerms, Op, OpId, Permission as P, Permissions, Signatures};
use std::collections::BTreeSet;

/// Makes nothing of what a branch's part returns.
fn done<T>(_: T) {}

/// What everybody must agree on.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    state: [u8; 32],
    people: Vec<(Who, Vec<String>)>,
    epoch: [u8; 32],
    recipients: usize,
    refused: BTreeSet<OpId>,
    forbidden: BTreeSet<OpId>,
}

fn outcome(graph: &Graph, epochs: &Epochs) -> Outcome {
    let branch = Branch { graph: graph.clone() };
    Outcome {
        state: graph.state_hash(),
        people: (0..PEOPLE).map(Who).filter(|w| branch.is_in(*w)).map(|w| (w, branch.roles(w))).collect(),
        epoch: *epochs.current().unwrap().as_bytes(),
        recipients: graph.recipients().len(),
        refused: graph.ops().iter().map(|op| op.id()).filter(|id| !branch.holds(id)).collect(),
        forbidden: forbidden(graph).collect(),
    }
}

fn forbidden(graph: &Graph) -> impl Iterator<Item = OpId> {
    graph.ops().iter().enumerate().filter(|(at, _)| graph.forbidden(*at).is_some()).map(|(_, op)| op.id())
}

/// Delivers operations in every order that has parents first; returns how many there were.
fn every_order(base: &Branch, ops: &[Op]) -> usize {
    let mut orders = Orders { ops, outcome: None, count: 0 };
    orders.deliver(&base.graph, &Epochs::of(&base.graph), 0);
    orders.count
}

struct Orders<'a> {
    ops: &'a [Op],
    outcome: Option<Outcome>,
    count: usize,
}

impl Orders<'_> {
    fn deliver(&mut self, graph: &Graph, epochs: &Epochs, delivered: u32) {
        if delivered.count_ones() as usize == self.ops.len() {
            let found = outcome(graph, epochs);
            if self.count.is_multiple_of(64) {
                assert_eq!(graph.found, graph.resolved_anew());
                let loaded = Graph::load(graph.ops().iter().map(|op| Op::clone(op)), Signatures::Verified).unwrap();
                assert_eq!(outcome(&loaded, &Epochs::of(&loaded)), found);
            }
            let expected = self.outcome.get_or_insert_with(|| outcome(graph, epochs));
            assert_eq!(found, *expected);
            self.count += 1;
            return;
        }
        for (n, op) in self.ops.iter().enumerate().filter(|(n, _)| delivered & 1 << n == 0) {
            if op.parents().iter().all(|p| graph.position(p).is_some()) {
                let (mut graph, mut epochs) = (graph.clone(), epochs.clone());
                graph.add(op.clone()).unwrap();
                epochs.extend(&graph);
                self.deliver(&graph, &epochs, delivered | 1 << n);
            }
        }
    }
}

/// Collects what branches did since they knew the same.
fn since(base: &Branch, branches: &[Branch]) -> Vec<Op> {
    let mut seen: BTreeSet<OpId> = base.graph.ops().iter().map(|op| op.id()).collect();
    let all = branches.iter().flat_map(|b| b.graph.ops());
    all.filter(|op| seen.insert(op.id())).map(|op| Op::clone(op)).collect()
}

/// What is done on one branch.
type Part<'a> = Box<dyn Fn(&mut Branch) + 'a>;

/// Lets each branch do its part, then all of them hear of each other in every order.
fn family(base: &Branch, parts: &[Part<'_>]) -> (usize, usize) {
    let branches: Vec<Branch> = parts
        .iter()
        .map(|part| {
            let mut branch = base.clone();
            part(&mut branch);
            branch
        })
        .collect();
    let ops = since(base, &branches);
    assert!(ops.len() <= 7, "{}", ops.len());
    (ops.len(), every_order(base, &ops))
}

fn staff() -> Branch {
    let mut base = Branch::with(&[(BOB, "owner"), (CARL, "owner"), (DORA, "admin"), (EVE, "member")]);
    base.does(ALICE, &define("helper", Permissions::of(&[P::Kick, P::Pin])));
    base
}

fn joined(mut a: Branch, b: &Branch) -> Branch {
    a.hears(b);
    a
}

#[test]
fn c05_36_every_order_of_delivery_gives_the_same_state() {
    let base = staff();
    let channel = base.channel();
    let code = Code::new(&channel, 1);
    let mut invited = base.clone();
    let invite = invited.does(BOB, &Act::PostInvite(InviteTerms { uses: 1, ..code.terms("member", 1) }));
    let uses = |by: Who, whom: Who, nonce| {
        let act = code.admits(&channel, invite, whom, "member", nonce);
        move |b: &mut Branch| done(b.does(by, &act))
    };
    let two_devices = {
        let mut base = base.clone();
        base.does(BOB, &tell(BOB, &BOB.person().two));
        base
    };
    let families: Vec<(&str, &Branch, Vec<Part<'_>>)> = vec![
        (
            "mutual removal",
            &base,
            vec![
                Box::new(|b| {
                    done((b.does_afresh(BOB, &kick(CARL)), b.does(BOB, &mute(EVE, true)), b.does(BOB, &kick(DORA))))
                }),
                Box::new(|b| {
                    done((b.does(CARL, &rekey()), b.does_afresh(CARL, &kick(BOB)), b.does(CARL, &grant(EVE, "admin"))))
                }),
            ],
        ),
        (
            "three in a circle",
            &base,
            vec![
                Box::new(|b| done((b.does_afresh(BOB, &kick(CARL)), b.does(BOB, &admit(FRED, "member"))))),
                Box::new(|b| done((b.does_afresh(CARL, &kick(DORA)), b.does(CARL, &admit(Who(6), "member"))))),
                Box::new(|b| done((b.does(ALICE, &grant(DORA, "owner")), b.does_afresh(DORA, &kick(BOB))))),
            ],
        ),
        (
            "removed and let in again",
            &base,
            vec![
                Box::new(|b| {
                    done((b.does_afresh(BOB, &kick(EVE)), b.does(BOB, &admit(EVE, "member")), b.does(EVE, &rekey())))
                }),
                Box::new(|b| done((b.does(DORA, &kick(EVE)), b.does(DORA, &admit(EVE, "reader"))))),
                Box::new(|b| done(b.does(EVE, &rekey()))),
            ],
        ),
        (
            "demoted and promoted",
            &base,
            vec![
                Box::new(|b| done((b.does(BOB, &revoke(DORA, "admin")), b.does(BOB, &grant(EVE, "moderator"))))),
                Box::new(|b| {
                    done((b.does(CARL, &grant(DORA, "moderator")), b.does(DORA, &kick(EVE)), b.does(DORA, &rekey())))
                }),
                Box::new(|b| done(b.does(CARL, &grant(DORA, "admin")))),
            ],
        ),
        (
            "the creator and an admin",
            &base,
            vec![
                Box::new(|b| done((b.does_afresh(ALICE, &kick(DORA)), b.does(ALICE, &call_it("mine"))))),
                Box::new(|b| {
                    done((
                        b.tries(DORA, &kick(ALICE)),
                        b.tries(DORA, &revoke(ALICE, "owner")),
                        b.does(DORA, &call_it("ours")),
                    ))
                }),
                Box::new(|b| {
                    done((
                        b.does(BOB, &define_role("gag", &[], Permissions::NONE, Permissions::ALL)),
                        b.does(BOB, &grant(ALICE, "gag")),
                    ))
                }),
            ],
        ),
        (
            "let in by a removed one",
            &base,
            vec![
                Box::new(|b| done((b.does_afresh(ALICE, &kick(DORA)), b.does(ALICE, &call_it("mine"))))),
                Box::new(|b| {
                    done((b.does(DORA, &admit(FRED, "member")), b.does(FRED, &rekey()), b.does(FRED, &admit_nobody())))
                }),
            ],
        ),
        (
            "let in by a removed one, and keys by another",
            &base,
            vec![
                Box::new(|b| done((b.does_afresh(ALICE, &kick(DORA)), b.does(ALICE, &call_it("mine"))))),
                Box::new(|b| {
                    done((b.does(DORA, &admit(FRED, "member")), b.does(BOB, &rekey()), b.does(FRED, &rekey())));
                    b.does(DORA, &kick(EVE));
                }),
            ],
        ),
        (
            "too many by one invite",
            &invited,
            vec![
                Box::new(uses(BOB, FRED, 1)),
                Box::new(uses(CARL, Who(6), 2)),
                Box::new(|b| done((uses(DORA, Who(7), 3)(b), b.does(Who(7), &rekey()), b.does(BOB, &rekey())))),
                Box::new(|b| done(b.does(ALICE, &kick(CARL)))),
            ],
        ),
        (
            "an invite ended",
            &invited,
            vec![
                Box::new(|b| done((uses(DORA, FRED, 1)(b), b.does(FRED, &rekey())))),
                Box::new(|b| done((b.does(BOB, &Act::RevokeInvite { invite }), b.does(BOB, &rekey())))),
                Box::new(|b| done(b.does(CARL, &Act::RevokeInvite { invite }))),
                Box::new(|b| done(b.does(ALICE, &kick(BOB)))),
            ],
        ),
        (
            "a role defined and dropped",
            &base,
            vec![
                Box::new(|b| {
                    done((
                        b.does(BOB, &grant(EVE, "helper")),
                        b.does(ALICE, &admit(FRED, "member")),
                        b.does(EVE, &kick(FRED)),
                    ))
                }),
                Box::new(|b| {
                    done((
                        b.does(CARL, &drop_role("helper")),
                        b.does(CARL, &define("helper", Permissions::of(&[P::Pin]))),
                    ))
                }),
                Box::new(|b| {
                    done((b.does(DORA, &define("helper", Permissions::of(&[P::Kick, P::Ban]))), b.does(DORA, &rekey())))
                }),
            ],
        ),
        (
            "a device revoked",
            &two_devices,
            vec![
                Box::new(|b| {
                    done((b.does_afresh(CARL, &tell(BOB, &BOB.person().second_revoked)), b.does(CARL, &rekey())))
                }),
                Box::new(|b| {
                    done((
                        b.does_with(BOB, 1, &kick(EVE)),
                        b.does_with(BOB, 1, &admit(FRED, "member")),
                        b.does(FRED, &rekey()),
                    ))
                }),
                Box::new(|b| done((b.does(BOB, &admit(Who(6), "member")), b.does(DORA, &rekey())))),
            ],
        ),
        (
            "modes",
            &base,
            vec![
                Box::new(|b| done((b.does(BOB, &set_mode(crate::channel::Mode::Archive)), b.does(BOB, &rekey())))),
                Box::new(|b| done((b.does(DORA, &admit(FRED, "member")), b.does(EVE, &rekey())))),
                Box::new(|b| done(b.does(CARL, &set_mode(crate::channel::Mode::Private)))),
            ],
        ),
    ];
    let mut orders = 0;
    for (what, base, parts) in families {
        let (ops, count) = family(base, &parts);
        println!("{what}: {ops} operations in {count} orders");
        orders += count;
    }
    println!("{orders} orders of families");
    assert!(orders > 1_000, "{orders}");
}

/// Something harmless.
fn admit_nobody() -> Act {
    suspend(&[FRED.device()], true)
}

#[test]
fn c05_36_every_order_of_generated_sets_gives_the_same_state() {
    let (mut sets, mut orders, mut contested, mut refused) = (0, 0, 0, 0);
    let wanted = cases(400, 4_000);
    for seed in 0.. {
        if sets == wanted {
            break;
        }
        let mut world = World::new(seed, 8, 6, EVERYTHING);
        let base = world.partitions[0].clone();
        let most = if seed % 20 == 0 { 7 } else { 5 };
        let mut ops = Vec::new();
        for _ in 0..40 {
            if ops.len() == most {
                break;
            }
            ops.extend(world.step().map(|(_, op)| op));
        }
        ops.retain(|op| op.id() != base.last());
        if ops.len() < 3 {
            continue;
        }
        let before = orders;
        orders += every_order(&base, &ops);
        sets += usize::from(orders - before > 1);
        world.heal();
        let graph = &world.partitions[0].graph;
        contested += usize::from(!graph.stirring.is_empty());
        refused += graph.ops().iter().filter(|op| graph.refused(graph.position(&op.id()).unwrap()).is_some()).count();
    }
    println!("{sets} sets in {orders} orders; {contested} contested, {refused} operations refused");
    assert!(orders > 5_000 && contested > 50 && refused > 100);
}

#[test]
fn branches_that_were_joined_go_on_as_one() {
    let base = staff();
    let (mut one, mut two) = (base.clone(), base.clone());
    one.does_afresh(BOB, &kick(CARL));
    two.does_afresh(CARL, &kick(BOB));
    let mut both = joined(one.clone(), &two);
    both.does(ALICE, &rekey());
    let mut three = base.clone();
    three.does(DORA, &admit(FRED, "member"));
    let ops = since(&base, &[joined(both, &three)]);
    assert_eq!(ops.len(), 4);
    assert_eq!(every_order(&base, &ops), 8);
}
