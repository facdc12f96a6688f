//! Every domain string in one list, so that none is used for two purposes. All start with `kith/v1/`.

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = concat!("kith/v1/", $text);)*

        /// Lists every label, for the test that no two are equal.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

labels! {
    /// Factor that blinds an account key for a day.
    BLIND_FACTOR = "blind/factor";
    /// Fresh signing prefix of a blinded key.
    BLIND_PREFIX = "blind/prefix";

    /// Seed of the account root key, from the recovery phrase.
    ACCOUNT_ROOT = "account/root";
    /// Identifier of a device.
    DEVICE_ID = "device/id";
    /// Operation of a device log: signature and hash.
    DEVICE_OP = "device/op";
    /// Proof by a new device that it holds its keys.
    DEVICE_PROOF = "device/proof";
    /// Proof by a new root that its holder has the key.
    ROOT_PROOF = "account/root-proof";
    /// Safety number of two accounts.
    SAFETY_NUMBER = "safety-number";

    /// Prekey bundle: signature and id.
    BUNDLE = "bundle";
    /// One-time key signed by its device.
    ONE_TIME_KEY = "one-time-key";
    /// Certificate that a blinded daily key gives to a record key.
    RECORD_CERTIFICATE = "record/certificate";
    /// Record signed by its record key.
    RECORD = "record";
    /// Key of a record in the DHT.
    RECORD_KEY = "record/key";
    /// Key that encrypts a record's value.
    RECORD_VALUE = "record/value";

    /// Envelope: HPKE info.
    ENVELOPE = "envelope";
    /// Identifier of an envelope.
    ENVELOPE_ID = "envelope/id";

    /// Grant signed by a mailbox key.
    GRANT = "mailbox/grant";
    /// Tag of a mailbox for a class and day.
    TAG = "mailbox/tag";
    /// Tag secret of a class, from the mailbox key.
    TAG_SECRET = "mailbox/tag-secret";
    /// Key of a depositor, from the mailbox key.
    DEPOSITOR = "mailbox/depositor";
    /// Request to a relay, signed by a mailbox or depositor key.
    MAILBOX_REQUEST = "mailbox/request";
    /// Welcome signed by a relay.
    WELCOME = "mailbox/welcome";
    /// Custody receipt signed by a relay.
    CUSTODY = "mailbox/custody";
    /// Name of a descriptor that a relay keeps.
    KEPT_ID = "mailbox/kept-id";
    /// Key that seals a descriptor for a relay to keep.
    KEPT_KEY = "mailbox/kept-key";
    /// Nonce that a relay gives a peer.
    MAILBOX_NONCE = "mailbox/nonce";
    /// Order in which a sender tries the relays of a device.
    RENDEZVOUS = "mailbox/rendezvous";

    /// Handshake transcript and key derivation.
    HANDSHAKE = "handshake";
    /// Root step with a Diffie-Hellman result alone.
    RATCHET_ROOT = "ratchet/root";
    /// Root step that also takes an ML-KEM secret.
    RATCHET_ROOT_PQ = "ratchet/root-pq";
    /// Message key and nonce.
    RATCHET_MESSAGE = "ratchet/message";
    /// Associated data of a ratchet message.
    RATCHET_AD = "ratchet/ad";

    /// Key that hides which table a row of the local store belongs to.
    STORE_TABLE = "store/table";
    /// Key that hides where a group's rows lie in the local store.
    STORE_PLACE = "store/place";
    /// Key that seals rows of the local store.
    STORE_ROW = "store/row";
    /// Key that wraps the local store's data key.
    STORE_WRAP = "store/wrap";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_crypto_9_labels_are_distinct_printable_and_start_alike() {
        let distinct: std::collections::BTreeSet<_> = ALL.iter().collect();
        assert_eq!(distinct.len(), ALL.len());
        for label in ALL {
            assert!(label.starts_with("kith/v1/") && label.bytes().all(|b| b.is_ascii_graphic()), "{label}");
        }
    }
}
