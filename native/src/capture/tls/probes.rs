//! Loading the `tls` programs beside those of the `socket` source, and putting their probes into processes.

use super::super::kernel::{self, Failure, Shared};
use super::super::options::{Options, WantedRole};
use super::super::skeleton::tls::{OpenTlsSkel, TlsSkel, TlsSkelBuilder};
use super::library::{Library, Place, Probe, Watchable};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Link, MapCore, MapFlags, OpenObject, ProgramAttachType, ProgramMut, UprobeMultiOpts, UprobeOpts};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::LazyLock;

/// Opens the object, with the maps that both sources share. Without them (`doctor`) it gets its own.
pub(crate) fn open<'a>(
    storage: &'a mut MaybeUninit<OpenObject>,
    options: &Options,
    shared: Option<&Shared>,
) -> Result<OpenTlsSkel<'a>, Failure> {
    let mut skeleton =
        TlsSkelBuilder::default().open(storage).map_err(|error| Failure::of("opening the TLS programs", &error))?;
    if let Some(rodata) = skeleton.maps.rodata_data.as_deref_mut() {
        rodata.max_head_bytes = options.max_head_bytes;
        rodata.wake_bytes = u64::from(options.ring_bytes / 8);
        rodata.wanted_role = match options.role {
            None => 0,
            Some(WantedRole::Server) => 1,
            Some(WantedRole::Client) => 2,
        };
    }
    let maps = &mut skeleton.maps;
    if let Some(shared) = shared {
        let reused = maps
            .ring
            .reuse_fd(shared.ring.as_fd())
            .and_then(|()| maps.slots.reuse_fd(shared.slots.as_fd()))
            .and_then(|()| maps.counters.reuse_fd(shared.counters.as_fd()));
        reused.map_err(|error| Failure::of("sharing the ring", &error))?;
    }
    if kernel::has_socket_tracepoints() {
        skeleton.progs.tls_received.set_autoload(true);
        skeleton.progs.tls_sent.set_autoload(true);
    }
    if has_multi() {
        skeleton.progs.tls_entry.set_attach_type(ProgramAttachType::TraceUprobeMulti);
        skeleton.progs.tls_return.set_attach_type(ProgramAttachType::TraceUprobeMulti);
    }
    Ok(skeleton)
}

pub(crate) fn load(skeleton: OpenTlsSkel<'_>) -> Result<TlsSkel<'_>, Failure> {
    skeleton.load().map_err(|error| Failure::of("loading the TLS programs", &error))
}

/// Hears of processes: new ones, those that listen, those that end.
pub(super) fn attach_processes(skeleton: &TlsSkel<'_>) -> Result<Vec<Link>, Failure> {
    let programs = &skeleton.progs;
    attach_all(&[&programs.tls_exec, &programs.tls_exit, &programs.tls_fork, &programs.tls_listen])
}

/// Follows which sockets threads use. Costs every receive and send of the host a look-up: only while something is
/// watched.
pub(super) fn attach_sockets(skeleton: &TlsSkel<'_>) -> Result<Vec<Link>, Failure> {
    let programs = &skeleton.progs;
    attach_all(&[&programs.tls_received, &programs.tls_sent])
}

fn attach_all(programs: &[&ProgramMut<'_>]) -> Result<Vec<Link>, Failure> {
    let wanted = programs.iter().filter(|program| program.autoload());
    let links = wanted.map(|program| program.attach_trace());
    links.collect::<libbpf_rs::Result<_>>().map_err(|error| Failure::of("attaching to sockets and processes", &error))
}

/// Puts probes into one process's use of one file. Returns come first: an entry without its return would wait in vain.
pub(super) fn attach(
    skeleton: &TlsSkel<'_>,
    pid: u32,
    place: &Path,
    file: &Watchable,
) -> Result<Vec<Link>, libbpf_rs::Error> {
    let pid = i32::try_from(pid).unwrap_or(-1);
    let mut links = Vec::new();
    for place_in in [Place::Exit, Place::Return, Place::Entry] {
        let program = if place_in == Place::Entry { &skeleton.progs.tls_entry } else { &skeleton.progs.tls_return };
        let returns = place_in == Place::Return;
        let probes = || file.probes.iter().filter(|probe| probe.place == place_in);
        if probes().next().is_none() {
            continue;
        }
        let offset = |probe: &Probe| usize::try_from(probe.offset).unwrap_or(usize::MAX);
        if has_multi() {
            let options = UprobeMultiOpts {
                offsets: probes().map(offset).collect(),
                cookies: probes().map(|probe| probe.cookie).collect(),
                retprobe: returns,
                ..UprobeMultiOpts::default()
            };
            links.push(program.attach_uprobe_multi_with_opts(pid, place, "", options)?);
            continue;
        }
        for probe in probes() {
            let options = UprobeOpts { cookie: probe.cookie, retprobe: returns, ..UprobeOpts::default() };
            links.push(program.attach_uprobe_with_opts(pid, place, offset(probe), options)?);
        }
    }
    Ok(links)
}

/// Many probes in one link came with Linux 6.6; until 6.10 (46ba0e49b642) it took one thread for the whole process. Each
/// probe by itself works everywhere, but taking it out waits for all CPUs, one probe after another.
fn has_multi() -> bool {
    static RELEASE: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    });
    RELEASE.is_some_and(|release| release >= (6, 10))
}

/// `enum speaks` of `bpf/session.bpf.h`.
pub(super) fn speaks(library: Library) -> u8 {
    if library == Library::Go {
        2
    } else {
        1
    }
}

/// Where each probe is a link with two descriptors, some thirty processes would need more than a service is given as a
/// rule: as many as it may have are asked for.
pub(super) fn make_room() {
    if !has_multi() {
        let limit = getrlimit(Resource::Nofile);
        // It may have no more: then the failure is told when it comes.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Tells the programs which TLS a process has (see [`speaks`]); 0: none any more.
pub(super) fn set_speaking(skeleton: &TlsSkel<'_>, pid: u32, speaks: u8) -> libbpf_rs::Result<()> {
    let key = pid.to_ne_bytes();
    if speaks != 0 {
        skeleton.maps.watched.update(&key, &[speaks], MapFlags::ANY)
    } else {
        skeleton.maps.watched.delete(&key)
    }
}

/// The programs' own account; see `struct tls_counters` in `bpf/session.bpf.h`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) traps: u64,
    pub(crate) crowded: u64,
    pub(crate) nested: u64,
    pub(crate) unmatched: u64,
    pub(crate) conflicts: u64,
    pub(crate) restarted: u64,
    pub(crate) unreadable: u64,
    /// Runs of the tracepoints' programs that did not take place.
    pub(crate) missed: u64,
}

pub(super) fn counters(skeleton: &TlsSkel<'_>) -> Counters {
    let mut sum = Counters::default();
    for cpu in kernel::per_cpu(&skeleton.maps.tls_counters, 0) {
        let members = [
            &mut sum.traps,
            &mut sum.crowded,
            &mut sum.nested,
            &mut sum.unmatched,
            &mut sum.conflicts,
            &mut sum.restarted,
            &mut sum.unreadable,
        ];
        for (index, member) in members.into_iter().enumerate() {
            *member += kernel::word(&cpu, index);
        }
    }
    let programs = &skeleton.progs;
    let tracepoints = [
        &programs.tls_received,
        &programs.tls_sent,
        &programs.tls_fork,
        &programs.tls_listen,
        &programs.tls_exec,
        &programs.tls_exit,
    ];
    let loaded = tracepoints.into_iter().filter(|program| program.autoload());
    sum.missed = loaded.map(|program| kernel::missed(program.as_fd())).sum();
    sum
}
