//! The arrows between the crates point one way, and each secretive dependency stays in its room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may depend on whom among our own crates, at run time.
const ARROWS: &[(&str, &[&str])] = &[
    ("kith-protocol", &[]),
    ("kith-store", &["kith-protocol"]),
    ("kith-node", &["kith-protocol", "kith-store"]),
    ("kith-cli", &["kith-node"]),
    ("kith-tests", &["kith-node", "kith-protocol", "kith-store"]),
    ("kith-examples", &["kith-node"]),
];

/// What a crate must not take from outside, with the reason.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("kith-protocol", &["tokio", "libp2p", "redb", "getrandom", "rustix", "axum"]),
    ("kith-store", &["tokio", "libp2p", "axum", "getrandom"]),
    ("kith-cli", &["redb", "libp2p", "kith-protocol", "kith-store", "x25519-dalek", "ed25519-dalek"]),
];

fn root() -> PathBuf {
    Path::new("..").to_owned()
}

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    metadata
        .packages
        .iter()
        .map(|p| {
            let normal = p.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
            (p.name.to_string(), normal.map(|d| d.name.clone()).collect())
        })
        .collect()
}

#[test]
fn our_crates_depend_on_each_other_in_one_direction_only() {
    let dependencies = dependencies();
    assert_eq!(dependencies.len(), ARROWS.len(), "every workspace crate has its arrows written down here");
    for (name, allowed) in ARROWS {
        for dependency in dependencies[*name].iter().filter(|d| d.starts_with("kith-")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn forbidden_dependencies_are_absent() {
    let dependencies = dependencies();
    for (name, forbidden) in FORBIDDEN {
        for dependency in *forbidden {
            assert!(!dependencies[*name].contains(*dependency), "{name} must not depend on {dependency}");
        }
    }
}

fn sources(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every line under `folder` that mentions `word` outside comments and outside the files that `allowed` names.
fn mentions(folder: &str, word: &str, allowed: &[&str]) -> Vec<String> {
    let mut files = Vec::new();
    sources(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "no sources under {folder}");
    let mut hits = Vec::new();
    for file in files {
        let relative = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if allowed.iter().any(|a| relative.starts_with(a)) {
            continue;
        }
        if relative.contains("/tests/") || relative.ends_with("tests.rs") || relative.ends_with("_test.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        // A test module at the end of a file is no part of the program.
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (number, line) in program.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if code.contains(word) {
                hits.push(format!("{relative}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    hits
}

#[test]
fn libp2p_stays_in_net() {
    assert_eq!(mentions("node/src", "libp2p::", &["node/src/net/"]), Vec::<String>::new());
}

#[test]
fn redb_stays_in_the_store() {
    for folder in ["protocol/src", "node/src", "cli/src"] {
        assert_eq!(mentions(folder, "redb::", &[]), Vec::<String>::new());
    }
}

#[test]
fn one_file_reads_the_clock_and_the_systems_randomness() {
    for word in ["SystemTime::now", "Instant::now", "getrandom::", "OsRng", "rand::rng()"] {
        for folder in ["protocol/src", "store/src", "node/src"] {
            assert_eq!(mentions(folder, word, &["node/src/clock.rs"]), Vec::<String>::new(), "{word}");
        }
    }
}

#[test]
fn local_row_encoding_is_behind_one_file() {
    assert_eq!(mentions("store/src", "bincode::", &["store/src/row.rs"]), Vec::<String>::new());
    for folder in ["protocol/src", "node/src", "cli/src"] {
        assert_eq!(mentions(folder, "bincode::", &[]), Vec::<String>::new());
    }
}

#[test]
fn only_the_renderer_prints() {
    for word in ["println!", "print!(", "io::stdout()"] {
        assert_eq!(mentions("cli/src", word, &["cli/src/render"]), Vec::<String>::new(), "{word}");
        assert_eq!(mentions("node/src", word, &[]), Vec::<String>::new(), "{word}");
    }
}
