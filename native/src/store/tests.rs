//! Journals that were cut or damaged at every place: what is whole is read, what is not is counted, nothing else.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use heads::exchange::Log;

use super::frame::{self, Found};
use super::journal::{Frames, Journal};
use crate::batch::tests::{endpoints, exchange, rules, Random};
use crate::batch::{Rows, Source};

/// A file that is gone at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("masthead-{name}-{}", std::process::id()));
        drop(fs::remove_file(&path));
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn batch(seed: u64, rows: u64) -> RecordBatch {
    let mut random = Random(seed);
    let mut made = Rows::new(rules(""), (), Source::Pcap, "pcap");
    for cookie in 0..rows {
        let request = random.head("GET /a HTTP/1.1");
        let response = random.head("HTTP/1.1 200 OK");
        made.exchange(&endpoints(cookie), &exchange(&request, &response));
    }
    made.finish().unwrap().unwrap()
}

/// A journal of at least `length` bytes, its batches, and where each one's frame ends.
fn journal(scratch: &Scratch, length: u64) -> (Vec<RecordBatch>, Vec<u64>) {
    let mut journal = Journal::create(&scratch.0, 0x1234_5678_9abc_def0).unwrap();
    let (mut batches, mut ends) = (Vec::new(), Vec::new());
    while journal.bytes < length {
        let batch = batch(journal.bytes + 1, 8);
        journal.append(&batch).unwrap();
        batches.push(batch);
        ends.push(journal.bytes);
    }
    (batches, ends)
}

fn read(mut frames: Frames) -> (Vec<RecordBatch>, Frames) {
    let mut batches = Vec::new();
    while let Some(batch) = frames.next().unwrap() {
        batches.push(batch);
    }
    (batches, frames)
}

/// Where the whole frames of a file end, if nothing is damaged.
fn frames(file: &File, end: u64) -> Vec<u64> {
    let (number, mut place, mut ends) = (frame::journal(file, end).unwrap(), 0, Vec::new());
    loop {
        match frame::at(file, number, place, end).unwrap() {
            Found::Frame { next, .. } => {
                ends.push(next);
                place = next;
            }
            Found::Damage { .. } => panic!("damage at {place} of {end}"),
            Found::Torn | Found::End => return ends,
        }
    }
}

#[test]
fn a_journal_cut_at_every_byte_gives_the_batches_that_are_whole() {
    let scratch = Scratch::new("cut");
    let (batches, ends) = journal(&scratch, 64 << 10);
    let file = File::options().read(true).write(true).open(&scratch.0).unwrap();
    let length = file.metadata().unwrap().len();
    for cut in (0..=length).rev() {
        file.set_len(cut).unwrap();
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(frames(&file, cut), ends[..whole], "cut at {cut}");
        // Taking batches apart again is slow; what it gives depends on the frames alone.
        if cut % 101 != 0 && !ends.iter().any(|&end| end.abs_diff(cut) < 3) {
            continue;
        }
        let (found, frames) = read(Frames::open(&scratch.0).unwrap());
        assert_eq!(found, batches[..whole], "cut at {cut}");
        let kept = whole.checked_sub(1).map_or(0, |last| ends[last]);
        assert_eq!((frames.torn, frames.lost_bytes, frames.damaged), (cut > kept, cut - kept, 0), "cut at {cut}");
    }
}

#[test]
fn a_damaged_byte_costs_its_own_batch_at_most_and_is_counted() {
    let scratch = Scratch::new("damaged");
    let (batches, ends) = journal(&scratch, 64 << 10);
    let file = File::options().read(true).write(true).open(&scratch.0).unwrap();
    // The first frame's header tells which random number the others carry; what follows it can be damaged anywhere.
    for place in (32..*ends.last().unwrap()).step_by(61) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 0x40], place).unwrap();
        let (found, frames) = read(Frames::open(&scratch.0).unwrap());
        let hit = ends.iter().position(|&end| place < end).unwrap();
        let others: Vec<&RecordBatch> =
            batches.iter().enumerate().filter(|&(number, _)| number != hit).map(|(_, batch)| batch).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), others, "damaged at {place}");
        let begin = hit.checked_sub(1).map_or(0, |before| ends[before]);
        assert_eq!(frames.lost_bytes, ends[hit] - begin, "damaged at {place}");
        file.write_all_at(&byte, place).unwrap();
    }
}

#[test]
fn what_a_stranger_sends_is_never_taken_for_a_frame() {
    let (inner, outer) = (Scratch::new("inner"), Scratch::new("outer"));
    journal(&inner, 4 << 10);
    let forged = fs::read(&inner.0).unwrap();
    let mut journal = Journal::create(&outer.0, 0xfeed_0000_0000_0001).unwrap();
    journal.append(&batch(1, 8)).unwrap();
    let kept = journal.bytes;
    // Behind the first frame one is damaged, and the bytes where reading goes on are somebody's own frames.
    let mut bytes = fs::read(&outer.0).unwrap();
    bytes.extend_from_slice(b"damage");
    bytes.extend_from_slice(&forged);
    fs::write(&outer.0, &bytes).unwrap();
    let (found, frames) = read(Frames::open(&outer.0).unwrap());
    assert_eq!(found.len(), 1);
    assert_eq!(frames.lost_bytes, bytes.len() as u64 - kept);
}
