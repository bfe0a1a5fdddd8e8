//! Who speaks TLS on this host, and whether its plaintext can be seen: the table of `masthead doctor`.

use super::library::{self, Library, Watchable};
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
    Watchable(&'static str),
    /// Speaks TLS in a way that is not followed: its name, and why.
    Unseen(&'static str, &'static str),
    Other,
}

const NSS: &str = "NSS is not followed";
const JAVA: &str = "Java's own TLS is not followed: its code is compiled while it runs";
const STRIPPED: &str = "its functions have no symbols";

/// One entry for each process and library: pid, name, executable, library, file, whether it is seen, and why not.
pub(crate) fn survey(wanted: &Wanted, own: &[u32]) -> Value {
    let patterns = Globs::new(&wanted.processes);
    let mut files = HashMap::new();
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
        for file in mapped {
            let kind = files.entry(file.file.clone()).or_insert_with(|| kind_of(pid, &file)).clone();
            let (library, seen, why) = match kind {
                Kind::Other => continue,
                Kind::Unseen(library, why) => (library, false, why),
                Kind::Watchable(library) if !wanted.enabled => (library, false, "tls.enabled is false"),
                Kind::Watchable(library) if asked || (wanted.listening && listens) => (library, true, ""),
                Kind::Watchable(library) if listens => (library, false, "tls.listening is false"),
                Kind::Watchable(library) => (library, false, "it does not listen, and tls.processes does not name it"),
            };
            entries.push(json!({
                "pid": pid, "name": name, "executable": executable, "library": library, "file": file.path,
                "listens": listens, "seen": seen, "why": why,
            }));
        }
    }
    json!({ "processes": entries, "closed": closed })
}

fn last_part(path: &str) -> Option<&str> {
    path.rsplit('/').next()
}

fn kind_of(pid: u32, mapped: &host::Mapped) -> Kind {
    let name = last_part(&mapped.path).unwrap_or_default();
    match name {
        "libjvm.so" => return Kind::Unseen("java", JAVA),
        // NSS has a libssl of its own.
        "libssl3.so" => return Kind::Unseen("nss", NSS),
        _ => {}
    }
    let open = || File::open(mapped.place(pid)).ok();
    let functions = open().and_then(elf::functions).unwrap_or_default();
    match library::watchable(&functions) {
        Some(Watchable { library, .. }) => Kind::Watchable(library.name()),
        None if name.starts_with("libssl.so") => Kind::Unseen("openssl", STRIPPED),
        None if name.starts_with("libgnutls.so") => Kind::Unseen("gnutls", STRIPPED),
        None => match open().map(go::find) {
            Some(go::Found::Watchable(_)) => Kind::Watchable(Library::Go.name()),
            Some(go::Found::Unseen(why)) => Kind::Unseen(Library::Go.name(), why),
            Some(go::Found::Nothing) | None => Kind::Other,
        },
    }
}
