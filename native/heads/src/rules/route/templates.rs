//! Templates that the settings name, as a tree of segments.
//!
//! `/v1/users/{id}`: a literal segment stands for itself, `{name}` for one segment that is not empty, `{name...}` at
//! the end for all that is left, which is not empty either. `GET /v1/users` is for calls of that method only.
//!
//! Where several templates fit, they are compared segment by segment from the left: a literal counts before `{name}`,
//! that before `{name...}`; between equal ones a method counts before none. The tree is walked in that order, so the
//! first that is found is the one. No node is visited twice: a look-up takes at most as many steps as there are nodes,
//! and mostly as many as the path has segments.

/// Longer templates are a mistake; also bounds how deep the walk goes.
const MAX_TEMPLATE: usize = 512;

#[derive(Clone, Debug)]
pub(super) struct Templates {
    /// The first one is the root.
    nodes: Vec<Node>,
    /// The path of each template, without its method.
    texts: Vec<Box<[u8]>>,
}

/// Where templates stand that have the same segments up to here.
#[derive(Clone, Debug, Default)]
struct Node {
    /// By their signatures, so that a look-up among hundreds compares numbers.
    literals: Vec<Literal>,
    one: Option<usize>,
    /// Templates that end here.
    here: Ends,
    /// Templates that end here in `{name...}`.
    rest: Ends,
}

#[derive(Clone, Debug)]
struct Literal {
    signature: u64,
    text: Box<[u8]>,
    next: usize,
}

/// Templates with the same path, by their methods.
#[derive(Clone, Debug, Default)]
struct Ends {
    any: Option<usize>,
    methods: Vec<(Box<[u8]>, usize)>,
}

impl Ends {
    #[inline]
    fn of(&self, method: &[u8]) -> Option<usize> {
        self.methods.iter().find(|(name, _)| **name == *method).map(|&(_, text)| text).or(self.any)
    }

    /// The template that stands here already, if one does.
    fn put(&mut self, method: Option<&[u8]>, text: usize) -> Option<usize> {
        let Some(method) = method else {
            let there = self.any;
            self.any = there.or(Some(text));
            return there;
        };
        let there = self.methods.iter().find(|(name, _)| **name == *method).map(|&(_, text)| text);
        if there.is_none() {
            self.methods.push((method.into(), text));
        }
        there
    }
}

/// The first segment of what is left of a path, with a number that tells most segments apart.
struct Segment<'a> {
    text: &'a [u8],
    signature: u64,
    /// What is left behind its slash; `None`: it is the last one.
    left: Option<&'a [u8]>,
}

impl<'a> Segment<'a> {
    /// Segments are short: one pass is cheaper than a search for the slash and a hash behind it.
    #[inline]
    fn first(left: &'a [u8]) -> Segment<'a> {
        let mut signature = 0u64;
        for (at, &byte) in left.iter().enumerate() {
            if byte == b'/' {
                return Segment { text: &left[..at], signature, left: Some(&left[at + 1..]) };
            }
            signature = signature.rotate_left(9) ^ u64::from(byte);
        }
        Segment { text: left, signature, left: None }
    }
}

impl Node {
    #[inline]
    fn place(&self, signature: u64) -> usize {
        self.literals.partition_point(|literal| literal.signature < signature)
    }

    #[inline]
    fn literal(&self, segment: &Segment) -> Option<usize> {
        let from = self.literals.get(self.place(segment.signature)..)?;
        let mut alike = from.iter().take_while(|literal| literal.signature == segment.signature);
        alike.find(|literal| *literal.text == *segment.text).map(|literal| literal.next)
    }
}

/// One segment of a template.
enum Part<'a> {
    Literal(&'a [u8]),
    One,
    Rest,
}

impl<'a> Part<'a> {
    fn read(segment: &'a str) -> Option<Part<'a>> {
        let is_name = |name: &str| !name.is_empty() && !name.contains(['{', '}', '.']);
        match segment.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) if is_name(name) => Some(Part::One),
            Some(name) => name.strip_suffix("...").filter(|name| is_name(name)).map(|_| Part::Rest),
            None => (!segment.contains(['{', '}'])).then_some(Part::Literal(segment.as_bytes())),
        }
    }
}

impl Templates {
    pub(super) fn new(lines: &[String]) -> Result<Templates, String> {
        let mut templates = Templates { nodes: vec![Node::default()], texts: Vec::new() };
        for line in lines {
            templates.add(line).map_err(|problem| format!("routes.templates: {line} {problem}"))?;
        }
        Ok(templates)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (method, path) = match line.split_once(' ') {
            Some((method, path)) => (Some(method.as_bytes()), path),
            None => (None, line),
        };
        let segments = path.strip_prefix('/').filter(|_| path.len() <= MAX_TEMPLATE).ok_or("is none")?;
        let mut parts = segments.split('/').map(Part::read).peekable();
        let (text, mut node) = (self.texts.len(), 0);
        self.texts.push(path.as_bytes().into());
        let mut rest = false;
        while let Some(part) = parts.next() {
            node = match part.ok_or("is none")? {
                Part::Literal(segment) => self.literal(node, segment),
                Part::One => self.one(node),
                Part::Rest if parts.peek().is_some() => return Err("goes on behind its rest".into()),
                Part::Rest => {
                    rest = true;
                    node
                }
            };
        }
        let node = &mut self.nodes[node];
        let ends = if rest { &mut node.rest } else { &mut node.here };
        match ends.put(method, text) {
            None => Ok(()),
            Some(there) => Err(format!("is for the same calls as {}", String::from_utf8_lossy(&self.texts[there]))),
        }
    }

    /// The node behind a literal, made where there is none.
    fn literal(&mut self, node: usize, segment: &[u8]) -> usize {
        let next = self.nodes.len();
        let segment = Segment::first(segment);
        let node = &mut self.nodes[node];
        if let Some(there) = node.literal(&segment) {
            return there;
        }
        let literal = Literal { signature: segment.signature, text: segment.text.into(), next };
        node.literals.insert(node.place(segment.signature), literal);
        self.nodes.push(Node::default());
        next
    }

    fn one(&mut self, node: usize) -> usize {
        let next = self.nodes.len();
        let one = *self.nodes[node].one.get_or_insert(next);
        if one == next {
            self.nodes.push(Node::default());
        }
        one
    }

    /// The template of a call.
    #[inline]
    pub(super) fn find(&self, method: &[u8], path: &[u8]) -> Option<&[u8]> {
        if self.texts.is_empty() {
            return None;
        }
        let text = self.walk(0, Some(path.strip_prefix(b"/")?), method)?;
        self.texts.get(text).map(|text| &**text)
    }

    /// `left` is what is left of the path behind a slash; `None`: it has come to its end.
    fn walk(&self, node: usize, left: Option<&[u8]>, method: &[u8]) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let Some(left) = left else { return node.here.of(method) };
        let segment = Segment::first(left);
        let literal = node.literal(&segment).and_then(|node| self.walk(node, segment.left, method));
        let one =
            || node.one.filter(|_| !segment.text.is_empty()).and_then(|node| self.walk(node, segment.left, method));
        let rest = || node.rest.of(method).filter(|_| !left.is_empty());
        literal.or_else(one).or_else(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(lines: &[&str]) -> Result<Templates, String> {
        Templates::new(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>())
    }

    /// The template that is found, whatever the order of the list.
    fn found(lines: &[&str], call: &str) -> Option<String> {
        let (method, path) = call.split_once(' ').unwrap();
        let find = |lines: &[&str]| {
            let templates = templates(lines).unwrap();
            templates.find(method.as_bytes(), path.as_bytes()).map(|text| String::from_utf8(text.to_vec()).unwrap())
        };
        let mut lines = lines.to_vec();
        let first = find(&lines);
        for _ in 0..lines.len() {
            lines.rotate_left(1);
            assert_eq!(find(&lines), first, "{call}");
        }
        lines.reverse();
        assert_eq!(find(&lines), first, "{call}");
        first
    }

    #[test]
    fn a_placeholder_is_one_segment_and_a_rest_one_or_more() {
        let lines = ["/v1/users/{id}", "/static/{path...}", "/", "/v1/users/{id}/", "/v1//x"];
        for (path, expected) in [
            ("/v1/users/7", Some("/v1/users/{id}")),
            ("/v1/users/", None),
            ("/v1/users", None),
            ("/v1/users/7/", Some("/v1/users/{id}/")),
            ("/v1/users/7/8", None),
            ("/static/a", Some("/static/{path...}")),
            ("/static/a/b/", Some("/static/{path...}")),
            ("/static//", Some("/static/{path...}")),
            ("/static/", None),
            ("/static", None),
            ("/", Some("/")),
            ("//", None),
            ("/v1//x", Some("/v1//x")),
            ("/V1/users/7", None),
            ("*", None),
        ] {
            assert_eq!(found(&lines, &format!("GET {path}")).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_most_literal_template_wins_from_the_left() {
        let lines = ["/{rest...}", "/a/{x}/c", "/a/b/{y}", "/{w}/b/c", "/a/{rest...}", "/a/b/c"];
        for (path, expected) in [
            ("/a/b/c", "/a/b/c"),
            ("/a/b/x", "/a/b/{y}"),
            ("/a/x/c", "/a/{x}/c"),
            ("/x/b/c", "/{w}/b/c"),
            ("/a/x/y", "/a/{rest...}"),
            ("/a/b", "/a/{rest...}"),
            ("/x/y", "/{rest...}"),
        ] {
            assert_eq!(found(&lines, &format!("GET {path}")).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_method_decides_between_equal_paths_only() {
        let lines = ["GET /a/{x}", "/a/{y}", "POST /a/b", "DELETE /{rest...}"];
        for (call, expected) in [
            ("GET /a/b", Some("/a/{x}")),
            ("PUT /a/b", Some("/a/{y}")),
            ("POST /a/b", Some("/a/b")),
            ("DELETE /a/b", Some("/a/{y}")),
            ("DELETE /c", Some("/{rest...}")),
            ("get /a/c", Some("/a/{y}")),
            ("GET /c", None),
        ] {
            assert_eq!(found(&lines, call).as_deref(), expected, "{call}");
        }
    }

    #[test]
    fn literals_with_one_signature_are_told_apart() {
        // The signature turns about after 64 bytes: bytes that stand so far apart can change places.
        let (one, other) = (format!("a{}b", "x".repeat(63)), format!("b{}a", "x".repeat(63)));
        assert_eq!(Segment::first(one.as_bytes()).signature, Segment::first(other.as_bytes()).signature);
        let lines = [format!("/{one}"), format!("/{other}")];
        for line in &lines {
            assert_eq!(found(&[&lines[0], &lines[1]], &format!("GET {line}")).as_ref(), Some(line));
        }
        assert_eq!(found(&[&lines[0]], &format!("GET {}", lines[1])), None);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (lines, problem) in [
            (vec!["v1"], "v1 is none"),
            (vec!["/{}"], "is none"),
            (vec!["/{a"], "is none"),
            (vec!["/a}"], "is none"),
            (vec!["/x{a}"], "is none"),
            (vec!["/{a}{b}"], "is none"),
            (vec!["/{...}"], "is none"),
            (vec!["/{a...}/b"], "goes on behind its rest"),
            (vec!["/{a}", "/b", "/{c}"], "/{c} is for the same calls as /{a}"),
            (vec!["GET /b", "GET /b"], "the same calls"),
        ] {
            let error = templates(&lines).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert!(templates(&[&format!("/{}", "a/".repeat(400))]).is_err());
        assert!(templates(&["GET /b", "/b", "PUT /b", "/b/"]).is_ok());
    }

    #[test]
    fn a_path_that_fits_nowhere_visits_no_node_twice() {
        // Each segment fits a literal and a placeholder: a walk that came to the same node again would take 2^20 steps.
        let line = |bits: u32| {
            (0..10).fold(String::new(), |line, bit| line + if bits >> bit & 1 == 0 { "/a" } else { "/{x}" })
        };
        let lines: Vec<String> = (0..1024).map(line).collect();
        let templates = Templates::new(&lines).unwrap();
        assert!(templates.nodes.len() < 2048);
        assert_eq!(templates.find(b"GET", "/a".repeat(11).as_bytes()), None);
        assert_eq!(templates.find(b"GET", "/a".repeat(10).as_bytes()), Some(lines[0].as_bytes()));
    }
}
