//! What was said before somebody came: asked for as far as the invite grants it, given with what proves it. Must not judge who
//! may say what.

use super::{
    Room,
    sync::PAGE_BYTES,
    talk::{Said, Stands},
};
use crate::{
    app::{
        App,
        asking::Question,
        query,
        work::{Halt, Work},
    },
    net::PeerName,
};
use kith_protocol::{
    AccountId, DeviceId, Timestamp,
    channel::{
        Act, Attested, Parcel,
        invite::History,
        slot_of,
        sync::{Ask, Reply},
    },
    limits::{CHANNEL_FRAME_MAX, PARCEL_BYTES},
};
use kith_store::{
    Range, Rows as _,
    table::{ChannelSaid, Message, Past, Place},
};
use std::collections::BTreeSet;

/// Messages in one answer.
const PAGE_MESSAGES: usize = 256;
/// Members who give all that they have before a newcomer asks no more: one may leave things out.
const GIVERS: u8 = 2;
/// Milliseconds after which a question that came to nothing is asked again, from the beginning and of another member.
const PAST_AGAIN_MS: u64 = 45_000;

/// From when on a member is given what was said before it came; nothing if none of it is granted.
fn granted(room: &Room, account: &AccountId) -> Option<Timestamp> {
    let op = room.graph.ops().get(room.graph.admission_of(account)?)?;
    let Act::Admit(admission) = op.act() else { return None };
    let terms = room.graph.posted_invite(&admission.invite.as_ref()?.invite)?;
    match terms.history {
        History::None => None,
        History::All => Some(Timestamp::from_millis(0)),
        History::Days(days) => {
            let back = u64::from(days).saturating_mul(86_400_000);
            Some(Timestamp::from_millis(op.at().as_millis().saturating_sub(back)))
        }
    }
}

impl App {
    /// What a newcomer asks for.
    pub(super) fn past_wanted(&self, room: &Room, now: Timestamp) -> Option<Past> {
        granted(room, &self.me.account).map(|_| Past { before: u64::MAX, asked_at: now, givers: 0 })
    }

    /// Asks the next member for what was said before, if nobody is asked now.
    pub(super) fn want_past(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        let Some(past) = room.row.past else { return Ok(()) };
        let begun = past.givers > 0 || past.before != u64::MAX;
        if begun && w.now.millis_since(past.asked_at) < PAST_AGAIN_MS {
            return Ok(());
        }
        let Some((at, _)) = self.any_peer(w, room)? else { return Ok(()) };
        room.row.past = Some(Past { before: u64::MAX, asked_at: w.now, ..past });
        self.ask_past(w, room, at)
    }

    fn ask_past(&self, w: &mut Work<'_>, room: &mut Room, at: u16) -> Result<(), Halt> {
        let (Some(past), Some(whom)) = (room.row.past, self.whom(w, room, at)?) else { return Ok(()) };
        let ask = Ask::History { topic: room.row.topic, before: past.before };
        self.ask_member(w, Question::ChannelPast { channel: room.row.number, at }, &whom, &ask);
        Ok(())
    }

    /// A member gave some of what was said before.
    pub(super) fn past_came(&self, w: &mut Work<'_>, room: &mut Room, at: u16, reply: &Reply) -> Result<(), Halt> {
        let Some(past) = room.row.past else { return Ok(()) };
        let Ok(end) = <[u8; 8]>::try_from(reply.message.as_slice()) else { return Ok(()) };
        for item in &reply.items {
            let Some(parcel) = self.open_parcel(room, item) else { continue };
            for bytes in &parcel.said {
                self.past_in(w, room, bytes)?;
            }
        }
        let before = u64::from_be_bytes(end);
        // Each page leads further back: nobody is led in a circle.
        if reply.more && before < past.before {
            room.row.past = Some(Past { before, asked_at: w.now, ..past });
            return self.ask_past(w, room, at);
        }
        let givers = past.givers.saturating_add(1);
        let others = u16::try_from(self.askable(w, room)?.len()).unwrap_or(u16::MAX);
        let enough = u16::from(givers) >= others.min(u16::from(GIVERS));
        room.row.past = (!enough).then_some(Past { before: u64::MAX, asked_at: w.now, givers });
        if enough { Ok(()) } else { self.ask_past(w, room, at.wrapping_add(1) % others.max(1)) }
    }

    /// Takes in one message from before.
    fn past_in(&self, w: &mut Work<'_>, room: &mut Room, bytes: &[u8]) -> Result<(), Halt> {
        let channel = room.row.channel;
        let Ok(attested) = Attested::decode(channel, bytes) else { return Ok(()) };
        let context = *attested.context();
        let Some(info) = room.graph.device(&context.device).cloned() else { return Ok(()) };
        if room.graph.owner_of(&context.device) != Some(context.account) || context.device == self.me.device {
            return Ok(());
        }
        let Ok((event, hash)) = attested.verify(&info.sign_pk) else { return Ok(()) };
        let said = Said { event, hash, attested, past: true };
        if w.get::<ChannelSaid>(&ChannelSaid::key_of(&channel, &said.id()))?.is_some() {
            return Ok(());
        }
        if self.stands(w, room, &said, true)? != Stands::Yes {
            return Ok(());
        }
        self.keep_proof(w, &said)?;
        self.show_said(w, room, [said].into())
    }

    /// Gives a newcomer what was said before it came, the newest first, of what it has no keys for.
    pub(super) fn past_for(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        from: &PeerName,
        before: u64,
    ) -> Result<Reply, Halt> {
        let asker: Option<DeviceId> = self.member_at(w, room, from)?;
        let account = asker.and_then(|device| room.graph.owner_of(&device));
        let since = account.and_then(|account| granted(room, &account));
        let (Some(asker), Some(since), Some((epoch, keys))) = (asker, since, room.epoch()) else {
            return Ok(Reply { message: 0u64.to_be_bytes().to_vec(), ..Reply::default() });
        };
        let Some((_, lineage)) = room.lineage(&epoch) else { return Ok(Reply::default()) };
        let asker = BTreeSet::from([asker]);
        let place = Place::Channel(*room.row.channel.as_bytes());
        let span = Range::all().before(&before.to_be_bytes()).backward();
        let messages = w.rows().rows::<Message>(&place.group(), &span, PAGE_MESSAGES)?;
        let mut reply = Reply { more: messages.len() == PAGE_MESSAGES, ..Reply::default() };
        let (mut said, mut end, mut bytes): (Vec<Vec<u8>>, u64, usize) = (Vec::new(), 0, 0);
        for message in messages {
            // Others may have the same key: what comes twice is known again.
            end = message.order.saturating_add(1);
            if message.sent_at < since || message.kind == query::DELETED {
                continue;
            }
            let Some(row) = w.get::<ChannelSaid>(&ChannelSaid::key_of(&room.row.channel, &message.id))? else {
                continue;
            };
            let edit = match row.edited {
                Some((_, _, id)) => w.get::<ChannelSaid>(&ChannelSaid::key_of(&room.row.channel, &id))?,
                None => None,
            };
            let theirs = Attested::decode(room.row.channel, &row.attested)
                .is_ok_and(|attested| room.epochs.any_can_derive(&attested.context().epoch, &asker));
            if theirs || row.attested.is_empty() {
                continue;
            }
            for proof in [Some(row.attested), edit.map(|edit| edit.attested)].into_iter().flatten() {
                bytes += proof.len();
                said.push(proof);
            }
            if bytes > PAGE_BYTES {
                reply.more = true;
                break;
            }
        }
        reply.message = end.to_be_bytes().to_vec();
        let mut parcels: Vec<(usize, Parcel)> = Vec::new();
        for proof in said {
            let len = proof.len() + 16;
            match parcels.last_mut() {
                Some((held, parcel)) if *held + len <= PARCEL_BYTES => {
                    *held += len;
                    parcel.said.push(proof);
                }
                _ => parcels.push((len, Parcel { said: vec![proof], ..Parcel::default() })),
            }
        }
        for (_, parcel) in parcels {
            let sealed = parcel.seal(&room.row.channel, &lineage, (epoch, &keys), slot_of(w.now), w.rng);
            reply.items.extend(sealed.ok().filter(|item| item.len() <= CHANNEL_FRAME_MAX));
        }
        Ok(reply)
    }
}
