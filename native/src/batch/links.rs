//! What a connection's rows share, worked out once per connection and batch.

use std::io::Write;
use std::net::IpAddr;

use heads::exchange::{Endpoints, Process, Role, UNKNOWN};
use heads::rules::Rules;

use super::columns::{Dictionary, Words, NULL};

/// Connections remembered at once; a connection that another one drove out is worked out again.
const SLOTS: usize = 1024;

/// What the host knows about processes and cgroups. The answers may change with time; a batch holds those it got first.
pub(crate) trait Lookup {
    /// The path of the executable.
    fn executable(&self, process: &Process) -> Option<&str>;
    /// The path of the cgroup.
    fn cgroup(&self, cgroup: u64) -> Option<&str>;
    /// The id of the container.
    fn container(&self, process: Option<&Process>, cgroup: Option<u64>) -> Option<&str>;
}

/// Nothing is known, as in `replay`.
impl Lookup for () {
    fn executable(&self, _: &Process) -> Option<&str> {
        None
    }

    fn cgroup(&self, _: u64) -> Option<&str> {
        None
    }

    fn container(&self, _: Option<&Process>, _: Option<u64>) -> Option<&str> {
        None
    }
}

/// Keys into the dictionaries of [`LinkColumns`], and decisions.
#[derive(Clone, Copy)]
pub(super) struct Link {
    connection: i32,
    client: i32,
    server: i32,
    executable: i32,
    cgroup: i32,
    container: i32,
    /// The filter keeps exchanges of this connection.
    pub(super) keeps: bool,
    /// Process and executable are known.
    pub(super) process_known: bool,
}

struct Slot {
    batch: u32,
    identity: Identity,
    link: Link,
}

#[derive(Clone, PartialEq)]
struct Identity {
    cookie: u64,
    role: Option<Role>,
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    cgroup: Option<u64>,
    process: Option<(u32, u64)>,
}

impl Identity {
    fn of(endpoints: &Endpoints) -> Identity {
        Identity {
            cookie: endpoints.cookie,
            role: endpoints.role,
            client: endpoints.client,
            server: endpoints.server,
            cgroup: endpoints.cgroup,
            process: endpoints.process.as_ref().map(|process| (process.pid, process.start)),
        }
    }
}

/// The dictionary columns whose words belong to a connection.
pub(super) struct LinkColumns {
    pub(super) connection: Words,
    pub(super) client: Words,
    pub(super) server: Words,
    pub(super) executable: Words,
    pub(super) cgroup: Words,
    pub(super) container: Words,
}

impl LinkColumns {
    pub(super) fn new() -> LinkColumns {
        LinkColumns {
            connection: Words::new(),
            client: Words::new(),
            server: Words::new(),
            executable: Words::new(),
            cgroup: Words::new(),
            container: Words::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, link: &Link) {
        self.connection.push_key(link.connection);
        self.client.push_key(link.client);
        self.server.push_key(link.server);
        self.executable.push_key(link.executable);
        self.cgroup.push_key(link.cgroup);
        self.container.push_key(link.container);
    }

    /// The connection's id, as text.
    #[inline]
    pub(super) fn id(&self, link: &Link) -> &[u8] {
        self.connection.dictionary.text(link.connection)
    }

    pub(super) fn size(&self) -> usize {
        [&self.connection, &self.client, &self.server, &self.executable, &self.cgroup, &self.container]
            .iter()
            .map(|words| words.dictionary.size())
            .sum()
    }
}

pub(super) struct Links {
    slots: Vec<Option<Slot>>,
    batch: u32,
    boot: Box<str>,
    scratch: Vec<u8>,
    pub(super) columns: LinkColumns,
}

impl Links {
    pub(super) fn new(boot: &str) -> Links {
        Links {
            slots: std::iter::repeat_with(|| None).take(SLOTS).collect(),
            batch: 0,
            boot: boot.into(),
            scratch: Vec::new(),
            columns: LinkColumns::new(),
        }
    }

    /// The text of a connection's number.
    pub(super) fn write_id(&self, number: u64, to: &mut Vec<u8>) {
        // Writing to a vector can't fail.
        let _ = write!(to, "{}-{number:x}", self.boot);
    }

    #[inline]
    pub(super) fn find(&mut self, endpoints: &Endpoints, rules: &Rules, lookup: &impl Lookup) -> Link {
        let identity = Identity::of(endpoints);
        // Fibonacci hashing: cookies are counted, so their low bits alone would do, were it not for per-CPU batches.
        let place = (endpoints.cookie.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize;
        match self.slots.get(place) {
            Some(Some(slot)) if slot.batch == self.batch && slot.identity == identity => slot.link,
            _ => self.work_out(place, identity, endpoints, rules, lookup),
        }
    }

    #[cold]
    fn work_out(
        &mut self,
        place: usize,
        identity: Identity,
        endpoints: &Endpoints,
        rules: &Rules,
        lookup: &impl Lookup,
    ) -> Link {
        let process = endpoints.process.as_ref();
        let executable = process.and_then(|process| lookup.executable(process));
        let cgroup = endpoints.cgroup.and_then(|cgroup| lookup.cgroup(cgroup));
        let container = lookup.container(process, endpoints.cgroup);
        let mut text = std::mem::take(&mut self.scratch);
        let columns = &mut self.columns;
        // Writing to a vector can't fail.
        let mut written = |words: &mut Dictionary, arguments: std::fmt::Arguments<'_>| {
            text.clear();
            let _ = text.write_fmt(arguments);
            words.key(&text)
        };
        let optional =
            |words: &mut Dictionary, word: Option<&str>| word.map_or(NULL, |word| words.key(word.as_bytes()));
        let link = Link {
            connection: written(
                &mut columns.connection.dictionary,
                format_args!("{}-{:x}", self.boot, endpoints.cookie),
            ),
            client: match endpoints.client {
                UNKNOWN => NULL,
                (address, _) => written(&mut columns.client.dictionary, format_args!("{address}")),
            },
            server: match endpoints.server {
                UNKNOWN => NULL,
                (address, _) => written(&mut columns.server.dictionary, format_args!("{address}")),
            },
            executable: optional(&mut columns.executable.dictionary, executable),
            cgroup: optional(&mut columns.cgroup.dictionary, cgroup),
            container: optional(&mut columns.container.dictionary, container),
            keeps: rules.filter.keeps_connection(endpoints.server.1, process, executable),
            process_known: executable.is_some(),
        };
        self.scratch = text;
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(Slot { batch: self.batch, identity, link });
        }
        link
    }

    /// Forgets all: the dictionaries begin anew, or the rules changed.
    pub(super) fn forget(&mut self) {
        self.batch = self.batch.wrapping_add(1);
        if self.batch == 0 {
            self.slots.fill_with(|| None);
        }
    }
}
