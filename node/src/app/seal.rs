//! Seals what the outbox carries: content, padded and ratcheted, in an envelope for one device.

use super::{
    App,
    query::TEXT,
    send::envelope_expiry,
    work::{Halt, Work},
};
use crate::api::error::UserError;
use kith_protocol::{
    Timestamp,
    content::{self, Body, Content, Conversation, Text},
    crypto::dh::DhPublic,
    identity::{DeviceInfo, ReachSecret},
    limits,
    mailbox::envelope,
    prekey::Bundle,
    session::{Introduction, Payload, PeerDevice, PeerKeys, Sessions, Status, StoredSessions},
    wire::Extensions,
};
use kith_store::table::{Cargo, Contact, Device, Message, Outbox, OwnProfile, OwnRelay, Place, SessionsRow};

/// What came of trying to seal.
pub(super) enum Sealing {
    /// Ready to go.
    Sealed {
        /// The envelope.
        envelope: Vec<u8>,
        /// When holders may drop it.
        expires: Timestamp,
    },
    /// The device's keys are not known (well enough).
    NeedsKeys,
    /// What was to be sealed is not there any more.
    Gone,
}

impl App {
    /// Seals an outbox row's cargo for its device.
    pub(super) fn seal_for(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: &Device,
        row: &Outbox,
    ) -> Result<Sealing, Halt> {
        let content = match &row.cargo {
            Cargo::Content(bytes) => bytes.clone(),
            Cargo::Message(id) => match self.own_message(w, id)? {
                Some(message) => match content_of(&message).and_then(|content| content.encode().ok()) {
                    Some(bytes) => bytes.to_vec(),
                    None => return Ok(Sealing::Gone),
                },
                None => return Ok(Sealing::Gone),
            },
        };
        let Some(bundle) = self.bundle_of(w, device)? else { return Ok(Sealing::NeedsKeys) };
        let sessions = self.sessions_with(w, device)?;
        let fresh = row.fresh_session || !matches!(sessions.status(w.now), Status::Established { .. });
        let payload = self.payload(w, contact, device, content, fresh)?.encode();
        let us = self.me.local();
        let now = w.now;
        // An unanswered first message whose one-time key is gone opens in no session that begins with it (R-PRE-5).
        let anew = row.fresh_session || (row.takings == 1 && fresh);
        let continued = if anew { None } else { sessions.seal(&us, &payload, now, w.rng).ok() };
        let step = match continued {
            Some(step) => step,
            None => {
                let keys = self.peer_keys(w, device, &bundle, row.takings == 0)?;
                match sessions.initiate(&us, &keys, &payload, now, w.rng) {
                    Ok(step) => step,
                    Err(error) => {
                        tracing::debug!(%error, "no session could be begun");
                        return Ok(Sealing::NeedsKeys);
                    }
                }
            }
        };
        let sealed = envelope::seal(bundle.mailbox_key(), bundle.mailbox_day(), &step.message, w.rng);
        let Ok(envelope) = sealed else { return Ok(Sealing::NeedsKeys) };
        w.put(&SessionsRow { device: device.device, sessions: StoredSessions::from(&step.sessions) })?;
        Ok(Sealing::Sealed { envelope, expires: envelope_expiry(now, row.expires_at) })
    }

    /// The device's bundle, if one is known; it is verified again, since the row only remembers bytes.
    fn bundle_of(&self, w: &Work<'_>, device: &Device) -> Result<Option<Bundle>, Halt> {
        let Some(bytes) = &device.bundle else { return Ok(None) };
        let Ok(info) = DeviceInfo::parse(&device.sign, &device.dh) else { return Ok(None) };
        Ok(Bundle::verify(bytes, &device.account, &info, w.now).ok())
    }

    /// The sessions with a device; none yet is an empty set.
    pub(super) fn sessions_with(&self, w: &Work<'_>, device: &Device) -> Result<Sessions, Halt> {
        let stored = w.get::<SessionsRow>(&SessionsRow::key_of(&device.device))?;
        let known = stored.and_then(|row| Sessions::try_from(&row.sessions).ok());
        Ok(known.unwrap_or_else(|| Sessions::new(peer_device(device))))
    }

    /// How many days ago the device's keys were made, if that is so long that newer ones should have been found.
    pub(super) fn age_of_keys(&self, w: &Work<'_>, device: &Device) -> Result<Option<u64>, Halt> {
        let bundle = self.bundle_of(w, device)?.filter(|bundle| bundle.is_stale(w.now));
        Ok(bundle.map(|bundle| w.now.millis_since(bundle.not_before()) / 86_400_000))
    }

    /// Takes the bundle's keys, and one of the one-time keys the device or its relay gave us alone, which is used up by it.
    /// What is sealed again is sealed without: the key may be the very reason that it did not open (R-PRE-5).
    fn peer_keys(&self, w: &mut Work<'_>, device: &Device, bundle: &Bundle, first: bool) -> Result<PeerKeys, Halt> {
        if !first {
            return Ok(PeerKeys::new(bundle, None));
        }
        let mut keys = self.one_time_keys(w, &device.device)?;
        let one_time = keys.take(w.now);
        if one_time.is_some() {
            self.keep_one_time(w, &device.device, &keys)?;
        }
        Ok(PeerKeys::new(bundle, one_time.as_ref()))
    }

    fn payload(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: &Device,
        content: Vec<u8>,
        introduce: bool,
    ) -> Result<Payload, Halt> {
        let introduction = if introduce { Some(self.introduction(w, contact, device)?) } else { None };
        Ok(Payload {
            content,
            sender_log: self.me.log_head(),
            recipient_log: contact.log_head,
            introduction,
            extensions: Extensions::default(),
        })
    }

    fn introduction(&self, w: &mut Work<'_>, contact: &Contact, device: &Device) -> Result<Introduction, Halt> {
        let profile = self.profile(w)?;
        let mailboxes = self.passes_for(w, &contact.account, &device.device)?;
        Ok(Introduction {
            device_log: self.me.log.signed_ops().iter().map(|op| op.encode()).collect(),
            reach_secret: ReachSecret::from_bytes(profile.reach),
            hints: hints(&profile, &self.places(w)?),
            mailboxes,
            name: profile.name,
        })
    }

    /// Queues content that is in no log (receipt, session control) for a device, and starts at once.
    pub(super) fn enqueue_content(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: kith_protocol::DeviceId,
        body: Body,
        fresh_session: bool,
    ) -> Result<(), Halt> {
        let row = self.queue_content(w, contact, device, body)?;
        if fresh_session && let Some(mut queued) = w.get::<Outbox>(&Outbox::key_of(row))? {
            queued.fresh_session = true;
            w.put(&queued)?;
        }
        self.attempt(w, row)
    }

    /// Queues content that is in no log for a device.
    pub(super) fn queue_content(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: kith_protocol::DeviceId,
        body: Body,
    ) -> Result<u64, Halt> {
        let encoded = self.content_to(w, contact, body)?;
        let expires = self.term_begin(w)?.plus_millis(limits::OUTBOX_EXPIRY_MS);
        self.enqueue(w, contact.account, Some(device), Cargo::Content(encoded), expires)
    }

    /// Encodes content that is in no log.
    pub(super) fn content_to(&self, w: &mut Work<'_>, contact: &Contact, body: Body) -> Result<Vec<u8>, Halt> {
        let content = Content {
            id: content::new_id(w.rng),
            conversation: Conversation::Person(contact.account),
            sender_account: self.me.account,
            sender_device: self.me.device,
            sequence: w.now.as_millis().max(1),
            previous: None,
            sent_at: w.now,
            expires_after_ms: None,
            body,
            extensions: Extensions::default(),
        };
        match content.encode() {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(_) => Err(UserError::internal("own content does not encode").into()),
        }
    }
}

/// The addresses at which a stranger finds us: relays first, at most as many as a link carries, one place left for us.
pub(super) fn hints(profile: &OwnProfile, places: &[OwnRelay]) -> Vec<String> {
    let relays = places.iter().filter_map(|own| own.addresses.first().map(|a| with_peer(a, &own.peer)));
    let own = profile.addresses.iter().map(|a| with_peer(a, &profile.peer));
    relays.take(limits::LINK_HINTS_MAX - 1).chain(own).take(limits::LINK_HINTS_MAX).collect()
}

/// An address with the peer that must answer there.
pub(super) fn with_peer(address: &str, peer: &str) -> String {
    if address.contains("/p2p/") { address.to_owned() } else { format!("{address}/p2p/{peer}") }
}

/// The device as sessions know it. Its keys were verified when the row was made.
pub(super) fn peer_device(device: &Device) -> PeerDevice {
    PeerDevice { account: device.account, device: device.device, dh: DhPublic::raw(device.dh) }
}

fn content_of(message: &Message) -> Option<Content> {
    let conversation = match message.place {
        Place::Person(account) => Conversation::Person(account),
        Place::Channel(id) => Conversation::Channel(kith_protocol::ChannelId::from_bytes(id)),
    };
    let body = match message.kind {
        TEXT => Body::Text(Text::new(String::from_utf8(message.body.clone()).ok()?).ok()?),
        kind => Body::Unknown { kind, body: message.body.clone() },
    };
    Some(Content {
        id: message.id,
        conversation,
        sender_account: message.account,
        sender_device: message.device,
        sequence: message.seq,
        previous: message.previous,
        sent_at: message.sent_at,
        expires_after_ms: message.expires_at.map(|at| at.millis_since(message.sent_at)),
        body,
        extensions: Extensions::default(),
    })
}
