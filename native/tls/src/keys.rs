//! Keys out of secrets, and records out of their protection.

use aead::{AeadInOut, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::aead;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ccm::consts::{U12, U16, U8};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384};

use crate::secrets::{Random, Secret};
use crate::suites::{Cipher, Hash, Suite};

/// The longest key, and the nonce of every AEAD here.
const KEY: usize = 32;
const NONCE: usize = 12;

/// A cipher with its key. Boxed: AES has its round keys unrolled.
enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
    Aes128Ccm(Box<Ccm<Aes128, U16, U12>>),
    Aes256Ccm(Box<Ccm<Aes256, U16, U12>>),
    Aes128Ccm8(Box<Ccm<Aes128, U8, U12>>),
    Aes256Ccm8(Box<Ccm<Aes256, U8, U12>>),
}

impl Aead {
    fn new(cipher: Cipher, key: &[u8]) -> Option<Self> {
        Some(match cipher {
            Cipher::Aes128Gcm => Aead::Aes128Gcm(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Aes256Gcm => Aead::Aes256Gcm(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::ChaCha20Poly1305 => Aead::ChaCha20Poly1305(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Aes128Ccm => Aead::Aes128Ccm(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Aes256Ccm => Aead::Aes256Ccm(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Aes128Ccm8 => Aead::Aes128Ccm8(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Aes256Ccm8 => Aead::Aes256Ccm8(Box::new(KeyInit::new_from_slice(key).ok()?)),
        })
    }

    /// Decrypts in place what authenticates; leaves everything else as it is.
    fn open(&self, nonce: &[u8; NONCE], additional: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        match self {
            Aead::Aes128Gcm(aead) => open(&**aead, nonce, additional, text, tag),
            Aead::Aes256Gcm(aead) => open(&**aead, nonce, additional, text, tag),
            Aead::ChaCha20Poly1305(aead) => open(&**aead, nonce, additional, text, tag),
            Aead::Aes128Ccm(aead) => open_copy(&**aead, nonce, additional, text, tag),
            Aead::Aes256Ccm(aead) => open_copy(&**aead, nonce, additional, text, tag),
            Aead::Aes128Ccm8(aead) => open_copy(&**aead, nonce, additional, text, tag),
            Aead::Aes256Ccm8(aead) => open_copy(&**aead, nonce, additional, text, tag),
        }
    }
}

fn open<A: AeadInOut>(aead: &A, nonce: &[u8; NONCE], additional: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
    let (Ok(nonce), Ok(tag)) = (nonce.as_slice().try_into(), tag.try_into()) else { return false };
    aead.decrypt_inout_detached(nonce, additional, text.into(), tag).is_ok()
}

/// CCM authenticates the plaintext, so it has to decrypt before it knows.
fn open_copy<A: AeadInOut>(aead: &A, nonce: &[u8; NONCE], additional: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
    let mut copy = text.to_vec();
    let opened = open(aead, nonce, additional, &mut copy, tag);
    if opened {
        text.copy_from_slice(&copy);
    }
    opened
}

/// What protects one direction's records.
pub struct Keys {
    aead: Aead,
    cipher: Cipher,
    /// The write IV (TLS 1.3, ChaCha20), or the fixed part of the nonce.
    iv: [u8; NONCE],
    tls_1_3: bool,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Keys({:?})", self.cipher)
    }
}

impl Keys {
    /// TLS 1.3: of a traffic secret (RFC 8446, section 7.3). `None` where the secret is not as long as the hash.
    pub fn of_traffic(suite: Suite, secret: &Secret) -> Option<Self> {
        let (mut key, mut iv) = ([0; KEY], [0; NONCE]);
        let key = key.get_mut(..suite.cipher.key_length())?;
        expand_label(suite.hash, secret, b"key", key)?;
        expand_label(suite.hash, secret, b"iv", &mut iv)?;
        Some(Self { aead: Aead::new(suite.cipher, key)?, cipher: suite.cipher, iv, tls_1_3: true })
    }

    /// TLS 1.2: the client's and the server's, of the master secret (RFC 5246, section 6.3).
    pub fn of_master(suite: Suite, master: &Secret, client: &Random, server: &Random) -> Option<[Self; 2]> {
        let (key, (iv, _)) = (suite.cipher.key_length(), suite.cipher.nonce_1_2());
        let mut block = [0; 2 * (KEY + NONCE)];
        let block = block.get_mut(..2 * (key + iv))?;
        let seed = [&b"key expansion"[..], server, client].concat();
        match suite.hash {
            Hash::Sha256 => expand_1_2::<Hmac<Sha256>>(master.bytes(), &seed, block)?,
            Hash::Sha384 => expand_1_2::<Hmac<Sha384>>(master.bytes(), &seed, block)?,
        }
        let (keys, ivs) = block.split_at(2 * key);
        let half = |which: usize| {
            let mut own = [0; NONCE];
            own.get_mut(..iv)?.copy_from_slice(ivs.get(which * iv..(which + 1) * iv)?);
            let aead = Aead::new(suite.cipher, keys.get(which * key..(which + 1) * key)?)?;
            Some(Self { aead, cipher: suite.cipher, iv: own, tls_1_3: false })
        };
        Some([half(0)?, half(1)?])
    }

    /// Bytes of a record around its plaintext: the explicit nonce before it, the tag behind it.
    pub fn overhead(&self) -> (usize, usize) {
        let explicit = if self.tls_1_3 { 0 } else { self.cipher.nonce_1_2().1 };
        (explicit, self.cipher.tag_length())
    }

    /// TLS 1.3, AES-128-GCM: the record of an inner plaintext.
    #[cfg(test)]
    pub(crate) fn seal(&self, sequence: u64, inner: &[u8]) -> Vec<u8> {
        let Aead::Aes128Gcm(aead) = &self.aead else { panic!("not needed") };
        let mut nonce = self.iv;
        nonce.iter_mut().skip(NONCE - 8).zip(sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        let length = u16::try_from(inner.len() + 16).expect("short");
        let header = [&[23, 3, 3][..], &length.to_be_bytes()].concat();
        let mut body = inner.to_vec();
        let nonce = nonce.as_slice().try_into().expect("12 bytes");
        let tag = aead.encrypt_inout_detached(nonce, &header, body.as_mut_slice().into()).expect("short");
        [&header[..], &body, &tag].concat()
    }

    /// Decrypts the record number `sequence` in place, and says where its plaintext is. `None`, with nothing changed,
    /// where the record does not authenticate.
    pub fn open(&self, sequence: u64, header: [u8; 5], body: &mut [u8]) -> Option<std::ops::Range<usize>> {
        let (before, after) = self.overhead();
        let end = body.len().checked_sub(after).filter(|end| *end >= before)?;
        let mut nonce = self.iv;
        if before == 0 {
            // RFC 8446, section 5.3; RFC 7905, section 2.
            for (byte, number) in nonce.iter_mut().skip(NONCE - 8).zip(sequence.to_be_bytes()) {
                *byte ^= number;
            }
        } else {
            nonce.get_mut(NONCE - before..)?.copy_from_slice(body.get(..before)?);
        }
        let mut additional = [0; 13];
        let additional = if self.tls_1_3 {
            let additional = additional.get_mut(..5)?;
            additional.copy_from_slice(&header);
            additional
        } else {
            // RFC 5246, section 6.2.3.3: the length of the plaintext, not of the record.
            let length = u16::try_from(end - before).ok()?;
            additional.get_mut(..8)?.copy_from_slice(&sequence.to_be_bytes());
            additional.get_mut(8..11)?.copy_from_slice(header.get(..3)?);
            additional.get_mut(11..)?.copy_from_slice(&length.to_be_bytes());
            &mut additional[..]
        };
        let (text, tag) = body.split_at_mut(end);
        self.aead.open(&nonce, additional, text.get_mut(before..)?, tag).then_some(before..end)
    }
}

/// The secret after a key update (RFC 8446, section 7.2).
pub fn next_generation(hash: Hash, secret: &Secret) -> Option<Secret> {
    let mut next = [0; Secret::LONGEST];
    let next = next.get_mut(..hash.length())?;
    expand_label(hash, secret, b"traffic upd", next)?;
    Secret::new(next)
}

/// HKDF-Expand-Label with an empty context (RFC 8446, section 7.1).
fn expand_label(hash: Hash, secret: &Secret, label: &[u8], to: &mut [u8]) -> Option<()> {
    if secret.bytes().len() != hash.length() {
        return None;
    }
    let length = u16::try_from(to.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from(label.len() + 6).ok()?];
    let info = [&length[..], &label_length, b"tls13 ", label, &[0]];
    match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret.bytes()).ok()?.expand_multi_info(&info, to).ok(),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret.bytes()).ok()?.expand_multi_info(&info, to).ok(),
    }
}

/// P_hash (RFC 5246, section 5).
fn expand_1_2<M: Mac + hmac::KeyInit>(secret: &[u8], seed: &[u8], to: &mut [u8]) -> Option<()> {
    let mac = |parts: [&[u8]; 2]| {
        let mut mac = <M as hmac::KeyInit>::new_from_slice(secret).ok()?;
        for part in parts {
            mac.update(part);
        }
        Some(mac.finalize().into_bytes())
    };
    let mut a = mac([seed, &[]])?;
    let mut to = to;
    while !to.is_empty() {
        let block = mac([&a, seed])?;
        let count = block.len().min(to.len());
        let (here, rest) = to.split_at_mut(count);
        here.copy_from_slice(block.get(..count)?);
        to = rest;
        a = mac([&a, &[]])?;
    }
    Some(())
}
