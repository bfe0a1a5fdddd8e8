//! What is missing or changed is a loss, never another byte.

use super::*;

#[test]
fn a_changed_bit_anywhere_takes_one_record_and_changes_no_other() {
    let texts = ["first", "second", "third"];
    let records: Vec<Vec<u8>> =
        texts.iter().zip(0..).map(|(text, number)| data(CLIENT_TRAFFIC, number, text)).collect();
    let whole = records.concat();
    for at in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let mut run = Run::begun();
        run.feed(Side::Client, &changed);
        let text = run.taken.text(Side::Client);
        let mut rest = text.as_str();
        for each in texts {
            rest = rest.strip_prefix(each).unwrap_or(rest);
        }
        assert_eq!(rest, "", "bit {at}: {text}");
        assert!(!run.taken.lost[0].is_empty() || text.len() < whole.len(), "bit {at}");
        let header = (at / 8) % 50 < 5;
        if !header && (5..records[0].len()).contains(&(at / 8)) {
            assert_eq!((text.as_str(), &run.taken.lost[0]), ("secondthird", &vec![None]));
        }
    }
}

#[test]
fn after_a_gap_of_any_length_reading_goes_on_at_the_next_whole_record() {
    let texts: Vec<String> = (0..6).map(|number| format!("<{}>", number.to_string().repeat(20))).collect();
    let records: Vec<Vec<u8>> = texts.iter().zip(0..).map(|(text, at)| data(CLIENT_TRAFFIC, at, text)).collect();
    let (whole, length) = (records.concat(), records[0].len());
    for from in 0..whole.len() {
        for count in [1, 4, length - 1, length, length + 1, 3 * length] {
            let to = (from + count).min(whole.len());
            let mut run = Run::begun();
            run.feed(Side::Client, &whole[..from]);
            run.gap(Side::Client, to - from);
            run.feed(Side::Client, &whole[to..]);
            let kept: String = texts
                .iter()
                .enumerate()
                .filter(|(at, _)| (at + 1) * length <= from || at * length >= to)
                .map(|(_, text)| text.as_str())
                .collect();
            assert_eq!(run.taken.text(Side::Client), kept, "from {from} to {to}");
            assert!(!run.taken.lost[0].is_empty(), "from {from} to {to}");
        }
    }
}

#[test]
fn a_key_update_within_a_gap_is_found() {
    let next = crate::keys::next_generation(suite().hash, &secret(CLIENT_TRAFFIC)).expect("a secret");
    let update = sealed(CLIENT_TRAFFIC, 0, HANDSHAKE, &[24, 0, 0, 1, 0]);
    let keys = Keys::of_traffic(suite(), &next).expect("keys");
    let record = |number, text: &[u8]| keys.seal(number, &[text, &[APPLICATION_DATA]].concat());
    let mut run = Run::begun();
    run.gap(Side::Client, update.len() + record(0, b"lost").len());
    run.feed(Side::Client, &record(1, b"kept"));
    assert_eq!(run.taken.text(Side::Client), "kept");
}

#[test]
fn a_handshake_with_a_hole_loses_no_data() {
    let [client, server] = handshakes();
    let hello = clear(SERVER_HELLO).len();
    let mut run = Run::new(&log());
    run.feed(Side::Client, &client[..clear(CLIENT_HELLO).len()]);
    // Within the certificate.
    run.feed(Side::Server, &server[..hello + 100]);
    run.gap(Side::Server, 50);
    run.feed(Side::Server, &server[hello + 150..]);
    run.feed(Side::Server, &data(SERVER_TRAFFIC, 0, "answer"));
    assert_eq!(run.taken.text(Side::Server), "answer");
    assert_eq!(run.taken.lost[1], vec![]);
}

#[test]
fn bytes_that_look_like_headers_all_over_are_given_up_in_bounded_time() {
    let mut run = Run::begun();
    run.gap(Side::Client, 1);
    let hostile: Vec<u8> = [23, 3, 3, 0x40, 0].repeat(200_000);
    for chunk in hostile.chunks(1400) {
        run.feed(Side::Client, chunk);
    }
    assert_eq!(run.taken.text(Side::Client), "");
    assert_eq!(run.taken.lost[0], vec![None]);
}
