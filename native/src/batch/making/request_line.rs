//! The request line: method, target and its parts, route, authority.

use super::Making;
use crate::batch::columns::Words;
use crate::batch::fields::Known;
use crate::batch::text;
use heads::exchange::{Endpoints, Exchange, Fault, Head};
use heads::rules::target::{is_scheme, Target};
use heads::rules::{url, Meaning, Rules};

/// Host and path as they were sent, for filters and scopes.
pub(super) fn host_and_path<'a>(head: &'a Head, known: &'a Known) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let target = Target::parse(head.start.second.of(&head.raw), is_connect(head));
    let authority = head.authority.map(|span| span.of(&head.raw));
    (target.authority.or(authority).or_else(|| known.only(head, Meaning::Host)), target.path)
}

/// The target is an authority; in HTTP/2 that has a place of its own (RFC 9113, section 8.5).
fn is_connect(head: &Head) -> bool {
    head.start.first.of(&head.raw) == b"CONNECT" && head.version != Some((2, 0))
}

/// The start line is none, or not all of it came: what stands there may be anything.
fn has_bad_start(head: &Head) -> bool {
    if head.version.is_none() {
        return true;
    }
    let fault = head.fault.map(|(fault, _)| fault);
    matches!(fault, Some(Fault::StartLine | Fault::Method | Fault::Target | Fault::Version))
}

/// Methods come in runs. One that stands in the column already may be seen.
fn push_method(rules: &Rules, head: &Head, scratch: &mut Vec<u8>, column: &mut Words) -> bool {
    let sent = head.start.first.of(&head.raw);
    if let Some(key) = column.dictionary.key_of_last(sent) {
        column.push_key(key);
        return false;
    }
    scratch.clear();
    rules.redact.method(sent, head.version.is_none(), scratch);
    let mut seen = Vec::new();
    let escaped = text::push(scratch, &mut seen);
    column.push(Some(&seen[..]).filter(|seen| !seen.is_empty()));
    escaped
}

impl Making {
    /// Method, target and its parts, route, authority. True when something had to be escaped.
    pub(super) fn request_line(&mut self, rules: &Rules, endpoints: &Endpoints, exchange: &Exchange) -> bool {
        let columns = &mut self.columns;
        let by_transport: &[u8] = if endpoints.tls.is_some() { b"https" } else { b"http" };
        let Some(head) = exchange.request.as_ref().map(|message| &message.head) else {
            columns.method.push(None);
            columns.scheme.push(Some(by_transport));
            for column in [&mut columns.target, &mut columns.path, &mut columns.query, &mut columns.authority] {
                column.push_option(None);
            }
            self.routing.push(&rules.routes, b"", None, false, columns);
            return false;
        };
        let (start, raw) = (head.start, &head.raw);
        let scratch = &mut self.scratch;
        let mut escaped = push_method(rules, head, scratch, &mut columns.method);
        let seen = &mut self.target;
        seen.clear();
        let sent = start.second.of(raw);
        // What its sender calls a secret shows nothing of itself: no path, no query, no route.
        let secret = head.secret_target && rules.redact.enabled();
        if secret && !sent.is_empty() {
            rules.redact.pseudonym(sent, seen);
        } else if url::is_plain(sent) && sent.is_ascii() && sent.first() == Some(&b'/') {
            seen.extend_from_slice(sent);
        } else {
            scratch.clear();
            rules.redact.target(sent, has_bad_start(head), scratch);
            escaped |= text::push(scratch, seen);
        }
        let target = if secret { Target::default() } else { Target::parse(seen, is_connect(head)) };
        columns.target.push_option(Some(&seen[..]).filter(|seen| !seen.is_empty()));
        columns.path.push_option(target.path);
        columns.query.push_option(target.query);
        self.routing.push(&rules.routes, start.first.of(raw), target.path, exchange.grpc.is_some(), columns);
        let scheme = match head.scheme.map(|span| span.of(raw)) {
            Some(sent) => Some(sent).filter(|sent| is_scheme(sent)),
            None => Some(target.scheme.unwrap_or(by_transport)),
        };
        columns.scheme.push(scheme);
        if let Some(authority) = target.authority {
            columns.authority.push(authority);
            return escaped;
        }
        let sent = if let Some(span) = head.authority {
            let mask = *self.host_mask.get_or_insert_with(|| rules.redact.mask(b"host"));
            Some((span.of(raw), if head.secret_authority { mask.of_secret() } else { mask }))
        } else {
            let known = &self.known[0];
            known.only(head, Meaning::Host).map(|host| (host, known.mask(&self.names, Meaning::Host)))
        };
        match sent {
            Some((host, mask)) => {
                scratch.clear();
                rules.redact.value(mask, host, scratch);
                escaped |= text::push(scratch, &mut columns.authority.bytes);
                columns.authority.close();
            }
            None => columns.authority.push_option(None),
        }
        escaped
    }
}
