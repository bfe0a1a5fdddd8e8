//! The route of a call: the template that its path was made from, so that calls of one kind can be counted together.
//!
//! Templates that the settings name come first, by what they say ([`templates`]). Where none fits, one is inferred
//! from the path alone ([`infer`]): a segment that can only be an identifier becomes a placeholder, all else stays.
//! An inferred route is a pure function of the path, the same on every host and in every replay: nothing is learnt
//! from other calls. The price is that a name which is made up by users and looks like a word stays in the route.

mod infer;
mod templates;

use serde::Deserialize;

use infer::Buffer;
use templates::Templates;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RoutePatterns {
    templates: Vec<String>,
    infer: bool,
}

impl Default for RoutePatterns {
    fn default() -> RoutePatterns {
        RoutePatterns { templates: Vec::new(), infer: true }
    }
}

/// Where a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Configured,
    Inferred,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Configured => "configured",
            Origin::Inferred => "inferred",
        }
    }
}

/// Where a route is inferred; to be used again for the next one.
pub struct Scratch(Box<Buffer>);

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch(Box::new([0; size_of::<Buffer>()]))
    }
}

#[derive(Clone, Debug)]
pub struct Routes {
    templates: Templates,
    infer: bool,
}

impl Routes {
    pub(super) fn new(patterns: &RoutePatterns) -> Result<Routes, String> {
        Ok(Routes { templates: Templates::new(&patterns.templates)?, infer: patterns.infer })
    }

    /// The route of a path as it may be seen, which is UTF-8 like the path. `None` where no template fits and nothing
    /// is to be inferred. `scratch` holds what is inferred.
    #[inline]
    pub fn find<'a>(&'a self, method: &[u8], path: &[u8], scratch: &'a mut Scratch) -> Option<(&'a [u8], Origin)> {
        if let Some(template) = self.templates.find(method, path) {
            return Some((template, Origin::Configured));
        }
        if !self.infer || path.first() != Some(&b'/') {
            return None;
        }
        let length = infer::write(path, &mut scratch.0);
        scratch.0.get(..length).map(|route| (route, Origin::Inferred))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(json: &str) -> Routes {
        Routes::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn found(routes: &Routes, path: &str) -> Option<(String, &'static str)> {
        let mut scratch = Scratch::default();
        let (text, origin) = routes.find(b"GET", path.as_bytes(), &mut scratch)?;
        Some((String::from_utf8(text.to_vec()).unwrap(), origin.name()))
    }

    #[test]
    fn a_template_comes_before_what_could_be_inferred() {
        let routes = routes(r#"{"templates": ["/v1/users/{user}"]}"#);
        assert_eq!(found(&routes, "/v1/users/7"), Some(("/v1/users/{user}".into(), "configured")));
        assert_eq!(found(&routes, "/v1/items/7"), Some(("/v1/items/{id}".into(), "inferred")));
    }

    #[test]
    fn nothing_is_inferred_where_it_is_not_wanted() {
        let routes = routes(r#"{"templates": ["/v1/users/{user}"], "infer": false}"#);
        assert_eq!(found(&routes, "/v1/items/7"), None);
        assert_eq!(found(&routes, "/v1/users/7").unwrap().1, "configured");
    }

    #[test]
    fn what_is_no_path_has_no_route() {
        let routes = routes(r#"{"templates": ["/{rest...}", "/"]}"#);
        for text in ["", "*", "h:443", "x/1"] {
            assert_eq!(found(&routes, text), None, "{text}");
        }
    }
}
