//! Files of other processes, opened as root: what is opened is what was meant, and nothing but a file.
//!
//! Any user decides what a path of a process of his leads to. So a file is opened by the mapping itself where Linux lets us,
//! else below the process's own root; it is asked what it is before it is opened for reading, since opening alone sets off
//! some devices; and it is known by what it is, not by what somebody calls it.

use rustix::fs::{self, Mode, OFlags, ResolveFlags, CWD};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One state of one file: when its content changes, so does this, though its number stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(file: &File) -> io::Result<Identity> {
        let found = file.metadata()?;
        Ok(Identity {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// Where the kernel finds an open file, whatever its path leads to by now.
pub(super) fn place(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Opens a file of our own.
pub(super) fn open(path: &Path) -> io::Result<File> {
    reopen(&fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens what a process has mapped at `range`. `path` is its name there, `inode` its number.
pub(super) fn open_mapped(pid: u32, range: &str, path: &Path, inode: u64) -> io::Result<File> {
    // Asks for CAP_CHECKPOINT_RESTORE.
    if let Ok(file) = open(Path::new(&format!("/proc/{pid}/map_files/{range}"))) {
        return Ok(file);
    }
    let look = OFlags::PATH | OFlags::CLOEXEC;
    let root = fs::openat(CWD, format!("/proc/{pid}/root"), look | OFlags::DIRECTORY, Mode::empty())?;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = reopen(&fs::openat2(&root, path, look, Mode::empty(), inside)?)?;
    if file.metadata()?.ino() != inode {
        return Err(io::Error::new(io::ErrorKind::NotFound, "another file is there now"));
    }
    Ok(file)
}

fn reopen(found: &OwnedFd) -> io::Result<File> {
    if !fs::FileType::from_raw_mode(fs::fstat(found)?.st_mode).is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(fs::openat(CWD, path, reading, Mode::empty())?))
}

/// Bytes read of one file at most: small files can name the same bytes again and again. The tables of the largest
/// programs are smaller.
const MOST: u64 = 384 << 20;

/// A file that is not read without end.
pub(super) struct Bounded<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl<'a> Bounded<'a> {
    pub(super) fn new(file: &'a File) -> Bounded<'a> {
        Bounded { file, at: 0, left: MOST }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = into.len() as u64;
        if wanted > self.left {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more to read than any program has"));
        }
        let read = self.file.read_at(into, self.at)?;
        self.left -= wanted;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Bounded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        }
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("masthead-file-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn devices_and_pipes_are_not_opened() {
        let folder = folder("device");
        symlink("/dev/null", folder.join("link")).unwrap();
        assert_eq!(open(&folder.join("link")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(open(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn another_file_under_the_same_path_is_refused() {
        let folder = folder("other");
        let path = folder.join("library");
        std::fs::write(&path, "one").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let pid = std::process::id();
        assert!(open_mapped(pid, "0-1", &path, inode).is_ok());
        assert_eq!(open_mapped(pid, "0-1", &path, inode + 1).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_written_anew_is_another_one_though_its_number_stays() {
        let folder = folder("anew");
        let path = folder.join("program");
        std::fs::write(&path, "version 1").unwrap();
        let file = open(&path).unwrap();
        let before = Identity::of(&file).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&path, "version 2").unwrap();
        let after = Identity::of(&file).unwrap();
        assert_eq!(before.inode, after.inode);
        assert_ne!(before, after);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn reading_ends() {
        let own = File::open("/proc/self/exe").unwrap();
        let mut bounded = Bounded { left: 100, ..Bounded::new(&own) };
        let mut some = [0; 64];
        assert_eq!(bounded.read(&mut some).unwrap(), 64);
        assert_eq!(bounded.read(&mut some).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
