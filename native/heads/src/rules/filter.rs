//! Which exchanges are logged at all.

use serde::Deserialize;

use super::glob::Globs;
use super::select::without_port;
use crate::exchange::Process;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FilterPatterns {
    hosts: Vec<String>,
    not_hosts: Vec<String>,
    paths: Vec<String>,
    not_paths: Vec<String>,
    ports: Vec<u16>,
    not_ports: Vec<u16>,
    processes: Vec<String>,
    not_processes: Vec<String>,
    statuses: Vec<String>,
}

/// Conditions on an exchange; an empty one holds for all. What is not known meets no condition and no exclusion.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    hosts: Globs,
    not_hosts: Globs,
    paths: Globs,
    not_paths: Globs,
    ports: Vec<u16>,
    not_ports: Vec<u16>,
    processes: Globs,
    not_processes: Globs,
    statuses: Vec<(u16, u16)>,
}

impl Filter {
    /// Reads the conditions by themselves, with the keys of `[filter]`.
    pub fn from_json(text: &str) -> Result<Filter, String> {
        Filter::new(&serde_json::from_str(text).map_err(|error| error.to_string())?)
    }

    pub(super) fn new(patterns: &FilterPatterns) -> Result<Filter, String> {
        let range = |text: &String| statuses(text).ok_or_else(|| format!("filter.statuses: {text} is none"));
        Ok(Filter {
            hosts: Globs::new(&patterns.hosts),
            not_hosts: Globs::new(&patterns.not_hosts),
            paths: Globs::new(&patterns.paths),
            not_paths: Globs::new(&patterns.not_paths),
            ports: patterns.ports.clone(),
            not_ports: patterns.not_ports.clone(),
            processes: Globs::new(&patterns.processes),
            not_processes: Globs::new(&patterns.not_processes),
            statuses: patterns.statuses.iter().map(range).collect::<Result<_, _>>()?,
        })
    }

    /// What all exchanges of a connection share: the server's port, and the process with its executable.
    pub fn keeps_connection(&self, port: u16, process: Option<&Process>, executable: Option<&str>) -> bool {
        let is = |globs: &Globs| {
            let names = executable.into_iter().flat_map(|path| [path, path.rsplit('/').next().unwrap_or(path)]);
            names
                .chain(process.map(|process| process.comm.as_str()))
                .any(|name| globs.matches(&name.to_ascii_lowercase().into_bytes()))
        };
        (self.ports.is_empty() || self.ports.contains(&port))
            && !self.not_ports.contains(&port)
            && (self.processes.is_empty() || is(&self.processes))
            && (self.not_processes.is_empty() || !is(&self.not_processes))
    }

    /// Host and path matter for this configuration.
    pub fn reads_target(&self) -> bool {
        ![&self.hosts, &self.not_hosts, &self.paths, &self.not_paths].iter().all(|globs| globs.is_empty())
    }

    pub fn keeps_target(&self, host: Option<&[u8]>, path: Option<&[u8]>) -> bool {
        let host_is = |globs: &Globs| {
            let lower = host.map(<[u8]>::to_ascii_lowercase);
            lower.is_some_and(|host| globs.matches(&host) || globs.matches(without_port(&host)))
        };
        let path_is = |globs: &Globs| path.is_some_and(|path| globs.matches(&path.to_ascii_lowercase()));
        (self.hosts.is_empty() || host_is(&self.hosts))
            && (self.not_hosts.is_empty() || !host_is(&self.not_hosts))
            && (self.paths.is_empty() || path_is(&self.paths))
            && (self.not_paths.is_empty() || !path_is(&self.not_paths))
    }

    pub fn keeps_status(&self, status: Option<u16>) -> bool {
        self.statuses.is_empty()
            || status.is_some_and(|status| self.statuses.iter().any(|&(low, high)| (low..=high).contains(&status)))
    }
}

/// `404`, `200-299` or `5xx`.
fn statuses(text: &str) -> Option<(u16, u16)> {
    let text = text.trim();
    if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class = class.parse::<u16>().ok().filter(|class| *class < 10)? * 100;
        return Some((class, class + 99));
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low <= high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Filter {
        Filter::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn an_empty_filter_keeps_everything() {
        let filter = Filter::default();
        assert!(
            filter.keeps_connection(80, None, None) && filter.keeps_target(None, None) && filter.keeps_status(None)
        );
    }

    #[test]
    fn hosts_match_with_and_without_their_port() {
        let only = filter(r#"{"hosts": ["api.*"], "not_paths": ["/health*"]}"#);
        assert!(only.keeps_target(Some(b"API.example:80"), Some(b"/")));
        assert!(filter(r#"{"hosts": ["h:80"]}"#).keeps_target(Some(b"h:80"), None));
        assert!(!only.keeps_target(Some(b"www.example"), Some(b"/")));
        assert!(!only.keeps_target(Some(b"api.example"), Some(b"/healthz")));
        assert!(!only.keeps_target(None, Some(b"/")));
    }

    #[test]
    fn processes_match_by_path_by_file_name_and_by_comm() {
        let process = Process { pid: 1, start: 1, comm: "nginx".into() };
        for pattern in ["/usr/sbin/*", "ngi*", "openresty"] {
            let only = filter(&format!(r#"{{"processes": ["{pattern}"]}}"#));
            assert!(only.keeps_connection(80, Some(&process), Some("/usr/sbin/openresty")), "{pattern}");
        }
        assert!(!filter(r#"{"processes": ["x"]}"#).keeps_connection(80, None, None));
        assert!(!filter(r#"{"not_processes": ["nginx"]}"#).keeps_connection(80, Some(&process), None));
    }

    #[test]
    fn statuses_are_numbers_ranges_or_classes() {
        let only = filter(r#"{"statuses": ["5xx", "404", "200-204"]}"#);
        for (status, kept) in [(500, true), (599, true), (404, true), (204, true), (205, false), (400, false)] {
            assert_eq!(only.keeps_status(Some(status)), kept);
        }
        assert!(!only.keeps_status(None));
        for text in ["x", "55xx", "3-1", ""] {
            assert!(statuses(text).is_none());
        }
    }
}
