//! Handshake messages out of records (RFC 8446, section 4; RFC 5246, section 7.4): cut and joined over them at will.

pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const END_OF_EARLY_DATA: u8 = 5;
pub const ENCRYPTED_EXTENSIONS: u8 = 8;
pub const FINISHED: u8 = 20;
pub const KEY_UPDATE: u8 = 24;

/// Type and length.
const HEADER: usize = 4;
/// Bytes of one message that are kept: a ClientHello with several post-quantum key shares has some thousand. Of a
/// longer one only the beginning is given.
const KEPT: usize = 32 << 10;

/// One direction's messages.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// Bytes of the message under way that are still to be passed over.
    passing: usize,
}

impl Messages {
    /// Takes the content of a record; calls `message` with type and body of each message that is complete.
    pub fn feed(&mut self, mut content: &[u8], mut message: impl FnMut(u8, &[u8])) {
        while !content.is_empty() {
            let passed = self.passing.min(content.len());
            self.passing -= passed;
            content = content.get(passed..).unwrap_or_default();
            self.keep(&mut content, HEADER);
            let Some(&[kind, high, middle, low]) = self.bytes.first_chunk::<HEADER>() else { continue };
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let kept = if needed(kind) { length.min(KEPT) } else { 0 };
            self.keep(&mut content, HEADER + kept);
            if self.bytes.len() == HEADER + kept {
                message(kind, self.bytes.get(HEADER..).unwrap_or_default());
                self.bytes.clear();
                self.passing = length - kept;
            }
        }
    }

    /// Bytes are missing: what was under way is given up.
    pub fn lose(&mut self) {
        *self = Self::default();
    }

    fn keep(&mut self, content: &mut &[u8], goal: usize) {
        let count = goal.saturating_sub(self.bytes.len()).min(content.len());
        let (head, rest) = content.split_at(count);
        self.bytes.extend_from_slice(head);
        *content = rest;
    }
}

/// Of the others (certificates, tickets) only the type counts.
fn needed(kind: u8) -> bool {
    matches!(kind, CLIENT_HELLO | SERVER_HELLO | ENCRYPTED_EXTENSIONS)
}
