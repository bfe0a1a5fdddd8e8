//! The functions of each TLS library that are watched, and what each does.

/// A library with an interface of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    OpenSsl,
    BoringSsl,
    GnuTls,
    Nss,
    Go,
}

impl Library {
    /// As in the column `tls_library`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Library::OpenSsl => "openssl",
            Library::BoringSsl => "boringssl",
            Library::GnuTls => "gnutls",
            Library::Nss => "nss",
            Library::Go => "go",
        }
    }

    /// `enum event_library` of `bpf/event.h`.
    fn number(self) -> u64 {
        match self {
            Library::OpenSsl => 1,
            Library::BoringSsl => 2,
            Library::GnuTls => 3,
            Library::Nss => 4,
            Library::Go => 5,
        }
    }

    /// The cookie of a probe: `library << 8 | call`.
    pub(super) fn cookie(self, call: Call) -> u64 {
        self.number() << 8 | call as u64
    }
}

/// `enum call_kind` of `bpf/session.bpf.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read = 1,
    ReadEx,
    Write,
    WriteEx,
    SendFile,
    Recv,
    Send,
    Init,
    Handshake,
    Begin,
    Shutdown,
    End,
    Close,
    Make,
    Accept,
    RecvFlags,
    Option,
    Lost,
}

impl Call {
    /// Whether what it came to is known only when it returns: a second trap for each call.
    pub(super) fn returns(self) -> bool {
        !matches!(self, Call::Begin | Call::Shutdown | Call::End | Call::Close | Call::Option | Call::Lost)
    }
}

/// `openssl/ssl.h`; BoringSSL has the same ones, but for `SSL_read_ex`, `SSL_write_ex` and `SSL_sendfile`. What
/// `SSL_read_early_data` and `SSL_write_early_data` move goes through the `_ex` functions.
const SSL: &[(&str, Call)] = &[
    ("SSL_read", Call::Read),
    ("SSL_read_ex", Call::ReadEx),
    ("SSL_write", Call::Write),
    ("SSL_write_ex", Call::WriteEx),
    ("SSL_sendfile", Call::SendFile),
    ("SSL_set_accept_state", Call::Begin),
    ("SSL_set_connect_state", Call::Begin),
    ("SSL_do_handshake", Call::Handshake),
    ("SSL_shutdown", Call::Shutdown),
    // OpenSSL calls it when a session is made and again when its handshake begins; applications, to use one anew.
    ("SSL_clear", Call::Begin),
    ("SSL_free", Call::End),
];

/// `gnutls/gnutls.h`.
const GNUTLS: &[(&str, Call)] = &[
    ("gnutls_record_recv", Call::Recv),
    // Since 3.6.3 `gnutls_record_send` jumps there, as do other functions that send.
    ("gnutls_record_send2", Call::Send),
    ("gnutls_record_send", Call::Send),
    ("gnutls_init", Call::Init),
    ("gnutls_handshake", Call::Handshake),
    ("gnutls_bye", Call::Shutdown),
    ("gnutls_deinit", Call::End),
];

/// `ssl.h` of NSS: what makes a session of a descriptor, or a session of it anew.
const NSS: &[(&str, Call)] =
    &[("SSL_ImportFD", Call::Make), ("SSL_ResetHandshake", Call::Begin), ("SSL_OptionSet", Call::Option)];

/// `prio.h` of NSPR. `PR_AcceptRead`, `PR_SendFile` and `PR_TransmitFile` call these for a session.
const NSPR: &[(&str, Call)] = &[
    ("PR_Read", Call::Read),
    ("PR_Recv", Call::RecvFlags),
    ("PR_Write", Call::Write),
    ("PR_Send", Call::Write),
    ("PR_Writev", Call::Lost),
    ("PR_Accept", Call::Accept),
    ("PR_Shutdown", Call::Shutdown),
    ("PR_Close", Call::Close),
];

/// Only BoringSSL has it; other libraries are told by the names of their functions.
const BORINGSSL: &str = "SSL_get_all_version_names";

/// Without these there is nothing to see.
const NEEDED: [&str; 4] = ["SSL_read", "gnutls_record_recv", "SSL_ImportFD", "PR_Read"];

/// What a file has of its library. Those with bytes are watched first: a session that is known is known from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Reads and writes, of sessions that another file makes, and of much else.
    Bytes,
    /// Makes sessions; another file reads and writes.
    Sessions,
    Whole,
}

/// What a probe looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// An instruction that returns from a function.
    Exit,
    /// The return from a function, wherever it goes to.
    Return,
    Entry,
}

/// A probe in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// In the file.
    pub(super) offset: u64,
    pub(super) cookie: u64,
    pub(super) place: Place,
}

/// A file that can be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watchable {
    pub(super) library: Library,
    pub(super) part: Part,
    pub(super) probes: Vec<Probe>,
}

/// Whether there is nothing to see in a file with this part, in a process whose files have these parts.
pub(super) fn is_alone(part: Part, parts: &[Part]) -> bool {
    match part {
        Part::Whole => false,
        Part::Bytes => !parts.contains(&Part::Sessions),
        Part::Sessions => !parts.contains(&Part::Bytes),
    }
}

/// The symbols to look for in a file.
pub(super) fn symbols() -> impl Iterator<Item = &'static str> {
    SSL.iter().chain(GNUTLS).chain(NSS).chain(NSPR).map(|(name, _)| *name).chain([BORINGSSL])
}

/// Whether names of symbols, one after another, have one without which there is nothing to see.
pub(super) fn may_be_in(names: &[u8]) -> bool {
    NEEDED.iter().any(|needed| memchr::memmem::find(names, needed.as_bytes()).is_some())
}

/// What can be watched in a file with these functions, given by name and offset.
pub(super) fn watchable(found: &[(&'static str, u64)]) -> Option<Watchable> {
    let offset = |name: &str| found.iter().find(|(known, _)| *known == name).map(|(_, offset)| *offset);
    let (library, part) = match NEEDED.map(|name| offset(name).is_some()) {
        [true, ..] if offset(BORINGSSL).is_some() => (Library::BoringSsl, Part::Whole),
        [true, ..] => (Library::OpenSsl, Part::Whole),
        [_, true, ..] => (Library::GnuTls, Part::Whole),
        [_, _, true, true] => (Library::Nss, Part::Whole),
        [_, _, true, false] => (Library::Nss, Part::Sessions),
        [_, _, false, true] => (Library::Nss, Part::Bytes),
        [false, false, false, false] => return None,
    };
    let functions = match library {
        Library::GnuTls => GNUTLS.to_vec(),
        Library::Nss => [NSS, NSPR].concat(),
        _ => SSL.to_vec(),
    };
    let once = |name: &str| name != "gnutls_record_send" || offset("gnutls_record_send2").is_none();
    let probes = functions
        .iter()
        .filter(|(name, _)| once(name))
        .filter_map(|(name, call)| Some((offset(name)?, *call)))
        .flat_map(|(offset, call)| {
            let place = |place| Probe { offset, cookie: library.cookie(call), place };
            [Some(place(Place::Entry)), call.returns().then(|| place(Place::Return))]
        })
        .flatten()
        .collect();
    Some(Watchable { library, part, probes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_by_its_functions() {
        let library = |found: &[(&'static str, u64)]| watchable(found).map(|found| found.library);
        assert_eq!(library(&[("SSL_read", 1), ("SSL_write", 2)]), Some(Library::OpenSsl));
        assert_eq!(library(&[("SSL_read", 1), (BORINGSSL, 2)]), Some(Library::BoringSsl));
        assert_eq!(library(&[("gnutls_record_recv", 1)]), Some(Library::GnuTls));
        assert_eq!(library(&[("SSL_free", 1)]), None);
    }

    #[test]
    fn nss_is_in_two_files_or_one_and_neither_half_is_enough() {
        let part = |found: &[(&'static str, u64)]| watchable(found).map(|found| (found.library, found.part));
        let (makes, moves) = (("SSL_ImportFD", 1), ("PR_Read", 2));
        assert_eq!(part(&[makes]), Some((Library::Nss, Part::Sessions)));
        assert_eq!(part(&[moves]), Some((Library::Nss, Part::Bytes)));
        assert_eq!(part(&[makes, moves]), Some((Library::Nss, Part::Whole)));
        assert!(is_alone(Part::Bytes, &[Part::Bytes, Part::Whole]));
        assert!(is_alone(Part::Sessions, &[Part::Sessions]));
        assert!(!is_alone(Part::Bytes, &[Part::Bytes, Part::Sessions]));
        assert!(!is_alone(Part::Whole, &[Part::Whole]));
    }
}
