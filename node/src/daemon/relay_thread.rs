//! The one thread that owns the relay: takes what waits, lets the service work it out and commit it, and lets answers out.

use crate::{
    api::error::{Code, UserError},
    clock::{Clock, Moment},
    net::{NetCommand, NetHandle, RelayInput},
    relay::{BATCH_MAX, Denied, Operator, Service, Told, Turn},
};
use kith_protocol::RelayId;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot, watch},
};

/// Requests that wait for the relay, of 66 KiB at most each; the net task answers busy beyond it.
pub(super) const QUEUE: usize = 512;
/// Questions of the operator that wait; more are told that it is busy.
const QUESTIONS: usize = 32;

/// A question of the operator.
struct Question {
    ask: Operator,
    reply: oneshot::Sender<Result<Told, Denied>>,
}

/// Talks to a running relay; clones talk to the same one.
#[derive(Clone, Debug)]
pub struct RelayHandle {
    id: RelayId,
    questions: mpsc::Sender<Question>,
}

impl RelayHandle {
    /// Names the relay.
    pub const fn id(&self) -> RelayId {
        self.id
    }

    /// Asks as the operator.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn ask(&self, ask: Operator) -> Result<Told, Denied> {
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(Question { ask, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Denied::Busy,
            mpsc::error::TrySendError::Closed(_) => Denied::Stopping,
        })?;
        answer.await.unwrap_or(Err(Denied::Stopping))
    }
}

/// The running thread.
pub(super) struct RelayThread {
    thread: std::thread::JoinHandle<()>,
    settled: watch::Receiver<bool>,
}

impl RelayThread {
    /// Starts the thread. It ends when the net task is gone; after `stop` it finishes what waits, and takes nothing more.
    pub(super) fn start(
        service: Service,
        inputs: mpsc::Receiver<RelayInput>,
        net: NetHandle,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, RelayHandle), UserError> {
        let died = |error: std::io::Error| UserError::new(Code::Io, format!("no thread for the relay: {error}"));
        let runtime = Builder::new_current_thread().enable_time().build().map_err(died)?;
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (settled_end, settled) = watch::channel(false);
        let handle = RelayHandle { id: service.id(), questions };
        let owner = Owner { service, net, clock, settled: settled_end, due: Moment::ZERO };
        let desk = Desk { inputs, questions: asked, stop };
        let thread = std::thread::Builder::new().name("kith-relay".into()).spawn(move || owner.run(desk, &runtime));
        Ok((Self { thread: thread.map_err(died)?, settled }, handle))
    }

    /// Returns when what waited at the stop is answered.
    pub(super) async fn settle(&self) {
        // An error means that the thread is gone: nothing will be answered any more.
        let _ = self.settled.clone().wait_for(|settled| *settled).await;
    }

    /// Returns when the thread is gone.
    pub(super) fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut alive = self.settled.clone();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Waits until the thread has ended.
    pub(super) async fn finish(self) {
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

/// What may wait for the relay.
struct Desk {
    inputs: mpsc::Receiver<RelayInput>,
    questions: mpsc::Receiver<Question>,
    stop: watch::Receiver<bool>,
}

/// Why the relay wakes.
enum Woken {
    Input(RelayInput),
    Question(Question),
    Due,
    Stop,
    /// The net task is gone.
    Over,
}

impl Desk {
    /// Waits for the first thing to do.
    async fn next(&mut self, wait: Moment, stopping: bool) -> Woken {
        tokio::select! {
            input = self.inputs.recv() => input.map_or(Woken::Over, Woken::Input),
            Some(question) = self.questions.recv() => Woken::Question(question),
            _ = self.stop.wait_for(|stop| *stop), if !stopping => Woken::Stop,
            () = tokio::time::sleep(wait) => Woken::Due,
        }
    }
}

/// What the thread owns.
struct Owner {
    service: Service,
    net: NetHandle,
    clock: Clock,
    settled: watch::Sender<bool>,
    due: Moment,
}

impl Owner {
    fn run(mut self, mut desk: Desk, runtime: &Runtime) {
        let mut stopping = false;
        loop {
            let wait = self.due.saturating_sub(self.clock.moment());
            let (mut inputs, mut questions) = (Vec::new(), Vec::new());
            match runtime.block_on(desk.next(wait, stopping)) {
                Woken::Input(input) => inputs.push(input),
                Woken::Question(question) => questions.push(question),
                Woken::Due => {}
                Woken::Stop => {
                    // As much as can have been waiting; whoever comes now is told that the relay stops.
                    for _ in 0..QUEUE.div_ceil(BATCH_MAX) {
                        self.turn(&mut desk, Vec::new(), Vec::new());
                    }
                    self.service.stop();
                    stopping = true;
                    self.settled.send_replace(true);
                    continue;
                }
                Woken::Over => return,
            }
            self.turn(&mut desk, inputs, questions);
        }
    }

    /// One turn with what is there and what else waits.
    fn turn(&mut self, desk: &mut Desk, mut inputs: Vec<RelayInput>, mut questions: Vec<Question>) {
        while inputs.len() < BATCH_MAX
            && let Ok(input) = desk.inputs.try_recv()
        {
            inputs.push(input);
        }
        while questions.len() < QUESTIONS
            && let Ok(question) = desk.questions.try_recv()
        {
            questions.push(question);
        }
        let (asks, replies): (Vec<_>, Vec<_>) = questions.into_iter().map(|q| (q.ask, q.reply)).unzip();
        let turn = self.service.turn(inputs, asks, self.clock.now(), self.clock.moment());
        self.due = turn.next_due;
        self.release(turn, replies);
    }

    fn release(&self, turn: Turn, replies: Vec<oneshot::Sender<Result<Told, Denied>>>) {
        let Turn { answers, told, keep, wake, faults, storage_failed: _, next_due: _ } = turn;
        let answers = answers.into_iter().map(|(token, answer)| NetCommand::AnswerRelay { token, answer });
        let keep = keep.into_iter().map(|peer| NetCommand::Keep { peer });
        let wake = wake.into_iter().map(|peer| NetCommand::Wake { peer });
        for command in answers.chain(keep).chain(wake) {
            if self.net.send_waiting(command).is_err() {
                tracing::debug!("the net task is gone: the relay's clients will ask again");
                break;
            }
        }
        for peer in faults {
            // A full queue of the app's is no loss: who does it once more is told of once more.
            let _ = self.net.send(NetCommand::Fault { peer });
        }
        for (reply, told) in replies.into_iter().zip(told) {
            // Whoever asked may have gone.
            let _ = reply.send(told);
        }
    }
}
