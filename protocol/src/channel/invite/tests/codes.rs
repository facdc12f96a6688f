//! Codes and links as people paste them, and what follows from a code.

use super::*;
use crate::{
    RelayId,
    code::{Error, kind_of, of_kind, with_spare_bits},
    identity::{CodeKind, ContactCode, ContactLink, ReachSecret},
    mailbox::RelayCard,
};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

/// What a second implementation made of the secret 00 01 … 0f and the channel c5 c5 ….
const TEXT: &str = "kith1zgqqzqsrqszsvpcgpy9qkrqdpc8esgz3a9xgaq0sfvt37090al07j4xr5lh";

fn vector() -> InviteCode {
    InviteCode::new(InviteSecret::from_bytes(std::array::from_fn(|i| i as u8)), &channel(0xc5))
}

#[test]
fn r_inv_1_a_code_has_sixty_four_characters_the_same_for_everybody_and_reads_back() {
    assert_eq!(vector().to_string(), TEXT);
    assert_eq!((TEXT.len(), InviteCode::CHARACTERS), (64, 64));
    assert_eq!(InviteCode::parse(TEXT), Ok(vector()));
    assert_eq!(InviteLink::parse(TEXT), Ok(InviteLink { code: vector(), hints: vec![] }));
    assert_eq!(TEXT.parse(), Ok(vector()));
}

#[test]
fn r_inv_1_capitals_grouping_quotes_brackets_and_invisible_characters_do_no_harm() {
    let grouped: Vec<&str> = TEXT.as_bytes().chunks(8).map(|c| std::str::from_utf8(c).unwrap()).collect();
    for text in [
        TEXT.to_uppercase(),
        grouped.join(" "),
        grouped.join("-"),
        grouped.join("\u{200b}"),
        grouped.join("\r\n> "),
        format!("\u{201c}{TEXT}\u{201d}."),
        format!("[{TEXT}]"),
        format!("<kith:{TEXT}>"),
        format!("KITH:{}", TEXT.to_uppercase()),
        format!("kith://{TEXT}/"),
        format!("\u{feff}{TEXT}\u{0}"),
    ] {
        assert_eq!(InviteLink::parse(&text).map(|link| link.code), Ok(vector()), "{text:?}");
        assert_eq!(kind_of(&text), Ok(CodeKind::Invite), "{text:?}");
    }
}

#[test]
fn r_inv_1_every_mistaken_character_and_every_swap_is_a_typo() {
    for at in 0..TEXT.len() {
        for wrong in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio".chars().filter(|c| *c != TEXT.as_bytes()[at] as char) {
            let mut bad: Vec<char> = TEXT.chars().collect();
            bad[at] = wrong;
            let bad: String = bad.into_iter().collect();
            assert_eq!(InviteLink::parse(&bad), Err(Error::Typo), "{bad}");
        }
    }
    for at in 1..TEXT.len() {
        let mut bad = TEXT.as_bytes().to_vec();
        bad.swap(at - 1, at);
        let bad = String::from_utf8(bad).unwrap();
        if bad != TEXT {
            assert_eq!(InviteLink::parse(&bad), Err(Error::Typo), "{bad}");
        }
    }
}

#[test]
fn r_inv_1_a_code_cut_short_says_how_much_is_missing() {
    for have in 5..64 {
        assert_eq!(InviteLink::parse(&TEXT[..have]), Err(Error::Truncated { have, want: 64 }));
    }
    assert_eq!(InviteLink::parse(&TEXT[..4]), Err(Error::NotACode));
    assert_eq!(InviteLink::parse(&format!("{TEXT}q")), Err(Error::Typo), "one character too many");
    assert_eq!(InviteLink::parse(&format!("{TEXT}{TEXT}")), Err(Error::Typo), "pasted twice");
}

#[test]
fn r_inv_1_codes_of_other_kinds_are_named_by_each_parser() {
    let account = alice().account.id();
    let contact = ContactCode { account, reach: ReachSecret::from_bytes([1; 16]) }.to_string();
    let card = RelayCard::new(RelayId::from_bytes(*account.as_bytes()), None, []).to_string();
    let link = of_kind(0x14, &[7; 50]);
    for (text, have) in [(contact, CodeKind::Contact), (card, CodeKind::RelayCard), (link, CodeKind::DeviceLink)] {
        let error = InviteLink::parse(&text).unwrap_err();
        assert_eq!(error, Error::WrongKind { have, want: CodeKind::Invite });
        assert_eq!(error.to_string(), format!("this is {have}, not a channel invite"));
        assert_eq!(kind_of(&text), Ok(have));
    }
    let have = CodeKind::Invite;
    assert_eq!(ContactLink::parse(TEXT), Err(Error::WrongKind { have, want: CodeKind::Contact }));
    assert_eq!(RelayCard::parse(TEXT), Err(Error::WrongKind { have, want: CodeKind::RelayCard }));
    // A contact code cut short is no invite, though the cut has an invite's kind of length to go.
    let cut = &ContactCode { account, reach: ReachSecret::from_bytes([1; 16]) }.to_string()[..70];
    assert_eq!(InviteLink::parse(cut), Err(Error::Truncated { have: 70, want: 90 }));
}

#[test]
fn r_inv_1_a_later_version_another_length_and_a_second_spelling_are_told_apart_from_a_typo() {
    for version in [0u8, 2, 15] {
        let text = of_kind(version << 4 | 2, &[7; 32]);
        assert_eq!(InviteLink::parse(&text), Err(Error::UnknownVersion(version)));
    }
    for len in [0, 16, 31, 33, 48] {
        assert_eq!(InviteLink::parse(&of_kind(0x12, &vec![7; len])), Err(Error::NoAccount), "{len}");
    }
    let body = [vec![7; 16], vec![8; 16]].concat();
    assert!(InviteLink::parse(&with_spare_bits(0x12, &body, 0)).is_ok());
    assert_eq!(InviteLink::parse(&with_spare_bits(0x12, &body, 1)), Err(Error::NoAccount));
}

#[test]
fn r_inv_1_a_link_carries_three_hints_at_most_and_damaged_ones_are_named() {
    let addresses = ["nonsense", ADDRESS, "/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/2", "/ip4/10.0.0.2/tcp/3"];
    let link = InviteLink::new(vector(), addresses.map(String::from));
    assert_eq!(link.hints, [ADDRESS, "/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/2"]);
    assert_eq!(link.to_string(), format!("kith:{TEXT}?a={ADDRESS}&a=/ip4/10.0.0.1/tcp/1&a=/ip6/::1/tcp/2"));
    assert_eq!(InviteLink::parse(&format!("({link}),")), Ok(link.clone()));
    assert_eq!(InviteLink::parse(&format!("{link}&a={ADDRESS}")), Err(Error::TooManyHints));
    assert_eq!(InviteLink::parse(&format!("kith:{TEXT}?a={ADDRESS}&a=http://x")), Err(Error::BadHint(2)));
}

#[test]
fn r_inv_2_a_code_names_its_channel_to_who_knows_it_and_no_other() {
    let (code, id) = (vector(), channel(0xc5));
    assert!(code.names(&id));
    for bit in 0..256 {
        let mut other = *id.as_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!code.names(&ChannelId::from_bytes(other)), "bit {bit}");
    }
    // Neither secret nor commitment can be changed under it, and two codes for one channel have nothing in common.
    let body = |code: &InviteCode| crate::code::decode(&code.to_string(), CodeKind::Invite).unwrap();
    for bit in 0..256 {
        let mut bent = body(&code);
        bent[bit / 8] ^= 1 << (bit % 8);
        let bent = InviteCode::parse(&of_kind(0x12, &bent)).unwrap();
        assert!(!bent.names(&id), "bit {bit}");
        assert_ne!(bent.keys().public(), code.keys().public(), "bit {bit} leads to the same invite");
    }
    let twin = InviteCode::new(InviteSecret::from_bytes([9; 16]), &id);
    assert_ne!(body(&twin)[16..], body(&code)[16..], "who compares two codes learns that they are for one channel");
}

#[test]
fn r_inv_3_keys_are_those_that_a_second_implementation_derives() {
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let public = vector().keys().public();
    assert_eq!(hex(public.sign.as_bytes()), "66e2603285b5b41e11ba6712172d90b28cce14b38181ca06946021a7308f951d");
    assert_eq!(hex(public.seal.as_bytes()), "bf531c5f5d8481013677c6b2410caf4df8e5a3c5ed19e6cff29dd9d1997fe872");
    let slot = public.slot(crate::Day(20_833), 2).unwrap();
    let name = "14308f3b06e6d256fe73950d92b7d30bb12375214fec9a9ebad8f8fdf7967009";
    assert_eq!(hex(slot.record_key().as_bytes()), name);
    let kept = "eb1abdfec7891f29c9173f92b5a539a74336df6eca3f8ec9a042ce1396c837e5";
    assert_eq!(hex(slot.kept_id("12D3KooWrelay").as_bytes()), kept);
    let join = "891fe2169bbef9548efa9f7c2f51b0122831024174a8451aa33b35f3ebeb1039";
    assert_eq!(hex(public.join_key(&channel(0xc5)).public().as_bytes()), join);
    assert_eq!(hex(&public.join_mark(&[7; 60])), "67d33a04def357093b09fdb67e063732");
}

#[test]
fn c05_48_r_inv_3_a_secret_is_128_random_bits_and_every_one_of_them_counts() {
    const { assert!(InviteSecret::LEN * 8 >= 128) };
    let mut rng = rng(3);
    let drawn: Vec<InviteSecret> = (0..1_000).map(|_| InviteSecret::random(&mut rng)).collect();
    let distinct: std::collections::BTreeSet<_> = drawn.iter().map(|s| *s.as_bytes()).collect();
    assert_eq!(distinct.len(), drawn.len());
    for bit in 0..128 {
        let set = drawn.iter().filter(|s| s.as_bytes()[bit / 8] >> (bit % 8) & 1 == 1).count();
        assert!((400..600).contains(&set), "bit {bit} is set in {set} of 1000");
    }
    // Whoever has the public half can test a guess, and nothing makes a test tell more than yes or no: secrets that differ
    // in one bit have keys that agree in about half of theirs.
    let of = |secret: &[u8; 16]| InviteCode::new(InviteSecret::from_bytes(*secret), &channel(1)).keys().public();
    let (secret, public) = (*drawn[0].as_bytes(), of(drawn[0].as_bytes()));
    for bit in 0..128 {
        let mut near = secret;
        near[bit / 8] ^= 1 << (bit % 8);
        let near = of(&near);
        let differing =
            |a: &[u8; 32], b: &[u8; 32]| -> u32 { a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum() };
        for differs in [
            differing(near.sign.as_bytes(), public.sign.as_bytes()),
            differing(near.seal.as_bytes(), public.seal.as_bytes()),
        ] {
            assert!((80..176).contains(&differs), "bit {bit}: {differs} of 256");
        }
    }
}

#[test]
fn r_inv_3_the_public_half_parses_strictly_and_debug_of_keys_and_codes_shows_nothing() {
    let public = vector().keys().public();
    assert_eq!(InvitePublic::parse(public.sign.as_bytes(), public.seal.as_bytes()), Ok(public));
    let mut identity = [0; 32];
    identity[0] = 1;
    assert!(InvitePublic::parse(&identity, public.seal.as_bytes()).is_err());
    for weak in [[0; 32], identity, [0xff; 32]] {
        assert!(InvitePublic::parse(public.sign.as_bytes(), &weak).is_err());
    }
    let shown = format!("{:?} {:?} {public:?} {:?}", vector(), vector().keys(), InviteSecret::from_bytes([7; 16]));
    assert_eq!(shown, "InviteCode(..) InviteKeys(..) InvitePublic(..) InviteSecret(..)");
}

proptest! {
    #[test]
    fn r_inv_1_any_text_is_read_or_refused_without_panic(text in "\\PC*", tail in "[a-z0-9/?&=%.:-]{0,80}") {
        for text in [text, format!("kith:{TEXT}?a={tail}"), format!("kith1{tail}"), format!("kith1zg{tail}")] {
            let _ = InviteLink::parse(&text);
            let _ = kind_of(&text);
        }
    }

    #[test]
    fn r_inv_1_up_to_four_mistaken_characters_are_always_noticed(
        places in prop::collection::btree_set(5usize..64, 1..=4), shift in 1usize..32,
    ) {
        let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let mut bad = TEXT.as_bytes().to_vec();
        for at in places {
            let was = alphabet.iter().position(|c| *c == bad[at]).unwrap();
            bad[at] = alphabet[(was + shift) % 32];
        }
        prop_assert_eq!(InviteLink::parse(std::str::from_utf8(&bad).unwrap()), Err(Error::Typo));
    }
}
