//! What two people compare to know that nobody stands between them: 60 digits, or the same as bytes for a QR code.
//! Must not know devices: the numbers are of accounts, so they outlive any device.

use crate::{
    AccountId, Fault,
    crypto::{kdf::sha512, label},
};
use std::fmt;
use subtle::ConstantTimeEq;

/// How often each half is hashed: makes grinding for similar digits 5,200 times as dear (the count Signal uses).
const ITERATIONS: usize = 5_200;
/// Digits of a whole number.
pub const DIGITS: usize = 60;
/// Bytes of the QR form: a version and two 32-byte hashes.
pub const SCAN_LEN: usize = 65;
/// Version of the QR form.
const SCAN_VERSION: u8 = 1;

/// The text is no safety number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are too few or too many digits.
    #[error("a safety number has {DIGITS} digits, this has {have}")]
    Length {
        /// How many digits there are.
        have: usize,
    },
    /// Something in it is no digit.
    #[error("a safety number has digits only")]
    NotADigit,
}

impl Error {
    /// Says who is to blame: whoever typed the digits.
    pub const fn fault(&self) -> Fault {
        Fault::Local
    }
}

/// The safety number of two accounts, the same seen from either side.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    digits: [u8; DIGITS],
    scan: [u8; SCAN_LEN],
}

/// Computes the number that the two accounts compare (R-ID-9); the order of the arguments does not matter.
pub fn safety_number(a: &AccountId, b: &AccountId) -> SafetyNumber {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    let (first, second) = (fingerprint(first), fingerprint(second));
    let mut digits = [b'0'; DIGITS];
    let groups = [&first, &second].into_iter().flat_map(|f| f.chunks_exact(5).take(6));
    for (out, group) in digits.chunks_exact_mut(5).zip(groups) {
        let mut number = group.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte)) % 100_000;
        for digit in out.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    let mut scan = [SCAN_VERSION; SCAN_LEN];
    let hashes = first.iter().take(32).chain(second.iter().take(32));
    for (out, byte) in scan.iter_mut().skip(1).zip(hashes) {
        *out = *byte;
    }
    SafetyNumber { digits, scan }
}

/// Iterates SHA-512 over one account.
fn fingerprint(account: &AccountId) -> [u8; 64] {
    let mut hash = sha512(&[label::SAFETY_NUMBER.as_bytes(), &[0], account.as_bytes()]);
    for _ in 1..ITERATIONS {
        hash = sha512(&[&hash, account.as_bytes()]);
    }
    hash
}

impl SafetyNumber {
    /// Returns the bytes for a QR code: version, then the full 32-byte hash of each account.
    pub const fn scan_bytes(&self) -> &[u8; SCAN_LEN] {
        &self.scan
    }

    /// Says whether a scanned code shows the same number, over its whole length.
    pub fn matches_scan(&self, scanned: &[u8]) -> bool {
        self.scan.as_slice().ct_eq(scanned).into()
    }

    /// Says whether typed digits are the same number, over its whole length; spaces, hyphens, line breaks and invisible
    /// characters between them do not count.
    pub fn matches_digits(&self, text: &str) -> Result<bool, Error> {
        let typed = parse_digits(text)?;
        Ok(self.digits.ct_eq(&typed).into())
    }
}

/// Reads 60 digits out of what somebody typed.
fn parse_digits(text: &str) -> Result<[u8; DIGITS], Error> {
    let mut digits = [0; DIGITS];
    let mut have = 0usize;
    for c in text.chars() {
        if c.is_whitespace() || super::contact_link::is_invisible(c) || super::contact_link::is_dash(c) {
            continue;
        }
        let digit = c.to_digit(10).ok_or(Error::NotADigit)?;
        if let Some(place) = digits.get_mut(have) {
            *place = b'0' + digit as u8;
        }
        have = have.saturating_add(1);
    }
    if have == DIGITS { Ok(digits) } else { Err(Error::Length { have }) }
}

/// Writes twelve groups of five digits.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.digits.chunks_exact(5).enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{}", String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(byte: u8) -> AccountId {
        AccountId::from_bytes([byte; 32])
    }

    #[test]
    fn r_id_9_the_number_is_the_same_from_both_sides_and_has_sixty_digits() {
        let number = safety_number(&account(1), &account(2));
        assert_eq!(number, safety_number(&account(2), &account(1)));
        let shown = number.to_string();
        assert_eq!(shown.len(), 71);
        assert!(shown.split(' ').all(|g| g.len() == 5 && g.bytes().all(|b| b.is_ascii_digit())), "{shown}");
    }

    #[test]
    fn c05_56_a_key_swapped_on_either_side_changes_the_number() {
        let honest = safety_number(&account(1), &account(2));
        for swapped in [safety_number(&account(3), &account(2)), safety_number(&account(1), &account(3))] {
            assert_ne!(swapped, honest);
            assert_ne!(swapped.scan_bytes(), honest.scan_bytes());
            assert_eq!(honest.matches_digits(&swapped.to_string()), Ok(false));
            assert!(!honest.matches_scan(swapped.scan_bytes()));
        }
    }

    #[test]
    fn c05_56_every_digit_and_every_scanned_bit_counts() {
        let number = safety_number(&account(1), &account(2));
        let shown = number.to_string().replace(' ', "");
        for i in 0..DIGITS {
            let mut other = shown.clone().into_bytes();
            other[i] = if other[i] == b'9' { b'0' } else { other[i] + 1 };
            assert_eq!(number.matches_digits(std::str::from_utf8(&other).unwrap()), Ok(false), "digit {i}");
        }
        for bit in 0..SCAN_LEN * 8 {
            let mut other = *number.scan_bytes();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!number.matches_scan(&other), "bit {bit}");
        }
        assert!(!number.matches_scan(&number.scan_bytes()[..64]) && !number.matches_scan(&[]));
    }

    #[test]
    fn digits_are_read_with_any_grouping_and_part_of_a_number_never_matches() {
        let number = safety_number(&account(1), &account(2));
        let shown = number.to_string();
        for typed in [shown.clone(), shown.replace(' ', ""), shown.replace(' ', "-"), format!("\u{feff} {shown}\n")] {
            assert_eq!(number.matches_digits(&typed), Ok(true), "{typed:?}");
        }
        assert_eq!(number.matches_digits(&shown[..65]), Err(Error::Length { have: 55 }));
        assert_eq!(number.matches_digits(&format!("{shown}0")), Err(Error::Length { have: 61 }));
        assert_eq!(number.matches_digits(""), Err(Error::Length { have: 0 }));
        assert_eq!(number.matches_digits(&shown.replace('0', "o").replace('1', "l")), Err(Error::NotADigit));
    }

    #[test]
    fn the_number_of_two_given_accounts_never_changes() {
        // Computed independently: SHA-512 5,200 times over label ‖ 0 ‖ account, then over hash ‖ account.
        let expected = "78583 23538 80004 71199 41323 96256 62056 22991 05242 87042 71581 59777";
        assert_eq!(safety_number(&account(1), &account(2)).to_string(), expected);
    }
}
