//! The thread that owns the kernel side: it reads the ring, builds batches and answers questions.

use super::intake::Intake;
use super::kernel::{self, Attached, Failure};
use super::options::Options;
use super::processes::Processes;
use super::skeleton::socket::SocketSkel;
use super::tls::{Report, Tls};
use super::{clock, ledger};
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::rules::Rules;
use libbpf_rs::{OpenObject, RingBuffer, RingBufferBuilder};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sleeps between looks at the ring: the ring wakes us only when much waits. Short while records come, so that a row
/// is young and the cache still holds it; long when nothing happens.
const BUSY: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(25);
/// Records taken before anything else gets its turn.
const AT_ONCE: usize = 1 << 14;
/// Rows that wait for a slow reader, in batches of some 4 MB: beyond them rows are dropped and counted, and capture
/// goes on.
const WAITING: usize = 12;

/// How long the last batches wait for a reader that does not come.
const LAST_WORDS: Duration = Duration::from_secs(10);

pub(crate) enum Command {
    /// Other rules; answered when they are in force.
    Rules(Arc<Rules>, Sender<()>),
    Ledger(Sender<String>),
    /// The exchanges under way, at most so many.
    Open(usize, Sender<Result<RecordBatch, ArrowError>>),
    Close,
}

/// Loads, attaches, says so over `ready`, and works until told to close. Gives the last account.
pub(crate) fn run(
    options: &Options,
    rules: Arc<Rules>,
    ready: &Sender<Result<(), Failure>>,
    commands: &Receiver<Command>,
    batches: &SyncSender<RecordBatch>,
) -> Option<String> {
    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let opened = kernel::open(&mut storage, options);
    let shared = opened.and_then(|mut opened| kernel::share(&mut opened).map(|shared| (opened, shared)));
    let (opened, shared) = match shared {
        Ok(both) => both,
        Err(failure) => return refuse(ready, failure),
    };
    // It loads meanwhile. Without it the `socket` source works on; its report says why.
    let tls = Tls::start(options, shared);
    let skeleton = match kernel::load(opened) {
        Ok(skeleton) => skeleton,
        Err(failure) => return refuse(ready, failure),
    };
    let attached = match kernel::attach(&skeleton, options) {
        Ok(attached) => attached,
        Err(failure) => return refuse(ready, failure),
    };
    let processes = Processes::new(attached.cgroup_root.clone());
    let head_bytes = usize::try_from(options.max_head_bytes).unwrap_or(usize::MAX);
    let intake = RefCell::new(Intake::new(rules, processes, head_bytes, options.own_pids.clone()));
    intake.borrow_mut().rows.set_offset(clock::wall_offset());
    intake.borrow_mut().rows.set_ports(&options.ports);

    let mut builder = RingBufferBuilder::new();
    let added = builder.add(&skeleton.maps.ring, |raw: &[u8]| {
        // A panic must not unwind into C. It is a defect of ours: the record counts as unreadable.
        let taken = catch_unwind(AssertUnwindSafe(|| intake.borrow_mut().record(raw)));
        if taken.is_err() {
            intake.borrow_mut().panicked();
        }
        0
    });
    let added = added.map(|_| ());
    let ring = added.and_then(|()| builder.build());
    let ring = match ring {
        Ok(ring) => ring,
        Err(error) => return refuse(ready, Failure::NotSupported(format!("reading the ring failed: {error:#}"))),
    };
    if let Some(tls) = &tls {
        tls.wait();
    }
    ready.send(Ok(())).ok()?;
    let driver = Driver { options, skeleton: &skeleton, intake: &intake, ring: &ring, batches, tls: RefCell::new(tls) };
    Some(driver.work(commands, attached))
}

fn refuse(ready: &Sender<Result<(), Failure>>, failure: Failure) -> Option<String> {
    // Nobody listens any more: then nobody wants to know.
    drop(ready.send(Err(failure)));
    None
}

struct Driver<'a, 'ring> {
    options: &'a Options,
    skeleton: &'a SocketSkel<'a>,
    intake: &'a RefCell<Intake>,
    ring: &'a RingBuffer<'ring>,
    batches: &'a SyncSender<RecordBatch>,
    tls: RefCell<Option<Tls>>,
}

impl Driver<'_, '_> {
    fn work(&self, commands: &Receiver<Command>, attached: Attached) -> String {
        let mut waiting = VecDeque::new();
        let (mut flushed, mut clocked) = (Instant::now(), Instant::now());
        let mut busy = true;
        loop {
            self.ring.poll_raw(if busy { BUSY } else { IDLE });
            busy = self.ring.consume_raw_n(AT_ONCE) > 0;
            self.tell_of_processes();
            if clocked.elapsed() >= Duration::from_secs(1) {
                self.intake.borrow_mut().rows.set_offset(clock::wall_offset());
                clocked = Instant::now();
            }
            if !busy {
                self.intake.borrow_mut().tick(clock::monotonic());
            }
            if self.due(flushed) {
                self.flush(&mut waiting);
                flushed = Instant::now();
            }
            self.hand_over(&mut waiting);
            loop {
                match commands.try_recv() {
                    Ok(Command::Rules(rules, done)) => {
                        self.flush(&mut waiting);
                        self.intake.borrow_mut().rows.set_rules(rules);
                        let _ = done.send(());
                    }
                    Ok(Command::Ledger(answer)) => drop(answer.send(self.ledger())),
                    Ok(Command::Open(most, answer)) => drop(answer.send(self.intake.borrow().open(most))),
                    Ok(Command::Close) | Err(TryRecvError::Disconnected) => {
                        return self.close(attached, waiting, commands)
                    }
                    Err(TryRecvError::Empty) => break,
                }
            }
        }
    }

    /// Processes that began may speak TLS.
    fn tell_of_processes(&self) {
        let mut intake = self.intake.borrow_mut();
        let tls = self.tls.borrow();
        for news in intake.news.drain(..) {
            if let Some(tls) = &*tls {
                tls.tell(news);
            }
        }
    }

    fn due(&self, flushed: Instant) -> bool {
        let intake = self.intake.borrow();
        let rows = intake.rows.len();
        rows >= self.options.batch_rows
            || (!intake.rows.is_empty() && flushed.elapsed() >= Duration::from_millis(self.options.batch_ms))
    }

    fn flush(&self, waiting: &mut VecDeque<RecordBatch>) {
        let mut intake = self.intake.borrow_mut();
        loop {
            match intake.rows.finish() {
                Ok(Some(batch)) => {
                    intake.rows_waiting += batch.num_rows() as u64;
                    waiting.push_back(batch);
                }
                Ok(None) => break,
                Err(_) => {
                    intake.batches_failed += 1;
                    break;
                }
            }
        }
    }

    /// Hands batches over without ever waiting for their reader.
    fn hand_over(&self, waiting: &mut VecDeque<RecordBatch>) {
        while let Some(batch) = waiting.pop_front() {
            let rows = batch.num_rows() as u64;
            match self.batches.try_send(batch) {
                Ok(()) => self.took(rows, true),
                Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                    waiting.push_front(batch);
                    break;
                }
            }
        }
        while waiting.len() > WAITING {
            if let Some(batch) = waiting.pop_back() {
                self.took(batch.num_rows() as u64, false);
            }
        }
    }

    /// Rows stopped waiting: somebody took them, or nobody will.
    fn took(&self, rows: u64, written: bool) {
        let mut intake = self.intake.borrow_mut();
        intake.rows_waiting = intake.rows_waiting.saturating_sub(rows);
        *if written { &mut intake.rows_written } else { &mut intake.rows_dropped } += rows;
    }

    fn ledger(&self) -> String {
        let tls = self.tls.borrow().as_ref().map_or_else(Report::default, Tls::report);
        ledger::json(&self.intake.borrow(), &kernel::counters(self.skeleton), &tls)
    }

    /// Detaches first, so that the ring runs dry; then what is open is logged as it stands.
    fn close(&self, attached: Attached, mut waiting: VecDeque<RecordBatch>, commands: &Receiver<Command>) -> String {
        drop(attached);
        if let Some(tls) = self.tls.borrow_mut().as_mut() {
            tls.stop();
        }
        // Programs that were running at the detachment end within this time.
        std::thread::sleep(Duration::from_millis(20));
        while self.ring.consume_raw_n(AT_ONCE) > 0 {}
        self.intake.borrow_mut().finish();
        self.flush(&mut waiting);
        // The reader may be slow, or ask for the account meanwhile; it may also have gone.
        let patience = Instant::now();
        while !waiting.is_empty() && patience.elapsed() < LAST_WORDS {
            self.hand_over(&mut waiting);
            match commands.recv_timeout(Duration::from_millis(2)) {
                Ok(Command::Ledger(answer)) => drop(answer.send(self.ledger())),
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        for batch in waiting {
            self.took(batch.num_rows() as u64, false);
        }
        self.ledger()
    }
}
