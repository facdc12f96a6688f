//! What local clients may read of channels: rows and graphs turned into the API's types. Must not write anything.

use super::{
    channel::{graph_of, of_others, relays_of},
    scan::Scan as _,
};
use crate::api::types::{self, HistoryGrant};
use kith_protocol::{
    AccountId, ChannelId, Timestamp,
    channel::{
        Act, Epochs, Gate, Graph, KeyRing, Mode, OpId, Permission, Permissions, RoleName, Setting,
        invite::{History, InviteCode, InviteLink, InviteRecord, InviteSecret},
    },
};
use kith_store::{
    Error, RawRows, Rows,
    table::{
        ChannelCard, ChannelCaught, ChannelDeposit, ChannelEpoch, ChannelHead, ChannelInviteRow, ChannelMailbox,
        ChannelRow, Contact, JoinRow, JoinStage, JoinWaits, Membership, OwnProfile, Place, PlaceHead,
    },
};

/// Lists the channels, by name.
pub fn channels(rows: &dyn RawRows, now: Timestamp) -> Result<Vec<types::Channel>, Error> {
    let mut all = Vec::new();
    for row in rows.group::<ChannelRow>(ChannelRow::GROUP)? {
        if row.membership == Membership::Joining {
            continue;
        }
        let Some(graph) = graph_of(rows, &row.channel)? else { continue };
        let epochs = Epochs::of(&graph);
        let mut ring = KeyRing::default();
        for epoch in rows.group::<ChannelEpoch>(row.channel.as_bytes())? {
            ring.insert(epoch.epoch, kith_protocol::channel::EpochKeys::from_stored(&epoch.keys));
        }
        all.push(shown(rows, &row, &graph, &epochs, &ring, now)?);
    }
    all.sort_by_key(|channel: &types::Channel| (channel.name.to_lowercase(), channel.id));
    Ok(all)
}

/// What a channel is called.
pub(super) fn name_of(graph: &Graph) -> String {
    if let Some(Setting::Name(name)) = graph.setting(1) {
        return name.as_str().to_owned();
    }
    match graph.ops().first().map(|op| op.act()) {
        Some(Act::Create { name, .. }) => name.as_str().to_owned(),
        _ => String::new(),
    }
}

/// Turns a channel into what clients see.
pub(super) fn shown(
    rows: &dyn RawRows,
    row: &ChannelRow,
    graph: &Graph,
    epochs: &Epochs,
    ring: &KeyRing,
    now: Timestamp,
) -> Result<types::Channel, Error> {
    let own = rows.row::<OwnProfile>(&OwnProfile::only())?.map(|own| own.account);
    let me = own.unwrap_or(graph.creator());
    let place = Place::Channel(*row.channel.as_bytes());
    let unread = rows.row::<PlaceHead>(&PlaceHead::key_of(&place))?.map_or(0, |head| head.unread);
    let heads = rows.group::<ChannelHead>(row.channel.as_bytes())?;
    let waits = rows.group::<JoinWaits>(row.channel.as_bytes())?;
    let mut ring = ring.clone();
    let gate = if row.membership == Membership::Joined {
        match epochs.gate(graph) {
            Some(Gate::Open(epoch)) if ring.derive(epochs, &epoch) => types::ChannelGate::Open,
            Some(Gate::Open(_)) | None => types::ChannelGate::WaitingForKeys,
            Some(_) => types::ChannelGate::RekeyFirst,
        }
    } else {
        types::ChannelGate::Closed
    };
    let standing = graph.standing(&me, now);
    Ok(types::Channel {
        id: row.channel,
        name: name_of(graph),
        topic: match graph.setting(2) {
            Some(Setting::Topic(topic)) => topic.clone(),
            _ => String::new(),
        },
        state: match row.membership {
            Membership::Joined | Membership::Joining => types::ChannelState::Joined,
            Membership::Left => types::ChannelState::Left,
            Membership::Removed => types::ChannelState::Removed,
        },
        mode: match graph.mode() {
            Mode::Open => types::ChannelMode::Open,
            Mode::Private => types::ChannelMode::Private,
            Mode::Announce => types::ChannelMode::Announce,
            Mode::Archive => types::ChannelMode::Archive,
        },
        members: u32::try_from(graph.members().count()).unwrap_or(u32::MAX),
        roles: standing.map(|s| s.roles.iter().map(|r| r.as_str().to_owned()).collect()).unwrap_or_default(),
        permissions: words(graph.permissions(&me, now)),
        unread: u32::try_from(unread).unwrap_or(u32::MAX),
        muted: row.muted,
        removal: match row.membership {
            Membership::Removed => removal(rows, graph, &me)?,
            _ => None,
        },
        creator: graph.creator(),
        retention_days: match graph.setting(4) {
            Some(Setting::RetentionDays(days)) => *days,
            _ => 0,
        },
        expires_after_ms: match graph.setting(5) {
            Some(Setting::ExpireAfterMs(ms)) => *ms,
            _ => 0,
        },
        state_hash: OpId::from_bytes(graph.state_hash()).as_bytes().iter().map(|b| format!("{b:02x}")).collect(),
        ops: row.ops,
        gate,
        requests: u32::try_from(waits.iter().filter(|w| !w.denied).count()).unwrap_or(u32::MAX),
        missing: of_others(heads, graph, &me).iter().map(ChannelHead::missing).sum(),
        relays: relays(rows, row, graph)?,
    })
}

/// How the relays of a channel stand.
fn relays(rows: &dyn RawRows, row: &ChannelRow, graph: &Graph) -> Result<Vec<types::ChannelRelay>, Error> {
    let mut mailboxes = rows.group::<ChannelMailbox>(ChannelMailbox::GROUP)?;
    mailboxes.retain(|mailbox| mailbox.channel == row.channel && mailbox.replaced.is_none());
    let mut all = Vec::new();
    for card in relays_of(graph) {
        let mailbox = mailboxes.iter().find(|mailbox| mailbox.relay == card.relay);
        let waiting = match mailbox {
            Some(mailbox) => rows.group::<ChannelDeposit>(&mailbox.number.to_be_bytes())?.len(),
            None => 0,
        };
        all.push(types::ChannelRelay {
            relay: card.relay,
            ready: mailbox.is_some_and(|m| m.registered.is_some() && m.failures == 0),
            detail: mailbox.and_then(|m| m.detail.clone()),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        });
    }
    Ok(all)
}

/// Who put somebody out last, and why.
fn removal(rows: &dyn RawRows, graph: &Graph, whom: &AccountId) -> Result<Option<types::RemovalInfo>, Error> {
    let holds = graph.ops().iter().enumerate().rev().filter(|(at, _)| graph.refused(*at).is_none());
    let found = holds.map(|(_, op)| op).find_map(|op| match op.act() {
        Act::Remove(removal) if removal.account == *whom => Some((op, removal)),
        _ => None,
    });
    let Some((op, removal)) = found else { return Ok(None) };
    Ok(Some(types::RemovalInfo {
        by: op.account(),
        by_name: super::query::member_name(rows, &graph.channel(), &op.account(), &op.device())?,
        reason: removal.reason.clone(),
        banned: removal.ban,
    }))
}

fn words(rights: Permissions) -> Vec<String> {
    rights.iter().map(|p: Permission| p.word().to_owned()).collect()
}

fn graph(rows: &dyn RawRows, channel: &ChannelId) -> Result<Option<Graph>, Error> {
    let row = rows.row::<ChannelRow>(&ChannelRow::key_of(channel))?;
    match row.filter(|row| row.membership != Membership::Joining) {
        Some(_) => graph_of(rows, channel),
        None => Ok(None),
    }
}

/// Lists a channel's members, by name; nothing if there is no such channel.
pub fn members(rows: &dyn RawRows, channel: &ChannelId, now: Timestamp) -> Result<Option<Vec<types::Member>>, Error> {
    use super::query::Shown as _;
    let Some(graph) = graph(rows, channel)? else { return Ok(None) };
    let own = rows.row::<OwnProfile>(&OwnProfile::only())?;
    let cards = rows.group::<ChannelCard>(channel.as_bytes())?;
    let caught = rows.group::<ChannelCaught>(channel.as_bytes())?;
    let mut all = Vec::new();
    for account in graph.members() {
        let Some(standing) = graph.standing(&account, now) else { continue };
        let me = own.as_ref().is_some_and(|own| own.account == account);
        let contact = rows.row::<Contact>(&Contact::key_of(&account))?;
        let carded =
            standing.devices.iter().find_map(|d| cards.iter().find(|c| c.device == d.id)).map(|c| c.name.clone());
        let name = match (me, contact) {
            (true, _) => own.as_ref().map(|own| own.name.clone()).unwrap_or_default(),
            (false, Some(contact)) if !contact.shown_name().is_empty() => contact.shown_name(),
            _ => carded.unwrap_or_default(),
        };
        all.push(types::Member {
            account,
            name,
            roles: standing.roles.iter().map(|r| r.as_str().to_owned()).collect(),
            creator: account == graph.creator(),
            me,
            devices: u32::try_from(standing.devices.len()).unwrap_or(u32::MAX),
            muted: graph.is_muted(&account, now),
            caught: caught.iter().filter(|c| c.account == Some(account) && c.times > 0).map(caught_at).collect(),
        });
    }
    all.sort_by_key(|member: &types::Member| (member.name.to_lowercase(), member.account));
    Ok(Some(all))
}

fn caught_at(row: &ChannelCaught) -> types::CaughtAt {
    types::CaughtAt { code: super::channel::code_of(row.kind).to_owned(), times: row.times, at: row.at.into() }
}

/// Lists a channel's roles, its own first.
pub fn roles(rows: &dyn RawRows, channel: &ChannelId) -> Result<Option<Vec<types::RoleInfo>>, Error> {
    let Some(graph) = graph(rows, channel)? else { return Ok(None) };
    let builtin = kith_protocol::channel::Role::BUILTIN.iter().filter_map(|name| RoleName::parse(name).ok());
    let names = builtin.chain(graph.defined_roles());
    let shown =
        names.filter_map(|name| graph.role(&name).map(|role| (name, role))).map(|(name, role)| types::RoleInfo {
            builtin: types_builtin(&name),
            name: name.as_str().to_owned(),
            inherits: role.inherits.iter().map(|r| r.as_str().to_owned()).collect(),
            allow: words(role.allow),
            deny: words(role.deny),
        });
    Ok(Some(shown.collect()))
}

fn types_builtin(name: &RoleName) -> bool {
    name.builtin().is_some()
}

/// Lists a channel's invites that still let somebody in.
pub fn channel_invites(
    rows: &dyn RawRows,
    channel: &ChannelId,
    now: Timestamp,
) -> Result<Option<Vec<types::ChannelInvite>>, Error> {
    let Some(graph) = graph(rows, channel)? else { return Ok(None) };
    Ok(Some(invites_of(rows, &graph, now)?.into_iter().map(|(_, invite)| invite).collect()))
}

/// Every invite that was posted, with whoever posted it.
pub(super) fn all_invites(graph: &Graph) -> Vec<(OpId, AccountId)> {
    let posted = graph.ops().iter().filter(|op| matches!(op.act(), Act::PostInvite(_)));
    posted.map(|op| (op.id(), op.account())).collect()
}

/// How an invite is named to people.
pub(super) fn invite_id(op: &OpId) -> String {
    AccountId::from_bytes(*op.as_bytes()).to_string()
}

/// The invites that still let somebody in.
pub(super) fn invites_of(
    rows: &dyn RawRows,
    graph: &Graph,
    now: Timestamp,
) -> Result<Vec<(OpId, types::ChannelInvite)>, Error> {
    let mut open = Vec::new();
    for (op, by) in all_invites(graph) {
        let Some(terms) = graph.invite_terms(&op) else { continue };
        let used = graph.invite_uses(&op);
        if terms.expires < now || used >= terms.uses {
            continue;
        }
        let row = rows.row::<ChannelInviteRow>(&ChannelInviteRow::key_of(&graph.channel(), op.as_bytes()))?;
        let code = row.map(|row| InviteCode::new(InviteSecret::from_bytes(row.secret), &graph.channel()));
        let url = match &code {
            Some(code) => Some(InviteLink::new(code.clone(), super::query::hints_of(rows)?).to_string()),
            None => None,
        };
        open.push((
            op,
            types::ChannelInvite {
                id: invite_id(&op),
                code: code.map(|code| code.to_string()),
                url,
                expires: terms.expires.into(),
                uses: terms.uses,
                used,
                role: terms.role.as_str().to_owned(),
                approval: terms.approval,
                history: history(terms.history),
                by,
            },
        ));
    }
    Ok(open)
}

/// One invite.
pub(super) fn invite(
    rows: &dyn RawRows,
    graph: &Graph,
    op: &OpId,
    now: Timestamp,
) -> Result<Option<types::ChannelInvite>, Error> {
    Ok(invites_of(rows, graph, now)?.into_iter().find(|(id, _)| id == op).map(|(_, invite)| invite))
}

fn history(history: History) -> HistoryGrant {
    match history {
        History::None => HistoryGrant::None,
        History::All => HistoryGrant::All,
        History::Days(days) => HistoryGrant::Days(days),
    }
}

/// Lists the joins that are under way or ended lately.
pub fn joins(rows: &dyn RawRows) -> Result<Vec<types::Join>, Error> {
    Ok(rows.group::<JoinRow>(JoinRow::GROUP)?.iter().map(join).collect())
}

/// What a record shows, as a join keeps it.
pub(super) fn shown_of(record: &InviteRecord) -> Vec<u8> {
    let shown = types::Join {
        id: 0,
        state: types::JoinState::Preview,
        channel: Some(record.channel),
        name: Some(record.name.clone()),
        inviter: Some(record.inviter_name.clone()),
        members: Some(record.members),
        role: Some(record.role.clone()),
        history: Some(history(record.history)),
        expires: Some(record.expires.into()),
        error: None,
    };
    serde_json::to_vec(&shown).unwrap_or_default()
}

/// Turns a join into what clients see.
pub(super) fn join(row: &JoinRow) -> types::Join {
    let blank = types::Join {
        id: 0,
        state: types::JoinState::Looking,
        channel: row.channel,
        name: None,
        inviter: None,
        members: None,
        role: None,
        history: None,
        expires: None,
        error: None,
    };
    let shown = serde_json::from_slice(&row.shown).unwrap_or(blank);
    let (state, error) = match &row.stage {
        JoinStage::Looking => (types::JoinState::Looking, None),
        JoinStage::Preview => (types::JoinState::Preview, None),
        JoinStage::Asking | JoinStage::Admitted { .. } => (types::JoinState::Asking, None),
        JoinStage::Waiting => (types::JoinState::Waiting, None),
        JoinStage::Joined => (types::JoinState::Joined, None),
        JoinStage::Failed { code, why } => (types::JoinState::Failed, Some((code.clone(), why.clone()))),
    };
    types::Join { id: row.number, state, error, channel: row.channel, ..shown }
}

/// What somebody is told who is in already.
pub(super) fn joined_already(graph: &Graph) -> types::Join {
    types::Join {
        id: 0,
        state: types::JoinState::Joined,
        channel: Some(graph.channel()),
        name: Some(name_of(graph)),
        inviter: None,
        members: Some(u32::try_from(graph.members().count()).unwrap_or(u32::MAX)),
        role: None,
        history: None,
        expires: None,
        error: None,
    }
}

/// Lists who waits for approval.
pub fn join_requests(rows: &dyn RawRows, channel: &ChannelId) -> Result<Option<Vec<types::JoinRequestInfo>>, Error> {
    let Some(graph) = graph(rows, channel)? else { return Ok(None) };
    let waits = rows.group::<JoinWaits>(channel.as_bytes())?;
    let shown = waits.into_iter().filter(|w| !w.denied).map(|w| types::JoinRequestInfo {
        account: w.account,
        role: graph.posted_invite(&OpId::from_bytes(w.invite)).map(|t| t.role.as_str().to_owned()).unwrap_or_default(),
        name: w.name,
        at: w.at.into(),
    });
    Ok(Some(shown.collect()))
}
