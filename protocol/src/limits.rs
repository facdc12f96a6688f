//! Every maximum of the protocol with its reason. What happens when one is reached is said where it is checked.

/// Days, for limits given in milliseconds.
const DAY_MS: u64 = 86_400_000;

// --- wire -----------------------------------------------------------------------------------------------------------

/// Extensions in one message: far more than versions will overlap, few enough to scan.
pub const EXTENSIONS_MAX: usize = 16;
/// Largest envelope in bytes: the largest bucket, with room for a 32 KiB text, a first message's keys and introduction.
pub const ENVELOPE_MAX: usize = ENVELOPE_BUCKET_MAX + ENVELOPE_OVERHEAD;
/// Smallest padded length inside an envelope in bytes: receipts and short texts look alike.
pub const ENVELOPE_BUCKET_MIN: usize = 256;
/// Largest padded length inside an envelope in bytes: 256 B · 2^8.
pub const ENVELOPE_BUCKET_MAX: usize = 64 * 1024;
/// What an envelope adds to its padded content in bytes: version, suite, day, encapsulated key, tag, field headers.
pub const ENVELOPE_OVERHEAD: usize = 128;
/// Largest frame of the deliver protocol in bytes: one envelope and its routing header.
pub const DELIVER_FRAME_MAX: usize = ENVELOPE_MAX + 1024;
/// Longest message text in bytes of UTF-8: some ten pages; longer things are files.
pub const TEXT_MAX: usize = 32 * 1024;
/// Largest content (text with its header) in bytes.
pub const CONTENT_MAX: usize = 40 * 1024;
/// Largest ratchet plaintext in bytes: content, device log, introduction.
pub const PAYLOAD_MAX: usize = 56 * 1024;
/// Largest ratchet message in bytes: its payload, both ML-KEM fields, header and tag.
pub const RATCHET_MESSAGE_MAX: usize = 60 * 1024;
/// Largest ratchet header in bytes: ML-KEM key (1184) and ciphertext (1088), counters, ratchet key, salt.
pub const RATCHET_HEADER_MAX: usize = 2560;
/// Message ids and ranges in one receipt: one commit batch.
pub const RECEIPT_ENTRIES_MAX: usize = 512;
/// Longest profile name in bytes of UTF-8: fits a line.
pub const NAME_MAX: usize = 64;

// --- identity -------------------------------------------------------------------------------------------------------

/// Devices of one account: as many as a person carries, few enough that sealing to each stays cheap.
pub const DEVICES_MAX: usize = 10;
/// Largest device log in bytes: it travels in first messages and descriptors.
pub const DEVICE_LOG_MAX: usize = 8 * 1024;
/// Largest device log in bytes that an account still lengthens by anything but a revocation: it must fit a record beside
/// a bundle and eight addresses.
pub const DEVICE_LOG_ISSUED_MAX: usize = 4608;
/// Largest operation of a device log in bytes.
pub const DEVICE_OP_MAX: usize = 512;
/// Operations in one device log: bounded by its bytes as well; bounds the work of verifying.
pub const DEVICE_LOG_OPS_MAX: usize = 64;
/// Address hints in a contact link: relays first; more would not fit a line.
pub const LINK_HINTS_MAX: usize = 3;
/// Longest address hint or published address in bytes (a circuit address with two peer ids fits).
pub const ADDRESS_MAX: usize = 256;
/// Longest contact link accepted for parsing in bytes.
pub const LINK_MAX: usize = 4096;

// --- prekeys and descriptors ----------------------------------------------------------------------------------------

/// Largest record in the DHT in bytes, signature and encryption included.
pub const DESCRIPTOR_MAX: usize = 8 * 1024;
/// Addresses in a descriptor.
pub const ADDRESSES_MAX: usize = 8;
/// Mailboxes in a descriptor or introduction.
pub const MAILBOXES_MAX: usize = 4;
/// Longest transport peer id in bytes: a multihash of a public key.
pub const PEER_ID_MAX: usize = 64;
/// Largest pass to a mailbox in bytes: relay, addresses, grant and secrets. Four fit a descriptor beside a usual log.
pub const PASS_MAX: usize = 512;
/// Addresses in a pass.
pub const PASS_ADDRESSES_MAX: usize = 3;
/// Largest signed grant in bytes: keys, times, amounts, signature.
pub const GRANT_MAX: usize = 224;
/// Largest prekey bundle in bytes: ML-KEM key, two X25519 keys, counters, signature.
pub const BUNDLE_MAX: usize = 2048;
/// Milliseconds from its beginning that a bundle is used at all: as long as a relay may serve a descriptor. Past its end,
/// after seven days, it is stale and shown as such.
pub const BUNDLE_USABLE_MS: u64 = 30 * DAY_MS;
/// Days ahead for which a descriptor is published, beyond today.
pub const DESCRIPTOR_DAYS_AHEAD: u32 = 6;
/// Days ahead for which record certificates are made: a root that is away for a month does no harm.
pub const CERTIFICATE_DAYS_AHEAD: u32 = 30;
/// Fewer certified days ahead than this raise an alert.
pub const CERTIFICATE_DAYS_ALERT: u32 = 7;
/// Longest time in milliseconds from now to a record's or bundle's end: a record of a day lives to that day's end and
/// one day more, and is published six days ahead.
pub const RECORD_LIFETIME_MAX_MS: u64 = 9 * DAY_MS;
/// Milliseconds after which the signed prekey, KEM prekey and mailbox key are replaced.
pub const PREKEY_ROTATION_MS: u64 = DAY_MS;
/// Days a retired signed prekey, KEM prekey or mailbox key lives: 30 a relay may serve the descriptor, 30 in a mailbox, 1.
pub const PREKEY_RETENTION_DAYS: u32 = 61;
/// One-time keys that a session hands to its peer.
pub const ONE_TIME_KEYS_HANDED: usize = 4;
/// Days after which an unused handed one-time key is deleted.
pub const ONE_TIME_KEY_DAYS: u32 = 90;
/// First messages remembered against replay, as long as the prekeys they name live. Beyond it those of strangers wait;
/// contacts are bounded each for themselves, so that strangers cannot lock them out.
pub const REPLAY_SET_MAX: usize = 65_536;

// --- sessions -------------------------------------------------------------------------------------------------------

/// Messages that one message may leave out, of its chain and the one before together: bounds the hashing it can cause
/// before it is known to be authentic.
pub const JUMP_MAX: u32 = 25_000;
/// Messages that a message which begins a session may jump ahead: anybody can send one, so it must stay cheap.
pub const FIRST_JUMP_MAX: u32 = 2_000;
/// Skipped message keys kept in one session, and in all sessions with one device: the oldest goes first.
pub const SKIPPED_KEYS_MAX: usize = 5_000;
/// Milliseconds a skipped message key is kept: the mailbox time.
pub const SKIPPED_KEY_MS: u64 = 30 * DAY_MS;
/// Opened messages remembered in one session by a 4-byte fingerprint, to tell a repeated message from a chain that went
/// back: 8 KiB at most.
pub const OPENED_MAX: usize = 2_048;
/// Receiving chains kept in one session, the current one included.
pub const RECEIVING_CHAINS_MAX: usize = 5;
/// Old sessions kept for decryption with one peer device: the oldest goes first.
pub const OLD_SESSIONS_MAX: usize = 8;
/// Messages after which a sender folds a fresh ML-KEM secret into the root.
pub const PQ_STEP_MESSAGES: u32 = 50;
/// Milliseconds after which a sender folds a fresh ML-KEM secret into the root.
pub const PQ_STEP_MS: u64 = 7 * DAY_MS;
/// Milliseconds an unanswered first message's session is used for sending before it is begun anew.
pub const UNANSWERED_SESSION_MS: u64 = 30 * DAY_MS;
/// Milliseconds between two "cannot open" answers to one device.
pub const CANNOT_OPEN_INTERVAL_MS: u64 = 3_600_000;

// --- mailboxes -------------------------------------------------------------------------------------------------------

/// Days back for which a mailbox's tags are registered: as long as a sender's envelope may have been on its way.
pub const TAG_DAYS_BACK: u32 = 31;
/// Days ahead for which a mailbox's tags are registered: an owner may be off that long.
pub const TAG_DAYS_AHEAD: u32 = 62;
/// Tags in one registration: every day back and ahead and today, for each class.
pub const TAGS_MAX: usize = (TAG_DAYS_BACK + 1 + TAG_DAYS_AHEAD) as usize * 3;
/// Days that a grant is good for at most.
pub const GRANT_DAYS_MAX: u64 = 90;
/// Days before its end that a grant is given anew: as long as mail waits, and half as long again.
pub const GRANT_RENEW_DAYS: u64 = 45;
/// Envelopes that one device of a contact may leave in a mailbox at once: a month of many, and room for others.
pub const CONTACT_GRANT_ENVELOPES: u64 = 12_288;
/// Bytes that one device of a contact may leave in a mailbox at once.
pub const CONTACT_GRANT_BYTES: u64 = 96 << 20;
/// Envelopes that strangers may leave in a mailbox at once.
pub const STRANGER_GRANT_ENVELOPES: u64 = 256;
/// Bytes that strangers may leave in a mailbox at once.
pub const STRANGER_GRANT_BYTES: u64 = 4 << 20;
/// Relays at which an envelope is left, where a device has so many.
pub const DEPOSITS: usize = 2;
/// Revoked grants that a relay remembers for one mailbox until they would have ended by themselves.
pub const REVOKED_MAX: usize = 1_024;
/// Envelopes in one acknowledgement.
pub const ACKNOWLEDGED_MAX: usize = 256;
/// One-time keys that a relay keeps for one mailbox.
pub const POOL_KEYS_MAX: usize = 100;
/// Fewer one-time keys than this at a relay are made up again.
pub const POOL_KEYS_LOW: usize = 40;
/// One-time keys that one grant may take in a day.
pub const POOL_DAILY: u32 = 8;
/// Longest signed one-time key in bytes.
pub const POOL_KEY_MAX: usize = 256;
/// Milliseconds that a relay keeps an envelope unless asked for less: the mailbox time.
pub const MAILBOX_TTL_MS: u64 = 30 * DAY_MS;
/// Milliseconds that a relay keeps an envelope at most, by its operator's word.
pub const MAILBOX_TTL_MAX_MS: u64 = 90 * DAY_MS;
/// Milliseconds that a relay remembers at most that an envelope was collected. Whoever audits it later than this after
/// its last word learns nothing from its silence about an envelope.
pub const COLLECTED_MS: u64 = 8 * DAY_MS;
/// Days that a relay serves a descriptor it keeps; after seven of them it is shown as stale.
pub const KEPT_DAYS: u64 = 30;
/// Largest sealed descriptor at a relay in bytes.
pub const KEPT_MAX: usize = DESCRIPTOR_MAX + 64;
/// Envelopes in one page of a mailbox.
pub const PAGE_ITEMS_MAX: usize = 64;
/// Bytes of envelopes in one page of a mailbox: the largest envelope fits.
pub const PAGE_BYTES_MAX: usize = 192 * 1024;
/// Largest request to a relay in bytes: a deposit of the largest envelope with its grant and proof.
pub const RELAY_REQUEST_MAX: usize = ENVELOPE_MAX + 2048;
/// Largest answer of a relay in bytes: a page.
pub const RELAY_ANSWER_MAX: usize = PAGE_BYTES_MAX + PAGE_ITEMS_MAX * 128 + 1024;

// --- delivery -------------------------------------------------------------------------------------------------------

/// Milliseconds after which an undelivered message expires, visibly.
pub const OUTBOX_EXPIRY_MS: u64 = 30 * DAY_MS;
/// Milliseconds after which a message without a receipt is sealed again to the newest descriptor.
pub const RESEAL_MS: u64 = 7 * DAY_MS;
/// Messages that wait as a request from one unknown account; more are not acknowledged.
pub const REQUEST_MESSAGES_MAX: usize = 20;
/// Unknown accounts whose requests wait; messages of more are not acknowledged.
pub const REQUEST_ACCOUNTS_MAX: usize = 100;
/// Milliseconds after which a request lapses, visibly.
pub const REQUEST_MS: u64 = 30 * DAY_MS;
/// Milliseconds that a time or counter of somebody else may lie ahead of our clock.
pub const CLOCK_SKEW_MS: u64 = DAY_MS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_has_room_for_what_it_carries() {
        const { assert!(TEXT_MAX + 1024 <= CONTENT_MAX) };
        const { assert!(CONTENT_MAX + DEVICE_LOG_MAX + 1024 <= PAYLOAD_MAX) };
        const { assert!(PAYLOAD_MAX + RATCHET_HEADER_MAX + 256 <= RATCHET_MESSAGE_MAX) };
        // A first message adds its key encapsulation (1088) and the names of both ends.
        const { assert!(RATCHET_MESSAGE_MAX + 2048 <= ENVELOPE_BUCKET_MAX) };
        const { assert!(ENVELOPE_BUCKET_MIN << 8 == ENVELOPE_BUCKET_MAX) };
        const { assert!(DEVICE_OP_MAX * (DEVICES_MAX + 1) <= DEVICE_LOG_MAX) };
        const { assert!(BUNDLE_MAX + ADDRESSES_MAX * ADDRESS_MAX <= DESCRIPTOR_MAX) };
    }
}
