//! Handshake messages, as far as they tell which keys count when.

use super::early::Early;
use super::{Plaintext, Refusal, Session, Side};
use crate::half::{Epoch, Schedule};
use crate::handshake::{CLIENT_HELLO, ENCRYPTED_EXTENSIONS, END_OF_EARLY_DATA, FINISHED, KEY_UPDATE, SERVER_HELLO};
use crate::hello::{accepts_early_data, ClientHello, ServerHello, TLS_1_2, TLS_1_3};
use crate::keys::Keys;
use crate::secrets::{Label, Random, Secrets};
use crate::suites;

impl Session {
    /// TLS 1.3 sends them for the sake of boxes in the middle only (RFC 8446, appendix D.4).
    pub(super) fn change_cipher_spec(&mut self, side: Side, epoch: Epoch, time: u64, out: &mut impl Plaintext) {
        match (self.version, epoch) {
            (Some(TLS_1_2), Epoch::Clear) => self.half(side).enter(Epoch::Application),
            (Some(TLS_1_2), _) => self.renegotiate(time, out),
            _ => {}
        }
    }

    fn renegotiate(&mut self, time: u64, out: &mut impl Plaintext) {
        self.refuse(Refusal::Renegotiated);
        out.lost(Side::Client, None, time);
        out.lost(Side::Server, None, time);
    }

    pub(super) fn clear_messages(&mut self, side: Side, content: &[u8], secrets: &Secrets, out: &mut impl Plaintext) {
        let mut messages = std::mem::take(&mut self.half(side).messages);
        messages.feed(content, |kind, body| match (side, kind) {
            (Side::Client, CLIENT_HELLO) => self.client_hello(body),
            (Side::Server, SERVER_HELLO) => self.server_hello(body, secrets, out),
            _ => {}
        });
        self.half(side).messages = messages;
    }

    fn client_hello(&mut self, body: &[u8]) {
        let Some(hello) = ClientHello::read(body) else {
            return self.refuse(Refusal::NoHello);
        };
        // The second one after a retry has the first one's random (RFC 8446, section 4.1.2).
        let first = self.random.replace(hello.random).is_none();
        if first && hello.early_data {
            self.early = Early::Offered;
        }
    }

    fn server_hello(&mut self, body: &[u8], secrets: &Secrets, out: &mut impl Plaintext) {
        let (Some(random), Some(hello)) = (self.random, ServerHello::read(body)) else {
            return self.refuse(Refusal::NoHello);
        };
        if hello.retry {
            // RFC 8446, section 4.2.10: early data is refused with it.
            self.refuse_early();
            return;
        }
        if self.version.replace(hello.version).is_some() {
            return self.refuse(Refusal::NoHello);
        }
        out.version(hello.version);
        match hello.version {
            TLS_1_3 => self.begin_1_3(&random, hello.suite, secrets, out),
            TLS_1_2 => self.begin_1_2(&random, &hello, secrets),
            _ => self.refuse(Refusal::Version),
        }
    }

    fn begin_1_2(&mut self, random: &Random, hello: &ServerHello, secrets: &Secrets) {
        let Some(suite) = suites::tls_1_2(hello.suite) else {
            return self.refuse(Refusal::Suite);
        };
        let master = secrets.find(random, Label::Master);
        let Some([client, server]) = master.and_then(|master| Keys::of_master(suite, master, random, &hello.random))
        else {
            return self.refuse(Refusal::NoSecrets);
        };
        self.half(Side::Client).prepare(client);
        self.half(Side::Server).prepare(server);
    }

    fn begin_1_3(&mut self, random: &Random, suite: u16, secrets: &Secrets, out: &mut impl Plaintext) {
        let Some(suite) = suites::tls_1_3(suite) else {
            return self.refuse(Refusal::Suite);
        };
        let find = |label| secrets.find(random, label).copied();
        let client = Schedule {
            suite: Some(suite),
            early: find(Label::ClientEarly),
            handshake: find(Label::ClientHandshake),
            application: find(Label::ClientTraffic),
        };
        let server = Schedule {
            early: None,
            handshake: find(Label::ServerHandshake),
            application: find(Label::ServerTraffic),
            ..client
        };
        if client.application.is_none() && server.application.is_none() {
            return self.refuse(Refusal::NoSecrets);
        }
        self.half(Side::Client).schedule = client;
        self.half(Side::Server).schedule = server;
        self.half(Side::Server).enter(Epoch::Handshake);
        if self.early != Early::Offered {
            self.half(Side::Client).enter(Epoch::Handshake);
            self.drain(out);
        }
    }

    pub(super) fn protected_messages(&mut self, side: Side, content: &[u8], time: u64, out: &mut impl Plaintext) {
        let mut messages = std::mem::take(&mut self.half(side).messages);
        let (old, epoch) = (self.version == Some(TLS_1_2), self.half(side).epoch);
        let (mut renegotiates, mut next) = (false, None);
        messages.feed(content, |kind, body| match (kind, epoch) {
            (CLIENT_HELLO | SERVER_HELLO, _) => renegotiates |= old,
            (ENCRYPTED_EXTENSIONS, Epoch::Handshake) if side == Side::Server => {
                self.judge_early(Some(accepts_early_data(body)), time, out);
            }
            (END_OF_EARLY_DATA, Epoch::Early) => next = Some(Epoch::Handshake),
            (FINISHED, Epoch::Handshake) => next = Some(Epoch::Application),
            (KEY_UPDATE, Epoch::Application) if !old => next = Some(Epoch::Clear),
            _ => {}
        });
        let half = self.half(side);
        half.messages = messages;
        // Keys change between records only (RFC 8446, section 5.1).
        match next {
            Some(Epoch::Clear) => half.update(),
            Some(epoch) => half.enter(epoch),
            None => {}
        }
        if renegotiates {
            self.renegotiate(time, out);
        }
    }
}
