//! What is tried while it is not known what a connection speaks.

use super::Speech;
use crate::exchange::Log;
use crate::http2::{self, Http2, Opening, Seek, PREFACE};
use crate::ledger::Ledger;
use crate::pairing::Pairing;
use crate::stream::Place;

/// What a server may send before the client's preface: its SETTINGS, perhaps a WINDOW_UPDATE.
const EARLY: usize = 4096;

/// What is tried while it is not known what a connection speaks.
#[derive(Debug)]
pub(super) enum Probe {
    /// What one end sent could be the first frames of a server.
    Early { egress: bool, pieces: Vec<(Vec<u8>, Place)>, size: usize },
    /// We came later: frames are looked for, in what arrives and in what leaves.
    Joined(Box<[Seek; 2]>),
}

impl Speech {
    /// Nothing but what can be the beginning of HTTP/2 has come.
    pub(super) fn may_begin(&self) -> bool {
        matches!(self.probe.as_deref(), Some(Probe::Early { .. })) || self.pairing.in_preface()
    }

    /// A part of the beginning is lost: frames are looked for from here on, as where we join.
    #[cold]
    pub(super) fn begin_midway(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        let mut endpoints = self.pairing.endpoints.clone();
        if self.pairing.requests_leave() == Some(true) {
            std::mem::swap(&mut endpoints.client, &mut endpoints.server);
        }
        endpoints.role = None;
        self.pairing = Pairing::new(endpoints, true, self.limits);
        for egress in [false, true] {
            if self.disputed[usize::from(egress)] {
                self.pairing.overlap(egress);
            }
        }
        self.torn = true;
        if let Some(Probe::Early { egress, pieces, .. }) = self.probe.take().map(|probe| *probe) {
            for (bytes, at) in pieces {
                self.data(egress, &bytes, at, ledger, log);
            }
        }
    }

    /// Tries the first bytes of a connection; true when they are taken care of.
    #[cold]
    pub(super) fn probe(
        &mut self,
        egress: bool,
        bytes: &[u8],
        at: Place,
        ledger: &mut Ledger,
        log: &mut impl Log,
    ) -> bool {
        if self.pairing.unsure() {
            return self.probe_joined(egress, bytes, at, ledger, log);
        }
        match self.probe.as_deref_mut() {
            None | Some(Probe::Joined(_)) => {
                if self.pairing.hesitates() || http2::opens(bytes) == Some(false) {
                    return false;
                }
                let pieces = vec![(bytes.to_vec(), at)];
                self.probe = Some(Box::new(Probe::Early { egress, pieces, size: bytes.len() }));
                true
            }
            Some(Probe::Early { egress: server, pieces, size }) if *server == egress => {
                pieces.push((bytes.to_vec(), at));
                *size += bytes.len();
                let front: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes).copied().take(9).collect();
                if *size > EARLY || http2::opens(&front) == Some(false) {
                    self.give_up_early(ledger, log);
                }
                true
            }
            Some(Probe::Early { pieces, .. }) => {
                let count = bytes.len().min(PREFACE.len());
                if bytes[..count] != PREFACE[..count] {
                    let front: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes).copied().take(9).collect();
                    match http2::opens(&front) {
                        // A server's SETTINGS: the client's preface was lost.
                        Some(true) => {
                            ledger.gaps += 1;
                            self.begin_midway(ledger, log);
                            self.data(egress, bytes, at, ledger, log);
                            return true;
                        }
                        // The front of nothing that HTTP knows, and then no preface.
                        None => {
                            ledger.lost += 1;
                            self.leave_out();
                            return true;
                        }
                        Some(false) => {}
                    }
                    self.give_up_early(ledger, log);
                    return false;
                }
                let Some(Probe::Early { egress: server, pieces, .. }) = self.probe.take().map(|probe| *probe) else {
                    return false;
                };
                let endpoints = self.pairing.endpoints.clone();
                let mut http2 = Http2::new(endpoints, self.limits, egress, Opening::Preface(0));
                http2.settle_roles();
                self.tell_disputed(&mut http2);
                for (bytes, at) in pieces {
                    http2.data(server, &bytes, at, ledger, log);
                }
                http2.data(egress, bytes, at, ledger, log);
                self.become_http2(http2);
                true
            }
        }
    }

    /// What is known of disputed bytes goes with the seeks of the direction `egress` and of the other one.
    fn dispute(&self, egress: bool, mut seeks: [Seek; 2]) -> [Seek; 2] {
        for (seek, egress) in seeks.iter_mut().zip([egress, !egress]) {
            seek.disputed = self.disputed[usize::from(egress)];
        }
        seeks
    }

    fn probe_joined(&mut self, egress: bool, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) -> bool {
        let limit = self.limits.max_head_bytes;
        let fresh = || Box::new(Probe::Joined(Box::new([Seek::new(limit), Seek::new(limit)])));
        let Probe::Joined(seeks) = self.probe.get_or_insert_with(fresh).as_mut() else { return false };
        if !seeks[usize::from(egress)].data(bytes, at, None) {
            return false;
        }
        let Some(Probe::Joined(seeks)) = self.probe.take().map(|probe| *probe) else { return false };
        let [inbound, outbound] = *seeks;
        let seeks = if egress { [outbound, inbound] } else { [inbound, outbound] };
        let endpoints = self.pairing.endpoints.clone();
        let seeks = self.dispute(egress, seeks);
        match Http2::midway(endpoints, self.limits, !self.torn, egress, seeks, ledger, log) {
            Some(http2) => {
                self.become_http2(http2);
                true
            }
            None => false,
        }
    }

    /// What a server says while the client's preface is on its way; false where it can't be its first frames.
    #[cold]
    pub(super) fn hold(&mut self, egress: bool, bytes: &[u8], at: Place) -> bool {
        let fresh = || Box::new(Probe::Early { egress, pieces: Vec::new(), size: 0 });
        let Probe::Early { pieces, size, .. } = self.probe.get_or_insert_with(fresh).as_mut() else { return false };
        pieces.push((bytes.to_vec(), at));
        *size += bytes.len();
        let front: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes).copied().take(9).collect();
        let held = *size <= EARLY && http2::opens(&front) != Some(false);
        if !held {
            pieces.pop();
        }
        held
    }

    /// It was no server's first frame: HTTP/1 has what waited.
    pub(super) fn give_up_early(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if !matches!(self.probe.as_deref(), Some(Probe::Early { .. })) {
            return;
        }
        if let Some(Probe::Early { egress, pieces, .. }) = self.probe.take().map(|probe| *probe) {
            for (bytes, at) in pieces {
                self.pairing.data(egress, &bytes, at, ledger, log);
            }
        }
    }

    /// Bytes that did not come; `None`: they are missing.
    pub(super) fn pass_probe(
        &mut self,
        egress: bool,
        skipped: Option<u32>,
        at: Place,
        ledger: &mut Ledger,
        log: &mut impl Log,
    ) {
        match self.probe.as_deref_mut() {
            Some(Probe::Joined(seeks)) => {
                let seek = &mut seeks[usize::from(egress)];
                match skipped {
                    Some(count) => seek.skipped(count, at),
                    None => seek.gap(at.time),
                }
            }
            Some(Probe::Early { .. }) => self.give_up_early(ledger, log),
            None => {}
        }
    }
}
