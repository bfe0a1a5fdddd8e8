//! What Python asks of a capture.

use heads::exchange::Role;
use serde::Deserialize;

/// The options of `masthead._native.Capture`, as JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Directories of cgroups to attach to; empty: the root of the cgroup2 hierarchy.
    #[serde(default)]
    pub(crate) cgroups: Vec<String>,
    /// Only connections with one of these ports at either end; empty: all.
    #[serde(default)]
    pub(crate) ports: Vec<u16>,
    #[serde(default)]
    pub(crate) role: Option<WantedRole>,
    pub(crate) ring_bytes: u32,
    pub(crate) max_head_bytes: u32,
    pub(crate) batch_rows: usize,
    pub(crate) batch_ms: u64,
    /// Patterns of processes: they are part of the rules too, which is where they are applied (the kernel side can't
    /// know an executable before its connection speaks).
    #[serde(default)]
    #[allow(dead_code, reason = "accepted, so that all of [capture] can be handed over as it is")]
    pub(crate) processes: Vec<String>,
    /// Processes whose sockets are left out: the first is this one.
    #[serde(default)]
    pub(crate) own_pids: Vec<u32>,
    #[serde(default)]
    pub(crate) tls: Tls,
}

/// The `tls` source: `[tls]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) enabled: bool,
    /// Processes that hold a listening TCP socket are watched.
    pub(crate) listening: bool,
    /// Patterns of names and executables of processes that are watched too.
    pub(crate) processes: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WantedRole {
    Server,
    Client,
}

impl From<WantedRole> for Role {
    fn from(role: WantedRole) -> Role {
        match role {
            WantedRole::Server => Role::Server,
            WantedRole::Client => Role::Client,
        }
    }
}
