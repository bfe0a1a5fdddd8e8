//! Conversations at random, joined anywhere and with segments missing: no row says what was not said.

use super::*;
use std::collections::{BTreeMap, VecDeque};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap() % limit
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

type Fields = Vec<(String, String)>;

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// An encoder that indexes all it can, in a table of some entries.
#[derive(Default)]
struct Encoder(VecDeque<(String, String)>);

impl Encoder {
    fn encode(&mut self, fields: &Fields) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            let known = self.0.iter().position(|entry| entry.0 == *name && entry.1 == *value);
            match (name.as_str(), value.as_str(), known) {
                (":status", "200", _) => block.push(0x88),
                (":method", "POST", _) => block.push(0x83),
                (_, _, Some(place)) => block.push(0x80 | u8::try_from(62 + place).unwrap()),
                _ => {
                    block.extend(literal(name, value));
                    self.0.push_front((name.clone(), value.clone()));
                    self.0.truncate(60);
                }
            }
        }
        block
    }
}

/// What is said on a stream.
#[derive(Clone, Debug, Default)]
struct Said {
    grpc: bool,
    request: Fields,
    request_trailers: Fields,
    interim: Fields,
    response: Fields,
    trailers: Fields,
    /// Messages and octets of content.
    messages: [u64; 2],
    octets: [u64; 2],
    reset: bool,
}

fn invent(stream: u32, random: &mut Random) -> Said {
    let (path, value) = (format!("/{stream}"), format!("q{stream}"));
    let grpc = random.chance(2);
    let mut said = Said { grpc, reset: random.chance(10), ..Said::default() };
    said.request = fields(&[(":method", "POST"), (":scheme", "http"), (":path", &path), (":authority", "h")]);
    if grpc {
        said.request.extend(fields(&[("content-type", "application/grpc")]));
    } else if random.chance(3) {
        said.request_trailers = fields(&[("x-sum", "same"), ("x-r", &value)]);
    }
    said.request.extend(fields(&[("x-q", &value)]));
    if !grpc && random.chance(3) {
        said.interim = fields(&[(":status", "103"), ("link", &path)]);
    }
    let status = if grpc { "200" } else { ["200", "302", "418"][random.below(3)] };
    let kind = if grpc { "application/grpc" } else { "text/plain" };
    said.response = fields(&[(":status", status), ("content-type", kind), ("x-v", &value)]);
    if grpc {
        let code = (stream % 3).to_string();
        said.trailers = fields(&[("x-end", "same"), ("grpc-status", &code), ("x-t", &value)]);
    }
    said
}

/// Frames of one message, each with its direction.
fn message(
    stream: u32,
    head: &Fields,
    trailers: &Fields,
    side: usize,
    random: &mut Random,
    said: &mut Said,
    encoder: &mut Encoder,
) -> Vec<Vec<u8>> {
    let count = random.below(4);
    let content = if said.grpc { vec![0, 0, 0, 0, 3, 1, 2, 3] } else { vec![b'x'; 1 + random.below(40)] };
    let ends = |last: bool| if last { END_STREAM } else { 0 };
    let block = encoder.encode(head);
    let mut frames = Vec::new();
    let flags = ends(count == 0 && trailers.is_empty());
    if random.chance(4) {
        let (front, back) = block.split_at(block.len() / 2);
        frames.push([frame(1, flags, stream, front), frame(9, END_HEADERS, stream, back)].concat());
    } else {
        frames.push(frame(1, flags | END_HEADERS, stream, &block));
    }
    for place in 0..count {
        said.messages[side] += 1;
        said.octets[side] += 9 + content.len() as u64;
        frames.push(frame(0, ends(place + 1 == count && trailers.is_empty()), stream, &content));
    }
    if !trailers.is_empty() {
        frames.push(frame(1, END_HEADERS | END_STREAM, stream, &encoder.encode(trailers)));
    }
    frames
}

/// Turns of a connection, and what was said on its streams.
fn talk(random: &mut Random) -> (Vec<Turn>, BTreeMap<u64, Said>) {
    let mut turns = vec![(false, [PREFACE.to_vec(), settings()].concat()), (true, settings())];
    let (mut client, mut server) = (Encoder::default(), Encoder::default());
    let mut said = BTreeMap::new();
    let mut next = 1;
    while next < 120 {
        // Some streams side by side: HPACK wants the blocks of each direction in their order.
        let group: Vec<u32> = (0..=random.below(4)).map(|place| next + 2 * u32::try_from(place).unwrap()).collect();
        next += 2 * u32::try_from(group.len()).unwrap();
        let mut open: Vec<(u32, Said)> = group.iter().map(|stream| (*stream, invent(*stream, random))).collect();
        for (stream, it) in &mut open {
            let (head, trailers) = (it.request.clone(), it.request_trailers.clone());
            for part in message(*stream, &head, &trailers, 0, random, it, &mut client) {
                turns.push((false, part));
            }
            if random.chance(5) {
                turns.push((false, frame(6, 0, 0, &[0; 8])));
            }
        }
        for (stream, it) in &mut open {
            if !it.interim.is_empty() {
                turns.push((true, frame(1, END_HEADERS, *stream, &server.encode(&it.interim))));
            }
            let (head, trailers) = (it.response.clone(), it.trailers.clone());
            let mut parts = message(*stream, &head, &trailers, 1, random, it, &mut server);
            if it.reset {
                // The head is said, the rest is not; what enters a table with trailers does not either.
                parts = vec![frame(3, 0, *stream, &[0, 0, 0, 8])];
                server = Encoder(VecDeque::new());
                turns.push((
                    true,
                    frame(
                        1,
                        END_HEADERS,
                        *stream,
                        &[&[0x20, 0x3f, 0xe1, 0x1f][..], &server.encode(&it.response)].concat(),
                    ),
                ));
            }
            turns.extend(parts.into_iter().map(|part| (true, part)));
            if random.chance(5) {
                turns.push((true, frame(8, 0, 0, &[0, 0, 1, 0])));
            }
        }
        said.extend(open.into_iter().map(|(stream, it)| (u64::from(stream), it)));
    }
    (turns, said)
}

struct Judge<'a> {
    said: &'a BTreeMap<u64, Said>,
    rows: BTreeMap<u64, Marks>,
    wrong: Vec<String>,
}

fn known(message: &Message, list: &[heads::exchange::Field]) -> Vec<(Option<String>, Option<String>)> {
    let text = |span: heads::exchange::Span| Some(String::from_utf8_lossy(span.of(&message.head.raw)).into_owned());
    let each = list.iter().map(|field| match field.unresolved {
        Unresolved::Nothing => (text(field.name), text(field.value)),
        Unresolved::Name => (None, text(field.value)),
        Unresolved::Both => (None, None),
    });
    each.collect()
}

impl Judge<'_> {
    fn fields(&mut self, what: &str, row: &str, seen: &[(Option<String>, Option<String>)], said: &Fields) {
        for (name, value) in seen {
            let fits = said.iter().any(|it| {
                name.as_ref().is_none_or(|name| it.0 == *name) && value.as_ref().is_none_or(|value| it.1 == *value)
            });
            if !fits {
                self.wrong.push(format!("{what} {name:?} {value:?} was not said: {row}"));
            }
        }
    }
}

impl Log for Judge<'_> {
    fn exchange(&mut self, _endpoints: &Endpoints, exchange: &Exchange) {
        let side = |message: &Option<Message>| message.as_ref().map(|it| show(&it.head, it)).unwrap_or_default();
        let interim: String = exchange.interim.iter().map(|it| show(&it.head, it)).collect();
        let marks: Vec<_> = exchange.marks.names().collect();
        let row = format!(
            "{} {marks:?} {} ({interim}) {} {:?}",
            exchange.ordinal,
            side(&exchange.request),
            side(&exchange.response),
            exchange.grpc
        );
        let Some(said) = self.said.get(&exchange.ordinal) else {
            self.wrong.push(format!("no such stream: {row}"));
            return;
        };
        if self.rows.insert(exchange.ordinal, exchange.marks).is_some() {
            self.wrong.push(format!("twice: {row}"));
        }
        if exchange.marks.has(Marks::MALFORMED) || (exchange.marks.has(Marks::RESET) && !said.reset) {
            self.wrong.push(format!("not so: {row}"));
        }
        let sides = [
            (&exchange.request, &said.request, &said.request_trailers, 0),
            (&exchange.response, &said.response, &said.trailers, 1),
        ];
        let excuses = [Marks::GAP, Marks::JOINED, Marks::NO_RESPONSE, Marks::RESET, Marks::HPACK_UNRESOLVED];
        let whole = excuses.iter().all(|mark| !exchange.marks.has(*mark));
        for (message, head, trailers, side) in sides {
            // That it is missing is said by a mark of its own.
            let Some(message) = message else { continue };
            self.fields("field", &row, &known(message, &message.head.fields), head);
            self.fields("trailer", &row, &known(message, &message.head.trailers), trailers);
            let path = String::from_utf8_lossy(message.head.start.second.of(&message.head.raw)).into_owned();
            if !path.is_empty() && !head.iter().any(|(_, value)| *value == path) {
                self.wrong.push(format!("start {path}: {row}"));
            }
            if whole {
                let pseudo = if side == 0 { 4 } else { 1 };
                let counts =
                    (message.head.fields.len(), message.head.trailers.len(), message.body_bytes, message.complete);
                if counts != (head.len() - pseudo, trailers.len(), said.octets[side], true) {
                    self.wrong.push(format!("whole and is not, {counts:?} {said:?}: {row}"));
                }
            }
        }
        for interim in &exchange.interim {
            self.fields("interim", &row, &known(interim, &interim.head.fields), &said.interim);
        }
        if let Some(grpc) = &exchange.grpc {
            let code = said.trailers.iter().find(|it| it.0 == "grpc-status").map(|it| it.1.parse().unwrap());
            if !said.grpc || (grpc.status.is_some() && grpc.status != code) {
                self.wrong.push(format!("grpc: {row}"));
            }
            for (count, side, message) in
                [(grpc.request_messages, 0, &exchange.request), (grpc.response_messages, 1, &exchange.response)]
            {
                let reset = exchange.marks.has(Marks::RESET) || message.as_ref().is_none_or(|it| !it.complete);
                if count.is_some_and(|count| count != said.messages[side] && !(reset && count <= said.messages[side])) {
                    self.wrong.push(format!("{count:?} messages, {said:?}: {row}"));
                }
            }
        }
    }
}

fn play(seed: u64) -> Vec<String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..5 {
        random.below(2);
    }
    let (turns, said) = talk(&mut random);
    let joined = random.chance(3);
    let from = if joined { random.below(turns.len()) } else { 0 };
    let losses = if random.chance(4) { 0 } else { 10 + random.below(60) };
    let mut judge = Judge { said: &said, rows: BTreeMap::new(), wrong: Vec::new() };
    let mut socket = Socket::new(joined);
    let mut begun = [false; 2];
    let mut at = from;
    while at < turns.len() {
        // Frames of one direction in one write.
        let (egress, greets) = (turns[at].0, at < 2);
        let mut write = turns[at].1.clone();
        at += 1;
        while !greets && at < turns.len() && turns[at].0 == egress && random.below(3) > 0 {
            write.extend_from_slice(&turns[at].1);
            at += 1;
        }
        let mut rest = &write[..];
        while !rest.is_empty() {
            let count = if !greets && random.chance(3) { 1 + random.below(60) } else { 1400 };
            let (part, behind) = rest.split_at(count.min(rest.len()));
            // That something came before the first octets that are seen can't be known.
            let first = !std::mem::replace(&mut begun[usize::from(egress)], true);
            if !first && !greets && losses > 0 && random.chance(losses) {
                socket.lose(egress, u32::try_from(part.len()).unwrap());
            } else {
                socket.say(egress, part, 0, &mut judge);
            }
            rest = behind;
        }
    }
    socket.connections.finish(&mut judge);
    if !joined && losses == 0 {
        let marked = judge.rows.iter().filter(|(stream, marks)| **marks != Marks::default() && !said[stream].reset);
        judge.wrong.extend(marked.map(|(stream, marks)| format!("{stream} has {marks:?}")).collect::<Vec<_>>());
        if judge.rows.len() != said.len() {
            judge.wrong.push(format!("{} rows of {}", judge.rows.len(), said.len()));
        }
    }
    judge.wrong
}

#[test]
fn no_row_says_what_was_not_said() {
    let rounds = 300;
    for seed in 1..=rounds {
        let wrong = play(seed);
        assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
    }
}
