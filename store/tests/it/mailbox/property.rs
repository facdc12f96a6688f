//! The engine does what the plain model does, whatever is asked in whatever order.

use super::{kit::*, model::Model, relay_on};
use crate::common::*;
use kith_store::{MemoryDisk, mailbox::MailboxStore, mailbox::RelayStore};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(count("random runs", "KITH_MAILBOX_RUNS", 600) as u32))]
    #[test]
    fn engine_and_plain_model_agree_on_everything_that_can_be_seen(batches in batches(1..14, 0..12), crash in 0..14usize) {
        let disk = MemoryDisk::new();
        let (mut engine, mut model, mut now) = (relay_on(&disk), Model::default(), start());
        for (n, (minutes, changes)) in batches.into_iter().enumerate() {
            now = now.plus_millis(minutes * 60_000);
            let found = comparable(engine.apply(&changes, &CAPS, now).unwrap());
            let expected = comparable(model.apply(&changes, &CAPS, now).unwrap());
            prop_assert_eq!(found, expected);
            if n == crash {
                disk.crash();
                drop(engine);
                engine = MailboxStore::new(open(&disk).unwrap());
            }
            prop_assert_eq!(look(&engine, now).unwrap(), look(&model, now).unwrap());
        }
    }
}
