//! Where the demo plays: its folder, its lines, and the clean-up.

use crate::failure::Outcome;
use crate::render::{Output, Show, Style, clean_line};
use kith_node::{Code, UserError};
use serde::Serialize;
use serde_json::Value;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the folder is tried to be removed.
const CLEAN_UP_TRIES: usize = 50;

/// How long between two tries.
const CLEAN_UP_PAUSE: Duration = Duration::from_millis(20);

/// The folder of the demo, removed at the end.
#[derive(Debug)]
pub(super) struct Stage {
    out: Output,
    folder: PathBuf,
    keep: bool,
}

/// One line of the demo.
#[derive(Serialize)]
struct Line {
    event: &'static str,
    step: &'static str,
    #[serde(flatten)]
    fields: Value,
    #[serde(skip)]
    text: String,
}

impl Show for Line {
    fn human(&self, _: Style) -> String {
        format!("  {}", clean_line(&self.text))
    }
}

impl Stage {
    /// Makes a folder of its own under the folder for temporary files.
    pub(super) fn build(out: Output, keep: bool) -> Result<Self, UserError> {
        let base = std::env::temp_dir();
        for n in 0..100 {
            let folder = base.join(format!("kith-demo-{}-{n}", std::process::id()));
            // Not recursive: an existing folder, whoever made it, is never used.
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self { out, folder, keep }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => {
                    return Err(UserError::new(Code::Io, format!("could not make {}: {e}", folder.display()))
                        .hint("TMPDIR=/another/folder kith demo"));
                }
            }
        }
        Err(UserError::new(Code::Io, format!("no free folder name in {}", base.display())))
    }

    /// Returns a person's folder.
    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the folder of the demo.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Announces an act; for people only.
    pub(super) fn title(&self, text: &str) -> Outcome {
        self.out.say(&format!("\n{}", self.out.style().bold(text)))
    }

    /// Prints what was done, as a line of JSON or a sentence. A step is ok unless its fields say otherwise.
    pub(super) fn step(&self, step: &'static str, mut fields: Value, text: &str) -> Outcome {
        if let Some(fields) = fields.as_object_mut() {
            fields.entry("ok").or_insert(Value::Bool(true));
        }
        self.out.one(&Line { event: "step", step, fields, text: text.to_owned() })
    }

    /// Prints the decorated state of a message.
    pub(super) fn style(&self) -> Style {
        self.out.style()
    }

    /// Says what failed, before the error itself goes to stderr.
    pub(super) fn failed(&self, error: &UserError) {
        let fields = serde_json::json!({"ok": false, "code": error.code, "message": error.message});
        // The error is told once more on stderr: a reader that went away misses nothing.
        let _ = self.step("failed", fields, &format!("failed: {}", error.message));
        if self.keep {
            self.out.note(&format!("logs are in {}", self.folder.display()));
        }
    }

    /// Says how to do the same by hand.
    pub(super) fn finish(&self) -> Outcome {
        self.step("done", serde_json::json!({}), "everything arrived, once")?;
        if self.keep {
            self.out.note(&format!("the folders are in {}", self.folder.display()));
        }
        self.out.say(&format!(
            "\n{}\n  kith --home /tmp/alice init --name alice --no-passphrase\n  kith --home /tmp/alice run        \
             # leave it running\n  kith --home /tmp/bob init --name bob --no-passphrase\n  kith --home /tmp/bob run          \
             # in another terminal\n  kith --home /tmp/bob me           # bob's link\n  \
             kith --home /tmp/alice contact add LINK --name bob\n  kith --home /tmp/alice send @bob 'hi bob'\n  \
             kith --home /tmp/bob contact requests    # shows who asks\n  \
             kith --home /tmp/bob contact accept ID\n  kith --home /tmp/bob read ID\n  \
             kith --home /tmp/alice channel create circle\n  \
             kith --home /tmp/alice invite '#circle'  # a code of 64 characters\n  \
             kith --home /tmp/bob join CODE\n  kith --home /tmp/bob send '#circle' 'hi all'\nFor yourself: kith",
            self.out.style().bold("The same by hand:")
        ))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // The daemons were killed before this, but one may still be dying with a file half made: try again.
        for _ in 0..CLEAN_UP_TRIES {
            if std::fs::remove_dir_all(&self.folder).is_ok() || !self.folder.exists() {
                return;
            }
            std::thread::sleep(CLEAN_UP_PAUSE);
        }
    }
}
