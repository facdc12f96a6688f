//! What the operator of the relay that this daemon runs asks of it.

use super::Daemon;
use crate::{
    api::{
        error::{Code, UserError},
        types::{MemberWord, NewInvite, RelayCard, RelayInvite, RelayMember, RelayStats},
    },
    daemon::RelayHandle,
    relay::{InviteId, Operator, Stats, Told},
};
use kith_protocol::{MailboxId, mailbox::RelayCard as Card};
use kith_store::{
    Rows,
    mailbox::{InviteInfo, MailboxInfo, Quota},
    table::OwnProfile,
};

/// Mailboxes asked for at once.
const MEMBERS_PAGE: usize = 1_000;

/// Speaks to the relay of a daemon.
pub(super) struct Desk<'a> {
    daemon: &'a Daemon,
    relay: &'a RelayHandle,
}

impl Daemon {
    /// The relay that this daemon runs; `no_relay` where none does.
    pub(super) fn operator(&self) -> Result<Desk<'_>, UserError> {
        let no_relay = || UserError::new(Code::NoRelay, "this node runs no relay").hint("kith relay run");
        Ok(Desk { daemon: self, relay: self.relay().ok_or_else(no_relay)? })
    }

    /// The card of the relay that this daemon runs, with the addresses under which others reach it; `token` admits.
    ///
    /// # Errors
    /// `no_relay` where none runs; what the store reports.
    pub async fn card(&self, token: Option<[u8; 16]>) -> Result<Card, UserError> {
        let id = self.operator()?.relay.id();
        let own: Option<OwnProfile> = self.read(|rows| rows.row(&OwnProfile::only())).await?;
        let addresses = own.into_iter().flat_map(|own| {
            let at = |address: &String| match address.contains("/p2p/") {
                true => address.clone(),
                false => format!("{address}/p2p/{}", own.peer),
            };
            own.addresses.iter().map(at).collect::<Vec<_>>()
        });
        Ok(Card::new(id, token, addresses))
    }
}

impl Desk<'_> {
    async fn ask(&self, ask: Operator) -> Result<Told, UserError> {
        Ok(self.relay.ask(ask).await?)
    }

    async fn told_stats(&self) -> Result<Stats, UserError> {
        if let Told::Stats(stats) = self.ask(Operator::Stats).await? { Ok(*stats) } else { Err(misfit()) }
    }

    pub(super) async fn card(&self) -> Result<RelayCard, UserError> {
        let (stats, card) = (self.told_stats().await?, self.daemon.card(None).await?);
        Ok(RelayCard {
            card: card.code(),
            url: card.to_string(),
            relay: card.relay.to_string(),
            name: stats.name,
            open: stats.open,
        })
    }

    pub(super) async fn invite(&self, invite: NewInvite) -> Result<RelayInvite, UserError> {
        let expires = self.daemon.0.parts.clock.now().plus_millis(invite.expires_after_ms);
        let told = self.ask(Operator::Invite { uses: invite.uses, until: expires }).await?;
        let Told::Invited { token, id } = told else { return Err(misfit()) };
        let card = self.daemon.card(Some(token)).await?;
        Ok(RelayInvite {
            id: id.to_string(),
            card: Some(card.code()),
            url: Some(card.to_string()),
            uses: invite.uses,
            expires: expires.into(),
        })
    }

    pub(super) async fn invites(&self) -> Result<Vec<RelayInvite>, UserError> {
        let Told::Invites(invites) = self.ask(Operator::Invites).await? else { return Err(misfit()) };
        let shown = |invite: InviteInfo| RelayInvite {
            id: InviteId::of(&invite.token).to_string(),
            card: None,
            url: None,
            uses: invite.uses,
            expires: invite.until.into(),
        };
        Ok(invites.into_iter().map(shown).collect())
    }

    pub(super) async fn revoke(&self, id: String) -> Result<(), UserError> {
        self.ask(Operator::RevokeInvite { id }).await.map(drop)
    }

    pub(super) async fn members(&self) -> Result<Vec<RelayMember>, UserError> {
        let mut members = Vec::new();
        let mut after = None;
        loop {
            let Told::Members(page) = self.ask(Operator::Members { after, limit: MEMBERS_PAGE }).await? else {
                return Err(misfit());
            };
            after = page.last().map(|member| member.id);
            let last = page.len() < MEMBERS_PAGE;
            members.extend(page.into_iter().map(member));
            if last || after.is_none() {
                return Ok(members);
            }
        }
    }

    pub(super) async fn judge(&self, mailbox: MailboxId, word: MemberWord) -> Result<(), UserError> {
        let own = word.quota.map(|quota| Some(Quota { envelopes: quota.envelopes, bytes: quota.bytes }));
        let quota = own.or_else(|| word.usual_quota.then_some(None));
        let judge = Operator::Judge { mailbox, allowed: word.allowed, blocked: word.blocked, quota };
        self.ask(judge).await.map(drop)
    }

    pub(super) async fn stats(&self) -> Result<RelayStats, UserError> {
        let stats = self.told_stats().await?;
        Ok(RelayStats {
            name: stats.name,
            open: stats.open,
            mailboxes: stats.held.mailboxes,
            envelopes: stats.held.envelopes,
            bytes: stats.held.bytes,
            kept_bytes: stats.held.kept_bytes,
            owners: stats.owners,
            deposits: stats.counters.accepted,
            refused: stats.counters.refused_by_word().map(|(word, count)| (word.to_owned(), count)).collect(),
            collected: stats.counters.collected,
            swept: stats.counters.swept,
            storage_errors: stats.counters.storage_errors,
            storage_ok: stats.storage_ok,
            clock: stats.clock_doubt.map(|doubt| doubt.to_string()),
            uptime_s: stats.uptime_s,
        })
    }

    pub(super) async fn metrics(&self) -> Result<String, UserError> {
        if let Told::Metrics(text) = self.ask(Operator::Metrics).await? { Ok(text) } else { Err(misfit()) }
    }
}

fn member(info: MailboxInfo) -> RelayMember {
    RelayMember {
        mailbox: info.id.to_string(),
        registered: info.registered,
        since: info.since.into(),
        envelopes: info.used.envelopes,
        bytes: info.used.bytes,
        envelopes_max: info.quota.map(|quota| quota.envelopes),
        bytes_max: info.quota.map(|quota| quota.bytes),
        allowed: info.allowed,
        blocked: info.blocked,
        prekeys: info.prekeys,
    }
}

fn misfit() -> UserError {
    UserError::internal("the relay answered something else than it was asked")
}
