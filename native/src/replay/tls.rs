//! A TLS connection of a capture: its segments go through TCP's order, its records through the key log, and what they
//! carried into the parser as a stream of its own.

use heads::connection::{Connections, Segment};
use heads::exchange::{Endpoints, Log, Tls};
use heads::stream::{Outcome, Part, Place, Reader, Stream};
use tls::secrets::Secrets;
use tls::session::{Counts, Plaintext, Refusal, Session, Side, State};

/// What became of the TLS connections of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsCounts {
    pub(crate) connections: u64,
    pub(crate) decrypted: u64,
    pub(crate) no_secrets: u64,
    pub(crate) wrong_secrets: u64,
    pub(crate) no_hello: u64,
    pub(crate) version: u64,
    pub(crate) suite: u64,
    /// The handshake came to no end, or nothing encrypted followed it.
    pub(crate) unfinished: u64,
    pub(crate) renegotiated: u64,
    /// Segments with payload, and what became of them.
    pub(crate) segments: u64,
    pub(crate) used: u64,
    pub(crate) duplicate: u64,
    pub(crate) outside_window: u64,
    pub(crate) records: Counts,
}

impl TlsCounts {
    /// Connections that could not be read.
    pub(crate) fn unread(&self) -> u64 {
        self.no_secrets + self.wrong_secrets + self.no_hello + self.version + self.suite + self.unfinished
    }

    /// Everything is accounted for. `open`: connections that are still followed.
    pub(crate) fn closed(&self, open: u64) -> bool {
        self.connections == self.decrypted + self.unread() + open
            && self.segments == self.used + self.duplicate + self.outside_window
            && self.records.closed()
    }

    fn take(&mut self, session: &Session) {
        self.records.add(&session.counts);
        self.renegotiated += u64::from(session.renegotiated());
        *match session.state() {
            State::Read => &mut self.decrypted,
            State::Handshake if session.version().is_none() => &mut self.no_hello,
            State::Handshake => &mut self.unfinished,
            State::Refused(Refusal::NoSecrets) => &mut self.no_secrets,
            State::Refused(Refusal::WrongSecrets) => &mut self.wrong_secrets,
            State::Refused(Refusal::Version) => &mut self.version,
            State::Refused(Refusal::Suite) => &mut self.suite,
            State::Refused(Refusal::NoHello | Refusal::Renegotiated) => &mut self.no_hello,
        } += 1;
    }

    /// For people: how many could be read, and why not the others.
    pub(crate) fn sentence(&self) -> Option<String> {
        if self.connections == 0 || self.decrypted == self.connections {
            return None;
        }
        let reasons = [
            (self.no_secrets, "without secrets in the key log or the file"),
            (self.wrong_secrets, "whose secrets open nothing"),
            (self.no_hello, "without a complete handshake in the file"),
            (self.version, "of a version before TLS 1.2"),
            (self.suite, "with a cipher suite that is not read (no AEAD)"),
            (self.unfinished, "that carried nothing"),
        ];
        let told: Vec<String> =
            reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
        let (seen, read) = (self.connections, self.decrypted);
        Some(format!("TLS: {read} of {seen} connections could be read ({})", told.join(", ")))
    }
}

/// Whether bytes at the start of a connection begin a TLS handshake: `None` while too few say so.
pub(crate) fn begins_tls(bytes: &[u8]) -> Option<bool> {
    // A handshake record of any version, with a ClientHello in it.
    let form: [fn(u8) -> bool; 6] =
        [|byte| byte == 22, |byte| byte == 3, |byte| byte <= 4, |_| true, |_| true, |byte| byte == 1];
    if bytes.iter().zip(form).any(|(byte, is)| !is(*byte)) {
        return Some(false);
    }
    (bytes.len() >= form.len()).then_some(true)
}

/// One connection.
#[derive(Debug)]
pub(crate) struct TlsFlow {
    session: Session,
    streams: [Stream; 2],
    /// The client's packets leave the local end.
    client_egress: bool,
    carried: Carried,
}

/// The plaintext's place.
#[derive(Debug)]
struct Carried {
    endpoints: Endpoints,
    opened: bool,
    /// Lost before anything came.
    lost: [bool; 2],
    /// Sequence number of the next byte, by side. It begins as the ciphertext's does, so that both ends of one call
    /// have the same.
    next: [Option<u32>; 2],
    /// Something of the side has come out.
    began: [bool; 2],
}

impl TlsFlow {
    pub(crate) fn new(endpoints: Endpoints, client_egress: bool) -> Self {
        let carried = Carried { endpoints, opened: false, lost: [false; 2], next: [None; 2], began: [false; 2] };
        Self { session: Session::default(), streams: Default::default(), client_egress, carried }
    }

    fn side(&self, egress: bool) -> Side {
        if egress == self.client_egress {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// Takes the next segment, as [`Connections::segment`] does.
    pub(crate) fn segment(&mut self, segment: &Segment<'_>, to: &mut To<'_, impl Log>) {
        let accepted = [segment.accepted_in, segment.accepted_out];
        self.accept(!segment.egress, accepted[usize::from(!segment.egress)], to);
        let part =
            Part { seq: segment.seq, bytes: segment.bytes, span: segment.span, time: segment.time, cut: segment.cut };
        let (egress, accepted) = (segment.egress, accepted[usize::from(segment.egress)]);
        let outcome = self.with(egress, to, |stream, reader| {
            if segment.fin {
                stream.fin(segment.seq.wrapping_add(segment.span), segment.time);
            }
            stream.push(part, accepted, reader)
        });
        if segment.span > 0 {
            to.counts.segments += 1;
            *match outcome {
                Outcome::Used => &mut to.counts.used,
                Outcome::Duplicate => &mut to.counts.duplicate,
                Outcome::OutsideWindow => &mut to.counts.outside_window,
            } += 1;
        }
        if segment.rst && self.carried.opened {
            let rst = Segment { span: 0, bytes: &[], accepted_in: None, accepted_out: None, fin: false, ..*segment };
            let seq = self.carried.next[self.side(egress) as usize].unwrap_or_default();
            to.connections.segment(self.carried.endpoints.cookie, &Segment { seq, ..rst }, to.log);
        }
    }

    fn accept(&mut self, egress: bool, accepted: Option<u32>, to: &mut To<'_, impl Log>) {
        if accepted.is_some() {
            self.with(egress, to, |stream, reader| stream.accept(accepted, reader));
        }
    }

    /// The connection is over; `last` says what each end had accepted.
    pub(crate) fn close(&mut self, last: &Segment<'_>, to: &mut To<'_, impl Log>) {
        self.accept(false, last.accepted_in, to);
        self.accept(true, last.accepted_out, to);
        for egress in [self.client_egress, !self.client_egress] {
            self.with(egress, to, |stream, reader| stream.flush(reader));
        }
        self.session.finish();
        to.counts.take(&self.session);
        if self.carried.opened {
            let last = Segment { accepted_in: None, accepted_out: None, ..*last };
            to.connections.close(self.carried.endpoints.cookie, &last, to.log);
        }
    }

    fn with<R, L: Log>(
        &mut self,
        egress: bool,
        to: &mut To<'_, L>,
        act: impl FnOnce(&mut Stream, &mut Direction<'_, '_, L>) -> R,
    ) -> R {
        let side = self.side(egress);
        let stream = &mut self.streams[usize::from(egress)];
        let (session, carried) = (&mut self.session, &mut self.carried);
        act(stream, &mut Direction { side, session, carried, client_egress: self.client_egress, to })
    }
}

/// Where plaintext goes, and what is needed for it.
pub(crate) struct To<'a, L> {
    pub(crate) secrets: &'a Secrets,
    pub(crate) counts: &'a mut TlsCounts,
    pub(crate) connections: &'a mut Connections,
    pub(crate) log: &'a mut L,
}

/// One direction of the ciphertext.
struct Direction<'a, 'b, L> {
    side: Side,
    session: &'a mut Session,
    carried: &'a mut Carried,
    client_egress: bool,
    to: &'a mut To<'b, L>,
}

impl<'b, L: Log> Direction<'_, 'b, L> {
    fn out<'x>(&'x mut self) -> (&'x mut Session, &'b Secrets, Out<'x, 'b, L>) {
        let secrets = self.to.secrets;
        let out = Out { carried: self.carried, client_egress: self.client_egress, to: self.to };
        (self.session, secrets, out)
    }
}

impl<L: Log> Reader for Direction<'_, '_, L> {
    fn data(&mut self, bytes: &[u8], at: Place) {
        let side = self.side;
        self.carried.next[side as usize].get_or_insert(at.seq);
        let (session, secrets, mut out) = self.out();
        session.data(side, bytes, at.time, secrets, &mut out);
    }

    fn skipped(&mut self, count: u32, _cut: bool, at: Place) {
        let side = self.side;
        let (session, _, mut out) = self.out();
        session.gap(side, u64::from(count), at.time, &mut out);
    }

    fn gap(&mut self, count: u32, at: Place) {
        self.skipped(count, false, at);
    }

    /// What authenticates is what was sent, whichever of the segments it came from.
    fn overlap(&mut self) {}

    fn end(&mut self, time: u64) {
        let side = self.side;
        let (session, _, mut out) = self.out();
        session.end(side, time, &mut out);
    }
}

/// The plaintext's way into the parser.
struct Out<'a, 'b, L> {
    carried: &'a mut Carried,
    client_egress: bool,
    to: &'a mut To<'b, L>,
}

impl<L: Log> Out<'_, '_, L> {
    fn egress(&self, side: Side) -> bool {
        (side == Side::Client) == self.client_egress
    }

    /// The connection opens with its first byte: one that can't be read is none of the parser's.
    fn open(&mut self, time: u64) {
        if std::mem::replace(&mut self.carried.opened, true) {
            return;
        }
        self.to.connections.open(self.carried.endpoints.clone(), false, self.to.log);
        for side in [Side::Client, Side::Server] {
            if self.carried.lost[side as usize] {
                let egress = self.egress(side);
                self.to.connections.lose(self.carried.endpoints.cookie, egress, time, self.to.log);
            }
        }
    }

    /// A part of the plaintext that was accepted, as its ciphertext was.
    fn segment(&mut self, side: Side, bytes: &[u8], span: u32, time: u64, fin: bool) {
        let egress = self.egress(side);
        let next = self.carried.next[side as usize].get_or_insert(0);
        let seq = *next;
        *next = next.wrapping_add(span);
        self.carried.began[side as usize] |= span > 0;
        let accepted = Some(seq.wrapping_add(span).wrapping_add(u32::from(fin)));
        let (accepted_in, accepted_out) = if egress { (None, accepted) } else { (accepted, None) };
        let cut = false;
        let segment = Segment { egress, seq, bytes, span, accepted_in, accepted_out, time, fin, rst: false, cut };
        self.to.connections.segment(self.carried.endpoints.cookie, &segment, self.to.log);
    }
}

impl<L: Log> Plaintext for Out<'_, '_, L> {
    fn version(&mut self, version: u16) {
        self.carried.endpoints.tls = Some(Tls { version: Some(version), library: None, key: 0 });
    }

    fn data(&mut self, side: Side, bytes: &[u8], time: u64) {
        self.open(time);
        self.segment(side, bytes, u32::try_from(bytes.len()).unwrap_or_default(), time, false);
    }

    fn lost(&mut self, side: Side, count: Option<usize>, time: u64) {
        if !self.carried.opened {
            self.carried.lost[side as usize] = true;
            return;
        }
        let count = count.and_then(|count| u32::try_from(count).ok());
        let egress = self.egress(side);
        match count {
            // Accepted and never handed over: that is what a gap is.
            Some(count) if self.carried.began[side as usize] => {
                let next = self.carried.next[side as usize].get_or_insert(0);
                *next = next.wrapping_add(count);
                self.segment(side, &[], 0, time, false);
            }
            _ => self.to.connections.lose(self.carried.endpoints.cookie, egress, time, self.to.log),
        }
    }

    fn end(&mut self, side: Side, time: u64) {
        if self.carried.opened {
            self.segment(side, &[], 0, time, true);
        }
    }
}
