//! The rows of a batch in the making, under rules that may change between two of them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::exchange::{Endpoints, Exchange, Log};
use heads::rules::Rules;

use super::links::Lookup;
use super::making::{Fate, Making};

/// A batch is sealed at this size whatever its owner does: Arrow's offsets end at 2 GiB, memory long before.
const MAX_BYTES: usize = 128 << 20;

/// Rows between two looks at the size. A row is as long as its heads, a few times [`MAX_BYTES`] at the very worst.
const CHECK_EVERY: u64 = 64;

/// Where the bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Socket,
    Pcap,
}

/// What became of the exchanges, for the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) opened: u64,
    pub(crate) filtered: u64,
    pub(crate) sampled_out: u64,
    /// Rows that could not be made into a batch: a defect.
    pub(crate) failed: u64,
}

/// Builds batches of exchanges under a set of rules.
pub(crate) struct Rows<L> {
    rules: Arc<Rules>,
    lookup: L,
    counters: Counters,
    sealed: Vec<RecordBatch>,
    making: Making,
    source: Source,
    boot: Box<str>,
    /// Nanoseconds from the clock of the exchanges to wall time.
    offset: i64,
    /// Of connections inside TLS, only those with one of these ports at either end; all when there are none. Others were
    /// left out by the kernel side.
    ports: Vec<u16>,
}

impl<L: Lookup> Rows<L> {
    /// `boot` begins every id: eight digits of the boot id, or `pcap`.
    pub(crate) fn new(rules: Arc<Rules>, lookup: L, source: Source, boot: &str) -> Rows<L> {
        let making = Making::new(source, boot);
        Rows {
            rules,
            lookup,
            counters: Counters::default(),
            sealed: Vec::new(),
            making,
            source,
            boot: boot.into(),
            offset: 0,
            ports: Vec::new(),
        }
    }

    /// Rules for the exchanges from now on.
    pub(crate) fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
        self.making.forget();
    }

    pub(crate) fn set_ports(&mut self, ports: &[u16]) {
        self.ports = ports.to_vec();
    }

    /// Nanoseconds from the clock of the exchanges to wall time, for the exchanges from now on.
    pub(crate) fn set_offset(&mut self, offset: i64) {
        self.offset = offset;
        self.making.set_offset(offset);
    }

    pub(crate) fn lookup_mut(&mut self) -> &mut L {
        &mut self.lookup
    }

    /// Since the beginning.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Rows of the batch in the making.
    pub(crate) fn len(&self) -> usize {
        self.making.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.sealed.is_empty()
    }

    /// About the memory that the batch in the making takes.
    pub(crate) fn bytes(&self) -> usize {
        self.making.bytes()
    }

    /// The next finished batch; `None` when there are no rows left. Call it until then.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if !self.sealed.is_empty() {
            return Ok(Some(self.sealed.remove(0)));
        }
        if self.is_empty() {
            return Ok(None);
        }
        self.seal().map(Some)
    }

    /// Rows that Arrow refuses are counted, and the next ones begin anew.
    fn seal(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = self.making.len() as u64;
        let sealed = self.making.build();
        if sealed.is_err() {
            self.counters.failed += rows;
            self.making.drop_rows();
        }
        sealed
    }
}

impl<L: Lookup> Rows<L> {
    /// A batch of exchanges that are not for the log (yet), under the same rules; nothing of it is counted.
    pub(crate) fn aside(&self, fill: impl FnOnce(&mut Aside<'_, L>)) -> Result<RecordBatch, ArrowError> {
        let mut making = Making::new(self.source, &self.boot);
        making.set_offset(self.offset);
        let mut aside = Aside { rows: self, making };
        fill(&mut aside);
        aside.making.build()
    }
}

/// Takes the exchanges of a batch beside the log.
pub(crate) struct Aside<'a, L> {
    rows: &'a Rows<L>,
    making: Making,
}

impl<L: Lookup> Log for Aside<'_, L> {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        if self.making.bytes() < MAX_BYTES {
            // What becomes of it is not counted: its row comes when it ends.
            let _: Fate = self.making.row(&self.rows.rules, &self.rows.lookup, endpoints, exchange);
        }
    }
}

impl<L: Lookup> Log for Rows<L> {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        self.counters.opened += 1;
        if self.counters.opened.is_multiple_of(CHECK_EVERY) && self.bytes() > MAX_BYTES {
            let sealed = self.seal();
            self.sealed.extend(sealed);
        }
        let ends = [endpoints.client.1, endpoints.server.1];
        if endpoints.tls.is_some() && !self.ports.is_empty() && !ends.iter().any(|port| self.ports.contains(port)) {
            self.counters.filtered += 1;
            return;
        }
        match self.making.row(&self.rules, &self.lookup, endpoints, exchange) {
            Fate::Logged => {}
            Fate::Filtered => self.counters.filtered += 1,
            Fate::SampledOut => self.counters.sampled_out += 1,
        }
    }
}
