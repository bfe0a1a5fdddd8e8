//! The plaintext of recorded TLS connections whose secrets are known.
//!
//! Bytes go one way: [`keylog`] fills [`secrets`]; [`cutter`] cuts one direction's bytes into records; [`session`]
//! reads the handshake as far as needed ([`hello`], [`handshake`]), derives [`keys`] and hands out what records
//! carried. What fails its authentication is never handed out: it is a loss, counted in [`session::Counts`].
//! Nothing here does I/O, reads a clock or uses `unsafe`; no input can make it panic, and what one connection keeps
//! is bounded.
#![forbid(unsafe_code)]

pub mod cutter;
mod half;
pub mod handshake;
pub mod hello;
pub mod keylog;
pub mod keys;
pub mod secrets;
pub mod session;
pub mod suites;
#[cfg(test)]
mod tests;
