//! A template out of a path, by the shape of its segments.
//!
//! A segment is replaced when it is
//!
//! - all digits: `{id}`;
//! - a UUID (RFC 9562, section 4): `{id}`;
//! - hexadecimal, at least [`MIN_HEX`] characters with digits and letters among them: `{id}`;
//! - a date of ISO 8601, `YYYY-MM-DD`: `{date}`;
//! - an e-mail address, that is `@` or `%40` with text on both sides: `{id}`;
//! - a long token, as ULIDs, nanoids and base64url are: at least [`MIN_TOKEN`] letters, digits, `-` and `_`, with at
//!   least [`MIN_MIXED`] digits and as many letters: `{id}`;
//! - an id with a prefix, such as `cus_9s6XKzkNRiz8i3` or `usr-12345`: 2 to 12 small letters, `_` or `-`, then at least
//!   3 digits and nothing else, or at least 8 letters and digits with two digits among them: `{id}`.
//!
//! The pseudonym of a secret becomes `{secret}`, also inside a segment (`report;token={secret}`). All else stays as it
//! is: versions (`v1`, `v1.2`, `v1beta1`, `2024-10`, `2024-10-01-preview`), empty segments, a slash at the end.
//!
//! Long paths end in `{...}`, which keeps routes short whatever is sent: it stands for what is behind the
//! [`MAX_SEGMENTS`]th segment, and for the segments that do not end within [`MAX_PATH`] bytes of the path or
//! [`MAX_ROUTE`] bytes of the route.

use memchr::memmem;

/// APIs are rarely deeper than ten.
const MAX_SEGMENTS: usize = 16;

/// Longer paths carry data, not names. Also keeps the counts of one segment within their lanes.
const MAX_PATH: usize = 1024;

/// A route is a label: metrics and indexes hold it many times.
const MAX_ROUTE: usize = 512;

/// Words of a to f only are short: the longest common one with a digit behind it (`decade1`) has 7.
const MIN_HEX: u32 = 8;

/// Nanoids, ULIDs and base64url of 12 bytes are at least as long, words with digits in them mostly not.
const MIN_TOKEN: u32 = 16;
const MIN_MIXED: u32 = 4;

const UUID: usize = 36;
const DATE: usize = 10;

const ID: &[u8] = b"{id}";
const REST: &[u8] = b"/{...}";

/// The pseudonym of a secret: these bytes and twelve hex digits.
const PSEUDONYM: &[u8] = b"hmac:";
const PSEUDONYM_LENGTH: usize = PSEUDONYM.len() + 12;

/// How many bytes of each class a segment has, in lanes of twelve bits: one addition for each byte.
#[derive(Clone, Copy, Default)]
struct Counts(u64);

impl Counts {
    const DIGIT: u32 = 0;
    const HEX_LETTER: u32 = 12;
    const LETTER: u32 = 24;
    const DASH: u32 = 36;
    const MARK: u32 = 48;

    #[inline]
    fn lane(self, shift: u32) -> u32 {
        // A lane fits any number.
        u32::try_from(self.0 >> shift & 0xfff).unwrap_or(0)
    }

    /// All letters, those of hexadecimal among them.
    #[inline]
    fn letters(self) -> u32 {
        self.lane(Self::HEX_LETTER) + self.lane(Self::LETTER)
    }
}

/// What one byte adds to the counts. Bytes of no class add nothing.
const CLASSES: [u64; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'0'..=b'9' => 1 << Counts::DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => 1 << Counts::HEX_LETTER,
            b'g'..=b'z' | b'G'..=b'Z' => 1 << Counts::LETTER,
            b'-' | b'_' => 1 << Counts::DASH,
            b':' | b'@' | b'%' => 1 << Counts::MARK,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Room for a route, and for the longest segment behind it before it is replaced or left out.
pub(super) type Buffer = [u8; MAX_ROUTE + MAX_PATH];

/// Writes the template of a path, which begins with a slash, and gives its length.
pub(super) fn write(path: &[u8], out: &mut Buffer) -> usize {
    let read = path.get(..MAX_PATH).unwrap_or(path);
    // What stands in `out` for good always leaves room for REST, so that nothing is ever taken back.
    let (mut slash, mut length) = (0, 0);
    for _ in 0..MAX_SEGMENTS {
        out[length] = b'/';
        let place = &mut out[length + 1..];
        let (end, counts) = copy(&read[slash + 1..], place);
        let segment = &read[slash + 1..slash + 1 + end];
        slash += 1 + end;
        let last = slash == path.len();
        if slash == read.len() && !last {
            break;
        }
        let next = length + 1 + replace(segment, counts, place);
        if next > if last { MAX_ROUTE } else { MAX_ROUTE - REST.len() } {
            break;
        }
        length = next;
        if last {
            return length;
        }
    }
    out[length..length + REST.len()].copy_from_slice(REST);
    length + REST.len()
}

/// Copies up to the next slash, and gives the length of that and what it consists of. Segments are short: one pass is
/// cheaper than a search and a copy.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) -> (usize, Counts) {
    let (mut length, mut counts) = (0, 0);
    for (place, &byte) in to.iter_mut().zip(from) {
        if byte == b'/' {
            break;
        }
        *place = byte;
        counts += CLASSES[usize::from(byte)];
        length += 1;
    }
    (length, Counts(counts))
}

/// Writes what stands for a segment over its copy, and gives the length of that.
#[inline]
fn replace(segment: &[u8], counts: Counts, copy: &mut [u8]) -> usize {
    let placeholder = if counts.lane(Counts::MARK) > 0 {
        let length = secrets(segment, copy);
        if length < segment.len() {
            return length;
        }
        is_address(segment).then_some(ID)
    } else if counts.lane(Counts::DIGIT) > 0 || segment.len() == UUID {
        placeholder(segment, counts)
    } else {
        None
    };
    let Some(placeholder) = placeholder else { return segment.len() };
    put(placeholder, copy)
}

fn put(text: &[u8], to: &mut [u8]) -> usize {
    to[..text.len()].copy_from_slice(text);
    text.len()
}

/// Writes the segment with each pseudonym in it replaced by a shorter placeholder.
fn secrets(segment: &[u8], copy: &mut [u8]) -> usize {
    let (mut from, mut length) = (0, 0);
    for at in memmem::find_iter(segment, PSEUDONYM) {
        let digits = segment.get(at + PSEUDONYM.len()..at + PSEUDONYM_LENGTH);
        if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            length += put(&segment[from..at], &mut copy[length..]);
            length += put(b"{secret}", &mut copy[length..]);
            from = at + PSEUDONYM_LENGTH;
        }
    }
    length + put(&segment[from..], &mut copy[length..])
}

/// What stands for a segment that has a digit, or is as long as a UUID.
fn placeholder(segment: &[u8], counts: Counts) -> Option<&'static [u8]> {
    let (digits, letters, dashes) = (counts.lane(Counts::DIGIT), counts.letters(), counts.lane(Counts::DASH));
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    if digits + letters + dashes != length {
        return None;
    }
    if dashes == 0 && letters == counts.lane(Counts::HEX_LETTER) && digits > 0 {
        // All digits, or hexadecimal.
        return (letters == 0 || length >= MIN_HEX).then_some(ID);
    }
    if is_date(segment) {
        return Some(b"{date}");
    }
    let token = length >= MIN_TOKEN && digits >= MIN_MIXED && letters >= MIN_MIXED && !is_dated_version(segment);
    let prefixed = dashes == 1 && is_prefixed(segment, digits);
    (token || prefixed || is_uuid(segment)).then_some(ID)
}

/// `@`, as it is or percent-encoded, with text on both sides.
fn is_address(segment: &[u8]) -> bool {
    let inside = |at: usize, width: usize| at > 0 && at + width < segment.len();
    memchr::memchr_iter(b'@', segment).any(|at| inside(at, 1))
        || memmem::find_iter(segment, b"%40").any(|at| inside(at, 3))
}

fn is_uuid(segment: &[u8]) -> bool {
    segment.len() == UUID
        && segment.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_date(segment: &[u8]) -> bool {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = segment else { return false };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(u8::is_ascii_digit);
    digits && (*b"01"..=*b"12").contains(&[m1, m2]) && (*b"01"..=*b"31").contains(&[d1, d2])
}

/// A version such as `2024-10-01-preview`, which would pass for a token.
fn is_dated_version(segment: &[u8]) -> bool {
    let Some((date, [b'-', word @ ..])) = segment.split_at_checked(DATE) else { return false };
    is_date(date) && word.iter().all(u8::is_ascii_lowercase)
}

/// A word, one dash (there is no other), and a number or a token. All `digits` of the segment are in that.
fn is_prefixed(segment: &[u8], digits: u32) -> bool {
    let Some(dash) = memchr::memchr2(b'-', b'_', segment) else { return false };
    let (word, rest) = (segment.get(..dash).unwrap_or_default(), segment.get(dash + 1..).unwrap_or_default());
    (2..=12).contains(&word.len())
        && word.iter().all(u8::is_ascii_lowercase)
        && (rest.len() >= 3 && rest.iter().all(u8::is_ascii_digit) || rest.len() >= 8 && digits >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(path: &str) -> String {
        let mut out = [b'x'; MAX_ROUTE + MAX_PATH];
        let length = write(path.as_bytes(), &mut out);
        String::from_utf8(out[..length].to_vec()).unwrap()
    }

    #[test]
    fn identifiers_become_placeholders() {
        for (segment, expected) in [
            ("0", "{id}"),
            ("1234567890123456789012", "{id}"),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "{id}"),
            ("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "{id}"),
            ("00000000-0000-0000-0000-000000000000", "{id}"),
            ("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "{id}"),
            ("507f1f77bcf86cd799439011", "{id}"),
            ("deadbee1", "{id}"),
            ("DEADBEE1", "{id}"),
            ("2024-10-31", "{date}"),
            ("hmac:41dce0e92286", "{secret}"),
            ("ann@example.org", "{id}"),
            ("ann%40example.org", "{id}"),
            ("@a@b", "{id}"),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "{id}"),
            ("V1StGXR8_Z5jdHi6B-myT1", "{id}"),
            ("claude-3-5-sonnet-20241022", "{id}"),
            ("cus_9s6XKzkNRiz8i3", "{id}"),
            ("msg_01AbCdEf", "{id}"),
            ("chatcmpl-7xyzAbCdEf9", "{id}"),
            ("usr-12345", "{id}"),
            ("ab-123", "{id}"),
        ] {
            assert_eq!(inferred(&format!("/v1/a/{segment}")), format!("/v1/a/{expected}"), "{segment}");
            assert_eq!(inferred(&format!("/{segment}/b/")), format!("/{expected}/b/"), "{segment}");
        }
    }

    #[test]
    fn what_is_no_identifier_stays() {
        for segment in [
            "users",
            "v1",
            "v1.2",
            "v1beta1",
            "2024-10",
            "2024-10-01-preview",
            "decade1",
            "deadbeef",
            "x1",
            "1.0",
            "123.json",
            "2024-13-01",
            "2024-00-10",
            "2024-10-32",
            "24-10-01",
            "@scope",
            "user@",
            "%40user",
            "user%40",
            "hmac:41dce0e9228",
            "hmac:41dce0e9228g",
            "a:1",
            "orders:cancel",
            "reset-password-2",
            "a-123",
            "ab-12",
            "AB-123",
            "abcdefghijklm-123",
            "cus_abcdefgh",
            "cus_abcdefg1",
            "cus_abcde12",
            "ABCDEFGHIJKLM123",
            "1234567890123xyz",
            "utf-8",
            "g",
            "-",
            "_",
            "1-2-3",
            "a b",
            "\u{e9}1",
            "\\xff",
            "{id}",
            "{...}",
            "..",
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeeg",
        ] {
            assert_eq!(inferred(&format!("/v1/a/{segment}")), format!("/v1/a/{segment}"));
        }
    }

    #[test]
    fn secrets_are_replaced_where_they_stand() {
        let path = "/a;token=hmac:41dce0e92286&key=hmac:000000000000/hmac:41dce0e92286@h/7";
        assert_eq!(inferred(path), "/a;token={secret}&key={secret}/{secret}@h/{id}");
    }

    #[test]
    fn slashes_stay_where_they_are() {
        for path in ["/", "//", "/a/", "/a//b", "///"] {
            assert_eq!(inferred(path), path);
        }
        assert_eq!(inferred("//7//"), "//{id}//");
    }

    #[test]
    fn deep_paths_end_behind_the_sixteenth_segment() {
        let path = |count: usize| "/7".repeat(count);
        assert_eq!(inferred(&path(16)), "/{id}".repeat(16));
        assert_eq!(inferred(&path(17)), "/{id}".repeat(16) + "/{...}");
        assert_eq!(inferred(&(path(16) + "/")), "/{id}".repeat(16) + "/{...}");
    }

    #[test]
    fn long_paths_end_at_a_slash() {
        let digits = |count: usize| "1".repeat(count);
        assert_eq!(inferred(&format!("/a/{}", digits(1021))), "/a/{id}");
        assert_eq!(inferred(&format!("/a/{}", digits(1022))), "/a/{...}");
        assert_eq!(inferred(&format!("/{}", digits(5000))), "/{...}");
        assert_eq!(inferred(&format!("/a/{}/b", digits(1020))), "/a/{id}/{...}");
    }

    #[test]
    fn a_route_has_at_most_512_bytes() {
        let word = |count: usize| "x".repeat(count);
        assert_eq!(inferred(&format!("/{}", word(511))).len(), 512);
        assert_eq!(inferred(&format!("/{}", word(512))), "/{...}");
        assert_eq!(inferred(&format!("/{}/y", word(505))).len(), 508);
        assert_eq!(inferred(&format!("/{}/y", word(506))), "/{...}");
        assert_eq!(inferred(&format!("/{}/7/y", word(501))).len(), 508);
        assert_eq!(inferred(&format!("/{}/7/y", word(502))), format!("/{}/{{...}}", word(502)));
        assert_eq!(inferred(&format!("/7/{}/8", word(500))).len(), 511);
        assert_eq!(inferred(&format!("/7/{}/8", word(501))), "/{id}/{...}");
    }

    #[test]
    fn any_path_gives_a_short_route_of_as_many_segments() {
        let pieces =
            ["a", "7", "-", "_", "/", "@", "%40", ":", "hmac:41dce0e92286", "\u{e9}", "deadbee1", "{", "2024-10-31"];
        let mut state = 7u64;
        for length in 0..3000 {
            let mut path = "/".to_owned();
            for _ in 0..length % 300 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                path += pieces[usize::try_from(state >> 33).unwrap() % pieces.len()];
            }
            let route = inferred(&path);
            assert!(route.starts_with('/') && route.len() <= MAX_ROUTE, "{route}");
            if !route.ends_with(std::str::from_utf8(REST).unwrap()) {
                assert_eq!(route.split('/').count(), path.split('/').count());
            }
        }
    }
}
