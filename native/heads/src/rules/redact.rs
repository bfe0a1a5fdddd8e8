//! Redaction: what is secret in a head becomes a pseudonym before anything else can see it.

use serde::Deserialize;

use super::glob::{letters, Glob};
use super::pseudonym::Pseudonym;
use super::url::{self, Form};
use crate::http1::methods::is_registered;

/// Authentication schemes (the IANA registry and those in wide use) that may stay in sight before their credentials.
const SCHEMES: [&str; 22] = [
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "concealed",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hmac",
    "hoba",
    "key",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "signature",
    "token",
    "vapid",
];

/// Longest cookie name that stays in sight.
const MAX_COOKIE_NAME: usize = 128;

/// Has no default: what is secret is listed in one place, the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RedactPatterns {
    enabled: bool,
    fields: Vec<String>,
    query: Vec<String>,
}

/// What is done with a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Nothing: redaction is off.
    Nothing,
    /// URLs inside it are looked through.
    Urls(Form),
    /// All of it becomes one pseudonym.
    Whole,
    /// All but a known authentication scheme.
    Credentials,
    /// The value of each pair of `Cookie`.
    Cookies,
    /// The value of the pair of `Set-Cookie`; its attributes stay.
    SetCookie,
    /// The subprotocols of a WebSocket, among which browsers have to put their tokens: what does not look like the name of
    /// one.
    Protocols,
    /// The name is no field name, so it is not certain what this is: name and value become pseudonyms.
    Line,
}

impl Mask {
    /// The same for a value that is known to be a secret, whatever its name.
    #[must_use]
    pub fn of_secret(self) -> Mask {
        if matches!(self, Mask::Urls(_) | Mask::Protocols) {
            Mask::Whole
        } else {
            self
        }
    }
}

#[derive(Clone, Debug)]
pub struct Redact {
    enabled: bool,
    fields: Names,
    query: Names,
    pseudonym: Pseudonym,
}

impl Redact {
    pub(super) fn new(patterns: &RedactPatterns, key: &[u8]) -> Result<Redact, String> {
        let query: Vec<&String> = patterns.query.iter().chain(&patterns.fields).collect();
        Ok(Redact {
            enabled: patterns.enabled,
            fields: Names::new(patterns.fields.iter()),
            query: Names::new(query.into_iter()),
            pseudonym: Pseudonym::new(key)?,
        })
    }

    pub fn enabled(&self) -> bool {
        self.enabled
    }

    pub fn pseudonym(&self, secret: &[u8], out: &mut Vec<u8>) {
        self.pseudonym.write(secret, out);
    }

    /// What is done with the values of fields of this name.
    pub fn mask(&self, name: &[u8]) -> Mask {
        if !self.enabled {
            return Mask::Nothing;
        }
        // White space before a name may be a folded line, which is part of a value.
        let name = name.trim_ascii_end();
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return Mask::Line;
        }
        let lower = name.to_ascii_lowercase();
        if self.fields.holds(&lower) {
            return match &lower[..] {
                b"set-cookie" | b"set-cookie2" => Mask::SetCookie,
                b"cookie2" => Mask::Cookies,
                _ if lower.ends_with(b"cookie") => Mask::Cookies,
                _ if lower.ends_with(b"authorization") => Mask::Credentials,
                _ => Mask::Whole,
            };
        }
        match &lower[..] {
            b"host" | b"x-forwarded-host" | b"x-original-host" => Mask::Urls(Form::Authority),
            b"sec-websocket-protocol" => Mask::Protocols,
            b"referer"
            | b"location"
            | b"content-location"
            | b"origin"
            | b"destination"
            | b"sourcemap"
            | b"x-envoy-original-path"
            | b"x-original-path"
            | b"x-original-url"
            | b"x-original-uri"
            | b"x-rewrite-url"
            | b"x-forwarded-uri"
            | b"x-accel-redirect" => Mask::Urls(Form::Url),
            _ => Mask::Urls(Form::Text),
        }
    }

    /// Writes a field's name as it may be seen.
    pub fn name(&self, mask: Mask, name: &[u8], out: &mut Vec<u8>) {
        if mask == Mask::Line && !name.is_empty() {
            self.pseudonym(name, out);
        } else {
            out.extend_from_slice(name);
        }
    }

    /// Writes a field's value as it may be seen.
    pub fn value(&self, mask: Mask, value: &[u8], out: &mut Vec<u8>) {
        match mask {
            _ if value.is_empty() => {}
            Mask::Urls(form) if may_hold(form, value) => url::mask(self, form, value, out),
            Mask::Nothing | Mask::Urls(_) => out.extend_from_slice(value),
            Mask::Whole | Mask::Line => self.pseudonym(value, out),
            Mask::Credentials => self.credentials(value, out),
            Mask::Cookies => self.cookies(value, out),
            Mask::SetCookie => self.set_cookie(value, out),
            Mask::Protocols => self.protocols(value, out),
        }
    }

    /// Writes a request target as it may be seen. `uncertain`: the start line was not one.
    pub fn target(&self, target: &[u8], uncertain: bool, out: &mut Vec<u8>) {
        if !self.enabled || target.is_empty() {
            out.extend_from_slice(target);
        } else if uncertain && (!looks_like_target(target) || is_open_authority(target)) {
            self.pseudonym(target, out);
        } else {
            url::mask(self, Form::Url, target, out);
        }
    }

    /// Writes a method as it may be seen: what does not look like one may be a piece of anything; and where the start line
    /// was not one (`uncertain`), what is not known as one.
    pub fn method(&self, method: &[u8], uncertain: bool, out: &mut Vec<u8>) {
        let named = method.len() <= 24 && method.iter().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(byte));
        let fits = if uncertain { is_registered(method) } else { named };
        if !self.enabled || fits {
            out.extend_from_slice(method);
        } else {
            self.pseudonym(method, out);
        }
    }

    /// `name` is percent-decoded. Of `user[password]` and `auth.token` each part counts.
    pub(super) fn is_secret_parameter(&self, name: &[u8]) -> bool {
        let mut buffer = [0u8; 64];
        let Some(lower) = buffer.get_mut(..name.len()) else { return true };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.query.holds(lower)
            || lower.iter().any(|byte| b"[].".contains(byte))
                && lower.split(|byte| b"[].".contains(byte)).any(|part| !part.is_empty() && self.query.holds(part))
    }

    fn credentials(&self, value: &[u8], out: &mut Vec<u8>) {
        let known = memchr::memchr(b' ', value)
            .filter(|&space| SCHEMES.iter().any(|scheme| value[..space].eq_ignore_ascii_case(scheme.as_bytes())));
        let (scheme, secret) = value.split_at(known.map_or(0, |space| space + 1));
        out.extend_from_slice(scheme);
        self.pseudonym(secret.trim_ascii_start(), out);
    }

    fn cookies(&self, value: &[u8], out: &mut Vec<u8>) {
        for (index, pair) in value.split(|&byte| byte == b';').enumerate() {
            if index > 0 {
                out.push(b';');
            }
            self.pair(pair, out);
        }
    }

    fn protocols(&self, value: &[u8], out: &mut Vec<u8>) {
        let mut announced = false;
        for (index, part) in value.split(|&byte| byte == b',').enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let text = part.trim_ascii();
            let begin = part.len() - part.trim_ascii_start().len();
            out.extend_from_slice(&part[..begin]);
            if text.is_empty() || (!announced && is_protocol(text)) {
                out.extend_from_slice(text);
            } else {
                self.pseudonym(text, out);
            }
            out.extend_from_slice(&part[begin + text.len()..]);
            announced = announces_secret(text);
        }
    }

    fn set_cookie(&self, value: &[u8], out: &mut Vec<u8>) {
        for (index, part) in value.split(|&byte| byte == b';').enumerate() {
            if index == 0 {
                self.pair(part, out);
                continue;
            }
            out.push(b';');
            if is_attribute(part) {
                out.extend_from_slice(part);
            } else {
                self.pair(part, out);
            }
        }
    }

    /// `name=value` with white space before it; all of it becomes one pseudonym when it has no name or no value,
    /// since a token that ends in `=` looks like a name.
    fn pair(&self, pair: &[u8], out: &mut Vec<u8>) {
        let text = pair.trim_ascii_start();
        out.extend(pair[..pair.len() - text.len()].iter().map(|_| b' '));
        let name = memchr::memchr(b'=', text).map_or(&text[..0], |equals| &text[..equals]);
        let has_value = text.get(name.len() + 1..).is_some_and(|value| value.iter().any(|&byte| byte != b'='));
        let named = !name.is_empty() && name.len() <= MAX_COOKIE_NAME && name.iter().all(|&byte| is_token(byte));
        let secret = if named && has_value { &text[name.len() + 1..] } else { text };
        out.extend_from_slice(&text[..text.len() - secret.len()]);
        if !secret.is_empty() {
            self.pseudonym(secret, out);
        }
    }
}

/// The quick question whether a value can hold what [`url::mask`] looks for.
#[inline]
fn may_hold(form: Form, value: &[u8]) -> bool {
    match form {
        Form::Url => !url::is_plain(value),
        Form::Authority => memchr::memchr(b'@', value).is_some(),
        Form::Text => memchr::memchr3(b'?', b'@', b'#', value).is_some() || memchr::memchr(b'%', value).is_some(),
    }
}

/// An attribute of `Set-Cookie` (RFC 6265, section 4.1.2) with nothing else in it.
fn is_attribute(part: &[u8]) -> bool {
    let text = part.trim_ascii();
    let (name, value) = match memchr::memchr(b'=', text) {
        Some(equals) => (&text[..equals], &text[equals + 1..]),
        None => (text, &[][..]),
    };
    let bare = ["secure", "httponly", "partitioned"];
    let valued = ["expires", "max-age", "domain", "path", "samesite", "priority"];
    let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let clean = |byte: &u8| byte.is_ascii_alphanumeric() || b" ,:./_+-*~%".contains(byte);
    (value.is_empty() && is(&bare)) || (value.len() <= 256 && value.iter().all(clean) && is(&valued))
}

/// The name of a subprotocol, and not a token: short words (RFC 6455, section 11.5).
fn is_protocol(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let named = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_+/:".contains(byte);
    text.len() <= 32 && digits * 3 <= text.len() && text.iter().all(named)
}

/// What follows such a name is a secret, whatever it looks like (`access_token, SECRET`).
fn announces_secret(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    [&b"token"[..], b"auth", b"bearer", b"jwt", b"key"].iter().any(|word| memchr::memmem::find(&lower, word).is_some())
}

/// An authority that has not ended: the user information in it would come to its end behind it.
fn is_open_authority(target: &[u8]) -> bool {
    let authority = memchr::memmem::find(target, b"://").and_then(|at| target.get(at + 3..));
    authority.is_some_and(|authority| !authority.iter().any(|byte| b"/?#@".contains(byte)))
}

fn looks_like_target(target: &[u8]) -> bool {
    let starts =
        |prefix: &str| target.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    starts("/") || starts("http://") || starts("https://") || target == b"*"
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Names and patterns of secrets; `-` and `_` are one.
#[derive(Clone, Debug, Default)]
struct Names {
    /// By their length: few have the same one.
    words: Vec<Vec<Box<[u8]>>>,
    globs: Vec<Glob>,
}

impl Names {
    fn new<'a>(patterns: impl Iterator<Item = &'a String>) -> Names {
        let mut names = Names::default();
        for pattern in patterns {
            let pattern = pattern.to_ascii_lowercase().replace('_', "-");
            let glob = Glob::new(&pattern);
            if !glob.is_word() {
                names.globs.push(glob);
                continue;
            }
            if names.words.len() <= pattern.len() {
                names.words.resize(pattern.len() + 1, Vec::new());
            }
            names.words[pattern.len()].push(pattern.into_bytes().into());
        }
        names
    }

    /// `lower` is in lower case.
    fn holds(&self, lower: &[u8]) -> bool {
        if memchr::memchr(b'_', lower).is_some() {
            let dashed: Vec<u8> = lower.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect();
            return self.holds(&dashed);
        }
        if self.words.get(lower.len()).is_some_and(|words| words.iter().any(|word| **word == *lower)) {
            return true;
        }
        let present = letters(lower);
        self.globs.iter().any(|glob| !glob.lacks(present) && glob.matches(lower))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn rules() -> Redact {
        let fields = "*authorization *cookie* *token* *secret* *api-key* *password*";
        let query = "key sig";
        let own = |list: &str| list.split(' ').map(str::to_owned).collect();
        Redact::new(&RedactPatterns { enabled: true, fields: own(fields), query: own(query) }, b"key").unwrap()
    }

    fn seen(name: &str, value: &str) -> String {
        let rules = rules();
        let mut out = Vec::new();
        rules.value(rules.mask(name.as_bytes()), value.as_bytes(), &mut out);
        let text = String::from_utf8(out).unwrap();
        let mut parts = text.split("hmac:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + "*" + &part[12..])
    }

    #[test]
    fn fields_are_masked_as_their_names_ask() {
        for (name, value, expected) in [
            ("Authorization", "Bearer S", "Bearer *"),
            ("authorization", "bEARER  S", "bEARER *"),
            ("Authorization", "S", "*"),
            ("Authorization", "S with spaces", "*"),
            ("Authorization", "Bearer\r\n S", "*"),
            ("Authorization", "Bearer", "*"),
            ("Proxy-Authorization", "Basic S==", "Basic *"),
            ("X-API-KEY", "S", "*"),
            ("X_Api_Key", "S", "*"),
            ("My-Token-2", "S", "*"),
            ("X-Password", "Bearer S", "*"),
            ("Grpcgateway-Authorization", "Bearer S", "Bearer *"),
            ("grpcgateway-cookie", "a=S; b=S", "a=*; b=*"),
            ("Set-Cookie2", "a=S; Path=/", "a=*; Path=/"),
            ("Sec-WebSocket-Protocol", "graphql-transport-ws, v12.stomp", "graphql-transport-ws, v12.stomp"),
            ("Sec-WebSocket-Protocol", "ocpp2.0.1,mqtt", "ocpp2.0.1,mqtt"),
            (
                "Sec-WebSocket-Protocol",
                "base64url.bearer.authorization.k8s.io.U0VDUkVU, base64.binary.k8s.io, v4.channel.k8s.io",
                "*, *, v4.channel.k8s.io",
            ),
            ("Sec-WebSocket-Protocol", "access_token, abc", "access_token, *"),
            ("Sec-WebSocket-Protocol", "3f1c9a7e5b2d4860", "*"),
            ("X-Envoy-Original-Path", "/a;key=S", "/a;key=*"),
            ("Cookie", "a=S; b=S;c=S", "a=*; b=*;c=*"),
            ("Cookie", "S", "*"),
            ("Cookie", "S=", "*"),
            ("Cookie", "S==", "*"),
            ("Cookie", "a=\"S;S\"", "a=*;*"),
            ("Cookie", "a b=S", "*"),
            ("Set-Cookie", "a=S; Path=/; HttpOnly; Max-Age=3", "a=*; Path=/; HttpOnly; Max-Age=3"),
            ("Set-Cookie", "a=S; Expires=Wed, 09 Jun 2021 10:18:14 GMT", "a=*; Expires=Wed, 09 Jun 2021 10:18:14 GMT"),
            ("Set-Cookie", "a=S; Path=/, b=S; S", "a=*; Path=*; *"),
            ("Set-Cookie", "a=S; Secure=S; x=S", "a=*; Secure=*; x=*"),
            ("Referer", "https://u:S@h/?key=S&x=1", "https://*@h/?key=*&x=1"),
            ("Location", "/cb#id_token=S", "/cb#id_token=*"),
            ("Link", "</?sig=S>; rel=next", "</?sig=*>; rel=next"),
            ("Host", "u:S@h", "*@h"),
            ("X-Any", "https://h/?token=S", "https://h/?token=*"),
            ("Accept", "*/*;q=0.8", "*/*;q=0.8"),
            ("User-Agent", "Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"),
            ("Authorization Bearer S", "", ""),
            ("Auth orization", "S", "*"),
            ("", "Authorization Bearer S", "*"),
        ] {
            assert_eq!(seen(name, value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_masked_with_its_value() {
        let rules = rules();
        let mut out = Vec::new();
        rules.name(rules.mask(b"Authorization Bearer S"), b"Authorization Bearer S", &mut out);
        assert!(out.starts_with(b"hmac:") && out.len() == 17);
        assert_eq!(rules.mask(b"Authorization "), Mask::Credentials);
    }

    #[test]
    fn start_lines_that_are_none_are_masked() {
        let rules = rules();
        let target = |text: &str, uncertain| {
            let mut out = Vec::new();
            rules.target(text.as_bytes(), uncertain, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert!(target("Bearer S", true).starts_with("hmac:"));
        assert_eq!(target("/a b", true), "/a b");
        assert_eq!(target("h:443", false), "h:443");
        let mut out = Vec::new();
        rules.method(b"Authorization:", false, &mut out);
        assert!(out.starts_with(b"hmac:"));
        assert!(target("http://user:S", true).starts_with("hmac:"));
        assert_eq!(target("http://h/", true), "http://h/");
        let method = |text: &str| {
            let mut out = Vec::new();
            rules.method(text.as_bytes(), true, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(method("GET"), "GET");
        assert!(method("hunterS").starts_with("hmac:"));
    }

    #[test]
    fn one_secret_has_one_pseudonym_in_whatever_field() {
        let hidden = |name: &str, value: &str| {
            let (rules, mut out) = (rules(), Vec::new());
            rules.value(rules.mask(name.as_bytes()), value.as_bytes(), &mut out);
            let text = String::from_utf8(out).unwrap();
            text[text.find("hmac:").unwrap()..].to_owned()
        };
        let first = hidden("Authorization", "Bearer abc");
        for (name, value) in
            [("Authorization", "abc"), ("X-Api-Key", "abc"), ("Cookie", "sid=abc"), ("Referer", "/?key=abc")]
        {
            assert_eq!(hidden(name, value), first);
        }
    }
}
