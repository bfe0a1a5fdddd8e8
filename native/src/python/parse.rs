//! `masthead._native.parse`: raw bytes of one direction through the same parser.

use super::batch::Batch;
use super::rules::Rules;
use crate::batch::{Rows, Source};
use heads::connection::Limits;
use heads::exchange::{Endpoints, Head, Span};
use heads::http1::framing::{self, Asked};
use heads::http1::{Event, Framing, Kind, Parser};
use heads::ledger::Ledger;
use heads::pairing::Pairing;
use heads::stream::Place;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

/// One direction's bytes as rows.
#[pyfunction]
pub(crate) fn parse(
    py: Python<'_>,
    data: &[u8],
    response: bool,
    rules: &Rules,
    max_head_bytes: usize,
) -> PyResult<Vec<Batch>> {
    let rules = rules.share();
    let batches = py.detach(|| {
        let nowhere = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let endpoints = Endpoints {
            cookie: 1,
            role: None,
            client: nowhere,
            server: nowhere,
            netns: None,
            cgroup: None,
            process: None,
            tls: None,
        };
        let limits = Limits { max_head_bytes, ..Limits::default() };
        let mut pairing = Pairing::one_way(endpoints, limits, if response { Kind::Response } else { Kind::Request });
        let mut rows = Rows::new(rules, (), Source::Pcap, "bytes");
        let mut ledger = Ledger::default();
        pairing.data(false, data, Place { time: 0, seq: 0 }, &mut ledger, &mut rows);
        pairing.end(false, 0, &mut ledger, &mut rows);
        pairing.finish(0, &mut ledger, &mut rows);
        let mut batches = Vec::new();
        while let Some(batch) = rows.finish()? {
            batches.push(batch);
        }
        Ok::<_, arrow_schema::ArrowError>(batches)
    });
    let batches = batches.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(batches.into_iter().map(Batch::new).collect())
}

/// Where each part of each message lies: `(part, offset, length)`, in the order of the bytes. `fault` has the fault's
/// text for a part. Content is told as `body`.
#[pyfunction]
#[pyo3(signature = (data, response, finish=true))]
pub(crate) fn parse_spans(data: &[u8], response: bool, finish: bool) -> Vec<(String, u64, u64)> {
    let kind = if response { Kind::Response } else { Kind::Request };
    let mut parser = Parser::new(kind, data.len().max(1));
    let mut told = Vec::new();
    let (mut at, mut base) = (0_usize, 0_u64);
    loop {
        let rest = data.get(at..).unwrap_or_default();
        let (used, event) = parser.feed(rest, 0, u32::try_from(at).unwrap_or_default());
        at += used;
        match event {
            Event::Head => {
                let framing = framing::decide(&mut parser.message.head, kind, Asked::default());
                base = u64::from(parser.first_seq);
                tell(&parser.message.head, base, &mut told);
                let next = parser.proceed(framing);
                if framing == Framing::Opaque || next == Event::Lost {
                    told.push(("rest".to_owned(), at as u64, (data.len() - at) as u64));
                    break;
                }
                if next == Event::End {
                    told.push(("end".to_owned(), at as u64, 0));
                    parser.message = heads::exchange::Message::default();
                }
            }
            Event::End => {
                told.push(("body".to_owned(), base, parser.message.body_bytes));
                trailers(&parser.message.head, at, &mut told);
                told.push(("end".to_owned(), at as u64, 0));
                parser.message = heads::exchange::Message::default();
            }
            Event::Stray => {
                told.push(("fault: start line".to_owned(), at as u64, 0));
                break;
            }
            Event::Lost => {
                fault(&parser.message.head, base, &mut told);
                break;
            }
            Event::More => {
                if parser.in_head() {
                    // What is missing is no fault where the bytes are not said to be all.
                    parser.cut |= !finish;
                    parser.close(0);
                    framing::decide(&mut parser.message.head, kind, Asked::default());
                    tell(&parser.message.head, u64::from(parser.first_seq), &mut told);
                } else if finish {
                    if parser.close(0) == Event::End {
                        told.push(("body".to_owned(), base, parser.message.body_bytes));
                        told.push(("end".to_owned(), at as u64, 0));
                    } else {
                        fault(&parser.message.head, base, &mut told);
                    }
                }
                break;
            }
        }
    }
    told
}

fn tell(head: &Head, base: u64, told: &mut Vec<(String, u64, u64)>) {
    let mut part =
        |name: &str, span: Span| told.push((name.to_owned(), base + u64::from(span.start), u64::from(span.len)));
    part("first", head.start.first);
    part("second", head.start.second);
    part("third", head.start.third);
    for field in &head.fields {
        part("name", field.name);
        part("value", field.value);
    }
    fault(head, base, told);
}

/// `end`: where the trailer section ends; in `raw` it follows the head, on the wire the body lies between.
fn trailers(head: &Head, end: usize, told: &mut Vec<(String, u64, u64)>) {
    let base = (end as u64).saturating_sub(head.raw.len() as u64);
    for field in &head.trailers {
        told.push(("trailer_name".to_owned(), base + u64::from(field.name.start), u64::from(field.name.len)));
        told.push(("trailer_value".to_owned(), base + u64::from(field.value.start), u64::from(field.value.len)));
    }
    fault(head, 0, told);
}

fn fault(head: &Head, base: u64, told: &mut Vec<(String, u64, u64)>) {
    if let Some((fault, at)) = head.fault {
        told.push((format!("fault: {}", fault.text()), base + u64::from(at), 0));
    }
}
