//! Disputed bytes: TCP has one version of them, and which one is not certain.

use super::{slot, Http2};
use crate::http1::Kind;

impl Http2 {
    /// The bytes that come next in this direction are disputed.
    pub fn overlap(&mut self, egress: bool) {
        self.doubt[slot(self.kind(egress))] = true;
    }

    /// The doubt ends with the frame or the header section under way. What it left in the table is not certain.
    pub(super) fn settle_doubt(&mut self, kind: Kind) {
        let side = &mut self.sides[slot(kind)];
        if self.doubt[slot(kind)] && side.at_frame() && !side.in_section() {
            self.doubt[slot(kind)] = false;
            side.forget();
        }
    }
}
