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

    /// Commitment of an invite code to its channel.
    INVITE_CHANNEL = "invite/channel";
    /// Seed of an invite's signing key, from its secret.
    INVITE_SIGN = "invite/sign";
    /// Key that opens an invite's records, from its secret.
    INVITE_OPEN = "invite/open";
    /// Seed of the key that signs an invite's slot.
    INVITE_SLOT_SEED = "invite/slot-seed";
    /// Slot record signed by its slot key.
    INVITE_SLOT = "invite/slot";
    /// Name of a slot record in the DHT.
    INVITE_SLOT_NAME = "invite/slot-name";
    /// Name of a slot record that a relay keeps.
    INVITE_KEPT_ID = "invite/kept-id";
    /// Key that seals a slot record for a relay to keep.
    INVITE_KEPT_KEY = "invite/kept-key";
    /// Invite record signed by its author's device.
    INVITE_RECORD = "invite/record";
    /// Invite record in a slot: HPKE info and associated data.
    INVITE_RECORD_SEAL = "invite/record-seal";
    /// Key that opens requests to join, from the invite's public key and the channel.
    INVITE_JOIN_KEY = "invite/join-key";
    /// Mark by which those who hold an invite's public key know a request to join.
    INVITE_JOIN_MARK = "invite/join-mark";
    /// Request to join signed by the joiner's device.
    INVITE_JOIN = "invite/join";
    /// Request to join: HPKE info and associated data.
    INVITE_JOIN_SEAL = "invite/join-seal";
    /// Proof by the invite key for one joiner's keys in one channel.
    INVITE_PROOF = "invite/proof";
    /// Answer to a request to join, signed by the answering device.
    INVITE_ANSWER = "invite/answer";
    /// Answer to a request to join: HPKE info and associated data.
    INVITE_ANSWER_SEAL = "invite/answer-seal";

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

    /// Operation of a channel: signature and id.
    CHANNEL_OP = "channel/op";
    /// Which operations of a channel hold.
    CHANNEL_STATE = "channel/state";
    /// Devices that secrets are sealed to.
    RECIPIENTS = "channel/recipients";
    /// Epoch that an operation made anew.
    EPOCH_FRESH = "channel/epoch-fresh";
    /// Epoch that follows from another when somebody is let in.
    EPOCH_DERIVED = "channel/epoch-derived";
    /// Epoch that joins others.
    EPOCH_MERGED = "channel/epoch-merged";
    /// Digest of the devices of an epoch that rests on others.
    RECIPIENTS_DERIVED = "channel/recipients-derived";
    /// Pins the secrets of a fresh epoch.
    EPOCH_COMMIT = "channel/epoch-commit";
    /// Secret of an epoch.
    EPOCH_SECRET = "channel/epoch-secret";
    /// What gives the next epoch.
    EPOCH_NEXT = "channel/epoch-next";
    /// What gives a merged epoch together with others.
    EPOCH_MERGE = "channel/epoch-merge";
    /// Root of the senders' chains.
    EPOCH_SENDERS = "channel/epoch-senders";
    /// Lineage that joins others: id and secret.
    LINEAGE_MERGED = "channel/lineage-merged";
    /// Topic of a lineage.
    LINEAGE_TOPIC = "channel/lineage-topic";
    /// Gate key of a lineage.
    LINEAGE_GATE = "channel/lineage-gate";
    /// Header key of a lineage.
    LINEAGE_HEADER = "channel/lineage-header";
    /// Mailbox of a lineage at relays.
    LINEAGE_MAILBOX = "channel/lineage-mailbox";
    /// Branch of the tree of senders' chains.
    SENDER_TREE = "channel/sender-tree";
    /// Message of a channel: signature and associated data.
    CHANNEL_MESSAGE = "channel/message";
    /// Key of a message.
    CHANNEL_MESSAGE_KEY = "channel/message-key";
    /// Hash that names a message.
    CHANNEL_MESSAGE_ID = "channel/message-id";
    /// Key of an epoch's parcels.
    EPOCH_PARCELS = "channel/epoch-parcels";
    /// Parcel of operations.
    PARCEL = "channel/parcel";
    /// Card of a member's device.
    CARD = "channel/card";
    /// Welcome for a newcomer.
    CHANNEL_WELCOME = "channel/welcome";
    /// Header of a frame.
    CHANNEL_HEADER = "channel/header";
    /// What binds a rekey to its place.
    REKEY_CONTEXT = "channel/rekey-context";
    /// Identifier of a leaf key.
    LEAF_KEY_ID = "channel/leaf-key-id";
    /// Item of a rekey blob: HPKE info.
    REKEY_ITEM = "channel/rekey-item";
    /// Leaf of a rekey blob's tree.
    REKEY_LEAF = "channel/rekey-leaf";
    /// Inner node of a rekey blob's tree.
    REKEY_NODE = "channel/rekey-node";
    /// Root of a rekey blob's tree.
    REKEY_ROOT = "channel/rekey-root";
    /// Code of a frame at the gossip gate.
    GATE = "channel/gate";
    /// Identifier of a packet in gossip.
    GOSSIP_ID = "gossip/id";

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
