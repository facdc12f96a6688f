//! The account's root key and the 24 words it comes from. Must not know devices or what the root signs.

use crate::{
    AccountId, Fault,
    crypto::{Secret, kdf::hkdf, label, sign::SigningKey, sign::VerifyingKey},
};
use bip39::{Language, Mnemonic};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How many words a recovery phrase has: 256 bits of entropy and an 8-bit checksum (BIP-39).
pub const PHRASE_WORDS: usize = 24;

/// The text is no recovery phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The number of words is wrong.
    #[error("a recovery phrase has {PHRASE_WORDS} words, this one has {have}")]
    WordCount {
        /// How many words there are.
        have: usize,
    },
    /// A word is not in the list.
    #[error("word {position} is not in the word list")]
    UnknownWord {
        /// Which word, counted from 1.
        position: usize,
    },
    /// The words are known and their checksum is wrong: one is mistaken, or two changed places.
    #[error("the words do not belong together: one is wrong or two changed places")]
    Checksum,
}

impl Error {
    /// Says who is to blame: whoever typed the words.
    pub const fn fault(&self) -> Fault {
        Fault::Local
    }
}

/// Holds an account's root: the entropy of its phrase and the key made from it. Never leaves the device that keeps it.
#[derive(Clone)]
pub struct Account {
    id: AccountId,
    entropy: Secret<32>,
    root: SigningKey,
}

impl Account {
    /// Makes a new account from fresh entropy.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_entropy(Secret::random(rng))
    }

    /// Restores an account from its words, in any case and with any white space between them.
    pub fn from_phrase(phrase: &str) -> Result<Self, Error> {
        Ok(Self::from_entropy(entropy_of(phrase)?))
    }

    /// Makes the next root of this account: the same identifier, new words. It counts for others once a log operation
    /// signed by this root says so.
    pub fn next_root(&self, rng: &mut impl CryptoRng) -> Self {
        let next = Self::generate(rng);
        Self { id: self.id, ..next }
    }

    /// Restores a root that is not the account's first, from its words and the account's identifier.
    pub fn next_root_from_phrase(id: AccountId, phrase: &str) -> Result<Self, Error> {
        let next = Self::from_phrase(phrase)?;
        Ok(Self { id, ..next })
    }

    fn from_entropy(entropy: Secret<32>) -> Self {
        let root = root_key(&entropy);
        Self { id: AccountId::from_bytes(*root.public().as_bytes()), entropy, root }
    }

    /// Returns the identifier that others know the account by: its first root public key.
    pub const fn id(&self) -> AccountId {
        self.id
    }

    /// Returns the root key.
    pub const fn root(&self) -> &SigningKey {
        &self.root
    }

    /// Returns the root's public half.
    pub fn root_public(&self) -> VerifyingKey {
        self.root.public()
    }

    /// Returns the 24 words, from which the whole root can be made again.
    pub fn phrase(&self) -> Zeroizing<String> {
        // 32 bytes always make a phrase; an empty one would be refused by every reader.
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.entropy.as_bytes());
        Zeroizing::new(mnemonic.map(|m| m.to_string()).unwrap_or_default())
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredAccount {
        StoredAccount { id: self.id, entropy: *self.entropy.as_bytes() }
    }

    /// Takes back what a sealed row held.
    pub fn from_stored(stored: &StoredAccount) -> Self {
        Self { id: stored.id, ..Self::from_entropy(Secret::new(stored.entropy)) }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, entropy: _, root: _ } = self;
        f.debug_struct("Account").field("id", id).finish_non_exhaustive()
    }
}

/// An account's root as a row that the store seals: wiped on drop, silent in `Debug`.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredAccount {
    #[zeroize(skip)]
    id: AccountId,
    entropy: [u8; 32],
}

impl fmt::Debug for StoredAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, entropy: _ } = self;
        f.debug_struct("StoredAccount").field("id", id).finish_non_exhaustive()
    }
}

/// R-ID-1: the root's seed is HKDF of the phrase's entropy under its own label, so that the words serve nothing else.
fn root_key(entropy: &Secret<32>) -> SigningKey {
    let seed: Secret<32> = hkdf(&[], entropy.as_bytes(), label::ACCOUNT_ROOT.as_bytes());
    SigningKey::from_seed(&seed)
}

fn entropy_of(phrase: &str) -> Result<Secret<32>, Error> {
    let words: Vec<Zeroizing<String>> =
        phrase.split_whitespace().map(|word| Zeroizing::new(word.to_lowercase())).collect();
    if words.len() != PHRASE_WORDS {
        return Err(Error::WordCount { have: words.len() });
    }
    let joined = Zeroizing::new(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &joined).map_err(|e| match e {
        bip39::Error::UnknownWord(index) => Error::UnknownWord { position: index.saturating_add(1) },
        _ => Error::Checksum,
    })?;
    let entropy = Zeroizing::new(mnemonic.to_entropy());
    Secret::from_slice(&entropy).ok_or(Error::Checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn alice() -> Account {
        Account::generate(&mut ChaCha20Rng::seed_from_u64(1))
    }

    #[test]
    fn r_id_1_the_words_alone_restore_the_account() {
        let alice = alice();
        assert_eq!(alice.phrase().split(' ').count(), PHRASE_WORDS);
        let again = Account::from_phrase(&alice.phrase()).unwrap();
        assert_eq!((again.id(), again.root_public()), (alice.id(), alice.root_public()));
        let shouted = format!("\n {}\t", alice.phrase().to_uppercase().replace(' ', "  \n"));
        assert_eq!(Account::from_phrase(&shouted).unwrap().id(), alice.id());
    }

    #[test]
    fn the_phrase_of_all_zero_entropy_is_the_published_one() {
        let zero = Account::from_entropy(Secret::new([0; 32]));
        let published = format!("{}art", "abandon ".repeat(23));
        assert_eq!(*zero.phrase(), published);
        assert_eq!(Account::from_phrase(&published).unwrap().id(), zero.id());
    }

    #[test]
    fn wrong_words_say_what_is_wrong() {
        let phrase = alice().phrase().to_string();
        let words: Vec<&str> = phrase.split(' ').collect();
        assert_eq!(Account::from_phrase(&words[..23].join(" ")).unwrap_err(), Error::WordCount { have: 23 });
        assert_eq!(Account::from_phrase("").unwrap_err(), Error::WordCount { have: 0 });
        let mut unknown = words.clone();
        unknown[6] = "kith";
        assert_eq!(Account::from_phrase(&unknown.join(" ")).unwrap_err(), Error::UnknownWord { position: 7 });
        let last_wrong = [&words[..23], &[if words[23] == "zoo" { "art" } else { "zoo" }]].concat();
        assert_eq!(Account::from_phrase(&last_wrong.join(" ")).unwrap_err(), Error::Checksum);
    }

    #[test]
    fn the_stored_form_restores_and_debug_shows_no_secret() {
        let alice = alice();
        let stored = alice.to_stored();
        let bytes = bincode::serde::encode_to_vec(&stored, bincode::config::standard()).unwrap();
        let (back, _): (StoredAccount, usize) =
            bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
        assert_eq!(Account::from_stored(&back).root_public(), alice.root_public());
        let shown = format!("{alice:?} {stored:?}");
        assert!(!shown.contains("entropy") && !shown.contains(alice.phrase().split(' ').next().unwrap()), "{shown}");
    }

    #[test]
    fn a_next_root_keeps_the_identifier_and_changes_the_key() {
        let alice = alice();
        let next = alice.next_root(&mut ChaCha20Rng::seed_from_u64(2));
        assert_eq!(next.id(), alice.id());
        assert_ne!(next.root_public(), alice.root_public());
        let again = Account::next_root_from_phrase(alice.id(), &next.phrase()).unwrap();
        assert_eq!((again.id(), again.root_public()), (next.id(), next.root_public()));
        assert_eq!(Account::from_stored(&next.to_stored()).root_public(), next.root_public());
    }
}
