//! What a header section says of its message.

use super::weight;
use crate::exchange::{Fault, Marks, Message};
use crate::http2::head;
use crate::http2::side::Section;
use crate::ledger::Ledger;

/// Nothing of the section is missing.
pub(super) fn is_whole(section: &Section) -> bool {
    let complete = section.marks == Marks::default() && !section.broken_off && !section.invalid;
    complete && !section.progress.cut && section.progress.unresolved == 0
}

pub(super) fn marks(section: &Section) -> Marks {
    let mut marks = section.marks;
    if section.progress.cut {
        marks.add(Marks::CUT);
    }
    if section.progress.unresolved > 0 {
        marks.add(Marks::HPACK_UNRESOLVED);
    }
    if section.disputed {
        marks.add(Marks::OVERLAP);
    }
    marks
}

pub(super) fn note_fault(section: &Section, message: &mut Message) {
    if section.invalid {
        message.head.fault.get_or_insert((Fault::Frames, message.head_bytes));
    }
}

/// A section that is not kept: its row says so, and it is counted.
pub(super) fn leave_out(section: &Section, marks: &mut Marks, ledger: &mut Ledger) {
    marks.add(Marks::CUT);
    // Else it is counted already.
    ledger.heads_cut += u64::from(!section.progress.cut);
}

/// Adds a trailer section to its message, where there is `room`; returns the bytes that it takes, `None` where it is not
/// kept. A message has one at most, and ends with it (RFC 9113, section 8.1).
pub(super) fn trailers(message: &mut Message, section: &Section, from: &mut Message, room: bool) -> Option<usize> {
    let again = message.complete || !message.head.trailers.is_empty();
    let fault = if section.invalid {
        Some(Fault::Frames)
    } else if again || !section.ends {
        Some(Fault::Trailer)
    } else {
        head::trailer_fault(&from.head).map(|(fault, _)| fault)
    };
    if let Some(fault) = fault {
        message.head.fault.get_or_insert((fault, message.head_bytes));
    }
    message.last_byte = from.last_byte;
    message.complete |= section.ends && !section.broken_off;
    if again || !room {
        return None;
    }
    let before = weight(message);
    message.append_trailers(&from.head.raw, &from.head.fields);
    Some(weight(message) - before)
}
