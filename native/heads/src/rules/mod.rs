//! What is logged, of what, and who may see it: read once from the configuration, then only looked up.
//!
//! Everything here is a pure function of the rules and of bytes. Decisions about a field's name ([`NameRules`]) are
//! made to be kept beside the name, since the same few names come back in every head.

pub mod filter;
pub mod glob;
pub mod hops;
pub mod pseudonym;
pub mod redact;
pub mod route;
pub mod sample;
pub mod select;
pub mod target;
pub mod trace;
pub mod url;

use serde::Deserialize;

use filter::{Filter, FilterPatterns};
use hops::Hops;
use redact::{Mask, Redact, RedactPatterns};
use route::{RoutePatterns, Routes};
use sample::Sample;
use select::{Patterns, ScopedPatterns, Selection};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    request: Patterns,
    #[serde(default)]
    response: Patterns,
    #[serde(default)]
    scoped: Vec<ScopedPatterns>,
    redact: RedactPatterns,
    #[serde(default)]
    filter: FilterPatterns,
    #[serde(default)]
    sample: Sample,
    #[serde(default)]
    routes: RoutePatterns,
    #[serde(default)]
    trusted_hops: Vec<String>,
}

/// All rules of one configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    pub selection: Selection,
    pub redact: Redact,
    pub filter: Filter,
    pub sample: Sample,
    pub routes: Routes,
    pub hops: Hops,
}

impl Rules {
    /// Reads the compiled configuration. What is secret must be said; what else it leaves out is not restricted.
    /// `key` makes the pseudonyms.
    pub fn from_json(text: &str, key: &[u8]) -> Result<Rules, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        document.sample.check()?;
        Ok(Rules {
            selection: Selection::new(&document.request, &document.response, &document.scoped),
            redact: Redact::new(&document.redact, key)?,
            filter: Filter::new(&document.filter)?,
            sample: document.sample,
            routes: Routes::new(&document.routes)?,
            hops: Hops::new(&document.trusted_hops)?,
        })
    }

    /// All that is decided by a field's name alone.
    pub fn name(&self, name: &[u8]) -> NameRules {
        let meaning = match &name.to_ascii_lowercase()[..] {
            b"host" => Meaning::Host,
            b"forwarded" => Meaning::Forwarded,
            b"x-forwarded-for" => Meaning::ForwardedFor,
            b"traceparent" => Meaning::TraceParent,
            _ => Meaning::None,
        };
        NameRules { selected: self.selection.bits(name.trim_ascii()), mask: self.redact.mask(name), meaning }
    }
}

/// The decisions about one field name.
#[derive(Clone, Copy, Debug)]
pub struct NameRules {
    /// To be read by [`Selection::selected`].
    pub selected: u64,
    pub mask: Mask,
    pub meaning: Meaning,
}

/// Fields that are read, not only logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    None,
    Host,
    Forwarded,
    ForwardedFor,
    TraceParent,
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDACT: &str = r#""redact": {"enabled": true, "fields": ["authorization"], "query": []}"#;

    #[test]
    fn what_is_not_restricted_is_logged() {
        let rules = Rules::from_json(&format!("{{{REDACT}}}"), b"").unwrap();
        assert_ne!(rules.name(b"X-Any").selected, 0);
        assert_eq!(rules.name(b"Authorization").mask, Mask::Credentials);
    }

    #[test]
    fn errors_name_the_place() {
        for (text, place) in [
            ("", "line 1"),
            (r#""reqest": {}"#, "reqest"),
            (r#""sample": {"rate": 2}"#, "sample.rate"),
            (r#""filter": {"statuses": ["x"]}"#, "filter.statuses"),
            (r#""routes": {"templates": ["x"]}"#, "routes.templates"),
            (r#""trusted_hops": ["x"]"#, "trusted_hops"),
        ] {
            let error = Rules::from_json(&format!("{{{REDACT}, {text}}}"), b"k").unwrap_err();
            assert!(error.contains(place), "{error}");
        }
        assert!(Rules::from_json("{}", b"k").unwrap_err().contains("redact"));
    }
}
