//! An overlay reads as if its writes were committed, and a commit of them reads the same.

use crate::common::*;
use kith_store::{Draft, Key, MemoryDisk, Overlay, Range, RawRows, Rows};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn groups_are_read_in_order_in_both_directions_with_bounds_and_limit() {
    let store = create(&MemoryDisk::new());
    let mut all: Vec<Note> = (0..10).map(|page| note("a", page, "x")).collect();
    all.push(note("b", 5, "other group"));
    commit(&store, &all).unwrap();
    let snapshot = store.snapshot().unwrap();
    let at = |page: u64| page.to_be_bytes();
    assert_eq!(pages(&snapshot, "a", Range::all(), 100), (0..10).collect::<Vec<_>>());
    assert_eq!(pages(&snapshot, "a", Range::all().backward(), 3), [9, 8, 7]);
    assert_eq!(pages(&snapshot, "a", Range::all().after(&at(3)).before(&at(6)), 100), [4, 5]);
    assert_eq!(pages(&snapshot, "a", Range::all().from(&at(3)).until(&at(6)).backward(), 2), [6, 5]);
    assert_eq!(pages(&snapshot, "a", Range::all().from(&at(7)).until(&at(6)), 100), Vec::<u64>::new());
    assert_eq!(pages(&snapshot, "a", Range::all(), 0), Vec::<u64>::new());
    assert_eq!(pages(&snapshot, "nobody", Range::all(), 100), Vec::<u64>::new());
}

#[test]
fn whole_table_is_read_in_pieces_without_gap_or_repeat() {
    let store = create(&MemoryDisk::new());
    let all: Vec<Note> = (0..50).map(|page| note(&format!("book {}", page % 7), page, "x")).collect();
    commit(&store, &all).unwrap();
    let snapshot = store.snapshot().unwrap();
    let (mut found, mut after): (Vec<Note>, Option<Key>) = (Vec::new(), None);
    loop {
        let piece: Vec<Note> = snapshot.all(after.as_ref(), 8).unwrap();
        let Some(last) = piece.last() else { break };
        after = Some(kith_store::Row::key(last));
        found.extend(piece);
    }
    assert_eq!(found.len(), 50);
    found.sort_by_key(|note| note.page);
    assert_eq!(found, all);
}

#[derive(Clone, Debug)]
enum Act {
    Put(u8, u8, u8),
    Delete(u8, u8),
    /// Commits what is pending and starts a new overlay.
    Commit,
    Scan {
        book: u8,
        from: u8,
        to: u8,
        backward: bool,
        limit: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3u8, 0..12u8, any::<u8>()).prop_map(|(b, p, t)| Act::Put(b, p, t)),
        3 => (0..3u8, 0..12u8).prop_map(|(b, p)| Act::Delete(b, p)),
        1 => Just(Act::Commit),
        4 => (0..3u8, 0..13u8, 0..13u8, any::<bool>(), 0..6usize)
            .prop_map(|(book, from, to, backward, limit)| Act::Scan { book, from, to, backward, limit }),
    ]
}

type Model = BTreeMap<(u8, u8), u8>;

fn model_scan(model: &Model, act: &Act) -> Vec<u64> {
    let Act::Scan { book, from, to, backward, limit } = act else { return Vec::new() };
    let inside = model.keys().filter(|(b, p)| b == book && p >= from && p < to).map(|(_, p)| u64::from(*p));
    let mut pages: Vec<u64> = inside.collect();
    if *backward {
        pages.reverse();
    }
    pages.truncate(*limit);
    pages
}

fn book(b: u8) -> String {
    format!("book {b}")
}

fn check(rows: &impl RawRows, model: &Model) {
    let mut all: Vec<Note> = rows.all(None, usize::MAX).unwrap();
    all.sort();
    let expected: Vec<Note> = model.iter().map(|((b, p), t)| note(&book(*b), u64::from(*p), &t.to_string())).collect();
    assert_eq!(all, expected);
    for (b, p) in (0..3u8).flat_map(|b| (0..12u8).map(move |p| (b, p))) {
        let key = Key::new(book(b).as_bytes(), &u64::from(p).to_be_bytes());
        let found = rows.row::<Note>(&key).unwrap().map(|note| note.text);
        assert_eq!(found, model.get(&(b, p)).map(u8::to_string));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn draft_overlay_and_store_agree_with_a_map(acts in prop::collection::vec(act(), 1..60)) {
        let disk = MemoryDisk::new();
        let store = create(&disk);
        let mut model = Model::new();
        let mut acts = acts.into_iter().peekable();
        while acts.peek().is_some() {
            let snapshot = store.snapshot().unwrap();
            let mut overlay = Overlay::new(&snapshot);
            for act in acts.by_ref() {
                let mut step = Draft::new(&overlay);
                match &act {
                    Act::Put(b, p, t) => {
                        step.put(&note(&book(*b), u64::from(*p), &t.to_string())).unwrap();
                        model.insert((*b, *p), *t);
                    }
                    Act::Delete(b, p) => {
                        step.delete::<Note>(Key::new(book(*b).as_bytes(), &u64::from(*p).to_be_bytes()));
                        model.remove(&(*b, *p));
                    }
                    Act::Commit => break,
                    Act::Scan { book: b, from, to, backward, limit } => {
                        let (from, to) = (u64::from(*from).to_be_bytes(), u64::from(*to).to_be_bytes());
                        let range = Range::all().from(&from).before(&to);
                        let range = if *backward { range.backward() } else { range };
                        prop_assert_eq!(pages(&overlay, &book(*b), range, *limit), model_scan(&model, &act));
                    }
                }
                // The step reads its own write; the batch reads it once it is applied.
                check(&step, &model);
                let step = step.into_writes();
                overlay.apply(step);
            }
            check(&overlay, &model);
            // A step that is dropped leaves no trace.
            let mut dropped = Draft::new(&overlay);
            dropped.put(&note("book 0", 3, "dropped")).unwrap();
            dropped.delete::<Note>(Key::new(b"book 1", &3u64.to_be_bytes()));
            drop(dropped);
            check(&overlay, &model);
            let writes = overlay.into_writes();
            store.write(|tx| { tx.apply(&writes)?; check(tx, &model); Ok(()) }).unwrap().into_inner();
            check(&store.snapshot().unwrap(), &model);
        }
        drop(store);
        check(&open(&disk).unwrap().snapshot().unwrap(), &model);
    }
}
