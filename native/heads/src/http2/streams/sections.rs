//! What a header section says of its message.

use super::weight;
use crate::exchange::{Fault, Marks, Message};
use crate::http2::side::Section;
use crate::http2::{grpc, head};

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

/// Adds a trailer section to its message; returns the bytes that it keeps.
pub(super) fn trailers(message: &mut Message, section: &Section, from: &mut Message) -> usize {
    grpc::encode_binary(&mut from.head);
    let before = weight(message);
    let fault = if section.invalid { Some((Fault::Frames, 0)) } else { head::trailer_fault(&from.head) };
    if let Some((fault, _)) = fault {
        message.head.fault.get_or_insert((fault, message.head_bytes));
    }
    message.append_trailers(&from.head.raw, &from.head.fields);
    message.last_byte = from.last_byte;
    message.complete |= section.ends && !section.broken_off;
    weight(message) - before
}
