//! `masthead._native.Replay`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::connection::{Connections, Limits};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::batch::Batch;
use super::rules::Rules;
use crate::batch::{Rows, Source};
use crate::replay::{keylog, replay, Flows, OpenError, Problems, Progress, Reader};

pyo3::import_exception!(masthead.errors, InputError);

/// Packets read between two looks at signals and at the rows: some milliseconds of work.
const AT_ONCE: usize = 1 << 14;
/// Stands where a boot id stands for live traffic: a file has none, and its rows must be the same in every replay.
const ORIGIN: &str = "pcap";

/// What Python asks of a replay, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    max_head_bytes: usize,
    batch_rows: usize,
    /// Key log files (SSLKEYLOGFILE).
    #[serde(default)]
    keylogs: Vec<PathBuf>,
}

/// The `pcap` source: one recorded file.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Replay {
    state: Mutex<State>,
}

struct State {
    reader: Reader,
    flows: Flows,
    keylog_problems: Problems,
    connections: Connections,
    rows: Rows<()>,
    batch_rows: usize,
    batches: VecDeque<RecordBatch>,
    written: u64,
    ended: bool,
}

impl State {
    /// Reads on for a while.
    fn work(&mut self) -> Result<(), ArrowError> {
        let State { reader, flows, connections, rows, .. } = self;
        let progress = replay(reader, flows, AT_ONCE, connections, rows);
        self.ended = progress == Progress::End;
        // What waits for the writer of a pipe must not make a finished row wait as well.
        if self.rows.len() >= self.batch_rows || progress != Progress::More {
            while let Some(batch) = self.rows.finish()? {
                self.batches.push_back(batch);
            }
        }
        Ok(())
    }

    fn ledger(&self) -> String {
        let (counts, records, rows) = (self.reader.counts(), self.connections.ledger, self.rows.counters());
        let open = self.connections.open_exchanges() as u64;
        let waiting = self.batches.iter().map(RecordBatch::num_rows).sum::<usize>() + self.rows.len();
        let held = open + waiting as u64;
        let opened = rows.opened + open;
        let (tls, tls_open) = (self.flows.tls, self.flows.tls_open());
        // What an open connection has counted so far it tells at its end.
        let closed = tls.closed(tls_open)
            && counts.closed()
            && records.closed()
            && opened == self.written + held + rows.filtered + rows.sampled_out;
        json!({
            "kernel": {},
            "records": {
                "consumed": records.consumed,
                "used": records.used,
                "duplicate": records.duplicate,
                "not_http": records.not_http,
                "failed": {
                    "unreadable": records.failed_unreadable,
                    "unknown": records.failed_unknown,
                    "window": records.failed_window,
                    "crowded": records.failed_crowded,
                },
            },
            "rows": {
                "opened": opened,
                "written": self.written,
                "open": held,
                "filtered": rows.filtered,
                "sampled_out": rows.sampled_out,
                "failed_at_sink": 0,
            },
            "notes": {
                "packets": counts.packets,
                "tcp": counts.tcp,
                "not_tcp": counts.other,
                "fragments": counts.fragments,
                "link_unknown": counts.link_unknown,
                "packets_unreadable": counts.unreadable,
                "connections": self.flows.connections,
                "stragglers": self.flows.stragglers,
                "gaps": records.lost,
                "gap_bytes": records.gap_bytes,
            },
            "tls": {
                "connections": tls.connections,
                "decrypted": tls.decrypted,
                "open": tls_open,
                "unread": {
                    "no_secrets": tls.no_secrets,
                    "wrong_secrets": tls.wrong_secrets,
                    "no_handshake": tls.no_hello,
                    "version": tls.version,
                    "suite": tls.suite,
                    "unfinished": tls.unfinished,
                },
                "renegotiated": tls.renegotiated,
                "segments": tls.segments,
                "duplicate": tls.duplicate,
                "outside_window": tls.outside_window,
                "records": tls.records.records,
                "records_opened": tls.records.opened,
                "lost": {
                    "failed": tls.records.failed,
                    "bytes_missing": tls.records.holed,
                    "without_secret": tls.records.without_secret,
                    "place": tls.records.lost,
                },
                "early_refused": tls.records.early_refused,
            },
            "closed": closed,
        })
        .to_string()
    }
}

#[pymethods]
impl Replay {
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "a path from Python is made here")]
    fn new(py: Python<'_>, path: PathBuf, rules: &Rules, options_json: &str) -> PyResult<Replay> {
        let options: Options =
            serde_json::from_str(options_json).map_err(|error| PyValueError::new_err(error.to_string()))?;
        // Opening a named pipe, or the first bytes of one, may take a while.
        let reader = py.detach(|| Reader::open(&path)).map_err(|error| input_error(&path, &error))?;
        let (mut flows, mut keylog_problems) = (Flows::default(), Problems::default());
        for path in &options.keylogs {
            py.detach(|| keylog::read(path, &mut flows.secrets, &mut keylog_problems))
                .map_err(|error| input_error(path, &OpenError::Io(error)))?;
        }
        let limits = Limits { max_head_bytes: options.max_head_bytes, ..Limits::default() };
        let state = State {
            reader,
            flows,
            keylog_problems,
            connections: Connections::new(limits),
            rows: Rows::new(rules.share(), (), Source::Pcap, ORIGIN),
            batch_rows: options.batch_rows,
            batches: VecDeque::new(),
            written: 0,
            ended: false,
        };
        Ok(Replay { state: Mutex::new(state) })
    }

    #[getter]
    fn problems(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| {
            let state = self.state();
            let mut lines = state.keylog_problems.lines();
            lines.extend(state.reader.problems());
            lines.extend(state.flows.tls.sentence().filter(|_| state.ended));
            lines
        })
    }

    fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        loop {
            py.check_signals()?;
            let worked = py.detach(|| {
                let mut state = self.state();
                if state.batches.is_empty() && !state.ended {
                    state.work()?;
                }
                let batch = state.batches.pop_front();
                state.written += batch.as_ref().map_or(0, RecordBatch::num_rows) as u64;
                Ok((batch, state.ended))
            });
            match worked.map_err(|error: ArrowError| PyRuntimeError::new_err(error.to_string()))? {
                (None, false) => {}
                (batch, _) => return Ok(batch.map(Batch::new)),
            }
        }
    }

    fn ledger(&self, py: Python<'_>) -> String {
        py.detach(|| self.state().ledger())
    }
}

impl Replay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `InputError(what, where)`.
fn input_error(path: &Path, error: &OpenError) -> PyErr {
    let place = if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy().into_owned() };
    InputError::new_err((error.to_string(), place))
}
