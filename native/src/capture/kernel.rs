//! Loading and attaching the programs, and reading their counters: with `driver`, the only user of libbpf.

use super::cgroup;
use super::options::{Options, WantedRole};
use super::skeleton::socket::{OpenSocketSkel, SocketSkel, SocketSkelBuilder};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{ErrorKind, Link, MapCore, MapFlags, MapHandle, OpenMapMut, OpenObject};
use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Why a capture could not begin.
#[derive(Debug)]
pub(crate) enum Failure {
    NotPermitted(String),
    NotSupported(String),
    Options(String),
}

impl Failure {
    pub(super) fn of(what: &str, error: &libbpf_rs::Error) -> Failure {
        let log = LOG.with_borrow(Clone::clone);
        // The verifier refuses with EACCES too: its last words are the instruction's, before its count.
        let verdict =
            log.iter().position(|line| line.starts_with("processed ")).and_then(|at| log.get(at.checked_sub(1)?));
        match (verdict, error.kind()) {
            (Some(verdict), _) => {
                Failure::NotSupported(format!("{what} failed: the kernel's verifier says: {verdict}"))
            }
            (None, ErrorKind::PermissionDenied) => Failure::NotPermitted(format!("{what} is not permitted: {error:#}")),
            (None, _) => {
                Failure::NotSupported(format!("{what} failed: {error:#} {}", log.last().map_or("", |line| line)))
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::NotPermitted(text) | Failure::NotSupported(text) | Failure::Options(text)) = self;
        formatter.write_str(text)
    }
}

thread_local! {
    /// What libbpf said last to this thread; the verifier's verdict is in it.
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}
const LOG_LINES: usize = 40;

#[allow(clippy::needless_pass_by_value, reason = "the signature that libbpf-rs asks for")]
fn keep_log(_: libbpf_rs::PrintLevel, text: String) {
    LOG.with_borrow_mut(|log| {
        log.extend(text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned));
        let extra = log.len().saturating_sub(LOG_LINES);
        log.drain(..extra);
    });
}

/// Opens the object and sets what must be set before loading.
pub(crate) fn open<'a>(
    storage: &'a mut MaybeUninit<OpenObject>,
    options: &Options,
) -> Result<OpenSocketSkel<'a>, Failure> {
    libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Warn, keep_log)));
    let mut skeleton =
        SocketSkelBuilder::default().open(storage).map_err(|error| Failure::of("opening the BPF object", &error))?;
    if let Some(rodata) = skeleton.maps.rodata_data.as_deref_mut() {
        if options.ports.len() > rodata.ports.len() {
            let most = rodata.ports.len();
            return Err(Failure::Options(format!(
                "{} ports are more than the {most} that can be filtered",
                options.ports.len()
            )));
        }
        rodata.max_head_bytes = options.max_head_bytes;
        rodata.wake_bytes = u64::from(options.ring_bytes / 8);
        rodata.port_count = u32::try_from(options.ports.len()).unwrap_or_default();
        rodata.ports[..options.ports.len()].copy_from_slice(&options.ports);
        rodata.own_tgid = options.own_pids.first().copied().unwrap_or_default();
        rodata.wanted_role = match options.role {
            None => 0,
            Some(WantedRole::Server) => 1,
            Some(WantedRole::Client) => 2,
        };
    }
    skeleton
        .maps
        .ring
        .set_max_entries(options.ring_bytes)
        .map_err(|error| Failure::of("setting the ring's size", &error))?;
    if has_socket_tracepoints() {
        skeleton.progs.received.set_autoload(true);
    }
    Ok(skeleton)
}

/// `sock_recv_length` and `sock_send_length` came with Linux 6.3 together; each is a type in the kernel's BTF.
pub(super) fn has_socket_tracepoints() -> bool {
    libbpf_rs::btf::Btf::from_vmlinux()
        .is_ok_and(|btf| btf.type_by_name::<libbpf_rs::btf::types::Typedef<'_>>("btf_trace_sock_recv_length").is_some())
}

pub(crate) fn load(skeleton: OpenSocketSkel<'_>) -> Result<SocketSkel<'_>, Failure> {
    skeleton.load().map_err(|error| Failure::of("loading the BPF programs", &error))
}

/// What keeps the programs attached; dropping it detaches them, as the end of the process does.
pub(crate) struct Attached {
    _links: Vec<Link>,
    /// Where the hierarchy can be walked.
    pub(crate) cgroup_root: Option<PathBuf>,
}

pub(crate) fn attach(skeleton: &SocketSkel<'_>, options: &Options) -> Result<Attached, Failure> {
    let (directories, cgroup_root) = directories(&options.cgroups)?;
    let mut links = Vec::new();
    let mut keep = |what: &str, link: libbpf_rs::Result<Link>| {
        link.map(|link| links.push(link)).map_err(|error| Failure::of(what, &error))
    };
    let programs = &skeleton.progs;
    keep("attaching to executions", programs.exec.attach_trace())?;
    keep("attaching to socket states", programs.state.attach_trace())?;
    if programs.received.autoload() {
        keep("attaching to receiving sockets", programs.received.attach_trace())?;
    }
    for directory in &directories {
        let fd = directory.as_raw_fd();
        keep("attaching to socket creation", programs.sock_create.attach_cgroup(fd))?;
        keep("attaching to egress", programs.egress.attach_cgroup(fd))?;
        keep("attaching to ingress", programs.ingress.attach_cgroup(fd))?;
    }
    Ok(Attached { _links: links, cgroup_root })
}

/// The maps that the `tls` source uses too.
pub(crate) struct Shared {
    pub(super) ring: OwnedFd,
    pub(super) slots: OwnedFd,
    pub(super) counters: OwnedFd,
}

/// Makes these maps, so that both objects can be loaded at the same time: the verifier takes a second or two.
pub(super) fn share(skeleton: &mut OpenSocketSkel<'_>) -> Result<Shared, Failure> {
    let maps = &mut skeleton.maps;
    let ring = map_for_two(&mut maps.ring)?;
    let slots = map_for_two(&mut maps.slots)?;
    let counters = map_for_two(&mut maps.counters)?;
    Ok(Shared { ring, slots, counters })
}

fn map_for_two(map: &mut OpenMapMut<'_>) -> Result<OwnedFd, Failure> {
    let options = libbpf_sys::bpf_map_create_opts {
        sz: std::mem::size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let (key, value, entries) = (map.key_size(), map.value_size(), map.max_entries());
    let made = MapHandle::create(map.map_type(), Some(map.name()), key, value, entries, &options);
    let made = made.and_then(|made| map.reuse_fd(made.as_fd()).map(|()| made));
    let made = made.map_err(|error| Failure::of("making the maps", &error))?;
    made.as_fd().try_clone_to_owned().map_err(|error| Failure::NotSupported(format!("sharing a map failed: {error}")))
}

fn directories(asked: &[String]) -> Result<(Vec<File>, Option<PathBuf>), Failure> {
    let root = cgroup::open_root();
    if asked.is_empty() {
        let (file, place) = root.map_err(|error| {
            Failure::NotSupported(format!("no cgroup2 hierarchy is mounted, nor can one be: {error}"))
        })?;
        return Ok((vec![file], place));
    }
    let place = root.ok().and_then(|(_, place)| place);
    let open = |name: &String| {
        let path = match &place {
            Some(root) if !Path::new(name).is_dir() => root.join(name.trim_start_matches('/')),
            _ => PathBuf::from(name),
        };
        File::open(&path).map_err(|error| Failure::Options(format!("cgroup {}: {error}", path.display())))
    };
    Ok((asked.iter().map(open).collect::<Result<_, _>>()?, place))
}

/// The kernel side's account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) seen: u64,
    pub(crate) submitted: u64,
    pub(crate) refused_full: u64,
    pub(crate) refused_read: u64,
    pub(crate) refused_busy: u64,
    pub(crate) duplicates: u64,
    pub(crate) own: u64,
    pub(crate) http: u64,
    pub(crate) other: u64,
    pub(crate) contended: u64,
    pub(crate) no_storage: u64,
    /// Runs of the tracepoints' programs that did not take place: see [`missed`].
    pub(crate) missed: u64,
}

/// Sums the counters of all CPUs; see `struct slot` and `struct counters` in `bpf/output.bpf.h`.
pub(crate) fn counters(skeleton: &SocketSkel<'_>) -> Counters {
    let mut sum = Counters::default();
    for index in 0..skeleton.maps.slots.max_entries() {
        for cpu in per_cpu(&skeleton.maps.slots, index) {
            sum.seen += word(&cpu, 0);
            sum.submitted += word(&cpu, 1);
            sum.refused_full += word(&cpu, 2);
            sum.refused_read += word(&cpu, 3);
        }
    }
    for cpu in per_cpu(&skeleton.maps.counters, 0) {
        sum.refused_busy += word(&cpu, 1);
        sum.duplicates += word(&cpu, 2);
        sum.own += word(&cpu, 3);
        sum.http += word(&cpu, 4);
        sum.other += word(&cpu, 5);
        sum.contended += word(&cpu, 6);
        sum.no_storage += word(&cpu, 7);
    }
    sum.seen += sum.refused_busy;
    let programs = &skeleton.progs;
    let tracepoints = [&programs.exec, &programs.state, &programs.received];
    let loaded = tracepoints.into_iter().filter(|program| program.autoload());
    sum.missed = loaded.map(|program| missed(program.as_fd())).sum();
    sum
}

/// What the kernel says of a loaded program.
pub(super) fn info(program: BorrowedFd<'_>) -> Option<libbpf_sys::bpf_prog_info> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = u32::try_from(std::mem::size_of_val(&info)).ok()?;
    // SAFETY: `info` is a plain struct that outlives the call, and `size` is its size.
    let result = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut size) };
    (result == 0).then_some(info)
}

/// How often the kernel left a program out, because it interrupted itself: a softirq that closes a socket while its CPU
/// is in the same program, say.
pub(super) fn missed(program: BorrowedFd<'_>) -> u64 {
    info(program).map_or(0, |info| info.recursion_misses)
}

pub(super) fn per_cpu(map: &impl MapCore, index: u32) -> Vec<Vec<u8>> {
    map.lookup_percpu(&index.to_ne_bytes(), MapFlags::ANY).ok().flatten().unwrap_or_default()
}

pub(super) fn word(value: &[u8], index: usize) -> u64 {
    value.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
}
