//! The format of SSLKEYLOGFILE (RFC 9850): lines of a label, the client's random and a secret, in hexadecimal.

use crate::secrets::{Label, Random, Secret, Secrets};

/// A line longer than this is none: the longest label, a random and a secret have less than 200 characters.
pub const LINE: usize = 1024;

/// Why a line can't be used. The text is shown to users; it never has anything of the line in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Parts,
    Random,
    Secret,
    Length,
}

impl Fault {
    pub fn text(self) -> &'static str {
        match self {
            Fault::Parts => "not a label, a client random and a secret with one space between them",
            Fault::Random => "the client random is not 64 hexadecimal digits",
            Fault::Secret => "the secret is not hexadecimal digits",
            Fault::Length => "the secret is not as long as its label asks",
        }
    }
}

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A secret that is used here.
    Secret,
    /// A comment or an empty line.
    Nothing,
    /// A label that nothing here needs: exporter secrets, QUIC, encrypted ClientHellos, RSA premaster secrets.
    Unused,
}

/// Reads one line, without its end, into `secrets`.
pub fn line(text: &[u8], secrets: &mut Secrets) -> Result<Line, Fault> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = text.trim_ascii_end();
    if text.is_empty() || text.starts_with(b"#") {
        return Ok(Line::Nothing);
    }
    let mut parts = text.split(|byte| *byte == b' ');
    let (Some(name), Some(random), Some(secret), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Parts);
    };
    // A label is upper case letters, digits and underscores: anything else is not this format.
    if name.is_empty() || !name.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')) {
        return Err(Fault::Parts);
    }
    let Some(label) = label(name) else {
        return Ok(Line::Unused);
    };
    let mut known: Random = [0; 32];
    if hex(random, &mut known) != Some(known.len()) {
        return Err(Fault::Random);
    }
    let mut bytes = [0; Secret::LONGEST];
    if secret.len() > bytes.len() * 2 {
        return Err(Fault::Length);
    }
    let length = hex(secret, &mut bytes).ok_or(Fault::Secret)?;
    if !(length == 48 || (length == 32 && label != Label::Master)) {
        return Err(Fault::Length);
    }
    let secret = bytes.get(..length).and_then(Secret::new).ok_or(Fault::Length)?;
    secrets.add(known, label, secret);
    Ok(Line::Secret)
}

fn label(name: &[u8]) -> Option<Label> {
    Some(match name {
        b"CLIENT_RANDOM" => Label::Master,
        b"CLIENT_EARLY_TRAFFIC_SECRET" => Label::ClientEarly,
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
        b"CLIENT_TRAFFIC_SECRET_0" => Label::ClientTraffic,
        b"SERVER_TRAFFIC_SECRET_0" => Label::ServerTraffic,
        _ => return None,
    })
}

/// Hexadecimal digits of either case into `to`; how many bytes they were.
fn hex(digits: &[u8], to: &mut [u8]) -> Option<usize> {
    let length = digits.len() / 2;
    if digits.is_empty() || !digits.len().is_multiple_of(2) || length > to.len() {
        return None;
    }
    for (byte, pair) in to.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(length)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A key log as a stream of bytes: lines of any length, cut anywhere.
#[derive(Debug, Default)]
pub struct Reader {
    rest: Vec<u8>,
    overlong: bool,
    /// Lines so far.
    pub lines: u64,
    /// Secrets read.
    pub secrets: u64,
    /// Lines with labels that nothing here needs.
    pub unused: u64,
}

impl Reader {
    /// Takes the next bytes; a fault is told with its line, counted from 1.
    pub fn feed(&mut self, mut bytes: &[u8], secrets: &mut Secrets, mut fault: impl FnMut(u64, Fault)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (head, tail) = bytes.split_at(end);
            self.keep(head);
            self.end_line(secrets, &mut fault);
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    /// The file is over: its last line need not have an end.
    pub fn finish(&mut self, secrets: &mut Secrets, mut fault: impl FnMut(u64, Fault)) {
        if !self.rest.is_empty() || self.overlong {
            self.end_line(secrets, &mut fault);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.rest.len() + bytes.len() > LINE {
            self.overlong = true;
            self.rest.clear();
        }
        if !self.overlong {
            self.rest.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, secrets: &mut Secrets, fault: &mut impl FnMut(u64, Fault)) {
        self.lines += 1;
        let text = std::mem::take(&mut self.rest);
        if std::mem::take(&mut self.overlong) {
            fault(self.lines, Fault::Parts);
            return;
        }
        match line(&text, secrets) {
            Ok(Line::Secret) => self.secrets += 1,
            Ok(Line::Unused) => self.unused += 1,
            Ok(Line::Nothing) => {}
            Err(what) => fault(self.lines, what),
        }
        self.rest = text;
        self.rest.clear();
    }
}
