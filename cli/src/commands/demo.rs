//! `kith demo`: real daemons on this machine, messages both ways, a crash in the middle, a relay that holds mail for a
//! sleeper and is killed meanwhile, a channel of three, and what became of all that.

mod channel;
mod people;
mod stage;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::input;
use channel::Circle;
use clap::Args;
use kith_node::{Code, UserError};
use people::Person;
use stage::Stage;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long any one thing may take before the demo has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many messages are under way when one side is killed.
const BURST: usize = 20;

/// After how many of them it is killed.
const KILL_AFTER: usize = 8;

/// How many messages wait at the relay.
const NIGHT: usize = 3;

/// How to show it.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Leave the folders there, to look into
    #[arg(long)]
    keep: bool,
}

/// Shows it, and cleans up however it ends.
pub(crate) async fn run(args: DemoArgs, context: &Context) -> Outcome {
    if context.kith != "kith" {
        return Err(UserError::new(Code::Usage, "the demo makes folders of its own and takes no --home or --profile")
            .hint("kith demo")
            .into());
    }
    let stage = Stage::build(context.out, args.keep)?;
    let ended = tokio::select! {
        ended = play(&stage) => ended,
        error = input::interrupted() => Err(error.into()),
    };
    if let Err(Failure::Told(error)) = &ended {
        stage.failed(error);
    }
    ended
}

/// Plays all acts.
async fn play(stage: &Stage) -> Outcome {
    stage.title("Two people on this machine, each with a daemon of their own. No server anywhere.")?;
    let mut alice = Person::create(stage, "alice").await?;
    let mut bob = Person::create(stage, "bob").await?;
    alice.start(stage, &[]).await?;
    bob.start(stage, &[alice.address()?]).await?;

    stage.title("They add each other by contact code: that is all it takes.")?;
    alice.add(stage, &bob).await?;
    bob.add(stage, &alice).await?;

    stage.title("A message each way, encrypted end to end, acknowledged by the other person's device.")?;
    alice.send_and_show(stage, &bob, "hi bob, can you read this?").await?;
    bob.send_and_show(stage, &alice, "hi alice, every word.").await?;

    stage.title("Now alice writes a lot, and bob's machine dies in the middle (kill -9).")?;
    crash(stage, &alice, &mut bob).await?;

    stage.title("Bob's machine comes back. Nothing that was accepted is lost, nothing comes twice.")?;
    recover(stage, &alice, &mut bob).await?;

    stage.title("A relay: anybody can run one. It holds ciphertext for those who sleep, and knows neither of them.")?;
    let mut corner = Person::create(stage, "corner").await?;
    corner.start_relay(stage).await?;
    alice.use_relay(stage, &corner).await?;
    bob.use_relay(stage, &corner).await?;

    stage.title("Bob sleeps. Alice writes, the relay signs that it holds the mail, and is killed (kill -9).")?;
    sleep(stage, &mut alice, &mut bob, &mut corner).await?;

    stage.title("Alice sleeps too. Bob wakes, and his mail is there.")?;
    wake(stage, &mut alice, &mut bob).await?;
    corner.stop(stage).await?;

    stage.title("A channel: alice makes one, and bob and carol join by a code of 64 characters.")?;
    let mut carol = Person::create(stage, "carol").await?;
    carol.start(stage, &[alice.address()?]).await?;
    let mut circle = Circle::gather(stage, &alice, &[&bob, &carol]).await?;
    circle.talk(&[&alice, &bob, &carol], "hello").await?;

    stage.title("Bob's machine dies (kill -9) while the others talk. It comes back and has all of it.")?;
    circle.sleep(&alice, &mut bob, &carol).await?;

    stage.title("Two sides that never meet both go on: nobody has to be asked. Then they come together.")?;
    circle.part(&mut alice, &mut bob, &mut carol).await?;

    stage.title("Alice removes carol: new keys, and what is said afterwards is not for her.")?;
    circle.remove(&alice, &bob, &carol).await?;
    for person in [&mut alice, &mut bob, &mut carol] {
        person.stop(stage).await?;
    }
    stage.finish()
}

/// Leaves mail for somebody who is off, and kills the relay that holds it.
async fn sleep(stage: &Stage, alice: &mut Person, bob: &mut Person, corner: &mut Person) -> Outcome {
    // Contacts tell each other of a new relay inside their session.
    alice.send_and_show(stage, bob, "use the relay when I am off").await?;
    bob.send_and_show(stage, alice, "and you when I am").await?;
    bob.stop(stage).await?;
    for n in 1..=NIGHT {
        alice.send_and_store(stage, bob, &format!("night letter {n} of {NIGHT}")).await?;
    }
    corner.kill(stage).await?;
    corner.start_relay(stage).await
}

/// The sleeper wakes while the sender is off; the sender learns of it when it is back.
async fn wake(stage: &Stage, alice: &mut Person, bob: &mut Person) -> Outcome {
    alice.stop(stage).await?;
    bob.start(stage, &[]).await?;
    let read = bob.read_until(alice, 2 + BURST + NIGHT, PATIENCE).await?;
    let letters: BTreeSet<_> = read.iter().filter(|m| m.body.starts_with("night letter")).map(|m| m.id).collect();
    let fields = serde_json::json!({"who": bob.name, "read": letters.len(), "ok": letters.len() == NIGHT});
    stage.step("collected", fields, &format!("bob reads {} letters of the night from the relay", letters.len()))?;
    alice.start(stage, &[]).await?;
    let mut events = alice.client()?.events(None).await?;
    match tokio::time::timeout(PATIENCE, alice.show_until_delivered(stage, &mut events, bob)).await {
        Ok(confirmed) => confirmed?,
        Err(_) => return Err(people::late("alice has not heard that bob has it").into()),
    }
    if letters.len() == NIGHT {
        return Ok(());
    }
    Err(UserError::new(Code::Failed, "letters were lost or came twice").hint("this is a bug: kith demo --keep").into())
}

/// Sends a burst and kills the receiver in the middle of it.
async fn crash(stage: &Stage, alice: &Person, bob: &mut Person) -> Outcome {
    for n in 1..=BURST {
        alice.send_and_say(stage, bob, &format!("message {n} of {BURST}")).await?;
        if n == KILL_AFTER {
            bob.kill(stage).await?;
        }
    }
    let waiting = alice.client()?.outbox().await?.len();
    stage.step(
        "outbox",
        serde_json::json!({"who": alice.name, "waiting": waiting}),
        &format!("{} are confirmed; {waiting} wait on alice's disk for bob", BURST.saturating_sub(waiting)),
    )
}

/// Starts the receiver again and checks that everything is there once.
async fn recover(stage: &Stage, alice: &Person, bob: &mut Person) -> Outcome {
    let mut events = alice.client()?.events(None).await?;
    bob.start(stage, &[alice.address()?]).await?;
    let confirmed = alice.show_until_delivered(stage, &mut events, bob);
    match tokio::time::timeout(PATIENCE, confirmed).await {
        Ok(confirmed) => confirmed?,
        Err(_) => return Err(people::late("bob has not confirmed all of it").into()),
    }
    let read = bob.read_until(alice, 1 + BURST, PATIENCE).await?;
    let ids: BTreeSet<_> = read.iter().map(|m| m.id).collect();
    let (total, unique) = (read.len(), ids.len());
    let bodies: BTreeSet<_> = read.iter().map(|m| m.body.clone()).collect();
    let missing: Vec<_> = (1..=BURST).filter(|n| !bodies.contains(&format!("message {n} of {BURST}"))).collect();
    let whole = missing.is_empty() && total == unique && total == 1 + BURST;
    let fields = serde_json::json!({"who": bob.name, "read": total, "unique": unique, "missing": missing, "ok": whole});
    stage.step(
        "recovered",
        fields,
        &format!("bob reads {total} messages from alice, {unique} different, {} missing", missing.len()),
    )?;
    if whole {
        return Ok(());
    }
    Err(UserError::new(Code::Failed, "messages were lost or came twice").hint("this is a bug: kith demo --keep").into())
}
