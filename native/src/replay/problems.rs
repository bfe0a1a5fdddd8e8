//! What was damaged, one line each.

/// Lines kept; a file that is damaged all through is told in as many, and the rest is counted.
const KEPT: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Problems {
    lines: Vec<String>,
    more: u64,
}

impl Problems {
    /// `packet` counts from 1 and is the one that the problem is in or would have been the next.
    pub(crate) fn at(&mut self, packet: u64, offset: u64, what: &str) {
        self.line(format!("packet {packet} at byte {offset}: {what}"));
    }

    pub(crate) fn line(&mut self, line: String) {
        if self.lines.len() < KEPT {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.clone();
        if self.more > 0 {
            lines.push(format!("and {} more problems", self.more));
        }
        lines
    }
}
