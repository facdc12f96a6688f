//! Record keys that a device makes for each (day, slot), and the certificates by which the account's blinded daily key
//! lets them stand in the DHT. Must not know what the records say.

use super::record::LIFE_DAYS;
use crate::{
    AccountId, Day, Fault, Timestamp,
    crypto::{
        Secret, label,
        sign::{BlindedSigner, Signature, SigningKey, VerifyingKey, blind_public},
    },
    identity::{Account, ReachSecret},
    limits::{CERTIFICATE_DAYS_AHEAD, CERTIFICATE_DAYS_ALERT, DEVICES_MAX},
    wire::Transcript,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The account identifier is no key, or not this root's: records are blinded from the account's first root.
    #[error("records are certified by the account's first root")]
    NotFirstRoot,
    /// The certificate is for a key, day or slot that was not asked for.
    #[error("a certificate that was not asked for")]
    NotRequested,
    /// The blinded key did not sign it.
    #[error("the certificate's signature is wrong")]
    BadSignature,
}

impl Error {
    /// Says who is to blame: certificates come from one's own root.
    pub const fn fault(&self) -> Fault {
        Fault::Local
    }
}

/// What a device asks the holder of the root to certify; names neither account nor device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// For which day.
    pub day: Day,
    /// For which device slot.
    pub slot: u32,
    /// Which record key.
    pub record_pk: VerifyingKey,
}

/// A blinded daily key's word that a record key may write one slot on one day (R-DESC-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What was asked for.
    pub request: Request,
    /// Who certifies.
    pub blinded: VerifyingKey,
    /// Signature over day, slot and record key.
    pub signature: Signature,
}

impl Certificate {
    /// Verifies the signature; whose blinded key it is, is another question.
    pub fn verify(&self) -> Result<(), Error> {
        let statement = statement(&self.request);
        let verified = self.blinded.verify(label::RECORD_CERTIFICATE, &statement, &self.signature);
        verified.map_err(|_| Error::BadSignature)
    }
}

/// Certifies on the device that holds the root; the blinded private key is gone when this returns.
pub fn certify(root: &Account, reach: &ReachSecret, requests: &[Request]) -> Result<Vec<Certificate>, Error> {
    if root.root_public().as_bytes() != root.id().as_bytes() {
        return Err(Error::NotFirstRoot);
    }
    let certificate = |request: &Request| {
        let signer = BlindedSigner::new(root.root(), reach.as_bytes(), request.day);
        let signature = signer.sign(label::RECORD_CERTIFICATE, &statement(request));
        Certificate { request: *request, blinded: signer.public(), signature }
    };
    Ok(requests.iter().map(certificate).collect())
}

/// Gives what a certificate signs: day, slot and record key, and nothing else.
fn statement(request: &Request) -> Vec<u8> {
    let transcript = Transcript::new(label::RECORD_CERTIFICATE).u32(request.day.0).u32(request.slot);
    transcript.field(request.record_pk.as_bytes()).bytes()
}

/// Computes the account's blinded key of a day.
pub(super) fn blinded(account: &AccountId, reach: &ReachSecret, day: Day) -> Option<VerifyingKey> {
    let account = VerifyingKey::parse(account.as_bytes()).ok()?;
    Some(blind_public(&account, reach.as_bytes(), day))
}

/// A certified record key of one day.
#[derive(Clone, Debug)]
pub struct RecordSigner {
    pub(super) key: SigningKey,
    pub(super) certificate: Certificate,
}

#[derive(Clone)]
struct Entry {
    slot: u32,
    key: SigningKey,
    certificate: Option<Certificate>,
}

/// A device's record keys, one for each day ahead.
#[derive(Clone, Default)]
pub struct Certificates(BTreeMap<u32, Entry>);

impl Certificates {
    /// Makes keys for today and the days ahead that lack one for this slot and reach secret, and asks for what is not
    /// certified. Past days are forgotten once their records have ended: until then they can still be emptied.
    pub fn requests(
        &mut self,
        account: &AccountId,
        reach: &ReachSecret,
        slot: u32,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Vec<Request> {
        let today = now.day();
        // Days beyond, of a clock that was ahead, are not counted as certified.
        let oldest = today.minus(LIFE_DAYS - 1);
        self.0.retain(|day, _| *day >= oldest.0 && *day <= today.plus(CERTIFICATE_DAYS_AHEAD).0);
        let mut requests = Vec::new();
        for day in (0..=CERTIFICATE_DAYS_AHEAD).map(|ahead| today.plus(ahead)) {
            let blinded = blinded(account, reach, day);
            let fits = |e: &Entry| e.slot == slot && e.certificate.is_none_or(|c| Some(c.blinded) == blinded);
            if !self.0.get(&day.0).is_some_and(fits) {
                self.0.insert(day.0, Entry { slot, key: SigningKey::random(rng), certificate: None });
            }
            if let Some(Entry { key, certificate: None, .. }) = self.0.get(&day.0) {
                requests.push(Request { day, slot, record_pk: key.public() });
            }
        }
        requests
    }

    /// Keeps certificates that the holder of the root made; refuses all if one was not asked for or is wrong.
    pub fn install(
        &mut self,
        account: &AccountId,
        reach: &ReachSecret,
        certificates: &[Certificate],
    ) -> Result<(), Error> {
        for c in certificates {
            let asked = |e: &Entry| e.slot == c.request.slot && e.key.public() == c.request.record_pk;
            if !self.0.get(&c.request.day.0).is_some_and(asked) {
                return Err(Error::NotRequested);
            }
            if blinded(account, reach, c.request.day) != Some(c.blinded) {
                return Err(Error::BadSignature);
            }
            c.verify()?;
        }
        for c in certificates {
            if let Some(entry) = self.0.get_mut(&c.request.day.0) {
                entry.certificate = Some(*c);
            }
        }
        Ok(())
    }

    /// Renews on the device that holds the root itself: asks, certifies and keeps. Returns whether anything changed.
    pub fn renew(
        &mut self,
        root: &Account,
        reach: &ReachSecret,
        slot: u32,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, Error> {
        let requests = self.requests(&root.id(), reach, slot, now, rng);
        self.install(&root.id(), reach, &certify(root, reach, &requests)?)?;
        Ok(!requests.is_empty())
    }

    /// Returns the certified key of a day.
    pub fn signer(&self, day: Day) -> Option<RecordSigner> {
        let entry = self.0.get(&day.0)?;
        Some(RecordSigner { key: entry.key.clone(), certificate: entry.certificate? })
    }

    /// Returns how many days after today are certified without a gap (R-DESC-9).
    pub fn days_ahead(&self, now: Timestamp) -> u32 {
        let certified = |ahead: &u32| self.signer(now.day().plus(*ahead)).is_some();
        (1..=CERTIFICATE_DAYS_AHEAD).take_while(certified).count() as u32
    }

    /// Says whether so few days are left that the user should be told.
    pub fn is_low(&self, now: Timestamp) -> bool {
        self.days_ahead(now) < CERTIFICATE_DAYS_ALERT
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredCertificates {
        let stored = |(day, e): (&u32, &Entry)| StoredEntry {
            day: *day,
            slot: e.slot,
            key: *e.key.seed().as_bytes(),
            certificate: e.certificate.as_ref().map(parts),
        };
        StoredCertificates(self.0.iter().map(stored).collect())
    }

    /// Takes back what a sealed row held; what no longer parses is left out and made again.
    pub fn from_stored(stored: &StoredCertificates) -> Self {
        let restore = |e: &StoredEntry| {
            let key = SigningKey::from_seed(&Secret::new(e.key));
            let request = Request { day: Day(e.day), slot: e.slot, record_pk: key.public() };
            let certificate = e.certificate.and_then(|[blinded, r, s]| {
                let signature = Signature::from_slice(&[r, s].concat())?;
                Some(Certificate { request, blinded: VerifyingKey::parse(&blinded).ok()?, signature })
            });
            (e.day, Entry { slot: e.slot, key, certificate })
        };
        Self(stored.0.iter().filter(|e| e.slot < DEVICES_MAX as u32).map(restore).collect())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(days) = self;
        f.debug_set().entries(days.keys()).finish()
    }
}

/// Record keys and certificates as a row that the store seals: wiped on drop, silent in `Debug`.
#[derive(Clone, Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredCertificates(Vec<StoredEntry>);

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredEntry {
    day: u32,
    slot: u32,
    key: [u8; 32],
    certificate: Option<[[u8; 32]; 3]>,
}

impl fmt::Debug for StoredCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entries) = self;
        write!(f, "StoredCertificates({} days, ..)", entries.len())
    }
}

/// Splits a certificate into blinded key and the signature's R and S: serde knows arrays of 32 bytes.
fn parts(certificate: &Certificate) -> [[u8; 32]; 3] {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    for (to, from) in r.iter_mut().chain(s.iter_mut()).zip(certificate.signature.as_bytes()) {
        *to = *from;
    }
    [*certificate.blinded.as_bytes(), r, s]
}

#[cfg(test)]
mod tests;
