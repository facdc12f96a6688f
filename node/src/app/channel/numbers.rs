//! Which numbers of members' devices are here, and what people are told of those that are missing. Must not know what was
//! said under them.

use super::Room;
use crate::{
    api::types::{self, EventKind},
    app::{
        App, Scan as _,
        work::{Halt, Work},
    },
};
use kith_protocol::{
    AccountId,
    channel::{Context, Graph},
};
use kith_store::table::ChannelHead;

/// Milliseconds after which a person is told that something is missing: what is only late has come by then.
const TOLD_AFTER_MS: u64 = 5_000;

impl App {
    /// Notes that what a device said under a number is here. Everything that it said before in the same epoch was sealed to
    /// this device too, since each message has one number and one generation.
    pub(super) fn note_number(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        context: &Context,
        number: u64,
    ) -> Result<(), Halt> {
        let key = ChannelHead::key_of(&context.channel, &context.device);
        let known = w.get::<ChannelHead>(&key)?;
        let mut head = known.unwrap_or_else(|| ChannelHead::empty(context.channel, context.device));
        let (missing, complete) = (head.missing(), head.complete());
        head.take(number.saturating_sub(u64::from(context.generation)).max(1), number, w.now);
        let now = head.missing();
        if now > 0 && missing == 0 {
            head.gap_at = Some(w.now);
            self.compare_soon(w, &room.row)?;
            self.tend_by(w, &room.row, w.now.plus_millis(TOLD_AFTER_MS))?;
        }
        if now == 0 && missing > 0 {
            head.gap_at = None;
            if std::mem::take(&mut head.told) > 0 {
                self.tell_missing_of(w, room, &head, 0)?;
            }
        }
        w.put(&head)?;
        // Texts behind a gap that closed can be confirmed now.
        if missing > 0 && head.complete() != complete {
            self.owe_word(w, room)?;
        }
        Ok(())
    }

    /// Tells local clients of what is missing for a while, once.
    pub(super) fn tell_missing(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let heads = w.rows().group::<ChannelHead>(room.row.channel.as_bytes())?;
        for mut head in of_others(heads, &room.graph, &self.me.account) {
            let Some(since) = head.gap_at else { continue };
            let Some((_, last)) = head.gaps().last().copied() else { continue };
            let age = w.now.millis_since(since);
            if age < TOLD_AFTER_MS {
                self.tend_by(w, &room.row, w.now.plus_millis(TOLD_AFTER_MS - age))?;
            } else if last > head.told {
                head.told = last;
                w.put(&head)?;
                self.tell_missing_of(w, room, &head, head.missing())?;
            }
        }
        Ok(())
    }

    fn tell_missing_of(&self, w: &mut Work<'_>, room: &Room, head: &ChannelHead, missing: u64) -> Result<(), Halt> {
        let Some(account) = room.graph.owner_of(&head.device) else { return Ok(()) };
        let (channel, device) = (room.row.channel, head.device);
        let name = self.member_name(w, room, &account, &device)?;
        let told = types::Missing { channel, account, name, device, missing, at: w.now.into() };
        self.emit(w, EventKind::Missing(told)).map(drop)
    }
}

/// Of heads in a channel those of other members' devices: nobody waits for what others left behind.
pub(in crate::app) fn of_others(mut heads: Vec<ChannelHead>, graph: &Graph, me: &AccountId) -> Vec<ChannelHead> {
    let belongs = graph.recipients();
    heads.retain(|head| belongs.contains(&head.device) && graph.owner_of(&head.device).as_ref() != Some(me));
    heads
}
