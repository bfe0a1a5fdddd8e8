//! The cgroup2 hierarchy: where it is mounted, and what its directories are called.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where cgroup2 is mounted (hybrid hierarchies too), out of a text like `/proc/self/mounts`.
pub(crate) fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(unescape(place)))
    })
}

/// The kernel writes space, tab, line feed and backslash of a path in octal.
fn unescape(text: &str) -> String {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    pairs.iter().fold(text.to_owned(), |text, (octal, plain)| text.replace(octal, plain))
}

/// Opens the root of the hierarchy; where it is not mounted, mounts it for as long as it takes to open it.
pub(crate) fn open_root() -> io::Result<(File, Option<PathBuf>)> {
    if let Some(place) = mount_point(&fs::read_to_string("/proc/self/mounts")?) {
        return Ok((File::open(&place)?, Some(place)));
    }
    let place = std::env::temp_dir().join(format!("masthead-cgroup2-{}", std::process::id()));
    fs::create_dir(&place)?;
    let opened = mount(&place).and_then(|()| File::open(&place));
    unmount(&place);
    fs::remove_dir(&place)?;
    opened.map(|file| (file, None))
}

fn mount(place: &Path) -> io::Result<()> {
    let (source, kind) = (c"none", c"cgroup2");
    let target = CString::new(place.as_os_str().as_bytes())?;
    // SAFETY: three strings that end in NUL and outlive the call; no flags, no data.
    let result = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The open file keeps the hierarchy; nobody else needs to see it.
fn unmount(place: &Path) {
    if let Ok(target) = CString::new(place.as_os_str().as_bytes()) {
        // SAFETY: a string that ends in NUL and outlives the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

/// A walk through the hierarchy takes a moment: at most one in this time.
const WALK_EVERY: Duration = Duration::from_secs(1);
/// Directories looked at in one walk.
const WALK_MOST: usize = 100_000;

/// Paths by cgroup id, which is the inode number of the directory.
#[derive(Debug)]
pub(crate) struct Names {
    root: Option<PathBuf>,
    known: HashMap<u64, String>,
    walked: Option<Instant>,
}

impl Names {
    pub(crate) fn new(root: Option<PathBuf>) -> Names {
        Names { root, known: HashMap::new(), walked: None }
    }

    pub(crate) fn get(&self, id: u64) -> Option<&str> {
        self.known.get(&id).map(String::as_str)
    }

    /// Looks an unknown id up, unless a walk has just been made.
    pub(crate) fn learn(&mut self, id: u64) {
        let recent = self.walked.is_some_and(|at| at.elapsed() < WALK_EVERY);
        if recent || self.known.contains_key(&id) {
            return;
        }
        let Some(root) = self.root.clone() else { return };
        self.walked = Some(Instant::now());
        self.known.clear();
        let mut waiting = vec![root.clone()];
        while let Some(place) = waiting.pop() {
            if self.known.len() >= WALK_MOST {
                break;
            }
            let Ok(metadata) = fs::metadata(&place) else { continue };
            let name =
                place.strip_prefix(&root).map_or_else(|_| String::new(), |path| path.to_string_lossy().into_owned());
            self.known.insert(metadata.ino(), format!("/{name}"));
            let Ok(entries) = fs::read_dir(&place) else { continue };
            waiting.extend(
                entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
    }
}

/// The container id in a cgroup's path: 64 hexadecimal digits, as Docker, containerd, CRI-O and Podman name it.
pub(crate) fn container_in(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next().unwrap_or(part);
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_point_is_found_in_a_hybrid_hierarchy() {
        let mounts =
            "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
    }

    #[test]
    fn container_ids_are_found_as_each_runtime_writes_them() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/kubepods/besteffort/pod1/{id}"),
        ] {
            assert_eq!(container_in(&path), Some(id), "{path}");
        }
        assert_eq!(container_in("/user.slice/user-0.slice/session-1.scope"), None);
    }
}
