//! Counts compared with what is known of rows made by hand. That every aggregate is right over random calls is shown in
//! Python, against DuckDB (`tests/unit/test_tally.py`).
#![allow(clippy::pedantic, clippy::print_stderr, reason = "tests and a measurement: read, not shipped")]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use heads::exchange::Log;
use serde_json::{json, Value};

use super::Tally;
use crate::batch::tests::{endpoints, exchange, rules};
use crate::batch::{Rows, Source};

/// A row a second, all of 500 ns, of these requests (without their head's end).
fn batch(requests: &[String], status: u16) -> RecordBatch {
    let mut rows = Rows::new(rules(""), (), Source::Pcap, "pcap");
    for (number, request) in requests.iter().enumerate() {
        let response = format!("HTTP/1.1 {status} X\r\nX-Left: {number}\r\n\r\n");
        let mut call = exchange(&format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n"), &response);
        for message in [&mut call.request, &mut call.response].into_iter().flatten() {
            let later = number as u64 * 1_000_000_000;
            message.first_byte += later;
            message.head_end += later;
            message.last_byte += later;
        }
        rows.exchange(&endpoints(5), &call);
    }
    rows.finish().unwrap().unwrap()
}

fn calls(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("GET /{number}")).collect()
}

fn tally(table: Value) -> Tally {
    Tally::from_json(&json!({"tables": [table]}).to_string()).unwrap()
}

fn table(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["tables"]["t"].clone()
}

#[test]
fn groups_beyond_the_cap_are_one_group_and_counted() {
    let mut tally = tally(json!({"name": "t", "by": ["path", "status"], "cap": 3}));
    tally.observe(&batch(&calls(10), 200)).unwrap();
    tally.observe(&batch(&calls(10), 200)).unwrap();
    let found = table(&tally.snapshot().json());
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0], json!({"keys": ["/0", "200"], "rows": 2, "calls": 2.0, "measures": []}));
    assert_eq!(groups[3], json!({"keys": ["_other", "_other"], "rows": 14, "calls": 14.0, "measures": []}));
    assert_eq!(found["overflow"], json!({"rows": 14, "calls": 14.0}));
}

#[test]
fn a_key_that_calls_itself_other_makes_no_second_group_of_others() {
    let mut tally = tally(json!({"name": "t", "by": ["method"], "cap": 1}));
    let requests: Vec<String> = ["_other /", "GET /", "POST /"].map(str::to_owned).into();
    tally.observe(&batch(&requests, 200)).unwrap();
    let found = table(&tally.snapshot().json());
    let counts: Vec<(&Value, &Value)> =
        found["groups"].as_array().unwrap().iter().map(|group| (&group["keys"][0], &group["rows"])).collect();
    assert_eq!(counts, [(&json!("_other"), &json!(2)), (&json!("GET"), &json!(1))]);
}

#[test]
fn slots_are_taken_once_and_what_comes_later_is_counted() {
    let mut tally = tally(json!({"name": "t", "by": [], "cap": 1, "slot_ns": 4_000_000_000_u64}));
    let batch = batch(&calls(10), 200);
    tally.observe(&batch).unwrap();
    let rows = |found: &Value| -> Vec<(i64, u64)> {
        let slots = found["slots"].as_array().unwrap().iter();
        slots.map(|slot| (slot["start_ns"].as_i64().unwrap(), slot["groups"][0]["rows"].as_u64().unwrap())).collect()
    };
    assert_eq!(rows(&table(&tally.snapshot().json())).len(), 3);
    // The second slot has not ended.
    assert_eq!(rows(&table(&tally.take(7_999_999_999).json())), [(0, 4)]);
    tally.observe(&batch).unwrap();
    let rest = table(&tally.take(12_000_000_000).json());
    assert_eq!(rows(&rest), [(4_000_000_000, 8), (8_000_000_000, 4)]);
    assert_eq!((&rest["late"], &rest["refused"]), (&json!(4), &json!(0)));
    assert_eq!(rows(&table(&tally.take(12_000_000_000).json())), []);
}

#[test]
fn no_more_than_a_limit_of_slots_is_open() {
    let mut tally = tally(json!({"name": "t", "by": [], "cap": 1, "slot_ns": 1_000_000_000}));
    tally.observe(&batch(&calls(1100), 200)).unwrap();
    let found = table(&tally.take(i64::MAX).json());
    assert_eq!((found["slots"].as_array().unwrap().len(), &found["refused"]), (1024, &json!(76)));
}

#[test]
fn words_that_no_group_uses_are_forgotten_and_the_groups_stay_what_they_are() {
    let table_of = |by| json!({"name": "t", "where": {"method": ["GET"]}, "by": [by], "cap": 20});
    let mut tally = tally(table_of("path"));
    let requests = |from: usize| -> Vec<String> {
        (from..from + 8_000).map(|number| format!("GET /{:0>500}", number / 2)).collect()
    };
    for round in 0..4 {
        tally.observe(&batch(&requests(round * 8_000), 200)).unwrap();
        tally.observe(&batch(&requests(0)[..40], 200)).unwrap();
        assert!(tally.words.size() < super::GROWTH + 100_000, "{}", tally.words.size());
    }
    let found = table(&tally.snapshot().json());
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 21);
    for (number, group) in groups[..20].iter().enumerate() {
        assert_eq!(group["keys"][0], json!(format!("/{number:0>500}")));
        assert_eq!(group["rows"], json!(10));
    }
    assert_eq!(found["overflow"]["rows"], json!(4 * 8_040 - 200));
}

#[test]
fn a_copy_for_a_reader_stays_as_it_was() {
    let mut tally =
        tally(json!({"name": "t", "by": ["path"], "cap": 9, "measures": [{"last": "response.header.x-LEFT"}]}));
    tally.observe(&batch(&calls(3), 200)).unwrap();
    let (still, before) = (tally.snapshot(), tally.snapshot().json());
    tally.observe(&batch(&calls(5), 500)).unwrap();
    assert_eq!(still.json(), before);
    assert_eq!(table(&before)["groups"][2]["measures"][0]["value"], json!(2.0));
}

#[test]
fn rows_without_a_number_are_left_out_where_asked_for() {
    let measures = json!([{"last": "response.header.x-left"}, {"last": "response.header.x-right"}]);
    let table_of = |measures| json!({"name": "t", "by": ["path"], "cap": 9, "measured": true, "measures": measures});
    let mut tally = tally(table_of(measures));
    tally.observe(&batch(&calls(3), 200)).unwrap();
    assert_eq!(table(&tally.snapshot().json())["groups"].as_array().unwrap().len(), 3);
    let mut tally = super::tests::tally(table_of(json!([{"last": "response.header.x-right"}])));
    tally.observe(&batch(&calls(3), 200)).unwrap();
    assert_eq!(table(&tally.snapshot().json())["groups"], json!([]));
}

#[test]
fn a_bad_table_says_what_is_wrong_with_it() {
    let plain = json!({"name": "t", "by": ["path"], "cap": 1});
    let with = |name: &str, value: Value| {
        let mut table = plain.clone();
        table[name] = value;
        let Err(problem) = Tally::from_json(&json!({"tables": [table]}).to_string()) else { panic!("{name} is taken") };
        problem
    };
    for (name, value, said) in [
        ("by", json!(["pth"]), "table t: pth is no key"),
        ("by", json!(["request.header."]), "table t: request.header. names no header field"),
        ("by", json!(vec!["path"; 17]), "table t: 17 keys: at most 16 are possible"),
        ("cap", json!(0), "table t: cap must be at least 1, and slot_ns not below 0"),
        ("where", json!({"marks": ["lost"]}), "table t: where: \"lost\" is no mark"),
        ("where", json!({"role": [true]}), "table t: where: true is no text, number or null"),
        ("measures", json!([{"sum": "path"}]), "table t: path is no number"),
        ("measures", json!([{"sum": "request.header.x?"}]), "table t: request.header.x? is no number"),
        ("measures", json!([{"sum": "status", "last": "status"}]), "table t: a measure is one of"),
        ("measures", json!([{"histogram": "status", "bounds": [2, 1]}]), "table t: bounds must rise"),
        ("measures", json!([{"sum": "status", "as": "reset"}]), "table t: as is for header fields"),
        ("colour", json!(1), "tables: unknown field `colour`"),
    ] {
        let problem = with(name, value);
        assert!(problem.starts_with(said), "{problem}");
    }
    let twice = json!({"tables": [plain, plain]}).to_string();
    assert_eq!(Tally::from_json(&twice).err().unwrap(), "tables: two are called t");
}

/// `cargo test --release -p native -- --ignored --nocapture cost`
#[test]
#[ignore = "a measurement"]
fn cost_of_a_row() {
    const ROWS: usize = 8_192;
    let by = ["method", "status", "route", "scheme", "protocol_version"];
    let paths = ["/v1/users/7", "/v1/orders", "/v1/orders/12/items", "/health"];
    for (name, run) in [("runs of 8", 8), ("no runs", 1)] {
        let requests: Vec<String> = (0..ROWS).map(|row| format!("GET {}", paths[row / run % paths.len()])).collect();
        let batch = Arc::new(batch(&requests, 200));
        for (kind, measures, exemplar) in [
            ("counted", json!([]), false),
            (
                "with a histogram",
                json!([{"histogram": "duration_ns", "bounds": [5e6, 1e7, 2.5e7, 5e7, 7.5e7, 1e8, 2.5e8]}]),
                true,
            ),
        ] {
            let one = |number: usize| {
                json!({"name": format!("t{number}"), "where": {"role": ["server", null]}, "by": by, "cap": 2000,
                       "measures": measures, "exemplar": exemplar})
            };
            let time = |tables: usize| {
                let all: Vec<Value> = (0..tables).map(one).collect();
                let mut tally = Tally::from_json(&json!({"tables": all}).to_string()).unwrap();
                let mut best = f64::MAX;
                for _ in 0..20 {
                    let start = Instant::now();
                    tally.observe(&batch).unwrap();
                    best = best.min(start.elapsed().as_nanos() as f64 / ROWS as f64);
                }
                best
            };
            let (first, five) = (time(1), time(5));
            eprintln!("{name}, {kind}: {first:.0} ns a row, {:.0} ns for each further table", (five - first) / 4.0);
        }
    }
}
