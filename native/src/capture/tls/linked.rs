//! TLS libraries linked into a file without symbols: told by texts that the protocol itself demands.

use super::elf;
use memchr::memmem;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// The key schedule derives the secrets of both sides under these labels (RFC 8446, section 7.1); what only dissects TLS
/// is given the secrets and has no use for them. OpenSSL, BoringSSL, GnuTLS, Go, rustls, wolfSSL and s2n have them whole.
const LABELS_13: [&[u8]; 2] = [b"c hs traffic", b"s hs traffic"];

/// The same of TLS 1.2 (RFC 5246, sections 6.3 and 7.4.9), for libraries that know nothing newer.
const LABELS_12: [&[u8]; 3] = [b"client finished", b"server finished", b"key expansion"];

/// What only one library has: its name, and texts of which one is enough.
const MARKS: [(&str, &[&[u8]]); 7] = [
    ("bearssl", &[b"br_ssl_"]),
    ("boringssl", &[b"ssl/ssl_lib.cc"]),
    ("mbedtls", &[b"mbedtls_ssl_"]),
    ("openssl", &[b"OpenSSL 1.", b"OpenSSL 3.", b"OpenSSL 4."]),
    ("rustls", &[b"/rustls-0.", b"received corrupt message of type"]),
    ("s2n", &[b"s2n_connection.c"]),
    ("wolfssl", &[b"wolfSSL"]),
];

/// NSS keeps the labels of TLS 1.2 in its cryptography; whether a process speaks TLS its `libssl3.so` tells.
const NOT_TLS: &str = "libsoftokn3.so";

/// Read at once: stays in the cache of a CPU while each label is looked for.
const PIECE: usize = 256 << 10;
/// Longer than any text that is looked for.
const OVERLAP: usize = 64;
/// The largest file that is searched; the largest known are plugins of 700 MB.
const LARGEST: u64 = 1 << 30;
/// Bytes searched in all: some seconds where nothing of them is in memory yet.
const MOST: u64 = 8 << 30;

/// The account of a search through many files.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Files left out: too large, unreadable, or beyond [`MOST`].
    pub(super) skipped: u64,
    pub(super) spent: Duration,
}

impl Search {
    /// Libraries in a file, by name, with commas between them; `unknown` for one that can't be told. `None`: there is none.
    pub(super) fn libraries(&mut self, name: &str, file: &File) -> Option<String> {
        let began = Instant::now();
        let found = self.look(name, file);
        self.spent += began.elapsed();
        found
    }

    fn look(&mut self, name: &str, file: &File) -> Option<String> {
        if name == NOT_TLS {
            return None;
        }
        let parts = elf::loaded(file)?;
        let size = parts.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
        if size > LARGEST || self.bytes.saturating_add(size) > MOST {
            self.skipped += 1;
            return None;
        }
        self.files += 1;
        self.bytes += size;
        let labels: Vec<&[u8]> = LABELS_13.into_iter().chain(LABELS_12).collect();
        let Ok(found) = search(file, &parts, &labels) else {
            self.skipped += 1;
            return None;
        };
        let (of_13, of_12) = found.split_at(LABELS_13.len());
        if !of_13.iter().all(|found| *found) && !of_12.iter().all(|found| *found) {
            return None;
        }
        Some(names(file, &parts))
    }
}

fn names(file: &File, parts: &[(u64, u64)]) -> String {
    let marks: Vec<&[u8]> = MARKS.iter().flat_map(|(_, marks)| marks.iter().copied()).collect();
    let mut found = search(file, parts, &marks).unwrap_or_default().into_iter();
    let known = MARKS.iter().filter(|(_, marks)| found.by_ref().take(marks.len()).filter(|found| *found).count() > 0);
    let known: Vec<&str> = known.map(|(name, _)| *name).collect();
    if known.is_empty() {
        "unknown".to_owned()
    } else {
        known.join(", ")
    }
}

/// Which of the texts are in these parts (offset, size) of a file, in the order of the texts.
fn search(file: &File, parts: &[(u64, u64)], texts: &[&[u8]]) -> io::Result<Vec<bool>> {
    let finders: Vec<memmem::Finder<'_>> = texts.iter().map(memmem::Finder::new).collect();
    let mut found = vec![false; texts.len()];
    let mut buffer = vec![0; OVERLAP + PIECE];
    for (offset, size) in parts {
        // What the last piece ended with comes first.
        let (mut at, mut kept) = (0, 0);
        while at < *size && !found.iter().all(|found| *found) {
            let wanted = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            let read = match file.read_at(&mut buffer[kept..kept + wanted], offset.saturating_add(at)) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            at += read as u64;
            let filled = kept + read;
            for (finder, found) in finders.iter().zip(&mut found).filter(|(_, found)| !**found) {
                *found = finder.find(&buffer[..filled]).is_some();
            }
            kept = filled.min(OVERLAP);
            buffer.copy_within(filled - kept..filled, 0);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn written(name: &str, bytes: &[u8]) -> (PathBuf, File) {
        let path = std::env::temp_dir().join(format!("masthead-linked-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        (path, file)
    }

    #[test]
    fn a_text_is_found_wherever_pieces_meet() {
        for shift in 0..=12 {
            let mut bytes = vec![b'.'; 2 * PIECE];
            bytes[PIECE - shift..PIECE - shift + 12].copy_from_slice(LABELS_13[0]);
            let (path, file) = written(&format!("pieces-{shift}"), &bytes);
            let found = search(&file, &[(0, bytes.len() as u64)], &LABELS_13).unwrap();
            std::fs::remove_file(path).unwrap();
            assert_eq!(found, [true, false]);
        }
    }

    #[test]
    fn only_the_parts_that_are_asked_for_are_searched() {
        let (path, file) = written("parts", b"....c hs traffic....");
        let whole = search(&file, &[(4, 12)], &LABELS_13).unwrap();
        let short = search(&file, &[(4, 11), (5, 900)], &LABELS_13).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!((whole[0], short[0]), (true, false));
    }

    #[test]
    fn what_is_no_elf_file_is_not_searched() {
        let (path, file) = written("text", b"c hs traffic, s hs traffic");
        let mut search = Search::default();
        assert_eq!(search.libraries("a.txt", &file), None);
        std::fs::remove_file(path).unwrap();
        assert_eq!((search.files, search.skipped), (0, 0));
    }

    #[test]
    fn libraries_are_named_by_what_only_they_have() {
        let (path, file) = written("names", b"OpenSSL 3.0.15 3 Sep 2024 received corrupt message of type {:?}");
        let named = names(&file, &[(0, 1000)]);
        let unknown = names(&file, &[(0, 8)]);
        std::fs::remove_file(path).unwrap();
        assert_eq!((named.as_str(), unknown.as_str()), ("openssl, rustls", "unknown"));
    }
}
