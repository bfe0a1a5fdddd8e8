//! What a client sends as never to be indexed is a secret, pseudo-header fields too.

use super::*;

#[derive(Default)]
struct Secrets(Vec<(bool, bool)>);

impl Log for Secrets {
    fn exchange(&mut self, _endpoints: &Endpoints, exchange: &Exchange) {
        let head = &exchange.request.as_ref().expect("a request").head;
        self.0.push((head.secret_target, head.secret_authority));
    }
}

#[test]
fn a_path_or_an_authority_may_be_one() {
    let ask = |stream, fields: [Vec<u8>; 2]| {
        let front = block(&[(":method", "GET"), (":scheme", "http")]);
        frame(1, END_HEADERS | END_STREAM, stream, &[front, fields.concat()].concat())
    };
    let (path, host) = (literal(":path", "/reset/TOKEN"), literal(":authority", "h"));
    let (secret_path, secret_host) = (secret(":path", "/reset/TOKEN"), secret(":authority", "h"));
    let mut socket = begin();
    socket.segment(false, &ask(1, [secret_path, host]), 0);
    socket.segment(false, &ask(3, [path, secret_host]), 0);
    let mut found = Secrets::default();
    socket.connections.finish(&mut found);
    assert_eq!(found.0, [(true, false), (false, true)]);
}
