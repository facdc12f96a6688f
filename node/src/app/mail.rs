//! Mail from relays: a page becomes one step for each envelope, so that none spoils another, and what is on disk here is
//! acknowledged at every relay of ours.
//! Must not know how an envelope opens.

use super::{
    App,
    asking::Question,
    input::Input,
    receive::Taken,
    relays::mailbox_key,
    work::{Halt, Work},
};
use crate::net::{AskOutcome, NetEvent};
use kith_protocol::{
    EnvelopeId, limits,
    mailbox::{Answer, OwnerAsk},
};
use kith_store::table::{KnownRelay, OwnRelay, RelayStanding};

/// What a page says beside its envelopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// The relay of ours, by its number.
    pub(super) relay: u64,
    /// The question it answers.
    pub(super) tag: u16,
    /// The last place in it.
    pub(super) last: Option<u64>,
    /// Whether more lies behind it.
    pub(super) more: bool,
    /// One-time keys left at the relay.
    pub(super) prekeys: u64,
}

/// Takes a page apart; everything else passes through.
pub(super) fn unpack(input: Input) -> Vec<Input> {
    let Input::Net(NetEvent::Asked { ask, outcome: AskOutcome::Answered(bytes) }) = &input else { return vec![input] };
    let Some(Question::Own { relay, tag }) = Question::of(*ask) else { return vec![input] };
    let Ok(Answer::Page(page)) = Answer::decode(bytes) else { return vec![input] };
    let end = PageEnd {
        relay,
        tag,
        last: page.items.iter().map(|item| item.cursor).max(),
        more: page.more,
        prekeys: page.prekeys,
    };
    let mail = page.items.into_iter().map(|item| Input::Mail { relay, envelope: item.envelope });
    mail.chain([Input::PageRead(end)]).collect()
}

impl App {
    /// Takes one envelope from a relay. What opens nowhere here is acknowledged too: it would lie there for a month.
    pub(super) fn mail(&self, w: &mut Work<'_>, relay: u64, envelope: &[u8]) -> Result<(), Halt> {
        if w.get::<OwnRelay>(&OwnRelay::key_of(relay))?.is_none() {
            return Ok(());
        }
        match self.take_in(w, None, envelope)? {
            Taken::Busy(_) => Ok(()),
            Taken::Stored | Taken::Known | Taken::Refused(_) => {
                w.done_with(EnvelopeId::of(envelope));
                Ok(())
            }
        }
    }

    /// Lets every relay of ours delete what this batch has put on disk, whichever it came from. What an answer never comes
    /// to is read again and acknowledged again.
    pub(super) fn acknowledge(&self, w: &mut Work<'_>, done: &[EnvelopeId]) -> Result<(), Halt> {
        for own in self.own_relays(w)? {
            let known = w.get::<KnownRelay>(&KnownRelay::key_of(&own.relay, &own.peer))?;
            let reachable = own.standing != RelayStanding::Unreachable && own.standing != RelayStanding::WrongKey;
            if !own.welcomed || !reachable || known.is_some_and(|known| known.quiet_until > w.now) {
                continue;
            }
            let (key, nonce) = (mailbox_key(&own), self.nonce_of(w, &own.relay, &own.peer)?);
            for ids in done.chunks(limits::ACKNOWLEDGED_MAX) {
                let request = OwnerAsk::Acknowledge { ids: ids.to_vec() }.sign(&key, &own.relay, &nonce);
                self.ask(w, Question::Acknowledge { relay: own.number }, &own.peer, &own.addresses, request)?;
            }
        }
        Ok(())
    }

    /// An acknowledgement ended; one that came to nothing has the mailbox read from its beginning, at the next look.
    pub(super) fn acknowledged(&self, w: &mut Work<'_>, relay: u64, outcome: AskOutcome) -> Result<(), Halt> {
        let Some(own) = w.get::<OwnRelay>(&OwnRelay::key_of(relay))? else { return Ok(()) };
        let carried_out = match &outcome {
            AskOutcome::Answered(bytes) => matches!(Answer::decode(bytes), Ok(Answer::Deleted { .. })),
            _ => false,
        };
        self.hear(w, &own.relay, &own.peer, outcome)?;
        let Some(mut own) = w.get::<OwnRelay>(&OwnRelay::key_of(relay))? else { return Ok(()) };
        if !carried_out && own.after != 0 {
            own.after = 0;
            own.read_at = None;
            w.put(&own)?;
        }
        Ok(())
    }
}
