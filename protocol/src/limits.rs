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

// --- channels --------------------------------------------------------------------------------------------------------

/// Largest operation of a channel in bytes: a device log, or the cutoffs of a removal.
pub const CHANNEL_OP_MAX: usize = 32 * 1024;
/// Operations that one names as what it follows: more heads than members who act at once; a wider front is joined first.
pub const CHANNEL_PARENTS_MAX: usize = 32;
/// Operations in one channel: admissions, removals and rekeys of 5,000 members for years. Beyond it none is taken.
pub const CHANNEL_OPS_MAX: usize = 65_536;
/// Numbers kept of what lies in the past of a channel's operations: 64 MiB. It takes thousands that do not know each other,
/// and thousands that follow all of them; beyond it none is taken.
pub const CHANNEL_CLOCKS_MAX: usize = 8 * 1024 * 1024;
/// Cutoffs in one removal: ten devices in a month of weekly epochs, and room for forced ones.
pub const CUTOFFS_MAX: usize = 256;
/// Epochs that one grant hands out.
pub const GRANTED_EPOCHS_MAX: usize = 64;
/// Devices that one operation suspends.
pub const SUSPENDED_MAX: usize = 512;
/// Roles that a channel defines, and that one role inherits from.
pub const ROLES_MAX: usize = 64;
/// Roles that one inherits through, one behind the other.
pub const ROLE_DEPTH_MAX: usize = 16;
/// Longest topic in bytes of UTF-8.
pub const TOPIC_MAX: usize = 512;
/// Longest reason of a removal in bytes of UTF-8.
pub const REASON_MAX: usize = 512;
/// Members of a channel.
pub const MEMBERS_MAX: usize = 10_000;
/// Milliseconds for which an invite is good at most.
pub const INVITE_MS_MAX: u64 = 365 * DAY_MS;
/// People that one invite lets in at most.
pub const INVITE_USES_MAX: u32 = 10_000;

/// Largest frame of a channel in bytes: the largest padded event, commitment key, signature and header.
pub const CHANNEL_FRAME_MAX: usize = ENVELOPE_BUCKET_MAX + 1024;
/// Bytes of operations in one parcel, before padding: a large operation or many small ones fit a frame.
pub const PARCEL_BYTES: usize = 60 * 1024;
/// Operations, or cards, in one parcel.
pub const PARCEL_ENTRIES_MAX: usize = 512;
/// Largest card of a member's device in bytes: leaf key, addresses, signature.
pub const CARD_MAX: usize = 2560;
/// Addresses on a card.
pub const CARD_ADDRESSES_MAX: usize = 4;
/// Cards in a welcome: enough to find somebody, the others come with the operations.
pub const WELCOME_CARDS_MAX: usize = 16;
/// Largest question between members in bytes: a pushed frame, a request to join.
pub const CHANNEL_REQUEST_MAX: usize = 128 * 1024;
/// Largest answer between members in bytes: a page of items.
pub const CHANNEL_ANSWER_MAX: usize = 256 * 1024;
/// Items that one question names or one answer holds.
pub const SYNC_ITEMS_MAX: usize = 512;
/// Places of a blob that one question names.
pub const SYNC_PLACES_MAX: usize = 128;
/// Topics in one question.
pub const SYNC_TOPICS_MAX: usize = 64;
/// Epochs in one question.
pub const SYNC_EPOCHS_MAX: usize = 128;
/// Largest message with what proves it, in bytes.
pub const ATTESTED_MAX: usize = ENVELOPE_BUCKET_MAX + 1024;
/// Largest proof that a device said two things at one place, in bytes: both of them.
pub const EQUIVOCATION_MAX: usize = 2 * ATTESTED_MAX + 16;
/// Messages that one may leave out of its sender's chain: as many as an epoch has before it is made anew.
pub const CHANNEL_JUMP_MAX: u32 = 5_000;
/// Seeds kept in one sender's chain for messages that were left out: the oldest go first.
pub const CHANNEL_SKIPPED_MAX: usize = 5_000;
/// People that one message calls by name.
pub const MENTIONS_MAX: usize = 64;
/// Longest reaction in bytes of UTF-8: an emoji with its modifiers.
pub const EMOJI_MAX: usize = 64;
/// Devices in one word on how far messages were seen.
pub const REACHED_MAX: usize = 512;

// --- invites ----------------------------------------------------------------------------------------------------------

/// Slots of an invite for each day: as many members as it takes for one to be found, few enough to read them all.
pub const INVITE_SLOTS: u32 = 4;
/// Ways to reach a member who may admit, in one invite record.
pub const INVITE_PEERS_MAX: usize = 8;
/// Addresses of one of them, and of somebody who asks to join: as in a link.
pub const INVITE_ADDRESSES_MAX: usize = 3;
/// What invite records, requests and answers are padded to multiples of, in bytes: lengths show no name or address.
pub const INVITE_PAD: usize = 1024;
/// Largest padded invite record in bytes: its slot record fits a record of the DHT.
pub const INVITE_RECORD_MAX: usize = 7 * 1024;
/// Longest leaf key of a joiner in bytes: an X-Wing key (1216) with its header.
pub const LEAF_KEY_MAX: usize = 1300;
/// Largest padded request to join in bytes: device log, leaf key, passes, addresses.
pub const JOIN_REQUEST_MAX: usize = 14 * 1024;
/// Largest welcome in bytes: with what is around it, it fits where an envelope does.
pub const WELCOME_MAX: usize = 60 * 1024;
/// Largest padded answer to a request to join in bytes: a welcome, names, signature.
pub const JOIN_ANSWER_MAX: usize = WELCOME_MAX + 1024;
/// Devices that a fresh epoch is sealed to: 5,000 members with two each.
pub const REKEY_RECIPIENTS_MAX: usize = 10_000;
/// Hashes from an item of a rekey blob to its root: the depth of a tree of so many.
pub const REKEY_PROOF_MAX: usize = 14;
/// Largest item of a rekey blob in bytes: encapsulated key (1120), ciphertext (80), proof (448), names, field headers.
pub const REKEY_ITEM_MAX: usize = 1792;
/// What the gate adds to a frame in bytes: slot and code.
pub const GATE_OVERHEAD: usize = 4 + 16;
/// Largest gossip packet in bytes.
pub const GOSSIP_PACKET_MAX: usize = CHANNEL_FRAME_MAX + GATE_OVERHEAD;
/// Milliseconds of one slot of the gate; a sender's clock may be off by one.
pub const GATE_SLOT_MS: u64 = 600_000;

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
        // A slot record adds keys, counters, signature and seal; a request and an answer add names and signatures.
        const { assert!(INVITE_RECORD_MAX + 256 <= DESCRIPTOR_MAX) };
        const { assert!(INVITE_RECORD_MAX.is_multiple_of(INVITE_PAD) && JOIN_REQUEST_MAX.is_multiple_of(INVITE_PAD)) };
        const { assert!(JOIN_ANSWER_MAX.is_multiple_of(INVITE_PAD) && JOIN_ANSWER_MAX + 128 <= ENVELOPE_MAX) };
        const {
            let lists = DEVICE_LOG_MAX + 4 * DEVICE_LOG_OPS_MAX + MAILBOXES_MAX * (PASS_MAX + 4);
            let reach = PEER_ID_MAX + INVITE_ADDRESSES_MAX * (ADDRESS_MAX + 4) + NAME_MAX;
            assert!(lists + reach + LEAF_KEY_MAX + 512 <= JOIN_REQUEST_MAX);
        };
        const { assert!(MAILBOXES_MAX * (PASS_MAX + 4) + 3 * NAME_MAX + 1024 + 1024 <= INVITE_RECORD_MAX) };
        const { assert!(1 << REKEY_PROOF_MAX >= REKEY_RECIPIENTS_MAX) };
        const { assert!(1 << (REKEY_PROOF_MAX - 1) < REKEY_RECIPIENTS_MAX) };
        const { assert!(1120 + 80 + 16 + REKEY_PROOF_MAX * (32 + 2) + 16 <= REKEY_ITEM_MAX) };
        const { assert!(BUNDLE_MAX + ADDRESSES_MAX * ADDRESS_MAX <= DESCRIPTOR_MAX) };
    }
}
