//! What is about a message that is not here yet: it waits for it, bounded, and an answer does not wait for ever. Must not
//! judge who may say what.

use super::{
    Room,
    talk::{Said, Stands},
};
use crate::app::{
    App, Scan as _,
    work::{Halt, Work},
};
use kith_protocol::{
    ChannelId, MessageId,
    channel::{Attested, Saying},
};
use kith_store::table::{ChannelLater, ChannelSaid};

/// Messages of one channel that are waited for. Beyond them nothing new is: an answer is shown without what it answers, other
/// words for what is not here are dropped.
const TARGETS_MAX: usize = 4_096;
/// Things that wait for one message.
const WAITS_MAX: usize = 256;
/// How many of them one member may have said.
const WAITS_OF_ONE_MAX: usize = 16;
/// Milliseconds that an answer waits for what it answers: some comparisons with other members.
const ANSWER_WAITS_MS: u64 = 5_000;
/// Milliseconds that other words wait for what they are for: as long as members keep what was said for each other.
const KEPT_MS: u64 = 30 * 86_400_000;

impl App {
    /// Lets something wait for what it is about. Gives it back if it is to be shown without.
    pub(super) fn let_wait(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        target: &MessageId,
        said: Said,
    ) -> Result<Option<Said>, Halt> {
        let channel = room.row.channel;
        let is_answer = matches!(said.event.saying, Saying::Text { .. });
        let known = w.get::<ChannelLater>(&ChannelLater::key_of(&channel, target))?;
        let full = match &known {
            Some(row) => self.is_full(w, row, &said)?,
            None => w.rows().group::<ChannelLater>(channel.as_bytes())?.len() >= TARGETS_MAX,
        };
        if full {
            return Ok(Some(said).filter(|_| is_answer));
        }
        let mut row = known.unwrap_or(ChannelLater {
            channel,
            target: *target,
            waits: Vec::new(),
            answers: Vec::new(),
            since: w.now,
        });
        if is_answer {
            row.answers.push(said.id());
            self.tend_by(w, &room.row, w.now.plus_millis(ANSWER_WAITS_MS))?;
        } else {
            row.waits.push(said.id());
        }
        w.put(&row)?;
        self.compare_soon(w, &room.row)?;
        Ok(None)
    }

    fn is_full(&self, w: &Work<'_>, row: &ChannelLater, said: &Said) -> Result<bool, Halt> {
        let waiting = row.waits.len() + row.answers.len();
        if waiting < WAITS_OF_ONE_MAX {
            return Ok(false);
        }
        let mut of_one = 0;
        for id in row.waits.iter().chain(&row.answers) {
            let proof = w.get::<ChannelSaid>(&ChannelSaid::key_of(&row.channel, id))?;
            of_one += usize::from(proof.is_some_and(|proof| proof.account == said.attested.context().account));
        }
        Ok(waiting >= WAITS_MAX || of_one >= WAITS_OF_ONE_MAX)
    }

    /// Takes out what waited for a message.
    pub(super) fn waited_for(&self, w: &mut Work<'_>, room: &Room, id: &MessageId) -> Result<Vec<Said>, Halt> {
        let key = ChannelLater::key_of(&room.row.channel, id);
        let Some(row) = w.get::<ChannelLater>(&key)? else { return Ok(Vec::new()) };
        w.delete::<ChannelLater>(&key)?;
        self.all_said(w, room, row.answers.iter().chain(&row.waits))
    }

    /// Shows answers that waited long enough, and forgets what waited in vain.
    pub(super) fn give_up_waiting(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let channel: ChannelId = room.row.channel;
        for mut row in w.rows().group::<ChannelLater>(channel.as_bytes())? {
            let age = w.now.millis_since(row.since);
            if !row.answers.is_empty() && age < ANSWER_WAITS_MS {
                self.tend_by(w, &room.row, w.now.plus_millis(ANSWER_WAITS_MS - age))?;
                continue;
            }
            let answers = std::mem::take(&mut row.answers);
            if row.waits.is_empty() || age >= KEPT_MS {
                w.delete::<ChannelLater>(&ChannelLater::key_of(&channel, &row.target))?;
            } else if !answers.is_empty() {
                w.put(&row)?;
            }
            for said in self.all_said(w, room, &answers)? {
                if self.stands(w, room, &said, true)? == Stands::Yes {
                    self.show_said(w, room, [said].into())?;
                }
            }
        }
        Ok(())
    }

    /// Reads again what was said, by what proves it.
    fn all_said<'a>(
        &self,
        w: &Work<'_>,
        room: &Room,
        ids: impl IntoIterator<Item = &'a MessageId>,
    ) -> Result<Vec<Said>, Halt> {
        let mut all = Vec::new();
        for id in ids {
            let Some(proof) = w.get::<ChannelSaid>(&ChannelSaid::key_of(&room.row.channel, id))? else { continue };
            let Ok(attested) = Attested::decode(room.row.channel, &proof.attested) else { continue };
            let Some(device) = room.graph.device(&attested.context().device) else { continue };
            let Ok((event, hash)) = attested.verify(&device.sign_pk) else { continue };
            all.push(Said { event, hash, attested, past: false });
        }
        Ok(all)
    }
}
