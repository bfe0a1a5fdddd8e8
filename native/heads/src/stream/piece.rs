//! A part of a segment that waits, and its place in sequence space.

#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) seq: u32,
    pub(super) span: u32,
    /// Where its copied bytes begin in `held`, and how many there are.
    pub(super) start: usize,
    pub(super) copied: u32,
    pub(super) time: u64,
    pub(super) cut: bool,
    /// It waits out of order: TCP expected an earlier byte when it came.
    pub(super) early: bool,
    /// Another segment that waited said something else for some of these bytes.
    pub(super) disputed: bool,
    /// Where its segment began and ended, whatever others took of it since: that decides whose bytes count.
    pub(super) whole: (u32, u32),
}

impl Piece {
    pub(super) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.span)
    }

    /// Leaves out the first `count` bytes.
    pub(super) fn trim_front(&mut self, count: u32) {
        let copied = count.min(self.copied);
        self.seq = self.seq.wrapping_add(count);
        self.span -= count;
        self.start += copied as usize;
        self.copied -= copied;
    }

    /// What is left of a segment that TCP has refused, as a rule: it loses against everything.
    pub(super) fn refused(&self) -> bool {
        self.whole.0 == self.whole.1
    }

    /// Keeps the first `count` bytes.
    pub(super) fn keep(&mut self, count: u32) {
        self.span = count;
        self.copied = self.copied.min(count);
    }
}

/// Whether `new` replaces what `old` holds for the same bytes.
pub(super) fn wins(new: &Piece, old: &Piece) -> bool {
    if !new.early {
        return true;
    }
    if !old.early {
        return false;
    }
    let (starts_before, ends_after) = (distance(new.whole.0, old.whole.0), distance(old.whole.1, new.whole.1));
    starts_before > 0 || (starts_before == 0 && ends_after > 0)
}

/// Signed distance from `from` to `to` in sequence space.
pub(super) fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
