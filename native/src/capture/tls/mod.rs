//! The `tls` source: probes in the TLS libraries of processes. A thread of its own finds them, since reading `/proc` and
//! putting in probes takes longer than the ring can wait; records go to the ring that the `socket` source has.

mod elf;
mod file;
mod go;
mod host;
mod library;
mod linked;
pub(crate) mod listeners;
pub(crate) mod probes;
pub(crate) mod survey;
mod watch;

use super::intake::News;
use super::kernel::Shared;
use super::options::Options;
use libbpf_rs::OpenObject;
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the thread tells about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) processes: usize,
    pub(crate) counters: probes::Counters,
    /// Files into which probes could not be put.
    pub(crate) failed: u64,
    /// Why TLS can't be seen, or not all of it.
    pub(crate) trouble: Option<String>,
}

/// Lists of `/proc` at the start, at most.
const FIRST_LISTS: usize = 4;
/// News that are heard at once: what is due has its turn between them.
const HEARD_AT_ONCE: usize = 256;
/// The counters are read this often.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// The running source.
pub(crate) struct Tls {
    news: Option<Sender<News>>,
    report: Arc<Mutex<Report>>,
    is_ready: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Tls {
    /// Begins; [`Tls::wait`] returns when it has.
    pub(crate) fn start(options: &Options, shared: Shared) -> Option<Tls> {
        if !options.tls.enabled {
            return None;
        }
        let (news, inbox) = channel();
        let (ready, is_ready) = channel();
        let report = Arc::new(Mutex::new(Report::default()));
        let (options, its_report) = (options.clone(), Arc::clone(&report));
        let thread = std::thread::Builder::new()
            .name("masthead-tls".to_owned())
            .spawn(move || {
                let running = AssertUnwindSafe(|| run(&options, &shared, &ready, &inbox, &its_report));
                if catch_unwind(running).is_err() {
                    let mut report = its_report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.processes = 0;
                    report.trouble = Some("the thread that watches processes has failed".to_owned());
                }
            })
            .ok()?;
        Some(Tls { news: Some(news), report, is_ready, thread: Some(thread) })
    }

    /// Returns when the processes that are there are watched.
    pub(crate) fn wait(&self) {
        // An error: it could not begin, and has said why in its report.
        let _ = self.is_ready.recv();
    }

    pub(crate) fn tell(&self, news: News) {
        if let Some(sender) = &self.news {
            // A thread that is gone looks at nobody.
            let _ = sender.send(news);
        }
    }

    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the probes out.
    pub(crate) fn stop(&mut self) {
        self.news = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(options: &Options, shared: &Shared, ready: &Sender<()>, inbox: &Receiver<News>, report: &Mutex<Report>) {
    let tell = |change: &dyn Fn(&mut Report)| change(&mut report.lock().unwrap_or_else(PoisonError::into_inner));
    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let skeleton = match probes::open(&mut storage, options, Some(shared)).and_then(probes::load) {
        Ok(skeleton) => skeleton,
        Err(failure) => return tell(&|report| report.trouble = Some(failure.to_string())),
    };
    let mut watch = match watch::Watch::new(&skeleton, options) {
        Ok(watch) => watch,
        Err(failure) => return tell(&|report| report.trouble = Some(failure.to_string())),
    };
    probes::make_room();
    watch.begin(FIRST_LISTS);
    let update = |watch: &watch::Watch<'_>| {
        tell(&|report| {
            report.processes = watch.watched();
            report.failed = watch.failed;
            report.counters = probes::counters(&skeleton);
            report.trouble.clone_from(&watch.trouble);
        });
    };
    update(&watch);
    // Nobody waits for us when the capture is over already.
    let _ = ready.send(());
    let mut reported = Instant::now();
    let mut due = Instant::now();
    loop {
        match inbox.recv_timeout(due.saturating_duration_since(Instant::now()).min(REPORT_EVERY)) {
            Ok(first) => {
                watch.hear(std::iter::once(first).chain(inbox.try_iter()).take(HEARD_AT_ONCE));
                due = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if due <= Instant::now() {
            due = Instant::now() + watch.work();
        }
        if reported.elapsed() >= REPORT_EVERY {
            update(&watch);
            reported = Instant::now();
        }
    }
    drop(watch);
    tell(&|report| report.counters = probes::counters(&skeleton));
}
