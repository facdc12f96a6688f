//! Words and names that must not be somewhere, and the search for them in every spelling that bytes take.

use aho_corasick::AhoCorasick;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Shortest thing that is told from chance, in bytes.
const SHORTEST: usize = 12;

/// What is looked for, and what it is.
pub struct Canary {
    what: String,
    bytes: Vec<u8>,
}

impl Canary {
    /// Names something to look for.
    ///
    /// # Panics
    /// If it is too short to be told from chance.
    pub fn new(what: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        let (what, bytes) = (what.into(), bytes.as_ref().to_vec());
        assert!(bytes.len() >= SHORTEST, "{what} is too short to be told from chance");
        Self { what, bytes }
    }
}

/// Looks for canaries as they are, reversed, in UTF-16, as a list of numbers, in hexadecimal, and in base32 and base64 at
/// each of their offsets.
pub struct Finder {
    search: AhoCorasick,
    names: Vec<String>,
}

impl Finder {
    /// Prepares the search.
    pub fn new(canaries: impl IntoIterator<Item = Canary>) -> Self {
        let (mut names, mut needles) = (Vec::new(), Vec::new());
        for Canary { what, bytes } in canaries {
            for (form, needle) in forms(&bytes) {
                names.push(format!("{what} ({form})"));
                needles.push(needle);
            }
        }
        Self { search: AhoCorasick::new(needles).unwrap(), names }
    }

    /// The first canary found, if any.
    pub fn find(&self, haystack: &[u8]) -> Option<&str> {
        self.search.find(haystack).map(|found| self.names[found.pattern().as_usize()].as_str())
    }

    /// Checks that there is none.
    ///
    /// # Panics
    /// If one is found.
    pub fn assert_silent(&self, place: &str, haystack: &[u8]) {
        if let Some(found) = self.find(haystack) {
            panic!("{found} in {place}");
        }
    }
}

fn forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("reversed", bytes.iter().rev().copied().collect()),
        ("UTF-16", bytes.iter().flat_map(|b| [*b, 0]).collect()),
        ("hexadecimal", hex.to_uppercase().into_bytes()),
        ("hexadecimal", hex.into_bytes()),
        ("list of numbers", bytes.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(", ").into_bytes()),
    ];
    forms.extend((0..3).map(|skip| ("base64", base64(&bytes[skip..]))));
    for skip in 0..5 {
        let text = base32(&bytes[skip..]);
        forms.push(("base32", text.to_ascii_uppercase()));
        forms.push(("base32", text));
    }
    forms
}

/// The base64 text of whole groups of three: what any encoding of something around them contains.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |g: &[u8]| {
        let n = usize::from(g[0]) << 16 | usize::from(g[1]) << 8 | usize::from(g[2]);
        [18, 12, 6, 0].map(|shift| ALPHABET[n >> shift & 63])
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// The base32 text of whole groups of five, in the same way.
fn base32(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let group = |g: &[u8]| {
        let n = g.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        [35, 30, 25, 20, 15, 10, 5, 0].map(|shift| ALPHABET[usize::try_from(n >> shift & 31).unwrap()])
    };
    bytes.chunks_exact(5).flat_map(group).collect()
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// What stands in a process's memory now, each stretch of it that can be read and is its own.
///
/// # Errors
/// Where the system does not let it be read.
pub fn memory_of(pid: u32) -> std::io::Result<Vec<Vec<u8>>> {
    use std::os::unix::fs::FileExt as _;
    let memory = fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut stretches = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let bounds = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16));
        let (Ok(start), Ok(end)) = bounds else { continue };
        // What it cannot write came from a file: its program.
        if !rights.starts_with("rw") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // A stretch that went meanwhile holds nothing any more.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            stretches.push(bytes);
        }
    }
    Ok(stretches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_in_other_spellings_is_found() {
        let finder = Finder::new([Canary::new("a word", "canary-of-the-test")]);
        for haystack in [
            "..canary-of-the-test..".as_bytes().to_vec(),
            b"63616e6172792d6f662d7468652d74657374".to_vec(),
            b"xx Y2FuYXJ5LW9mLXRoZS10ZXN0 ".to_vec(),
            b"YWFjYW5hcnktb2YtdGhlLXRlc3Q".to_vec(),
            b"mnqw4ylspeww6zrnorugklluMVzxi".to_ascii_lowercase(),
            b"AFRWC3TBOJ4S233GFV2GQZJNORSXG5A".to_vec(),
            format!("{:?}", b"canary-of-the-test").into_bytes(),
        ] {
            assert!(finder.find(&haystack).is_some(), "{}", String::from_utf8_lossy(&haystack));
        }
        assert_eq!(finder.find(b"canary-of-the-other-test"), None);
    }

    #[test]
    fn a_word_in_this_process_is_found_in_its_memory() {
        let word = format!("canary {} of this process", std::process::id());
        let finder = Finder::new([Canary::new("a word", &word)]);
        let Ok(memory) = memory_of(std::process::id()) else {
            println!("\nSKIPPED: needs /proc/PID/mem, and the right to read it");
            return;
        };
        assert!(memory.iter().any(|stretch| finder.find(stretch).is_some()));
    }
}
