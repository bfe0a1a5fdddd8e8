//! The `socket` source: BPF programs on cgroups, and the thread that reads what they send.

mod cgroup;
mod clock;
mod driver;
mod intake;
mod kernel;
mod ledger;
mod options;
mod processes;
pub(crate) mod programs;
mod skeleton;
pub(crate) mod tls;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use driver::Command;
use heads::rules::Rules;
pub(crate) use kernel::Failure;
pub(crate) use options::{Options, Tls as TlsOptions};
use std::sync::mpsc::{channel, sync_channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches in the channel between the thread and Python.
const CHANNEL: usize = 8;

/// A running capture.
pub(crate) struct Capture {
    commands: Mutex<Sender<Command>>,
    batches: Mutex<Receiver<RecordBatch>>,
    thread: Mutex<Option<JoinHandle<Option<String>>>>,
    last: Mutex<String>,
}

/// What [`Capture::next`] came to.
pub(crate) enum Next {
    Batch(RecordBatch),
    Nothing,
    Closed,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Capture {
    /// Loads and attaches; returns when the first call can be seen.
    pub(crate) fn start(options: Options, rules: Arc<Rules>) -> Result<Capture, Failure> {
        let (ready, is_ready) = channel();
        let (commands, inbox) = channel();
        let (outbox, batches) = sync_channel(CHANNEL);
        let thread = std::thread::Builder::new()
            .name("masthead".to_owned())
            .spawn(move || driver::run(&options, rules, &ready, &inbox, &outbox))
            .map_err(|error| Failure::NotSupported(format!("no thread could be started: {error}")))?;
        match is_ready.recv() {
            Ok(Ok(())) => Ok(Capture {
                commands: Mutex::new(commands),
                batches: Mutex::new(batches),
                thread: Mutex::new(Some(thread)),
                last: Mutex::default(),
            }),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::NotSupported("the capture thread ended before it was ready".to_owned())),
        }
    }

    /// Waits for a batch.
    pub(crate) fn next(&self, timeout: Duration) -> Next {
        match lock(&self.batches).recv_timeout(timeout) {
            Ok(batch) => Next::Batch(batch),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => {
                self.join();
                Next::Closed
            }
        }
    }

    /// Returns when the rules are in force.
    pub(crate) fn set_rules(&self, rules: Arc<Rules>) {
        let (done, is_done) = channel();
        // A capture that is over needs no rules: then the wait ends at once.
        drop(lock(&self.commands).send(Command::Rules(rules, done)));
        let _ = is_done.recv();
    }

    /// The account so far; the last one when it is over.
    pub(crate) fn ledger(&self) -> String {
        let (answer, question) = channel();
        // A thread that is gone can't be asked; one that is going drops the question, which ends the wait.
        let asked = lock(&self.commands).send(Command::Ledger(answer)).is_ok();
        if let Some(Ok(text)) = asked.then(|| question.recv()) {
            return text;
        }
        self.join();
        lock(&self.last).clone()
    }

    /// The exchanges under way, at most so many; `None` when it is over.
    pub(crate) fn open(&self, most: usize) -> Option<Result<RecordBatch, ArrowError>> {
        let (answer, question) = channel();
        lock(&self.commands).send(Command::Open(most, answer)).ok()?;
        question.recv().ok()
    }

    /// Detaches; what was begun comes out of [`Capture::next`] still.
    pub(crate) fn close(&self) {
        drop(lock(&self.commands).send(Command::Close));
    }

    /// Takes the thread's last account. Only for a thread that is done or about to be: it waits for it.
    fn join(&self) {
        if let Some(Ok(Some(text))) = lock(&self.thread).take().map(JoinHandle::join) {
            *lock(&self.last) = text;
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.close();
        // The programs must be gone when this returns; nobody takes the rest.
        let batches = lock(&self.batches);
        while batches.recv_timeout(Duration::from_secs(10)).is_ok() {}
        drop(batches);
        if let Some(thread) = lock(&self.thread).take() {
            drop(thread.join());
        }
    }
}
