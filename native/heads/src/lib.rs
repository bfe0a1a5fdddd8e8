//! HTTP heads out of TCP segments.
//!
//! Bytes go one way: [`record`] (or a packet) -> [`stream`] (TCP order, acceptance) -> [`speech`] (HTTP/1 or
//! HTTP/2) -> [`http1`] (messages), [`pairing`] (requests with responses), or [`http2`] (frames, streams) -> [`exchange`] -> whoever implements [`exchange::Log`].
//! Nothing here does I/O, reads a clock or uses `unsafe`; no input can make it panic.
#![forbid(unsafe_code)]

pub mod connection;
pub mod exchange;
pub mod http1;
pub mod http2;
pub mod ledger;
pub mod pairing;
pub mod record;
pub mod rules;
pub mod speech;
pub mod stream;
