//! Codes and links as people paste them.

use super::*;
use crate::{
    code::{of_kind, with_spare_bits},
    identity::Account,
};
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const HINT: &str = "/ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p";

fn code() -> ContactCode {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    ContactCode { account: Account::generate(&mut rng).id(), reach: ReachSecret::random(&mut rng) }
}

fn link() -> ContactLink {
    ContactLink::new(code(), [HINT.to_owned(), "/dns4/relay.example.org/tcp/443/wss".to_owned()])
}

#[test]
fn r_id_7_a_code_has_ninety_characters_and_reads_back() {
    let text = code().to_string();
    assert_eq!((text.len(), ContactCode::CHARACTERS), (90, 90));
    assert!(text.starts_with("kith1"));
    assert_eq!(ContactCode::parse(&text), Ok(code()));
    assert_eq!(ContactLink::parse(&text), Ok(ContactLink { code: code(), hints: Vec::new() }));
}

#[test]
fn r_id_8_a_link_carries_its_hints_and_reads_back() {
    let text = link().to_string();
    assert!(text.starts_with("kith:kith1") && text.contains("?a=/ip4/") && text.contains("&a=/dns4/"), "{text}");
    assert_eq!(ContactLink::parse(&text), Ok(link()));
    assert_eq!(text.parse(), Ok(link()));
}

#[test]
fn r_id_7_capitals_spaces_quotes_brackets_and_invisible_characters_do_no_harm() {
    let code_text = code().to_string();
    let grouped: Vec<String> = code_text.as_bytes().chunks(6).map(|c| String::from_utf8_lossy(c).into()).collect();
    let pasted = [
        code_text.to_uppercase(),
        format!("Kith1{}", &code_text[5..]),
        grouped.join(" "),
        grouped.join("-"),
        grouped.join("\u{2011}"),
        grouped.join("\r\n> "),
        grouped.join("\u{200b}"),
        format!("  \t{code_text}\n"),
        format!("\"{code_text}\""),
        format!("\u{201c}{code_text}\u{201d}"),
        format!("\u{ab} {code_text} \u{bb}"),
        format!("'{code_text}',"),
        format!("`{code_text}`"),
        format!("**{code_text}**"),
        format!("<{code_text}>"),
        format!("[{code_text}]."),
        format!("({code_text})!"),
        format!("\u{feff}{code_text}"),
        format!("\u{2066}{code_text}\u{2069}\u{200f}"),
        format!("{code_text}\u{0}"),
        format!("kith:{code_text}"),
        format!("KITH:{}", code_text.to_uppercase()),
        format!("kith://{code_text}/"),
        format!("\"kith:{code_text}\""),
        code_text.chars().map(|c| char::from_u32(c as u32 - 0x21 + 0xff01).unwrap()).collect(),
    ];
    for text in pasted {
        assert_eq!(ContactLink::parse(&text).map(|l| l.code), Ok(code()), "{text:?}");
        assert_eq!(ContactCode::parse(&text), Ok(code()), "{text:?}");
    }
    for around in ["\"{}\"", "<{}>", "({}).", "\u{feff}{}\u{200b}", " {}\n", "[{}],"] {
        let text = around.replace("{}", &link().to_string());
        assert_eq!(ContactLink::parse(&text), Ok(link()), "{text:?}");
    }
    let wrapped: String = link().to_string().chars().flat_map(|c| [c, '\n']).collect();
    assert_eq!(ContactLink::parse(&wrapped), Ok(link()), "broken over lines by a mail program");
}

#[test]
fn r_id_7_every_mistaken_character_is_a_typo() {
    let text = code().to_string();
    for at in 0..text.len() {
        for wrong in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio".chars().filter(|c| *c != text.as_bytes()[at] as char) {
            let mut bad: Vec<char> = text.chars().collect();
            bad[at] = wrong;
            let bad: String = bad.into_iter().collect();
            assert_eq!(ContactLink::parse(&bad), Err(Error::Typo), "{bad}");
        }
    }
}

#[test]
fn r_id_7_every_swap_of_neighbours_is_a_typo() {
    let text = code().to_string();
    for at in 1..text.len() {
        let mut bad: Vec<char> = text.chars().collect();
        bad.swap(at - 1, at);
        let bad: String = bad.into_iter().collect();
        if bad != text {
            assert_eq!(ContactLink::parse(&bad), Err(Error::Typo), "{bad}");
        }
    }
}

#[test]
fn r_id_7_a_code_cut_short_says_how_much_is_missing() {
    let text = code().to_string();
    for have in 5..90 {
        assert_eq!(ContactLink::parse(&text[..have]), Err(Error::Truncated { have, want: 90 }));
    }
    for have in 0..5 {
        assert_eq!(ContactLink::parse(&text[..have]), Err(Error::NotACode));
    }
    assert_eq!(ContactLink::parse(&format!("{text}q")), Err(Error::Typo), "one character too many");
    assert_eq!(ContactLink::parse(&format!("{text}{text}")), Err(Error::Typo), "pasted twice");
}

#[test]
fn r_id_7_a_code_of_another_kind_is_named() {
    let of = |kind: u8, len: usize| of_kind(0x10 | kind, &vec![7; len]);
    for (text, kind) in
        [(of(2, 32), CodeKind::Invite), (of(3, 48), CodeKind::RelayCard), (of(4, 50), CodeKind::DeviceLink)]
    {
        let error = ContactLink::parse(&text).unwrap_err();
        assert_eq!(error, Error::WrongKind { have: kind, want: CodeKind::Contact });
        assert!(error.to_string().contains(&kind.to_string()), "{error}");
    }
    let invite = of(2, 32);
    assert_eq!(invite.len(), 64);
    let mut typo = invite.clone().into_bytes();
    typo[30] = if typo[30] == b'q' { b'p' } else { b'q' };
    assert_eq!(ContactLink::parse(std::str::from_utf8(&typo).unwrap()), Err(Error::Typo));
    assert_eq!(ContactLink::parse(&invite[..50]), Err(Error::Truncated { have: 50, want: 64 }));
}

#[test]
fn r_id_7_a_pasted_text_of_any_kind_says_which_kind_it_is_or_what_is_wrong_with_it() {
    let of = |kind: u8, len: usize| of_kind(0x10 | kind, &vec![7; len]);
    let texts = [
        (code().to_string(), CodeKind::Contact),
        (format!(" <{}>\n", link()), CodeKind::Contact),
        (format!("kith:{}?a=damaged", code()), CodeKind::Contact),
        (of(2, 32).to_uppercase(), CodeKind::Invite),
        (of(3, 48), CodeKind::RelayCard),
        (of(4, 50), CodeKind::DeviceLink),
    ];
    for (text, kind) in texts {
        assert_eq!(kind_of(&text), Ok(kind), "{text}");
    }
    for (text, error) in [
        ("hello".to_owned(), Error::NotACode),
        (format!("kith:{}", &of(2, 32)[..40]), Error::Truncated { have: 40, want: 64 }),
        (code().to_string()[..64].to_owned(), Error::Truncated { have: 64, want: 90 }),
        (of(2, 32).replacen("kith", "kitn", 1), Error::Typo),
        (of_kind(0x22, &[7; 32]), Error::UnknownVersion(2)),
        (of(2, 31), Error::NoAccount),
    ] {
        assert_eq!(kind_of(&text), Err(error), "{text}");
    }
}

#[test]
fn r_id_7_a_later_version_is_told_apart_from_a_typo() {
    for version in [0u8, 2, 15] {
        let text = of_kind(version << 4 | 1, &[7; 48]);
        assert_eq!(ContactLink::parse(&text), Err(Error::UnknownVersion(version)));
    }
    assert_eq!(ContactLink::parse(&of_kind(0x1f, &[7; 48])), Err(Error::UnknownVersion(1)));
}

#[test]
fn r_id_10_a_code_of_a_weak_key_or_of_wrong_length_names_no_account() {
    let mut identity = [0; 48];
    identity[0] = 1;
    for body in [identity.as_slice(), &[0xff; 48], &[0; 48], &[7; 47], &[7; 49], &[]] {
        assert_eq!(ContactLink::parse(&of_kind(0x11, body)), Err(Error::NoAccount));
    }
}

#[test]
fn r_id_7_a_code_has_one_spelling() {
    let code = code();
    let body = [code.account.as_bytes().as_slice(), code.reach.as_bytes()].concat();
    assert_eq!(with_spare_bits(0x11, &body, 0), code.to_string());
    for spare in 1..8 {
        let second = with_spare_bits(0x11, &body, spare);
        assert_eq!(second.len(), 90);
        assert_eq!(ContactLink::parse(&second), Err(Error::NoAccount), "{spare:03b}");
    }
}

#[test]
fn what_is_no_code_at_all_is_said_to_be_none() {
    let bitcoin = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let long = "kith1".repeat(4_000);
    for text in
        ["", " ", "hello", "1", "kith", "kith:", "?a=/ip4/1.2.3.4", "@bob", "https://example.org/x", bitcoin, &long]
    {
        assert_eq!(ContactLink::parse(text), Err(Error::NotACode), "{text:?}");
    }
}

#[test]
fn r_id_8_a_damaged_hint_is_named_and_a_fourth_is_refused() {
    let code = code();
    let with = |query: &str| ContactLink::parse(&format!("kith:{code}?{query}"));
    for bad in [
        "a=",
        "a=hello",
        "a=/",
        "a=/ip4",
        "a=//x/y",
        "a=/ip4/1.2.3.4/tcp/1%",
        "a=/ip4/%zz/x",
        "a=/ip4/%FF/x",
        "a=/ip4/\"/x",
        "a=/ip4/1.2.3.4/x/",
        "a=/4/x",
        "a=/ip4/%0a/x",
    ] {
        assert_eq!(with(bad), Err(Error::BadHint(1)), "{bad}");
        assert_eq!(with(&format!("a={HINT}&{bad}")), Err(Error::BadHint(2)), "{bad}");
    }
    let long = format!("a=/dns4/{}/tcp/1", "x".repeat(256));
    assert_eq!(with(&long), Err(Error::BadHint(1)));
    let four = vec![format!("a={HINT}"); 4].join("&");
    assert_eq!(with(&four), Err(Error::TooManyHints));
    assert_eq!(with("").unwrap().hints.len(), 0);
    assert_eq!(with("b=/later/version&a=/ip4/192.0.2.1/tcp/1").unwrap().hints, ["/ip4/192.0.2.1/tcp/1"]);
}

#[test]
fn r_id_8_what_is_no_address_is_left_out_of_a_link_so_that_it_reads_back() {
    let addresses = ["nonsense", HINT, "", "/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/2", "/ip4/10.0.0.2/tcp/3"];
    let link = ContactLink::new(code(), addresses.map(String::from));
    assert_eq!(link.hints, [HINT, "/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/2"]);
    assert_eq!(ContactLink::parse(&link.to_string()), Ok(link));
}

#[test]
fn debug_of_a_code_shows_no_reach_secret() {
    let shown = format!("{:?}", ContactCode { account: code().account, reach: ReachSecret::from_bytes([0xab; 16]) });
    assert!(shown.contains("ReachSecret(..)") && !shown.contains("171") && !shown.contains("ab, "), "{shown}");
}

proptest! {
    #[test]
    fn r_id_7_grouping_case_and_decoration_never_change_what_is_read(
        seed in any::<u64>(),
        noise in prop::collection::vec((0usize..=90, prop::sample::select(vec![
            " ", "-", "\u{200b}", "\u{200d}", "\u{feff}", "\n", "\t", "\u{a0}", "\u{2009}", "\u{2060}", "\u{ad}",
            "\u{202e}", "\u{2013}", ".", ",", "_", "*", "'", "\"", "\u{2019}", "\u{0}", "\u{fe0f}", "|", ">",
        ])), 0..30),
        upper in any::<u128>(),
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let code = ContactCode { account: Account::generate(&mut rng).id(), reach: ReachSecret::random(&mut rng) };
        let mut pieces: Vec<String> = code.to_string().chars().enumerate()
            .map(|(i, c)| if upper >> i & 1 == 1 { c.to_uppercase().to_string() } else { c.to_string() }).collect();
        pieces.push(String::new());
        for (at, what) in noise {
            pieces[at].insert_str(0, what);
        }
        prop_assert_eq!(ContactLink::parse(&pieces.concat()).map(|l| l.code), Ok(code));
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "\\PC*", tail in "[a-z0-9/?&=%.:-]{0,80}") {
        let _ = ContactLink::parse(&text);
        let _ = ContactLink::parse(&format!("kith:{}?a={tail}", code()));
        let _ = ContactLink::parse(&format!("kith1{tail}"));
    }

    #[test]
    fn r_id_7_up_to_four_mistaken_characters_are_always_noticed(
        seed in any::<u64>(), places in prop::collection::btree_set(5usize..90, 1..=4), shift in 1usize..32,
    ) {
        let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let code = ContactCode { account: Account::generate(&mut rng).id(), reach: ReachSecret::random(&mut rng) };
        let mut bad = code.to_string().into_bytes();
        for at in places {
            let was = alphabet.iter().position(|c| *c == bad[at]).unwrap();
            bad[at] = alphabet[(was + shift) % 32];
        }
        prop_assert_eq!(ContactLink::parse(std::str::from_utf8(&bad).unwrap()), Err(Error::Typo));
    }
}
