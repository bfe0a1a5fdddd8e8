//! Who speaks TLS on this host, and whether its plaintext can be seen: the table of `masthead doctor`.

use super::library::{self, Library, Part, Watchable};
use super::linked::Search;
use super::listeners::Listeners;
use super::{elf, go, host};
use crate::capture::options::Tls as Wanted;
use heads::rules::glob::Globs;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;

/// What a file is to us.
#[derive(Clone)]
enum Kind {
    Watchable(Library, Part),
    /// Speaks TLS in a way that is not followed: its name, and why.
    Unseen(String, String),
    Other,
}

const NSPR: &str = "the functions of NSPR that read and write for it have no symbols";
const IMPORTED: &str = "sessions whose descriptor was imported before masthead started are not";
const JAVA: &str = "Java's own TLS is not followed: its code is compiled while it runs";
const STRIPPED: &str = "its functions have no symbols";
const LINKED: &str = "a TLS library is linked in, without the symbols that probes need";
const NARROW: &str = "code of 32 bits is not followed";
const RUSTLS: &str = "rustls is not followed: it has no functions that stay the same";
/// With symbols neither.
const NOT_FOLLOWED: [&str; 4] = ["bearssl", "mbedtls", "s2n", "wolfssl"];

impl Kind {
    fn unseen(library: &str, why: &str) -> Kind {
        Kind::Unseen(library.to_owned(), why.to_owned())
    }
}

/// One entry for each process and library: pid, name, executable, library, file, whether it is seen, why not, and within
/// which limits; and what it took to search files for libraries that have no symbols.
pub(crate) fn survey(wanted: &Wanted, own: &[u32]) -> Value {
    let patterns = Globs::new(&wanted.processes);
    let mut files = HashMap::new();
    let mut search = Search::default();
    let mut listeners = Listeners::new();
    let mut entries = Vec::new();
    let mut closed = 0_u64;
    let mut pids = host::pids();
    pids.sort_unstable();
    for pid in pids.into_iter().filter(|pid| !own.contains(pid)) {
        let Some((name, _)) = host::identity(pid) else { continue };
        let mapped = match host::mapped(pid) {
            Ok(mapped) => mapped,
            Err(error) => {
                closed += u64::from(error.kind() == ErrorKind::PermissionDenied);
                continue;
            }
        };
        let executable = host::executable(pid);
        let listens = listeners.listens(pid);
        let asked = [Some(name.as_str()), executable.as_deref(), executable.as_deref().and_then(last_part)];
        let asked = asked.iter().flatten().any(|text| patterns.matches(&text.to_ascii_lowercase().into_bytes()));
        // The same number and path lead to another file where somebody has mounts of his own.
        let namespace = host::mount_namespace(pid);
        let mut kind_of = |file: &host::Mapped| {
            let known = files.entry((namespace.clone(), file.file.clone(), file.path.clone()));
            known.or_insert_with(|| kind_of(pid, file, &mut search)).clone()
        };
        let kinds: Vec<Kind> = mapped.iter().map(&mut kind_of).collect();
        let part = |kind: &Kind| if let Kind::Watchable(_, part) = kind { Some(*part) } else { None };
        let parts: Vec<Part> = kinds.iter().filter_map(part).collect();
        for (file, kind) in mapped.into_iter().zip(kinds) {
            let unasked = "it does not listen, and tls.processes does not name it";
            let (library, why, limits) = match kind {
                Kind::Other | Kind::Watchable(_, Part::Bytes) => continue,
                Kind::Unseen(library, why) => (library, why, ""),
                Kind::Watchable(library, part) => {
                    let why = match () {
                        () if library::is_alone(part, &parts) => NSPR,
                        () if !wanted.enabled => "tls.enabled is false",
                        () if asked || (wanted.listening && listens) => "",
                        () if listens => "tls.listening is false",
                        () => unasked,
                    };
                    let limits = if why.is_empty() && library == Library::Nss { IMPORTED } else { "" };
                    (library.name().to_owned(), why.to_owned(), limits)
                }
            };
            entries.push(json!({
                "pid": pid, "name": name, "executable": executable, "library": library, "file": file.path,
                "listens": listens, "seen": why.is_empty(), "why": why, "limits": limits,
            }));
        }
    }
    let took = u64::try_from(search.spent.as_millis()).unwrap_or(u64::MAX);
    let searched = json!({ "files": search.files, "bytes": search.bytes, "skipped": search.skipped, "ms": took });
    json!({ "processes": entries, "closed": closed, "searched": searched })
}

fn last_part(path: &str) -> Option<&str> {
    path.rsplit('/').next()
}

fn kind_of(pid: u32, mapped: &host::Mapped, search: &mut Search) -> Kind {
    let name = last_part(&mapped.path).unwrap_or_default();
    if name == "libjvm.so" {
        return Kind::unseen("java", JAVA);
    }
    let open = || mapped.open(pid);
    let functions = open().map(|file| elf::functions(&file));
    if functions.is_none() {
        search.skipped += 1;
    }
    let functions = functions.flatten();
    let is_wide = functions.is_some();
    match library::watchable(&functions.unwrap_or_default()) {
        Some(Watchable { library, part, .. }) => Kind::Watchable(library, part),
        // NSS has a libssl of its own.
        None if is_wide && name == "libssl3.so" => Kind::unseen("nss", STRIPPED),
        None if is_wide && name.starts_with("libssl.so") => Kind::unseen("openssl", STRIPPED),
        None if is_wide && name.starts_with("libgnutls.so") => Kind::unseen("gnutls", STRIPPED),
        None => match open().map(|file| go::find(&file)) {
            Some(go::Found::Watchable(_)) => Kind::Watchable(Library::Go, Part::Whole),
            Some(go::Found::Unseen(why)) => Kind::unseen(Library::Go.name(), why),
            Some(go::Found::Nothing) | None => linked(name, is_wide, open(), search),
        },
    }
}

/// What is linked in without symbols.
fn linked(name: &str, is_wide: bool, file: Option<File>, search: &mut Search) -> Kind {
    match file.and_then(|file| search.libraries(name, &file)) {
        Some(libraries) if !is_wide => Kind::unseen(&libraries, NARROW),
        Some(libraries) => Kind::unseen(&libraries, &why_linked(&libraries)),
        None => Kind::Other,
    }
}

fn why_linked(libraries: &str) -> String {
    match libraries {
        "rustls" => RUSTLS.to_owned(),
        one if NOT_FOLLOWED.contains(&one) => format!("{one} is not followed"),
        _ => LINKED.to_owned(),
    }
}
