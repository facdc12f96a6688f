//! What local clients may read: rows turned into the API's types, over a snapshot. Must not write anything.

use super::{channel_reach, publish::ClockDoubt, scan::Scan};
use crate::api::types;
use kith_protocol::{
    AccountId, ChannelId, DeviceId, MessageId, Timestamp,
    identity::{ContactCode, ContactLink, ReachSecret},
};
use kith_store::{
    Damage, Error, Range, RawRows, Rows,
    table::{
        AccountDevices, Cargo, ChannelCard, ChannelMarks, ChannelRow, ChannelSaid, Contact, ContactState, Counters,
        Deliveries, Device, Event, KnownRelay, Message, MessageRef, Outbox, OwnProfile, OwnRelay, Place, PlaceHead,
        Progress, RelayStanding,
    },
};

/// The content kind of a text (SPEC, Content).
pub(super) const TEXT: u32 = 1;

/// The kind of a text that its author gave other words.
pub(super) const EDITED: u32 = 0x1002;
/// The kind of a text that is not shown any more.
pub(super) const DELETED: u32 = 0x1003;

/// Extends a contact with how it is shown.
pub(super) trait Shown {
    /// The name to show: ours for them, else their own.
    fn shown_name(&self) -> String;
    /// What a person types to mean them: the local name as one word of a shell, else the id.
    fn handle(&self) -> String;
}

impl Shown for Contact {
    fn shown_name(&self) -> String {
        if self.name.is_empty() { self.their_name.clone() } else { self.name.clone() }
    }

    fn handle(&self) -> String {
        let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
        match self.name.as_str() {
            "" => self.account.to_string(),
            name if name.chars().all(plain) => format!("@{name}"),
            name => format!("'@{}'", name.replace('\'', r"'\''")),
        }
    }
}

pub(super) fn state(progress: Progress) -> types::DeliveryState {
    match progress {
        Progress::Queued => types::DeliveryState::Queued,
        Progress::Sent => types::DeliveryState::Sent,
        Progress::Stored => types::DeliveryState::Stored,
        Progress::Delivered => types::DeliveryState::Delivered,
        Progress::Read => types::DeliveryState::Read,
        Progress::Failed => types::DeliveryState::Failed,
    }
}

/// Accounts a message goes to, and how many of them have it.
fn counts(deliveries: Option<&Deliveries>) -> (u32, u32) {
    let mut members = std::collections::BTreeMap::new();
    for delivery in deliveries.map(|d| d.to.as_slice()).unwrap_or_default() {
        let has = matches!(delivery.progress, Progress::Delivered | Progress::Read);
        *members.entry(delivery.account).or_insert(false) |= has;
    }
    let delivered = members.values().filter(|has| **has).count();
    (u32::try_from(delivered).unwrap_or(u32::MAX), u32::try_from(members.len()).unwrap_or(u32::MAX))
}

/// Turns a message into what clients see.
pub(super) fn message(m: &Message, deliveries: Option<&Deliveries>, name: &str, own: &OwnProfile) -> types::Message {
    let outgoing = m.account == own.account;
    let (delivered, members) = counts(deliveries);
    let other = match m.place {
        Place::Person(account) => account,
        Place::Channel(id) => AccountId::from_bytes(id),
    };
    let text = matches!(m.kind, TEXT | EDITED);
    types::Message {
        id: m.id,
        conversation: other,
        from: m.account,
        from_name: if outgoing { own.name.clone() } else { name.to_owned() },
        to: if outgoing { other } else { own.account },
        outgoing,
        at: m.sent_at.into(),
        stored_at: m.stored_at.into(),
        kind: match m.kind {
            TEXT | EDITED => types::MessageKind::Text,
            DELETED => types::MessageKind::Deleted,
            _ => types::MessageKind::Unknown,
        },
        body: if text { String::from_utf8_lossy(&m.body).into_owned() } else { String::new() },
        state: state(m.progress),
        delivered,
        members,
        error: deliveries.and_then(|d| d.to.iter().find_map(|d| d.error.clone())),
        reply_to: None,
        expires: m.expires_at.map(Into::into),
        files: Vec::new(),
        channel: matches!(m.place, Place::Channel(_)),
        edited: m.kind == EDITED,
        pinned: false,
        reactions: Vec::new(),
        missing: 0,
    }
}

/// Turns a change of progress into its event.
pub(super) fn receipt(m: &Message, deliveries: &Deliveries, now: Timestamp) -> types::Receipt {
    let (delivered, members) = counts(Some(deliveries));
    let to = match m.place {
        Place::Person(account) => account,
        Place::Channel(id) => AccountId::from_bytes(id),
    };
    let error = deliveries.to.iter().find_map(|d| d.error.clone()).filter(|_| m.progress == Progress::Failed);
    types::Receipt { id: m.id, to, state: state(m.progress), delivered, members, at: now.into(), error }
}

/// Turns a contact into what clients see.
pub(super) fn contact(rows: &dyn RawRows, c: &Contact) -> Result<types::Contact, Error> {
    let devices =
        rows.row::<AccountDevices>(&AccountDevices::key_of(&c.account))?.map(|a| a.devices).unwrap_or_default();
    let mut live = 0;
    let mut keys = false;
    let mut last_seen = None;
    for device in devices {
        if let Some(device) = rows.row::<Device>(&Device::key_of(&device))?.filter(|d| !d.revoked) {
            live += 1;
            keys |= device.bundle.is_some();
            last_seen = last_seen.max(device.seen_at);
        }
    }
    let unread = rows.row::<PlaceHead>(&PlaceHead::key_of(&Place::Person(c.account)))?.map_or(0, |h| h.unread);
    let state = match c.state {
        _ if c.blocked => types::ContactState::Blocked,
        ContactState::Request => types::ContactState::Request,
        _ if c.accepted_at.is_some() => types::ContactState::Connected,
        _ if keys => types::ContactState::Added,
        _ => types::ContactState::NeedsKeys,
    };
    Ok(types::Contact {
        account: c.account,
        name: c.shown_name(),
        name_given: !c.name.is_empty(),
        own_name: Some(c.their_name.clone()).filter(|n| !n.is_empty()),
        state,
        verified: c.verified,
        identity_changed: c.violated,
        added_at: c.since.into(),
        last_seen: last_seen.map(Into::into),
        devices: live,
        unread,
    })
}

/// All contacts and requests, by name.
pub fn contacts(rows: &dyn RawRows) -> Result<Vec<types::Contact>, Error> {
    listed(rows, |c| c.state != ContactState::Removed)
}

/// Those who were removed, by name.
pub fn removed_contacts(rows: &dyn RawRows) -> Result<Vec<types::Contact>, Error> {
    listed(rows, |c| c.state == ContactState::Removed)
}

fn listed(rows: &dyn RawRows, wanted: impl Fn(&Contact) -> bool) -> Result<Vec<types::Contact>, Error> {
    let mut all = Vec::new();
    for c in rows.every::<Contact>()?.into_iter().filter(wanted) {
        all.push(contact(rows, &c)?);
    }
    all.sort_by(|a, b| (&a.name, a.account).cmp(&(&b.name, b.account)));
    Ok(all)
}

fn name_of(rows: &dyn RawRows, account: &AccountId) -> Result<String, Error> {
    Ok(rows.row::<Contact>(&Contact::key_of(account))?.map(|c| c.shown_name()).unwrap_or_default())
}

/// What all messages of a place need to be shown.
fn reader<'r>(rows: &'r dyn RawRows, place: &Place) -> Option<channel_reach::Reader<'r>> {
    match place {
        Place::Person(_) => None,
        Place::Channel(channel) => Some(channel_reach::Reader::new(rows, ChannelId::from_bytes(*channel))),
    }
}

fn shown(
    rows: &dyn RawRows,
    reader: Option<&channel_reach::Reader<'_>>,
    m: &Message,
    own: &OwnProfile,
) -> Result<types::Message, Error> {
    let deliveries = rows.row::<Deliveries>(&Deliveries::key_of(&m.id))?.filter(|_| m.account == own.account);
    let name = match m.place {
        Place::Person(account) => name_of(rows, &account)?,
        Place::Channel(channel) => member_name(rows, &ChannelId::from_bytes(channel), &m.account, &m.device)?,
    };
    let mut shown = message(m, deliveries.as_ref(), &name, own);
    if let Place::Channel(channel) = m.place {
        if let Some(reader) = reader.filter(|_| shown.outgoing) {
            let reached = reader.reached(m)?;
            (shown.state, shown.delivered, shown.members) = (reached.state, reached.delivered, reached.members);
        }
        let channel = ChannelId::from_bytes(channel);
        let said = rows.row::<ChannelSaid>(&ChannelSaid::key_of(&channel, &m.id))?;
        shown.reply_to = said.and_then(|said| said.reply_to);
        let marks = rows.row::<ChannelMarks>(&ChannelMarks::key_of(&channel, &m.id))?;
        let given = marks.map(|row| row.marks).unwrap_or_default().into_iter().filter(|mark| mark.on);
        let mut reactions: std::collections::BTreeMap<String, (u32, bool)> = Default::default();
        for mark in given {
            if mark.emoji.is_empty() {
                shown.pinned = true;
                continue;
            }
            let (count, mine) = reactions.entry(mark.emoji).or_default();
            *count += 1;
            *mine |= mark.account == own.account;
        }
        let reaction = |(emoji, (count, mine))| types::Reaction { emoji, count, mine };
        shown.reactions = reactions.into_iter().map(reaction).collect();
    }
    Ok(shown)
}

/// What a member of a channel is called here: the contact's name, else what they call themselves there.
pub(super) fn member_name(
    rows: &dyn RawRows,
    channel: &ChannelId,
    account: &AccountId,
    device: &DeviceId,
) -> Result<String, Error> {
    let name = name_of(rows, account)?;
    if !name.is_empty() {
        return Ok(name);
    }
    let card = rows.row::<ChannelCard>(&ChannelCard::key_of(channel, device))?;
    Ok(card.map(|card| card.name).unwrap_or_default())
}

/// Where the rows of a conversation are.
pub(super) fn place(conversation: &types::Conversation) -> Place {
    match conversation {
        types::Conversation::Person(account) => Place::Person(*account),
        types::Conversation::Channel(channel) => Place::Channel(*channel.as_bytes()),
    }
}

/// Messages of a conversation, oldest first: the last `limit` before a message and since a time.
pub fn messages(
    rows: &dyn RawRows,
    conversation: &types::Conversation,
    before: Option<MessageId>,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<types::Message>, Error> {
    let own = profile(rows)?;
    let place = place(conversation);
    let mut range = Range::all();
    if let Some(id) = before {
        let found = rows.row::<MessageRef>(&MessageRef::key_of(&id))?;
        let Some(order) = found.and_then(|f| f.at.iter().find(|(_, p, _)| *p == place).map(|(.., order)| *order))
        else {
            return Ok(Vec::new());
        };
        range = range.before(&Message::order_of(order, &id));
    }
    if let Some(since) = since {
        range = range.from(&since.as_millis().to_be_bytes());
    }
    let mut found = rows.rows::<Message>(&place.group(), &range.backward(), limit)?;
    found.reverse();
    let reader = reader(rows, &place);
    let shown = found.iter().map(|m| shown(rows, reader.as_ref(), m, &own)).collect::<Result<_, _>>()?;
    match reader {
        Some(reader) => reader.with_gaps(shown, before.is_none(), &own),
        None => Ok(shown),
    }
}

/// How many rows a search reads at once.
const SEARCH_PAGE: usize = 512;

/// Finds texts that contain all words of a query, in any case: the newest that fit, oldest first; in one conversation or in
/// all. Every message that is searched is opened, so that a search takes as long as reading them.
pub fn search(
    rows: &dyn RawRows,
    query: &str,
    conversation: Option<&types::Conversation>,
    limit: usize,
) -> Result<Vec<types::Message>, Error> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let places = match conversation {
        Some(conversation) => vec![place(conversation)],
        None => {
            let people = rows.every::<Contact>()?.into_iter().map(|c| Place::Person(c.account));
            let channels = rows.group::<ChannelRow>(ChannelRow::GROUP)?;
            people.chain(channels.into_iter().map(|row| Place::Channel(*row.channel.as_bytes()))).collect()
        }
    };
    let fits = |m: &Message| {
        let text = matches!(m.kind, TEXT | EDITED).then(|| String::from_utf8_lossy(&m.body).to_lowercase());
        text.is_some_and(|text| words.iter().all(|word| text.contains(word)))
    };
    let own = profile(rows)?;
    let mut found: Vec<Message> = Vec::new();
    for place in places {
        let (mut here, mut range) = (Vec::new(), Range::all());
        loop {
            let page = rows.rows::<Message>(&place.group(), &range.clone().backward(), SEARCH_PAGE)?;
            let Some(last) = page.last().filter(|_| page.len() == SEARCH_PAGE) else {
                here.extend(page.into_iter().filter(fits));
                break;
            };
            range = Range::all().before(&Message::order_of(last.order, &last.id));
            here.extend(page.into_iter().filter(fits));
            if here.len() >= limit {
                break;
            }
        }
        here.truncate(limit);
        found.append(&mut here);
    }
    found.sort_by_key(|m| (std::cmp::Reverse(m.stored_at), m.id));
    found.truncate(limit);
    found.reverse();
    found.iter().map(|m| shown(rows, reader(rows, &m.place).as_ref(), m, &own)).collect()
}

/// One message by id.
pub fn one_message(rows: &dyn RawRows, id: &MessageId) -> Result<Option<types::Message>, Error> {
    let Some(found) = rows.row::<MessageRef>(&MessageRef::key_of(id))? else { return Ok(None) };
    for (_, place, order) in &found.at {
        if let Some(m) = rows.row::<Message>(&Message::key_of(place, *order, id))? {
            return Ok(Some(shown(rows, reader(rows, place).as_ref(), &m, &profile(rows)?)?));
        }
    }
    Ok(None)
}

/// Ids whose text begins with a prefix, at most `limit`.
pub fn find_messages(rows: &dyn RawRows, prefix: &str, limit: usize) -> Result<Vec<MessageId>, Error> {
    // The text begins with the prefix exactly if the id lies between the prefix filled up with the alphabet's first and
    // last character; ids are sorted as their bytes are, and so is the text.
    let fill = |c: char| format!("{prefix}{}", c.to_string().repeat(26_usize.saturating_sub(prefix.len())));
    // The last character of an id's text carries three bits only: stay inside what decodes.
    let low = fill('a').parse::<MessageId>();
    let mut high_text = fill('7');
    if prefix.len() < 26 {
        high_text.replace_range(25.., "4");
    }
    let (Ok(low), Ok(high)) = (low, high_text.parse::<MessageId>().or_else(|_| prefix.parse())) else {
        return Ok(Vec::new());
    };
    let range = Range::all().from(low.as_bytes()).until(high.as_bytes());
    let found = rows.rows::<MessageRef>(MessageRef::GROUP, &range, limit)?;
    let fits = |f: &MessageRef| !f.at.is_empty() && f.id.to_string().starts_with(prefix);
    Ok(found.into_iter().filter(fits).map(|f| f.id).collect())
}

/// The story of a message, device by device; in a channel member by member.
pub fn why(rows: &dyn RawRows, id: &MessageId) -> Result<Option<types::Why>, Error> {
    if let Some(found) = rows.row::<MessageRef>(&MessageRef::key_of(id))? {
        for (_, place, order) in found.at.iter().filter(|(_, place, _)| matches!(place, Place::Channel(_))) {
            if let Some(message) = rows.row::<Message>(&Message::key_of(place, *order, id))?
                && let Some(why) = channel_reach::why(rows, &message)?
            {
                return Ok(Some(why));
            }
        }
    }
    let Some(deliveries) = rows.row::<Deliveries>(&Deliveries::key_of(id))? else { return Ok(None) };
    let mut recipients = Vec::new();
    for d in deliveries.to {
        let waiting = match d.outbox {
            Some(row) => rows.row::<Outbox>(&Outbox::key_of(row))?,
            None => None,
        };
        recipients.push(types::WhyRecipient {
            account: d.account,
            name: name_of(rows, &d.account)?,
            device: d.device,
            state: state(d.progress),
            steps: d
                .steps
                .into_iter()
                .map(|s| types::WhyStep { at: s.at.into(), what: s.what, place: s.place })
                .collect(),
            next_retry: waiting.map(|row| row.due_at.into()),
            error: d.error,
        });
    }
    Ok(Some(types::Why { id: *id, recipients }))
}

/// What is on its way, oldest first.
pub fn outbox(rows: &dyn RawRows) -> Result<Vec<types::OutboxItem>, Error> {
    let mut items = Vec::new();
    for row in rows.group::<Outbox>(Outbox::GROUP)? {
        let Cargo::Message(id) = row.cargo else { continue };
        let deliveries = rows.row::<Deliveries>(&Deliveries::key_of(&id))?;
        let delivery = deliveries.as_ref().and_then(|d| d.to.iter().find(|d| d.outbox == Some(row.id)));
        items.push(types::OutboxItem {
            id,
            to: row.account,
            name: name_of(rows, &row.account)?,
            device: row.device,
            state: state(delivery.map_or(Progress::Queued, |d| d.progress)),
            queued_at: row.since.into(),
            attempts: row.attempts,
            next_retry: Some(row.due_at.into()),
            expires: row.expires_at.into(),
            error: delivery.and_then(|d| d.error.clone()),
        });
    }
    Ok(items)
}

/// Events after a cursor.
pub fn events(rows: &dyn RawRows, after: u64, limit: usize) -> Result<types::EventPage, Error> {
    let range = Range::all().after(&after.to_be_bytes());
    let found = rows.rows::<Event>(Event::GROUP, &range, limit)?;
    let next = found.last().map_or(after, |e| e.cursor);
    let events = found.iter().filter_map(|e| serde_json::from_slice(&e.json).ok()).collect();
    Ok(types::EventPage { events, next })
}

/// The newest event's cursor, 0 if there is none.
pub fn newest_event(rows: &dyn RawRows) -> Result<u64, Error> {
    Ok(rows.row::<Counters>(&Counters::only())?.map_or(0, |c| c.event))
}

/// What others see of this profile.
fn profile(rows: &dyn RawRows) -> Result<OwnProfile, Error> {
    rows.row::<OwnProfile>(&OwnProfile::only())?.ok_or(Error::Corrupt(Damage::Row))
}

/// Peers that the user banned.
pub fn banned(rows: &dyn RawRows) -> Result<Vec<String>, Error> {
    Ok(profile(rows)?.banned)
}

/// Address hints of this node, for links.
pub(super) fn hints_of(rows: &dyn RawRows) -> Result<Vec<String>, Error> {
    let own = profile(rows)?;
    let places: Vec<_> = rows.group::<OwnRelay>(OwnRelay::GROUP)?.into_iter().filter(|own| own.offered).collect();
    Ok(super::seal::hints(&own, &places))
}

/// My contact code and link.
pub fn me(rows: &dyn RawRows) -> Result<types::Me, Error> {
    let own = profile(rows)?;
    let code = ContactCode { account: own.account, reach: ReachSecret::from_bytes(own.reach) };
    let places: Vec<_> = rows.group::<OwnRelay>(OwnRelay::GROUP)?.into_iter().filter(|own| own.offered).collect();
    let link = ContactLink::new(code, super::seal::hints(&own, &places));
    Ok(types::Me {
        code: link.code.to_string(),
        url: link.to_string(),
        account: own.account,
        device: own.device,
        name: own.name,
    })
}

/// A relay of ours as clients see it.
pub(super) fn relay(own: &OwnRelay, known: Option<&KnownRelay>) -> types::Relay {
    types::Relay {
        relay: own.relay.to_string(),
        peer: own.peer.clone(),
        name: own.name.clone(),
        state: match own.standing {
            RelayStanding::New => types::RelayState::New,
            RelayStanding::Ready => types::RelayState::Ready,
            RelayStanding::Unreachable => types::RelayState::Unreachable,
            RelayStanding::Refused => types::RelayState::Refused,
            RelayStanding::WrongKey => types::RelayState::WrongKey,
            RelayStanding::Leaving => types::RelayState::Leaving,
        },
        detail: own.detail.clone(),
        added_at: own.since.into(),
        last_answer: own.answered_at.map(Into::into),
        envelopes: own.used.0,
        envelopes_max: own.quota.0,
        bytes: own.used.1,
        bytes_max: own.quota.1,
        prekeys: own.prekeys,
        broken: known.map_or(0, |known| known.broken),
    }
}

/// Relays that hold this account's mail, in the order in which they were added.
pub fn relays(rows: &dyn RawRows) -> Result<Vec<types::Relay>, Error> {
    let own = rows.group::<OwnRelay>(OwnRelay::GROUP)?;
    let known = |own: &OwnRelay| rows.row::<KnownRelay>(&KnownRelay::key_of(&own.relay, &own.peer));
    let shown = |own: OwnRelay| Ok(relay(&own, known(&own)?.as_ref()));
    own.into_iter().map(shown).collect()
}

/// Numbers for `status`.
pub struct Overview {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// The name contacts see.
    pub name: String,
    /// Contacts, without requests and blocked ones.
    pub contacts: u64,
    /// Requests that wait.
    pub requests: u64,
    /// Messages not read yet.
    pub unread: u64,
    /// Messages on their way.
    pub outbox: u64,
}

/// Counts what `status` shows.
pub fn overview(rows: &dyn RawRows) -> Result<Overview, Error> {
    let own = profile(rows)?;
    let mut counts = Overview {
        account: own.account,
        device: own.device,
        name: own.name,
        contacts: 0,
        requests: 0,
        unread: 0,
        outbox: 0,
    };
    for c in rows.every::<Contact>()?.into_iter().filter(|c| !c.blocked) {
        match c.state {
            ContactState::Added => counts.contacts += 1,
            ContactState::Request => counts.requests += 1,
            ContactState::Removed => {}
        }
    }
    counts.unread = rows.every::<PlaceHead>()?.iter().map(|h| h.unread).sum();
    let waiting = rows.group::<Outbox>(Outbox::GROUP)?;
    counts.outbox = waiting.iter().filter(|row| matches!(row.cargo, Cargo::Message(_))).count() as u64;
    Ok(counts)
}

/// Why the clock is not believed, if it is not: then nothing lapses and nothing is deleted.
pub fn clock_doubt(rows: &dyn RawRows, now: Timestamp) -> Result<Option<String>, Error> {
    Ok(ClockDoubt::of(&profile(rows)?, now).map(|doubt| doubt.to_string()))
}
