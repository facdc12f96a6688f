//! What a channel's operations add up to, told with people: Alice, who made the channel, Bob and Carl, who help her, Dora and
//! Eve, who talk, and Fred, who is somebody else.

mod authority;
mod backdating;
pub(crate) mod chance;
mod flood;
mod invites;
pub(crate) mod kit;
mod late;
mod model;
mod orders;
mod removal;
mod table;

use std::cell::Cell;

thread_local! {
    static JUDGED: Cell<u64> = const { Cell::new(0) };
}

/// Counts one operation that was judged.
pub(super) fn count_judgement() {
    JUDGED.with(|n| n.set(n.get() + 1));
}

/// Counts the judgements that something takes.
fn judgements<T>(what: impl FnOnce() -> T) -> (T, u64) {
    let before = JUDGED.with(Cell::get);
    let done = what();
    (done, JUDGED.with(Cell::get) - before)
}
