//! The captures of other projects, judged by Wireshark's programs where they are installed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{read, run, Reader};
use crate::replay::reader::Step;

/// The captures, or `None` with a message where they are not on this machine.
fn captures() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("MASTHEAD_CORPORA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"), PathBuf::from);
    let mut files = Vec::new();
    collect(&root.join("pcap"), &mut files);
    files.sort();
    if files.is_empty() {
        skipped(&format!("no captures under {} (set MASTHEAD_CORPORA)", root.display()));
        return None;
    }
    Some(files)
}

/// Says so where the test runner does not swallow it.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let capture = path.extension().is_some_and(|ending| ending == "pcap" || ending == "pcapng");
        if path.is_dir() {
            collect(&path, files);
        } else if capture {
            files.push(path);
        }
    }
}

/// What a program prints, or `None` where it is not installed.
fn output(program: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).arg(file).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_capture_is_read_to_its_end_and_the_account_adds_up() {
    for file in captures().into_iter().flatten() {
        let outcome = run(Reader::open(&file).expect("a capture file"));
        assert!(outcome.reader.counts().closed(), "{}: {:?}", file.display(), outcome.reader);
        assert!(outcome.connections.ledger.closed(), "{}: {:?}", file.display(), outcome.connections.ledger);
    }
}

#[test]
fn packet_counts_equal_those_of_capinfos() {
    for file in captures().into_iter().flatten() {
        let Some(table) = output("capinfos", &["-cMTr"], &file) else {
            skipped("capinfos is not installed");
            return;
        };
        let expected: Option<u64> = table.trim().rsplit('\t').next().and_then(|count| count.parse().ok());
        let outcome = run(Reader::open(&file).expect("a capture file"));
        assert_eq!(Some(outcome.reader.counts().packets), expected, "{}", file.display());
    }
}

#[test]
fn payload_and_connections_equal_those_of_tshark() {
    let Some(files) = captures() else { return };
    // One file, since tshark starts slowly; it holds many sections' worth of interfaces and reused ports besides.
    let merged = std::env::temp_dir().join(format!("masthead-{}.pcapng", std::process::id()));
    let merging = Command::new("mergecap").args(["-a", "-F", "pcapng", "-w"]).arg(&merged).args(&files).status();
    let fields = ["-n", "-o", "ip.defragment:FALSE", "-T", "fields", "-e", "tcp.len", "-e", "tcp.stream", "-r"];
    let table = merging.ok().and_then(|_| output("tshark", &fields, &merged));
    let bytes = std::fs::read(&merged);
    let _ = std::fs::remove_file(&merged);
    let (Some(table), Ok(bytes)) = (table, bytes) else {
        skipped("mergecap or tshark is not installed");
        return;
    };
    let mut reader = Reader::of(bytes.clone()).expect("a capture file");
    let mut lengths = Vec::new();
    while let Step::Record(record) = reader.advance() {
        lengths.push(reader.packet(&record).map(|packet| packet.span));
    }
    let expected: Vec<Option<u32>> =
        table.lines().map(|line| line.split('\t').next().and_then(|length| length.parse().ok())).collect();
    assert_eq!(lengths, expected);

    let streams: BTreeSet<&str> = table.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    let connections = streams.iter().filter(|stream| !stream.is_empty()).count();
    assert_eq!(read(bytes).flows.connections, connections as u64);
}
