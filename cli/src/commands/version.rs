//! `kith version`

use crate::context::Context;
use crate::failure::Outcome;
use crate::render::{Show, Style};
use serde::Serialize;

/// The version of this command.
#[derive(Serialize)]
struct Version {
    version: &'static str,
}

impl Show for Version {
    fn human(&self, _: Style) -> String {
        format!("kith {}", self.version)
    }
}

/// Shows the version; the daemon's own is in `kith status`.
pub(crate) fn run(context: &Context) -> Outcome {
    context.out.one(&Version { version: env!("CARGO_PKG_VERSION") })
}
