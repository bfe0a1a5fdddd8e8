//! One direction of a TCP connection: segments in, bytes in order out.
//!
//! Only what TCP accepted counts (RFC 9293, section 3.10.7.4). The kernel side sees segments before TCP's own checks,
//! so a segment is held until the socket's `rcv_nxt` has passed it; in a capture file the other side's
//! acknowledgements say the same. Where two segments cover the same bytes and differ, the rules are Linux's
//! (`tcp_data_queue`, `tcp_data_queue_ofo` in `net/ipv4/tcp_input.c`): a segment that TCP expected now beats one that
//! waited out of order; between two that wait, the one that begins earlier wins, unless the other covers it whole.

mod piece;

use piece::{distance, wins, Piece};

/// What comes out, in order.
pub trait Reader {
    fn data(&mut self, bytes: &[u8], at: Place);
    /// Bytes that were not copied, by framing or (`cut`) by a limit.
    fn skipped(&mut self, count: u32, cut: bool, at: Place);
    /// Bytes that TCP accepted and nobody handed us.
    fn gap(&mut self, count: u32, at: Place);
    /// Two segments that waited out of order disagreed about bytes that come out next.
    fn overlap(&mut self);
    /// The direction ended (FIN).
    fn end(&mut self, time: u64);
}

/// When and where in the sequence space.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub time: u64,
    pub seq: u32,
}

/// Segments further ahead than the largest window that TCP can open (RFC 7323: 2^30) are not of this connection.
const WINDOW: u32 = 1 << 30;
/// Bytes held for one direction before the oldest come out without acceptance: bounds memory where nobody acknowledges.
const HELD: usize = 1 << 20;
/// Bytes that may lie in the buffer before those that came out are taken from it, and that an idle buffer may keep.
const SLACK: usize = 16 << 10;
/// Pieces held, likewise: many tiny segments.
const PIECES: usize = 4096;

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Used,
    Duplicate,
    OutsideWindow,
}

/// One incoming part of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub seq: u32,
    pub bytes: &'a [u8],
    pub span: u32,
    pub time: u64,
    pub cut: bool,
}

#[derive(Debug, Default)]
pub struct Stream {
    next: Option<u32>,
    accepted: Option<u32>,
    pieces: Vec<Piece>,
    /// The segment that TCP expected when it came: it counts for nothing until TCP has moved past its beginning, since
    /// TCP may refuse it (a bad checksum), and must not displace what waits until then.
    front: Option<Piece>,
    held: Vec<u8>,
    /// Length of `held` at which it is next looked through for bytes that came out.
    compact_at: usize,
    fin: Option<(u32, u64)>,
    ended: bool,
    /// Time of the last segment.
    time: u64,
}

impl Stream {
    /// Takes a segment; `accepted` is what TCP expects next in this direction, where that is known.
    pub fn push(&mut self, mut part: Part<'_>, accepted: Option<u32>, reader: &mut impl Reader) -> Outcome {
        if part.span > WINDOW {
            return Outcome::OutsideWindow;
        }
        self.time = part.time;
        if part.span == 0 {
            self.accept(accepted, reader);
            return Outcome::Used;
        }
        // The first segment we see may be out of order: begin where TCP is.
        let begin = accepted.filter(|to| distance(*to, part.seq) >= 0).unwrap_or(part.seq);
        self.next.get_or_insert(begin);
        self.release_run(accepted, reader);
        let next = self.next.unwrap_or(begin);
        let ahead = distance(next, part.seq);
        if ahead < 0 {
            let old = ahead.unsigned_abs();
            if old >= part.span {
                self.accept(accepted, reader);
                return Outcome::Duplicate;
            }
            part.seq = next;
            part.bytes = part.bytes.get(old as usize..).unwrap_or_default();
            part.span -= old;
        } else if ahead.unsigned_abs() + part.span > WINDOW {
            return Outcome::OutsideWindow;
        }
        part.bytes = part.bytes.get(..part.span as usize).unwrap_or(part.bytes);
        let end = part.seq.wrapping_add(part.span);
        if self.pieces.is_empty() && part.seq == next && accepted.is_some_and(|to| distance(end, to) >= 0) {
            self.next = Some(end);
            self.front = None;
            deliver(part.bytes, part.span, part.cut, Place { time: part.time, seq: part.seq }, reader);
            self.finish_if_due(reader);
            return Outcome::Used;
        }
        let expected = accepted.or(self.accepted).unwrap_or(next);
        self.hold(&part, distance(expected, part.seq) > 0);
        self.accept(accepted, reader);
        self.bound(reader);
        Outcome::Used
    }

    /// The direction ends at `seq` (a FIN there): to be told before the segment's bytes, since `accepted` counts it.
    /// TCP has not judged it yet, so one that lies outside the window is let go, and a later one counts.
    pub fn fin(&mut self, seq: u32, time: u64) {
        let ahead = self.next.map_or(0, |next| distance(next, seq));
        if !self.ended && ahead >= 0 && ahead.unsigned_abs() <= WINDOW {
            self.fin = Some((seq, time));
        }
    }

    /// TCP has accepted everything before `accepted`.
    pub fn accept(&mut self, accepted: Option<u32>, reader: &mut impl Reader) {
        self.note(accepted);
        if let (Some(next), Some(to)) = (self.next, self.accepted) {
            if distance(next, to) > 0 {
                self.release(to, reader);
            }
            self.finish_if_due(reader);
        }
    }

    /// The connection is over: what is held comes out, with the gaps between.
    pub fn flush(&mut self, reader: &mut impl Reader) {
        while !self.pieces.is_empty() || self.front.is_some() {
            self.release_oldest(reader);
        }
        if let (Some((_, time)), false) = (self.fin, self.ended) {
            self.ended = true;
            reader.end(time);
        }
    }

    /// Begins at `seq`, unless it has begun.
    pub fn begin(&mut self, seq: u32) {
        self.next.get_or_insert(seq);
    }

    /// The front has been accepted: it beats what waited out of order.
    fn settle(&mut self) {
        if let Some(front) = self.front.take() {
            self.insert(front);
        }
    }

    fn note(&mut self, accepted: Option<u32>) {
        if let Some(to) = accepted {
            if self.front.is_some_and(|front| distance(front.seq, to) > 0) {
                self.settle();
            }
            if self.accepted.is_none_or(|before| distance(before, to) > 0) {
                self.accepted = Some(to);
            }
            // TCP went on behind it, so it was none of this connection's.
            self.fin.take_if(|(seq, _)| !self.ended && distance(*seq, to) > 1);
        }
    }

    fn finish_if_due(&mut self, reader: &mut impl Reader) {
        if let (Some((seq, time)), Some(next), Some(to), false) = (self.fin, self.next, self.accepted, self.ended) {
            if distance(seq, next) >= 0 && distance(seq, to) > 0 {
                self.ended = true;
                reader.end(time);
            }
        }
    }

    /// Hands out what TCP had accepted before the next segment came, as far as nothing is missing: no later copy of
    /// these bytes counts.
    fn release_run(&mut self, accepted: Option<u32>, reader: &mut impl Reader) {
        self.note(accepted);
        let (Some(to), Some(next)) = (accepted, self.next) else { return };
        let mut end = next;
        for piece in &self.pieces {
            if piece.seq != end || distance(end, to) <= 0 {
                break;
            }
            end = piece.end();
        }
        let end = if distance(end, to) < 0 { to } else { end };
        if distance(next, end) > 0 {
            self.release(end, reader);
        }
    }

    /// Hands out everything before `to`.
    fn release(&mut self, to: u32, reader: &mut impl Reader) {
        let Some(mut next) = self.next else { return };
        // The FIN takes a sequence number but no byte, and nothing follows it.
        let fin = self.fin.map(|(seq, _)| seq).filter(|seq| distance(next, *seq) >= 0 && distance(*seq, to) > 0);
        let to = fin.unwrap_or(to);
        let mut used = 0;
        while distance(next, to) > 0 {
            let Some(piece) = self.pieces.get_mut(used) else {
                // TCP accepted bytes that never reached us.
                reader.gap(distance(next, to).unsigned_abs(), Place { time: self.time, seq: next });
                next = to;
                break;
            };
            let hole = distance(next, piece.seq);
            if hole > 0 {
                let missing = hole.min(distance(next, to)).unsigned_abs();
                reader.gap(missing, Place { time: piece.time, seq: next });
                next = next.wrapping_add(missing);
                continue;
            }
            let count = piece.span.min(distance(next, to).unsigned_abs());
            let copied = count.min(piece.copied) as usize;
            let bytes = self.held.get(piece.start..piece.start + copied).unwrap_or_default();
            if piece.disputed {
                reader.overlap();
            }
            deliver(bytes, count, piece.cut, Place { time: piece.time, seq: piece.seq }, reader);
            next = next.wrapping_add(count);
            if count == piece.span {
                used += 1;
            } else {
                piece.trim_front(count);
            }
        }
        self.next = Some(next);
        self.pieces.drain(..if fin.is_some() { self.pieces.len() } else { used });
        if self.pieces.is_empty() && self.front.is_none() {
            self.held.clear();
            self.held.shrink_to(SLACK);
        }
    }

    /// Hands out the first run of pieces although nobody said that TCP accepted it.
    fn release_oldest(&mut self, reader: &mut impl Reader) {
        self.settle();
        let Some(first) = self.pieces.first() else { return };
        let mut to = first.end();
        for piece in &self.pieces[1..] {
            if piece.seq != to {
                break;
            }
            to = piece.end();
        }
        let before = self.pieces.len();
        self.release(to, reader);
        if self.pieces.len() == before {
            // Behind a FIN: no byte of this direction.
            self.pieces.clear();
            self.held.clear();
        }
    }

    /// Keeps what is held within its limits.
    fn bound(&mut self, reader: &mut impl Reader) {
        if self.held.len() > self.compact_at.max(SLACK) {
            self.compact();
            // Twice what is left: looking through it again costs no more than what comes until then.
            self.compact_at = self.held.len() * 2;
        }
        if self.pieces.len() > PIECES || (self.held.len() > HELD && self.live() > HELD) {
            self.release_oldest(reader);
        }
    }

    /// Bytes that are held and have not come out.
    fn live(&self) -> usize {
        self.pieces.iter().chain(&self.front).map(|piece| piece.copied as usize).sum()
    }

    /// Moves the bytes that are still held to the front.
    fn compact(&mut self) {
        let mut fresh = Vec::with_capacity(self.live());
        for piece in self.pieces.iter_mut().chain(&mut self.front) {
            let bytes = self.held.get(piece.start..piece.start + piece.copied as usize).unwrap_or_default();
            piece.start = fresh.len();
            fresh.extend_from_slice(bytes);
        }
        self.held = fresh;
    }

    /// Keeps a part until TCP has accepted it.
    fn hold(&mut self, part: &Part<'_>, early: bool) {
        let piece = Piece {
            seq: part.seq,
            span: part.span,
            start: self.held.len(),
            copied: u32::try_from(part.bytes.len()).unwrap_or(part.span),
            time: part.time,
            cut: part.cut,
            early,
            disputed: false,
            whole: (part.seq, part.seq.wrapping_add(part.span)),
        };
        self.held.extend_from_slice(part.bytes);
        if early {
            self.insert(piece);
        } else if let Some(mut old) = self.front.replace(piece) {
            // What it held beyond this one may still be accepted: it waits as if it had come out of order.
            let beyond = distance(piece.end(), old.end());
            if beyond > 0 {
                old.trim_front(old.span.saturating_sub(beyond.unsigned_abs()));
                old.early = true;
                // TCP has refused it, as a rule: it may fill a hole, and must lose against everything else.
                old.whole = (old.end(), old.end());
                self.insert(old);
            }
        }
    }

    fn insert(&mut self, mut new: Piece) {
        let mut at = self.pieces.partition_point(|old| distance(old.end(), new.seq) >= 0);
        while let Some(old) = self.pieces.get(at).copied() {
            if distance(old.seq, new.end()) <= 0 {
                break;
            }
            if new.early && !new.refused() && !old.refused() && self.disagree(&old, &new) {
                new.disputed = true;
                if let Some(old) = self.pieces.get_mut(at) {
                    old.disputed = true;
                }
            }
            if wins(&new, &old) {
                at = self.cut_out(at, &new);
                continue;
            }
            let before = distance(new.seq, old.seq);
            if before > 0 {
                let mut left = new;
                left.keep(before.unsigned_abs());
                self.pieces.insert(at, left);
                at += 1;
            }
            let rest = distance(old.end(), new.end());
            if rest <= 0 {
                return;
            }
            new.trim_front(new.span - rest.unsigned_abs());
            at += 1;
        }
        self.pieces.insert(at, new);
    }

    /// Takes from the piece at `at` what `new` covers; returns where to go on.
    fn cut_out(&mut self, mut at: usize, new: &Piece) -> usize {
        let mut old = self.pieces.remove(at);
        let before = distance(old.seq, new.seq);
        if before > 0 {
            let mut left = old;
            left.keep(before.unsigned_abs());
            self.pieces.insert(at, left);
            at += 1;
        }
        let rest = distance(new.end(), old.end());
        if rest > 0 {
            old.trim_front(old.span - rest.unsigned_abs());
            self.pieces.insert(at, old);
        }
        at
    }

    /// Whether two pieces hold different bytes for the same place.
    fn disagree(&self, one: &Piece, two: &Piece) -> bool {
        let from = if distance(one.seq, two.seq) > 0 { two.seq } else { one.seq };
        let bytes = |piece: &Piece| {
            let skip = distance(piece.seq, from).unsigned_abs().min(piece.copied);
            self.held.get(piece.start + skip as usize..piece.start + piece.copied as usize).unwrap_or_default()
        };
        let (one, two) = (bytes(one), bytes(two));
        let count = one.len().min(two.len());
        one[..count] != two[..count]
    }
}

fn deliver(bytes: &[u8], span: u32, cut: bool, at: Place, reader: &mut impl Reader) {
    if !bytes.is_empty() {
        reader.data(bytes, at);
    }
    let copied = u32::try_from(bytes.len()).unwrap_or(span);
    if span > copied {
        reader.skipped(span - copied, cut, Place { seq: at.seq.wrapping_add(copied), ..at });
    }
}

#[cfg(test)]
mod tests;
