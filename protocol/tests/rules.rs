//! Keeps SPEC.md, code and tests together: every rule has a test that carries its number, no test carries a number that
//! is not a rule's, and what a lint cannot forbid is forbidden by reading the sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn workspace() -> &'static Path {
    Path::new("..")
}

/// Finds every Rust source of the workspace that is ours.
fn sources(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Reads the rules from SPEC.md: `- **R-ENV-3** …` becomes `r_env_3`.
fn rules() -> BTreeSet<String> {
    let spec = std::fs::read_to_string(workspace().join("protocol/SPEC.md")).unwrap();
    let mut rules = BTreeSet::new();
    for line in spec.lines().filter_map(|l| l.strip_prefix("- **R-")) {
        let id = line.split("**").next().unwrap();
        assert!(rules.insert(format!("r_{}", id.to_lowercase().replace('-', "_"))), "R-{id} stands twice");
    }
    rules
}

/// Reads the rule numbers of test names: `r_env_3` of `fn r_env_3_padding_has_one_form` or of
/// `fn c05_02_r_ses_6_…`; the function must stand under `#[test]` or in `proptest!`, which asks for that too.
fn tested() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources(workspace()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let Some(name) = line.strip_prefix("fn ") else { continue };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let mut above = lines[..at].iter().rev().take_while(|l| l.starts_with('#') || l.starts_with("//"));
            if !above.any(|l| *l == "#[test]" || l.starts_with("#[tokio::test")) {
                continue;
            }
            for rule in rules_in(&name) {
                found.entry(rule).or_default().push(name.clone());
            }
        }
    }
    found
}

fn rules_in(name: &str) -> Vec<String> {
    let words: Vec<_> = name.split('_').collect();
    let numbered = words.windows(3).filter(|w| w[0] == "r" && w[2].parse::<u32>().is_ok());
    numbered.map(|w| w.join("_")).collect()
}

#[test]
fn rule_numbers_are_found_wherever_they_stand_in_a_name() {
    assert_eq!(rules_in("r_env_3_padding_has_one_form"), ["r_env_3"]);
    assert_eq!(rules_in("c05_02_r_ses_6_bounded"), ["r_ses_6"]);
    assert_eq!(rules_in("power_r_is_no_rule"), [""; 0]);
}

#[test]
fn every_rule_has_a_test_and_every_rule_test_a_rule() {
    let (rules, tested) = (rules(), tested());
    assert!(rules.len() >= 40, "only {} rules were read from SPEC.md", rules.len());
    let untested: Vec<_> = rules.iter().filter(|r| !tested.contains_key(*r)).collect();
    assert!(untested.is_empty(), "rules without a test: {untested:?}");
    let unknown: Vec<_> = tested.iter().filter(|(rule, _)| !rules.contains(*rule)).collect();
    assert!(unknown.is_empty(), "tests of rules that SPEC.md does not have: {unknown:?}");
    println!("{} rules, {} tests carry their numbers", rules.len(), tested.values().map(Vec::len).sum::<usize>());
}

/// Lists the lines of a folder's sources that contain any of the words, outside comments.
fn lines_with(folder: &str, words: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    for path in sources(&workspace().join(folder)) {
        let name = path.strip_prefix(workspace()).unwrap().display().to_string();
        for (at, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|w| code.contains(w)) {
                hits.push(format!("{name}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    hits
}

fn outside(hits: Vec<String>, allowed: &[&str]) -> Vec<String> {
    hits.into_iter().filter(|h| !allowed.iter().any(|a| h.starts_with(a))).collect()
}

const FOLDERS: [&str; 6] = ["protocol/src", "store/src", "node/src", "cli/src", "tests", "examples"];

#[test]
fn r_crypto_10_hazmat_is_used_in_one_file() {
    let blind = "protocol/src/crypto/sign/blind.rs:";
    assert!(!lines_with("protocol/src/crypto/sign", &["hazmat"]).is_empty(), "the scan finds nothing at all");
    for folder in FOLDERS {
        let hits = lines_with(folder, &["hazmat", "raw_sign", "ExpandedSecretKey"]);
        assert_eq!(outside(hits, &[blind, "protocol/src/crypto/sign/blind/tests.rs:"]), [""; 0], "{folder}");
    }
}

#[test]
fn r_crypto_10_primitives_are_used_behind_the_door_alone() {
    let crates = [
        "aes_gcm::",
        "argon2::",
        "chacha20poly1305::",
        "curve25519_dalek::",
        "ed25519_dalek::",
        "hkdf::",
        "hmac::",
        "hpke::",
        "ml_kem::",
        "sha2::",
        "x25519_dalek::",
    ];
    for folder in FOLDERS {
        let hits = lines_with(folder, &crates);
        let ours = |h: &String| !h.contains("kdf::hmac") && !h.contains("crypto::hpke") && !h.contains("super::hpke");
        let hits: Vec<_> = outside(hits, &["protocol/src/crypto/"]).into_iter().filter(ours).collect();
        assert_eq!(hits, [""; 0], "{folder}");
    }
}

#[test]
fn r_crypto_10_this_crate_reads_no_clock_and_no_system_randomness() {
    let words = ["SystemTime", "Instant::", "getrandom", "OsRng", "SysRng", "thread_rng", "rand::rng", "from_os_rng"];
    assert_eq!(lines_with("protocol/src", &words), [""; 0]);
}
