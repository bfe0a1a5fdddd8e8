//! Connections, their numbers, their ends, and what was acknowledged.

use super::build::{connection, ethernet, Pcap, Tcp, ACK, CLIENT, FIN, RST, SERVER, SYN};
use super::{read, Outcome, Row};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).expect("short")
}

fn flow(segments: &[Tcp]) -> Outcome {
    let packets: Vec<_> = segments.iter().map(|tcp| ethernet(&[], &tcp.ip())).collect();
    let outcome = read(Pcap::ETHERNET.file(&packets));
    assert!(outcome.connections.ledger.closed(), "{:?}", outcome.connections.ledger);
    outcome
}

/// From the client, and from the server.
fn up(flags: u8, seq: u32, ack: u32, text: &str) -> Tcp {
    Tcp::new(CLIENT, SERVER, flags, seq, ack, text)
}

fn down(flags: u8, seq: u32, ack: u32, text: &str) -> Tcp {
    Tcp::new(SERVER, CLIENT, flags, seq, ack, text)
}

fn only(outcome: &Outcome) -> &Row {
    let [row] = &outcome.rows[..] else { panic!("{:?}", outcome.rows) };
    row
}

#[test]
fn connections_are_numbered_in_the_order_of_their_first_packets() {
    let ports = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"];
    let all: Vec<Vec<Tcp>> = ports.iter().map(|client| connection(client, SERVER, client)).collect();
    let turns: Vec<Tcp> = (0..8).flat_map(|turn| all.iter().map(move |each| each[turn].clone())).collect();
    let outcome = flow(&turns);
    let rows: Vec<_> = outcome.rows.iter().map(|row| (row.connection, row.target.as_str())).collect();
    assert_eq!(rows, [(1, ports[0]), (2, ports[1]), (3, ports[2])]);
}

#[test]
fn a_syn_with_another_number_begins_another_connection() {
    let (first, mut second) = (connection(CLIENT, SERVER, "/a"), connection(CLIENT, SERVER, "/b"));
    for tcp in &mut second {
        tcp.seq = tcp.seq.wrapping_add(7_000_000);
        tcp.ack = tcp.ack.wrapping_add(7_000_000);
    }
    // With and without the end of the first.
    for kept in [8, 5] {
        let outcome = flow(&[&first[..kept], &second].concat());
        assert_eq!(outcome.flows.connections, 2);
        let rows: Vec<_> = outcome.rows.iter().map(|row| (row.connection, row.target.as_str(), row.status)).collect();
        assert_eq!(rows, [(1, "/a", Some(200)), (2, "/b", Some(200))]);
    }
}

#[test]
fn a_repeated_syn_and_stragglers_belong_to_the_connection_they_repeat() {
    let all = connection(CLIENT, SERVER, "/a");
    let again = |which: usize| all[which].clone();
    let outcome = flow(&[&[again(0)], &all[..2], &[again(1)], &all[2..], &[again(6), again(7), again(3)]].concat());
    assert_eq!((outcome.flows.connections, outcome.flows.stragglers), (1, 3));
    assert_eq!(only(&outcome).marks, Vec::<&str>::new());
}

#[test]
fn sequence_numbers_wrap() {
    for shift in [u32::MAX - 101, u32::MAX - 110, u32::MAX - 901, u32::MAX - 920] {
        let mut all = connection(CLIENT, SERVER, "/a");
        for tcp in &mut all {
            tcp.seq = tcp.seq.wrapping_add(shift);
            tcp.ack = tcp.ack.wrapping_add(shift);
        }
        let outcome = flow(&all);
        assert_eq!((only(&outcome).status, only(&outcome).marks.len()), (Some(200), 0), "shift {shift}");
    }
}

#[test]
fn a_connection_without_its_syn_is_joined_and_its_ends_are_found_all_the_same() {
    for server_first in [false, true] {
        let mut all = connection(CLIENT, SERVER, "/a").split_off(2);
        if server_first {
            all.insert(0, down(ACK, 901, 101, ""));
        }
        let outcome = flow(&all);
        let row = only(&outcome);
        assert_eq!((row.client.as_str(), row.server.as_str(), row.status), (CLIENT, SERVER, Some(200)));
        assert!(row.marks.contains(&"joined") || row.marks.is_empty(), "{row:?}");
    }
}

#[test]
fn an_answer_to_a_syn_tells_the_server() {
    let all = connection(CLIENT, SERVER, "/a").split_off(1);
    let outcome = flow(&all);
    assert_eq!((only(&outcome).server.as_str(), only(&outcome).marks.len()), (SERVER, 0));
}

#[test]
fn bytes_that_nobody_acknowledged_come_out_at_the_end() {
    let requests = [up(SYN, 100, 0, ""), up(ACK, 101, 901, REQUEST)];
    let outcome = flow(&requests);
    assert_eq!((only(&outcome).target.as_str(), only(&outcome).status), ("/a", None));
    assert!(only(&outcome).marks.contains(&"no_response"));

    let responses = [down(SYN | ACK, 900, 101, ""), down(ACK, 901, 101, RESPONSE)];
    let outcome = flow(&responses);
    assert_eq!((only(&outcome).target.as_str(), only(&outcome).status), ("", Some(200)));
    assert!(only(&outcome).marks.contains(&"no_request"));
}

#[test]
fn an_acknowledgement_may_come_before_the_bytes_it_is_for() {
    let asked = 101 + length(REQUEST);
    let outcome = flow(&[
        up(SYN, 100, 0, ""),
        down(SYN | ACK, 900, 101, ""),
        down(ACK, 901, asked, ""),
        up(ACK, 101, 901, REQUEST),
        down(ACK, 901, asked, RESPONSE),
        up(ACK, asked, 901 + length(RESPONSE), ""),
    ]);
    assert_eq!(
        (only(&outcome).target.as_str(), only(&outcome).status, only(&outcome).marks.len()),
        ("/a", Some(200), 0)
    );
}

#[test]
fn segments_may_come_twice_and_in_another_order() {
    let asked = 101 + length(REQUEST);
    let (front, back) = REQUEST.split_at(20);
    let (head, tail) = (up(ACK, 101, 901, front), up(ACK, 121, 901, back));
    let handshake = [up(SYN, 100, 0, ""), down(SYN | ACK, 900, 101, ""), up(ACK, 101, 901, "")];
    let answer = [down(ACK, 901, asked, RESPONSE), up(ACK, asked, 901 + length(RESPONSE), "")];
    let orders = [
        vec![head.clone(), tail.clone(), head.clone(), tail.clone()],
        vec![head.clone(), up(ACK, 101, 901, REQUEST)],
        vec![tail.clone(), head.clone()],
    ];
    for order in orders {
        let outcome = flow(&[&handshake, &order[..], &answer].concat());
        assert_eq!(
            (only(&outcome).target.as_str(), only(&outcome).status, only(&outcome).marks.len()),
            ("/a", Some(200), 0)
        );
    }
}

#[test]
fn a_reset_ends_the_connection_where_tcp_would_take_it() {
    let asked = 101 + length(REQUEST);
    let begin =
        [up(SYN, 100, 0, ""), down(SYN | ACK, 900, 101, ""), up(ACK, 101, 901, REQUEST), down(ACK, 901, asked, "")];
    let rest = [down(ACK, 901, asked, RESPONSE), up(ACK, asked, 901 + length(RESPONSE), "")];

    let outcome = flow(&[&begin[..], &[down(RST, 901, 0, "")]].concat());
    assert!(only(&outcome).marks.contains(&"reset"), "{:?}", outcome.rows);

    let stray = down(RST, 901u32.wrapping_sub(5000), 0, "");
    let outcome = flow(&[&begin[..], &[stray], &rest].concat());
    assert_eq!((only(&outcome).status, only(&outcome).marks.len()), (Some(200), 0));
}

#[test]
fn text_in_a_reset_is_no_payload() {
    let begin = [up(SYN, 100, 0, ""), down(SYN | ACK, 900, 101, ""), up(ACK, 101, 901, REQUEST)];
    let reset = down(RST | ACK, 901, 101 + length(REQUEST), "HTTP/1.1 500 go away\r\n\r\n");
    let outcome = flow(&[&begin[..], &[reset]].concat());
    assert_eq!(only(&outcome).status, None);
}

#[test]
fn data_may_come_with_the_syn_and_with_the_fin() {
    let asked = 101 + length(REQUEST);
    let answered = 901 + length(RESPONSE);
    let outcome = flow(&[
        up(SYN, 100, 0, REQUEST),
        down(SYN | ACK, 900, asked, ""),
        down(FIN | ACK, 901, asked, RESPONSE),
        up(FIN | ACK, asked, answered + 1, ""),
        down(ACK, answered + 1, asked + 1, ""),
    ]);
    assert_eq!((only(&outcome).status, only(&outcome).marks.len()), (Some(200), 0));
}

#[test]
fn a_lost_segment_at_the_end_is_a_gap() {
    let asked = 101 + length(REQUEST);
    let (seen, lost) = RESPONSE.split_at(RESPONSE.len() - 2);
    let end = 901 + length(seen) + length(lost);
    let outcome = flow(&[
        up(SYN, 100, 0, ""),
        down(SYN | ACK, 900, 101, ""),
        up(ACK, 101, 901, REQUEST),
        down(ACK, 901, asked, seen),
        up(ACK, asked, end, ""),
    ]);
    assert_eq!(only(&outcome).status, Some(200));
    assert_eq!(outcome.connections.ledger.gap_bytes, 2);
}

#[test]
fn a_port_scan_is_followed_in_bounded_memory() {
    let mut flows = crate::replay::Flows::default();
    let mut connections = heads::connection::Connections::new(heads::connection::Limits::default());
    let mut log = super::Rows::default();
    for count in 0..300_000u32 {
        let host = std::net::Ipv4Addr::from(0x0a00_0000 + count);
        let packet = crate::replay::packet::Packet {
            time: u64::from(count),
            vlans: [0; 3],
            source: (host, 1).into(),
            destination: SERVER.parse().expect("an address"),
            seq: 1,
            ack: None,
            flags: crate::replay::packet::Flags { syn: true, fin: false, rst: false },
            bytes: &[],
            span: 0,
        };
        flows.packet(&packet, &mut connections, &mut log);
    }
    assert_eq!(flows.connections, 300_000);
    assert!(flows.followed() <= 1 << 17, "{}", flows.followed());
}
