//! The bytes of a capture file, plain or gzip, through a window of bounded size.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// Bytes asked of the source at a time: large enough that the calls cost nothing beside the parsing.
const CHUNK: usize = 1 << 16;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What [`Window::fill`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The bytes are there.
    Yes,
    /// The source ended before them.
    Ended,
    /// A signal came while waiting: whoever handles signals should have a look, then ask again.
    Interrupted,
}

/// A place in the stream of bytes, with what follows it in memory.
pub(crate) struct Window {
    source: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    start: usize,
    /// Offset in the (uncompressed) file of `bytes[start]`.
    offset: u64,
    /// Bytes still to be passed over.
    skip: u64,
    ended: bool,
    error: Option<io::Error>,
    /// Reads can wait for a writer (a pipe, a terminal).
    live: bool,
}

impl Window {
    pub(crate) fn new(source: Box<dyn Read + Send>, live: bool) -> Self {
        Self { source, bytes: Vec::new(), start: 0, offset: 0, skip: 0, ended: false, error: None, live }
    }

    /// Opens a file, or standard input where the path is `-`; looks through gzip, known by its first bytes.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let (source, live): (Box<dyn Read + Send>, bool) = if path == Path::new("-") {
            (Box::new(io::stdin()), true)
        } else {
            let file = File::open(path)?;
            let kind = file.metadata()?.file_type();
            if kind.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            (Box::new(file), !kind.is_file())
        };
        Self::new(source, live).decompressed()
    }

    /// The same bytes, decompressed if they are gzip.
    pub(crate) fn decompressed(mut self) -> io::Result<Self> {
        self.fill_patiently(GZIP.len());
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if !self.here().starts_with(&GZIP) {
            return Ok(self);
        }
        let head = io::Cursor::new(self.here().to_vec());
        let gzip = MultiGzDecoder::new(BufReader::with_capacity(CHUNK, head.chain(self.source)));
        Ok(Self::new(Box::new(gzip), self.live))
    }

    /// What is in memory from this place on.
    pub(crate) fn here(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads until `count` bytes are in memory. Memory grows with what arrives, never with what a header claims.
    pub(crate) fn fill(&mut self, count: usize) -> Filled {
        loop {
            self.pass_over();
            if self.skip == 0 && self.here().len() >= count {
                return Filled::Yes;
            }
            if self.ended {
                return Filled::Ended;
            }
            if let Err(error) = self.read() {
                if error.kind() == io::ErrorKind::Interrupted {
                    return Filled::Interrupted;
                }
                self.ended = true;
                self.error = Some(error);
            }
        }
    }

    /// The same for the first bytes of a file, when no signal has anything to interrupt yet.
    pub(crate) fn fill_patiently(&mut self, count: usize) -> bool {
        loop {
            match self.fill(count) {
                Filled::Yes => return true,
                Filled::Ended => return false,
                Filled::Interrupted => {}
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let old = self.bytes.len();
        self.bytes.resize(old + CHUNK, 0);
        let result = self.source.read(&mut self.bytes[old..]);
        self.bytes.truncate(old + result.as_ref().copied().unwrap_or(0));
        self.ended = matches!(result, Ok(0));
        result.map(|_| ())
    }

    /// Goes on by `count` bytes, in memory or not yet.
    pub(crate) fn consume(&mut self, count: u64) {
        self.skip += count;
        self.pass_over();
    }

    fn pass_over(&mut self) {
        let here = self.here().len();
        let count = usize::try_from(self.skip).unwrap_or(usize::MAX).min(here);
        self.start += count;
        self.offset += count as u64;
        self.skip -= count as u64;
    }

    /// Whether bytes that were to be passed over never came.
    pub(crate) fn ended_early(&self) -> bool {
        self.ended && self.skip > 0
    }

    /// Whether asking for `count` bytes may wait for a writer.
    pub(crate) fn would_wait(&self, count: usize) -> bool {
        self.live && !self.ended && (self.skip > 0 || self.here().len() < count)
    }

    /// Why reading stopped, where that was not the end.
    pub(crate) fn error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}
