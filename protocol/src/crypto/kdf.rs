//! Hashes and key derivation: SHA-2, HMAC-SHA-256, HKDF-SHA-256, Argon2id for passphrases.

use super::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// Hashes the concatenation of the parts with SHA-256; callers that join several fields use a transcript instead.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Hashes the concatenation of the parts with SHA-512.
pub fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Computes HMAC-SHA-256 over the concatenation of the parts (RFC 2104).
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Secret<32> {
    // RFC 2104 section 2: a key longer than the block is hashed first, a shorter one is padded with zeros.
    let mut block = Zeroizing::new([0u8; 64]);
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => {
            let hashed = Zeroizing::new(sha256(&[key]));
            for (to, from) in block.iter_mut().zip(hashed.iter()) {
                *to = *from;
            }
        }
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    Secret::new(mac.finalize().into_bytes().into())
}

/// Derives `N` bytes with HKDF-SHA-256 (RFC 5869); `N` beyond 8160 does not compile.
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[u8]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 8160 bytes") };
    let mut out = Zeroizing::new([0u8; N]);
    // Expanding fails for a longer output alone, which the line above excludes.
    let _ = hkdf::Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, &mut *out);
    Secret::new(*out)
}

/// How much work one passphrase guess costs; stored beside what it protects, so that it can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Argon2Params {
    /// What a new profile uses: the second recommended option of RFC 9106 section 4 (64 MiB, 3 passes, 4 lanes).
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// Says whether the numbers lie between what still protects and what a start can afford (8 MiB to 1 GiB, 1 to 16
    /// passes, 1 to 16 lanes): stored parameters are checked before they are used, so an altered header cannot cheapen
    /// the guess nor exhaust memory.
    pub const fn is_acceptable(&self) -> bool {
        self.memory_kib >= 8 * 1024
            && self.memory_kib <= 1024 * 1024
            && self.passes >= 1
            && self.passes <= 16
            && self.lanes >= 1
            && self.lanes <= 16
    }
}

/// Argon2id could not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Argon2Error {
    /// The parameters lie outside what is acceptable.
    #[error("argon2 parameters out of bounds")]
    Params,
    /// The passphrase is longer than Argon2 takes.
    #[error("passphrase too long")]
    Passphrase,
}

/// Derives a key from a passphrase with Argon2id version 0x13 (RFC 9106).
pub fn argon2id(passphrase: &[u8], salt: &[u8; 16], params: &Argon2Params) -> Result<Secret<32>, Argon2Error> {
    if !params.is_acceptable() {
        return Err(Argon2Error::Params);
    }
    argon2id_raw(passphrase, salt, &[], &[], params)
}

/// Runs Argon2id with every input of RFC 9106 open, so that its known answer can be checked through this very code.
fn argon2id_raw(
    passphrase: &[u8],
    salt: &[u8],
    secret: &[u8],
    data: &[u8],
    params: &Argon2Params,
) -> Result<Secret<32>, Argon2Error> {
    use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
    let mut builder = ParamsBuilder::new();
    builder.m_cost(params.memory_kib).t_cost(params.passes).p_cost(params.lanes).output_len(32);
    builder.data(AssociatedData::new(data).map_err(|_| Argon2Error::Params)?);
    let built = builder.build().map_err(|_| Argon2Error::Params)?;
    let argon =
        Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, built).map_err(|_| Argon2Error::Params)?;
    let mut key = Zeroizing::new([0u8; 32]);
    argon.hash_password_into(passphrase, salt, &mut *key).map_err(|_| Argon2Error::Passphrase)?;
    Ok(Secret::new(*key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn hkdf_gives_the_first_answer_of_rfc_5869() {
        let okm = hkdf::<42>(
            &HEXLOWER.decode(b"000102030405060708090a0b0c").unwrap(),
            &[0x0b; 22],
            &HEXLOWER.decode(b"f0f1f2f3f4f5f6f7f8f9").unwrap(),
        );
        let expected = b"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(okm.as_bytes().as_slice(), HEXLOWER.decode(expected).unwrap());
    }

    #[test]
    fn argon2id_gives_the_answer_of_rfc_9106_section_5_3() {
        let params = Argon2Params { memory_kib: 32, passes: 3, lanes: 4 };
        let key = argon2id_raw(&[1; 32], &[2; 16], &[3; 8], &[4; 12], &params).unwrap();
        let expected = b"0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(key.as_bytes().as_slice(), HEXLOWER.decode(expected).unwrap());
    }

    #[test]
    fn r_crypto_7_argon2_parameters_that_protect_nothing_or_cost_everything_are_refused() {
        for (memory_kib, passes, lanes) in
            [(8, 3, 4), (u32::MAX, 3, 4), (65_536, 0, 4), (65_536, 3, 0), (65_536, 99, 1)]
        {
            let params = Argon2Params { memory_kib, passes, lanes };
            assert_eq!(argon2id(b"x", &[0; 16], &params), Err(Argon2Error::Params));
        }
        assert!(Argon2Params::RECOMMENDED.is_acceptable());
    }
}
