//! The account as JSON: three balances, each in one unit.

use super::engine::Engine;
use super::kernel::Counters;
use serde_json::json;

pub(crate) fn json(engine: &Engine, kernel: &Counters) -> String {
    let records = &engine.connections.ledger;
    let rows = engine.rows.counters();
    let open = engine.connections.open_exchanges() as u64;
    let building = engine.rows.len() as u64;
    let refused = kernel.refused_full + kernel.refused_busy;
    let opened = rows.opened + open;
    let waiting = (rows.opened - rows.filtered - rows.sampled_out)
        .saturating_sub(engine.rows_written + engine.rows_dropped)
        .saturating_sub(building);
    let closed = kernel.seen == kernel.submitted + refused && records.closed();
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
            "written": engine.rows_written,
            "open": open + building + waiting,
            "filtered": rows.filtered,
            "sampled_out": rows.sampled_out,
            "failed_at_sink": engine.rows_dropped,
        },
        "notes": {
            "gap_bytes": records.gap_bytes,
            "gaps": records.gaps,
            "places_lost": records.lost,
            "holes": records.holes,
            "payload_unreadable": kernel.refused_read,
            "retransmissions": kernel.duplicates,
            "own_connections": kernel.own + engine.own_connections,
            "http_connections": kernel.http,
            "other_connections": kernel.other,
            "contended_segments": kernel.contended,
            "no_storage": kernel.no_storage,
            "batches_failed": engine.batches_failed,
            "panics": engine.panics(),
        },
        "closed": closed,
    })
    .to_string()
}
