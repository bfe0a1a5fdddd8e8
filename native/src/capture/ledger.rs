//! The account as JSON: three balances, each in one unit.

use super::intake::Intake;
use super::kernel::Counters;
use super::tls::Report;
use serde_json::json;

pub(crate) fn json(intake: &Intake, kernel: &Counters, tls: &Report) -> String {
    let records = &intake.connections.ledger;
    let rows = intake.rows.counters();
    let open = intake.connections.open_exchanges() as u64;
    let building = intake.rows.len() as u64;
    let refused = kernel.refused_full + kernel.refused_busy;
    let opened = rows.opened + open;
    let waiting = building + intake.rows_waiting;
    let gone = intake.rows_written + intake.rows_dropped + rows.filtered + rows.sampled_out + rows.failed;
    let closed = kernel.seen == kernel.submitted + refused
        && records.closed()
        && (!intake.over || kernel.submitted == records.consumed)
        && rows.opened == waiting + gone;
    json!({
        "kernel": {
            "seen": kernel.seen,
            "submitted": kernel.submitted,
            "refused": { "ring_full": kernel.refused_full, "busy": kernel.refused_busy },
        },
        "records": {
            "consumed": records.consumed,
            "used": records.used,
            "duplicate": records.duplicate,
            "not_http": records.not_http,
            "failed": {
                "unreadable": records.failed_unreadable,
                "unknown_connection": records.failed_unknown,
                "outside_window": records.failed_window,
                "too_many_connections": records.failed_crowded,
            },
        },
        "rows": {
            "opened": opened,
            "written": intake.rows_written,
            "open": open + waiting,
            "filtered": rows.filtered,
            "sampled_out": rows.sampled_out,
            "failed_at_sink": intake.rows_dropped + rows.failed,
        },
        "notes": {
            "gap_bytes": records.gap_bytes,
            "gaps": records.gaps,
            "places_lost": records.lost,
            "holes": records.holes,
            "hpack_unresolved": records.hpack_unresolved,
            "header_sections_cut": records.heads_cut,
            "streams_refused": records.streams_refused,
            "connections_let_go": records.let_go,
            "continuation_floods": records.floods,
            "payload_unreadable": kernel.refused_read,
            "retransmissions": kernel.duplicates,
            "own_connections": kernel.own + intake.own_connections,
            "http_connections": kernel.http,
            "other_connections": kernel.other,
            "contended_segments": kernel.contended,
            "no_storage": kernel.no_storage,
            "tracepoints_missed": kernel.missed + tls.counters.missed,
            "tls_processes": tls.processes,
            "tls_files_refused": tls.failed,
            "tls_traps": tls.counters.traps,
            "tls_sessions_refused": tls.counters.crowded,
            "tls_calls_nested": tls.counters.nested,
            "tls_returns_unmatched": tls.counters.unmatched,
            "tls_sockets_in_doubt": tls.counters.conflicts,
            "tls_sessions_restarted": tls.counters.restarted,
            "tls_counts_unreadable": tls.counters.unreadable,
            "batches_failed": intake.batches_failed,
            "panics": intake.panics(),
        },
        "tls_trouble": tls.trouble,
        "closed": closed,
    })
    .to_string()
}
