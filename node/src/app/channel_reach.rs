//! How far a channel's messages came, why not further, and what is missing between them, from rows. Must not write anything.

use super::{
    channel::{WORD_MEMBERS_MAX, graph_of, of_others},
    query::{self, member_name},
    scan::Scan as _,
};
use crate::api::types;
use kith_protocol::{
    AccountId, ChannelId, DeviceId, MessageId, Timestamp,
    channel::{Attested, Epochs, Graph},
    crypto::kdf::sha256,
};
use kith_store::{
    Error, Range, RawRows, Rows as _,
    table::{
        ChainLink, ChannelCard, ChannelHead, ChannelRow, ChannelSaid, ChannelSeen, ChannelSent, Membership, Message,
        OwnProfile, Place, Progress,
    },
};
use std::{cell::OnceCell, collections::BTreeSet};

/// How far an own message came in its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) state: types::DeliveryState,
    /// How many have it.
    pub(super) delivered: u32,
    /// Of those it was sealed for: who has it, and who belongs and is waited for.
    pub(super) members: u32,
}

impl Reached {
    /// Finds out how far a message came.
    pub(super) fn of(rows: &dyn RawRows, graph: &Graph, message: &Message) -> Result<Self, Error> {
        let Place::Channel(channel) = message.place else { return Ok(Self::alone(message.progress)) };
        let channel = ChannelId::from_bytes(channel);
        let sent = rows.row::<ChannelSent>(&ChannelSent::key_of(&channel, &message.id))?;
        let seen = rows.group::<ChannelSeen>(channel.as_bytes())?;
        Ok(Self::from_words(message, sent.as_ref(), &seen, |account| graph.is_member(account)))
    }

    fn alone(progress: Progress) -> Self {
        Self { state: query::state(progress), delivered: 0, members: 0 }
    }

    fn from_words(
        message: &Message,
        sent: Option<&ChannelSent>,
        seen: &[ChannelSeen],
        belongs: impl Fn(&AccountId) -> bool,
    ) -> Self {
        let Some(sent) = sent else { return Self::alone(message.progress) };
        if sent.to.is_empty() {
            return Self { members: sent.members, ..Self::alone(message.progress) };
        }
        let (mut members, mut delivered, mut read, mut unread) = (0, 0, 0, 0);
        for account in &sent.to {
            let word = Word::of(message, account, seen);
            let waited_for = belongs(account);
            members += u32::from(waited_for || word.has.is_some());
            delivered += u32::from(word.has.is_some());
            read += u32::from(word.read.is_some());
            unread += u32::from(waited_for && word.read.is_none());
        }
        let state = match message.progress {
            _ if read > 0 && unread == 0 => types::DeliveryState::Read,
            _ if members > 0 && delivered == members => types::DeliveryState::Delivered,
            // Whoever has it was handed it.
            Progress::Queued if delivered > 0 => types::DeliveryState::Sent,
            progress => query::state(progress),
        };
        Self { state, delivered, members }
    }
}

/// What an account's devices said of one message, and when.
#[derive(Default)]
struct Word {
    has: Option<(DeviceId, Timestamp)>,
    read: Option<Timestamp>,
    /// Their newest word, whatever it says.
    newest: Option<Timestamp>,
}

impl Word {
    fn of(message: &Message, account: &AccountId, seen: &[ChannelSeen]) -> Self {
        let mut word = Self::default();
        for said in seen.iter().filter(|said| said.account == *account) {
            word.newest = word.newest.max(Some(said.at));
            let reach = said.reached.iter().find(|reach| reach.device == message.device);
            if let Some(reach) = reach.filter(|reach| reach.covers(message.seq)) {
                word.has = word.has.or(Some((said.device, said.at)));
                word.read = word.read.or(Some(said.at).filter(|_| message.seq <= reach.read));
            }
        }
        word
    }
}

/// A channel whose messages are read: what all of them need is read once, and only if one needs it.
pub(super) struct Reader<'r> {
    rows: &'r dyn RawRows,
    channel: ChannelId,
    seen: OnceCell<Vec<ChannelSeen>>,
    graph: OnceCell<Option<Graph>>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(rows: &'r dyn RawRows, channel: ChannelId) -> Self {
        Self { rows, channel, seen: OnceCell::new(), graph: OnceCell::new() }
    }

    fn seen(&self) -> Result<&[ChannelSeen], Error> {
        if self.seen.get().is_none() {
            let _ = self.seen.set(self.rows.group::<ChannelSeen>(self.channel.as_bytes())?);
        }
        Ok(self.seen.get().map_or(&[], Vec::as_slice))
    }

    fn graph(&self) -> Result<Option<&Graph>, Error> {
        if self.graph.get().is_none() {
            let _ = self.graph.set(graph_of(self.rows, &self.channel)?);
        }
        Ok(self.graph.get().and_then(Option::as_ref))
    }

    /// How far an own message came.
    pub(super) fn reached(&self, message: &Message) -> Result<Reached, Error> {
        let sent = self.rows.row::<ChannelSent>(&ChannelSent::key_of(&self.channel, &message.id))?;
        let seen = self.seen()?;
        let all = Reached::from_words(message, sent.as_ref(), seen, |_| true);
        // Who belongs matters only where somebody is waited for.
        if all.delivered == all.members || sent.as_ref().is_none_or(|sent| sent.to.is_empty()) {
            return Ok(all);
        }
        let graph = self.graph()?;
        let belongs = |account: &AccountId| graph.is_none_or(|graph| graph.is_member(account));
        Ok(Reached::from_words(message, sent.as_ref(), seen, belongs))
    }

    /// Puts in between messages, oldest first, where some of a member are missing. `to_end` says that they are the newest.
    pub(super) fn with_gaps(
        &self,
        mut shown: Vec<types::Message>,
        to_end: bool,
        own: &OwnProfile,
    ) -> Result<Vec<types::Message>, Error> {
        let row = self.rows.row::<ChannelRow>(&ChannelRow::key_of(&self.channel))?;
        let heads = self.rows.group::<ChannelHead>(self.channel.as_bytes())?;
        let heads: Vec<ChannelHead> = heads.into_iter().filter(|head| head.gap_at.is_some()).collect();
        if heads.is_empty() || row.is_none_or(|row| row.membership != Membership::Joined) {
            return Ok(shown);
        }
        let Some(graph) = self.graph()? else { return Ok(shown) };
        for head in of_others(heads, graph, &own.account) {
            let Some(account) = graph.owner_of(&head.device) else { continue };
            let name = member_name(self.rows, &self.channel, &account, &head.device)?;
            for (next, missing) in self.gaps(&head)? {
                let (at, place) = match next {
                    Some(next) => match shown.iter().position(|m| m.id == next) {
                        Some(place) => (shown.get(place).map(|m| m.at), place),
                        None => continue,
                    },
                    None if to_end => (None, shown.len()),
                    None => continue,
                };
                let gap = Gap { channel: self.channel, account, name: &name, device: head.device, next, missing };
                shown.insert(place, gap.shown(at.unwrap_or_else(|| head.at.into()), own));
            }
        }
        Ok(shown)
    }

    /// How many of a device's messages are missing before which of those that are here; at the end where none is.
    fn gaps(&self, head: &ChannelHead) -> Result<Vec<(Option<MessageId>, u64)>, Error> {
        let group = ChainLink::group_of(&Place::Channel(*self.channel.as_bytes()), &head.device);
        let mut gaps: Vec<(Option<MessageId>, u64)> = Vec::new();
        for (first, last) in head.gaps() {
            let next = self.rows.rows::<ChainLink>(&group, &Range::all().after(&last.to_be_bytes()), 1)?;
            let next = next.first().map(|link| link.id);
            match gaps.last_mut().filter(|gap| gap.0 == next) {
                Some(gap) => gap.1 += last - first + 1,
                None => gaps.push((next, last - first + 1)),
            }
        }
        Ok(gaps)
    }
}

/// Messages that are missing.
struct Gap<'a> {
    channel: ChannelId,
    account: AccountId,
    name: &'a str,
    device: DeviceId,
    next: Option<MessageId>,
    missing: u64,
}

impl Gap<'_> {
    fn shown(&self, at: types::Time, own: &OwnProfile) -> types::Message {
        let next = self.next.map(|id| *id.as_bytes()).unwrap_or_default();
        let hash = sha256(&[b"gap", self.channel.as_bytes(), self.device.as_bytes(), &next]);
        let conversation = AccountId::from_bytes(*self.channel.as_bytes());
        types::Message {
            id: MessageId::from_bytes(*hash.first_chunk::<16>().unwrap_or(&[0; 16])),
            conversation,
            from: self.account,
            from_name: self.name.to_owned(),
            to: own.account,
            outgoing: false,
            at,
            stored_at: at,
            kind: types::MessageKind::Gap,
            body: String::new(),
            state: types::DeliveryState::Delivered,
            delivered: 0,
            members: 0,
            error: None,
            reply_to: None,
            expires: None,
            files: Vec::new(),
            channel: true,
            edited: false,
            pinned: false,
            reactions: Vec::new(),
            missing: self.missing,
        }
    }
}

/// The story of an own message in a channel, member by member; nothing if it is not one.
pub(super) fn why(rows: &dyn RawRows, message: &Message) -> Result<Option<types::Why>, Error> {
    let Place::Channel(channel) = message.place else { return Ok(None) };
    let channel = ChannelId::from_bytes(channel);
    let Some(sent) = rows.row::<ChannelSent>(&ChannelSent::key_of(&channel, &message.id))? else { return Ok(None) };
    let Some(graph) = graph_of(rows, &channel)? else { return Ok(None) };
    let epochs = Epochs::of(&graph);
    let holders = match rows.row::<ChannelSaid>(&ChannelSaid::key_of(&channel, &message.id))? {
        Some(said) => Attested::decode(channel, &said.attested).map(|a| epochs.holders(&a.context().epoch)).ok(),
        None => None,
    };
    let story = Story { rows, channel, message, sent, holders: holders.unwrap_or_default(), graph: &graph };
    let mut recipients = Vec::new();
    for account in story.recipients() {
        recipients.push(story.of(&account)?);
    }
    Ok(Some(types::Why { id: message.id, recipients }))
}

/// What is needed to tell why a message is where it is.
struct Story<'a> {
    rows: &'a dyn RawRows,
    channel: ChannelId,
    message: &'a Message,
    sent: ChannelSent,
    /// Devices that have the keys it was sealed under.
    holders: BTreeSet<DeviceId>,
    graph: &'a Graph,
}

impl Story<'_> {
    fn is_large(&self) -> bool {
        self.sent.to.is_empty()
    }

    /// Whom it was sealed for, and who came in since: they see that it was not for them.
    fn recipients(&self) -> Vec<AccountId> {
        let mut all = self.sent.to.clone();
        for account in self.graph.members() {
            if account != self.message.account && !all.contains(&account) {
                all.push(account);
            }
        }
        all
    }

    fn of(&self, account: &AccountId) -> Result<types::WhyRecipient, Error> {
        let seen = self.rows.group::<ChannelSeen>(self.channel.as_bytes())?;
        let word = Word::of(self.message, account, &seen);
        let step = |at: Timestamp, what: &str, place: &str| types::WhyStep {
            at: at.into(),
            what: what.to_owned(),
            place: place.to_owned(),
        };
        let mut steps = vec![step(self.message.stored_at, "queued", "here")];
        if let Some((at, how)) = &self.sent.left {
            steps.push(step(*at, &format!("sent: {how}"), "network"));
        }
        if let Some((_, at)) = word.has {
            steps.push(step(at, "delivered", "their device"));
        }
        if let Some(at) = word.read {
            steps.push(step(at, "read", "their device"));
        }
        let state = match (word.read, word.has, self.message.progress) {
            (Some(_), ..) => types::DeliveryState::Read,
            (_, Some(_), _) => types::DeliveryState::Delivered,
            (_, _, progress) => query::state(progress),
        };
        let devices = self.devices(account);
        let device = word.has.map(|(device, _)| device).or_else(|| devices.first().copied());
        let mut name = String::new();
        for device in &devices {
            name = member_name(self.rows, &self.channel, account, device)?;
            if !name.is_empty() {
                break;
            }
        }
        let error = if word.has.is_some() { None } else { Some(self.obstacle(account, &devices, &word)?) };
        Ok(types::WhyRecipient { account: *account, name, device, state, steps, next_retry: None, error })
    }

    fn devices(&self, account: &AccountId) -> Vec<DeviceId> {
        let standing = self.graph.standing(account, self.message.stored_at);
        standing.map(|s| s.devices.iter().map(|d| d.id).collect()).unwrap_or_default()
    }

    /// Why a member is not known to have it, as far as this device knows.
    fn obstacle(&self, account: &AccountId, devices: &[DeviceId], word: &Word) -> Result<String, Error> {
        if !self.graph.is_member(account) {
            return Ok("not in the channel any more: not waited for".into());
        }
        if !self.is_large() && !self.sent.to.contains(account) {
            return Ok("not in the channel when it was written: it was not sealed for them".into());
        }
        if !devices.iter().any(|device| self.holders.contains(device)) {
            return Ok("waits for the keys it was sealed under".into());
        }
        if self.is_large() {
            return Ok(format!(
                "in a channel of more than {WORD_MEMBERS_MAX} members nobody says by themselves what they have"
            ));
        }
        let mut carded = false;
        let mut heard = word.newest;
        for device in devices {
            carded |= self.rows.row::<ChannelCard>(&ChannelCard::key_of(&self.channel, device))?.is_some();
            let head = self.rows.row::<ChannelHead>(&ChannelHead::key_of(&self.channel, device))?;
            heard = heard.max(head.map(|head| head.at));
        }
        Ok(match heard {
            None if carded => "nothing was heard of them here yet; it is theirs as soon as they are on".into(),
            None => "never seen here: no device of theirs has said how it is reached".into(),
            Some(at) if at <= self.message.stored_at => {
                format!("nothing heard of them since {}: it is theirs as soon as they are on", types::Time::from(at))
            }
            Some(_) => match word.newest.filter(|at| *at > self.message.stored_at) {
                Some(_) => "they were on since, and something before it is missing there".into(),
                None => "they were on since, and did not say yet that they have it".into(),
            },
        })
    }
}
