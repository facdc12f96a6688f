//! What lies between people: delay, loss, duplication, partitions.

use std::collections::BTreeSet;

/// What the links do to frames.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// Shortest one-way delay.
    pub latency_ms: u64,
    /// What chance adds to it at most; more than the pause between frames reorders them.
    pub jitter_ms: u64,
    /// Frames and answers lost, in percent.
    pub loss_percent: u64,
    /// Frames that arrive twice, in percent.
    pub duplicate_percent: u64,
    /// Who is cut off from the others: people on different sides cannot reach each other.
    pub side: BTreeSet<usize>,
}

impl Weather {
    /// Nothing is lost or late.
    pub fn fine() -> Self {
        Self { latency_ms: 5, ..Self::default() }
    }

    /// Whether two people cannot reach each other.
    pub fn parted(&self, a: usize, b: usize) -> bool {
        self.side.contains(&a) != self.side.contains(&b)
    }

    /// Ends loss, duplication and partitions.
    pub fn calm(&mut self) {
        *self = Self::fine();
    }
}
