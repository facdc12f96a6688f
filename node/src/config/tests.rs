use super::*;
use tempfile::tempdir;

fn message(text: &str) -> String {
    let error = Config::parse(text).unwrap_err();
    assert_eq!((error.code, error.hint.is_empty()), (Code::ConfigInvalid, false), "{text}");
    error.message
}

#[test]
fn an_empty_and_a_missing_file_give_the_defaults() {
    assert_eq!(Config::parse("").unwrap(), Config::default());
    assert_eq!(Config::load(Path::new("/nowhere/config.toml")).unwrap(), Config::default());
    assert!(Config::default().network.mdns);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    assert!(message("[network]\nmdns = true\nlissten = []\n").starts_with("line 3, column 1: unknown field `lissten`"));
    assert!(message("[netwrok]\n").contains("line 1, column 2: unknown field `netwrok`"));
    assert!(message("\n\n[network]\nmdns = \"maybe\"").starts_with("line 4, column 8: invalid type"));
    assert!(message("[network]\ndht = \"sometimes\"").starts_with("line 2, column 7: unknown variant `sometimes`"));
    assert!(message("[network\n").starts_with("line 1, "));
    assert!(message("[network]\nmdns = true\nmdns = false").contains("line 3"));
}

#[test]
fn bounds_hold() {
    assert!(message("[network]\nlisten = [\"localhost:4001\"]").contains("network.listen: not a multiaddress"));
    let many = vec!["\"/ip4/127.0.0.1/tcp/1\""; ADDRESSES_MAX + 1].join(",");
    assert!(message(&format!("[network]\nbootstrap = [{many}]")).contains("at most 32"));
    assert!(message(&format!("[network]\nannounce = [\"/{}\"]", "x".repeat(ADDRESS_MAX))).contains("network.announce"));
    assert!(message(&format!("[log]\nfilter = \"{}\"", "x".repeat(FILTER_MAX + 1))).contains("log.filter"));
}

#[test]
fn every_key_of_the_table_is_one_of_the_file_and_the_other_way_round() {
    let values = serde_json::to_value(Config::default()).unwrap();
    let mut found: Vec<String> = Vec::new();
    for (section, keys) in values.as_object().unwrap() {
        found.extend(keys.as_object().unwrap().keys().map(|key| format!("{section}.{key}")));
    }
    found.sort();
    assert_eq!(found, KEYS.iter().map(|(k, _)| *k).collect::<Vec<_>>());
}

#[test]
fn set_keeps_comments_and_unset_brings_the_default_back() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("sub/config.toml");
    set(&path, "network.mdns", "off").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# mine\n{text}# end\n")).unwrap();
    set(&path, "network.listen", "/ip4/0.0.0.0/tcp/1, /ip4/0.0.0.0/udp/1/quic-v1").unwrap();
    set(&path, "network.bootstrap", "[\"/ip4/192.0.2.1/tcp/1\"]").unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!((config.network.mdns, config.network.listen.len(), config.network.bootstrap.len()), (false, 2, 1));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("# end"));
    let view = Config::view(&path).unwrap();
    let entry = view.items.iter().find(|e| e.key == "network.mdns").unwrap();
    assert_eq!((&entry.value, &entry.default, entry.set), (&Value::Bool(false), &Value::Bool(true), true));
    unset(&path, "network.mdns").unwrap();
    assert!(Config::load(&path).unwrap().network.mdns);
}

#[test]
fn a_bad_value_leaves_the_file_as_it_was() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("config.toml");
    set(&path, "network.mdns", "false").unwrap();
    let before = std::fs::read(&path).unwrap();
    for (key, value) in [
        ("network.mdns", "perhaps"),
        ("network.dht", "sometimes"),
        ("network.listen", "localhost:1"),
        ("network.listen", "[1]"),
        ("network", "x"),
        ("", "x"),
        ("mdns", "true"),
    ] {
        assert_eq!(set(&path, key, value).unwrap_err().code, Code::ConfigInvalid, "{key}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    assert_eq!(set(&path, "mdns", "true").unwrap_err().candidates, ["network.mdns"]);
    std::fs::write(&path, "[network]\nnonsense = 1\n").unwrap();
    assert!(set(&path, "network.mdns", "true").unwrap_err().message.contains("line 2"));
}
