//! The parts of a request target (RFC 9112, section 3.2).

/// What the target says, each part as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    pub scheme: Option<&'a [u8]>,
    pub authority: Option<&'a [u8]>,
    pub path: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// `connect`: the method is CONNECT, whose target is an authority.
    pub fn parse(text: &'a [u8], connect: bool) -> Target<'a> {
        if text.first() == Some(&b'/') {
            return Target::origin(text);
        }
        if connect {
            return Target { authority: Some(text).filter(|text| !text.is_empty()), ..Target::default() };
        }
        let Some(colon) = memchr::memmem::find(text, b"://").filter(|&colon| is_scheme(&text[..colon])) else {
            return Target::default();
        };
        let rest = &text[colon + 3..];
        let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        let mut target = Target::origin(&rest[end..]);
        if target.path.is_none_or(<[u8]>::is_empty) {
            target.path = Some(b"/");
        }
        Target { scheme: Some(&text[..colon]), authority: Some(&rest[..end]), ..target }
    }

    fn origin(text: &'a [u8]) -> Target<'a> {
        let Some(end) = memchr::memchr2(b'?', b'#', text) else {
            return Target { path: Some(text), ..Target::default() };
        };
        let query = (text[end] == b'?').then(|| {
            let query = &text[end + 1..];
            &query[..memchr::memchr(b'#', query).unwrap_or(query.len())]
        });
        Target { path: Some(&text[..end]), query, ..Target::default() }
    }
}

/// RFC 3986, section 3.1.
pub fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, connect: bool) -> [Option<&str>; 4] {
        let target = Target::parse(text.as_bytes(), connect);
        [target.scheme, target.authority, target.path, target.query]
            .map(|part| part.map(|part| std::str::from_utf8(part).unwrap()))
    }

    #[test]
    fn the_four_forms_of_rfc_9112_are_told_apart() {
        assert_eq!(parts("/a/b?c=d?e#f", false), [None, None, Some("/a/b"), Some("c=d?e")]);
        assert_eq!(parts("/a?", false), [None, None, Some("/a"), Some("")]);
        assert_eq!(parts("http://h:1/x?y", false), [Some("http"), Some("h:1"), Some("/x"), Some("y")]);
        assert_eq!(parts("http://h", false), [Some("http"), Some("h"), Some("/"), None]);
        assert_eq!(parts("http://h?y", false), [Some("http"), Some("h"), Some("/"), Some("y")]);
        assert_eq!(parts("h:443", true), [None, Some("h:443"), None, None]);
        assert_eq!(parts("*", false), [None; 4]);
        assert_eq!(parts("", true), [None; 4]);
    }
}
