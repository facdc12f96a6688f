//! What members are caught at: things that no honest device makes, told to the person once in a while and kept with what
//! proves them. Must not decide what is refused.

use super::Room;
use crate::app::{
    App, Scan as _, channel_query,
    work::{Halt, Work},
};
use kith_protocol::{
    AccountId,
    channel::{Added, Attested, BadOp, Equivocation, Error, Op, Permission, Refused},
    wire,
};
use kith_store::{
    Row as _,
    table::{ChannelCard, ChannelCaught, ChannelSaid, Contact},
};

/// Milliseconds in which one kind of thing is told once of each member, whatever they do.
const TELL_MS: u64 = 3_600_000;
/// How often in that time a refusal is looked at for whether an honest device could have run into it: what held in the
/// past is found out anew for that, which takes long where a channel has many operations.
const LOOKS_MAX: u32 = 8;
/// Milliseconds without the keys in force, all members being asked again and again, after which nobody has them.
const WITHHELD_MS: u64 = 600_000;
/// How many answers without them that takes: who reaches nobody knows nothing about who has what.
const ASKED_MIN: u32 = 3;

/// Something that no honest device makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Offence {
    /// An operation that did not hold even by what its author knew.
    Operation(Refused),
    /// A message that its author might not say even by what it knew.
    Message(Refused),
    /// A change of what somebody else said.
    Foreign,
    /// A message behind the cut of its author's removal, or a change that the removal strikes.
    Late,
    /// Two different messages at one place, or under one number.
    Twice,
    /// Keys that are not those which the operation pins.
    Keys,
    /// Something in another's name, or that is nothing at all.
    Forged,
    /// Keys that did not come, nor did anybody who was asked have them.
    Withheld,
}

impl Offence {
    /// The number in a row: never change one.
    const fn kind(self) -> u8 {
        match self {
            Self::Operation(_) => 1,
            Self::Message(_) | Self::Foreign => 2,
            Self::Late => 3,
            Self::Twice => 4,
            Self::Keys => 5,
            Self::Forged => 6,
            Self::Withheld => 7,
        }
    }

    /// What was done, behind who did it.
    fn sentence(self) -> String {
        match self {
            Self::Operation(why) => format!("signed a change that is refused: {why}"),
            Self::Message(why) => format!("said what is refused: {why}"),
            Self::Foreign => "tried to change what somebody else said".to_owned(),
            Self::Late => "did more after being removed or revoked: it is refused".to_owned(),
            Self::Twice => "said two different things at one place: one of them is shown, the same to all".to_owned(),
            Self::Keys => "made keys that do not open".to_owned(),
            Self::Forged => "sent what is forged or damaged: it is refused".to_owned(),
            Self::Withheld => "made keys that nobody could fetch for long: they are made anew".to_owned(),
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Withheld => "a device that went too early does this too: kith member list #NAME",
            Self::Late => "an honest device that had not heard of it yet does this too: kith member list #NAME",
            Self::Twice => "they lie, or a copy of their device runs: ask them, or kith member remove #NAME @PERSON",
            Self::Forged => "kith channel rekey #NAME shuts out who is no member any more",
            _ => "they lie or their program is broken: kith member list #NAME, kith member remove #NAME @PERSON",
        }
    }
}

/// Names a kind of offence for clients.
pub(in crate::app) const fn code_of(kind: u8) -> &'static str {
    match kind {
        1 => "operation_forbidden",
        2 => "message_forbidden",
        3 => "after_removal",
        4 => "equivocation",
        5 => "rekey_poisoned",
        6 => "channel_forgery",
        _ => "rekey_withheld",
    }
}

impl App {
    fn record(
        &self,
        w: &Work<'_>,
        room: &Room,
        who: Option<&AccountId>,
        what: Offence,
    ) -> Result<Option<ChannelCaught>, Halt> {
        w.get::<ChannelCaught>(&ChannelCaught::key_of(&room.row.channel, who, what.kind()))
    }

    fn new_record(w: &Work<'_>, room: &Room, who: Option<&AccountId>, what: Offence) -> ChannelCaught {
        ChannelCaught {
            channel: room.row.channel,
            account: who.copied(),
            kind: what.kind(),
            times: 0,
            at: w.now,
            told: None,
            looked: w.now,
            looks: 0,
            proof: None,
        }
    }

    /// Notes that somebody was caught, and tells it unless the same was told of them a short while ago. Nobody, where it
    /// cannot be told which of those who have the channel's keys it was.
    pub(super) fn caught(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        who: Option<&AccountId>,
        what: Offence,
    ) -> Result<(), Halt> {
        let mut row = self.record(w, room, who, what)?.unwrap_or_else(|| Self::new_record(w, room, who, what));
        (row.times, row.at) = (row.times.saturating_add(1), w.now);
        let tell = row.told.is_none_or(|told| w.now.millis_since(told) >= TELL_MS);
        if tell {
            row.told = Some(w.now);
        }
        w.put(&row)?;
        if !tell {
            return Ok(());
        }
        let name = match who {
            Some(account) => self.caught_name(w, room, account)?,
            None => "somebody who has the channel's keys".to_owned(),
        };
        let message = format!("#{}: {name} {}", channel_query::name_of(&room.graph), what.sentence());
        let short = |id: String| id.chars().take(12).collect::<String>();
        let mut hint = what.hint().replace("#NAME", &short(room.row.channel.to_string()));
        if let Some(account) = who {
            hint = hint.replace("@PERSON", &short(account.to_string()));
        }
        self.alert(w, code_of(what.kind()), message, &hint)
    }

    /// A name and the beginning of the account, since anybody may call themselves anything.
    fn caught_name(&self, w: &Work<'_>, room: &Room, account: &AccountId) -> Result<String, Halt> {
        let id: String = account.to_string().chars().take(12).collect();
        let contact = w.get::<Contact>(&Contact::key_of(account))?;
        let name = match contact.map(|contact| crate::app::query::Shown::shown_name(&contact)) {
            Some(name) if !name.is_empty() => name,
            _ => {
                let cards = w.rows().group::<ChannelCard>(room.row.channel.as_bytes())?;
                let theirs = |card: &ChannelCard| room.graph.owner_of(&card.device) == Some(*account);
                cards.into_iter().find(theirs).map(|card| card.name).unwrap_or_default()
            }
        };
        Ok(if name.is_empty() { id } else { format!("{name} ({id})") })
    }

    /// Says whether a refusal is looked at closely: not too often, so that nobody makes this device compute for ever.
    fn may_look(&self, w: &mut Work<'_>, room: &Room, who: &AccountId, what: Offence) -> Result<bool, Halt> {
        let known = self.record(w, room, Some(who), what)?;
        let mut row = known.unwrap_or_else(|| Self::new_record(w, room, Some(who), what));
        if w.now.millis_since(row.looked) >= TELL_MS {
            (row.looked, row.looks) = (w.now, 0);
        }
        let may = row.looks < LOOKS_MAX;
        if may {
            row.looks += 1;
            w.put(&row)?;
        }
        Ok(may)
    }

    /// An operation came in: one that its author knew to be forbidden is told of.
    pub(super) fn op_came(&self, w: &mut Work<'_>, room: &Room, came: &Result<Added, Error>) -> Result<(), Halt> {
        match came {
            Ok(added) if added.new => {
                let what = match (room.graph.forbidden(added.at), added.refused) {
                    (Some(why), _) => Offence::Operation(why),
                    (None, Some(Refused::Removed | Refused::DeviceRevoked)) => Offence::Late,
                    _ => return Ok(()),
                };
                let Some(author) = room.graph.ops().get(added.at).map(|op| op.account()) else { return Ok(()) };
                self.caught(w, room, Some(&author), what)
            }
            // Whoever signed it is not who it says: somebody with the keys put it where it came from.
            Err(Error::BadSignature | Error::UnknownDevice | Error::OtherChannel | Error::NotFirst) => {
                self.caught(w, room, None, Offence::Forged)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Takes for an operation what a parcel holds; what a later version may have made is no forgery.
    pub(super) fn decoded(&self, w: &mut Work<'_>, room: &Room, bytes: &[u8]) -> Result<Option<Op>, Halt> {
        match Op::decode(bytes, w.now) {
            Ok(op) => return Ok(Some(op)),
            Err(BadOp::Wire(wire::Error::Unknown(_))) => {}
            Err(_) => self.caught(w, room, None, Offence::Forged)?,
        }
        Ok(None)
    }

    /// A message is refused for want of a right: told of if its author knew that.
    pub(super) fn overstepped(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        context: &kith_protocol::channel::Context,
        event: &kith_protocol::channel::Event,
        needs: Permission,
    ) -> Result<(), Halt> {
        let (account, device) = (&context.account, &context.device);
        let blank = Offence::Message(Refused::NotMember);
        if !self.may_look(w, room, account, blank)? {
            return Ok(());
        }
        match room.graph.never_might_say(account, device, needs, &event.heads, event.sent_at) {
            Some(why) => self.caught(w, room, Some(account), Offence::Message(why)),
            None => Ok(()),
        }
    }

    /// Compares a message with one of the same device that stands at its place or has its number. Says whether the new one
    /// stays; nothing where the two are no contradiction.
    pub(super) fn said_twice(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        before: &kith_protocol::MessageId,
        now: &Attested,
    ) -> Result<Option<Twice>, Halt> {
        let channel = room.row.channel;
        let Some(said) = w.get::<ChannelSaid>(&ChannelSaid::key_of(&channel, before))? else { return Ok(None) };
        let Ok(said) = Attested::decode(channel, &said.attested) else { return Ok(None) };
        let context = *now.context();
        let Some(info) = room.graph.device(&context.device) else { return Ok(None) };
        let Ok(proof) = Equivocation::new(said, now.clone(), &info.sign_pk) else { return Ok(None) };
        let who = Some(&context.account);
        self.caught(w, room, who, Offence::Twice)?;
        let row = self.record(w, room, who, Offence::Twice)?.filter(|row| row.proof.is_none());
        let first = row.is_some();
        if let Some(row) = row {
            w.put(&ChannelCaught { proof: Some(proof.encode().to_vec()), ..row })?;
        }
        Ok(Some(Twice { first, stays: proof.winner().id() != *before }))
    }

    /// Says whether the keys in force are to be made anew because those who should have them do not: they were seen not to
    /// open, or nobody had them for long.
    pub(super) fn keys_withheld(&self, w: &mut Work<'_>, room: &mut Room) -> Result<bool, Halt> {
        let known = self.record(w, room, None, Offence::Withheld)?;
        if room.epoch().is_some() {
            return match known {
                Some(row) => w.delete::<ChannelCaught>(&row.key()).map(|()| false),
                None => Ok(false),
            };
        }
        let Some((since, asked)) = known.map(|row| (row.looked, row.looks)) else {
            return w.put(&Self::new_record(w, room, None, Offence::Withheld)).map(|()| false);
        };
        // Who is left out of new keys by right asks for them, and makes none.
        let meant = room.graph.recipients().contains(&self.me.device);
        let Some(made) = Self::newest_missing(room).filter(|_| meant) else { return Ok(false) };
        let Some(author) = room.graph.ops().get(made).map(|op| op.account()) else { return Ok(false) };
        let poisoned = self.does_not_open(w, room, made)?;
        let long = w.now.millis_since(since) >= WITHHELD_MS && asked >= ASKED_MIN;
        if long && !poisoned {
            self.caught(w, room, Some(&author), Offence::Withheld)?;
        }
        Ok(long || poisoned)
    }

    /// A member who was asked for the keys in force does not have them either.
    pub(super) fn keys_unknown(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let Some(row) = self.record(w, room, None, Offence::Withheld)? else { return Ok(()) };
        w.put(&ChannelCaught { looks: row.looks.saturating_add(1), ..row })
    }

    /// The operation that made the newest keys that are missing here.
    fn newest_missing(room: &Room) -> Option<usize> {
        use kith_protocol::channel::Origin;
        let mut stack = vec![room.epochs.current()?];
        let mut newest = None;
        while let Some(id) = stack.pop() {
            if room.ring.get(&id).is_some() {
                continue;
            }
            match &room.epochs.get(&id)?.origin {
                Origin::Fresh(at) => newest = newest.max(Some(*at)),
                Origin::Derived(parent, _) => stack.push(*parent),
                Origin::Merged(parts) => stack.extend(parts),
            }
        }
        newest
    }
}

/// What two messages at one place mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Twice {
    /// Whether nothing was proved of this member before.
    pub(super) first: bool,
    /// Whether the new message takes the place of the old one.
    pub(super) stays: bool,
}
