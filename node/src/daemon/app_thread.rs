//! The one thread that owns the app: takes what waits, lets the app work it out and commit it, and lets effects out.

use crate::{
    api::error::{Code, UserError},
    app::{BATCH_BYTES_MAX, BATCH_MAX, Command, Input, Outlet, Reply, RequestId, Runner, release},
    clock::Clock,
    net::{AskOutcome, NetCommand, NetEvent, NetHandle},
};
use kith_protocol::Timestamp;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// The longest the timetable is not looked at, in milliseconds: a clock that jumps is noticed within it.
const TICK_LONGEST_MS: u64 = 30_000;

/// How long a daemon waits at its start until the net task has an address.
const ADDRESSES_PATIENCE: Duration = Duration::from_secs(2);

/// What the app thread is asked.
pub(super) enum Post {
    /// An input without an answer.
    Input(Input),
    /// A client's request.
    Request {
        /// What.
        command: Command,
        /// The client's key for it.
        idempotency_key: Option<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// Told when everything that was posted before it is worked off and on disk.
    Settled(oneshot::Sender<()>),
}

/// The running thread.
pub(super) struct AppThread {
    thread: std::thread::JoinHandle<()>,
    next_due: watch::Receiver<Option<Timestamp>>,
    events: watch::Receiver<u64>,
    storage_ok: watch::Receiver<bool>,
    alive: watch::Receiver<()>,
}

struct Exit {
    net: NetHandle,
    /// Commands that say how things stand and found the net task's queue full, as far as none supersedes them.
    standing: Vec<NetCommand>,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    events: watch::Sender<u64>,
}

impl Exit {
    /// Tries again what found the queue full.
    fn again(&mut self) {
        for command in std::mem::take(&mut self.standing) {
            self.net(command);
        }
    }
}

impl Outlet for Exit {
    fn net(&mut self, command: NetCommand) {
        let stands = command.stands();
        if stands {
            self.standing.retain(|earlier| !command.supersedes(earlier));
        }
        // A full queue is no loss: attempts have a lease in their row, answers a deadline at the net task.
        match self.net.send(command) {
            Ok(()) => {}
            Err(command) if stands => self.standing.push(command),
            Err(_) => tracing::debug!("the net task's queue is full: driven again from rows"),
        }
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&request) {
            // A client that went away finds its answer under its idempotency key.
            let _ = waiting.send(reply);
        }
    }

    fn events(&mut self, newest: u64) {
        self.events.send_replace(newest);
    }
}

impl AppThread {
    /// Starts the thread.
    pub(super) fn start(
        runner: Runner,
        inbox: mpsc::Receiver<Post>,
        net: NetHandle,
        clock: Clock,
    ) -> Result<Self, UserError> {
        let (due_end, next_due) = watch::channel(None);
        let (events_end, events) = watch::channel(0);
        let (storage_end, storage_ok) = watch::channel(true);
        let (life, alive) = watch::channel(());
        let exit = Exit { net, standing: Vec::new(), waiting: BTreeMap::new(), events: events_end };
        let thread = std::thread::Builder::new()
            .name("kith-app".into())
            .spawn(move || {
                let _life = life;
                own(runner, inbox, exit, &clock, &due_end, &storage_end);
            })
            .map_err(|e| UserError::new(Code::Io, format!("no thread for the app: {e}")))?;
        Ok(Self { thread, next_due, events, storage_ok, alive })
    }

    pub(super) fn next_due(&self) -> watch::Receiver<Option<Timestamp>> {
        self.next_due.clone()
    }

    pub(super) fn events(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }

    pub(super) fn storage_ok(&self) -> watch::Receiver<bool> {
        self.storage_ok.clone()
    }

    /// Returns when the thread is gone: without it the daemon is of no use to anybody.
    pub(super) fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut alive = self.alive.clone();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Waits until the thread has finished what it was given.
    pub(super) async fn finish(self) {
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

/// Owns the app until nobody can ask it anything any more.
fn own(
    mut runner: Runner,
    mut inbox: mpsc::Receiver<Post>,
    mut exit: Exit,
    clock: &Clock,
    due: &watch::Sender<Option<Timestamp>>,
    storage: &watch::Sender<bool>,
) {
    let mut requests = 0;
    let mut first = vec![Post::Input(Input::Start)];
    loop {
        let (mut inputs, mut settled) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let mut next = first.pop();
        loop {
            let Some(post) = next.take().or_else(|| inbox.try_recv().ok()) else { break };
            inputs.push(match post {
                Post::Input(input) => input,
                Post::Settled(told) => {
                    settled.push(told);
                    continue;
                }
                Post::Request { command, idempotency_key, reply } => {
                    requests += 1;
                    exit.waiting.insert(RequestId(requests), reply);
                    Input::Command { request: RequestId(requests), command, idempotency_key }
                }
            });
            bytes += inputs.last().map_or(0, size);
            if inputs.len() >= BATCH_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
        }
        let now = clock.now();
        let turn = runner.turn(inputs, now);
        let failed = turn.storage_failed;
        let next_due = turn.next_due;
        storage.send_if_modified(|ok| std::mem::replace(ok, !failed) == failed);
        exit.again();
        release(turn, &mut exit);
        due.send_replace(next_due);
        for told in settled {
            // Whoever asked may have gone.
            let _ = told.send(());
        }
        match inbox.blocking_recv() {
            Some(post) => first.push(post),
            None => return,
        }
    }
}

fn size(input: &Input) -> usize {
    match input {
        Input::Net(NetEvent::Inbound { frame, .. }) => frame.envelope.len(),
        Input::Net(NetEvent::Gossip { frame, .. }) => frame.len(),
        Input::Net(NetEvent::MemberAsks { request, .. }) => request.len(),
        Input::Net(NetEvent::Asked { outcome: AskOutcome::Answered(answer), .. }) => answer.len(),
        Input::Net(NetEvent::Found { records, .. }) => records.iter().map(|(_, bytes)| bytes.len()).sum(),
        Input::Command { command: Command::Send { body, .. }, .. } => body.len(),
        _ => 0,
    }
}

/// Carries what the net task tells to the app until the app knows where others reach this node and has it on disk: who asks
/// a ready daemon for its link gets one with addresses. A node that has no address within the patience goes on without.
pub(super) async fn first_addresses(events: &mut mpsc::Receiver<NetEvent>, inbox: &mpsc::Sender<Post>) {
    let told = async {
        while let Some(event) = events.recv().await {
            let addresses = matches!(event, NetEvent::Addresses { .. });
            if inbox.send(Post::Input(Input::Net(event))).await.is_err() || addresses {
                return;
            }
        }
    };
    let (settled, known) = oneshot::channel();
    if tokio::time::timeout(ADDRESSES_PATIENCE, told).await.is_ok() && inbox.send(Post::Settled(settled)).await.is_ok()
    {
        let _ = known.await;
    }
}

/// Carries what the net task tells to the app; waits when the app is behind, so that the net task answers busy.
pub(super) async fn forward(mut events: mpsc::Receiver<NetEvent>, inbox: mpsc::Sender<Post>) {
    while let Some(event) = events.recv().await {
        if inbox.send(Post::Input(Input::Net(event))).await.is_err() {
            return;
        }
    }
}

/// Wakes the app when something is due.
pub(super) async fn tick(
    mut due: watch::Receiver<Option<Timestamp>>,
    inbox: mpsc::Sender<Post>,
    clock: Clock,
    stopping: watch::Receiver<bool>,
) {
    let (mut stop, mut stop_while_busy) = (stopping.clone(), stopping);
    loop {
        let next = *due.borrow_and_update();
        let wait = next.map_or(TICK_LONGEST_MS, |at| at.millis_since(clock.now()).min(TICK_LONGEST_MS));
        tokio::select! {
            () = stopped(&mut stop) => return,
            changed = due.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(Duration::from_millis(wait)) => {
                if inbox.send(Post::Input(Input::Tick)).await.is_err() {
                    return;
                }
                // The next wait begins when this tick was worked off, not before.
                tokio::select! {
                    () = stopped(&mut stop_while_busy) => return,
                    worked_off = due.changed() => {
                        if worked_off.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// Returns when the daemon stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
