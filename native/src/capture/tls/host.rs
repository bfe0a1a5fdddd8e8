//! The host's processes, as `/proc` shows them: what each has mapped, and whether it listens.

use super::file;
use crate::capture::cgroup;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode number, as the kernel writes them in `/proc/PID/maps`: they name a file among those of one process.
pub(super) type FileId = (String, u64);

/// An executable mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mapped {
    pub(super) file: FileId,
    /// As the process sees it, and as we show it.
    pub(super) path: String,
    raw: PathBuf,
    /// `start-end`: the name under `/proc/PID/map_files`.
    range: String,
}

impl Mapped {
    /// The file, if it is one that we may read.
    pub(super) fn open(&self, pid: u32) -> Option<File> {
        file::open_mapped(pid, &self.range, &self.raw, self.file.1).ok()
    }
}

/// Files that a process has mapped executable, each once, in the order of `/proc/PID/maps`.
pub(super) fn mapped(pid: u32) -> io::Result<Vec<Mapped>> {
    Ok(mapped_in(&fs::read(format!("/proc/{pid}/maps"))?))
}

/// Names need not be of UTF-8.
fn mapped_in(text: &[u8]) -> Vec<Mapped> {
    let mut seen = HashSet::new();
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut rest = line;
        let mut word = || {
            let begun = rest.trim_ascii_start();
            let (word, behind) = begun.split_at_checked(begun.iter().position(|byte| *byte == b' ')?)?;
            rest = behind;
            std::str::from_utf8(word).ok()
        };
        let (range, permissions, _, device, inode) = (word()?, word()?, word()?, word()?, word()?);
        let path = rest.trim_ascii_start();
        let is_code = permissions.contains('x') && path.starts_with(b"/");
        is_code.then(|| Mapped {
            file: (device.to_owned(), inode.parse().unwrap_or(0)),
            path: String::from_utf8_lossy(path).into_owned(),
            raw: PathBuf::from(OsStr::from_bytes(path)),
            range: range.to_owned(),
        })
    });
    lines.filter(|mapped| mapped.file.1 != 0 && seen.insert(mapped.file.clone())).collect()
}

/// Ids of all processes that can be seen.
pub(super) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Name and start of a process: the start, in ticks since boot, tells a reused id apart.
pub(super) fn identity(pid: u32) -> Option<(String, u64)> {
    // A name is cut at 15 bytes, in the middle of a character as it happens.
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (before, behind) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    Some((name, behind.split_whitespace().nth(19)?.parse().ok()?))
}

/// The path of a process's executable, as it sees it.
pub(super) fn executable(pid: u32) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(link.to_string_lossy().trim_end_matches(" (deleted)").to_owned())
}

/// The same as in `/proc/PID/maps`; file systems that show another device there are looked at twice, which does no harm.
pub(super) fn file_id(file: &File) -> Option<FileId> {
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    Some((format!("{:02x}:{:02x}", libc::major(device), libc::minor(device)), metadata.ino()))
}

/// Which files a process has: those of a container are others.
pub(super) fn mount_namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

/// Whether a process has the files that we have.
pub(super) fn shares_our_files(pid: u32) -> bool {
    mount_namespace(pid).is_some_and(|its| Some(its) == mount_namespace(std::process::id()))
}

/// TLS libraries where distributions put them.
pub(super) fn system_libraries() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/lib64"), PathBuf::from("/lib64"), PathBuf::from("/usr/local/lib")];
    let Ok(entries) = fs::read_dir("/usr/lib") else { return Vec::new() };
    places.extend(
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-"))),
    );
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let known = ["libssl.so", "libgnutls.so", "libssl3.so", "libnspr4.so"];
        if known.iter().any(|known| name.starts_with(known)) {
            found.extend(fs::canonicalize(entry.path()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Directories of cgroups as `/proc/PID/cgroup` writes them: from the root of the hierarchy.
pub(super) fn cgroups(asked: &[String]) -> Vec<String> {
    let root = fs::read_to_string("/proc/self/mounts").ok().and_then(|mounts| cgroup::mount_point(&mounts));
    let inside = |name: &String| {
        let below = root.as_ref().and_then(|root| Path::new(name).strip_prefix(root).ok());
        let path = below.map_or_else(|| name.clone(), |path| path.to_string_lossy().into_owned());
        format!("/{}", path.trim_matches('/'))
    };
    asked.iter().map(inside).collect()
}

/// Whether a process is in one of these cgroups, or below it.
pub(super) fn is_in_cgroup(pid: u32, cgroups: &[String]) -> bool {
    let text = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let its = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    cgroups.iter().any(|cgroup| {
        its.strip_prefix(cgroup.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cgroup == "/")
    })
}

/// Listening sockets of a text like `/proc/net/tcp`, as links to them are written: `socket:[INODE]`.
pub(super) fn listening(table: &str) -> Vec<String> {
    let sockets = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (*words.get(3)? == "0A").then(|| format!("socket:[{}]", words.get(9).unwrap_or(&"")))
    });
    sockets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_files_is_found_once_each_and_with_spaces_in_the_name() {
        let maps = b"\
7f00-7f01 r--p 00000000 fe:00 77                         /usr/lib/libssl.so.3
7f01-7f02 r-xp 00001000 fe:00 77                         /usr/lib/libssl.so.3
7f05-7f06 r-xp 00005000 fe:00 77                         /usr/lib/libssl.so.3
7f07-7f08 r-xp 00000000 fe:00 78                         /opt/my app/node (deleted)
7f09-7f0a r-xp 00000000 00:00 0
7ffe-7fff r-xp 00000000 00:00 0                          [vdso]
";
        let found = mapped_in(maps);
        let names: Vec<&str> = found.iter().map(|mapped| mapped.path.as_str()).collect();
        assert_eq!(names, ["/usr/lib/libssl.so.3", "/opt/my app/node (deleted)"]);
        assert_eq!(found[0].file, ("fe:00".to_owned(), 77));
    }

    #[test]
    fn a_name_that_is_no_text_hides_nothing() {
        let maps = b"7f00-7f01 r--p 00000000 fe:00 76 /opt/caf\xe9\n7f01-7f02 r-xp 00001000 fe:00 77 /opt/caf\xe9.so\n";
        let found = mapped_in(maps);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].raw.as_os_str().as_bytes(), b"/opt/caf\xe9.so");
    }

    #[test]
    fn listening_sockets_are_those_in_state_0a() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n\
             1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n";
        assert_eq!(listening(table), ["socket:[4242]"]);
    }

    #[test]
    fn every_process_is_in_the_root_of_the_hierarchy() {
        assert!(is_in_cgroup(std::process::id(), &cgroups(&["/".to_owned()])));
        assert!(!is_in_cgroup(std::process::id(), &cgroups(&["/no/such/group".to_owned()])));
    }
}
