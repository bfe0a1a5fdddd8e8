//! The running account of what was consumed: it must add up.

/// Records consumed = used + duplicate + not HTTP + failed (by reason).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub consumed: u64,
    pub used: u64,
    pub duplicate: u64,
    /// Of a connection that turned out to speak something else, or that became a tunnel.
    pub not_http: u64,
    /// Not in a form that this version reads.
    pub failed_unreadable: u64,
    /// Of a connection that was never announced.
    pub failed_unknown: u64,
    /// Beyond what TCP's window can hold.
    pub failed_window: u64,
    /// Of a connection that was refused because there were too many.
    pub failed_crowded: u64,

    /// Bytes that TCP accepted and no record brought.
    pub gap_bytes: u64,
    /// Times that the place in a stream was lost.
    pub lost: u64,
    pub gaps: u64,
    /// Exchanges put together; each is handed to the log once.
    pub exchanges: u64,
    pub connections: u64,
    /// Fields whose name or value stands behind an HPACK index that was never seen.
    pub hpack_unresolved: u64,
    /// Header sections of HTTP/2 of which a part is not kept.
    pub heads_cut: u64,
    /// HTTP/2 streams that were not followed, because there were too many or memory was short.
    pub streams_refused: u64,
    /// HTTP/2 connections let go because all together took too much memory.
    pub let_go: u64,
    /// Header sections with more CONTINUATION frames than anybody needs.
    pub floods: u64,
    /// Numbers missing in the per-CPU sequence: records that the kernel side refused.
    pub holes: u64,
}

impl Ledger {
    /// A record that says something and is not part of a stream.
    pub fn take(&mut self) {
        self.consumed += 1;
        self.used += 1;
    }

    pub fn failed(&self) -> u64 {
        self.failed_unreadable + self.failed_unknown + self.failed_window + self.failed_crowded
    }

    pub fn closed(&self) -> bool {
        self.consumed == self.used + self.duplicate + self.not_http + self.failed()
    }
}
