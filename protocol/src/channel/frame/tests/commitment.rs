//! AES-GCM alone does not commit to its key: whoever knows two keys can make one ciphertext that opens under both, to two
//! texts (Dodis, Grubbs, Ristenpart, Woodage 2018). Here that is done, and what it is worth is shown.

use super::*;

const ONE: u128 = 1 << 127;

/// Multiplies in GCM's field (NIST SP 800-38D section 6.3).
fn mul(x: u128, y: u128) -> u128 {
    let (mut product, mut shifted) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= shifted;
        }
        let carry = shifted & 1;
        shifted >>= 1;
        if carry == 1 {
            shifted ^= 0xe1 << 120;
        }
    }
    product
}

fn power(base: u128, exponent: u128) -> u128 {
    let mut result = ONE;
    for bit in (0..128).rev() {
        result = mul(result, result);
        if exponent >> bit & 1 == 1 {
            result = mul(result, base);
        }
    }
    result
}

fn inverse(x: u128) -> u128 {
    power(x, u128::MAX - 1)
}

fn blocks(bytes: &[u8]) -> Vec<u128> {
    let block = |chunk: &[u8]| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        u128::from_be_bytes(block)
    };
    bytes.chunks(16).map(block).collect()
}

/// One way to open a body.
struct Door {
    key: Secret<32>,
    nonce: [u8; 12],
    aad: Associated,
    /// The hash key, and what is added to the hash to give the tag.
    hash: u128,
    mask: u128,
}

impl Door {
    fn of(context: &Context, seed: &Secret<32>, frame: &Frame) -> Self {
        let aad = context.associated(frame.slot, &frame.salt);
        let (key, nonce) = message_key(seed, &frame.salt, &aad);
        let tag = |aad: &[u8]| u128::from_be_bytes(aead::seal(&key, &nonce, aad, &[]).try_into().unwrap());
        // Without data the tag is the mask; with one block of zeros it is the mask and length · H.
        let mask = tag(&[]);
        let hash = mul(tag(&[0; 16]) ^ mask, inverse(128 << 64));
        Self { key, nonce, aad, hash, mask }
    }

    /// Computes the tag of a ciphertext by hand.
    fn tag(&self, ciphertext: &[u8]) -> u128 {
        let lengths = ((self.aad.bytes.len() as u128 * 8) << 64) | (ciphertext.len() as u128 * 8);
        let all = blocks(&self.aad.bytes).into_iter().chain(blocks(ciphertext)).chain([lengths]);
        all.fold(0, |sum, block| mul(sum ^ block, self.hash)) ^ self.mask
    }

    fn opens(&self, body: &[u8]) -> bool {
        aead::open(&self.key, &self.nonce, &self.aad.bytes, body).is_ok()
    }
}

/// Makes a body that opens at both doors, by giving up one of its blocks.
fn two_faced(body: &[u8], block: usize, [one, two]: [&Door; 2]) -> Vec<u8> {
    let mut body = body[..body.len() - 16].to_vec();
    body[block * 16..][..16].fill(0);
    let behind = (body.len() / 16 - block) as u128 + 1;
    let weight = power(one.hash, behind) ^ power(two.hash, behind);
    let solution = mul(one.tag(&body) ^ two.tag(&body), inverse(weight));
    body[block * 16..][..16].copy_from_slice(&solution.to_be_bytes());
    let tag = one.tag(&body);
    [body.as_slice(), &tag.to_be_bytes()].concat()
}

#[test]
fn c05_43_r_chan_5_a_body_that_opens_under_two_seeds_says_nothing_under_either() {
    let mut alice = alice(5);
    let sealed = alice.seal(&first(text("to some of you")));
    let (frame, seed) = (sealed.frame(), Secret::new([9; 32]));
    let other_epoch = Context { epoch: EpochId::from_bytes([6; 32]), ..sealed.context };
    for context in [sealed.context, other_epoch] {
        let doors = [&Door::of(&sealed.context, &sealed.seed, &frame), &Door::of(&context, &seed, &frame)];
        for block in 0..frame.body.len() / 16 - 1 {
            let body = two_faced(&frame.body, block, doors);
            assert!(doors.iter().all(|door| door.opens(&body)), "the trick itself does not work");
            let bent = Frame { body, ..frame.clone() };
            let here = bent.open(&sealed.context, &sealed.seed, &alice.public());
            let there = bent.open(&context, &seed, &alice.public());
            let refused = Some(BadFrame::BadSignature);
            assert_eq!((here.err(), there.err()), (refused, refused), "block {block}");
        }
    }
}

#[test]
fn c05_43_a_liar_who_signs_anew_what_the_trick_left_never_comes_to_an_end() {
    let mut alice = alice(5);
    let sealed = alice.seal(&first(text("to some of you")));
    let (other, mut frame) = (Secret::new([9; 32]), sealed.frame());
    let doors = [&Door::of(&sealed.context, &sealed.seed, &frame), &Door::of(&sealed.context, &other, &frame)];
    let mut attested = sealed.attested.clone();
    for _ in 0..50 {
        // The block given up lies in the commitment key, which is free: but the signature covers it.
        let body = two_faced(&frame.body, attested.padded.len() / 16, doors);
        let plain = aead::open(&doors[0].key, &doors[0].nonce, &doors[0].aad.bytes, &body).unwrap();
        attested.com_key = *plain[attested.padded.len()..].first_chunk().unwrap();
        let bent = Frame { body, ..frame.clone() };
        assert!(bent.open(&sealed.context, &sealed.seed, &alice.public()).is_err());
        assert!(bent.open(&sealed.context, &other, &alice.public()).is_err());
        let signed = signed(&doors[0].aad, &attested.com_key, &attested.padded);
        attested.signature = alice.key.sign(label::CHANNEL_MESSAGE, &signed);
        frame = attested.seal(&alice.lineage, alice.place, &sealed.seed, &doors[0].aad);
        assert!(frame.open(&sealed.context, &sealed.seed, &alice.public()).is_ok());
        assert!(!doors[1].opens(&frame.body));
    }
}

#[test]
fn c05_43_r_chan_5_one_signature_and_commitment_open_to_one_content_alone() {
    let mut alice = alice(5);
    let (one, two) = (alice.seal(&first(text("one"))), alice.seal(&first(text("two"))));
    let swapped = Attested { padded: two.attested.padded.clone(), ..one.attested.clone() };
    assert_eq!(swapped.verify(&alice.public()), Err(BadFrame::BadSignature));
    let with_key = Attested { com_key: two.attested.com_key, ..swapped };
    assert_eq!(with_key.verify(&alice.public()), Err(BadFrame::BadSignature));
    let other_key = Attested { com_key: two.attested.com_key, ..one.attested.clone() };
    assert_eq!(other_key.verify(&alice.public()), Err(BadFrame::BadSignature));
    for at in 0..one.attested.padded.len() {
        let mut bent = one.attested.clone();
        bent.padded[at] ^= 1;
        assert_eq!(bent.verify(&alice.public()), Err(BadFrame::BadSignature), "{at}");
    }
}
