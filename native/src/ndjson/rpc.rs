//! gRPC in OpenTelemetry's words (semantic conventions 1.44, "Semantic conventions for gRPC").

/// `doc/statuscodes.md` of gRPC, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`.
const SERVER_ERRORS: [u16; 6] = [2, 4, 12, 13, 14, 15];

/// `rpc.status_code`: the name of a status, or its number where it has none.
pub(crate) fn status_name(status: u16) -> String {
    NAMES.get(usize::from(status)).map_or_else(|| status.to_string(), |&name| name.to_owned())
}

/// Whether a status is an error: for who calls each but `OK`, for who answers those that are its own fault.
pub(crate) fn is_error(status: u16, client: bool) -> bool {
    if client {
        status != 0
    } else {
        SERVER_ERRORS.contains(&status)
    }
}

/// `rpc.method`: service and method of a path.
pub(crate) fn method(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(b"/").filter(|method| method.contains(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_names_and_who_looks_decides_what_is_an_error() {
        assert_eq!(
            (status_name(0), status_name(16), status_name(17)),
            ("OK".into(), "UNAUTHENTICATED".into(), "17".into())
        );
        assert!(is_error(5, true) && !is_error(5, false) && is_error(13, false) && !is_error(0, true));
        assert_eq!((method(b"/a.B/C"), method(b"/a"), method(b"*")), (Some(&b"a.B/C"[..]), None, None));
    }
}
