//! The captures of other projects, judged by Wireshark's programs where they are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{run, Reader};

/// The captures, or `None` with a message where they are not on this machine.
fn captures() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("MASTHEAD_CORPORA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"), PathBuf::from);
    let mut files = Vec::new();
    collect(&root.join("pcap"), &mut files);
    files.sort();
    if files.is_empty() {
        println!("SKIPPED: no captures under {} (set MASTHEAD_CORPORA)", root.display());
        return None;
    }
    Some(files)
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
            println!("SKIPPED: capinfos is not installed");
            return;
        };
        let expected: Option<u64> = table.trim().rsplit('\t').next().and_then(|count| count.parse().ok());
        let outcome = run(Reader::open(&file).expect("a capture file"));
        assert_eq!(Some(outcome.reader.counts().packets), expected, "{}", file.display());
    }
}

#[test]
fn payload_bytes_and_connections_equal_those_of_tshark() {
    let fields =
        ["-2", "-o", "ip.defragment:FALSE", "-Y", "tcp", "-T", "fields", "-e", "tcp.len", "-e", "tcp.stream", "-r"];
    for file in captures().into_iter().flatten() {
        let Some(table) = output("tshark", &fields, &file) else {
            println!("SKIPPED: tshark is not installed");
            return;
        };
        let mut bytes = 0u64;
        let mut streams = std::collections::BTreeSet::new();
        for line in table.lines() {
            let (length, stream) = line.split_once('\t').unwrap_or_default();
            // Packets inside ICMP errors are quoted, not sent.
            if let (Ok(length), Ok(stream)) = (length.parse::<u64>(), stream.parse::<u64>()) {
                bytes += length;
                streams.insert(stream);
            }
        }
        let outcome = run(Reader::open(&file).expect("a capture file"));
        assert_eq!(outcome.reader.counts().payload_bytes, bytes, "{}", file.display());
        assert_eq!(outcome.flows.connections, streams.len() as u64, "{}", file.display());
    }
}
