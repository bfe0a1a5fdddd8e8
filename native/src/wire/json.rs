//! JSON objects, member by member; what is null leaves no trace, nor does an object that would be empty.

use crate::ndjson::quote;

pub(super) struct Object<'o> {
    pub(super) out: &'o mut Vec<u8>,
    digits: itoa::Buffer,
}

impl<'o> Object<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Object<'o> {
        Object { out, digits: itoa::Buffer::new() }
    }

    pub(super) fn raw(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn name(&mut self, name: &str) {
        self.out.push(b'"');
        self.raw(name.as_bytes());
        self.raw(b"\":");
    }

    pub(super) fn text(&mut self, name: &str, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.name(name);
            self.out.push(b'"');
            quote::push(text, self.out);
            self.raw(b"\",");
        }
    }

    pub(super) fn number(&mut self, name: &str, number: Option<impl itoa::Integer>) {
        if let Some(number) = number {
            self.name(name);
            let digits = self.digits.format(number);
            self.out.extend_from_slice(digits.as_bytes());
            self.out.push(b',');
        }
    }

    /// An object as a member; left out where nothing is put into it.
    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let begin = self.out.len();
        self.name(name);
        self.out.push(b'{');
        let empty = self.out.len();
        fill(self.inner());
        if self.out.len() == empty {
            self.out.truncate(begin);
        } else {
            self.close(b"},");
        }
    }

    /// An array of texts as a member; left out where it is empty.
    pub(super) fn texts<'t>(&mut self, name: &str, texts: impl Iterator<Item = &'t [u8]>) {
        let begin = self.out.len();
        self.name(name);
        self.out.push(b'[');
        let empty = self.out.len();
        for text in texts {
            self.out.push(b'"');
            quote::push(text, self.out);
            self.raw(b"\",");
        }
        if self.out.len() == empty {
            self.out.truncate(begin);
        } else {
            self.close(b"],");
        }
    }

    /// Ends what was opened: every member before wrote a comma behind itself.
    pub(super) fn close(&mut self, text: &[u8]) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.raw(text);
    }

    fn inner(&mut self) -> &mut Object<'o> {
        self
    }
}
