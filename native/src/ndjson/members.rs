//! The members of one line.

use super::columns::{Columns, FieldLists};
use super::names::Names;
use super::time::Clock;
use super::{quote, Headers};

pub(crate) struct Writer<'a> {
    columns: &'a Columns<'a>,
    headers: Headers,
    names: Vec<Names<'a>>,
    clock: Clock,
    digits: itoa::Buffer,
    without_fields: bool,
    out: &'a mut Vec<u8>,
}

#[allow(
    clippy::inline_always,
    reason = "with the member's name known, it is copied by plain stores: a tenth less time"
)]
impl<'a> Writer<'a> {
    pub(crate) fn new(columns: &'a Columns<'a>, headers: Headers, out: &'a mut Vec<u8>) -> Writer<'a> {
        let names = Names::of(columns, headers);
        Writer { columns, headers, names, clock: Clock::new(), digits: itoa::Buffer::new(), without_fields: false, out }
    }

    pub(crate) fn line(&mut self, row: usize) {
        let columns = self.columns;
        self.raw(b"{\"time\":\"");
        let time = columns.time.get(row).unwrap_or_default();
        self.out.extend_from_slice(self.clock.format(time));
        self.raw(b"\",");
        self.text("\"trace_id\":\"", columns.trace_id.get(row));
        self.text("\"span_id\":\"", columns.parent_id.get(row));
        self.number("\"trace_flags\":", columns.trace_flags.get(row));
        self.http(row);
        self.network(row);
        self.host(row);
        self.masthead(row);
        self.close(b"}\n");
    }

    /// A line as it is where there is no room for lists of fields.
    pub(crate) fn line_without_fields(&mut self, row: usize) {
        self.without_fields = true;
        self.line(row);
        self.without_fields = false;
    }

    /// Takes back what was written behind a place.
    pub(crate) fn take_back(&mut self, place: usize) {
        self.out.truncate(place);
    }

    /// How much was written so far.
    pub(crate) fn written(&self) -> usize {
        self.out.len()
    }

    fn http(&mut self, row: usize) {
        let columns = self.columns;
        self.raw(b"\"http\":{\"request\":{");
        self.text("\"method\":\"", columns.method.get(row));
        self.body(columns.request_body_bytes.get(row));
        self.fields(b"\"header\":", &columns.request_fields, row);
        self.close(b"},\"response\":{");
        self.number("\"status_code\":", columns.status.get(row));
        self.body(columns.response_body_bytes.get(row));
        self.fields(b"\"header\":", &columns.response_fields, row);
        self.close(b"},");
        self.text("\"route\":\"", columns.route.get(row));
        self.close(b"},\"url\":{");
        self.text("\"scheme\":\"", columns.scheme.get(row));
        self.text("\"path\":\"", columns.path.get(row));
        self.text("\"query\":\"", columns.query.get(row));
        self.close(b"},");
    }

    fn body(&mut self, size: Option<u64>) {
        if let Some(size) = size {
            self.raw(b"\"body\":{\"size\":");
            self.integer(size);
            self.raw(b"},");
        }
    }

    fn network(&mut self, row: usize) {
        let columns = self.columns;
        self.raw(b"\"network\":{");
        if let Some(protocol) = columns.protocol.get(row) {
            let (name, version) = name_and_version(protocol);
            self.raw(b"\"protocol\":{");
            self.text("\"name\":\"", Some(name));
            self.text("\"version\":\"", version);
            self.close(b"},");
        }
        let (address, port) = (columns.client_address.get(row), columns.client_port.get(row));
        let forwarded = columns.forwarded_client.get(row);
        if forwarded.is_some() {
            self.raw(b"\"peer\":{");
            self.text("\"address\":\"", address);
            self.number("\"port\":", port);
            self.close(b"},");
        }
        self.close(b"},\"client\":{");
        self.text("\"address\":\"", forwarded.or(address));
        self.number("\"port\":", port.filter(|_| forwarded.is_none()));
        self.close(b"},\"server\":{");
        self.text("\"address\":\"", columns.server_address.get(row));
        self.number("\"port\":", columns.server_port.get(row));
        self.close(b"},");
    }

    fn host(&mut self, row: usize) {
        let columns = self.columns;
        let (pid, executable) = (columns.process_pid.get(row), columns.process_executable.get(row));
        if pid.is_some() || executable.is_some() {
            self.raw(b"\"process\":{");
            self.number("\"pid\":", pid);
            if let Some(path) = executable {
                self.raw(b"\"executable\":{");
                self.text("\"path\":\"", Some(path));
                self.close(b"},");
            }
            self.close(b"},");
        }
        if let Some(id) = columns.container_id.get(row) {
            self.raw(b"\"container\":{");
            self.text("\"id\":\"", Some(id));
            self.close(b"},");
        }
    }

    fn masthead(&mut self, row: usize) {
        let columns = self.columns;
        self.raw(b"\"masthead\":{");
        self.plain("\"exchange_id\":\"", columns.exchange_id.get(row));
        self.plain("\"connection_id\":\"", columns.connection_id.get(row));
        self.plain("\"role\":\"", columns.role.get(row));
        self.plain("\"source\":\"", columns.source.get(row));
        self.text("\"target\":\"", columns.target.get(row));
        self.plain("\"route_source\":\"", columns.route_source.get(row));
        self.text("\"authority\":\"", columns.authority.get(row));
        self.number("\"network_namespace\":", columns.network_namespace.get(row));
        self.text("\"cgroup\":\"", columns.cgroup.get(row));
        self.fields(b"\"request_trailers\":", &columns.request_trailers, row);
        self.fields(b"\"response_trailers\":", &columns.response_trailers, row);
        self.interim(row);
        self.number("\"request_head_bytes\":", columns.request_head_bytes.get(row));
        self.number("\"response_head_bytes\":", columns.response_head_bytes.get(row));
        self.number("\"ttfb_ns\":", columns.ttfb_ns.get(row));
        self.number("\"duration_ns\":", columns.duration_ns.get(row));
        self.number("\"head_spread_ns\":", columns.head_spread_ns.get(row));
        self.text("\"fault\":\"", columns.fault.get(row));
        self.quality(row);
        if let Some(weight) = columns.sample_weight.get(row).filter(|weight| (weight - 1.0).abs() > f64::EPSILON) {
            let text = format!("\"sample_weight\":{weight},");
            self.raw(text.as_bytes());
        }
        self.close(b"}");
    }

    fn quality(&mut self, row: usize) {
        let quality = &self.columns.quality;
        self.raw(b"\"quality\":[");
        for place in quality.rows.get(row).into_iter().flatten() {
            self.plain("\"", quality.words.get(place));
        }
        self.close(b"],");
    }

    fn interim(&mut self, row: usize) {
        let interim = &self.columns.interim;
        let Some(places) = interim.rows.get(row) else { return };
        self.raw(b"\"interim\":[");
        for place in places {
            self.raw(b"{");
            self.number("\"status\":", interim.statuses.get(place));
            self.fields(b"\"header\":", &interim.fields, place);
            self.close(b"},");
        }
        self.close(b"],");
    }

    fn fields(&mut self, member: &[u8], lists: &FieldLists, row: usize) {
        let Some(places) = lists.rows.get(row).filter(|_| !self.without_fields) else { return };
        let Some(names) = self.names.iter_mut().find(|names| names.belong_to(lists)) else { return };
        self.out.extend_from_slice(member);
        let plain = quote::is_plain(lists.values.span(places.start, places.end));
        match self.headers {
            Headers::Object => names.object(lists, places, plain, self.out),
            Headers::Pairs => names.pairs(lists, places, plain, self.out),
        }
        self.raw(b",");
    }

    /// `member` begins the string.
    #[inline(always)]
    fn text(&mut self, member: &str, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.raw(member.as_bytes());
            quote::push(text, self.out);
            self.raw(b"\",");
        }
    }

    /// The same for texts of our own making, which need no escape.
    #[inline(always)]
    fn plain(&mut self, member: &str, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.raw(member.as_bytes());
            self.raw(text);
            self.raw(b"\",");
        }
    }

    #[inline(always)]
    fn number(&mut self, member: &str, number: Option<impl itoa::Integer>) {
        if let Some(number) = number {
            self.raw(member.as_bytes());
            self.integer(number);
            self.raw(b",");
        }
    }

    #[inline]
    fn integer(&mut self, number: impl itoa::Integer) {
        self.out.extend_from_slice(self.digits.format(number).as_bytes());
    }

    #[inline(always)]
    fn raw(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Ends what was opened: every member before wrote a comma behind itself.
    #[inline]
    fn close(&mut self, text: &[u8]) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.raw(text);
    }
}

/// `network.protocol.name` and `.version`.
pub(crate) fn name_and_version(protocol: &[u8]) -> (&[u8], Option<&[u8]>) {
    match protocol {
        b"h2" | b"h2c" => (b"http", Some(b"2")),
        _ => match protocol.strip_prefix(b"http/") {
            Some(version) => (b"http", Some(version)),
            None => (protocol, None),
        },
    }
}
