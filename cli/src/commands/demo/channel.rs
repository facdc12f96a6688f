//! The acts about a channel: an invite by code, a sleeper, two sides that cannot reach each other, a removal.

use super::PATIENCE;
use super::people::{POLL, Person, late};
use super::stage::Stage;
use crate::failure::Outcome;
use kith_node::api::ReadRequest;
use kith_node::api::types::{
    Channel, ChannelChange, ChannelGate, ChannelState, EventKind, HistoryGrant, JoinState, Message, MessageKind,
    NewChannelInvite, NewJoin,
};
use kith_node::{Code, UserError};
use std::collections::BTreeSet;

/// What the channel is called.
const CIRCLE: &str = "#circle";

/// How many characters an invite's code has.
const CODE_LEN: usize = 64;

/// For how long the invite is good, in milliseconds.
const INVITE_MS: u64 = 3_600_000;

/// How many messages are said while one of three sleeps.
const SLEEP: usize = 6;

/// The channel, and what was said in it so far.
pub(super) struct Circle<'a> {
    stage: &'a Stage,
    said: Vec<String>,
}

impl<'a> Circle<'a> {
    /// One member makes the channel and invites; the others come in by the code.
    pub(super) async fn gather(
        stage: &'a Stage,
        alice: &Person,
        others: &[&Person],
    ) -> Result<Self, crate::failure::Failure> {
        let circle = Self { stage, said: Vec::new() };
        let made = alice.client()?.create_channel(CIRCLE).await?;
        let fields = serde_json::json!({"who": alice.name, "channel": made.id.to_string(), "name": made.name});
        stage.step("channel", fields, &format!("{}: kith channel create circle", alice.name))?;
        let terms = NewChannelInvite {
            uses: u32::try_from(others.len()).unwrap_or(u32::MAX),
            expires_after_ms: INVITE_MS,
            role: "member".to_owned(),
            history: HistoryGrant::None,
            approval: false,
        };
        let invite = alice.client()?.invite(CIRCLE, &terms).await?;
        let (code, link) = (invite.code.unwrap_or_default(), invite.url.unwrap_or_default());
        let whole = code.len() == CODE_LEN;
        let fields = serde_json::json!({"who": alice.name, "uses": invite.uses, "length": code.len(), "ok": whole});
        stage.step("invite", fields, &format!("{}: kith invite '{CIRCLE}' → {code}", alice.name))?;
        if !whole {
            return Err(wrong("an invite's code has another length").into());
        }
        for (n, other) in others.iter().enumerate() {
            // The first has the link, with an address in it; for the next the bare code is enough.
            circle.join(other, if n == 0 { &link } else { &code }).await?;
        }
        let mut all = vec![alice];
        all.extend(others);
        circle.agree(&all).await?;
        Ok(circle)
    }

    /// Comes in by a code or link.
    async fn join(&self, who: &Person, code: &str) -> Outcome {
        let mut events = who.client()?.events(None).await?;
        let begun = who.client()?.join(&NewJoin { code: code.to_owned(), name: None, yes: true }).await?;
        let joined = async {
            let mut join = begun;
            while !matches!(join.state, JoinState::Joined | JoinState::Failed) {
                match events.next().await?.kind {
                    EventKind::Join(now) if now.id == join.id => join = now,
                    _ => {}
                }
            }
            Ok::<_, UserError>(join)
        };
        let join = match tokio::time::timeout(PATIENCE, joined).await {
            Ok(join) => join?,
            Err(_) => return Err(late(&format!("nobody let {} in", who.name)).into()),
        };
        let ok = join.state == JoinState::Joined;
        let short: String = code.chars().take(24).collect();
        let fields = serde_json::json!({"who": who.name, "state": join.state, "role": join.role, "ok": ok});
        self.stage.step("join", fields, &format!("{}: kith join {short}… --yes", who.name))?;
        if ok { Ok(()) } else { Err(wrong(&format!("{} was not let in", who.name)).into()) }
    }

    /// Says something in the channel.
    pub(super) async fn say(&mut self, who: &Person, body: &str) -> Outcome {
        let sent = who.client()?.send_text(CIRCLE, body).await?;
        let fields =
            serde_json::json!({"from": who.name, "to": CIRCLE, "id": sent.id.to_string(), "state": sent.state});
        self.stage.step("sent", fields, &format!("{} → {CIRCLE}: {body}", who.name))?;
        self.said.push(body.to_owned());
        Ok(())
    }

    /// Everybody says something, and everybody reads all of it.
    pub(super) async fn talk(&mut self, people: &[&Person], text: &str) -> Outcome {
        for person in people {
            self.say(person, &format!("{text}, says {}", person.name)).await?;
        }
        self.read(people).await
    }

    /// Waits until each has read everything said so far, and checks that it is there in order, once, and nothing else.
    pub(super) async fn read(&self, people: &[&Person]) -> Outcome {
        for person in people {
            let read = self.read_by(person).await?;
            let bodies: Vec<&str> = read.iter().map(|m| m.body.as_str()).collect();
            let unique: BTreeSet<_> = read.iter().map(|m| m.id).collect();
            let whole = bodies == self.said && unique.len() == self.said.len();
            let fields = serde_json::json!({"who": person.name, "channel": CIRCLE, "read": read.len(),
                "unique": unique.len(), "said": self.said.len(), "ok": whole});
            let text = format!("{} reads {} of {}, in order, each once", person.name, read.len(), self.said.len());
            self.stage.step("read", fields, &text)?;
            if !whole {
                return Err(wrong(&format!("{} reads something else than what was said", person.name)).into());
            }
        }
        Ok(())
    }

    /// Waits until so many messages are there as were said.
    async fn read_by(&self, person: &Person) -> Result<Vec<Message>, UserError> {
        let client = person.client()?;
        let mut events = client.events(None).await?;
        let all_there = async {
            loop {
                let mut read = client.read(&everything()).await?;
                // Where something is on its way a line stands that is no message.
                read.retain(|message| message.kind == MessageKind::Text);
                if read.len() >= self.said.len() {
                    return Ok(read);
                }
                events.next().await?;
            }
        };
        match tokio::time::timeout(PATIENCE, all_there).await {
            Ok(read) => read,
            Err(_) => Err(late(&format!("{} has not got all that was said in {CIRCLE}", person.name))),
        }
    }

    /// Waits until all members have the same record of the channel, and keys to speak under.
    async fn agree(&self, people: &[&Person]) -> Result<Channel, UserError> {
        let agreed = async {
            loop {
                let mut seen = Vec::new();
                for person in people {
                    seen.push(person.client()?.channel(CIRCLE).await?);
                }
                if let Some(first) = seen.first().filter(|first| seen.iter().all(|c| is_same(c, first))) {
                    return Ok(first.clone());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(PATIENCE, agreed).await {
            Ok(channel) => channel,
            Err(_) => Err(late("the members have not come to one record of the channel")),
        }
    }

    /// One of three dies, the others go on; it comes back and reads what was said meanwhile.
    pub(super) async fn sleep(&mut self, alice: &Person, bob: &mut Person, carol: &Person) -> Outcome {
        bob.kill(self.stage).await?;
        for n in 1..=SLEEP {
            let who = if n % 2 == 0 { carol } else { alice };
            self.say(who, &format!("while bob is off, {n} of {SLEEP}")).await?;
        }
        self.read(&[alice, carol]).await?;
        bob.start(self.stage, &[alice.address()?]).await?;
        self.read(&[bob]).await
    }

    /// Two sides change the channel and speak without ever meeting, and come together.
    pub(super) async fn part(&mut self, alice: &mut Person, bob: &mut Person, carol: &mut Person) -> Outcome {
        alice.stop(self.stage).await?;
        bob.client()?.rekey_channel(CIRCLE, false).await?;
        self.stage.step("rekey", serde_json::json!({"who": bob.name}), "bob: kith channel rekey '#circle'")?;
        self.agree(&[bob, carol]).await?;
        self.say(bob, "alice is off, we made new keys").await?;
        self.say(carol, "and go on under them").await?;
        self.read(&[bob, carol]).await?;
        bob.stop(self.stage).await?;
        carol.stop(self.stage).await?;

        alice.start(self.stage, &[]).await?;
        let topic = "what three people say";
        alice.client()?.change_channel(CIRCLE, &ChannelChange::Topic(topic.to_owned())).await?;
        let text = format!("alice: kith channel topic '{CIRCLE}' '{topic}'");
        self.stage.step("topic", serde_json::json!({"who": alice.name, "topic": topic}), &text)?;
        self.say(alice, "alone here, and I know nothing of new keys").await?;

        bob.start(self.stage, &[alice.address()?]).await?;
        carol.start(self.stage, &[alice.address()?]).await?;
        let agreed = self.agree(&[alice, bob, carol]).await?;
        let ok = agreed.topic == topic && agreed.members == 3;
        let fields = serde_json::json!({"members": agreed.members, "topic": agreed.topic,
            "agreement": agreed.state_hash, "ok": ok});
        let short: String = agreed.state_hash.chars().take(16).collect();
        self.stage.step("healed", fields, &format!("all three have one record of the channel again: {short}…"))?;
        if !ok {
            return Err(wrong("what one side changed is lost").into());
        }
        self.talk(&[alice, bob, carol], "together again").await
    }

    /// One is removed: it is told, and reads nothing of what is said afterwards.
    pub(super) async fn remove(&mut self, alice: &Person, bob: &Person, carol: &Person) -> Outcome {
        let gone = carol.client()?.me().await?.account.to_string();
        let before = self.said.len();
        alice.client()?.remove_member(CIRCLE, &gone, "for the demo").await?;
        let text = format!("alice: kith member remove '{CIRCLE}' @carol --reason 'for the demo'");
        self.stage.step("remove", serde_json::json!({"who": alice.name, "removed": carol.name}), &text)?;
        self.say(alice, "this is for bob alone").await?;
        self.read(&[bob]).await?;
        self.say(bob, "I read it").await?;
        self.read(&[alice, bob]).await?;
        self.told(carol).await?;
        let refused = carol.client()?.send_text(CIRCLE, "can you hear me?").await.err();
        let refused = refused.is_some_and(|error| error.code == Code::NotMember);
        // Looked at last: whatever was still to come has had that time.
        let read = carol.client()?.read(&everything()).await?.len();
        let ok = read == before && refused;
        let fields =
            serde_json::json!({"who": carol.name, "read": read, "before": before, "refused": refused, "ok": ok});
        let text = format!("carol still reads the {read} from before, none of the 2 after, and may not send");
        self.stage.step("kept_out", fields, &text)?;
        if ok { Ok(()) } else { Err(wrong("who was removed reads on, or speaks").into()) }
    }

    /// Waits until somebody's own daemon says that they were removed.
    async fn told(&self, who: &Person) -> Outcome {
        let told = async {
            while who.client()?.channel(CIRCLE).await?.state != ChannelState::Removed {
                tokio::time::sleep(POLL).await;
            }
            Ok::<_, UserError>(())
        };
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(told) => told?,
            Err(_) => return Err(late(&format!("{} was not told of the removal", who.name)).into()),
        }
        let fields = serde_json::json!({"who": who.name, "state": ChannelState::Removed});
        self.stage.step("told", fields, &format!("{}'s daemon says: removed", who.name))
    }
}

/// Whether two members have the same record, and whoever looks has keys.
fn is_same(one: &Channel, other: &Channel) -> bool {
    let may_speak = matches!(one.gate, ChannelGate::Open | ChannelGate::RekeyFirst);
    may_speak && one.state_hash == other.state_hash && one.members == other.members
}

/// Asks for all messages of the channel.
fn everything() -> ReadRequest {
    ReadRequest { with: CIRCLE.to_owned(), limit: Some(1000), ..ReadRequest::default() }
}

/// Says that something did not come out as it must.
fn wrong(what: &str) -> UserError {
    UserError::new(Code::Failed, what).hint("this is a bug: kith demo --keep")
}
