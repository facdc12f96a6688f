//! `kith metrics`

use crate::context::Context;
use crate::failure::Outcome;
use crate::render::{Show, Style};
use serde::Serialize;

/// Counters as Prometheus text.
#[derive(Serialize)]
struct Metrics {
    text: String,
}

impl Show for Metrics {
    fn human(&self, _: Style) -> String {
        self.text.trim_end().to_owned()
    }
}

/// Prints the daemon's counters.
pub(crate) async fn run(context: &Context) -> Outcome {
    context.out.one(&Metrics { text: context.client.metrics().await? })
}
