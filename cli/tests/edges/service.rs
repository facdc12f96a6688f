//! `kith service`: a unit that the service manager takes, that gives the daemon little, and that goes away again.

use crate::person::Person;
use crate::space::{program, skipped};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the daemon may not do, as systemd.exec(5) says it.
const HARDENING: [&str; 22] = [
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0077",
    "LimitCORE=0",
];

/// Runs `kith service` with a verb, expects success.
fn service(person: &Person, args: &[&str]) -> Value {
    let line: Vec<&str> = ["service"].iter().chain(args).copied().collect();
    person.ok(&line)
}

fn path(unit: &Value) -> PathBuf {
    PathBuf::from(unit["path"].as_str().unwrap())
}

/// What the service manager says of a unit, and whether it takes it.
fn verify(systemd: &Path, folder: &Path, unit: &Path) -> (bool, String) {
    let mut command = Command::new(systemd);
    command.env_clear().env("HOME", folder).env("XDG_RUNTIME_DIR", folder).args(["--user", "verify"]).arg(unit);
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_unit_is_hardened_written_once_and_removed() {
    let alice = Person::new("alice");
    let unit = service(&alice, &["install"]);
    assert_eq!((&unit["installed"], &unit["changed"]), (&true.into(), &true.into()));
    let text = std::fs::read_to_string(path(&unit)).unwrap();
    let section = text.split("[Service]").nth(1).unwrap().split("[Install]").next().unwrap();
    for rule in HARDENING {
        assert_eq!(section.lines().filter(|l| *l == rule).count(), 1, "{rule}: {text}");
    }
    let writable: Vec<_> = section.lines().filter(|l| l.starts_with("ReadWritePaths=")).collect();
    assert_eq!(writable, [format!("ReadWritePaths=\"{}\"", alice.home.display())], "more may be written");
    assert!(!text.contains("CAP_") && !text.contains("Privileged"), "{text}");
    let name = unit["unit"].as_str().unwrap();
    assert!(unit["next"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().contains(name)));

    let again = service(&alice, &["install"]);
    assert_eq!((&again["installed"], &again["changed"]), (&true.into(), &false.into()));
    assert_eq!(std::fs::read_to_string(path(&unit)).unwrap(), text);

    // What `systemctl --user enable` makes goes with it.
    let wanted = path(&unit).with_file_name("default.target.wants").join(name);
    std::fs::create_dir(wanted.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(path(&unit), &wanted).unwrap();
    let gone = service(&alice, &["uninstall"]);
    assert_eq!((&gone["installed"], &gone["changed"]), (&false.into(), &true.into()));
    assert!(!path(&unit).exists() && std::fs::symlink_metadata(&wanted).is_err());
    assert_eq!(service(&alice, &["uninstall"])["changed"], false);
    assert!(alice.home.join("kith.redb").exists(), "the profile stays");
}

#[test]
fn two_profiles_have_two_units_whatever_their_folders_are_called() {
    let (alice, mut bob) = (Person::new("alice"), Person::new("bob"));
    assert_eq!(alice.home.file_name(), bob.home.file_name());
    // One user's settings for both.
    bob.settings = alice.settings.clone();
    let (hers, his) = (service(&alice, &["install"]), service(&bob, &["install"]));
    assert_ne!(path(&hers), path(&his));
    let text = |unit: &Value| std::fs::read_to_string(path(unit)).unwrap();
    assert!(text(&hers).contains(alice.home.to_str().unwrap()) && text(&his).contains(bob.home.to_str().unwrap()));
    service(&bob, &["uninstall"]);
    assert!(path(&hers).exists(), "another profile's unit was removed");
}

#[test]
fn the_service_manager_finds_nothing_wrong_with_the_unit() {
    let Some(systemd) = program("systemd-analyze") else { return skipped("systemd-analyze (Debian package systemd)") };
    let dir = tempfile::tempdir().unwrap();
    for folder in ["plain", "it's 100% \"odd\" $HOME"] {
        let home = dir.path().join(folder);
        let alice = Person::at(&home).init("alice");
        let unit = path(&service(&alice, &["install"]));
        let (good, said) = verify(&systemd, dir.path(), &unit);
        assert!(good && said.is_empty(), "{folder}: {said}");
        // It would say so if there were something.
        let text = std::fs::read_to_string(&unit).unwrap();
        std::fs::write(&unit, text.replace("UMask=0077", "UMask=nobody\nNoNewPrivilege=yes")).unwrap();
        let (_, said) = verify(&systemd, dir.path(), &unit);
        assert!(said.contains("nobody") && said.contains("NoNewPrivilege"), "{folder}: {said}");
    }
}

#[test]
fn a_unit_for_a_sealed_profile_needs_the_passphrase_from_a_file() {
    let carol = Person::nobody();
    assert_eq!(carol.error(&["service", "install"]).1, "no_profile");
    let pass = carol.home.with_file_name("pass");
    std::fs::write(&pass, "correct horse\n").unwrap();
    carol.ok(&["init", "--name", "carol", "--passphrase-file", pass.to_str().unwrap()]);
    let (exit, code, _) = carol.error(&["service", "install"]);
    assert_eq!((exit, code.as_str()), (2, "input_needed"));
    let unit = service(&carol, &["install", "--passphrase-file", pass.to_str().unwrap()]);
    let text = std::fs::read_to_string(path(&unit)).unwrap();
    assert!(text.contains(&format!("LoadCredential=kith.passphrase:{}", pass.display())), "{text}");
    assert!(!text.contains("horse"), "the passphrase itself stands in the unit");
}
