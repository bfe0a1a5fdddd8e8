//! Cipher suites that can be read: those with authenticated encryption (AEAD).

/// The encryption of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Ccm,
    Aes256Ccm,
    /// With tags of 8 bytes (RFC 6655).
    Aes128Ccm8,
    Aes256Ccm8,
}

impl Cipher {
    pub fn key_length(self) -> usize {
        match self {
            Cipher::Aes128Gcm | Cipher::Aes128Ccm | Cipher::Aes128Ccm8 => 16,
            _ => 32,
        }
    }

    pub fn tag_length(self) -> usize {
        match self {
            Cipher::Aes128Ccm8 | Cipher::Aes256Ccm8 => 8,
            _ => 16,
        }
    }

    /// TLS 1.2: bytes of the nonce that come out of the key block, and those that each record carries (RFC 5288,
    /// section 3; RFC 6655, section 3; RFC 7905, section 2).
    pub fn nonce_1_2(self) -> (usize, usize) {
        match self {
            Cipher::ChaCha20Poly1305 => (12, 0),
            _ => (4, 8),
        }
    }
}

/// The hash of key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    pub fn length(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub cipher: Cipher,
    pub hash: Hash,
}

/// TLS 1.3 (RFC 8446, appendix B.4).
pub fn tls_1_3(number: u16) -> Option<Suite> {
    let (cipher, hash) = match number {
        0x1301 => (Cipher::Aes128Gcm, Hash::Sha256),
        0x1302 => (Cipher::Aes256Gcm, Hash::Sha384),
        0x1303 => (Cipher::ChaCha20Poly1305, Hash::Sha256),
        0x1304 => (Cipher::Aes128Ccm, Hash::Sha256),
        0x1305 => (Cipher::Aes128Ccm8, Hash::Sha256),
        _ => return None,
    };
    Some(Suite { cipher, hash })
}

/// TLS 1.2 (<https://www.iana.org/assignments/tls-parameters>), whatever the key exchange: the log has its outcome.
pub fn tls_1_2(number: u16) -> Option<Suite> {
    let cipher = match number {
        // RFC 5288, 5289, 5487, 8442
        0x009c | 0x009e | 0x00a0 | 0x00a2 | 0x00a4 | 0x00a6 | 0x00a8 | 0x00aa | 0x00ac | 0xc02b | 0xc02d | 0xc02f
        | 0xc031 | 0xd001 => Cipher::Aes128Gcm,
        0x009d | 0x009f | 0x00a1 | 0x00a3 | 0x00a5 | 0x00a7 | 0x00a9 | 0x00ab | 0x00ad | 0xc02c | 0xc02e | 0xc030
        | 0xc032 | 0xd002 => Cipher::Aes256Gcm,
        // RFC 7905
        0xcca8..=0xccae => Cipher::ChaCha20Poly1305,
        // RFC 6655, 7251, 8442
        0xc09c | 0xc09e | 0xc0a4 | 0xc0a6 | 0xc0ac | 0xd005 => Cipher::Aes128Ccm,
        0xc09d | 0xc09f | 0xc0a5 | 0xc0a7 | 0xc0ad => Cipher::Aes256Ccm,
        0xc0a0 | 0xc0a2 | 0xc0a8 | 0xc0aa | 0xc0ae | 0xd003 => Cipher::Aes128Ccm8,
        0xc0a1 | 0xc0a3 | 0xc0a9 | 0xc0ab | 0xc0af => Cipher::Aes256Ccm8,
        _ => return None,
    };
    let hash = if cipher == Cipher::Aes256Gcm { Hash::Sha384 } else { Hash::Sha256 };
    Some(Suite { cipher, hash })
}
