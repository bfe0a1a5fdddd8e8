//! Tests of the replay: hand-made packets and files, damaged ones, and the captures of other projects.
#![allow(
    clippy::pedantic,
    clippy::bool_assert_comparison,
    clippy::cloned_ref_to_slice_refs,
    clippy::print_stdout,
    reason = "tests: read, not shipped; a skip is told"
)]

mod build;
mod corpora;
mod damage;
mod files;
mod flows;
mod packets;

use heads::connection::{Connections, Limits};
use heads::exchange::{Endpoints, Exchange, Head, Log, Message, Span};

use super::{replay, Flows, OpenError, Progress, Reader};

/// What a file gave.
#[derive(Debug)]
struct Outcome {
    rows: Vec<Row>,
    reader: Reader,
    flows: Flows,
    connections: Connections,
}

/// One exchange, as far as these tests look.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    connection: u64,
    method: String,
    target: String,
    status: Option<u16>,
    marks: Vec<&'static str>,
    client: String,
    server: String,
    time: u64,
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Log for Rows {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        let text = |head: &Head, span: Span| String::from_utf8_lossy(span.of(&head.raw)).into_owned();
        let start = |part: fn(&Head) -> Span| {
            let head = exchange.request.as_ref().map(|message: &Message| &message.head);
            head.map(|head| text(head, part(head))).unwrap_or_default()
        };
        let first = exchange.request.as_ref().or(exchange.response.as_ref());
        self.0.push(Row {
            connection: endpoints.cookie,
            method: start(|head| head.start.first),
            target: start(|head| head.start.second),
            status: exchange.response.as_ref().and_then(|response| response.head.status),
            marks: exchange.marks.names().collect(),
            client: format!("{}:{}", endpoints.client.0, endpoints.client.1),
            server: format!("{}:{}", endpoints.server.0, endpoints.server.1),
            time: first.map(|message| message.first_byte).unwrap_or_default(),
        });
    }
}

fn read(file: Vec<u8>) -> Outcome {
    run(Reader::of(file).expect("a capture file"))
}

fn run(mut reader: Reader) -> Outcome {
    let (mut flows, mut connections) = (Flows::default(), Connections::new(Limits::default()));
    let mut log = Rows::default();
    while replay(&mut reader, &mut flows, 7, &mut connections, &mut log) != Progress::End {}
    Outcome { rows: log.0, reader, flows, connections }
}

fn try_read(file: Vec<u8>) -> Result<Outcome, OpenError> {
    Reader::of(file).map(run)
}
