//! What is to be counted: the JSON of Python, checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::keys::{Key, Keys};
use super::numbers::{Form, Number, Numbers};
use super::words::{Id, Words, NULL};
use heads::exchange::Marks;

/// Keys of one table; more could not be told apart by anyone.
pub(super) const MOST_KEYS: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    tables: Vec<TableDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableDocument {
    name: String,
    #[serde(default, rename = "where")]
    conditions: BTreeMap<String, Vec<Value>>,
    by: Vec<String>,
    cap: usize,
    #[serde(default)]
    slot_ns: i64,
    #[serde(default)]
    measures: Vec<MeasureDocument>,
    #[serde(default)]
    exemplar: bool,
    #[serde(default)]
    measured: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasureDocument {
    histogram: Option<String>,
    bounds: Option<Vec<f64>>,
    sum: Option<String>,
    last: Option<String>,
    min: Option<String>,
    max: Option<String>,
    #[serde(rename = "as")]
    form: Option<Form>,
}

/// What is measured of the rows of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Weights by bucket, and their sum; the bounds are the upper ends of all buckets but the last.
    Histogram(Vec<f64>),
    Sum,
    Last,
    Min,
    Max,
}

#[derive(Clone)]
pub(super) struct Measure {
    pub(super) kind: Kind,
    /// Place in [`Numbers`].
    pub(super) number: usize,
}

/// One table, with its keys and numbers as places in what is worked out once per batch for all tables.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) conditions: Vec<(usize, Vec<Id>)>,
    /// Marks of which a row must have one; 0 where it need not.
    pub(super) marks: u32,
    pub(super) names: Vec<String>,
    pub(super) by: Vec<usize>,
    pub(super) cap: usize,
    pub(super) slot_ns: i64,
    pub(super) measures: Vec<Measure>,
    pub(super) exemplar: bool,
    /// Only rows that have one of the numbers are counted.
    pub(super) measured: bool,
}

/// Reads the plans, and collects their keys and numbers.
pub(super) fn read(text: &str, words: &mut Words) -> Result<(Vec<Plan>, Keys, Numbers), String> {
    let document: Document = serde_json::from_str(text).map_err(|error| format!("tables: {error}"))?;
    let (mut keys, mut numbers) = (Keys::default(), Numbers::default());
    let mut plans: Vec<Plan> = Vec::new();
    for table in document.tables {
        let name = table.name.clone();
        if plans.iter().any(|plan| plan.name == name) {
            return Err(format!("tables: two are called {name}"));
        }
        let plan = plan(table, words, &mut keys, &mut numbers);
        plans.push(plan.map_err(|problem| format!("table {name}: {problem}"))?);
    }
    Ok((plans, keys, numbers))
}

fn plan(table: TableDocument, words: &mut Words, keys: &mut Keys, numbers: &mut Numbers) -> Result<Plan, String> {
    if table.by.len() > MOST_KEYS {
        return Err(format!("{} keys: at most {MOST_KEYS} are possible", table.by.len()));
    }
    if table.cap == 0 || table.slot_ns < 0 {
        return Err("cap must be at least 1, and slot_ns not below 0".to_owned());
    }
    let (mut conditions, mut marks) = (Vec::new(), 0);
    for (name, values) in table.conditions {
        if name == "marks" {
            marks = values.iter().map(mark).try_fold(0, |all, one| one.map(|one| all | one))?;
        } else {
            let wanted = values.iter().map(|value| word(value, words)).collect::<Result<_, _>>()?;
            conditions.push((keys.add(Key::named(&name)?), wanted));
        }
    }
    let by = table.by.iter().map(|name| Ok(keys.add(Key::named(name)?))).collect::<Result<_, String>>()?;
    let measures = table.measures.into_iter().map(|one| measure(one, keys, numbers)).collect::<Result<_, _>>()?;
    Ok(Plan {
        name: table.name,
        conditions,
        marks,
        names: table.by,
        by,
        cap: table.cap,
        slot_ns: table.slot_ns,
        measures,
        exemplar: table.exemplar,
        measured: table.measured,
    })
}

fn word(value: &Value, words: &mut Words) -> Result<Id, String> {
    match value {
        Value::Null => Ok(NULL),
        Value::String(text) => Ok(words.id(text.as_bytes())),
        Value::Number(number) => Ok(words.id(number.to_string().as_bytes())),
        other => Err(format!("where: {other} is no text, number or null")),
    }
}

fn mark(value: &Value) -> Result<u32, String> {
    let known = Marks::NAMES.iter().position(|name| value == name);
    known.map(|bit| 1 << bit).ok_or_else(|| format!("where: {value} is no mark"))
}

fn measure(document: MeasureDocument, keys: &mut Keys, numbers: &mut Numbers) -> Result<Measure, String> {
    let form = document.form.unwrap_or_default();
    let bounds = document.bounds.unwrap_or_default();
    if !bounds.is_sorted_by(|one, next| one < next) {
        return Err("bounds must rise".to_owned());
    }
    let given = [
        (Kind::Histogram(bounds), document.histogram),
        (Kind::Sum, document.sum),
        (Kind::Last, document.last),
        (Kind::Min, document.min),
        (Kind::Max, document.max),
    ];
    let mut given = given.into_iter().filter_map(|(kind, name)| name.map(|name| (kind, name)));
    match (given.next(), given.next()) {
        (Some((kind, name)), None) => Ok(Measure { kind, number: numbers.add(Number::named(&name, form, keys)?) }),
        _ => Err("a measure is one of histogram, sum, last, min and max".to_owned()),
    }
}
