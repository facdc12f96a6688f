//! How somebody comes in: invites are posted and kept findable, requests answered, joins carried on until they end. Must not
//! know rights: the graph says who may.

use super::{Room, done, refused};
use crate::{
    api::{
        error::{Code, UserError},
        types::{Done, EventKind, HistoryGrant, NewChannelInvite},
    },
    app::{
        App, Scan as _,
        asking::Question,
        channel_query,
        command::Outcome,
        work::{Halt, Work},
    },
    net::{AskOutcome, NetCommand, PeerName},
};
use kith_protocol::crypto::hpke::{LeafPublic, LeafSecret};
use kith_protocol::{
    AccountId, ChannelId, RecordKey,
    channel::{
        Act, Admission, Epochs, Graph, InviteTerms, KeyRing, Op, OpId, Parcel, Refused, Use, Welcome,
        invite::{
            History, InviteCode, InviteLink, InviteRecord, InviteSecret, JoinAnswer, JoinParts, JoinRequest,
            Outcome as Answered, Peer, PostedRecord, Reason,
        },
        sync::{Ask, Reply},
    },
    crypto::{Secret, kdf::sha256},
    limits::{INVITE_ADDRESSES_MAX, INVITE_PEERS_MAX, INVITE_SLOTS},
};
use kith_store::table::{
    ChannelCard, ChannelInviteRow, ChannelOp, ChannelRow, DueWhat, JoinRow, JoinStage, JoinWaits, Membership,
};
use rand_core::Rng as _;

/// First pause between two tries of a join, in milliseconds; doubles up to the longest.
const JOIN_FIRST_MS: u64 = 1_000;
const JOIN_LONGEST_MS: u64 = 60_000;
/// Members that a join asks.
const JOIN_PEERS: usize = 32;
/// Milliseconds after which a join that comes to nothing is given up.
const JOIN_MS: u64 = 30 * 86_400_000;
/// The kind of number that a lookup for a join has among lookups; contacts' numbers stay below.
pub(in crate::app) const JOIN_QUERY: u64 = 1 << 62;
/// Where in that number the try stands.
const TRIES_AT: u32 = 48;
/// What of it is the join's own number.
pub(in crate::app) const JOIN_NUMBER: u64 = (1 << TRIES_AT) - 1;

impl App {
    /// Posts an invite.
    pub(super) fn channel_invite(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        new: &NewChannelInvite,
    ) -> Result<Outcome, Halt> {
        let mut secret = [0; 16];
        w.rng.fill_bytes(&mut secret);
        let code = InviteCode::new(InviteSecret::from_bytes(secret), &room.row.channel);
        let public = code.keys().public();
        let terms = InviteTerms {
            public,
            role: super::role_name(&new.role)?,
            uses: new.uses,
            expires: w.now.plus_millis(new.expires_after_ms),
            approval: new.approval,
            history: match new.history {
                HistoryGrant::None => History::None,
                HistoryGrant::All => History::All,
                HistoryGrant::Days(days) => History::Days(days),
            },
        };
        let op = self.act(w, room, &Act::PostInvite(terms))?;
        w.put(&ChannelInviteRow { channel: room.row.channel, op: *op.as_bytes(), secret })?;
        self.publish_soon(w)?;
        let shown = channel_query::invite(w.rows(), &room.graph, &op, w.now)?;
        shown.map(Outcome::Invite).ok_or_else(|| UserError::internal("an invite that is not there").into())
    }

    /// Ends an invite.
    pub(super) fn channel_invite_revoke(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        prefix: &str,
    ) -> Result<Outcome, Halt> {
        let wanted = prefix.trim().to_ascii_lowercase();
        let mut fits: Vec<OpId> = channel_query::all_invites(&room.graph).into_iter().map(|(op, _)| op).collect();
        fits.retain(|op| !wanted.is_empty() && channel_query::invite_id(op).starts_with(&wanted));
        match fits.as_slice() {
            [op] if room.graph.invite_terms(op).is_none() => Ok(Outcome::Done(Done { changed: false })),
            [op] => {
                self.act(w, room, &Act::RevokeInvite { invite: *op })?;
                self.publish_soon(w)?;
                Ok(done())
            }
            [] => Err(UserError::new(Code::InviteUnknown, "no such invite").hint("kith invite list '#NAME'").into()),
            _ => Err(UserError::new(Code::Ambiguous, "several invites fit").hint("give more of its id").into()),
        }
    }

    /// The records by which holders of codes find this member: one for each open invite and day.
    pub(in crate::app) fn invite_records(&self, w: &mut Work<'_>) -> Result<Vec<(RecordKey, Vec<u8>)>, Halt> {
        let profile = self.profile(w)?;
        let mut records = Vec::new();
        if profile.peer.is_empty() {
            return Ok(records);
        }
        for row in w.rows().group::<ChannelRow>(ChannelRow::GROUP)? {
            let Some(room) = self.joined(w, &row.channel)? else { continue };
            for (op, shown) in channel_query::invites_of(w.rows(), &room.graph, w.now)? {
                let Some(terms) = room.graph.invite_terms(&op) else { continue };
                let mut peers = vec![Peer {
                    peer_id: profile.peer.as_bytes().to_vec(),
                    addresses: profile.addresses.iter().take(INVITE_ADDRESSES_MAX).cloned().collect(),
                }];
                for card in w.rows().group::<ChannelCard>(row.channel.as_bytes())? {
                    if card.device != self.me.device && peers.len() < INVITE_PEERS_MAX {
                        let addresses = card.addresses.into_iter().take(INVITE_ADDRESSES_MAX).collect();
                        peers.push(Peer { peer_id: card.peer.into_bytes(), addresses });
                    }
                }
                let record = InviteRecord {
                    channel: row.channel,
                    name: channel_query::name_of(&room.graph),
                    inviter: shown.by,
                    inviter_name: if shown.by == self.me.account { profile.name.clone() } else { String::new() },
                    members: u32::try_from(room.graph.members().count()).unwrap_or(u32::MAX),
                    role: terms.role.as_str().to_owned(),
                    expires: terms.expires,
                    approval: terms.approval,
                    history: terms.history,
                    relays: Vec::new(),
                    peers,
                    sequence: w.now.as_millis(),
                };
                // Members take slots by their devices, so that several are found.
                let own = u32::from(*self.me.device.as_bytes().first().unwrap_or(&0)) % INVITE_SLOTS;
                for day in [w.now.day(), w.now.day().plus(1)] {
                    let Some(slot) = terms.public.slot(day, own) else { continue };
                    match record.post(&slot, &self.me.account, &self.me.secrets, w.rng) {
                        Ok(bytes) => records.push((slot.record_key(), bytes)),
                        Err(error) => tracing::error!(%error, "an invite's record could not be made"),
                    }
                }
            }
            self.close(w, room)?;
        }
        Ok(records)
    }

    /// Begins to join.
    pub(super) fn join(&self, w: &mut Work<'_>, text: &str, name: Option<String>, yes: bool) -> Result<Outcome, Halt> {
        let link = parse_invite(text)?;
        let code = link.code.to_string();
        for mut row in w.rows().group::<JoinRow>(JoinRow::GROUP)? {
            if row.code != code {
                continue;
            }
            if self.is_over(w, &row)? {
                w.delete::<JoinRow>(&JoinRow::key_of(row.number))?;
                continue;
            }
            if yes && !row.yes {
                row.yes = true;
                self.join_step(w, &mut row)?;
            }
            return Ok(Outcome::Join(channel_query::join(&row)));
        }
        for row in w.rows().group::<ChannelRow>(ChannelRow::GROUP)? {
            if row.membership == Membership::Joined && link.code.names(&row.channel) {
                let Some(room) = self.room(w, &row.channel)? else { continue };
                let shown = channel_query::joined_already(&room.graph);
                self.close(w, room)?;
                return Ok(Outcome::Join(shown));
            }
        }
        let mut nonce = [0; 16];
        w.rng.fill_bytes(&mut nonce);
        let rows = w.rows().group::<JoinRow>(JoinRow::GROUP)?;
        let profile = self.profile(w)?;
        let mut row = JoinRow {
            number: rows.iter().map(|row| row.number).max().unwrap_or(0) + 1,
            code,
            hints: link.hints.iter().map(ToString::to_string).collect(),
            name: name.unwrap_or(profile.name),
            yes,
            stage: JoinStage::Looking,
            channel: None,
            shown: Vec::new(),
            peers: Vec::new(),
            leaf: *LeafSecret::random(w.rng).to_seed().as_bytes(),
            nonce,
            since: w.now,
            due: w.now,
            tries: 0,
            cards: Vec::new(),
        };
        self.join_step(w, &mut row)?;
        Ok(Outcome::Join(channel_query::join(&row)))
    }

    /// Says whether a join is history: it came to nothing, or one is not in any more. The same code may be tried again.
    fn is_over(&self, w: &Work<'_>, join: &JoinRow) -> Result<bool, Halt> {
        Ok(match (&join.stage, join.channel) {
            (JoinStage::Failed { .. }, _) => true,
            (JoinStage::Joined, Some(channel)) => {
                let row = w.get::<ChannelRow>(&ChannelRow::key_of(&channel))?;
                row.is_none_or(|row| row.membership != Membership::Joined)
            }
            _ => false,
        })
    }

    /// The name that this account chose to go by in a channel when it joined.
    pub(super) fn nick(&self, w: &Work<'_>, channel: &ChannelId) -> Result<Option<String>, Halt> {
        let joins = w.rows().group::<JoinRow>(JoinRow::GROUP)?;
        let latest = joins.into_iter().filter(|join| join.channel == Some(*channel)).max_by_key(|join| join.number);
        Ok(latest.map(|join| join.name).filter(|name| !name.is_empty()))
    }

    /// Says yes to what an invite leads to.
    pub(super) fn join_confirm(&self, w: &mut Work<'_>, number: u64) -> Result<Outcome, Halt> {
        let mut row = self.join_row(w, number)?;
        row.yes = true;
        row.tries = 0;
        self.join_step(w, &mut row)?;
        Ok(Outcome::Join(channel_query::join(&row)))
    }

    /// Gives a join up.
    pub(super) fn join_cancel(&self, w: &mut Work<'_>, number: u64) -> Result<Outcome, Halt> {
        let row = self.join_row(w, number)?;
        w.unschedule(row.due, DueWhat::Join(number))?;
        w.delete::<JoinRow>(&JoinRow::key_of(number))?;
        Ok(done())
    }

    fn join_row(&self, w: &Work<'_>, number: u64) -> Result<JoinRow, Halt> {
        w.get::<JoinRow>(&JoinRow::key_of(number))?
            .ok_or_else(|| UserError::new(Code::JoinUnknown, "no such join").hint("kith join CODE").into())
    }

    pub(super) fn joins_start(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut row in w.rows().group::<JoinRow>(JoinRow::GROUP)? {
            row.tries = 0;
            w.unschedule(row.due, DueWhat::Join(row.number))?;
            row.due = w.now;
            w.put(&row)?;
            w.schedule(w.now, DueWhat::Join(row.number))?;
        }
        Ok(())
    }

    /// A join is looked at again.
    pub(in crate::app) fn join_due(&self, w: &mut Work<'_>, number: u64) -> Result<(), Halt> {
        let Some(mut row) = w.get::<JoinRow>(&JoinRow::key_of(number))? else { return Ok(()) };
        if w.now.millis_since(row.since) > JOIN_MS {
            return self.join_failed(w, &mut row, "timeout", "nobody let you in within 30 days");
        }
        self.join_step(w, &mut row)
    }

    /// Takes the next step of a join, and puts it on the timetable.
    fn join_step(&self, w: &mut Work<'_>, row: &mut JoinRow) -> Result<(), Halt> {
        let Ok(link) = parse_invite(&row.code) else { return Ok(()) };
        match &row.stage {
            JoinStage::Looking | JoinStage::Preview if row.yes && !row.peers.is_empty() => {
                row.stage = JoinStage::Asking;
                self.ask_to_join(w, row, &link.code)?;
            }
            JoinStage::Looking => self.look_for_records(w, row, &link.code),
            JoinStage::Preview | JoinStage::Joined | JoinStage::Failed { .. } => {
                w.unschedule(row.due, DueWhat::Join(row.number))?;
                return w.put(row);
            }
            JoinStage::Asking | JoinStage::Waiting => {
                self.ask_to_join(w, row, &link.code)?;
                // Those who are known do not answer: others may have come.
                if row.tries > 1 {
                    self.look_for_records(w, row, &link.code);
                }
            }
            JoinStage::Admitted { .. } => self.ask_for_ops(w, row)?,
        }
        let pause = (JOIN_FIRST_MS << row.tries.min(10)).min(JOIN_LONGEST_MS);
        row.tries = row.tries.saturating_add(1);
        w.unschedule(row.due, DueWhat::Join(row.number))?;
        row.due = w.now.plus_millis(pause);
        w.schedule(row.due, DueWhat::Join(row.number))?;
        w.put(row)
    }

    /// Looks for the records of the members who let somebody in.
    fn look_for_records(&self, w: &mut Work<'_>, row: &JoinRow, code: &InviteCode) {
        let public = code.keys().public();
        let days = [w.now.day(), w.now.day().minus(1), w.now.day().plus(1)];
        let slots = days.into_iter().flat_map(|day| (0..INVITE_SLOTS).map(move |slot| (day, slot)));
        let keys = slots.filter_map(|(day, slot)| public.slot(day, slot).map(|slot| slot.record_key())).collect();
        // Each try is a lookup of its own: one that waits for who is gone must not hold up the next.
        let query = JOIN_QUERY | u64::from(row.tries & 0xff) << TRIES_AT | row.number & JOIN_NUMBER;
        w.effects().net.push(NetCommand::Fetch { query, keys, hints: row.hints.clone() });
    }

    fn join_failed(&self, w: &mut Work<'_>, row: &mut JoinRow, code: &str, why: &str) -> Result<(), Halt> {
        w.unschedule(row.due, DueWhat::Join(row.number))?;
        row.stage = JoinStage::Failed { code: code.to_owned(), why: why.to_owned() };
        w.put(row)?;
        self.emit(w, EventKind::Join(channel_query::join(row))).map(drop)
    }

    /// Records were found for a join.
    pub(in crate::app) fn join_found(
        &self,
        w: &mut Work<'_>,
        number: u64,
        records: &[(RecordKey, Vec<u8>)],
    ) -> Result<(), Halt> {
        let Some(mut row) = w.get::<JoinRow>(&JoinRow::key_of(number))? else { return Ok(()) };
        let asking = matches!(row.stage, JoinStage::Asking | JoinStage::Waiting);
        if row.stage != JoinStage::Looking && !asking {
            return Ok(());
        }
        let known = row.peers.len();
        let Ok(link) = parse_invite(&row.code) else { return Ok(()) };
        let public = link.code.keys().public();
        let days = [w.now.day(), w.now.day().minus(1), w.now.day().plus(1)];
        let mut found: Option<PostedRecord> = None;
        for day in days {
            for at in 0..INVITE_SLOTS {
                let Some(slot) = public.slot(day, at) else { continue };
                for (_, bytes) in records.iter().filter(|(key, _)| *key == slot.record_key()) {
                    let Ok(posted) = PostedRecord::open(&link.code, day, at, bytes, w.now) else { continue };
                    for peer in &posted.record.peers {
                        let Ok(name) = String::from_utf8(peer.peer_id.clone()) else { continue };
                        if row.peers.len() < JOIN_PEERS && !row.peers.iter().any(|(known, _)| *known == name) {
                            row.peers.push((name, peer.addresses.clone()));
                        }
                    }
                    if found.as_ref().is_none_or(|f| f.record.sequence < posted.record.sequence) {
                        found = Some(posted);
                    }
                }
            }
        }
        if asking {
            if row.peers.len() == known {
                return Ok(());
            }
            row.tries = 0;
            return self.join_step(w, &mut row);
        }
        let Some(posted) = found else { return Ok(()) };
        row.channel = Some(posted.record.channel);
        row.shown = channel_query::shown_of(&posted.record);
        if posted.record.expires < w.now {
            return self.join_failed(w, &mut row, "invite_expired", "the invite has expired");
        }
        row.stage = if row.yes { JoinStage::Asking } else { JoinStage::Preview };
        row.tries = 0;
        self.join_step(w, &mut row)?;
        self.emit(w, EventKind::Join(channel_query::join(&row))).map(drop)
    }

    fn ask_to_join(&self, w: &mut Work<'_>, row: &JoinRow, code: &InviteCode) -> Result<(), Halt> {
        let Some(channel) = row.channel else { return Ok(()) };
        let profile = self.profile(w)?;
        let leaf = LeafSecret::from_seed(Secret::new(row.leaf));
        let addresses: Vec<String> = profile.addresses.iter().take(INVITE_ADDRESSES_MAX).cloned().collect();
        let leaf_key = leaf.public();
        let parts = JoinParts {
            channel: &channel,
            log: &self.me.log,
            leaf_key: leaf_key.as_bytes(),
            peer_id: profile.peer.as_bytes(),
            addresses: &addresses,
            mailboxes: &[],
            name: &row.name,
            at: w.now,
            nonce: &row.nonce,
        };
        let Ok(request) = parts.seal(code, &self.me.secrets, w.rng) else { return Ok(()) };
        for (place, (peer, addresses)) in row.peers.iter().enumerate() {
            // One at first: where it answers, nobody else lets the same person in as well.
            let later = row.tries == 0 && place > 0;
            if *peer == profile.peer || later {
                continue;
            }
            w.effects().net.push(NetCommand::AskMember {
                ask: Question::Join { join: row.number, place: place as u16 }.number(),
                peer: PeerName(peer.clone()),
                addresses: addresses.iter().map(|a| crate::app::seal::with_peer(a, peer)).collect(),
                request: Ask::Join { request: request.clone() }.encode(),
            });
        }
        Ok(())
    }

    fn ask_for_ops(&self, w: &mut Work<'_>, row: &JoinRow) -> Result<(), Halt> {
        let (JoinStage::Admitted { op, topic }, Some(channel)) = (&row.stage, row.channel) else { return Ok(()) };
        let heads = match self.room(w, &channel)? {
            Some(room) => {
                let heads = room.graph.heads();
                self.close(w, room)?;
                heads
            }
            None => Vec::new(),
        };
        let (topics, admission) = (vec![*topic], Some(OpId::from_bytes(*op)));
        let ask = Ask::Ops { topics, heads, admission, epochs: Vec::new(), card: None }.encode();
        for (place, (peer, addresses)) in row.peers.iter().enumerate() {
            w.effects().net.push(NetCommand::AskMember {
                ask: Question::JoinOps { join: row.number, place: place as u16 }.number(),
                peer: PeerName(peer.clone()),
                addresses: addresses.iter().map(|a| crate::app::seal::with_peer(a, peer)).collect(),
                request: ask.clone(),
            });
        }
        Ok(())
    }

    /// A member answered a request to join, or for operations.
    pub(in crate::app) fn join_answered(
        &self,
        w: &mut Work<'_>,
        question: Question,
        outcome: AskOutcome,
    ) -> Result<(), Halt> {
        let (Question::Join { join, .. } | Question::JoinOps { join, .. }) = question else { return Ok(()) };
        let AskOutcome::Answered(bytes) = outcome else { return Ok(()) };
        let Ok(reply) = Reply::decode(&bytes) else { return Ok(()) };
        let Some(mut row) = w.get::<JoinRow>(&JoinRow::key_of(join))? else { return Ok(()) };
        match question {
            Question::Join { .. } => self.admitted(w, &mut row, &reply),
            _ => self.first_ops(w, &mut row, &reply),
        }
    }

    fn admitted(&self, w: &mut Work<'_>, row: &mut JoinRow, reply: &Reply) -> Result<(), Halt> {
        let Some(channel) = row.channel else { return Ok(()) };
        if !matches!(row.stage, JoinStage::Asking | JoinStage::Waiting) || reply.message.is_empty() {
            return Ok(());
        }
        let opened = JoinAnswer::open(&reply.message, &self.me.secrets, &channel, &row.nonce, w.now);
        let Ok(answer) = opened else { return Ok(()) };
        match answer.outcome {
            Answered::Admitted(bytes) => {
                let leaf = LeafSecret::from_seed(Secret::new(row.leaf));
                let Ok(welcome) = Welcome::open(&bytes, &channel, &leaf) else { return Ok(()) };
                let op = *welcome.op.as_bytes();
                let topic = welcome.lineage_keys.topic();
                use kith_store::table::{ChannelEpoch, ChannelLineage};
                w.put(&ChannelEpoch { channel, epoch: welcome.epoch, keys: welcome.keys.to_stored(), at: w.now })?;
                let lineage = welcome.lineage;
                w.put(&ChannelLineage { channel, lineage, keys: welcome.lineage_keys.to_stored(), at: w.now })?;
                row.cards = welcome.cards;
                row.stage = JoinStage::Admitted { op, topic };
                row.tries = 0;
                self.join_step(w, row)
            }
            Answered::Waiting => {
                if row.stage != JoinStage::Waiting {
                    row.stage = JoinStage::Waiting;
                    w.put(row)?;
                    self.emit(w, EventKind::Join(channel_query::join(row)))?;
                }
                Ok(())
            }
            // One member's word: the others are asked on, unless all it says is that the invite is over for everybody.
            Answered::Refused(reason) => match reason {
                Reason::Expired => self.join_failed(w, row, "invite_expired", "the invite has expired"),
                Reason::Revoked => self.join_failed(w, row, "invite_revoked", "the invite was revoked"),
                Reason::UsedUp => self.join_failed(w, row, "invite_used_up", "the invite is used up"),
                Reason::Banned => self.join_failed(w, row, "banned", "you are banned from this channel"),
                Reason::AlreadyMember => {
                    self.join_failed(w, row, "conflict", "you are in this channel with another device")
                }
                Reason::NotValid => Ok(()),
            },
        }
    }

    /// The first operations came: once the admission is among them, one is in.
    fn first_ops(&self, w: &mut Work<'_>, row: &mut JoinRow, reply: &Reply) -> Result<(), Halt> {
        let (JoinStage::Admitted { op, .. }, Some(channel)) = (row.stage.clone(), row.channel) else { return Ok(()) };
        let (room, moved) = self.fold_first(w, channel, reply)?;
        let Some(mut room) = room else { return Ok(()) };
        let admitted = OpId::from_bytes(op);
        let at = room.graph.position(&admitted);
        let agrees = at.is_some_and(|at| {
            room.graph.is_member(&self.me.account)
                && room.epochs.behind(at).is_some_and(|epoch| room.ring.get(&epoch).is_some())
        });
        if !agrees {
            let more = reply.more && moved;
            self.close(w, room)?;
            if more {
                self.ask_for_ops(w, row)?;
            }
            return Ok(());
        }
        room.row.membership = Membership::Joined;
        room.row.since = w.now;
        room.row.past = self.past_wanted(&room, w.now);
        self.keep_leaf(w, &channel, &LeafSecret::from_seed(Secret::new(row.leaf)))?;
        for card in std::mem::take(&mut row.cards) {
            self.card_in(w, &room, &card)?;
        }
        self.settle(w, &mut room)?;
        self.tell_card(w, &mut room)?;
        self.compare_soon(w, &room.row)?;
        self.publish_soon(w)?;
        w.unschedule(row.due, DueWhat::Join(row.number))?;
        row.stage = JoinStage::Joined;
        w.put(row)?;
        self.tell_channel(w, &room)?;
        self.emit(w, EventKind::Join(channel_query::join(row)))?;
        self.close(w, room)
    }

    /// Folds the operations of an answer into what came before; says whether any was new.
    fn fold_first(&self, w: &mut Work<'_>, channel: ChannelId, reply: &Reply) -> Result<(Option<Room>, bool), Halt> {
        let mut room = self.room(w, &channel)?;
        let mut moved = false;
        for item in &reply.items {
            let parcel = match &mut room {
                Some(room) => self.open_parcel(room, item),
                None => self.open_first(w, &channel, item)?,
            };
            let Some(parcel) = parcel else { continue };
            for bytes in parcel.ops {
                let Ok(op) = Op::decode(&bytes, w.now) else { continue };
                if let Some(room) = &mut room {
                    moved |= self.take_op(w, room, op)?.is_ok_and(|added| added.new);
                    continue;
                }
                let id = op.id();
                let Ok(graph) = Graph::create(op) else { continue };
                if graph.channel() != channel {
                    continue;
                }
                w.put(&ChannelOp { channel, place: 0, op: bytes })?;
                let mut row = self.new_row(w, channel, &id)?;
                row.membership = Membership::Joining;
                let epochs = Epochs::of(&graph);
                // Written, so that the keys are read with it.
                self.close(w, Room { row, graph, epochs, ring: KeyRing::default() })?;
                room = self.room(w, &channel)?;
                moved = true;
            }
        }
        Ok((room, moved))
    }

    /// Opens the first parcel of all, by the keys that came with the welcome.
    fn open_first(&self, w: &Work<'_>, channel: &ChannelId, item: &[u8]) -> Result<Option<Parcel>, Halt> {
        use kith_protocol::channel::{EpochKeys, Frame, LineageKeys};
        use kith_store::table::{ChannelEpoch, ChannelLineage};
        let Ok(frame) = Frame::decode(item) else { return Ok(None) };
        for lineage in w.rows().group::<ChannelLineage>(channel.as_bytes())? {
            let Ok(header) = frame.header(&LineageKeys::from_stored(&lineage.keys)) else { continue };
            let Some(epoch) = w.get::<ChannelEpoch>(&ChannelEpoch::key_of(channel, &header.epoch))? else { continue };
            return Ok(Parcel::open(&frame, channel, &header.epoch, &EpochKeys::from_stored(&epoch.keys)).ok());
        }
        Ok(None)
    }

    /// Somebody asks to be let into one of the channels.
    pub(super) fn join_asked(&self, w: &mut Work<'_>, request: &[u8]) -> Result<Reply, Halt> {
        for row in w.rows().group::<ChannelRow>(ChannelRow::GROUP)? {
            let Some(mut room) = self.joined(w, &row.channel)? else { continue };
            let mut answer = None;
            for (op, _) in channel_query::all_invites(&room.graph) {
                let Some(terms) = room.graph.posted_invite(&op).cloned() else { continue };
                if !JoinRequest::is_for(request, &terms.public) {
                    continue;
                }
                let Ok(asked) = JoinRequest::open(request, &terms.public, &row.channel, w.now) else { continue };
                let outcome = self.judge_join(w, &mut room, &op, &terms, &asked, request)?;
                if let Some(outcome) = outcome {
                    let sealed = JoinAnswer::seal(&outcome, &asked, &self.me.account, &self.me.secrets, w.now, w.rng);
                    answer = sealed.ok();
                }
                break;
            }
            self.close(w, room)?;
            if let Some(message) = answer {
                return Ok(Reply { message, ..Reply::default() });
            }
        }
        Ok(Reply::default())
    }

    fn judge_join(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        invite: &OpId,
        terms: &InviteTerms,
        asked: &JoinRequest,
        request: &[u8],
    ) -> Result<Option<Answered>, Halt> {
        let account = asked.account();
        if let Some(at) = room.graph.admission_of(&account) {
            // Asked again because the answer was lost: the same request is welcomed again.
            let again = room.graph.ops().get(at).is_some_and(|op| match op.act() {
                Act::Admit(Admission { invite: Some(used), .. }) => used.nonce == asked.nonce,
                _ => false,
            });
            if again {
                return self.welcome(w, room, at, asked).map(|w| w.map(Answered::Admitted));
            }
            return Ok(Some(Answered::Refused(Reason::AlreadyMember)));
        }
        let act = admission(invite, terms, asked);
        match room.graph.allow(self.me.account, self.me.device, &act, w.now) {
            Ok(_) if terms.approval => {
                let key = JoinWaits::key_of(&room.row.channel, &account);
                match w.get::<JoinWaits>(&key)? {
                    Some(known) if known.denied => return Ok(Some(Answered::Refused(Reason::NotValid))),
                    Some(_) => {}
                    None => {
                        let waits = JoinWaits {
                            channel: room.row.channel,
                            account,
                            name: asked.name.clone(),
                            invite: *invite.as_bytes(),
                            request: request.to_vec(),
                            at: w.now,
                            denied: false,
                        };
                        w.put(&waits)?;
                        self.tell_channel(w, room)?;
                    }
                }
                Ok(Some(Answered::Waiting))
            }
            Ok(_) => self.admit(w, room, &act, asked).map(|w| w.map(Answered::Admitted)),
            Err(Refused::InviteExpired) => Ok(Some(Answered::Refused(Reason::Expired))),
            Err(Refused::InviteRevoked | Refused::UnknownInvite) => Ok(Some(Answered::Refused(Reason::Revoked))),
            Err(Refused::InviteUsedUp) => Ok(Some(Answered::Refused(Reason::UsedUp))),
            Err(Refused::Banned) => Ok(Some(Answered::Refused(Reason::Banned))),
            // This member may not let anybody in; another one may.
            Err(_) => Ok(None),
        }
    }

    fn admit(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        act: &Act,
        asked: &JoinRequest,
    ) -> Result<Option<Vec<u8>>, Halt> {
        let op = match self.act(w, room, act) {
            Ok(op) => op,
            Err(Halt::User(_)) => return Ok(None),
            Err(halt) => return Err(halt),
        };
        let Some(at) = room.graph.position(&op) else { return Ok(None) };
        self.tell_member(w, room.row.channel, asked.account(), asked.name.clone(), true)?;
        self.tell_channel(w, room)?;
        self.welcome(w, room, at, asked)
    }

    fn welcome(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        at: usize,
        asked: &JoinRequest,
    ) -> Result<Option<Vec<u8>>, Halt> {
        let Some(op) = room.graph.ops().get(at).map(|op| op.id()) else { return Ok(None) };
        let Some(epoch) = room.epochs.behind(at) else { return Ok(None) };
        let (Some(keys), Some((lineage, lineage_keys))) = (room.keys(&epoch), room.lineage(&epoch)) else {
            return Ok(None);
        };
        let Ok(leaf) = LeafPublic::parse(&asked.leaf_key) else { return Ok(None) };
        self.own_card(w, &mut room.row)?;
        let mut cards: Vec<Vec<u8>> = Vec::new();
        for card in w.rows().group::<ChannelCard>(room.row.channel.as_bytes())? {
            if cards.len() < kith_protocol::limits::WELCOME_CARDS_MAX {
                cards.push(card.card);
            }
        }
        let welcome = Welcome { op, epoch, keys, lineage, lineage_keys, cards };
        Ok(welcome.seal(&room.row.channel, &leaf, w.rng).ok())
    }

    /// Lets somebody in who waits, or not.
    pub(super) fn join_judge(
        &self,
        w: &mut Work<'_>,
        room: &mut Room,
        account: AccountId,
        admit: bool,
    ) -> Result<Outcome, Halt> {
        let key = JoinWaits::key_of(&room.row.channel, &account);
        let Some(mut waits) = w.get::<JoinWaits>(&key)? else {
            return Err(UserError::new(Code::MemberUnknown, "nobody of that name waits")
                .hint("kith channel requests '#NAME'")
                .into());
        };
        if !admit {
            waits.denied = true;
            w.put(&waits)?;
            return Ok(done());
        }
        let invite = OpId::from_bytes(waits.invite);
        let gone = || UserError::new(Code::InviteRevoked, "the invite they came with is over").hint("make a new one");
        let terms = room.graph.posted_invite(&invite).cloned().ok_or_else(gone)?;
        let asked = JoinRequest::open(&waits.request, &terms.public, &room.row.channel, w.now).map_err(|_| gone())?;
        let act = admission(&invite, &terms, &asked);
        drop(room.graph.allow(self.me.account, self.me.device, &act, w.now).map_err(refused)?);
        self.admit(w, room, &act, &asked)?;
        w.delete::<JoinWaits>(&key)?;
        Ok(done())
    }
}

fn admission(invite: &OpId, terms: &InviteTerms, asked: &JoinRequest) -> Act {
    Act::Admit(Admission {
        account: asked.account(),
        devices: asked.log.clone(),
        role: terms.role.clone(),
        invite: Some(Use {
            invite: *invite,
            device: asked.device.id,
            leaf: sha256(&[&asked.leaf_key]),
            nonce: asked.nonce,
            proof: asked.proof,
        }),
    })
}

/// Reads a code or link; says what is wrong with one that is none.
fn parse_invite(text: &str) -> Result<InviteLink, UserError> {
    InviteLink::parse(text).map_err(|error| crate::app::contact::bad_code(&error, "kith join CODE"))
}
