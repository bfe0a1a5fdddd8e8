//! One direction's bytes cut into records (RFC 8446, section 5.1), with the time at which each byte came.

/// Kind, version, length.
pub const HEADER: usize = 5;
/// The longest record: 2^14 bytes, and what TLS 1.2 allows for its protection (RFC 5246, section 6.2.3).
pub const LONGEST: usize = (1 << 14) + 2048;
/// Bytes looked through for a record where the place was lost: one that is whole lies within any two of the longest.
const SEARCH: usize = 2 * (HEADER + LONGEST);

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// Up to where bytes came at which time: `(end, time)`, ascending.
pub type Runs = Vec<(usize, u64)>;

/// One record; `runs` count from the body's first byte.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub header: [u8; HEADER],
    pub body: Vec<u8>,
    pub runs: Runs,
}

impl Record {
    pub fn kind(&self) -> u8 {
        self.header[0]
    }

    /// When its last byte came.
    pub fn time(&self) -> u64 {
        self.runs.last().map_or(0, |(_, time)| *time)
    }
}

/// What [`Cutter::step`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All input is used.
    More,
    /// [`Cutter::take`] has a record.
    Record,
    /// A record ended that has bytes missing.
    Holed { kind: u8, length: usize },
    /// The place is lost from here on.
    Lost,
    /// Bytes came whose place is not known: see [`Cutter::candidate`].
    Search,
}

/// A record that stands complete among bytes whose place is lost, if it is one.
#[derive(Debug)]
pub struct Candidate {
    at: usize,
    pub record: Record,
}

/// One direction.
#[derive(Debug, Default)]
pub struct Cutter {
    /// The record under way from its header on; where the place is lost, what was not yet looked through.
    bytes: Vec<u8>,
    runs: Runs,
    /// Of a record with bytes missing: how many are still to come.
    passing: Option<usize>,
    /// The place is lost, since so many bytes.
    lost: Option<u64>,
    spare: Record,
}

/// Length of the body that a header announces; `None` where it is no header of TLS.
pub fn announced(header: &[u8]) -> Option<usize> {
    let &[kind, 3, minor, high, low, ..] = header else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    ((CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) && minor <= 4 && length <= LONGEST).then_some(length)
}

impl Cutter {
    /// Uses bytes up to the end of a record.
    pub fn step(&mut self, bytes: &mut &[u8], time: u64) -> Step {
        while !bytes.is_empty() {
            if self.lost.is_some() {
                self.keep(bytes, SEARCH, time);
                return Step::Search;
            }
            if let Some(left) = self.passing {
                let count = left.min(bytes.len());
                *bytes = bytes.get(count..).unwrap_or_default();
                if let Some(holed) = self.pass(count) {
                    return holed;
                }
                continue;
            }
            self.keep(bytes, self.goal(), time);
            if self.bytes.len() >= HEADER && announced(&self.bytes).is_none() {
                self.lose(0);
                return Step::Lost;
            }
            if self.bytes.len() >= HEADER && self.bytes.len() == self.goal() {
                return Step::Record;
            }
        }
        Step::More
    }

    /// Bytes of the record under way, as far as its header is known.
    fn goal(&self) -> usize {
        HEADER + if self.bytes.len() < HEADER { 0 } else { announced(&self.bytes).unwrap_or(0) }
    }

    fn keep(&mut self, bytes: &mut &[u8], goal: usize, time: u64) {
        let count = goal.saturating_sub(self.bytes.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(count);
        self.bytes.extend_from_slice(head);
        *bytes = rest;
        if count == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some((end, last)) if *last == time => *end = self.bytes.len(),
            _ => self.runs.push((self.bytes.len(), time)),
        }
    }

    /// Takes the record that is complete. [`Self::give_back`] its memory.
    pub fn take(&mut self) -> Record {
        let mut record = std::mem::take(&mut self.spare);
        record.body.clear();
        record.runs.clear();
        if let Some((header, body)) = self.bytes.split_first_chunk::<HEADER>() {
            record.header = *header;
            record.body.extend_from_slice(body);
        }
        record.runs.extend(self.runs.iter().map(|(end, time)| (end.saturating_sub(HEADER), *time)));
        self.bytes.clear();
        self.runs.clear();
        record
    }

    pub fn give_back(&mut self, record: Record) {
        self.spare = record;
    }

    /// Bytes are missing here.
    pub fn gap(&mut self, count: u64) -> Step {
        if self.lost.is_some() {
            self.lose(count);
            return Step::More;
        }
        let left = self.passing.or_else(|| (self.bytes.len() >= HEADER).then(|| self.goal() - self.bytes.len()));
        match (left, usize::try_from(count)) {
            (Some(left), Ok(count)) if count <= left => {
                self.passing = Some(left);
                self.pass(count).unwrap_or(Step::More)
            }
            _ => {
                self.lose(count);
                Step::Lost
            }
        }
    }

    fn pass(&mut self, count: usize) -> Option<Step> {
        let left = self.passing?.saturating_sub(count);
        self.passing = Some(left);
        if left > 0 {
            return None;
        }
        self.passing = None;
        let kind = self.bytes.first().copied().unwrap_or_default();
        let length = self.goal() - HEADER;
        self.bytes.clear();
        self.runs.clear();
        Some(Step::Holed { kind, length })
    }

    fn lose(&mut self, count: u64) {
        let before = self.lost.unwrap_or(0);
        self.lost = Some(before.saturating_add(self.bytes.len() as u64).saturating_add(count));
        self.passing = None;
        self.bytes.clear();
        self.runs.clear();
    }

    /// Records that may lie in what is missing at most, where the place is lost.
    pub fn missing(&self, shortest: usize) -> u64 {
        self.lost.map_or(0, |bytes| bytes / (HEADER + shortest) as u64 + 1)
    }

    /// The next that looks like a record of application data among bytes whose place is lost.
    pub fn candidate(&mut self) -> Option<Candidate> {
        let mut at = 0;
        loop {
            let here = self.bytes.get(at..).unwrap_or_default();
            let Some(found) = memchr::memmem::find(here, &[APPLICATION_DATA, 3, 3]) else {
                // What may be the beginning of one stays.
                self.drop_front(self.bytes.len().saturating_sub(2));
                return None;
            };
            at += found;
            let here = self.bytes.get(at..).unwrap_or_default();
            match announced(here) {
                None if here.len() >= HEADER => at += 1,
                Some(length) if here.len() >= HEADER + length => {
                    let mut record = Record::default();
                    let (header, body) = here.split_first_chunk::<HEADER>()?;
                    record.header = *header;
                    record.body.extend_from_slice(body.get(..length)?);
                    record.runs = runs_from(&self.runs, at + HEADER, length);
                    return Some(Candidate { at, record });
                }
                _ => {
                    self.drop_front(at);
                    return None;
                }
            }
        }
    }

    /// Gives up looking.
    pub fn discard(&mut self) {
        self.lose(0);
    }

    /// The candidate is no record.
    pub fn refuse(&mut self, candidate: &Candidate) {
        self.drop_front(candidate.at + 1);
    }

    /// The candidate is a record: what follows it is to be stepped through again, run by run.
    pub fn found(&mut self, candidate: &Candidate) -> (Vec<u8>, Runs) {
        let end = candidate.at + HEADER + candidate.record.body.len();
        let rest = self.bytes.get(end..).unwrap_or_default().to_vec();
        let runs = runs_from(&self.runs, end, rest.len());
        self.lost = None;
        self.bytes.clear();
        self.runs.clear();
        (rest, runs)
    }

    fn drop_front(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let kept = self.bytes.len().saturating_sub(count);
        self.runs = runs_from(&self.runs, count, kept);
        self.bytes.drain(..count.min(self.bytes.len()));
        if let Some(lost) = &mut self.lost {
            *lost = lost.saturating_add(count as u64);
        }
    }
}

/// The runs of `length` bytes from `start` on.
fn runs_from(runs: &Runs, start: usize, length: usize) -> Runs {
    let mut cut = Runs::new();
    for (end, time) in runs {
        let end = end.saturating_sub(start).min(length);
        if end > cut.last().map_or(0, |(before, _)| *before) {
            cut.push((end, *time));
        }
    }
    cut
}
