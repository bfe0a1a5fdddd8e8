//! Key logs, good and bad.

use super::*;
use crate::keylog::Fault;
use crate::secrets::Label;

fn read(log: &str, cut: usize) -> (Secrets, Vec<(u64, Fault)>, keylog::Reader) {
    let (mut secrets, mut reader, mut faults) = (Secrets::default(), keylog::Reader::default(), Vec::new());
    for part in [&log.as_bytes()[..cut], &log.as_bytes()[cut..]] {
        reader.feed(part, &mut secrets, |line, fault| faults.push((line, fault)));
    }
    reader.finish(&mut secrets, |line, fault| faults.push((line, fault)));
    (secrets, faults, reader)
}

#[test]
fn lines_are_read_however_they_end_and_are_cut() {
    let log = format!("# comment\r\n\r\n{}EXPORTER_SECRET aa bb\n", log()).replace("7cdb", "7CDB");
    let log = log.trim_end();
    for cut in 0..=log.len() {
        let (secrets, faults, reader) = read(log, cut);
        assert_eq!((faults, reader.secrets, reader.unused, reader.lines), (vec![], 4, 1, 7));
        let random = hex(RANDOM).try_into().expect("32 bytes");
        assert_eq!(secrets.find(&random, Label::ServerTraffic), Some(&secret(SERVER_TRAFFIC)));
    }
}

#[test]
fn what_is_malformed_is_told_by_its_line_and_costs_nothing_else() {
    let (short, long) = ("ab".repeat(31), "ab".repeat(49));
    let bad = [
        (format!("CLIENT_TRAFFIC_SECRET_0 {short} {CLIENT_TRAFFIC}"), Fault::Random),
        (format!("CLIENT_TRAFFIC_SECRET_0 {RANDOM} {}", &CLIENT_TRAFFIC[1..]), Fault::Secret),
        (format!("CLIENT_TRAFFIC_SECRET_0 {RANDOM} zz"), Fault::Secret),
        (format!("CLIENT_RANDOM {RANDOM} {CLIENT_TRAFFIC}"), Fault::Length),
        (format!("CLIENT_TRAFFIC_SECRET_0 {RANDOM} {long}"), Fault::Length),
        (format!("CLIENT_TRAFFIC_SECRET_0 {RANDOM}"), Fault::Parts),
        (format!("CLIENT_TRAFFIC_SECRET_0  {RANDOM} {CLIENT_TRAFFIC}"), Fault::Parts),
        ("x".repeat(5000), Fault::Parts),
        ("\u{0}\u{ff}".into(), Fault::Parts),
    ];
    let log: String = bad.iter().map(|(line, _)| format!("{line}\n")).collect::<String>() + &log();
    let (secrets, faults, reader) = read(&log, 0);
    let expected: Vec<_> = bad.iter().zip(1..).map(|((_, fault), line)| (line, *fault)).collect();
    assert_eq!(faults, expected);
    assert_eq!((reader.secrets, secrets.connections()), (4, 1));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let (secrets, ..) = read(&log(), 0);
    assert_eq!(format!("{secrets:?} {:?}", secret(CLIENT_TRAFFIC)), "Secrets of 1 connections Secret(32 bytes)");
}
