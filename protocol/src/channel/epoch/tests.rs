//! Which secrets a channel has and who can have them, told with people who really have keys.

mod fresh;
mod gate;
mod merging;
mod oracle;
mod rings;

use super::*;
use crate::channel::log::tests::kit::*;
use rings::Rings;

/// Names the epoch in force.
fn current(branch: &Branch) -> EpochId {
    Epochs::of(&branch.graph).current().unwrap()
}

fn gate_of(branch: &Branch) -> Gate {
    Epochs::of(&branch.graph).gate(&branch.graph).unwrap()
}

/// Records that somebody hands over what others lack; says how many were given something.
fn hand_out(branch: &mut Branch, by: Who) -> usize {
    let Gate::Lacking(_, lacking) = gate_of(branch) else { return 0 };
    for (device, epochs) in &lacking {
        let epochs: Vec<[u8; 32]> = epochs.iter().map(|e| *e.as_bytes()).collect();
        branch.does(by, &hand_over(*device, &epochs));
    }
    lacking.len()
}
