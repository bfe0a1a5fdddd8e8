//! What the targets share: a connection to speak on, and a log that checks what every row promises.

use heads::exchange::{Endpoints, Exchange, Head, Log, Message, Role, Span};
use std::net::{IpAddr, Ipv4Addr};

/// Rows as text, without their endpoints; each was checked when it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows(pub Vec<String>);

impl Log for Rows {
    fn exchange(&mut self, _endpoints: &Endpoints, exchange: &Exchange) {
        assert!(
            exchange.request.is_some() || exchange.response.is_some() || !exchange.interim.is_empty(),
            "a row of nothing"
        );
        let messages = [&exchange.request, &exchange.response].into_iter().flatten();
        for message in messages.chain(&exchange.interim) {
            check(message);
        }
        self.0.push(format!("{exchange:?}"));
    }
}

/// Every part of a head lies within the bytes that came.
fn check(message: &Message) {
    let head = &message.head;
    let start = head.start;
    let pseudo = [head.scheme, head.authority, head.protocol];
    for span in [start.first, start.second, start.third].into_iter().chain(pseudo.into_iter().flatten()) {
        within(span, head);
    }
    for field in head.fields.iter().chain(&head.trailers) {
        within(field.name, head);
        within(field.value, head);
        let lines = head.version == Some((2, 0)) || field.folded;
        assert!(lines || !field.value.of(&head.raw).contains(&b'\n'), "a line break in a value");
    }
}

fn within(span: Span, head: &Head) {
    let end = u64::from(span.start) + u64::from(span.len);
    assert!(end <= head.raw.len() as u64, "a part of a head lies outside it");
}

/// The ends of a connection of this host.
pub fn endpoints(cookie: u64, role: Option<Role>) -> Endpoints {
    Endpoints {
        cookie,
        role,
        client: (IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000),
        server: (IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080),
        netns: None,
        cgroup: None,
        process: None,
        tls: None,
    }
}

/// Takes numbers off the front of the input; zeros when it is used up.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
