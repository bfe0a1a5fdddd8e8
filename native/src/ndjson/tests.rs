//! Lines read back by another parser and compared with the columns they were made of.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, ListArray, RecordBatch, StringArray, StructArray};
use arrow_schema::DataType;
use heads::exchange::Log;
use serde_json::Value;

use super::{write, Headers};
use crate::batch::tests::{endpoints, exchange, rules, Random};
use crate::batch::{Rows, Source};

fn batch(seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let mut rows = Rows::new(rules(""), (), Source::Pcap, "pcap");
    for cookie in 0..50 {
        let request = random.head("POST /a?b=\"c\" HTTP/1.1");
        let response = random.head("HTTP/1.1 200 OK");
        rows.exchange(&endpoints(cookie), &exchange(&request, &response));
    }
    rows.finish().unwrap().unwrap()
}

/// Name and value of each field of a row, straight from Arrow.
fn fields(batch: &RecordBatch, column: &str, row: usize) -> Vec<(String, String)> {
    let list = batch.column_by_name(column).unwrap().as_list::<i32>().value(row);
    let parts = list.as_struct();
    let names = parts.column(0).as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
    let values = parts.column(1).as_string::<i32>();
    names.into_iter().zip(values).map(|(name, value)| (name.unwrap().into(), value.unwrap().into())).collect()
}

fn lines(batch: &RecordBatch, headers: Headers) -> Vec<Value> {
    let mut out = Vec::new();
    write(batch, headers, &mut out).unwrap();
    assert_eq!(out.last(), Some(&b'\n'));
    let lines = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn pairs_are_the_columns() {
    for seed in 0..20 {
        let batch = batch(seed);
        let lines = lines(&batch, Headers::Pairs);
        assert_eq!(lines.len(), batch.num_rows());
        for (row, line) in lines.iter().enumerate() {
            for (column, side) in [("request_fields", "request"), ("response_fields", "response")] {
                let pairs: Vec<(String, String)> =
                    serde_json::from_value(line["http"][side]["header"].clone()).unwrap();
                assert_eq!(pairs, fields(&batch, column, row));
            }
        }
    }
}

#[test]
fn objects_are_the_columns_grouped_by_name_in_lower_case() {
    for seed in 0..20 {
        let batch = batch(seed);
        for (row, line) in lines(&batch, Headers::Object).iter().enumerate() {
            for (column, side) in [("request_fields", "request"), ("response_fields", "response")] {
                let mut expected = serde_json::Map::new();
                for (name, value) in fields(&batch, column, row) {
                    let values = expected.entry(name.to_ascii_lowercase()).or_insert_with(|| Value::Array(vec![]));
                    values.as_array_mut().unwrap().push(value.into());
                }
                assert_eq!(line["http"][side]["header"], Value::Object(expected));
            }
        }
    }
}

#[test]
fn names_are_those_of_their_own_column_where_dictionaries_differ() {
    let made = batch(3);
    let mut names = Vec::new();
    for column in made.columns() {
        // Read back from a file, each column has a dictionary of its own: here, the names in another order.
        let array = match column.as_list_opt::<i32>().map(|list| (list, list.values().as_struct_opt())) {
            Some((list, Some(parts))) if parts.column_by_name("name").is_some() => {
                let words = parts.column(0).as_dictionary::<Int32Type>();
                let reordered: DictionaryArray<Int32Type> =
                    words.downcast_dict::<StringArray>().unwrap().into_iter().collect();
                let (fields, mut columns, nulls) = parts.clone().into_parts();
                columns[0] = Arc::new(reordered);
                let (DataType::List(item), offsets) = (list.data_type(), list.offsets()) else { unreachable!() };
                let parts = Arc::new(StructArray::new(fields, columns, nulls));
                Arc::new(ListArray::new(Arc::clone(item), offsets.clone(), parts, list.nulls().cloned()))
            }
            _ => Arc::clone(column),
        };
        names.push(array);
    }
    let read = RecordBatch::try_new(made.schema(), names).unwrap();
    assert_eq!(lines(&read, Headers::Pairs), lines(&made, Headers::Pairs));
    assert_eq!(lines(&read, Headers::Object), lines(&made, Headers::Object));
}

#[test]
fn plain_columns_stand_in_their_places() {
    let batch = batch(1);
    let text =
        |column: &str, row: usize| batch.column_by_name(column).unwrap().as_string::<i32>().value(row).to_owned();
    for (row, line) in lines(&batch, Headers::Object).iter().enumerate() {
        assert_eq!(line["masthead"]["exchange_id"], text("exchange_id", row));
        assert_eq!(line["masthead"]["target"], text("target", row));
        assert_eq!(line["url"]["path"], text("path", row));
        assert_eq!(line["url"]["query"], "b=\"c\"");
        assert_eq!(line["http"]["route"], "/a");
        assert_eq!(line["masthead"]["route_source"], "inferred");
        assert_eq!(line["masthead"]["source"], "pcap");
    }
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let other = RecordBatch::new_empty(std::sync::Arc::new(arrow_schema::Schema::empty()));
    assert!(write(&other, Headers::Pairs, &mut Vec::new()).is_err());
}
