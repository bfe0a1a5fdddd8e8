//! Tables as JSON, written from copies that nobody waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::groups::{Exemplar, Groups, Layout};
use super::spec::{Kind, Plan};
use super::table::Missed;
use super::words::Words;
use super::UNTIMED;

/// A table at one moment.
pub(super) struct Still {
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<Layout>,
    pub(super) slots: BTreeMap<i64, Arc<Groups>>,
    pub(super) missed: Missed,
}

#[derive(Serialize)]
struct Document<'a> {
    tables: BTreeMap<&'a str, Table<'a>>,
}

#[derive(Serialize)]
struct Table<'a> {
    by: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<Vec<Slot<'a>>>,
    overflow: Overflow,
    late: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Overflow {
    rows: u64,
    calls: f64,
}

#[derive(Serialize)]
struct Slot<'a> {
    start_ns: i64,
    end_ns: i64,
    groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
struct Group<'a> {
    keys: Vec<Option<&'a str>>,
    rows: u64,
    calls: f64,
    measures: Vec<Measure<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Measure<'a> {
    Histogram {
        counts: &'a [f64],
        sum: f64,
        unreadable: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        exemplars: Option<Vec<Option<Example<'a>>>>,
    },
    Sum {
        sum: f64,
        count: f64,
        unreadable: f64,
    },
    Value {
        value: Option<f64>,
        time_ns: Option<i64>,
        unreadable: f64,
    },
}

#[derive(Serialize)]
struct Example<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    value: f64,
    time_ns: Option<i64>,
}

/// Writes tables; those without slots as `groups`, the others as `slots`.
pub(super) fn write(stills: &[Still], words: &Words) -> String {
    let tables = stills.iter().map(|still| (still.plan.name.as_str(), table(still, words))).collect();
    // Numbers and texts only: nothing that JSON can't hold.
    serde_json::to_string(&Document { tables }).unwrap_or_default()
}

fn table<'a>(still: &'a Still, words: &'a Words) -> Table<'a> {
    let width = still.plan.slot_ns;
    let all = |groups: &'a Groups| (0..groups.len()).map(|place| group(still, groups, place, words)).collect();
    let slots = still.slots.iter().map(|(&slot, groups)| {
        let start_ns = slot.saturating_mul(width);
        Slot { start_ns, end_ns: start_ns.saturating_add(width), groups: all(groups) }
    });
    let missed = still.missed;
    Table {
        by: &still.plan.names,
        groups: (width == 0).then(|| still.slots.get(&0).map(|groups| all(groups)).unwrap_or_default()),
        slots: (width > 0).then(|| slots.collect()),
        overflow: Overflow { rows: missed.overflow_rows, calls: missed.overflow_calls },
        late: missed.late,
        refused: missed.refused,
    }
}

fn group<'a>(still: &'a Still, groups: &'a Groups, place: usize, words: &'a Words) -> Group<'a> {
    let width = still.plan.by.len();
    let keys = groups.keys.get(place * width..(place + 1) * width).unwrap_or_default();
    Group {
        keys: keys.iter().map(|&id| words.text(id)).collect(),
        rows: groups.rows.get(place).copied().unwrap_or_default(),
        calls: groups.calls.get(place).copied().unwrap_or_default(),
        measures: (0..still.plan.measures.len()).filter_map(|number| measure(still, groups, place, number)).collect(),
    }
}

fn measure<'a>(still: &'a Still, groups: &'a Groups, group: usize, number: usize) -> Option<Measure<'a>> {
    let layout = &still.layout;
    let at = layout.places.get(number)?;
    let cells = groups.cells.get(group * layout.cells + at.cells..)?;
    Some(match &still.plan.measures.get(number)?.kind {
        Kind::Histogram(_) => {
            let begin = group * layout.exemplars + at.exemplars;
            let exemplars = groups.exemplars.get(begin..begin + at.buckets).filter(|_| layout.exemplars > 0);
            Measure::Histogram {
                counts: cells.get(..at.buckets)?,
                sum: *cells.get(at.buckets)?,
                unreadable: *cells.get(at.buckets + 1)?,
                exemplars: exemplars.map(|exemplars| exemplars.iter().map(example).collect()),
            }
        }
        Kind::Sum => Measure::Sum { sum: *cells.first()?, count: *cells.get(1)?, unreadable: *cells.get(2)? },
        Kind::Last | Kind::Min | Kind::Max => {
            let value = cells.first().copied().filter(|value| !value.is_nan());
            let time = groups.times.get(group * layout.places.len() + number).copied();
            let time_ns = time.filter(|&time| value.is_some() && time != UNTIMED);
            Measure::Value { value, time_ns, unreadable: *cells.get(1)? }
        }
    })
}

fn example(exemplar: &Exemplar) -> Option<Example<'_>> {
    exemplar.is_some().then(|| Example {
        trace_id: std::str::from_utf8(&exemplar.trace).unwrap_or_default(),
        span_id: std::str::from_utf8(&exemplar.span).unwrap_or_default(),
        value: exemplar.value,
        time_ns: (exemplar.end_ns != UNTIMED).then_some(exemplar.end_ns),
    })
}
