//! Which fields are logged: allow and deny patterns for each direction, and for some hosts or paths instead.

use serde::Deserialize;

use super::glob::{Glob, Globs};

/// Which head a field stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Patterns {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns { allow: vec!["*".to_owned()], deny: Vec::new() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ScopedPatterns {
    host: Option<String>,
    path: Option<String>,
    request: Option<Patterns>,
    response: Option<Patterns>,
}

#[derive(Clone, Debug)]
struct Lists {
    allow: Globs,
    deny: Globs,
}

impl Lists {
    fn new(patterns: &Patterns) -> Lists {
        Lists { allow: Globs::new(&patterns.allow), deny: Globs::new(&patterns.deny) }
    }

    fn selects(&self, lower: &[u8]) -> bool {
        self.allow.matches(lower) && !self.deny.matches(lower)
    }
}

#[derive(Clone, Debug)]
struct Scope {
    host: Option<Glob>,
    path: Option<Glob>,
    lists: [Lists; 2],
}

/// Which of the selections an exchange falls under: 0 is the default, the others are the scoped ones in order.
pub type Place = usize;

/// Places whose decision about a name fits into [`Selection::bits`].
const CACHED_PLACES: usize = 32;

#[derive(Clone, Debug)]
pub struct Selection {
    default: [Lists; 2],
    scopes: Vec<Scope>,
}

impl Selection {
    pub(super) fn new(request: &Patterns, response: &Patterns, scoped: &[ScopedPatterns]) -> Selection {
        let scope = |from: &ScopedPatterns| Scope {
            host: from.host.as_deref().map(Glob::new),
            path: from.path.as_deref().map(Glob::new),
            lists: [
                Lists::new(from.request.as_ref().unwrap_or(request)),
                Lists::new(from.response.as_ref().unwrap_or(response)),
            ],
        };
        Selection { default: [Lists::new(request), Lists::new(response)], scopes: scoped.iter().map(scope).collect() }
    }

    /// Host and path matter for this configuration.
    pub fn is_scoped(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// The first scope that fits, else the default. What is not known (`None`) fits no pattern.
    pub fn place(&self, host: Option<&[u8]>, path: Option<&[u8]>) -> Place {
        let fits = |glob: &Option<Glob>, text: Option<&[u8]>| match (glob, text) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(glob), Some(text)) => glob.matches(&text.to_ascii_lowercase()),
        };
        let host_fits =
            |glob: &Option<Glob>| fits(glob, host) || (host.is_some() && fits(glob, host.map(without_port)));
        self.scopes
            .iter()
            .position(|scope| host_fits(&scope.host) && fits(&scope.path, path))
            .map_or(0, |index| index + 1)
    }

    /// The decision about one name, read anew from the patterns. `name` in any case.
    pub fn selects(&self, place: Place, direction: Direction, name: &[u8]) -> bool {
        let lists = match place.checked_sub(1).and_then(|index| self.scopes.get(index)) {
            Some(scope) => &scope.lists,
            None => &self.default,
        };
        lists[direction as usize].selects(&name.to_ascii_lowercase())
    }

    /// The decisions about one name for all places, to be kept with the name and read by [`Selection::selected`].
    pub fn bits(&self, name: &[u8]) -> u64 {
        (0..(self.scopes.len() + 1).min(CACHED_PLACES))
            .flat_map(|place| [(place, Direction::Request), (place, Direction::Response)])
            .filter(|&(place, direction)| self.selects(place, direction, name))
            .fold(0, |bits, (place, direction)| bits | 1 << (2 * place + direction as usize))
    }

    /// The same as [`Selection::selects`], from the bits kept with the name.
    #[inline]
    pub fn selected(&self, place: Place, direction: Direction, bits: u64, name: &[u8]) -> bool {
        if place < CACHED_PLACES {
            bits & (1 << (2 * place + direction as usize)) != 0
        } else {
            self.selects(place, direction, name)
        }
    }
}

/// `example.org` out of `example.org:8080`, `[::1]` out of `[::1]:80`.
pub(super) fn without_port(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(allow: &[&str], deny: &[&str]) -> Patterns {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Patterns { allow: own(allow), deny: own(deny) }
    }

    #[test]
    fn deny_wins_over_allow_in_any_case() {
        let selection = Selection::new(&patterns(&["*"], &["X-*"]), &Patterns::default(), &[]);
        assert!(!selection.selects(0, Direction::Request, b"x-Request-Id"));
        assert!(selection.selects(0, Direction::Response, b"x-Request-Id"));
        assert!(selection.selects(0, Direction::Request, b"Accept"));
    }

    #[test]
    fn the_first_scope_that_fits_replaces_the_default() {
        let scoped = [
            ScopedPatterns {
                host: Some("*.example".into()),
                request: Some(patterns(&["a"], &[])),
                ..Default::default()
            },
            ScopedPatterns { path: Some("/v1/*".into()), request: Some(patterns(&["b"], &[])), ..Default::default() },
        ];
        let selection = Selection::new(&Patterns::default(), &Patterns::default(), &scoped);
        assert_eq!(selection.place(Some(b"API.example:8080"), Some(b"/v1/x")), 1);
        assert_eq!(selection.place(Some(b"other"), Some(b"/V1/x")), 2);
        assert_eq!(selection.place(None, None), 0);
        assert!(!selection.selects(2, Direction::Request, b"a"));
        assert!(selection.selects(2, Direction::Response, b"a"));
    }

    #[test]
    fn kept_bits_say_the_same_as_the_patterns_beyond_the_cached_places_too() {
        let scoped: Vec<ScopedPatterns> = (0..40)
            .map(|index| ScopedPatterns {
                host: Some(format!("h{index}")),
                request: Some(patterns(&[&format!("*{}*", index % 7)], &[&format!("{}", index % 5)])),
                ..Default::default()
            })
            .collect();
        let selection = Selection::new(&patterns(&["*"], &["3"]), &patterns(&["1*"], &[]), &scoped);
        for name in ["1", "3", "13", "X-6", "", "long-name-5"].map(str::as_bytes) {
            let bits = selection.bits(name);
            for place in 0..=40 {
                for direction in [Direction::Request, Direction::Response] {
                    assert_eq!(
                        selection.selected(place, direction, bits, name),
                        selection.selects(place, direction, name)
                    );
                }
            }
        }
    }
}
