//! Which connection a packet belongs to, and what each end has acknowledged.
//!
//! A capture has no socket that says what TCP accepted; the acknowledgements of the other end say it.

use std::collections::HashMap;
use std::net::SocketAddr;

use heads::connection::{Connections, Segment};
use heads::exchange::{Endpoints, Log};
use tls::secrets::Secrets;

use super::content::Content;
use super::packet::{Packet, Vlans};
use super::tls::{TlsCounts, TlsFlow, To};

/// How long packets of a closed connection are taken for stragglers: two maximum segment lifetimes (RFC 9293,
/// section 3.4.2), nanoseconds.
const LINGER: u64 = 240 * 1_000_000_000;
/// Connections followed at once, closed ones that linger included; bounds memory (about 200 bytes each) in the capture
/// of a port scan.
const FLOWS: usize = 1 << 17;
/// Below this many nothing is swept.
const FEW: usize = 4096;
/// Numbers further ahead than the largest window (RFC 7323) are not of this connection.
const WINDOW: i32 = 1 << 30;

/// Both ends, the lower first, so that both directions have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    vlans: Vlans,
    ends: [SocketAddr; 2],
}

/// What is known of one end, all as sequence numbers.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// Its first byte, told by its SYN.
    initial: Option<u32>,
    /// The first number seen, SYN or not.
    first: Option<u32>,
    /// Behind the last byte seen.
    seen: Option<u32>,
    /// Its highest acknowledgement of the other end's bytes.
    acked: Option<u32>,
    /// Behind its FIN.
    fin: Option<u32>,
}

#[derive(Debug)]
struct Flow {
    number: u64,
    /// Which of the key's ends received the SYN.
    local: usize,
    joined: bool,
    /// The core knows of it: it carried payload.
    opened: bool,
    closed: bool,
    ends: [End; 2],
    /// What the core was told last of acceptance, by sender.
    told: [Option<u32>; 2],
    last: u64,
    content: Content,
}

/// All connections of a capture.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    map: HashMap<Key, Flow>,
    /// Connections so far; each is known by its place, counted from 1.
    pub(crate) connections: u64,
    /// Packets that came after their connection had closed.
    pub(crate) stragglers: u64,
    sweep_at: usize,
    /// What is known of TLS connections.
    pub(crate) secrets: Secrets,
    pub(crate) tls: TlsCounts,
}

/// Signed distance from `from` to `to` in sequence space.
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

fn raise(highest: &mut Option<u32>, to: u32) {
    if highest.is_none_or(|before| distance(before, to) > 0) {
        *highest = Some(to);
    }
}

impl Flows {
    /// Takes the next packet of the file.
    pub(crate) fn packet(&mut self, packet: &Packet<'_>, connections: &mut Connections, log: &mut impl Log) {
        let Self { secrets, tls: counts, .. } = self;
        let mut to = To { secrets, counts, connections, log };
        let sender = usize::from(packet.source > packet.destination);
        let mut ends = [packet.source, packet.destination];
        ends.sort_unstable();
        let key = Key { vlans: packet.vlans, ends };
        match self.map.get_mut(&key) {
            Some(flow) if !flow.ended_before(packet, sender) => {
                if flow.closed {
                    self.stragglers += 1;
                } else {
                    flow.packet(packet, sender, &key, &mut to);
                }
                return;
            }
            Some(flow) => flow.close(&key, &mut to),
            None => sweep(&mut self.map, &mut self.sweep_at, packet.time, &mut to),
        }
        self.connections += 1;
        let mut flow = Flow::new(self.connections, packet, sender);
        flow.packet(packet, sender, &key, &mut to);
        self.map.insert(key, flow);
    }

    /// Connections that are followed now.
    #[cfg(test)]
    pub(crate) fn followed(&self) -> usize {
        self.map.len()
    }

    /// The file is over.
    pub(crate) fn finish(&mut self, connections: &mut Connections, log: &mut impl Log) {
        let mut flows: Vec<(Key, Flow)> = self.map.drain().collect();
        flows.sort_unstable_by_key(|(_, flow)| flow.number);
        let Self { secrets, tls: counts, .. } = self;
        let mut to = To { secrets, counts, connections, log };
        for (key, flow) in &mut flows {
            flow.close(key, &mut to);
        }
        connections.finish(log);
    }

    /// TLS connections that are not judged yet.
    pub(crate) fn tls_open(&self) -> u64 {
        self.map.values().filter(|flow| !flow.closed && matches!(flow.content, Content::Tls(_))).count() as u64
    }
}

/// Makes room for one more: closed connections go first, then those that were silent longest.
fn sweep(map: &mut HashMap<Key, Flow>, sweep_at: &mut usize, now: u64, to: &mut To<'_, impl Log>) {
    if map.len() < (*sweep_at).max(FEW) {
        return;
    }
    map.retain(|_, flow| !(flow.closed && now.saturating_sub(flow.last) > LINGER));
    if map.len() >= FLOWS {
        let mut silent: Vec<(bool, u64, u64, Key)> =
            map.iter().map(|(key, flow)| (!flow.closed, flow.last, flow.number, *key)).collect();
        let (oldest, ..) =
            silent.select_nth_unstable_by_key(FLOWS / 2, |(open, last, number, _)| (*open, *last, *number));
        oldest.sort_unstable_by_key(|(_, _, number, _)| *number);
        for (.., key) in &*oldest {
            if let Some(mut flow) = map.remove(key) {
                flow.close(key, to);
            }
        }
    }
    *sweep_at = (map.len() * 2).min(FLOWS);
}

impl Flow {
    fn new(number: u64, packet: &Packet<'_>, sender: usize) -> Self {
        // The local end received the SYN: it sent the first packet only where that is the answer to one.
        let answer = packet.flags.syn && packet.ack.is_some();
        Self {
            number,
            local: if answer { sender } else { 1 - sender },
            joined: !packet.flags.syn,
            opened: false,
            closed: false,
            ends: [End::default(); 2],
            told: [None; 2],
            last: packet.time,
            content: Content::default(),
        }
    }

    /// Whether the packet begins another connection between the same ends.
    fn ended_before(&self, packet: &Packet<'_>, sender: usize) -> bool {
        if packet.flags.syn {
            let begin = packet.seq.wrapping_add(1);
            let end = &self.ends[sender];
            return end.initial.or(end.first).is_some_and(|first| first != begin);
        }
        self.closed && packet.time.saturating_sub(self.last) > LINGER
    }

    fn packet(&mut self, packet: &Packet<'_>, sender: usize, key: &Key, to: &mut To<'_, impl Log>) {
        self.last = packet.time;
        let rst = packet.flags.rst && self.resets(packet, sender);
        // What a reset carries is text for people, not a part of the stream (RFC 9293, section 3.5.3).
        let (bytes, span) = if packet.flags.rst { (&[][..], 0) } else { (packet.bytes, packet.span) };
        // A SYN takes a sequence number but no byte.
        let seq = packet.seq.wrapping_add(u32::from(packet.flags.syn));
        let fin = packet.flags.fin && !packet.flags.rst;
        self.note(packet, sender, seq, seq.wrapping_add(span), fin);
        self.opened |= span > 0;
        let accepted = [self.accepted(0), self.accepted(1)];
        if self.opened && (span > 0 || fin || rst || accepted != self.told) {
            self.told = accepted;
            let segment = Segment {
                egress: sender == self.local,
                seq,
                bytes,
                span,
                accepted_in: accepted[1 - self.local],
                accepted_out: accepted[self.local],
                time: packet.time,
                fin,
                rst,
                cut: bytes.len() < span as usize,
            };
            self.take(&segment, key, to);
        }
        if rst || self.both_ended() {
            self.close(key, to);
        }
    }

    /// Whether TCP would take this RST: it lies where the other end expects the next byte, or in its window
    /// (RFC 5961, section 3.2). A stray one must not end the connection.
    fn resets(&self, packet: &Packet<'_>, sender: usize) -> bool {
        let expected = self.ends[1 - sender].acked;
        expected.is_none_or(|expected| (0..WINDOW).contains(&distance(expected, packet.seq)))
    }

    fn note(&mut self, packet: &Packet<'_>, sender: usize, seq: u32, end_of_data: u32, fin: bool) {
        let [end, other] = if sender == 0 {
            let [low, high] = &mut self.ends;
            [low, high]
        } else {
            let [low, high] = &mut self.ends;
            [high, low]
        };
        if packet.flags.syn {
            end.initial = Some(seq);
        }
        if !packet.flags.rst {
            end.first.get_or_insert(seq);
            if end.seen.is_none_or(|seen| distance(seen, end_of_data) < WINDOW) {
                raise(&mut end.seen, end_of_data);
            }
        }
        if fin {
            end.fin.get_or_insert(end_of_data.wrapping_add(1));
        }
        if let Some(ack) = packet.ack {
            if other.seen.is_none_or(|seen| distance(seen, ack) < WINDOW) {
                raise(&mut end.acked, ack);
            }
        }
    }

    /// Up to where the bytes of `sender` are accepted. Not beyond what was seen of it: a capture can have the
    /// acknowledgement before the bytes, and bytes that are missing show by those that follow.
    fn accepted(&self, sender: usize) -> Option<u32> {
        let (end, other) = (&self.ends[sender], &self.ends[1 - sender]);
        match (other.acked.or(end.initial), end.seen) {
            (Some(acked), Some(seen)) if distance(seen, acked) > 0 => Some(seen),
            (acked, _) => acked,
        }
    }

    fn both_ended(&self) -> bool {
        let ended = |end: &End, other: &End| match (end.fin, other.acked) {
            (Some(fin), Some(acked)) => distance(fin, acked) >= 0,
            _ => false,
        };
        let [low, high] = &self.ends;
        ended(low, high) && ended(high, low)
    }

    /// Hands a segment on, to where the connection's first bytes say that it belongs.
    fn take(&mut self, segment: &Segment<'_>, key: &Key, to: &mut To<'_, impl Log>) {
        match &mut self.content {
            Content::Plain => to.connections.segment(self.number, segment, to.log),
            Content::Tls(tls) => tls.segment(segment, to),
            Content::Undecided(undecided) => {
                let sender = if segment.egress { self.local } else { 1 - self.local };
                let client = self.joined || !segment.egress;
                let verdict = undecided.judge(segment, self.ends[sender].initial, client);
                undecided.hold(segment);
                if let Some(tls) = verdict {
                    self.decide(tls, segment.egress, key, to);
                }
            }
        }
    }

    /// What waited until now goes its way.
    fn decide(&mut self, tls: bool, egress: bool, key: &Key, to: &mut To<'_, impl Log>) {
        let endpoints = self.endpoints(key);
        let content = if tls {
            to.counts.connections += 1;
            Content::Tls(Box::new(TlsFlow::new(endpoints, egress)))
        } else {
            to.connections.open(endpoints, self.joined, to.log);
            Content::Plain
        };
        if let Content::Undecided(mut undecided) = std::mem::replace(&mut self.content, content) {
            for held in undecided.held() {
                self.take(&held.segment(), key, to);
            }
        }
    }

    fn endpoints(&self, key: &Key) -> Endpoints {
        let end = |which: usize| (key.ends[which].ip(), key.ends[which].port());
        Endpoints {
            cookie: self.number,
            role: None,
            client: end(1 - self.local),
            server: end(self.local),
            netns: None,
            cgroup: None,
            process: None,
            tls: None,
        }
    }

    /// Nothing more can come: what was acknowledged and never seen is missing for good.
    fn close(&mut self, key: &Key, to: &mut To<'_, impl Log>) {
        if self.opened && !self.closed {
            if matches!(self.content, Content::Undecided(_)) {
                self.decide(false, false, key, to);
            }
            let accepted = |sender: usize| {
                let (seen, acked) = (self.ends[sender].seen?, self.ends[1 - sender].acked?);
                // One more than seen is a FIN that was not captured.
                if distance(seen, acked) > 1 {
                    Some(acked)
                } else {
                    self.accepted(sender)
                }
            };
            let last = Segment {
                egress: false,
                seq: 0,
                bytes: &[],
                span: 0,
                accepted_in: accepted(1 - self.local),
                accepted_out: accepted(self.local),
                time: self.last,
                fin: false,
                rst: false,
                cut: false,
            };
            if let Content::Tls(tls) = &mut self.content {
                tls.close(&last, to);
                // Its memory: of a closed connection only stragglers can come.
                self.content = Content::Plain;
            } else {
                to.connections.segment(self.number, &last, to.log);
                to.connections.close(self.number, &last, to.log);
            }
        }
        self.closed = true;
    }
}
