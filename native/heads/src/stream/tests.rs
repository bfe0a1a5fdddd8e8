use super::*;

/// What came out, runs of data put together.
#[derive(Debug, Default)]
struct Told(Vec<String>);

impl Reader for Told {
    fn data(&mut self, bytes: &[u8], _at: Place) {
        let text = String::from_utf8_lossy(bytes);
        match self.0.last_mut().filter(|last| last.starts_with(char::is_alphabetic)) {
            Some(last) => last.push_str(&text),
            None => self.0.push(text.into_owned()),
        }
    }

    fn skipped(&mut self, count: u32, cut: bool, _at: Place) {
        self.0.push(format!("{}{count}", if cut { "-cut " } else { "-" }));
    }

    fn gap(&mut self, count: u32, at: Place) {
        assert_ne!(at.time, 0, "a gap has the time at which it showed");
        self.0.push(format!("?{count}"));
    }

    fn overlap(&mut self) {
        self.0.push("!".to_owned());
    }

    fn end(&mut self, _time: u64) {
        self.0.push(".".to_owned());
    }
}

fn part(seq: u32, text: &str) -> Part<'_> {
    Part { seq, bytes: text.as_bytes(), span: u32::try_from(text.len()).unwrap(), time: 7, cut: false }
}

/// Pushes `(seq, bytes, accepted)` in turn, then flushes.
fn told(segments: &[(u32, &str, Option<u32>)]) -> Vec<String> {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    for (seq, text, accepted) in segments {
        stream.push(part(*seq, text), *accepted, &mut told);
    }
    stream.flush(&mut told);
    told.0
}

/// As on ingress: TCP expects byte 10 all the while, and accepts up to `to` in the end.
fn waiting(segments: &[(u32, &str)], to: u32) -> Vec<String> {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    for (seq, text) in segments {
        stream.push(part(*seq, text), Some(10), &mut told);
    }
    stream.accept(Some(to), &mut told);
    told.0
}

#[test]
fn bytes_wait_until_tcp_accepted_them() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.push(part(10, "abcdef"), Some(10), &mut told);
    assert!(told.0.is_empty());
    stream.accept(Some(13), &mut told);
    assert_eq!(told.0, ["abc"]);
    stream.accept(Some(16), &mut told);
    assert_eq!(told.0, ["abcdef"]);
}

#[test]
fn bytes_that_are_accepted_as_they_come_come_out_at_once() {
    assert_eq!(told(&[(10, "abc", Some(13)), (13, "def", Some(16))]), ["abcdef"]);
}

#[test]
fn segments_come_out_in_order() {
    assert_eq!(waiting(&[(16, "ghi"), (13, "def"), (10, "abc")], 19), ["abcdefghi"]);
}

#[test]
fn the_first_segment_seen_may_be_out_of_order() {
    assert_eq!(waiting(&[(13, "def"), (10, "abc")], 16), ["abcdef"]);
}

#[test]
fn repeated_bytes_come_out_once() {
    assert_eq!(waiting(&[(10, "abc"), (10, "abc"), (10, "abcdef"), (12, "cd")], 16), ["abcdef"]);
    let (mut stream, mut told) = (Stream::default(), Told::default());
    assert_eq!(stream.push(part(10, "abc"), Some(13), &mut told), Outcome::Used);
    assert_eq!(stream.push(part(10, "abc"), Some(13), &mut told), Outcome::Duplicate);
    assert_eq!(stream.push(part(10, "abcde"), Some(15), &mut told), Outcome::Used);
    assert_eq!(told.0, ["abcde"]);
}

#[test]
fn a_part_sent_again_takes_nothing_from_the_whole() {
    assert_eq!(waiting(&[(10, "abcdef"), (10, "abc")], 16), ["abcdef"]);
    assert_eq!(waiting(&[(16, "ghi"), (10, "abcdefg"), (10, "abc"), (10, "a")], 19), ["abcdefghi"]);
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.push(part(10, "abcdef"), None, &mut told);
    stream.push(part(10, "abc"), None, &mut told);
    stream.flush(&mut told);
    assert_eq!(told.0, ["abcdef"]);
}

#[test]
fn sequence_numbers_wrap_around() {
    let begin = u32::MAX - 1;
    assert_eq!(told(&[(begin, "abc", Some(1)), (1, "def", Some(4))]), ["abcdef"]);
    assert_eq!(told(&[(1, "def", Some(begin)), (begin, "abc", Some(begin)), (4, "g", Some(4))]), ["abcdefg"]);
}

#[test]
fn bytes_that_tcp_accepted_and_nobody_saw_are_a_gap() {
    assert_eq!(told(&[(10, "abc", Some(13)), (16, "ghi", Some(19))]), ["abc", "?3", "ghi"]);
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.push(part(10, "abc"), Some(13), &mut told);
    stream.accept(Some(20), &mut told);
    assert_eq!(told.0, ["abc", "?7"]);
}

#[test]
fn what_is_held_when_the_connection_ends_comes_out_with_its_gaps() {
    assert_eq!(told(&[(10, "abc", Some(10)), (16, "ghi", Some(10))]), ["abc", "?3", "ghi"]);
}

#[test]
fn a_segment_beyond_any_window_is_none_of_this_connection() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.push(part(10, "abc"), Some(13), &mut told);
    for seq in [13 + WINDOW, 13 + WINDOW - 1, 14 + WINDOW] {
        assert_eq!(stream.push(part(seq, "xyz"), Some(13), &mut told), Outcome::OutsideWindow);
    }
    let huge = Part { span: WINDOW + 1, ..part(13, "x") };
    assert_eq!(stream.push(huge, Some(13), &mut told), Outcome::OutsideWindow);
    stream.flush(&mut told);
    assert_eq!(told.0, ["abc"]);
}

#[test]
fn nothing_is_no_piece() {
    assert_eq!(told(&[(10, "", Some(10)), (10, "abc", Some(10)), (13, "", Some(10))]), ["abc"]);
}

#[test]
fn a_copy_of_what_tcp_had_accepted_counts_for_nothing() {
    assert_eq!(told(&[(10, "abc", Some(10)), (10, "xyz", Some(13))]), ["abc"]);
    assert_eq!(told(&[(10, "abc", Some(10)), (10, "xyzdef", Some(13)), (16, "g", Some(16))]), ["abcdefg"]);
}

#[test]
fn a_segment_that_tcp_expected_beats_those_that_wait() {
    assert_eq!(waiting(&[(13, "XYZ"), (10, "abcdef")], 16), ["abcdef"]);
    assert_eq!(waiting(&[(13, "XYZghi"), (10, "abcdef")], 19), ["abcdefghi"]);
}

#[test]
fn of_two_that_wait_the_one_that_begins_earlier_wins() {
    assert_eq!(waiting(&[(12, "cdef"), (14, "XYgh"), (10, "ab")], 18), ["ab", "!", "cdef", "!", "gh"]);
    assert_eq!(waiting(&[(14, "XYgh"), (12, "cdef"), (10, "ab")], 18), ["ab", "!", "cdef", "!", "gh"]);
}

#[test]
fn of_two_that_wait_and_begin_together_the_longer_wins() {
    assert_eq!(waiting(&[(12, "XY"), (12, "cdef"), (10, "ab")], 16), ["ab", "!", "cdef"]);
    assert_eq!(waiting(&[(12, "cdef"), (12, "XY"), (10, "ab")], 16), ["ab", "!", "cdef"]);
    assert_eq!(waiting(&[(12, "cd"), (12, "XY"), (10, "ab")], 14), ["ab", "!", "cd"]);
}

#[test]
fn where_a_segment_began_counts_although_others_took_its_first_bytes() {
    // [14, 18) lost its first half to [12, 16); [16, 19) begins later than it did.
    assert_eq!(
        waiting(&[(14, "XYgh"), (12, "cdef"), (16, "UVi"), (10, "ab")], 19),
        ["ab", "!", "cdef", "!", "gh", "!", "i"]
    );
    // [12, 20) is cut to [14, 20) and began before [14, 16).
    assert_eq!(waiting(&[(14, "XY"), (11, "bcd"), (12, "UVefghij"), (10, "a")], 20), ["a", "!", "bcd", "!", "efghij"]);
}

#[test]
fn equal_copies_are_no_overlap() {
    assert_eq!(waiting(&[(12, "cdef"), (14, "efgh"), (13, "def"), (10, "ab")], 18), ["abcdefgh"]);
}

#[test]
fn bytes_that_were_not_copied_keep_their_place() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    let skipping = Part { span: 10, ..part(10, "abc") };
    stream.push(skipping, Some(10), &mut told);
    stream.push(part(20, "def"), Some(20), &mut told);
    stream.accept(Some(23), &mut told);
    let cut = Part { span: 5, cut: true, ..part(23, "g") };
    stream.push(cut, Some(28), &mut told);
    assert_eq!(told.0, ["abc", "-7", "defg", "-cut 4"]);
}

#[test]
fn the_end_comes_when_tcp_accepted_it() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.fin(13, 9);
    stream.push(part(10, "abc"), Some(10), &mut told);
    stream.accept(Some(13), &mut told);
    assert_eq!(told.0, ["abc"]);
    stream.accept(Some(14), &mut told);
    stream.accept(Some(14), &mut told);
    stream.flush(&mut told);
    assert_eq!(told.0, ["abc", "."]);
}

#[test]
fn nothing_follows_the_end() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.fin(13, 9);
    stream.push(part(10, "abcXYZ"), Some(10), &mut told);
    stream.push(part(20, "X"), Some(10), &mut told);
    stream.flush(&mut told);
    assert_eq!(told.0, ["abc", "."]);
}

#[test]
fn an_end_outside_the_window_or_behind_which_tcp_goes_on_is_none() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    stream.push(part(10, "abc"), Some(13), &mut told);
    stream.fin(5, 9);
    stream.fin(14 + WINDOW, 9);
    stream.push(part(13, "def"), Some(16), &mut told);
    stream.fin(17, 9);
    stream.push(part(16, "ghi"), Some(16), &mut told);
    stream.accept(Some(19), &mut told);
    stream.push(part(19, "j"), Some(20), &mut told);
    stream.fin(20, 9);
    stream.accept(Some(21), &mut told);
    assert_eq!(told.0, ["abcdefghij", "."]);
}

#[test]
fn memory_is_bounded_where_nobody_acknowledges() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    let text = "x".repeat(1000);
    for number in 0..20_000_u32 {
        stream.push(part(10 + number % 7000 * 1000, &text), Some(9), &mut told);
        assert!(stream.held.len() <= 2 * HELD + SLACK + 1000 && stream.pieces.len() <= PIECES + 1);
    }
    stream.flush(&mut told);
    assert!(stream.held.capacity() <= SLACK);
}

#[test]
fn a_stream_that_is_never_quiet_keeps_no_more_than_it_holds() {
    let (mut stream, mut told) = (Stream::default(), Told::default());
    let text = "x".repeat(1000);
    for number in 0..5_000 {
        let seq = number * 1000;
        stream.push(part(seq, &text), Some(seq), &mut told);
        assert!(stream.held.capacity() <= 4 * SLACK, "{}", stream.held.capacity());
    }
}

/// However segments are cut, repeated and shuffled: what they agree on comes out.
#[test]
fn segments_that_agree_give_the_stream_in_any_order() {
    let whole: String = (0..200_u8).map(|number| char::from(b'a' + number % 26)).collect();
    let mut random = 1_u32;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % limit
    };
    for round in 0..500_u32 {
        let begin = u32::MAX - round;
        let (mut stream, mut told) = (Stream::default(), Told::default());
        let mut accepted = 0;
        while accepted < whole.len() {
            for _ in 0..6 {
                let from = below(whole.len());
                let to = from + 1 + below(60.min(whole.len() - from));
                stream.push(
                    part(begin.wrapping_add(u32::try_from(from).unwrap()), &whole[from..to]),
                    Some(begin.wrapping_add(u32::try_from(accepted).unwrap())),
                    &mut told,
                );
            }
            let to = (accepted + 1 + below(50)).min(whole.len());
            stream.push(
                part(begin.wrapping_add(u32::try_from(accepted).unwrap()), &whole[accepted..to]),
                Some(begin.wrapping_add(u32::try_from(accepted).unwrap())),
                &mut told,
            );
            accepted = to;
            stream.accept(Some(begin.wrapping_add(u32::try_from(accepted).unwrap())), &mut told);
        }
        assert_eq!(told.0, [whole.as_str()], "round {round}");
    }
}
