//! Patterns on names: `*` stands for any run of bytes, `?` for one byte, all else for itself; case does not count.

use memchr::memmem::Finder;

/// One compiled pattern. Most patterns are a word, or a word with a star on one or both sides, and need no matcher.
#[derive(Clone, Debug)]
pub struct Glob {
    shape: Shape,
    text: Box<[u8]>,
    letters: u32,
}

#[derive(Clone, Debug)]
enum Shape {
    Any,
    Word,
    Prefix,
    Suffix,
    Inside(Box<Finder<'static>>),
    General,
}

impl Glob {
    pub fn new(pattern: &str) -> Glob {
        let lower = pattern.to_ascii_lowercase().into_bytes();
        let (starts, ends) = (lower.first() == Some(&b'*'), lower.last() == Some(&b'*'));
        let core = lower.strip_prefix(b"*").map_or(&lower[..], |rest| rest.strip_suffix(b"*").unwrap_or(rest));
        let core = if starts { core } else { lower.strip_suffix(b"*").unwrap_or(core) };
        if core.iter().any(|byte| matches!(byte, b'*' | b'?')) {
            return Glob { shape: Shape::General, letters: letters(&lower), text: lower.into() };
        }
        let shape = match (starts, ends) {
            (true, _) if core.is_empty() => Shape::Any,
            (false, false) => Shape::Word,
            (false, true) => Shape::Prefix,
            (true, false) => Shape::Suffix,
            (true, true) => Shape::Inside(Box::new(Finder::new(core).into_owned())),
        };
        Glob { shape, letters: letters(core), text: core.into() }
    }

    /// The pattern has no wildcard: it names one thing.
    pub fn is_word(&self) -> bool {
        matches!(self.shape, Shape::Word)
    }

    /// The text lacks a letter that the pattern asks for: `present` is its [`letters`]. Rules out most at once.
    #[inline]
    pub fn lacks(&self, present: u32) -> bool {
        self.letters & !present != 0
    }

    /// `lower` must be in lower case already.
    pub fn matches(&self, lower: &[u8]) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::Word => *lower == *self.text,
            Shape::Prefix => lower.starts_with(&self.text),
            Shape::Suffix => lower.ends_with(&self.text),
            Shape::Inside(finder) => finder.find(lower).is_some(),
            Shape::General => general(&self.text, lower),
        }
    }
}

/// Which of the letters a to z stand in a text in lower case, as bits.
#[inline]
pub fn letters(lower: &[u8]) -> u32 {
    lower.iter().filter(|byte| byte.is_ascii_lowercase()).fold(0, |bits, byte| bits | 1 << (byte & 31))
}

/// Matches by going back to the last star only: never worse than pattern length times text length.
fn general(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Several patterns; any of them may match.
#[derive(Clone, Debug, Default)]
pub struct Globs(Vec<Glob>);

impl Globs {
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Globs {
        Globs(patterns.iter().map(|pattern| Glob::new(pattern.as_ref())).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `lower` must be in lower case already.
    pub fn matches(&self, lower: &[u8]) -> bool {
        self.0.iter().any(|glob| glob.matches(lower))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_agrees_with_the_general_matcher() {
        let patterns = ["*", "", "a", "a*", "*a", "*a*", "a*b", "a?", "?", "*?*", "**", "*a*b*", "ab*ab", "?*"];
        let texts = ["", "a", "b", "ab", "ba", "aab", "abab", "xaxbx", "aaaaab", "abxab"];
        for pattern in patterns {
            for text in texts {
                let glob = Glob::new(pattern);
                assert!(!(glob.matches(text.as_bytes()) && glob.lacks(letters(text.as_bytes()))));
                assert_eq!(
                    glob.matches(text.as_bytes()),
                    general(pattern.as_bytes(), text.as_bytes()),
                    "{pattern} on {text}"
                );
            }
        }
    }

    #[test]
    fn patterns_ignore_case() {
        assert!(Glob::new("X-*").matches(b"x-request-id"));
    }
}
