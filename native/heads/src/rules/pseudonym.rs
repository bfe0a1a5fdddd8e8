//! Pseudonyms of secrets: the same secret has the same one wherever it is seen, and none can be turned back.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Makes `hmac:<12 hex>`: the first six bytes of HMAC-SHA-256 (RFC 2104) under the key of the installation.
#[derive(Clone)]
pub struct Pseudonym {
    keyed: Hmac<Sha256>,
}

impl Pseudonym {
    pub fn new(key: &[u8]) -> Result<Pseudonym, String> {
        let keyed = Hmac::<Sha256>::new_from_slice(key).map_err(|error| format!("key: {error}"))?;
        Ok(Pseudonym { keyed })
    }

    pub fn write(&self, secret: &[u8], out: &mut Vec<u8>) {
        let mut mac = self.keyed.clone();
        mac.update(secret);
        let digest = mac.finalize().into_bytes();
        let mut text = *b"hmac:000000000000";
        for (pair, byte) in text[5..].chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        out.extend_from_slice(&text);
    }
}

impl std::fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonym")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_rfc_4231() {
        let mut out = Vec::new();
        Pseudonym::new(b"Jefe").unwrap().write(b"what do ya want for nothing?", &mut out);
        assert_eq!(out, b"hmac:5bdcc146bf60");
    }
}
