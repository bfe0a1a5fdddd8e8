//! What is known of connections' secrets, found by the random of their ClientHello.

use std::collections::HashMap;
use std::fmt;

/// `Random` of a ClientHello (RFC 8446, section 4.1.2).
pub type Random = [u8; 32];

/// What a secret is for (RFC 9850, section 2.1 and 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The master secret of TLS 1.2.
    Master,
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientTraffic,
    ServerTraffic,
}

/// One secret: never shown, not in errors nor in debug output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    bytes: [u8; Secret::LONGEST],
    length: u8,
}

impl Secret {
    /// A master secret has 48 bytes; the others are as long as their hash, SHA-384 at most.
    pub const LONGEST: usize = 48;

    /// `None` where it is longer than any secret.
    pub fn new(secret: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..secret.len())?.copy_from_slice(secret);
        Some(Self { bytes, length: u8::try_from(secret.len()).ok()? })
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Secret({} bytes)", self.length)
    }
}

/// Connections whose secrets are kept; more are counted and left out. A key log of this many has about 700 MB.
const CONNECTIONS: usize = 1 << 20;

/// The secrets of one connection: few, so a list.
type Known = Vec<(Label, Secret)>;

/// Secrets by connection.
#[derive(Default)]
pub struct Secrets {
    map: HashMap<Random, Known>,
    /// Secrets that were left out because there were too many.
    pub left_out: u64,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Secrets of {} connections", self.map.len())
    }
}

impl Secrets {
    /// The first secret of a label counts: a log that says two things of one connection has been tampered with, and
    /// the authentication of its records tells whether it was the right one.
    pub fn add(&mut self, random: Random, label: Label, secret: Secret) {
        if self.map.len() >= CONNECTIONS && !self.map.contains_key(&random) {
            self.left_out += 1;
            return;
        }
        let known = self.map.entry(random).or_default();
        if !known.iter().any(|(its, _)| *its == label) {
            known.push((label, secret));
        }
    }

    /// Adds what another has.
    pub fn absorb(&mut self, other: Secrets) {
        self.left_out += other.left_out;
        for (random, known) in other.map {
            for (label, secret) in known {
                self.add(random, label, secret);
            }
        }
    }

    pub fn find(&self, random: &Random, label: Label) -> Option<&Secret> {
        self.map.get(random)?.iter().find(|(its, _)| *its == label).map(|(_, secret)| secret)
    }

    /// Connections that something is known of.
    pub fn connections(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}
