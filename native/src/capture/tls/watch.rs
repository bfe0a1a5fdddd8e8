//! Which processes are watched: those that speak TLS and listen, and those asked for.

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
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A process that began is looked at soon, then less and less often: libraries are loaded and sockets opened in the
/// beginning, as a rule.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const RAREST_LOOK: Duration = Duration::from_secs(15);
/// All of `/proc` is listed this often, for processes that no record told of.
const LIST_EVERY: Duration = Duration::from_secs(2);
/// Files remembered; beyond, the memory starts anew.
const REMEMBERED: usize = 1 << 14;

/// Device and inode number, as `/proc/PID/maps` has them.
type FileId = (String, u64);

struct Process {
    start: u64,
    /// When it was looked at last, by the kernel side's clock: before what is found then.
    looked: u64,
    since: Instant,
    next_look: Instant,
    /// It has a TLS library, and the programs know.
    speaks: u8,
    /// By file; dropping them takes the probes out.
    watched: HashMap<FileId, Vec<Link>>,
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
    files: HashMap<FileId, Option<Rc<Watchable>>>,
    /// Libraries of the system, for processes that will load them in a moment.
    system: Vec<(FileId, PathBuf, Rc<Watchable>)>,
    listeners: Listeners,
    _process_links: Vec<Link>,
    socket_links: Vec<Link>,
    listed: Option<Instant>,
    /// Why probes could not be put where they should be: the last one.
    pub(super) trouble: Option<String>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(skeleton: &'a TlsSkel<'a>, options: &'a Options) -> Result<Watch<'a>, Failure> {
        let mut watch = Watch {
            skeleton,
            wanted: &options.tls,
            patterns: Globs::new(&options.tls.processes),
            cgroups: host::cgroups(&options.cgroups),
            own: &options.own_pids,
            processes: HashMap::new(),
            files: HashMap::new(),
            system: Vec::new(),
            listeners: Listeners::new(),
            _process_links: probes::attach_processes(skeleton)?,
            socket_links: Vec::new(),
            listed: None,
            trouble: None,
        };
        if !watch.patterns.is_empty() {
            watch.learn_system();
        }
        Ok(watch)
    }

    fn learn_system(&mut self) {
        for path in host::system_libraries() {
            let found = File::open(&path).ok().and_then(|file| Some((host::file_id(&file)?, elf::functions(file)?)));
            if let Some((file, functions)) = found {
                if let Some(watchable) = library::watchable(&functions) {
                    self.system.push((file, path, Rc::new(watchable)));
                }
            }
        }
        let parts: Vec<Part> = self.system.iter().map(|(_, _, file)| file.part).collect();
        self.system.retain(|(_, _, file)| !library::is_alone(file.part, &parts));
        self.system.sort_by_key(|(_, _, file)| file.part);
    }

    /// Processes that are watched now.
    pub(super) fn watched(&self) -> usize {
        self.processes.values().filter(|process| !process.watched.is_empty()).count()
    }

    pub(super) fn hear(&mut self, news: News) {
        self.listeners.forget();
        match news {
            News::Executed(pid, time) => {
                if self.processes.get(&pid).is_some_and(|process| process.looked < time) {
                    self.renew(pid);
                }
                self.look(pid);
                self.expect(pid);
            }
            News::Look(pid) => {
                self.look(pid);
                self.expect(pid);
            }
        }
    }

    /// A process runs something else now. Its probes stay: they are of its id and a file, whenever it maps that, and it may
    /// have been looked at while it was being executed. To take them out and put them in again would cost it the calls
    /// meanwhile, which is long.
    fn renew(&mut self, pid: u32) {
        let name = host::identity(pid).map(|(name, _)| name);
        let is_wanted = name.is_some_and(|name| self.wants(pid, &name));
        match self.processes.get_mut(&pid) {
            Some(process) if is_wanted && !process.watched.is_empty() => process.since = Instant::now(),
            _ => self.forget(pid),
        }
    }

    /// Looks at what is due; returns how long nothing will be.
    pub(super) fn work(&mut self) -> Duration {
        let now = Instant::now();
        self.listeners.forget();
        if self.listed.is_none_or(|at| now - at >= LIST_EVERY) {
            // Before, since whom a process forked meanwhile asks for another list.
            self.listed = Some(now);
            self.list();
        }
        let due = self.processes.iter().filter(|(_, known)| known.next_look <= now);
        let due: Vec<u32> = due.map(|(pid, _)| *pid).collect();
        for pid in due {
            self.look(pid);
        }
        if self.listed.is_none() {
            return Duration::ZERO;
        }
        let next = self.processes.values().map(|process| process.next_look).min();
        next.map_or(LIST_EVERY, |next| next.saturating_duration_since(Instant::now())).min(LIST_EVERY)
    }

    /// New processes begin to be known; those that are gone end.
    fn list(&mut self) {
        let pids = host::pids();
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
    }

    fn forget(&mut self, pid: u32) {
        if self.processes.remove(&pid).is_some_and(|process| process.speaks != 0) {
            // It may not be there any more, which is what we want.
            drop(probes::set_speaking(self.skeleton, pid, 0));
        }
        if self.watched() == 0 {
            self.socket_links.clear();
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
        });
        process.looked = clock::monotonic();
        let age = now - process.since;
        process.next_look = now + (age / 2).clamp(FIRST_LOOK, RAREST_LOOK);
        // Kernel threads, and processes that we may not look into, have nothing that we could see.
        let Ok(mapped) = host::mapped(pid) else { return };
        let fresh = self.fresh(pid, mapped);
        if fresh.is_empty() {
            return;
        }
        let speaks = fresh.iter().fold(0, |speaks, (_, file)| speaks | probes::speaks(file.library));
        self.note_speaking(pid, speaks);
        if self.wants(pid, &name) {
            for (mapped, file) in fresh {
                if !self.watch(pid, &mapped.file, &mapped.place(pid), &file) && file.part == Part::Bytes {
                    // Sessions that are made but not read would be worse than none.
                    return;
                }
            }
        }
    }

    /// What can be watched in a process and is not yet, in the order in which it has to be.
    fn fresh(&mut self, pid: u32, mapped: Vec<host::Mapped>) -> Vec<(host::Mapped, Rc<Watchable>)> {
        let speaking = mapped.into_iter().filter_map(|mapped| self.speaks(pid, &mapped).map(|file| (mapped, file)));
        let mut found: Vec<(host::Mapped, Rc<Watchable>)> = speaking.collect();
        let parts: Vec<Part> = found.iter().map(|(_, file)| file.part).collect();
        let watched = self.processes.get(&pid).map(|process| &process.watched);
        found.retain(|(mapped, file)| {
            !library::is_alone(file.part, &parts) && watched.is_none_or(|watched| !watched.contains_key(&mapped.file))
        });
        found.sort_by_key(|(_, file)| file.part);
        found
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
        for (id, path, file) in self.system.clone() {
            if self.processes.get(&pid).is_some_and(|process| !process.watched.contains_key(&id)) {
                self.note_speaking(pid, probes::speaks(file.library));
                if !self.watch(pid, &id, &path, &file) && file.part == Part::Bytes {
                    return;
                }
            }
        }
    }

    /// From now on the programs tell when it listens, forks or ends.
    fn note_speaking(&mut self, pid: u32, speaks: u8) {
        if let Some(process) = self.processes.get_mut(&pid).filter(|process| process.speaks | speaks != process.speaks)
        {
            match probes::set_speaking(self.skeleton, pid, process.speaks | speaks) {
                Ok(()) => {
                    process.speaks |= speaks;
                    // Whom it forked before is not known.
                    self.listed = None;
                }
                Err(error) => self.trouble = Some(format!("process {pid}: {error:#}")),
            }
        }
    }

    /// What can be watched in a file.
    fn speaks(&mut self, pid: u32, mapped: &host::Mapped) -> Option<Rc<Watchable>> {
        if let Some(known) = self.files.get(&mapped.file) {
            return known.clone();
        }
        if self.files.len() >= REMEMBERED {
            self.files.clear();
        }
        // One that can't be opened now may be another time.
        let open = || mapped.open(pid);
        let found = elf::functions(open()?).and_then(|functions| library::watchable(&functions));
        let found = found.or_else(|| open().and_then(|file| go::find(file).watchable())).map(Rc::new);
        self.files.insert(mapped.file.clone(), found.clone());
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
    fn watch(&mut self, pid: u32, id: &FileId, place: &Path, file: &Watchable) -> bool {
        if self.socket_links.is_empty() {
            match probes::attach_sockets(self.skeleton) {
                Ok(links) => self.socket_links = links,
                Err(failure) => self.trouble = Some(failure.to_string()),
            }
        }
        match (probes::attach(self.skeleton, pid, place, file), self.processes.get_mut(&pid)) {
            (Ok(links), Some(process)) => {
                process.watched.insert(id.clone(), links);
                true
            }
            (Err(error), _) => {
                self.trouble = Some(format!("{} of process {pid}: {error:#}", place.display()));
                false
            }
            (Ok(_), None) => false,
        }
    }
}
