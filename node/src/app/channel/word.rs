//! What members' devices say they have of each other's messages, and what follows for one's own. Must not know how anything
//! is sealed or travels.
//!
//! A word on what was seen is made because somebody wrote something, never because of another word: in a quiet channel
//! nothing is said. It has a number and stays among the items like every message, so that in a channel of n members a text
//! costs up to n - 1 further items; for that the pause between two words of a device grows with the members.

use super::{Room, numbers::of_others, talk::Sealed};
use crate::{
    api::types::{self, EventKind},
    app::{
        App, Scan as _, channel_reach,
        work::{Halt, Work},
    },
};
use kith_protocol::{
    ChannelId, DeviceId, MessageId, Timestamp,
    channel::{Context, Event, Gate, Reached, Saying},
    limits::REACHED_MAX,
};
use kith_store::{
    Range, Rows as _,
    table::{
        ChainLink, ChannelHead, ChannelItemBytes, ChannelRow, ChannelSeen, ChannelSent, ChannelTend, DueWhat, Leaving,
        Membership, Message, MessageRef, Place, Progress, Reach, TopicRow,
    },
};
use rand_core::Rng as _;
use std::collections::BTreeMap;

/// Members of a channel in which devices say by themselves what they have.
pub(in crate::app) const WORD_MEMBERS_MAX: usize = 32;
/// Shortest pause between two words of a device, in milliseconds.
const WORD_PAUSE_MS: u64 = 2_000;
/// What each further member adds to it: all together a channel has two words a second at most.
const WORD_PAUSE_OF_MEMBER_MS: u64 = 500;
/// How long a word gathers, and how far those of several members lie apart, in milliseconds.
const WORD_GATHER_MS: u64 = 200;
const WORD_APART_MS: u64 = 300;
/// When a word is tried again that cannot be sealed now, in milliseconds.
const WORD_AGAIN_MS: u64 = 30_000;
/// Own messages of which one word tells local clients, the newest: of those before, reading them tells.
const TOLD_AT_ONCE: usize = 256;
/// Own messages for which is looked out whether somebody took them, the newest.
const LEAVING_MAX: usize = 512;
/// After how many milliseconds a member who was compared with has what it did not lack: longer than a question lasts.
const GIVEN_MS: u64 = 25_000;
/// Texts of one device that are looked at in search of the first that was not read.
const READ_AT_ONCE: usize = 1_024;

impl App {
    /// It is time to look after a channel.
    pub(in crate::app) fn channel_tend(&self, w: &mut Work<'_>, number: u64) -> Result<(), Halt> {
        let Some(channel) = self.channel_numbered(w, number)? else { return Ok(()) };
        let mut tend = self.tend(w, &channel)?;
        tend.due = None;
        w.put(&tend)?;
        let Some(mut room) = self.joined(w, &channel)? else { return Ok(()) };
        self.give_up_waiting(w, &mut room)?;
        self.tell_missing(w, &room)?;
        self.say_seen(w, &mut room)?;
        self.close(w, room)
    }

    fn tend(&self, w: &Work<'_>, channel: &ChannelId) -> Result<ChannelTend, Halt> {
        let known = w.get::<ChannelTend>(&ChannelTend::key_of(channel))?;
        Ok(known.unwrap_or_else(|| ChannelTend {
            channel: *channel,
            due: None,
            told: Vec::new(),
            told_at: Timestamp::from_millis(0),
            leaving: Vec::new(),
        }))
    }

    /// Has a channel looked after at a moment at the latest.
    pub(super) fn tend_by(&self, w: &mut Work<'_>, row: &ChannelRow, at: Timestamp) -> Result<(), Halt> {
        let mut tend = self.tend(w, &row.channel)?;
        let what = DueWhat::ChannelTend(row.number);
        if tend.due.is_some_and(|due| due <= at) {
            return Ok(());
        }
        if let Some(due) = tend.due.replace(at) {
            w.unschedule(due, what)?;
        }
        w.put(&tend)?;
        w.schedule(at, what)
    }

    /// A text of somebody is here, or was read: they are told, together with what else comes soon.
    pub(super) fn owe_word(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let Some(pause) = pause_of(room) else { return Ok(()) };
        let told_at = self.tend(w, &room.row.channel)?.told_at;
        let soon = w.now.plus_millis(WORD_GATHER_MS + w.rng.next_u64() % WORD_APART_MS);
        let next = told_at.plus_millis(pause).min(w.now.plus_millis(pause));
        self.tend_by(w, &room.row, soon.max(next))
    }

    /// A person read messages of a channel here: their authors are told, if that is shared.
    pub(in crate::app) fn channel_was_read(&self, w: &mut Work<'_>, channel: &ChannelId) -> Result<(), Halt> {
        if !self.share_read {
            return Ok(());
        }
        let Some(room) = self.joined(w, channel)? else { return Ok(()) };
        self.owe_word(w, &room)?;
        self.close(w, room)
    }

    /// Says what this device has of what others said, if it has or read a text of which it did not say so.
    fn say_seen(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let Some(pause) = pause_of(room) else { return Ok(()) };
        let mut tend = self.tend(w, &room.row.channel)?;
        let word = self.word(w, room, &tend.told)?;
        if !self.is_news(w, room, &tend.told, &word)? {
            return Ok(());
        }
        let next = tend.told_at.plus_millis(pause).min(w.now.plus_millis(pause));
        if w.now < next {
            return self.tend_by(w, &room.row, next);
        }
        let epoch = match room.epochs.gate(&room.graph) {
            Some(Gate::Open(epoch)) if room.epochs.is_anchored(&epoch) && room.keys(&epoch).is_some() => Some(epoch),
            // Nobody makes keys or operations for the sake of a word.
            _ => None,
        };
        let saying = Saying::Seen(word.iter().map(|r| (r.device, reached(r))).collect());
        let sealed = match epoch {
            Some(epoch) => match self.seal_saying(w, room, epoch, saying, None) {
                Err(Halt::User(_)) => None,
                sealed => Some(sealed?),
            },
            None => None,
        };
        let Some(Sealed { topic, frame, .. }) = sealed else {
            return self.tend_by(w, &room.row, w.now.plus_millis(WORD_AGAIN_MS));
        };
        (tend.told, tend.told_at) = (word, w.now);
        w.put(&tend)?;
        // A word that is lost is found by the next comparison, which need not be soon.
        self.put_out(w, &room.row, topic, frame, None)
    }

    /// What this device has of what other members said, by device.
    fn word(&self, w: &Work<'_>, room: &Room, told: &[Reach]) -> Result<Vec<Reach>, Halt> {
        let mut word = Vec::new();
        for head in self.heads_of_others(w, room)? {
            if head.complete() < head.from || word.len() >= REACHED_MAX {
                continue;
            }
            let mut reach = Reach { device: head.device, from: head.from, sequence: head.complete(), read: 0 };
            if self.share_read {
                let before = told.iter().find(|t| t.device == head.device).map_or(0, |t| t.read);
                reach.read = self.read_up_to(w, room, &reach, before)?;
            }
            word.push(reach);
        }
        word.sort_unstable_by_key(|reach| reach.device);
        Ok(word)
    }

    fn heads_of_others(&self, w: &Work<'_>, room: &Room) -> Result<Vec<ChannelHead>, Halt> {
        let heads = w.rows().group::<ChannelHead>(room.row.channel.as_bytes())?;
        Ok(of_others(heads, &room.graph, &self.me.account))
    }

    /// Up to which number a person read what a device said.
    fn read_up_to(&self, w: &Work<'_>, room: &Room, reach: &Reach, before: u64) -> Result<u64, Halt> {
        let place = Place::Channel(*room.row.channel.as_bytes());
        let span = Range::all().after(&before.to_be_bytes()).until(&reach.sequence.to_be_bytes());
        let mut read = before;
        let group = ChainLink::group_of(&place, &reach.device);
        for link in w.rows().rows::<ChainLink>(&group, &span, READ_AT_ONCE)? {
            match w.get::<Message>(&Message::key_of(&place, link.order, &link.id))? {
                Some(message) if message.progress != Progress::Read => break,
                // What vanished is not waited for.
                _ => read = link.seq,
            }
        }
        Ok(read.min(reach.sequence))
    }

    /// Says whether a word tells of a text that was not told of.
    fn is_news(&self, w: &Work<'_>, room: &Room, told: &[Reach], word: &[Reach]) -> Result<bool, Halt> {
        let place = Place::Channel(*room.row.channel.as_bytes());
        for reach in word {
            let group = ChainLink::group_of(&place, &reach.device);
            let text = |from: u64, to: u64| -> Result<bool, Halt> {
                let span = Range::all().from(&from.to_be_bytes()).until(&to.to_be_bytes());
                Ok(from <= to && !w.rows().rows::<ChainLink>(&group, &span, 1)?.is_empty())
            };
            let news = match told.iter().find(|t| t.device == reach.device) {
                None => text(reach.from, reach.sequence)?,
                Some(t) => {
                    reach.read > t.read
                        || text(t.sequence.saturating_add(1), reach.sequence)?
                        || text(reach.from, t.from.saturating_sub(1))?
                }
            };
            if news {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A member's device says what it has.
    pub(super) fn take_word(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        context: &Context,
        event: &Event,
        reached: &BTreeMap<DeviceId, Reached>,
    ) -> Result<(), Halt> {
        if context.device == self.me.device {
            return Ok(());
        }
        let key = ChannelSeen::key_of(&context.channel, &context.device);
        let before = w.get::<ChannelSeen>(&key)?;
        if before.as_ref().is_some_and(|before| before.word >= event.sequence) {
            return Ok(());
        }
        let of_me = reached.get(&self.me.device).and_then(|r| believed(self.me.device, r, room.row.sequence));
        w.put(&ChannelSeen {
            channel: context.channel,
            account: context.account,
            device: context.device,
            word: event.sequence,
            at: event.sent_at.min(w.now),
            reached: of_me.into_iter().collect(),
        })?;
        let Some(now) = of_me else { return Ok(()) };
        let before = before.and_then(|b| b.reached.first().copied());
        let changed = |number: u64| {
            let had = before.is_some_and(|b| b.covers(number));
            let was_read = before.is_some_and(|b| number <= b.read);
            now.covers(number) && (!had || (number <= now.read && !was_read))
        };
        let unchanged = before.filter(|b| b.from <= now.from).map_or(0, |b| b.sequence.min(b.read));
        let first = now.from.max(unchanged.saturating_add(1)).min(now.sequence);
        let place = Place::Channel(*context.channel.as_bytes());
        let span = Range::all().from(&first.to_be_bytes()).until(&now.sequence.to_be_bytes()).backward();
        let group = ChainLink::group_of(&place, &self.me.device);
        let mut links = w.rows().rows::<ChainLink>(&group, &span, TOLD_AT_ONCE)?;
        links.retain(|link| changed(link.seq));
        for link in links.iter().rev() {
            if let Some(message) = w.get::<Message>(&Message::key_of(&place, link.order, &link.id))? {
                self.tell_reach(w, room, &message)?;
            }
        }
        Ok(())
    }

    /// Tells local clients how far an own message got.
    pub(super) fn tell_reach(&self, w: &mut Work<'_>, room: &Room, message: &Message) -> Result<(), Halt> {
        let reach = channel_reach::Reached::of(w.rows(), &room.graph, message)?;
        let receipt = types::Receipt {
            id: message.id,
            to: kith_protocol::AccountId::from_bytes(*room.row.channel.as_bytes()),
            state: reach.state,
            delivered: reach.delivered,
            members: reach.members,
            at: w.now.into(),
            error: None,
        };
        self.emit(w, EventKind::Receipt(receipt)).map(drop)
    }

    /// Remembers whom an own message is for, and what it travels as.
    pub(super) fn note_sent(&self, w: &mut Work<'_>, room: &Room, id: MessageId, item: [u8; 32]) -> Result<(), Halt> {
        let channel = room.row.channel;
        let to: Vec<_> = room.graph.members().filter(|member| *member != self.me.account).collect();
        let members = u32::try_from(to.len()).unwrap_or(u32::MAX);
        let to = if to.len() < WORD_MEMBERS_MAX { to } else { Vec::new() };
        w.put(&ChannelSent { channel, id, members, to, left: None })?;
        let mut tend = self.tend(w, &channel)?;
        if tend.leaving.len() >= LEAVING_MAX {
            tend.leaving.remove(0);
        }
        tend.leaving.push(Leaving { item, message: id, given: w.now });
        w.put(&tend)
    }

    /// Members were handed items: own messages among them left this machine.
    pub(super) fn handed(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        how: &str,
        is_it: impl Fn(&Leaving) -> bool,
    ) -> Result<(), Halt> {
        let channel = room.row.channel;
        let mut tend = self.tend(w, &channel)?;
        let (left, leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut tend.leaving).into_iter().partition(is_it);
        if left.is_empty() {
            return Ok(());
        }
        tend.leaving = leaving;
        w.put(&tend)?;
        let place = Place::Channel(*channel.as_bytes());
        for Leaving { message: id, .. } in left {
            if let Some(mut sent) = w.get::<ChannelSent>(&ChannelSent::key_of(&channel, &id))? {
                sent.left = Some((w.now, how.to_owned()));
                w.put(&sent)?;
            }
            let found = w.get::<MessageRef>(&MessageRef::key_of(&id))?;
            let at = found.and_then(|found| found.at.iter().find(|(_, at, _)| *at == place).copied());
            let Some((_, _, order)) = at else { continue };
            let Some(mut message) = w.get::<Message>(&Message::key_of(&place, order, &id))? else { continue };
            if message.progress == Progress::Queued {
                message.progress = Progress::Sent;
                w.put(&message)?;
                self.tell_reach(w, room, &message)?;
            }
        }
        Ok(())
    }

    /// A comparison of a topic with a member came to an answer: what it lacks it is given now, and once nothing is left to
    /// compare it has the rest. What is younger than a question may not have been compared.
    pub(super) fn compared_with(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        topic: &[u8; 32],
        lacks: impl Fn(&[u8; 32]) -> bool,
        ended: bool,
    ) -> Result<(), Halt> {
        let mut tend = self.tend(w, &room.row.channel)?;
        if tend.leaving.is_empty() {
            return Ok(());
        }
        let mut has = Vec::new();
        for leaving in &mut tend.leaving {
            if lacks(&leaving.item) {
                leaving.given = w.now;
            } else if ended
                && w.now.millis_since(leaving.given) >= GIVEN_MS
                && w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(topic, &leaving.item))?.is_some()
            {
                has.push(leaving.item);
            }
        }
        w.put(&tend)?;
        self.handed(w, room, "a member has it", |leaving| has.contains(&leaving.item))
    }

    /// A frame went out on the live path to somebody.
    pub(in crate::app) fn frame_left(&self, w: &mut Work<'_>, topic: &[u8; 32], item: &[u8; 32]) -> Result<(), Halt> {
        let Some(found) = w.get::<TopicRow>(&TopicRow::key_of(topic))? else { return Ok(()) };
        if !self.tend(w, &found.channel)?.leaving.iter().any(|leaving| leaving.item == *item) {
            return Ok(());
        }
        let Some(room) = self.room(w, &found.channel)?.filter(|r| r.row.membership == Membership::Joined) else {
            return Ok(());
        };
        self.handed(w, &room, "put out to members who are on", |leaving| leaving.item == *item)?;
        self.close(w, room)
    }
}

/// How long a device waits between two words; nothing where it says none by itself.
fn pause_of(room: &Room) -> Option<u64> {
    let others = room.graph.members().count().checked_sub(1).filter(|n| (1..WORD_MEMBERS_MAX).contains(n))?;
    Some(WORD_PAUSE_MS.max(WORD_PAUSE_OF_MEMBER_MS.saturating_mul(others as u64)))
}

fn reached(reach: &Reach) -> Reached {
    Reached { from: reach.from, sequence: reach.sequence, read: reach.read }
}

/// What of a word is believed about a device of one's own that said so much: nobody has what was not said yet, or a word on
/// it would count for what is said next.
fn believed(device: DeviceId, word: &Reached, said: u64) -> Option<Reach> {
    let reach = Reach { device, from: word.from, sequence: word.sequence.min(said), read: word.read.min(said) };
    Some(reach).filter(|reach| reach.from <= reach.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_chan_17_a_word_on_what_was_not_said_yet_does_not_count_for_it() {
        let device = DeviceId::from_bytes([1; 32]);
        let of = |from, sequence, read| believed(device, &Reached { from, sequence, read }, 10);
        let reach = |from, sequence, read| Some(Reach { device, from, sequence, read });
        assert_eq!(of(3, 7, 5), reach(3, 7, 5));
        assert_eq!(of(1, u64::MAX, u64::MAX), reach(1, 10, 10));
        assert_eq!(of(11, 12, 0), None);
        assert_eq!(believed(device, &Reached { from: 1, sequence: 1, read: 0 }, 0), None);
    }
}
