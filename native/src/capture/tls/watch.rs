//! Which processes are watched: those that speak TLS and listen, and those asked for.

use super::file::{self, Identity};
use super::host::FileId;
use super::library::{self, Part, Watchable};
use super::listeners::Listeners;
use super::{elf, go, host, probes};
use crate::capture::clock;
use crate::capture::intake::News;
use crate::capture::kernel::Failure;
use crate::capture::options::{Options, Tls as Wanted};
use crate::capture::skeleton::tls::TlsSkel;
use heads::rules::glob::Globs;
use libbpf_rs::Link;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A process that began is looked at soon, then less and less often: libraries are loaded and sockets opened in the
/// beginning, as a rule.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const RAREST_LOOK: Duration = Duration::from_secs(15);
/// All of `/proc` is listed this often, for processes that no record told of; and this soon again, when a process was
/// found that may have forked before. Seldomer where listing takes long: a twentieth of the time at most.
const LIST_EVERY: Duration = Duration::from_secs(2);
const LIST_AGAIN: Duration = Duration::from_millis(250);
const SHARE: u32 = 20;
/// Files remembered; beyond, the memory starts anew.
const REMEMBERED: usize = 1 << 14;
/// Files watched in one process, and how long one is looked into at once: the rest has its turn at the next look.
const MOST_FILES: usize = 16;
const AT_ONCE: Duration = Duration::from_millis(100);
/// A file that is not mapped for so long is not watched any more: it could become another one by the time it is again.
const UNMAPPED: Duration = Duration::from_secs(1);

/// A file that is watched in a process. Dropping it takes the probes out.
struct Watched {
    _links: Vec<Link>,
    file: File,
    identity: Identity,
    part: Part,
    /// Since when it was not found among what is mapped. While a process executes something, nothing is.
    unmapped: Option<Instant>,
}

impl Watched {
    /// The bytes that the probes were meant for are not there any more.
    fn is_stale(&self) -> bool {
        Identity::of(&self.file).map_or(true, |identity| identity != self.identity)
    }
}

/// A file of a process that can be watched.
struct Speaking {
    id: FileId,
    file: File,
    identity: Identity,
    /// For messages.
    path: String,
    what: Rc<Watchable>,
}

struct Process {
    start: u64,
    /// When it was looked at last, by the kernel side's clock: before what is found then.
    looked: u64,
    since: Instant,
    next_look: Instant,
    /// It has a TLS library, and the programs know.
    speaks: u8,
    watched: HashMap<FileId, Watched>,
    /// Files that have nothing of interest.
    dull: HashSet<FileId>,
}

pub(super) struct Watch<'a> {
    skeleton: &'a TlsSkel<'a>,
    wanted: &'a Wanted,
    patterns: Globs,
    /// Only processes in these; all when there are none.
    cgroups: Vec<String>,
    own: &'a [u32],
    processes: HashMap<u32, Process>,
    /// What is in each file, read once.
    files: HashMap<Identity, Option<Rc<Watchable>>>,
    /// Libraries of the system, for processes that will load them in a moment.
    system: Vec<PathBuf>,
    listeners: Listeners,
    _process_links: Vec<Link>,
    socket_links: Vec<Link>,
    listed: Option<Instant>,
    listing_took: Duration,
    /// A process was found that may have forked others before.
    may_have_forked: bool,
    /// Probes that could not be put where they should be.
    pub(super) failed: u64,
    /// Why probes could not be put where they should be: the last one.
    pub(super) trouble: Option<String>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(skeleton: &'a TlsSkel<'a>, options: &'a Options) -> Result<Watch<'a>, Failure> {
        Ok(Watch {
            skeleton,
            wanted: &options.tls,
            patterns: Globs::new(&options.tls.processes),
            cgroups: host::cgroups(&options.cgroups),
            own: &options.own_pids,
            processes: HashMap::new(),
            files: HashMap::new(),
            system: if options.tls.processes.is_empty() { Vec::new() } else { host::system_libraries() },
            listeners: Listeners::new(),
            _process_links: probes::attach_processes(skeleton)?,
            socket_links: Vec::new(),
            listed: None,
            listing_took: Duration::ZERO,
            may_have_forked: false,
            failed: 0,
            trouble: None,
        })
    }

    /// Processes that are watched now.
    pub(super) fn watched(&self) -> usize {
        self.processes.values().filter(|process| !process.watched.is_empty()).count()
    }

    /// What came of one process counts once.
    pub(super) fn hear(&mut self, news: impl Iterator<Item = News>) {
        let began = Instant::now();
        self.listeners.forget();
        let mut heard = HashSet::new();
        for one in news {
            let (News::Executed(pid, _) | News::Look(pid)) = one;
            if let News::Executed(_, time) = one {
                if self.processes.get(&pid).is_some_and(|process| process.looked < time) {
                    self.renew(pid);
                    heard.remove(&pid);
                }
            }
            if heard.insert(pid) {
                self.look(pid);
                self.expect(pid);
                if self.listeners.asked() < began {
                    self.look_again(pid);
                }
            }
        }
    }

    /// Who listens was asked before it was told of: it may be one of them by now.
    fn look_again(&mut self, pid: u32) {
        let soon = Instant::now() + self.listeners.age_left().max(FIRST_LOOK);
        if let Some(process) = self.processes.get_mut(&pid).filter(|process| process.watched.is_empty()) {
            process.next_look = process.next_look.min(soon);
        }
    }

    /// A process runs something else now. Its probes stay: they are of its id and a file, whenever it maps that, and it may
    /// have been looked at while it was being executed. To take them out and put them in again would cost it the calls
    /// meanwhile, which is long.
    fn renew(&mut self, pid: u32) {
        let name = host::identity(pid).map(|(name, _)| name);
        let is_wanted = name.is_some_and(|name| self.wants(pid, &name));
        match self.processes.get_mut(&pid) {
            Some(process) if is_wanted && !process.watched.is_empty() => {
                process.since = Instant::now();
                process.dull.clear();
                process.watched.retain(|_, watched| !watched.is_stale());
                process.watched.values_mut().for_each(|watched| watched.unmapped = None);
            }
            _ => self.forget(pid),
        }
    }

    /// Lists all processes, and again until nobody is left who may have been forked while the others were looked at; at
    /// most so often, since on a host where processes are made all the time there is no end of them.
    pub(super) fn begin(&mut self, lists: usize) {
        for _ in 0..lists {
            self.listeners.forget();
            self.list();
            if !self.may_have_forked {
                break;
            }
        }
    }

    /// How long until all of `/proc` is listed.
    fn next_list(&self) -> Duration {
        let Some(listed) = self.listed else { return Duration::ZERO };
        let least = if self.may_have_forked { LIST_AGAIN } else { LIST_EVERY };
        least.max(self.listing_took * SHARE).saturating_sub(listed.elapsed())
    }

    /// Looks at what is due; returns how long nothing will be.
    pub(super) fn work(&mut self) -> Duration {
        self.listeners.forget();
        if self.next_list().is_zero() {
            self.list();
        }
        let now = Instant::now();
        let due = self.processes.iter().filter(|(_, known)| known.next_look <= now);
        let due: Vec<u32> = due.map(|(pid, _)| *pid).collect();
        for pid in due {
            self.look(pid);
        }
        // What sockets do is of interest only while somebody is watched.
        if !self.socket_links.is_empty() && self.watched() == 0 {
            self.socket_links.clear();
        }
        let next = self.processes.values().map(|process| process.next_look).min();
        next.map_or(LIST_EVERY, |next| next.saturating_duration_since(Instant::now())).min(self.next_list())
    }

    /// New processes begin to be known; those that are gone end.
    fn list(&mut self) {
        // Before, since whom a process forked meanwhile asks for another list.
        self.may_have_forked = false;
        let began = Instant::now();
        self.listed = Some(began);
        let pids: HashSet<u32> = host::pids().into_iter().collect();
        let gone: Vec<u32> = self.processes.keys().filter(|pid| !pids.contains(pid)).copied().collect();
        for pid in gone {
            self.forget(pid);
        }
        for pid in pids {
            let start = host::identity(pid).map(|(_, start)| start);
            if self.processes.get(&pid).is_some_and(|process| Some(process.start) != start) {
                self.forget(pid);
            }
            if !self.processes.contains_key(&pid) {
                self.look(pid);
            }
        }
        self.listing_took = began.elapsed();
    }

    fn forget(&mut self, pid: u32) {
        if self.processes.remove(&pid).is_some_and(|process| process.speaks != 0) {
            // It may not be there any more, which is what we want.
            drop(probes::set_speaking(self.skeleton, pid, 0));
        }
    }

    fn look(&mut self, pid: u32) {
        let now = Instant::now();
        if self.own.contains(&pid) {
            return;
        }
        let Some((name, start)) = host::identity(pid) else {
            // It is gone. If it stayed known, it would be due at once, again and again until the next list.
            self.forget(pid);
            return;
        };
        let process = self.processes.entry(pid).or_insert_with(|| Process {
            start,
            looked: 0,
            since: now,
            next_look: now,
            speaks: 0,
            watched: HashMap::new(),
            dull: HashSet::new(),
        });
        process.looked = clock::monotonic();
        let age = now - process.since;
        process.next_look = now + (age / 2).clamp(FIRST_LOOK, RAREST_LOOK);
        // Kernel threads, and processes that we may not look into, have nothing that we could see.
        let Ok(mapped) = host::mapped(pid) else { return };
        self.let_go(pid, &mapped);
        let fresh = self.fresh(pid, &mapped);
        if fresh.is_empty() {
            return;
        }
        let speaks = fresh.iter().fold(0, |speaks, found| speaks | probes::speaks(found.what.library));
        self.note_speaking(pid, speaks);
        if self.wants(pid, &name) {
            self.watch_all(pid, fresh);
        }
    }

    /// Takes probes out of files that are not what they were, or not mapped any more.
    fn let_go(&mut self, pid: u32, mapped: &[host::Mapped]) {
        let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.watched.is_empty()) else { return };
        let now = Instant::now();
        let mut next = process.next_look;
        process.watched.retain(|id, watched| {
            if mapped.iter().any(|mapped| mapped.file == *id) {
                watched.unmapped = None;
                return !watched.is_stale();
            }
            let since = *watched.unmapped.get_or_insert(now);
            next = next.min(now + UNMAPPED);
            now - since < UNMAPPED
        });
        process.next_look = next;
    }

    /// What can be watched in a process and is not yet, in the order in which it has to be.
    fn fresh(&mut self, pid: u32, mapped: &[host::Mapped]) -> Vec<Speaking> {
        let began = Instant::now();
        let mut found = Vec::new();
        let (mut parts, mut dull) = (Vec::new(), Vec::new());
        for mapped in mapped {
            let Some(process) = self.processes.get_mut(&pid) else { return Vec::new() };
            if let Some(watched) = process.watched.get(&mapped.file) {
                parts.push(watched.part);
                continue;
            }
            if process.dull.contains(&mapped.file) {
                continue;
            }
            if began.elapsed() > AT_ONCE {
                process.next_look = began + AT_ONCE * 2;
                break;
            }
            // One that can't be opened now may be another time.
            let Some(file) = mapped.open(pid) else { continue };
            let Ok(identity) = Identity::of(&file) else { continue };
            match self.what_is_in(identity, &file) {
                Some(what) => {
                    parts.push(what.part);
                    let (id, path) = (mapped.file.clone(), mapped.path.clone());
                    found.push(Speaking { id, file, identity, path, what });
                }
                None => dull.push(mapped.file.clone()),
            }
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.dull.extend(dull);
            found.truncate(MOST_FILES.saturating_sub(process.watched.len()));
        }
        in_order(found, &parts)
    }

    /// Sessions that are made but not read would be worse than none.
    fn watch_all(&mut self, pid: u32, found: Vec<Speaking>) {
        for one in found {
            let part = one.what.part;
            if !self.watch(pid, one) && part == Part::Bytes {
                return;
            }
        }
    }

    /// A process that was asked for by name may load a library in a moment, and end soon after.
    fn expect(&mut self, pid: u32) {
        if self.patterns.is_empty() || !host::shares_our_files(pid) {
            return;
        }
        let Some((name, _)) = host::identity(pid) else { return };
        let inside = self.cgroups.is_empty() || host::is_in_cgroup(pid, &self.cgroups);
        if !inside || !self.is_asked_for(pid, &name) || self.own.contains(&pid) {
            return;
        }
        let mut found = Vec::new();
        for path in self.system.clone() {
            let Ok(file) = file::open(&path) else { continue };
            let Ok(identity) = Identity::of(&file) else { continue };
            let (Some(id), Some(what)) = (host::file_id(&file), self.what_is_in(identity, &file)) else { continue };
            found.push(Speaking { id, file, identity, path: path.to_string_lossy().into_owned(), what });
        }
        let parts: Vec<Part> = found.iter().map(|one| one.what.part).collect();
        let Some(process) = self.processes.get(&pid) else { return };
        found.retain(|one| !process.watched.contains_key(&one.id));
        let speaks = found.iter().fold(0, |speaks, one| speaks | probes::speaks(one.what.library));
        self.note_speaking(pid, speaks);
        self.watch_all(pid, in_order(found, &parts));
    }

    /// From now on the programs tell when it listens, forks or ends.
    fn note_speaking(&mut self, pid: u32, speaks: u8) {
        if let Some(process) = self.processes.get_mut(&pid).filter(|process| process.speaks | speaks != process.speaks)
        {
            match probes::set_speaking(self.skeleton, pid, process.speaks | speaks) {
                Ok(()) => {
                    process.speaks |= speaks;
                    // Whom it forked before is not known.
                    self.may_have_forked = true;
                }
                Err(error) => self.trouble = Some(format!("process {pid}: {error:#}")),
            }
        }
    }

    /// What can be watched in a file.
    fn what_is_in(&mut self, identity: Identity, file: &File) -> Option<Rc<Watchable>> {
        if let Some(known) = self.files.get(&identity) {
            return known.clone();
        }
        if self.files.len() >= REMEMBERED {
            self.files.clear();
        }
        let found = elf::functions(file).and_then(|functions| library::watchable(&functions));
        let found = found.or_else(|| go::find(file).watchable()).map(Rc::new);
        self.files.insert(identity, found.clone());
        found
    }

    fn wants(&mut self, pid: u32, name: &str) -> bool {
        let inside = self.cgroups.is_empty() || host::is_in_cgroup(pid, &self.cgroups);
        inside && (self.is_asked_for(pid, name) || (self.wanted.listening && self.listeners.listens(pid)))
    }

    fn is_asked_for(&self, pid: u32, name: &str) -> bool {
        let asked = |text: &str| self.patterns.matches(&text.to_ascii_lowercase().into_bytes());
        if self.patterns.is_empty() {
            return false;
        }
        let path = host::executable(pid).unwrap_or_default();
        asked(name) || asked(&path) || path.rsplit('/').next().is_some_and(asked)
    }

    /// Whether it worked.
    fn watch(&mut self, pid: u32, found: Speaking) -> bool {
        if self.socket_links.is_empty() {
            match probes::attach_sockets(self.skeleton) {
                Ok(links) => self.socket_links = links,
                Err(failure) => self.trouble = Some(failure.to_string()),
            }
        }
        let Speaking { id, file, identity, path, what } = found;
        let attached = probes::attach(self.skeleton, pid, &file::place(&file), &what);
        match (attached, self.processes.get_mut(&pid)) {
            (Ok(links), Some(process)) => {
                let watched = Watched { _links: links, file, identity, part: what.part, unmapped: None };
                // Written to since it was read: the probes may stand anywhere.
                let is_right = !watched.is_stale();
                if is_right {
                    process.watched.insert(id, watched);
                }
                is_right
            }
            (Err(error), _) => {
                self.failed += 1;
                self.trouble = Some(format!("{path} of process {pid}: {error:#}"));
                false
            }
            (Ok(_), None) => false,
        }
    }
}

/// Files that can be watched in a process whose files have these parts, in the order in which they have to be.
fn in_order(mut found: Vec<Speaking>, parts: &[Part]) -> Vec<Speaking> {
    found.retain(|one| !library::is_alone(one.what.part, parts));
    found.sort_by_key(|one| one.what.part);
    found
}
