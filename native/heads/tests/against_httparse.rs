//! Heads that httparse accepts are read the same here, and nothing that we call well-formed is refused there.

use heads::exchange::{Fault, Message};
use heads::http1::{Kind, Parser};

/// xorshift: the same heads in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "M-SEARCH", "x", "G(T", ""];
const TARGETS: [&str; 8] = ["/", "/a?b=c", "*", "http://a/b", "a:443", "/a b", "", "/\u{e9}"];
const VERSIONS: [&str; 8] = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/2.0", "http/1.1", ""];
const STATUSES: [&str; 8] = ["200 OK", "404 Not Found", "204 ", "500", "20 OK", "2000 X", "xyz", ""];
const NAMES: [&str; 9] = ["Host", "content-length", "X-Y_z!", "a", "Accept ", " Lead", "Ba(d", "", "Caf\u{e9}"];
const VALUES: [&str; 10] = ["a", "", " b", "c \t", "\td: e", "1, 2", "\u{e9}", "\"q\"", "nul\0", "cr\rlf"];
const ENDS: [&str; 8] = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\r\n"];

/// A head with mostly good parts.
fn head(random: &mut Random, kind: Kind) -> String {
    let mut usual = |parts: &[&'static str]| {
        let good = random.below(10) > 0;
        parts[random.below(if good { parts.len() / 2 } else { parts.len() })]
    };
    let start = match kind {
        Kind::Request => format!("{} {} {}", usual(&METHODS), usual(&TARGETS), usual(&VERSIONS)),
        Kind::Response => format!("{} {}", usual(&VERSIONS), usual(&STATUSES)),
    };
    let mut text = start + random.pick(&ENDS);
    for _ in 0..random.below(5) {
        let odd = random.below(8) == 0;
        let (names, values) = if odd { (&NAMES[..], &VALUES[..]) } else { (&NAMES[..4], &VALUES[..8]) };
        let colon = if odd && random.below(4) == 0 { "" } else { ":" };
        text += &[random.pick(names), colon, random.pick(values), random.pick(&ENDS)].concat();
    }
    text + random.pick(&["\r\n", "\r\n", "\r\n", "\n"])
}

fn ours(kind: Kind, text: &[u8]) -> Message {
    let mut parser = Parser::new(kind, 1 << 16);
    parser.feed(text, 1, 1);
    parser.message
}

type Parts = (Vec<u8>, Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>);

fn parts(message: &Message) -> Parts {
    let head = &message.head;
    let fields = head.fields.iter().map(|field| (field.name.of(&head.raw).into(), field.value.of(&head.raw).into()));
    (head.start.first.of(&head.raw).into(), head.start.second.of(&head.raw).into(), fields.collect())
}

fn theirs(fields: &[httparse::Header<'_>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|field| (field.name.into(), field.value.into())).collect()
}

/// Its parts, if it reads the head to its end.
fn httparse(kind: Kind, text: &[u8]) -> Option<Parts> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    match kind {
        Kind::Request => {
            let mut request = httparse::Request::new(&mut fields);
            let whole = request.parse(text).is_ok_and(|status| status.is_complete());
            whole.then(|| (request.method.unwrap().into(), request.path.unwrap().into(), theirs(request.headers)))
        }
        Kind::Response => {
            let mut response = httparse::Response::new(&mut fields);
            let whole = response.parse(text).is_ok_and(|status| status.is_complete());
            let version = format!("HTTP/1.{}", response.version.unwrap_or_default());
            let code = format!("{:03}", response.code.unwrap_or_default());
            whole.then(|| (version.into(), code.into(), theirs(response.headers)))
        }
    }
}

/// Where the two may judge differently.
fn known_difference(kind: Kind, text: &str, message: &Message) -> bool {
    let start = text.lines().next().unwrap_or_default();
    let head = &message.head;
    match head.fault {
        // A fold is no fault for a recipient that takes it for white space (RFC 9112, section 5.2).
        None if head.fields.iter().any(|field| field.folded) => true,
        // It knows two versions only; any `HTTP/d.d` is one (RFC 9112, section 2.3).
        None => !["HTTP/1.0", "HTTP/1.1"].iter().any(|version| start.contains(version)),
        // Any three digits are a status code to it; the first is 1 to 5 (RFC 9110, section 15).
        Some((Fault::Status, _)) => kind == Kind::Response,
        // It takes UTF-8 in a target, which is of ASCII (RFC 3986, section 2).
        Some((Fault::Target, _)) => !start.is_ascii(),
        _ => false,
    }
}

#[test]
fn heads_are_read_as_httparse_reads_them() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..200_000 {
        for kind in [Kind::Request, Kind::Response] {
            let text = head(&mut random, kind);
            // An empty line where the head begins is none of it.
            if text.starts_with(['\r', '\n']) {
                continue;
            }
            let message = ours(kind, text.as_bytes());
            let fault = message.head.fault;
            if let Some(theirs) = httparse(kind, text.as_bytes()) {
                accepted += 1;
                assert_eq!(parts(&message), theirs, "{text:?}");
                assert!(fault.is_none() || known_difference(kind, &text, &message), "{text:?}: {fault:?}");
            } else {
                refused += 1;
                let stray = message.head.raw.is_empty();
                assert!(stray || fault.is_some() || known_difference(kind, &text, &message), "{text:?}");
            }
        }
    }
    assert!(accepted > 50_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}
