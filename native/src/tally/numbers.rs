//! Numbers to measure: of columns, and read out of header fields.

use serde::Deserialize;

use super::headers::{Place, Side};
use super::keys::{header, of_side, Keys};
use super::time::{duration, rfc3339};
use crate::ndjson::columns::Columns;

/// How a header field's value is read.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// A decimal number and nothing else.
    #[default]
    Number,
    /// The first item of a list, without parameters: `100, 100;w=60`.
    Item,
    /// When a quota begins anew, in seconds from the row's end: seconds, a duration (`6m0s`), a Unix time or RFC 3339.
    Reset,
}

/// A value that was there and is no number of its form; what is not there is NaN.
pub(super) const UNREADABLE: f64 = f64::INFINITY;

#[derive(Clone, Copy)]
enum Origin {
    Column(fn(&Columns, usize) -> Option<u64>),
    Signed(fn(&Columns, usize) -> Option<i64>),
    Header(Side, usize, Form),
}

pub(super) struct Number {
    name: String,
    from: Origin,
}

impl Number {
    pub(super) fn named(name: &str, form: Form, keys: &mut Keys) -> Result<Number, String> {
        if let Some((side, field)) = header(name) {
            if field.is_empty() || field.ends_with('?') {
                return Err(format!("{name} is no number"));
            }
            let from = Origin::Header(side, keys.headers(side).add(field), form);
            return Ok(Number { name: format!("{} {form:?}", name.to_ascii_lowercase()), from });
        }
        let from = column(name).ok_or_else(|| format!("{name} is no number"))?;
        if form != Form::Number {
            return Err(format!("as is for header fields, and {name} is a column"));
        }
        Ok(Number { name: name.to_owned(), from })
    }
}

fn column(name: &str) -> Option<Origin> {
    Some(match name {
        "status" => Origin::Column(|columns, row| columns.status.get(row).map(u64::from)),
        "request_head_bytes" => Origin::Column(|columns, row| columns.request_head_bytes.get(row).map(u64::from)),
        "request_body_bytes" => Origin::Column(|columns, row| columns.request_body_bytes.get(row)),
        "response_head_bytes" => Origin::Column(|columns, row| columns.response_head_bytes.get(row).map(u64::from)),
        "response_body_bytes" => Origin::Column(|columns, row| columns.response_body_bytes.get(row)),
        "ttfb_ns" => Origin::Signed(|columns, row| columns.ttfb_ns.get(row)),
        "duration_ns" => Origin::Signed(|columns, row| columns.duration_ns.get(row)),
        "head_spread_ns" => Origin::Signed(|columns, row| columns.head_spread_ns.get(row)),
        _ => return None,
    })
}

/// All numbers of all tables.
#[derive(Default)]
pub(super) struct Numbers {
    numbers: Vec<Number>,
    values: Vec<Vec<f64>>,
}

impl Numbers {
    /// The place of a number.
    pub(super) fn add(&mut self, number: Number) -> usize {
        if let Some(place) = self.numbers.iter().position(|known| known.name == number.name) {
            return place;
        }
        self.numbers.push(number);
        self.values.push(Vec::new());
        self.numbers.len() - 1
    }

    /// Whether a row of the batch may have the number.
    pub(super) fn occurs(&self, number: usize) -> bool {
        self.values.get(number).is_some_and(|values| !values.is_empty())
    }

    #[inline]
    pub(super) fn value(&self, number: usize, row: usize) -> f64 {
        self.values.get(number).and_then(|values| values.get(row)).copied().unwrap_or(f64::NAN)
    }

    /// Reads all numbers, after [`Keys::fill`]; `ends` are the rows' ends, [`super::UNTIMED`] where not known.
    #[allow(clippy::cast_precision_loss, reason = "2^53 nanoseconds are 104 days, and as many bytes 9 petabytes")]
    pub(super) fn fill(&mut self, columns: &Columns, keys: &Keys, ends: &[i64]) {
        for (number, values) in self.numbers.iter().zip(&mut self.values) {
            values.clear();
            let rows = 0..ends.len();
            match number.from {
                Origin::Column(of) => values.extend(rows.map(|row| of(columns, row).map_or(f64::NAN, |it| it as f64))),
                Origin::Signed(of) => values.extend(rows.map(|row| of(columns, row).map_or(f64::NAN, |it| it as f64))),
                Origin::Header(side, wanted, form) => {
                    let (headers, fields) = of_side(side, &keys.request, &keys.response, columns);
                    if !headers.occurs(wanted) {
                        continue;
                    }
                    values.extend(rows.zip(ends).map(|(row, &end)| match headers.place(wanted, row) {
                        Place::At(place) => read(fields.values.bytes(place), form, end).unwrap_or(UNREADABLE),
                        _ => f64::NAN,
                    }));
                }
            }
        }
    }
}

fn read(value: &[u8], form: Form, end_ns: i64) -> Option<f64> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    match form {
        Form::Number => decimal(text),
        Form::Item => decimal(text.split([',', ';']).next()?.trim_ascii()),
        Form::Reset => reset(text, end_ns),
    }
}

/// A finite decimal number; neither `inf` nor `0x10` nor `1_000`.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| digits && number.is_finite())
}

/// Seconds from now in 31 years are a Unix time.
const UNIX: f64 = 1e9;
/// Unix time in milliseconds.
const UNIX_MS: f64 = 1e12;

#[allow(clippy::cast_precision_loss, reason = "a reset is told to the second")]
fn reset(text: &str, end_ns: i64) -> Option<f64> {
    let now = (end_ns != super::UNTIMED).then_some(end_ns as f64 / 1e9);
    match decimal(text) {
        Some(seconds) if seconds < UNIX => Some(seconds),
        Some(unix) if unix < UNIX_MS => Some(unix - now?),
        Some(unix_ms) => Some(unix_ms / 1e3 - now?),
        None => duration(text).or_else(|| Some(rfc3339(text)? - now?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimal_numbers_are_numbers() {
        for (text, number) in [("12", Some(12.0)), (" -1.5 ", Some(-1.5)), ("1e3", Some(1000.0)), ("+2", Some(2.0))] {
            assert_eq!(read(text.as_bytes(), Form::Number, 0), number, "{text}");
        }
        for text in ["", "inf", "-inf", "nan", "0x10", "1_000", "12, 12", "twelve", "1e999", "e", "-", "1 2"] {
            assert_eq!(read(text.as_bytes(), Form::Number, 0), None, "{text}");
        }
        assert_eq!(read(b"100, 100;w=60", Form::Item, 0), Some(100.0));
        assert_eq!(read(b"7;w=1", Form::Item, 0), Some(7.0));
    }

    #[test]
    fn a_reset_is_seconds_from_now_however_it_is_told() {
        let now = 1_785_542_400_000_000_000;
        for text in
            ["90", "1m30s", "1785542490", "1785542490000", "2026-08-01T00:01:30Z", "2026-08-01T02:01:30.0+02:00"]
        {
            assert_eq!(read(text.as_bytes(), Form::Reset, now), Some(90.0), "{text}");
        }
        for text in ["soon", "1x", "2026-13-01T00:00:00Z", "2026-08-01"] {
            assert_eq!(read(text.as_bytes(), Form::Reset, now), None, "{text}");
        }
        assert_eq!(read(b"1785542490", Form::Reset, super::super::UNTIMED), None);
    }
}
