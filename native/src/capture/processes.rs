//! What is known of processes: executables and containers, remembered past their end.

use super::cgroup::{self, Names};
use crate::batch::Lookup;
use heads::exchange::Process;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

/// Processes remembered at most; then the memory starts anew, and who still lives is looked up again.
const REMEMBERED: usize = 1 << 16;

#[derive(Debug)]
struct Known {
    start: u64,
    executable: Option<String>,
    container: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Processes {
    known: HashMap<u32, Known>,
    /// What each process executed last, as the kernel told it.
    executed: HashMap<u32, String>,
    cgroups: Names,
}

impl Processes {
    pub(crate) fn new(cgroup_root: Option<PathBuf>) -> Processes {
        Processes { known: HashMap::new(), executed: HashMap::new(), cgroups: Names::new(cgroup_root) }
    }

    /// A process executed a file.
    pub(crate) fn executed(&mut self, pid: u32, path: &[u8]) {
        if self.executed.len() >= REMEMBERED {
            self.executed.clear();
        }
        self.executed.insert(pid, String::from_utf8_lossy(path).into_owned());
        self.known.remove(&pid);
    }

    /// A process owns a connection: look at it while it lives.
    pub(crate) fn learn(&mut self, process: &Process) {
        if self.known.get(&process.pid).is_some_and(|known| known.start == process.start) {
            return;
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let alive = start_of(process.pid).is_some_and(|start| start == process.start / TICK);
        let link = alive.then(|| fs::read_link(format!("/proc/{}/exe", process.pid)).ok()).flatten();
        let executable = link
            .map(|path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned())
            .or_else(|| self.executed.get(&process.pid).filter(|path| path.starts_with('/')).cloned());
        let cgroups = alive.then(|| fs::read(format!("/proc/{}/cgroup", process.pid)).ok()).flatten();
        let cgroups = cgroups.map(|text| String::from_utf8_lossy(&text).into_owned());
        let container =
            cgroups.as_deref().and_then(|text| text.lines().find_map(cgroup::container_in)).map(str::to_owned);
        self.known.insert(process.pid, Known { start: process.start, executable, container });
    }

    pub(crate) fn learn_cgroup(&mut self, id: u64) {
        self.cgroups.learn(id);
    }

    fn of(&self, process: &Process) -> Option<&Known> {
        self.known.get(&process.pid).filter(|known| known.start == process.start)
    }
}

/// `/proc` counts a start in clock ticks of 10 ms (`USER_HZ` is 100 on every architecture that matters here).
const TICK: u64 = 10_000_000;

/// Field 22 of `/proc/PID/stat`: when the process started, in ticks since boot.
fn start_of(pid: u32) -> Option<u64> {
    // The name in it need not be of UTF-8.
    let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

impl Lookup for Processes {
    fn executable(&self, process: &Process) -> Option<&str> {
        self.of(process)?.executable.as_deref()
    }

    fn cgroup(&self, cgroup: u64) -> Option<&str> {
        self.cgroups.get(cgroup)
    }

    fn container(&self, process: Option<&Process>, cgroup: Option<u64>) -> Option<&str> {
        let by_process = process.and_then(|process| self.of(process)).and_then(|known| known.container.as_deref());
        by_process.or_else(|| cgroup.and_then(|id| self.cgroups.get(id)).and_then(cgroup::container_in))
    }
}
