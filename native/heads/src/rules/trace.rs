//! The caller's place in a trace: `traceparent` of W3C Trace Context, sections 3.2 and 3.3.

/// A valid `traceparent`, still in its hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent<'a> {
    pub trace_id: &'a str,
    pub parent_id: &'a str,
    pub flags: u8,
}

impl<'a> TraceParent<'a> {
    /// `None` for anything that the specification says to ignore.
    pub fn parse(value: &'a [u8]) -> Option<TraceParent<'a>> {
        let known = value.get(..55)?;
        let text = std::str::from_utf8(known).ok()?;
        let dashes = [2, 35, 52].iter().all(|&at| known[at] == b'-');
        let version = hex_byte(&known[..2])?;
        let (trace_id, parent_id) = (text.get(3..35)?, text.get(36..52)?);
        let flags = hex_byte(&known[53..])?;
        let rest_fits = match value.get(55) {
            None => true,
            Some(next) => version > 0 && *next == b'-',
        };
        let ids = [trace_id, parent_id].iter().all(|id| is_id(id.as_bytes()));
        (dashes && version != 0xff && rest_fits && ids).then_some(TraceParent { trace_id, parent_id, flags })
    }
}

/// Lower-case hex, not all zero.
fn is_id(id: &[u8]) -> bool {
    id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && id.iter().any(|&byte| byte != b'0')
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0u8, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let trace = TraceParent::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((trace.parent_id, trace.flags), ("00f067aa0ba902b7", 1));
    }

    #[test]
    fn what_the_specification_says_to_ignore_is_ignored() {
        let bad = [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-x"),
            GOOD.replace("4bf9", "4BF9"),
            GOOD.replacen("00-", "ff-", 1),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            format!("01{}.", &GOOD[2..]),
        ];
        for value in bad {
            assert_eq!(TraceParent::parse(value.as_bytes()), None, "{value}");
        }
        assert!(TraceParent::parse(format!("01{}-more", &GOOD[2..]).as_bytes()).is_some());
    }
}
