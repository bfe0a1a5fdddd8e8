//! Recorded traffic: a pcap or pcapng file in, exchanges out, by the same parser as live traffic.
//!
//! Bytes go one way: [`input`] (plain or gzip) -> [`pcap`] or [`pcapng`] (records) -> [`packet`] (TCP segments) ->
//! [`flows`] (connections, acceptance) -> [`heads::connection::Connections`]. TLS makes a detour through [`tls`] on the way. What is damaged is read as far as it
//! goes and told in [`Reader::problems`]; no file can make this panic, loop or fill the memory.

mod content;
pub(crate) mod flows;
mod input;
pub(crate) mod keylog;
pub(crate) mod packet;
mod pcap;
mod pcapng;
mod problems;
mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub(crate) use flows::Flows;
pub(crate) use problems::Problems;
pub(crate) use reader::{OpenError, Reader};

use heads::connection::Connections;
use heads::exchange::Log;

/// Where a call of [`replay`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more.
    More,
    /// All that has arrived is read; the next call may wait for the writer of a pipe.
    Drained,
    /// The file is read to its end and every connection is finished.
    End,
}

/// Reads up to `packets` packets and hands their segments on. Exchanges come out in `log` as they end; at the end of
/// the file those that are still open too.
pub(crate) fn replay(
    reader: &mut Reader,
    flows: &mut Flows,
    packets: usize,
    connections: &mut Connections,
    log: &mut impl Log,
) -> Progress {
    for _ in 0..packets {
        match reader.advance() {
            reader::Step::Record(record) => {
                if let Some(secrets) = reader.secrets() {
                    flows.secrets.absorb(secrets);
                }
                if let Some(packet) = reader.packet(&record) {
                    flows.packet(&packet, connections, log);
                }
            }
            reader::Step::Interrupted => return Progress::Drained,
            reader::Step::End => {
                flows.finish(connections, log);
                return Progress::End;
            }
        }
        if reader.drained() {
            return Progress::Drained;
        }
    }
    Progress::More
}
