//! Secrets in URLs: query and fragment parameters, and user information; percent-encoded URLs inside URLs too.
//!
//! Nothing is parsed strictly, since what is no good URL must not leak either. Where a text can be read in two ways,
//! the reading that masks more is taken.

use super::redact::Redact;

/// Longest name of a parameter that is looked up; what follows a longer one is masked unread.
const MAX_NAME: usize = 64;

/// How a text holds URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text is one URL, absolute or relative: only `&` ends a parameter.
    Url,
    /// One host, perhaps with a port; it may be written with user information in front of it.
    Authority,
    /// URLs stand somewhere in a text: white space, quotes and angle brackets end them.
    Text,
}

/// One byte of a URL, its percent-encoding undone: `level` says how many times it was encoded (`%252F` is 2).
#[derive(Clone, Copy)]
struct Letter {
    byte: u8,
    level: u8,
    width: usize,
}

/// Bytes that can begin something secret, or stand for one that does.
const INTERESTING: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"?&;#%/\\";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    table
};

/// Nothing in the text can begin a secret parameter or user information. Quick.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'?' | b'#' | b'%' | b'@' | b';' | b'&'))
}

/// Writes `text` to `out` with its secrets masked.
pub(super) fn mask(rules: &Redact, form: Form, text: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    let mut at = 0;
    if form != Form::Text && !matches!(text.first(), Some(b'/')) {
        if let Some(end) = user_information(text, 0, 0, form) {
            rules.pseudonym(&text[..end], out);
            (copied, at) = (end, end);
        }
    }
    while at < text.len() {
        let Some(skip) = text[at..].iter().position(|&byte| INTERESTING[usize::from(byte)]) else { break };
        at += skip;
        let next = text.get(at + 1).copied().unwrap_or_default();
        if text[at] == b'/' && !matches!(next, b'/' | b'\\' | b'%') {
            at += 1;
            continue;
        }
        let letter = letter(text, at);
        at += letter.width;
        let secret = match letter.byte {
            b'/' | b'\\' => authority(text, at, form),
            b'?' | b'&' | b';' | b'#' => parameter(rules, text, &mut at, form),
            _ => None,
        };
        if let Some((start, end)) = secret {
            out.extend_from_slice(&text[copied..start]);
            rules.pseudonym(&text[start..end], out);
            (copied, at) = (end, end);
        }
    }
    out.extend_from_slice(&text[copied..]);
}

/// The second slash is next: user information may follow.
fn authority(text: &[u8], at: usize, form: Form) -> Option<(usize, usize)> {
    let second = text.get(at).map(|_| letter(text, at))?;
    if !matches!(second.byte, b'/' | b'\\') {
        return None;
    }
    let start = at + second.width;
    user_information(text, start, second.level, form).map(|end| (start, end))
}

/// Where the user information that begins at `start` ends (RFC 3986, section 3.2.1): before the last `@` of the authority.
fn user_information(text: &[u8], start: usize, level: u8, form: Form) -> Option<usize> {
    let mut end = None;
    let mut at = start;
    while at < text.len() {
        let letter = letter(text, at);
        if letter.level <= level && ends_authority(letter.byte, form) || letter.level < level && letter.byte == b'&' {
            break;
        }
        if letter.byte == b'@' && letter.level <= level {
            end = Some(at);
        }
        at += letter.width;
    }
    end.filter(|&end| end > start)
}

fn ends_authority(byte: u8, form: Form) -> bool {
    match byte {
        b'/' | b'?' | b'#' | b'\\' => form != Form::Authority,
        _ => ends_text(byte, form),
    }
}

fn ends_text(byte: u8, form: Form) -> bool {
    form == Form::Text && matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'<' | b'>')
}

/// The value of the parameter whose name is next, when it is secret. `at` moves behind the name.
fn parameter(rules: &Redact, text: &[u8], at: &mut usize, form: Form) -> Option<(usize, usize)> {
    let mut name = [0u8; MAX_NAME];
    let mut length = 0;
    let level = loop {
        let letter = text.get(*at).map(|_| letter(text, *at))?;
        match letter.byte {
            b'=' => {
                *at += letter.width;
                break letter.level;
            }
            b'?' | b'&' | b';' | b'#' => return None,
            // The name may begin behind it (`#/access_token=`); behind two, an authority does.
            b'/' | b'\\' => {
                let next = text.get(*at + letter.width).copied().unwrap_or_default();
                if matches!(next, b'/' | b'\\' | b'%') {
                    return None;
                }
                length = 0;
            }
            byte if ends_text(byte, form) => return None,
            b'+' | b' ' => {}
            byte => {
                if let Some(place) = name.get_mut(length) {
                    *place = byte;
                }
                length += 1;
            }
        }
        *at += letter.width;
    };
    let start = *at;
    if name.get(..length).is_some_and(|name| !rules.is_secret_parameter(name)) {
        return None;
    }
    let end = value_end(text, start, level, form);
    (end > start).then_some((start, end))
}

fn value_end(text: &[u8], start: usize, level: u8, form: Form) -> usize {
    let mut at = start;
    while at < text.len() {
        let letter = letter(text, at);
        if letter.level <= level && (letter.byte == b'&' || ends_text(letter.byte, form)) {
            break;
        }
        at += letter.width;
    }
    at
}

#[inline]
fn letter(text: &[u8], at: usize) -> Letter {
    match text[at] {
        b'%' => encoded(text, at),
        byte => Letter { byte, level: 0, width: 1 },
    }
}

fn encoded(text: &[u8], at: usize) -> Letter {
    let mut digits = at + 1;
    let mut level = 1u8;
    while text[digits..].starts_with(b"25") {
        digits += 2;
        level = level.saturating_add(1);
    }
    let hex = |index: usize| text.get(index).and_then(|&byte| char::from(byte).to_digit(16));
    match (hex(digits), hex(digits + 1)) {
        (Some(high), Some(low)) => {
            Letter { byte: u8::try_from(high << 4 | low).unwrap_or(b'%'), level, width: digits + 2 - at }
        }
        _ => Letter { byte: b'%', level: 0, width: digits - at },
    }
}

#[cfg(test)]
mod tests {
    use super::super::redact::tests::rules;
    use super::*;

    fn masked(form: Form, text: &str) -> String {
        let mut out = Vec::new();
        mask(&rules(), form, text.as_bytes(), &mut out);
        let text = String::from_utf8(out).unwrap();
        let mut parts = text.split("hmac:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + "*" + &part[12..])
    }

    #[test]
    fn what_is_not_secret_stays_as_it_was() {
        for text in [
            "",
            "/",
            "/a/b?x=1&y=2",
            "/a?page=2#top",
            "*",
            "http://example.org/x?y",
            "/?=&&;#",
            "/%",
            "/%2",
            "/%zz",
            "/a%2525",
            "example.org:443",
            "/monkey?turnkey=1",
            "/key",
            "/?key",
            "/?key=",
            "%25%25",
        ] {
            assert_eq!(masked(Form::Url, text), text);
        }
    }

    #[test]
    fn secrets_in_urls_are_masked_in_every_disguise() {
        for (text, expected) in [
            ("/?key=S", "/?key=*"),
            ("/?a=1&API_KEY=S&b=2", "/?a=1&API_KEY=*&b=2"),
            ("/?api-key=S,S;S S#S", "/?api-key=*"),
            ("/#access_token=S&x=1", "/#access_token=*&x=1"),
            ("/?%6bey=S", "/?%6bey=*"),
            ("/?%256bey=S", "/?%256bey=*"),
            ("/?k%65y%3DS", "/?k%65y%3D*"),
            ("/?user[password]=S", "/?user[password]=*"),
            ("/?key[]=S&key[0]=S", "/?key[]=*&key[0]=*"),
            ("/?reset_token=S", "/?reset_token=*"),
            ("/?next=%2Fx%3Fkey%3DS%26b%3D1&c=2", "/?next=%2Fx%3Fkey%3D*%26b%3D1&c=2"),
            ("/?next=%252Fx%253Fkey%253DS%2526b&c=2", "/?next=%252Fx%253Fkey%253D*%2526b&c=2"),
            ("/?key=a%26b=S&c=2", "/?key=*&c=2"),
            ("/x;key=S", "/x;key=*"),
            ("http://u:S@h/x", "http://*@h/x"),
            ("//S@h", "//*@h"),
            ("http:\\\\S@h", "http:\\\\*@h"),
            ("http://S:a@b@h/@x", "http://*@h/@x"),
            ("u:S@h:80", "*@h:80"),
            ("/?u=https%3A%2F%2Fu%3AS%40h&x", "/?u=https%3A%2F%2F*%40h&x"),
            ("/?a?key=S", "/?a?key=*"),
            ("/?a=b?key=S", "/?a=b?key=*"),
            ("/?+key =S", "/?+key =*"),
            ("https://app/#/access_token=S&x=1", "https://app/#/access_token=*&x=1"),
            ("/?/key=S", "/?/key=*"),
            ("/?a/key=S", "/?a/key=*"),
            ("/?a//u:S@h", "/?a//*@h"),
        ] {
            assert_eq!(masked(Form::Url, text), expected, "{text}");
        }
        let long = format!("/?{}=S", "n".repeat(65));
        assert_eq!(masked(Form::Url, &long), format!("/?{}=*", "n".repeat(65)));
    }

    #[test]
    fn urls_in_a_text_end_where_the_text_goes_on() {
        for (text, expected) in [
            ("<https://h/?key=S>; rel=\"next\"", "<https://h/?key=*>; rel=\"next\""),
            ("see http://u:S@h/ or a@b.example", "see http://*@h/ or a@b.example"),
            ("0; url=/?key=S", "0; url=/?key=*"),
            ("\"Not?A_Brand\";v=\"99\"", "\"Not?A_Brand\";v=\"99\""),
        ] {
            assert_eq!(masked(Form::Text, text), expected);
        }
    }

    #[test]
    fn an_authority_keeps_only_what_follows_the_last_at_sign() {
        assert_eq!(masked(Form::Authority, "u:a/S@h:80"), "*@h:80");
        assert_eq!(masked(Form::Authority, "h:80"), "h:80");
    }
}
