//! Connections as they should be.

use super::*;
use crate::cutter::ALERT;
use crate::hello::TLS_1_3;
use crate::keys::next_generation;
use crate::session::{Refusal, State};

/// RFC 8448, section 3: 50 bytes from each end, the server's behind a NewSessionTicket.
const CLIENT_RECORD: &str = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd5\
    4a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
const SERVER_RECORD: &str = "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc60\
    2dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";

#[test]
fn the_trace_of_rfc_8448_is_read() {
    let mut run = Run::begun();
    run.feed(Side::Client, &hex(CLIENT_RECORD));
    run.feed(Side::Server, &sealed(SERVER_TRAFFIC, 0, HANDSHAKE, &[4, 0, 0, 1, 0]));
    run.feed(Side::Server, &hex(SERVER_RECORD));
    let text: Vec<u8> = (0..50).collect();
    assert_eq!(run.taken.text, [text.clone(), text]);
    assert_eq!((run.taken.version, run.session.state()), (Some(TLS_1_3), State::Read));
    assert_eq!(run.taken.lost, [vec![], vec![]]);
}

#[test]
fn bytes_cut_anywhere_give_the_same_and_each_has_the_time_at_which_it_came() {
    let records = [data(CLIENT_TRAFFIC, 0, "GET / HT"), data(CLIENT_TRAFFIC, 1, "TP/1.1")].concat();
    for cut in 0..=records.len() {
        let mut run = Run::begun();
        run.feed(Side::Client, &records[..cut]);
        let first = run.time;
        run.feed(Side::Client, &records[cut..]);
        assert_eq!(run.taken.text(Side::Client), "GET / HTTP/1.1");
        // A header before each record, a type and a tag behind its text.
        let place = |at: usize| if at < 8 { 5 + at } else { 5 + at + 5 + 17 };
        for (at, time) in run.taken.times[0].iter().enumerate() {
            assert_eq!(*time, if place(at) < cut { first } else { first + 1 }, "byte {at}, cut {cut}");
        }
    }
    let mut run = Run::new(&log());
    let [client, server] = handshakes();
    let hello = clear(CLIENT_HELLO).len();
    for (side, bytes) in [
        (Side::Client, &client[..hello]),
        (Side::Server, &server[..]),
        (Side::Client, &[&client[hello..], &records[..]].concat()[..]),
    ] {
        bytes.iter().for_each(|byte| run.feed(side, &[*byte]));
    }
    assert_eq!(run.taken.text(Side::Client), "GET / HTTP/1.1");
}

#[test]
fn padding_is_no_text_and_an_alert_ends_its_side() {
    let mut run = Run::begun();
    let padded = [&b"text"[..], &[APPLICATION_DATA, 0, 0, 0, 0]].concat();
    let record = Keys::of_traffic(suite(), &secret(CLIENT_TRAFFIC)).expect("keys").seal(0, &padded);
    run.feed(Side::Client, &record);
    run.feed(Side::Client, &sealed(CLIENT_TRAFFIC, 1, ALERT, &[1, 0]));
    assert_eq!((run.taken.text(Side::Client).as_str(), run.taken.ended), ("text", [true, false]));
    // Nothing but zeros has no type: it is nothing.
    run.feed(Side::Client, &Keys::of_traffic(suite(), &secret(CLIENT_TRAFFIC)).expect("keys").seal(2, &[0; 9]));
    assert_eq!(run.taken.text(Side::Client), "text");
}

#[test]
fn a_key_update_changes_one_sides_keys() {
    let mut run = Run::begun();
    run.feed(Side::Client, &sealed(CLIENT_TRAFFIC, 0, HANDSHAKE, &[24, 0, 0, 1, 0]));
    let next = next_generation(suite().hash, &secret(CLIENT_TRAFFIC)).expect("a secret");
    let record = Keys::of_traffic(suite(), &next).expect("keys").seal(0, &[b"new", &[APPLICATION_DATA][..]].concat());
    run.feed(Side::Client, &record);
    run.feed(Side::Server, &data(SERVER_TRAFFIC, 0, "old"));
    assert_eq!((run.taken.text(Side::Client), run.taken.text(Side::Server)), ("new".into(), "old".into()));
}

#[test]
fn without_handshake_secrets_what_follows_is_read_all_the_same() {
    let log: String =
        log().lines().filter(|line| !line.contains("HANDSHAKE")).map(|line| format!("{line}\n")).collect();
    let mut run = Run::new(&log);
    let [client, server] = handshakes();
    let hello = clear(CLIENT_HELLO).len();
    run.feed(Side::Client, &client[..hello]);
    run.feed(Side::Server, &server);
    run.feed(Side::Client, &client[hello..]);
    run.feed(Side::Client, &data(CLIENT_TRAFFIC, 0, "ask"));
    run.feed(Side::Server, &data(SERVER_TRAFFIC, 0, "answer"));
    assert_eq!((run.taken.text(Side::Client), run.taken.text(Side::Server)), ("ask".into(), "answer".into()));
    assert_eq!(run.session.counts.without_secret, 3);
}

#[test]
fn without_secrets_and_with_wrong_ones_nothing_comes_out() {
    let other = log().replace(RANDOM, &"ab".repeat(32));
    let wrong = log().replace("9e40", "9e41").replace("a11a", "a11b").replace("b3ed", "b3ee").replace("b67b", "b67c");
    for (log, refusal) in [(other, Refusal::NoSecrets), (wrong, Refusal::WrongSecrets)] {
        let mut run = Run::new(&log);
        let [client, server] = handshakes();
        run.feed(Side::Client, &client);
        run.feed(Side::Server, &server);
        run.feed(Side::Client, &data(CLIENT_TRAFFIC, 0, "secret"));
        run.feed(Side::Server, &data(SERVER_TRAFFIC, 0, "secret"));
        assert_eq!(run.session.state(), State::Refused(refusal));
        assert_eq!(run.taken.text, [vec![], vec![]]);
    }
}
