//! Which processes hold a listening TCP socket.

use super::super::kernel::Failure;
use super::super::skeleton::listeners::{ListenersSkel, ListenersSkelBuilder};
use super::host;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Iter, Link, OpenObject};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A look at all sockets of the host is good for so many times as long as it took: a twentieth of the time at most goes there.
const GOOD_FOR: u32 = 20;

/// Answers until [`Listeners::forget`] come from one look, and longer where looks take long.
pub(super) struct Listeners {
    /// The iterator; where it can't be had, `/proc` is read, which shows other users' files to root only.
    iterator: Option<Link>,
    processes: Option<HashSet<u32>>,
    /// When they were asked for, and when they are to be asked for anew.
    asked: Instant,
    good_until: Instant,
    /// By network namespace: listening sockets as links to them are written, `socket:[INODE]`.
    sockets: HashMap<PathBuf, HashSet<String>>,
}

impl Listeners {
    pub(super) fn new() -> Listeners {
        let now = Instant::now();
        Listeners { iterator: open(), processes: None, asked: now, good_until: now, sockets: HashMap::new() }
    }

    pub(super) fn forget(&mut self) {
        if self.age_left().is_zero() {
            self.processes = None;
            self.sockets.clear();
        }
    }

    /// What listens since then is not among the answers.
    pub(super) fn asked(&self) -> Instant {
        self.asked
    }

    /// How long the answers stay what they are.
    pub(super) fn age_left(&self) -> Duration {
        self.good_until.saturating_duration_since(Instant::now())
    }

    pub(super) fn listens(&mut self, pid: u32) -> bool {
        if self.processes.is_none() {
            self.asked = Instant::now();
            self.processes = self.iterator.as_ref().and_then(read);
            self.good_until = self.asked + self.asked.elapsed() * GOOD_FOR;
        }
        match &self.processes {
            Some(processes) => processes.contains(&pid),
            None => self.listens_by_proc(pid),
        }
    }

    fn listens_by_proc(&mut self, pid: u32) -> bool {
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/net")) else { return false };
        let sockets = self.sockets.entry(namespace).or_insert_with(|| {
            let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")));
            tables.into_iter().flatten().flat_map(|table| host::listening(&table)).collect()
        });
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        !sockets.is_empty()
            && open
                .flatten()
                .filter_map(|entry| fs::read_link(entry.path()).ok())
                .any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
    }
}

pub(crate) fn load(storage: &mut MaybeUninit<OpenObject>) -> Result<ListenersSkel<'_>, Failure> {
    let loaded = ListenersSkelBuilder::default().open(storage).and_then(OpenSkel::load);
    loaded.map_err(|error| Failure::of("loading the iterator over sockets", &error))
}

/// The link holds the program: nothing else of the object is needed.
fn open() -> Option<Link> {
    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let skeleton = load(&mut storage).ok()?;
    skeleton.progs.listeners.attach().ok()
}

fn read(iterator: &Link) -> Option<HashSet<u32>> {
    let mut raw = Vec::new();
    Iter::new(iterator).ok()?.read_to_end(&mut raw).ok()?;
    Some(raw.chunks_exact(4).filter_map(|pid| pid.try_into().ok()).map(u32::from_ne_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_listens_is_found_by_proc_and_where_it_may_by_the_iterator() {
        let mut listeners = Listeners::new();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listeners.listens_by_proc(std::process::id()));
        assert!(listeners.listens(std::process::id()));
        drop(socket);
    }
}
