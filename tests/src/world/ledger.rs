//! What was promised to whom, and whether it was kept: nothing acknowledged is lost or shown twice, nothing is made up.

use super::Person;
use kith_node::app::{Command, Outcome, Reply, RequestId};
use kith_protocol::{AccountId, MessageId};
use std::collections::{BTreeMap, BTreeSet};

/// One text that a daemon took over: from now on it must arrive, once.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Who wrote it.
    pub from: usize,
    /// Whom it is for.
    pub to: AccountId,
    /// The text.
    pub body: String,
}

/// The book of promises.
#[derive(Default)]
pub struct Ledger {
    asked: BTreeMap<(usize, RequestId), Command>,
    /// What daemons promised to deliver.
    pub promises: BTreeMap<MessageId, Promise>,
    /// Everything anybody tried to send, taken over or not.
    pub tried: BTreeSet<String>,
    /// Commands that were refused, with the code.
    pub refused: Vec<(usize, String)>,
}

impl Ledger {
    pub(super) fn asked(&mut self, who: usize, request: RequestId, command: &Command) {
        if let Command::Send { body, .. } = command {
            self.tried.insert(body.clone());
        }
        self.asked.insert((who, request), command.clone());
    }

    pub(super) fn replied(&mut self, who: usize, request: RequestId, reply: Reply, _people: &[Person]) {
        let Some(command) = self.asked.remove(&(who, request)) else { return };
        match (command, reply) {
            (Command::Send { to, body, .. }, Ok(Outcome::Sent(sent))) => {
                let again = self.promises.insert(sent.id, Promise { from: who, to, body });
                assert!(again.is_none(), "one id for two messages");
            }
            (_, Ok(_)) => {}
            (_, Err(error)) => self.refused.push((who, error.code.to_string())),
        }
    }

    /// What was asked of a node that died before it answered is promised to nobody.
    pub(super) fn crashed(&mut self, who: usize) {
        self.asked.retain(|(asked, _), _| *asked != who);
    }

    /// Promises that their recipient does not show yet.
    pub fn open(&self, people: &[Person]) -> Vec<MessageId> {
        let shown: BTreeMap<AccountId, BTreeSet<MessageId>> =
            people.iter().map(|p| (p.account(), p.shown().into_iter().map(|m| m.id).collect())).collect();
        let kept = |id: &MessageId, p: &Promise| shown.get(&p.to).is_some_and(|ids| ids.contains(id));
        self.promises.iter().filter(|(id, p)| !kept(id, p)).map(|(id, _)| *id).collect()
    }

    /// Checks everything that must hold once the world is calm again.
    ///
    /// # Panics
    /// If something promised is missing, shown twice, shown to somebody else or altered, or was never written; or if its
    /// sender does not know that it arrived.
    pub fn check(&self, seed: u64, people: &[Person]) {
        let open = self.open(people);
        assert!(open.is_empty(), "seed {seed}: {} of {} messages lost: {open:?}", open.len(), self.promises.len());
        for person in people {
            let mut seen = BTreeSet::new();
            for message in person.shown() {
                assert!(seen.insert(message.id), "seed {seed}: {} shows {} twice", person.name, message.id);
                assert!(self.tried.contains(&message.body), "seed {seed}: {} shows what nobody wrote", person.name);
                if let Some(promise) = self.promises.get(&message.id) {
                    assert_eq!(promise.to, person.account(), "seed {seed}: shown to somebody else");
                    assert_eq!(promise.body, message.body, "seed {seed}: altered");
                    assert_eq!(people[promise.from].account(), message.from, "seed {seed}: another author");
                }
            }
            assert_eq!(person.waiting(), [""; 0], "seed {seed}: {} still waits", person.name);
            assert_eq!(person.unconfirmed(), [], "seed {seed}: {} was not told of all", person.name);
            let mut told = BTreeSet::new();
            for id in person.told() {
                assert!(told.insert(id), "seed {seed}: {} was told of {id} twice", person.name);
            }
        }
    }
}
