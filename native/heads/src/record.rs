//! The record that the kernel side writes (`bpf/event.h`), decoded.

use crate::connection::Segment;
use crate::exchange::{Endpoints, Process, Tls, UNKNOWN};
use std::net::{IpAddr, Ipv6Addr};

/// `EVENT_VERSION` of `bpf/event.h`.
pub const VERSION: u8 = 2;
const HEADER: usize = 48;
const TUPLE: usize = 40;
/// `struct event_socket`.
const SOCKET: usize = 64;
/// `struct event_process`.
const PROCESS: usize = 32;

const EGRESS: u8 = 1;
const FIN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const LISTENER: u8 = 1 << 3;
const JOINED: u8 = 1 << 4;
const CUT: u8 = 1 << 5;
const UNSURE: u8 = 1 << 6;

/// One record. Byte slices point into the ring.
#[derive(Debug)]
pub enum Record<'a> {
    Segment {
        cookie: u64,
        segment: Segment<'a>,
    },
    /// Data that completed a handshake; the connection is found by its ends.
    Early {
        tuple: Tuple,
        segment: Segment<'a>,
    },
    Connection {
        endpoints: Endpoints,
        joined: bool,
        /// Nothing had been decided when it was announced: its first bytes were seen on the listener, if at all.
        doubtful: bool,
    },
    Process {
        cookie: u64,
        process: Process,
    },
    Close {
        cookie: u64,
        segment: Segment<'a>,
    },
    Exec {
        tgid: u32,
        path: &'a [u8],
    },
    /// A connection inside TLS turned out to be HTTP. `key` is what its records come under, not a socket's cookie.
    Inside {
        key: u64,
        endpoints: Endpoints,
        joined: bool,
    },
    /// The socket that carries such a connection; `None` when it is no longer known which.
    Carrier {
        key: u64,
        carrier: Option<Carrier>,
    },
    /// A process that may speak TLS began, or listens now.
    Look {
        tgid: u32,
        /// When it executed a file, in which case what it ran before is gone: `CLOCK_MONOTONIC`, nanoseconds.
        executed: Option<u64>,
    },
}

/// A socket of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    pub cookie: u64,
    pub tuple: Tuple,
    pub netns: u64,
    pub cgroup: u64,
}

/// `(local, remote)` address and port.
pub type Tuple = ((IpAddr, u16), (IpAddr, u16));

/// A record that could not be read: its length, version or kind is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Where a record came from, for finding holes: `(cpu, number)`.
pub fn origin(raw: &[u8]) -> Option<(u16, u32)> {
    Some((u16_at(raw, 38)?, u32_at(raw, 16)?))
}

/// Reads one record.
pub fn decode(raw: &[u8]) -> Result<Record<'_>, Unreadable> {
    let (header, rest) = raw.split_at_checked(HEADER).ok_or(Unreadable)?;
    if header[40] != VERSION {
        return Err(Unreadable);
    }
    let (cookie, time) = (take_u64(header, 0)?, take_u64(header, 8)?);
    let copied = usize::from(u16_at(header, 36).ok_or(Unreadable)?);
    let flags = header[42];
    match header[41] {
        1 | 6 if flags & LISTENER != 0 => {
            let tuple = tuple_at(rest)?;
            let bytes = rest.get(TUPLE..TUPLE + copied).ok_or(Unreadable)?;
            Ok(Record::Early { tuple, segment: segment(header, time, flags, bytes)? })
        }
        1 | 6 => {
            let bytes = rest.get(..copied).ok_or(Unreadable)?;
            Ok(Record::Segment { cookie, segment: segment(header, time, flags, bytes)? })
        }
        2 => {
            let (local, remote) = tuple_at(rest)?;
            let endpoints = Endpoints {
                cookie,
                role: None,
                client: remote,
                server: local,
                netns: Some(take_u64(rest, TUPLE)?),
                cgroup: Some(take_u64(rest, TUPLE + 8)?),
                process: None,
                tls: None,
            };
            Ok(Record::Connection { endpoints, joined: flags & JOINED != 0, doubtful: flags & UNSURE != 0 })
        }
        3 => Ok(Record::Process { cookie, process: process_at(rest)? }),
        4 => Ok(Record::Close { cookie, segment: segment(header, time, flags, &[])? }),
        5 => {
            let path = rest.get(..copied).ok_or(Unreadable)?;
            let tgid = u32::try_from(cookie).map_err(|_| Unreadable)?;
            Ok(Record::Exec { tgid, path })
        }
        7 => {
            let process = process_at(rest.get(SOCKET..).ok_or(Unreadable)?)?;
            let library = library(u32_at(rest, SOCKET + PROCESS).ok_or(Unreadable)?);
            let tls = Tls { version: None, library, key: cookie };
            Ok(Record::Inside {
                key: cookie,
                endpoints: inside(cookie, carrier_at(rest)?, process, tls),
                joined: flags & JOINED != 0,
            })
        }
        8 => Ok(Record::Carrier { key: cookie, carrier: carrier_at(rest)? }),
        9 => {
            let tgid = u32::try_from(cookie).map_err(|_| Unreadable)?;
            Ok(Record::Look { tgid, executed: (flags & FIN != 0).then_some(time) })
        }
        _ => Err(Unreadable),
    }
}

fn inside(key: u64, carrier: Option<Carrier>, process: Process, tls: Tls) -> Endpoints {
    let (local, remote) = carrier.map_or((UNKNOWN, UNKNOWN), |carrier| carrier.tuple);
    Endpoints {
        cookie: carrier.map_or(key, |carrier| carrier.cookie),
        role: None,
        client: remote,
        server: local,
        netns: carrier.map(|carrier| carrier.netns),
        cgroup: carrier.map(|carrier| carrier.cgroup),
        process: Some(process),
        tls: Some(tls),
    }
}

/// `enum event_library`.
fn library(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "openssl",
        2 => "boringssl",
        3 => "gnutls",
        4 => "nss",
        5 => "go",
        _ => return None,
    })
}

fn process_at(raw: &[u8]) -> Result<Process, Unreadable> {
    let comm = raw.get(16..PROCESS).ok_or(Unreadable)?;
    let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
    Ok(Process {
        start: take_u64(raw, 0)?,
        pid: u32_at(raw, 8).ok_or(Unreadable)?,
        comm: String::from_utf8_lossy(&comm[..end]).into_owned(),
    })
}

/// `struct event_socket`.
fn carrier_at(raw: &[u8]) -> Result<Option<Carrier>, Unreadable> {
    let cookie = take_u64(raw, TUPLE + 16)?;
    let carrier =
        Carrier { cookie, tuple: tuple_at(raw)?, netns: take_u64(raw, TUPLE)?, cgroup: take_u64(raw, TUPLE + 8)? };
    Ok((cookie != 0).then_some(carrier))
}

fn segment<'a>(header: &[u8], time: u64, flags: u8, bytes: &'a [u8]) -> Result<Segment<'a>, Unreadable> {
    let seq = u32_at(header, 20).ok_or(Unreadable)?;
    let span = u32_at(header, 32).ok_or(Unreadable)?;
    let egress = flags & EGRESS != 0;
    // What leaves the socket was accepted when TCP sent it, in order: only the other direction waits.
    let sent = seq.wrapping_add(span).wrapping_add(u32::from(flags & FIN != 0));
    Ok(Segment {
        egress,
        seq,
        bytes,
        span: span.max(u32::try_from(bytes.len()).map_err(|_| Unreadable)?),
        accepted_in: u32_at(header, 24),
        accepted_out: if egress { Some(sent) } else { None },
        time,
        fin: flags & FIN != 0,
        rst: flags & RST != 0,
        cut: flags & CUT != 0,
    })
}

fn tuple_at(raw: &[u8]) -> Result<Tuple, Unreadable> {
    let address = |at: usize| -> Result<IpAddr, Unreadable> {
        let octets: [u8; 16] = raw.get(at..at + 16).and_then(|b| b.try_into().ok()).ok_or(Unreadable)?;
        Ok(Ipv6Addr::from(octets).to_canonical())
    };
    let port = |at: usize| u16_at(raw, at).ok_or(Unreadable);
    Ok(((address(0)?, port(32)?), (address(16)?, port(34)?)))
}

fn u16_at(raw: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(raw.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(raw: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(raw.get(at..at + 4)?.try_into().ok()?))
}

fn take_u64(raw: &[u8], at: usize) -> Result<u64, Unreadable> {
    raw.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_ne_bytes).ok_or(Unreadable)
}

#[cfg(test)]
mod tests;
