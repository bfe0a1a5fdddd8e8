use super::*;

/// Rows as `METHOD target > interim.. status [marks] fields`, and the connection that gave them.
struct Talk {
    pairing: Pairing,
    ledger: Ledger,
    rows: Rows,
}

#[derive(Default)]
struct Rows(Vec<String>);

impl Log for Rows {
    fn exchange(&mut self, _: &Endpoints, exchange: &Exchange) {
        let asked = exchange.request.as_ref().map_or("-".to_owned(), |message| {
            let head = &message.head;
            let text = |span: crate::exchange::Span| String::from_utf8_lossy(span.of(&head.raw)).into_owned();
            format!("{} {} {}", text(head.start.first), text(head.start.second), message.body_bytes)
        });
        let status = |message: &Message| message.head.status.map_or("?".to_owned(), |status| status.to_string());
        let interim: String = exchange.interim.iter().map(|message| status(message) + " ").collect();
        let answered = exchange
            .response
            .as_ref()
            .map_or("-".to_owned(), |message| format!("{} {}", status(message), message.body_bytes));
        let marks: Vec<_> = exchange.marks.names().collect();
        self.0.push(format!("{asked} > {interim}{answered} [{}]", marks.join(" ")));
    }
}

const AT: Place = Place { time: 5, seq: 1 };

impl Talk {
    fn new(joined: bool, limits: Limits) -> Self {
        let nowhere = Pairing::default().endpoints;
        Talk { pairing: Pairing::new(nowhere, joined, limits), ledger: Ledger::default(), rows: Rows::default() }
    }

    fn ask(mut self, text: &str) -> Self {
        self.pairing.data(false, text.as_bytes(), AT, &mut self.ledger, &mut self.rows);
        self
    }

    fn answer(mut self, text: &str) -> Self {
        self.pairing.data(true, text.as_bytes(), AT, &mut self.ledger, &mut self.rows);
        self
    }

    fn skip(mut self, egress: bool, count: u32) -> Self {
        self.pairing.skipped(egress, count, false, AT, &mut self.ledger, &mut self.rows);
        self
    }

    fn cut(mut self, egress: bool, count: u32) -> Self {
        self.pairing.skipped(egress, count, true, AT, &mut self.ledger, &mut self.rows);
        self
    }

    fn gap(mut self, egress: bool, count: u32) -> Self {
        self.pairing.gap(egress, count, AT, &mut self.ledger, &mut self.rows);
        self
    }

    fn end(mut self, egress: bool) -> Self {
        self.pairing.end(egress, 9, &mut self.ledger, &mut self.rows);
        self
    }

    fn reset(mut self) -> Self {
        self.pairing.reset();
        self
    }

    /// The connection is over: all rows.
    fn rows(mut self) -> Vec<String> {
        self.pairing.finish(9, &mut self.ledger, &mut self.rows);
        assert_eq!(self.pairing.open(), 0);
        assert_eq!(self.ledger.exchanges, self.rows.0.len() as u64);
        self.rows.0
    }
}

fn talk() -> Talk {
    Talk::new(false, Limits::default())
}

fn joined() -> Talk {
    Talk::new(true, Limits::default())
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

mod exchanges;
mod losses;
