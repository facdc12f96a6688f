//! What members say: sealed under the epoch in force, opened where it stands, shown once and in its order. Must not know how
//! frames travel.

use super::{Room, caught::Offence, refused};
use crate::{
    api::{
        error::{Code, UserError},
        types::{ChannelSaying, EventKind, SendReply},
    },
    app::{
        App, Scan as _,
        command::Outcome,
        query,
        send::empty_head,
        work::{Halt, Work},
    },
};
use kith_protocol::{
    AccountId, ChannelId, DeviceId, MessageId,
    channel::{
        Attested, BadFrame, Chain, Context, EpochId, Event, Frame, Header, MessageHash, NoSeed, Permission, Refused,
        Saying, SenderTree, Setting, seal,
    },
    content::Text,
    crypto::{Secret, kdf::sha256, sign::VerifyingKey},
    limits,
    wire::Extensions,
};
use kith_store::{
    Range, Row as _, Rows as _,
    table::{
        ChainLink, ChannelCard, ChannelChain, ChannelMarks, ChannelSaid, ChannelSeed, ChannelTree, Contact, DueWhat,
        Mark, Message, MessageRef, Place, PlaceHead, Progress, Sending,
    },
};
use std::collections::VecDeque;

/// Messages that are marked as forgotten at once; the others follow when the channel is looked at next.
const FORGOTTEN_AT_ONCE: usize = 256;

/// Reactions and pins that are kept of one message.
const MARKS_MAX: usize = 1_024;

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Shown, or shown before.
    Done,
    /// Operations or keys are missing.
    Waits,
    /// Of no use: forged, or not allowed.
    Useless,
}

/// Something that was said, with what proves it.
pub(super) struct Said {
    pub(super) event: Event,
    pub(super) hash: MessageHash,
    pub(super) attested: Attested,
    /// Whether it was said before this device came, and given by a member: it is no news.
    pub(super) past: bool,
}

impl Said {
    pub(super) fn id(&self) -> MessageId {
        self.hash.id()
    }
}

/// Sealed, and not on its way yet.
pub(super) struct Sealed {
    pub(super) said: Said,
    pub(super) topic: [u8; 32],
    pub(super) frame: Vec<u8>,
}

/// Whether something that was said counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Yes,
    /// Its author might not say it.
    No,
    /// What it is about is not here yet: who said that decides.
    Later(MessageId),
}

impl App {
    /// Says something in a channel.
    pub(super) fn channel_say(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        saying: ChannelSaying,
        expires_after_ms: Option<u64>,
    ) -> Result<Outcome, Halt> {
        let (saying, needs) = self.saying(w, room, saying)?;
        let heads = room.graph.front();
        room.graph.may_say(&self.me.account, &self.me.device, needs, &heads, w.now).map_err(refused)?;
        self.pass_gate(w, room)?;
        let (epoch, _) = self.common_epoch(w, room)?;
        let expires_after_ms = expires_after_ms.or_else(|| expiry_of(room));
        let Sealed { said, topic, frame } = self.seal_saying(w, room, epoch, saying, expires_after_ms)?;
        room.row.since_fresh += 1;
        let others = u32::try_from(room.graph.members().count()).unwrap_or(u32::MAX).saturating_sub(1);
        if matches!(said.event.saying, Saying::Text { .. }) {
            self.note_sent(w, room, said.id(), sha256(&[&frame]))?;
        }
        let id = said.id();
        self.keep_proof(w, &said)?;
        self.show_said(w, room, [said].into())?;
        self.spread(w, room, topic, frame, Some(id))?;
        Ok(Outcome::Sent(SendReply {
            id,
            to: AccountId::from_bytes(*room.row.channel.as_bytes()),
            state: crate::api::types::DeliveryState::Queued,
            delivered: 0,
            members: others,
        }))
    }

    /// Seals something as the next that this device says. It has a number, a generation and a place among the items like
    /// everything that is said: numbers leave nothing out (R-CHAN-9), and what bears one is never taken back.
    pub(super) fn seal_saying(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        epoch: EpochId,
        saying: Saying,
        expires_after_ms: Option<u64>,
    ) -> Result<Sealed, Halt> {
        let Some((_, lineage)) = room.lineage(&epoch) else { return Err(super::act::keys_missing().into()) };
        let (place, mut chain) = self.sending(w, room, &epoch)?;
        let recipients = room.epochs.get(&epoch).map(|e| e.recipients).unwrap_or_default();
        let (generation, seed) = chain.advance();
        let context = Context {
            channel: room.row.channel,
            epoch,
            recipients,
            account: self.me.account,
            device: self.me.device,
            generation,
        };
        let event = Event {
            sequence: room.row.sequence + 1,
            previous: room.row.last_message.map(MessageHash::from_bytes),
            heads: room.graph.front(),
            sent_at: w.now,
            expires_after_ms,
            saying,
            extensions: Extensions::default(),
        };
        let key = self.me.secrets.sign();
        let (frame, hash, attested) = seal(&lineage, place, &context, &seed, &event, key, w.rng)
            .map_err(|_| UserError::new(Code::MessageTooLong, "the message is too long").hint("split it"))?;
        room.row.sending = Some(Sending { epoch, place, chain: chain.to_stored() });
        room.row.sequence = event.sequence;
        room.row.last_message = Some(*hash.as_bytes());
        Ok(Sealed { said: Said { event, hash, attested, past: false }, topic: lineage.topic(), frame })
    }

    fn saying(&self, w: &Work<'_>, room: &Room, saying: ChannelSaying) -> Result<(Saying, Permission), Halt> {
        let text = |body: String| {
            if body.trim().is_empty() {
                return Err(
                    UserError::new(Code::EmptyMessage, "the message has no text").hint("kith send '#NAME' 'text'")
                );
            }
            let bytes = body.len();
            Text::new(body).map_err(|_| {
                let message = format!("the message has {bytes} bytes, the limit is {}", limits::TEXT_MAX);
                UserError::new(Code::MessageTooLong, message).hint("split it")
            })
        };
        Ok(match saying {
            ChannelSaying::Text { body, reply_to } => {
                if let Some(id) = &reply_to {
                    self.said(w, room, id)?;
                }
                (Saying::Text { text: text(body)?, reply_to, mentions: Vec::new() }, Permission::Send)
            }
            ChannelSaying::Edit { target, body } => {
                if self.said(w, room, &target)? != self.me.account {
                    return Err(not_yours("edit").into());
                }
                (Saying::Edit { target, text: text(body)? }, Permission::Send)
            }
            ChannelSaying::Delete { target } => {
                let own = self.said(w, room, &target)? == self.me.account;
                (Saying::Delete { target }, if own { Permission::Send } else { Permission::DeleteOthers })
            }
            ChannelSaying::React { target, emoji, on } => {
                self.said(w, room, &target)?;
                let shown = emoji.trim();
                if shown.is_empty() || shown.len() > limits::EMOJI_MAX || shown.chars().any(char::is_control) {
                    return Err(UserError::new(Code::BadName, "a reaction is one emoji")
                        .hint("kith react ID 👍")
                        .into());
                }
                (Saying::React { target, emoji: shown.to_owned(), on }, Permission::React)
            }
            ChannelSaying::Pin { target, on } => {
                self.said(w, room, &target)?;
                (Saying::Pin { target, on }, Permission::Pin)
            }
        })
    }

    /// Who said a message of this channel, which is still shown.
    fn said(&self, w: &Work<'_>, room: &Room, id: &MessageId) -> Result<AccountId, Halt> {
        let message = match self.shown_message(w, &Place::Channel(*room.row.channel.as_bytes()), id)? {
            Some(message) if message.kind != query::DELETED => return Ok(message.account),
            Some(_) => "that message was taken back",
            None => "no such message in this channel",
        };
        Err(UserError::new(Code::MessageUnknown, message).hint("kith read '#NAME' --json shows ids").into())
    }

    /// A message as it stands in a conversation.
    fn shown_message(&self, w: &Work<'_>, place: &Place, id: &MessageId) -> Result<Option<Message>, Halt> {
        let Some(found) = w.get::<MessageRef>(&MessageRef::key_of(id))? else { return Ok(None) };
        for (_, at, order) in found.at.iter().filter(|(_, at, _)| at == place) {
            if let Some(message) = w.get::<Message>(&Message::key_of(at, *order, id))? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Who said a message of a channel that was shown here; nothing if it was not, or not yet.
    fn author(&self, w: &Work<'_>, channel: &ChannelId, id: &MessageId) -> Result<Option<AccountId>, Halt> {
        if w.get::<MessageRef>(&MessageRef::key_of(id))?.is_none() {
            return Ok(None);
        }
        Ok(w.get::<ChannelSaid>(&ChannelSaid::key_of(channel, id))?.map(|row| row.account))
    }

    /// The chain that this device sends by in an epoch: taken from the tree once, then kept.
    fn sending(&self, w: &mut Work<'_>, room: &mut Room, epoch: &EpochId) -> Result<(u32, Chain), Halt> {
        if let Some(sending) = &room.row.sending
            && sending.epoch == *epoch
        {
            return Ok((sending.place, Chain::from_stored(&sending.chain)));
        }
        let place = place_of(room, epoch, &self.me.device).ok_or_else(super::act::keys_missing)?;
        let chain = self.take_chain(w, room, epoch, place)?.ok_or_else(super::act::keys_missing)?;
        Ok((place, chain))
    }

    /// Takes a sender's chain out of an epoch's tree; nothing if it was taken before.
    fn take_chain(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        epoch: &EpochId,
        place: u32,
    ) -> Result<Option<Chain>, Halt> {
        let mut tree = match w.get::<ChannelTree>(&ChannelTree::key_of(epoch))? {
            Some(row) => SenderTree::from_stored(&row.tree),
            None => {
                let Some(keys) = room.keys(epoch) else { return Ok(None) };
                let senders = u32::try_from(room.epochs.senders(epoch).len()).unwrap_or(u32::MAX);
                SenderTree::new(keys.senders(), senders)
            }
        };
        let chain = tree.take(place);
        if chain.is_some() {
            w.put(&ChannelTree { epoch: *epoch, tree: tree.to_stored() })?;
        }
        Ok(chain)
    }

    /// Opens a message's frame.
    pub(super) fn open_said(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        frame: &Frame,
        header: &Header,
    ) -> Result<Opened, Halt> {
        let epoch = header.epoch;
        let Some(of) = room.epochs.get(&epoch) else { return Ok(Opened::Waits) };
        let recipients = of.recipients;
        if room.keys(&epoch).is_none() {
            return Ok(Opened::Waits);
        }
        let senders = room.epochs.senders(&epoch);
        let device = usize::try_from(header.sender).ok().and_then(|at| senders.get(at).copied());
        let Some(device) = device else { return Ok(Opened::Useless) };
        let Some(account) = room.graph.owner_of(&device) else { return Ok(Opened::Useless) };
        let Some(info) = room.graph.device(&device).cloned() else { return Ok(Opened::Useless) };
        if device == self.me.device {
            // Shown and stored when it was sent; what was not is no word of this device, and takes no room here.
            return Ok(Opened::Useless);
        }
        let key = ChannelChain::key_of(&epoch, header.sender);
        let chain = match w.get::<ChannelChain>(&key)? {
            Some(row) => Chain::from_stored(&row.chain),
            None => match self.take_chain(w, room, &epoch, header.sender)? {
                Some(chain) => chain,
                None => return Ok(Opened::Useless),
            },
        };
        // The chain is kept as it was taken even if the frame is forged: the tree gives it once.
        let keep = |w: &mut Work<'_>, chain: &Chain| {
            w.put(&ChannelChain { epoch, place: header.sender, chain: chain.to_stored() })
        };
        let context =
            Context { channel: room.row.channel, epoch, recipients, account, device, generation: header.generation };
        let (after, seed) = match chain.seed(header.generation) {
            Ok(found) => found,
            Err(NoSeed::Used) => return self.said_again(w, room, frame, &context, &info.sign_pk),
            Err(NoSeed::TooFar) => {
                keep(w, &chain)?;
                return Ok(Opened::Useless);
            }
        };
        let (event, hash, attested) = match frame.open(&context, &seed, &info.sign_pk) {
            Ok(opened) => opened,
            Err(why) => {
                keep(w, &chain)?;
                if why == BadFrame::BadSignature {
                    self.caught(w, room, None, Offence::Forged)?;
                }
                return Ok(Opened::Useless);
            }
        };
        if event.heads.iter().any(|head| !App::op_known(room, head)) {
            keep(w, &chain)?;
            return Ok(Opened::Waits);
        }
        keep(w, &after)?;
        let said = Said { event, hash, attested, past: false };
        let number = ChannelSeed::key_of(&room.row.channel, &device, said.event.sequence);
        let same_number = w.get::<ChannelSeed>(&number)?.filter(|known| known.sequence == said.event.sequence);
        if let Some(known) = same_number
            && let Some(twice) = self.said_twice(w, room, &known.id, &said.attested)?
        {
            if !twice.stays {
                return Ok(if twice.first { Opened::Done } else { Opened::Useless });
            }
            self.withdraw(w, room, &known.id)?;
        }
        let opens = ChannelSeed {
            channel: room.row.channel,
            device,
            sequence: said.event.sequence,
            epoch,
            generation: header.generation,
            id: said.id(),
            seed: *seed.as_bytes(),
        };
        // It is here, whether it counts or not: nobody has to look for it any more.
        self.note_number(w, room, &context, said.event.sequence)?;
        if !matches!(said.event.saying, Saying::Seen(_)) {
            room.row.since_fresh += 1;
        }
        if !self.take_said(w, room, said)? {
            return Ok(Opened::Useless);
        }
        w.put(&opens)?;
        Ok(Opened::Done)
    }

    /// A frame came for a place whose message was opened. If its device sealed something else there, that is proved, and
    /// of the two the one with the lower hash stays (R-CHAN-12).
    fn said_again(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        frame: &Frame,
        context: &Context,
        key: &VerifyingKey,
    ) -> Result<Opened, Halt> {
        let group = ChannelSeed::group_of(&context.channel, &context.device);
        let rows = w.rows().group::<ChannelSeed>(&group)?;
        let place = (context.epoch, context.generation);
        let Some(row) = rows.into_iter().find(|row| (row.epoch, row.generation) == place) else {
            return Ok(Opened::Useless);
        };
        let Ok((event, hash, attested)) = frame.open(context, &Secret::new(row.seed), key) else {
            return Ok(Opened::Useless);
        };
        let Some(twice) = self.said_twice(w, room, &row.id, &attested)? else { return Ok(Opened::Useless) };
        // The first one is passed on as it is, so that everybody finds out.
        let passed_on = if twice.first { Opened::Done } else { Opened::Useless };
        if !twice.stays || event.heads.iter().any(|head| !App::op_known(room, head)) {
            return Ok(passed_on);
        }
        let said = Said { event, hash, attested, past: false };
        if self.stands(w, room, &said, true)? != Stands::Yes {
            return Ok(passed_on);
        }
        self.withdraw(w, room, &row.id)?;
        w.delete::<ChannelSeed>(&row.key())?;
        w.put(&ChannelSeed { sequence: said.event.sequence, id: said.id(), ..row })?;
        self.take_said(w, room, said)?;
        Ok(Opened::Done)
    }

    /// Forgets the words of a message that vanished, and what opens its place; that it was said stays known, so that it is
    /// not shown again.
    pub(in crate::app) fn said_vanishes(&self, w: &mut Work<'_>, message: &Message) -> Result<(), Halt> {
        let Place::Channel(channel) = message.place else { return Ok(()) };
        let channel = ChannelId::from_bytes(channel);
        if let Some(said) = w.get::<ChannelSaid>(&ChannelSaid::key_of(&channel, &message.id))? {
            w.put(&ChannelSaid { attested: Vec::new(), ..said })?;
        }
        let key = ChannelSeed::key_of(&channel, &message.device, message.seq);
        match w.get::<ChannelSeed>(&key)? {
            Some(row) if row.id == message.id => w.delete::<ChannelSeed>(&key),
            _ => Ok(()),
        }
    }

    /// Lets what was said before the channel's retention go: it vanishes as what its author gave an end.
    pub(super) fn forget_old(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let Some(Setting::RetentionDays(days @ 1..)) = room.graph.setting(4) else {
            return Ok(());
        };
        // A clock that may be wrong lets nothing go.
        if !self.may_vanish(w)? {
            return Ok(());
        }
        let end = w.now.as_millis().saturating_sub(u64::from(*days) * 86_400_000);
        let group = Place::Channel(*room.row.channel.as_bytes()).group();
        let old = w.rows().rows::<Message>(&group, &Range::all().before(&end.to_be_bytes()), FORGOTTEN_AT_ONCE)?;
        for message in old {
            if message.expires_at.is_none_or(|at| at > w.now) {
                w.schedule(w.now, DueWhat::Vanish(message.id))?;
                w.put(&Message { expires_at: Some(w.now), ..message })?;
            }
        }
        Ok(())
    }

    /// Takes back a message in whose place another one stays.
    fn withdraw(&self, w: &mut Work<'_>, room: &Room, id: &MessageId) -> Result<(), Halt> {
        let place = Place::Channel(*room.row.channel.as_bytes());
        w.delete::<ChannelSaid>(&ChannelSaid::key_of(&room.row.channel, id))?;
        let Some(mut found) = w.get::<MessageRef>(&MessageRef::key_of(id))? else { return Ok(()) };
        for (account, _, order) in found.at.iter().filter(|(_, at, _)| *at == place) {
            let Some(message) = w.get::<Message>(&Message::key_of(&place, *order, id))? else { continue };
            self.forget_event(w, message.event)?;
            w.delete::<Message>(&message.key())?;
            if let Some(mut head) = w.get::<PlaceHead>(&PlaceHead::key_of(&place))?
                && *account != self.me.account
                && message.progress != Progress::Read
            {
                head.unread = head.unread.saturating_sub(1);
                w.put(&head)?;
            }
        }
        found.at.retain(|(_, at, _)| *at != place);
        if found.at.is_empty() { w.delete::<MessageRef>(&found.key()) } else { w.put(&found) }
    }

    /// Takes in what was said, and what waited for it; says whether it counts, or may later.
    fn take_said(&self, w: &mut Work<'_>, room: &mut Room, said: Said) -> Result<bool, Halt> {
        if w.get::<ChannelSaid>(&ChannelSaid::key_of(&room.row.channel, &said.id()))?.is_some() {
            return Ok(true);
        }
        match self.stands(w, room, &said, false)? {
            Stands::No => Ok(false),
            Stands::Later(target) => {
                self.keep_proof(w, &said)?;
                if let Some(late) = self.let_wait(w, room, &target, said)? {
                    self.show_said(w, room, [late].into())?;
                }
                Ok(true)
            }
            Stands::Yes => {
                self.keep_proof(w, &said)?;
                self.show_said(w, room, [said].into())?;
                Ok(true)
            }
        }
    }

    /// Keeps what proves something that was said.
    pub(super) fn keep_proof(&self, w: &mut Work<'_>, said: &Said) -> Result<(), Halt> {
        let context = said.attested.context();
        let reply_to = match &said.event.saying {
            Saying::Text { reply_to, .. } => *reply_to,
            // Nobody is given a word on what was seen: its author's next one says more.
            Saying::Seen(_) => return Ok(()),
            _ => None,
        };
        w.put(&ChannelSaid {
            channel: context.channel,
            id: said.id(),
            account: context.account,
            attested: said.attested.encode().to_vec(),
            reply_to,
            edited: None,
        })
    }

    /// Lets what was said have its effect, and after it what waited for it, and so on.
    pub(super) fn show_said(&self, w: &mut Work<'_>, room: &mut Room, mut next: VecDeque<Said>) -> Result<(), Halt> {
        while let Some(said) = next.pop_front() {
            self.keep_said(w, room, &said)?;
            for late in self.waited_for(w, room, &said.id())? {
                // Now it shows who said what it is about.
                if self.stands(w, room, &late, true)? == Stands::Yes {
                    next.push_back(late);
                }
            }
        }
        Ok(())
    }

    /// Says whether a message counts: its author might say it, and it does not lie behind a removal's cut. An answer is
    /// judged without what it answers if that is not waited for.
    pub(super) fn stands(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        Said { event, attested, .. }: &Said,
        alone: bool,
    ) -> Result<Stands, Halt> {
        let context = attested.context();
        let said = (&context.account, &context.device, context.epoch, context.generation);
        if room.graph.is_cut_off(said.0, said.1, &event.heads, |cutoff| {
            EpochId::from_bytes(cutoff.epoch) == said.2 && said.3 <= cutoff.generation
        }) {
            self.caught(w, room, Some(said.0), Offence::Late)?;
            return Ok(Stands::No);
        }
        let author = |w: &Work<'_>, id: &MessageId| self.author(w, &context.channel, id);
        let needs = match &event.saying {
            Saying::Text { reply_to: Some(target), .. } if !alone && author(w, target)?.is_none() => {
                return Ok(Stands::Later(*target));
            }
            Saying::Text { .. } => Permission::Send,
            Saying::Edit { target, .. } => match author(w, target)? {
                Some(by) if by == context.account => Permission::Send,
                Some(_) => {
                    self.caught(w, room, Some(&context.account), Offence::Foreign)?;
                    return Ok(Stands::No);
                }
                None => return Ok(Stands::Later(*target)),
            },
            Saying::Delete { target } => match author(w, target)? {
                Some(by) if by == context.account => Permission::Send,
                Some(_) => Permission::DeleteOthers,
                None => return Ok(Stands::Later(*target)),
            },
            Saying::React { .. } => Permission::React,
            Saying::Pin { .. } => Permission::Pin,
            Saying::Seen(_) | Saying::Unknown { .. } => Permission::Send,
        };
        let may = room.graph.may_say(&context.account, &context.device, needs, &event.heads, event.sent_at);
        Ok(match may {
            Ok(()) => Stands::Yes,
            // Whoever belongs may say what of all that is there.
            Err(Refused::Lacks(_)) if matches!(event.saying, Saying::Seen(_)) => Stands::Yes,
            Err(_) => {
                self.overstepped(w, room, context, event, needs)?;
                Stands::No
            }
        })
    }

    /// Stores what was said, and tells local clients.
    fn keep_said(&self, w: &mut Work<'_>, room: &mut Room, said: &Said) -> Result<(), Halt> {
        let Said { event, attested, .. } = said;
        let (context, id) = (*attested.context(), said.id());
        let own = context.account == self.me.account;
        let place = Place::Channel(*context.channel.as_bytes());
        let (kind, body) = match &event.saying {
            Saying::Text { text, .. } => (query::TEXT, text.as_str().as_bytes().to_vec()),
            Saying::Edit { target, text } => {
                if self.is_newest_edit(w, &context, (event.sequence, context.device, id), target)? {
                    self.edit_shown(w, &place, target, Some(text.as_str()))?;
                }
                return Ok(());
            }
            Saying::Delete { target } => return self.edit_shown(w, &place, target, None),
            Saying::React { target, emoji, on } => return self.mark(w, &context, event, target, emoji, *on),
            Saying::Pin { target, on } => return self.mark(w, &context, event, target, "", *on),
            Saying::Seen(reached) => return self.take_word(w, room, &context, event, reached),
            Saying::Unknown { kind, body } => (*kind, body.clone()),
        };
        let mut head = w.get::<PlaceHead>(&PlaceHead::key_of(&place))?.unwrap_or_else(|| empty_head(place));
        let wished = if own { (head.order + 1).max(w.now.as_millis()) } else { event.sent_at.min(w.now).as_millis() };
        let order = self.order_among(w, &place, &context.device, event.sequence, wished)?;
        let begin = self.term_begin(w)?;
        let mut message = Message {
            place,
            order,
            id,
            account: context.account,
            device: context.device,
            seq: event.sequence,
            previous: event.previous.map(|h| h.id()),
            sent_at: event.sent_at,
            stored_at: w.now,
            expires_at: event.expires_after_ms.map(|ms| if said.past { event.sent_at } else { begin }.plus_millis(ms)),
            kind,
            body,
            progress: match (own, said.past) {
                (true, _) => Progress::Queued,
                (false, false) => Progress::Delivered,
                (false, true) => Progress::Read,
            },
            event: 0,
        };
        head.order = head.order.max(order);
        if !own && kind == query::TEXT && !room.row.muted && !said.past {
            head.unread += 1;
        }
        w.put(&head)?;
        self.store_message(w, &message)?;
        if said.past {
            return Ok(());
        }
        if !own {
            self.owe_word(w, room)?;
        }
        let name = self.member_name(w, room, &context.account, &context.device)?;
        let mut shown = query::message(&message, None, &name, &self.profile(w)?);
        shown.members = u32::try_from(room.graph.members().count()).unwrap_or(u32::MAX).saturating_sub(1);
        if let Saying::Text { reply_to, .. } = &event.saying {
            shown.reply_to = *reply_to;
        }
        if kind == query::TEXT {
            message.event = self.emit(w, EventKind::Message(shown))?;
            w.put(&message)?;
        }
        Ok(())
    }

    /// A sort key near the one wished for that keeps what one device said in its order.
    fn order_among(
        &self,
        w: &Work<'_>,
        place: &Place,
        device: &DeviceId,
        number: u64,
        wished: u64,
    ) -> Result<u64, Halt> {
        let (group, number) = (ChainLink::group_of(place, device), number.to_be_bytes());
        let before = w.rows().rows::<ChainLink>(&group, &Range::all().before(&number).backward(), 1)?;
        let after = w.rows().rows::<ChainLink>(&group, &Range::all().after(&number), 1)?;
        let low = before.first().map_or(0, |link| link.order.saturating_add(1));
        let high = after.first().map_or(u64::MAX, |link| link.order.saturating_sub(1));
        Ok(wished.max(low).min(high.max(low)))
    }

    /// Notes a reaction or a pin.
    #[allow(clippy::too_many_arguments)]
    fn mark(
        &self,
        w: &mut Work<'_>,
        context: &Context,
        event: &Event,
        target: &MessageId,
        emoji: &str,
        on: bool,
    ) -> Result<(), Halt> {
        let channel = context.channel;
        let (account, device, sequence) = (context.account, context.device, event.sequence);
        let mut row = w.get::<ChannelMarks>(&ChannelMarks::key_of(&channel, target))?.unwrap_or(ChannelMarks {
            channel,
            target: *target,
            marks: Vec::new(),
        });
        let same = |m: &Mark| m.account == account && m.emoji == emoji;
        let later = row.marks.iter().any(|m| same(m) && (m.sequence, m.device) > (sequence, device));
        if later || row.marks.len() >= MARKS_MAX {
            return Ok(());
        }
        row.marks.retain(|m| !same(m));
        row.marks.push(Mark { account, device, sequence, emoji: emoji.to_owned(), on });
        w.put(&row)
    }

    /// Says whether other words for a message are newer than those it has, and notes them.
    fn is_newest_edit(
        &self,
        w: &mut Work<'_>,
        context: &Context,
        edit: (u64, DeviceId, MessageId),
        target: &MessageId,
    ) -> Result<bool, Halt> {
        let key = ChannelSaid::key_of(&context.channel, target);
        let Some(mut row) = w.get::<ChannelSaid>(&key)? else { return Ok(false) };
        if row.edited >= Some(edit) {
            return Ok(false);
        }
        row.edited = Some(edit);
        w.put(&row)?;
        Ok(true)
    }

    /// Gives a message other words, or none.
    fn edit_shown(&self, w: &mut Work<'_>, place: &Place, target: &MessageId, text: Option<&str>) -> Result<(), Halt> {
        let Some(found) = w.get::<MessageRef>(&MessageRef::key_of(target))? else { return Ok(()) };
        for (_, at, order) in found.at.iter().filter(|(_, at, _)| at == place) {
            let Some(mut message) = w.get::<Message>(&Message::key_of(at, *order, target))? else { continue };
            // What was taken back stays so, whatever words come for it.
            if message.kind == query::DELETED {
                continue;
            }
            (message.kind, message.body) = match text {
                Some(text) => (query::EDITED, text.as_bytes().to_vec()),
                None => (query::DELETED, Vec::new()),
            };
            self.forget_event(w, message.event)?;
            w.put(&message)?;
        }
        Ok(())
    }

    /// What a member is called here.
    pub(super) fn member_name(
        &self,
        w: &Work<'_>,
        room: &Room,
        account: &AccountId,
        device: &DeviceId,
    ) -> Result<String, Halt> {
        use crate::app::query::Shown as _;
        if let Some(contact) = w.get::<Contact>(&Contact::key_of(account))?
            && !contact.shown_name().is_empty()
        {
            return Ok(contact.shown_name());
        }
        let card = w.get::<ChannelCard>(&ChannelCard::key_of(&room.row.channel, device))?;
        Ok(card.map(|card| card.name).unwrap_or_default())
    }
}

fn place_of(room: &Room, epoch: &EpochId, device: &DeviceId) -> Option<u32> {
    let at = room.epochs.senders(epoch).binary_search(device).ok()?;
    u32::try_from(at).ok()
}

fn expiry_of(room: &Room) -> Option<u64> {
    match room.graph.setting(5) {
        Some(Setting::ExpireAfterMs(ms)) if *ms > 0 => Some(*ms),
        _ => None,
    }
}

fn not_yours(verb: &str) -> UserError {
    UserError::new(Code::NotPermitted, format!("only its author may {verb} a message"))
        .hint("kith read '#NAME' --json shows ids")
}
