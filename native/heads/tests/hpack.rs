//! The header sections of other implementations' encoders (http2jp/hpack-test-case), decoded exactly.

use heads::exchange::{Head, Unresolved};
use heads::http2::hpack::{Decoder, Progress};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

const LIMIT: usize = 1 << 20;
type Pair = (String, String);

/// One story: blocks as sent, and what they say.
struct Story {
    path: PathBuf,
    blocks: Vec<(Vec<u8>, Vec<Pair>)>,
}

fn stories() -> Vec<Story> {
    let root = std::env::var_os("MASTHEAD_CORPORA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"), PathBuf::from)
        .join("hpack");
    let folders = std::fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.path()).filter(|path| is_story(path)).collect();
    paths.sort();
    if paths.is_empty() {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: no HPACK stories under {} (set MASTHEAD_CORPORA)", root.display());
    }
    paths.into_iter().map(story).collect()
}

fn is_story(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

fn story(path: PathBuf) -> Story {
    let text = std::fs::read_to_string(&path).expect("a readable story");
    let story: Value = serde_json::from_str(&text).expect("JSON");
    let cases = story["cases"].as_array().expect("cases");
    let blocks = cases.iter().map(|case| {
        let wire = case["wire"].as_str().expect("wire");
        let octets = (0..wire.len()).step_by(2).map(|at| u8::from_str_radix(&wire[at..at + 2], 16).expect("hex"));
        let fields = case["headers"].as_array().expect("headers").iter();
        let pairs = fields.flat_map(|field| field.as_object().expect("a field"));
        (
            octets.collect(),
            pairs.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned())).collect(),
        )
    });
    Story { blocks: blocks.collect(), path }
}

/// Decodes a block in pieces of `size`; what is not known is `None`.
fn decoded(decoder: &mut Decoder, block: &[u8], size: usize) -> Vec<(Option<String>, Option<String>)> {
    let (mut head, mut progress, mut pending) = (Head::default(), Progress::default(), Vec::new());
    for piece in block.chunks(size) {
        pending.extend_from_slice(piece);
        let (used, _) = decoder.decode(&pending, &mut head, LIMIT, &mut progress).expect("a valid block");
        pending.drain(..used);
    }
    assert!(pending.is_empty() && !progress.cut);
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
    let fields = head.fields.iter().map(|field| match field.unresolved {
        Unresolved::Nothing => (text(field.name.of(&head.raw)), text(field.value.of(&head.raw))),
        Unresolved::Name => (None, text(field.value.of(&head.raw))),
        Unresolved::Both => (None, None),
    });
    let fields: Vec<_> = fields.collect();
    let known = fields.iter().filter(|(name, value)| name.is_some() && value.is_some()).count();
    assert_eq!(progress.unresolved as usize, fields.len() - known);
    fields
}

#[test]
fn every_story_is_decoded_exactly_from_its_first_block() {
    let mut fields = 0;
    for story in stories() {
        for size in [usize::MAX, 1, 7] {
            let mut decoder = Decoder::default();
            for (number, (block, expected)) in story.blocks.iter().enumerate() {
                let found = decoded(&mut decoder, block, size);
                let expected: Vec<_> =
                    expected.iter().map(|(name, value)| (Some(name.clone()), Some(value.clone()))).collect();
                assert_eq!(found, expected, "{} block {number}", story.path.display());
                fields += found.len();
            }
        }
    }
    let _ = writeln!(std::io::stderr(), "{fields} fields");
}

#[test]
fn from_the_fifth_block_on_nothing_is_wrong() {
    let (mut known, mut partly, mut unknown, mut late) = (0_u64, 0_u64, 0_u64, 0_u64);
    for story in stories() {
        let mut decoder = Decoder::default();
        decoder.forget();
        for (number, (block, expected)) in story.blocks.iter().enumerate().skip(4) {
            let found = decoded(&mut decoder, block, usize::MAX);
            assert_eq!(found.len(), expected.len(), "{} block {number}", story.path.display());
            for ((name, value), (right_name, right_value)) in found.iter().zip(expected) {
                let place = || format!("{} block {number} {right_name}", story.path.display());
                assert!(name.as_ref().is_none_or(|name| name == right_name), "{}", place());
                assert!(value.as_ref().is_none_or(|value| value == right_value), "{}", place());
                match (name, value) {
                    (Some(_), Some(_)) => known += 1,
                    (None, None) => unknown += 1,
                    _ => partly += 1,
                }
                late += u64::from(name.is_none() && number > story.blocks.len() / 2);
            }
        }
    }
    let all = known + partly + unknown;
    let _ = writeln!(
        std::io::stderr(),
        "{all} fields: {known} known, {partly} without their name, {unknown} unknown; {late} in the second halves"
    );
    assert!(all == 0 || known * 2 > all, "most of it is known");
}
