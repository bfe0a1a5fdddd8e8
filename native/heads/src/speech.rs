//! What a connection speaks: HTTP/1, until it shows that it is HTTP/2.
//!
//! It shows so by the client's preface (RFC 9113, section 3.4), by an upgrade (RFC 7540, section 3.2), or, where we came
//! later, by its frames. A server's SETTINGS may come before the client's preface: they wait for it.

mod probe;

use crate::connection::Limits;
use crate::exchange::{Endpoints, Exchange, Log};
use crate::http2::{Http2, Seek};
use crate::ledger::Ledger;
use crate::pairing::{Pairing, Switch};
use crate::record::Carrier;
use crate::stream::Place;
use probe::Probe;

#[derive(Debug, Default)]
pub struct Speech {
    /// HTTP/1, or nothing that is known yet.
    pairing: Pairing,
    http2: Option<Box<Http2>>,
    probe: Option<Box<Probe>>,
    /// Its first octets were lost.
    torn: bool,
    /// Among the first octets, which may be those of HTTP/2, were disputed ones: of what arrives, of what leaves.
    disputed: [bool; 2],
    limits: Limits,
}

impl Speech {
    pub fn new(endpoints: Endpoints, joined: bool, limits: Limits) -> Speech {
        Speech { pairing: Pairing::new(endpoints, joined, limits), limits, ..Speech::default() }
    }

    pub fn endpoints_mut(&mut self) -> &mut Endpoints {
        match &mut self.http2 {
            Some(http2) => &mut http2.endpoints,
            None => &mut self.pairing.endpoints,
        }
    }

    /// Bytes that heads and tables of HTTP/2 take, and what may be some.
    pub fn held(&self) -> usize {
        let probe = match self.probe.as_deref() {
            None => 0,
            Some(Probe::Early { size, .. }) => *size,
            Some(Probe::Joined(seeks)) => seeks.iter().map(Seek::held).sum(),
        };
        probe + self.http2.as_ref().map_or(0, |http2| http2.held())
    }

    /// Exchanges under way.
    pub fn open(&self) -> usize {
        self.http2.as_ref().map_or_else(|| self.pairing.open(), |http2| http2.open())
    }

    pub fn endpoints(&self) -> &Endpoints {
        self.http2.as_ref().map_or(&self.pairing.endpoints, |http2| &http2.endpoints)
    }

    /// When each exchange under way began, and its place, for [`Speech::open_exchange`].
    pub fn open_since(&self) -> Vec<(u64, u64)> {
        match &self.http2 {
            Some(http2) => http2.open_since().collect(),
            None => self.pairing.open_since().zip(0..).collect(),
        }
    }

    /// A copy of an exchange under way, as far as it is known.
    pub fn open_exchange(&self, place: u64) -> Option<Exchange> {
        match &self.http2 {
            Some(http2) => http2.open_exchange(place),
            None => self.pairing.open_exchange(usize::try_from(place).ok()?),
        }
    }

    /// Another protocol speaks on this connection now.
    pub fn opaque(&self) -> bool {
        self.http2.as_ref().map_or_else(|| self.pairing.opaque(), |http2| http2.opaque())
    }

    /// In the middle of a request's head (HTTP/1).
    pub fn in_request_head(&self) -> bool {
        self.http2.is_none() && self.pairing.in_request_head()
    }

    /// Whether requests leave the local end, where that is known.
    pub fn requests_leave(&self) -> Option<bool> {
        match &self.http2 {
            Some(http2) => Some(http2.requests_leave()),
            None => self.pairing.requests_leave(),
        }
    }

    /// The first bytes of the inbound direction may be the middle of a message.
    pub fn doubt(&mut self) {
        self.pairing.doubt();
    }

    /// The socket that carries the connection is known now, or (`None`) no longer.
    pub fn carry(&mut self, key: u64, carrier: Option<&Carrier>) {
        let leaves = self.requests_leave() == Some(true);
        self.endpoints_mut().carry(key, carrier, leaves);
    }

    /// Reads nothing more, and forgets what it has.
    pub fn leave_out(&mut self) {
        self.probe = None;
        match &mut self.http2 {
            Some(http2) => http2.leave_out(),
            None => self.pairing.leave_out(),
        }
    }

    pub fn reset(&mut self) {
        match &mut self.http2 {
            Some(http2) => http2.reset(),
            None => self.pairing.reset(),
        }
    }

    /// The socket is gone, so nothing can follow.
    pub fn closed(&mut self) {
        self.pairing.closed();
    }

    /// The bytes that come next in this direction are disputed.
    pub fn overlap(&mut self, egress: bool) {
        if let Some(http2) = &mut self.http2 {
            http2.overlap(egress);
            return;
        }
        self.disputed[usize::from(egress)] |= self.pairing.requests_leave().is_none() || self.pairing.in_preface();
        self.pairing.overlap(egress);
    }

    /// What was kept until HTTP/2 was certain may be disputed.
    fn tell_disputed(&self, http2: &mut Http2) {
        for egress in [false, true] {
            if self.disputed[usize::from(egress)] {
                http2.overlap(egress);
            }
        }
    }

    pub fn data(&mut self, egress: bool, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if let Some(http2) = &mut self.http2 {
            http2.data(egress, bytes, at, ledger, log);
            return;
        }
        if self.pairing.requests_leave().is_none()
            && !self.pairing.opaque()
            && self.probe(egress, bytes, at, ledger, log)
        {
            return;
        }
        if self.pairing.in_preface() && self.pairing.requests_leave() == Some(!egress) {
            if self.hold(egress, bytes, at) {
                return;
            }
            self.give_up_early(ledger, log);
        }
        self.pairing.data(egress, bytes, at, ledger, log);
        if let Some(switch) = self.pairing.switched() {
            self.switch(*switch, ledger, log);
        } else if self.probe.is_some() && !self.pairing.in_preface() && self.pairing.requests_leave().is_some() {
            self.give_up_early(ledger, log);
        }
    }

    /// Bytes that were not copied, by framing or (`cut`) by a limit.
    pub fn skipped(&mut self, egress: bool, count: u32, cut: bool, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if let Some(http2) = &mut self.http2 {
            http2.skipped(egress, count, cut, at, ledger, log);
            return;
        }
        self.pass_probe(egress, (!cut).then_some(count), at, ledger, log);
        self.pairing.skipped(egress, count, cut, at, ledger, log);
    }

    pub fn gap(&mut self, egress: bool, count: u32, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if let Some(http2) = &mut self.http2 {
            http2.gap(egress, count, at, ledger, log);
            return;
        }
        if self.may_begin() {
            ledger.gaps += 1;
            ledger.gap_bytes += u64::from(count);
            self.begin_midway(ledger, log);
            return;
        }
        self.pass_probe(egress, None, at, ledger, log);
        self.pairing.gap(egress, count, at, ledger, log);
    }

    /// Bytes are missing, and nobody knows how many.
    pub fn lose(&mut self, egress: bool, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        if let Some(http2) = &mut self.http2 {
            http2.lose(egress, time, ledger, log);
            return;
        }
        if self.may_begin() {
            ledger.gaps += 1;
            self.begin_midway(ledger, log);
            return;
        }
        self.pass_probe(egress, None, Place { time, seq: 0 }, ledger, log);
        self.pairing.lose(egress, time, ledger, log);
    }

    pub fn end(&mut self, egress: bool, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        self.give_up_early(ledger, log);
        match &mut self.http2 {
            Some(http2) => http2.end(egress, time, ledger, log),
            None => self.pairing.end(egress, time, ledger, log),
        }
    }

    /// The connection is over.
    pub fn finish(&mut self, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        self.give_up_early(ledger, log);
        match &mut self.http2 {
            Some(http2) => http2.finish(ledger, log),
            None => self.pairing.finish(time, ledger, log),
        }
    }

    fn become_http2(&mut self, http2: Http2) {
        self.probe = None;
        self.pairing.leave_out();
        self.http2 = Some(Box::new(http2));
    }

    /// HTTP/1 gives way: what follows are frames.
    #[cold]
    fn switch(&mut self, switch: Switch, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(client_egress) = self.pairing.requests_leave() else { return };
        let endpoints = self.pairing.endpoints.clone();
        let mut http2 = Http2::new(endpoints, self.limits, client_egress, switch.opening);
        self.tell_disputed(&mut http2);
        if let Some(Probe::Early { egress, pieces, .. }) = self.probe.take().map(|probe| *probe) {
            for (bytes, at) in pieces {
                http2.data(egress, &bytes, at, ledger, log);
            }
        }
        if switch.disputed {
            http2.overlap(switch.egress);
        }
        if !switch.rest.is_empty() {
            http2.data(switch.egress, &switch.rest, switch.at, ledger, log);
        }
        self.become_http2(http2);
    }
}
