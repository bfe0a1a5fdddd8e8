//! Records in, rows out: what happens between the ring and the batches.

use super::processes::Processes;
use crate::batch::{Rows, Source};
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::connection::{Connections, Limits};
use heads::record::{self, Record};
use heads::rules::Rules;
use std::sync::Arc;

/// Of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// What it ran before is gone, since this time of the kernel side's clock.
    Executed(u32, u64),
    /// It may have begun to speak TLS: it was forked by one that does, or listens now.
    Look(u32),
}

pub(crate) struct Intake {
    pub(crate) connections: Connections,
    pub(crate) rows: Rows<Processes>,
    /// By origin (CPU and slot): the number that its next record has.
    numbers: Vec<u32>,
    own: Vec<u32>,
    pub(crate) own_connections: u64,
    /// Rows handed out, and rows that nobody took in time.
    pub(crate) rows_written: u64,
    pub(crate) rows_dropped: u64,
    /// Rows in finished batches that nobody has taken yet.
    pub(crate) rows_waiting: u64,
    /// The source is over: every record has been consumed.
    pub(crate) over: bool,
    pub(crate) batches_failed: u64,
    panics: u64,
    /// For the `tls` source, since it last took them.
    pub(crate) news: Vec<News>,
}

impl Intake {
    pub(crate) fn new(rules: Arc<Rules>, processes: Processes, max_head_bytes: usize, own: Vec<u32>) -> Intake {
        let limits = Limits { max_head_bytes, socket: true, ..Limits::default() };
        Intake {
            connections: Connections::new(limits),
            rows: Rows::new(rules, processes, Source::Socket, &super::clock::boot()),
            numbers: Vec::new(),
            own,
            own_connections: 0,
            rows_written: 0,
            rows_dropped: 0,
            rows_waiting: 0,
            over: false,
            batches_failed: 0,
            panics: 0,
            news: Vec::new(),
        }
    }

    /// Takes one record of the ring.
    pub(crate) fn record(&mut self, raw: &[u8]) {
        self.count_holes(raw);
        let ledger = &mut self.connections.ledger;
        match record::decode(raw) {
            Ok(Record::Segment { cookie, segment }) => self.connections.segment(cookie, &segment, &mut self.rows),
            Ok(Record::Early { tuple, segment }) => self.connections.early(tuple, &segment),
            Ok(Record::Close { cookie, segment }) => self.connections.close(cookie, &segment, &mut self.rows),
            Ok(Record::Connection { endpoints, joined, doubtful }) => {
                let cookie = endpoints.cookie;
                ledger.take();
                if let Some(cgroup) = endpoints.cgroup {
                    self.rows.lookup_mut().learn_cgroup(cgroup);
                }
                self.connections.open(endpoints, joined, &mut self.rows);
                if doubtful {
                    self.connections.doubt(cookie);
                }
            }
            Ok(Record::Process { cookie, process }) => {
                ledger.take();
                self.rows.lookup_mut().learn(&process);
                if self.own.contains(&process.pid) {
                    self.own_connections += 1;
                    self.connections.leave_out(cookie);
                } else {
                    self.connections.process(cookie, process);
                }
            }
            Ok(Record::Exec { tgid, path }) => {
                ledger.take();
                self.rows.lookup_mut().executed(tgid, path);
            }
            Ok(Record::Inside { key, endpoints, joined }) => {
                ledger.take();
                if let Some(cgroup) = endpoints.cgroup {
                    self.rows.lookup_mut().learn_cgroup(cgroup);
                }
                if let Some(process) = &endpoints.process {
                    self.rows.lookup_mut().learn(process);
                }
                self.connections.open_as(key, endpoints, joined, &mut self.rows);
            }
            Ok(Record::Carrier { key, carrier }) => {
                ledger.take();
                if let Some(carrier) = &carrier {
                    self.rows.lookup_mut().learn_cgroup(carrier.cgroup);
                }
                self.connections.carry(key, carrier.as_ref());
            }
            Ok(Record::Look { tgid, executed }) => {
                ledger.take();
                self.news.push(executed.map_or(News::Look(tgid), |time| News::Executed(tgid, time)));
            }
            Err(record::Unreadable) => {
                ledger.consumed += 1;
                ledger.failed_unreadable += 1;
            }
        }
    }

    /// A record that made us panic.
    pub(crate) fn panicked(&mut self) {
        self.panics += 1;
        self.connections.ledger.failed_unreadable += 1;
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics
    }

    /// What is under way, the oldest first, at most so many.
    pub(crate) fn open(&self, most: usize) -> Result<RecordBatch, ArrowError> {
        self.rows.aside(|aside| self.connections.open_rows(most, aside))
    }

    /// Time goes on without records: what was closed is logged.
    pub(crate) fn tick(&mut self, now: u64) {
        self.connections.bury(now, &mut self.rows);
    }

    /// The source is over: what is open is logged as it stands.
    pub(crate) fn finish(&mut self) {
        self.connections.finish(&mut self.rows);
        self.over = true;
    }

    /// Records of one origin are numbered without a break: a break is records that the kernel side could not send.
    fn count_holes(&mut self, raw: &[u8]) {
        let Some((origin, number)) = record::origin(raw) else { return };
        let index = usize::from(origin);
        if index >= self.numbers.len() {
            self.numbers.resize(index + 1, 0);
        }
        let Some(next) = self.numbers.get_mut(index) else { return };
        self.connections.ledger.holes += u64::from(number.wrapping_sub(*next));
        *next = number.wrapping_add(1);
    }
}
