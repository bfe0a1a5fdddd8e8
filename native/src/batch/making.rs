//! One exchange into one row, column by column.

use std::io::Write;
use std::net::IpAddr;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::exchange::{Endpoints, Exchange, Fault, Head, Marks, Message, Role, UNKNOWN};
use heads::rules::select::Direction;
use heads::rules::target::Target;
use heads::rules::trace::TraceParent;
use heads::rules::{url, Meaning, Rules};

use super::columns::Words;
use super::fields::{Known, Writer};
use super::links::{Link, LinkColumns, Links, Lookup};
use super::names::{Hints, Names};
use super::routes::Routing;
use super::rows::Source;
use super::table::Columns;
use super::text;

/// The batch in the making.
pub(super) struct Making {
    source: Source,
    offset: i64,
    links: Links,
    names: Names,
    known: [Known; 2],
    hints: [Hints; 2],
    scratch: Vec<u8>,
    target: Vec<u8>,
    routing: Routing,
    columns: Columns,
}

/// What became of one exchange.
pub(super) enum Fate {
    Logged,
    Filtered,
    SampledOut,
}

/// Host and path as they were sent, for filters and scopes.
fn host_and_path<'a>(head: &'a Head, known: &'a Known) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let target = Target::parse(head.start.second.of(&head.raw), is_connect(head));
    (target.authority.or_else(|| known.only(head, Meaning::Host)), target.path)
}

fn is_connect(head: &Head) -> bool {
    head.start.first.of(&head.raw) == b"CONNECT"
}

fn has_bad_start(head: &Head) -> bool {
    let fault = head.fault.map(|(fault, _)| fault);
    matches!(fault, Some(Fault::StartLine | Fault::Method | Fault::Target | Fault::Version))
}

/// Methods come in runs. One that stands in the column already may be seen.
fn push_method(rules: &Rules, sent: &[u8], scratch: &mut Vec<u8>, column: &mut Words) -> bool {
    if let Some(key) = column.dictionary.key_of_last(sent) {
        column.push_key(key);
        return false;
    }
    scratch.clear();
    rules.redact.method(sent, scratch);
    let mut seen = Vec::new();
    let escaped = text::push(scratch, &mut seen);
    column.push(Some(&seen[..]).filter(|seen| !seen.is_empty()));
    escaped
}

impl Making {
    pub(super) fn new(source: Source, boot: &str) -> Making {
        Making {
            source,
            offset: 0,
            links: Links::new(boot),
            names: Names::new(),
            known: [Known::default(), Known::default()],
            hints: [Hints::new(), Hints::new()],
            scratch: Vec::new(),
            target: Vec::new(),
            routing: Routing::default(),
            columns: Columns::new(),
        }
    }

    /// Drops what was decided under other rules.
    pub(super) fn forget(&mut self) {
        self.names.forget();
        self.links.forget();
        self.routing.forget();
    }

    pub(super) fn set_offset(&mut self, offset: i64) {
        self.offset = offset;
    }

    pub(super) fn len(&self) -> usize {
        self.columns.time.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.columns.size() + self.names.size() + self.links.columns.size()
    }

    pub(super) fn drop_rows(&mut self) {
        self.columns = Columns::new();
        self.links.columns = LinkColumns::new();
        self.forget();
    }

    pub(super) fn build(&mut self) -> Result<RecordBatch, ArrowError> {
        let names = self.names.dictionary.finish()?;
        self.names.next_batch();
        self.links.forget();
        self.routing.forget();
        self.columns.finish(&mut self.links.columns, &names)
    }

    pub(super) fn row(
        &mut self,
        rules: &Rules,
        lookup: &impl Lookup,
        endpoints: &Endpoints,
        exchange: &Exchange,
    ) -> Fate {
        let link = self.links.find(endpoints, rules, lookup);
        let status = exchange.response.as_ref().and_then(|response| response.head.status);
        if !link.keeps || !rules.filter.keeps_status(status) {
            return Fate::Filtered;
        }
        let request = exchange.request.as_ref().map(|message| &message.head);
        if let Some(head) = request {
            self.known[0].learn(&mut self.names, rules, &mut self.hints[0], &head.raw, &head.fields);
        } else {
            self.known[0].clear();
        }
        let mut place = 0;
        if rules.filter.reads_target() || rules.selection.is_scoped() {
            let (host, path) = request.map_or((None, None), |head| host_and_path(head, &self.known[0]));
            if !rules.filter.keeps_target(host, path) {
                return Fate::Filtered;
            }
            place = rules.selection.place(host, path);
        }
        let Some(weight) = rules.sample.weight(exchange) else { return Fate::SampledOut };
        let mut marks = exchange.marks;
        if self.source == Source::Socket && !link.process_known {
            marks.add(Marks::PROCESS_UNKNOWN);
        }
        self.identity(endpoints, exchange, &link);
        let escaped = [
            self.request_line(rules, request),
            self.fields(rules, place, exchange),
            self.interim(rules, place, exchange),
        ];
        if escaped.contains(&true) {
            marks.add(Marks::ESCAPED);
        }
        self.forwarded(rules, endpoints.client.0, request);
        self.measures(exchange, request);
        self.columns.quality.push(marks.0 & ((1 << Marks::NAMES.len()) - 1));
        self.columns.sample_weight.push(weight);
        Fate::Logged
    }

    fn identity(&mut self, endpoints: &Endpoints, exchange: &Exchange, link: &Link) {
        let columns = &mut self.columns;
        let first = exchange.request.as_ref().or(exchange.response.as_ref()).or(exchange.interim.first());
        let time = first.map_or(0, |message| message.first_byte.cast_signed());
        columns.time.push(time.wrapping_add(self.offset));
        let (role, letter) = match endpoints.role {
            Some(Role::Server) => (Some(&b"server"[..]), b's'),
            Some(Role::Client) => (Some(&b"client"[..]), b'c'),
            None => (None, b'n'),
        };
        let id = &mut columns.exchange_id;
        match endpoints.tls.filter(|tls| tls.key != 0) {
            Some(tls) => self.links.write_id(tls.key, &mut id.bytes),
            None => id.bytes.extend_from_slice(self.links.columns.id(link)),
        }
        id.bytes.extend_from_slice(&[b'-', letter, b'-']);
        id.bytes.extend_from_slice(itoa::Buffer::new().format(exchange.ordinal).as_bytes());
        id.close();
        self.links.columns.push(link);
        columns.role.push(role);
        columns.source.push(Some(match self.source {
            Source::Socket if endpoints.tls.is_some() => b"tls",
            Source::Socket => b"socket",
            Source::Pcap => b"pcap",
        }));
        // No connection has port 0: it is one that is not known.
        columns.client_port.push_option(Some(endpoints.client.1).filter(|port| *port != 0));
        columns.server_port.push_option(Some(endpoints.server.1).filter(|port| *port != 0));
        columns.network_namespace.push_option(endpoints.netns);
        columns.process_pid.push_option(endpoints.process.as_ref().map(|process| process.pid));
    }

    /// Method, target and its parts, route, authority. True when something had to be escaped.
    fn request_line(&mut self, rules: &Rules, request: Option<&Head>) -> bool {
        let columns = &mut self.columns;
        let Some(head) = request else {
            columns.method.push(None);
            columns.scheme.push(Some(b"http"));
            for column in [&mut columns.target, &mut columns.path, &mut columns.query, &mut columns.authority] {
                column.push_option(None);
            }
            self.routing.push(&rules.routes, b"", None, columns);
            return false;
        };
        let (start, raw) = (head.start, &head.raw);
        let scratch = &mut self.scratch;
        let mut escaped = push_method(rules, start.first.of(raw), scratch, &mut columns.method);
        let seen = &mut self.target;
        seen.clear();
        let sent = start.second.of(raw);
        if url::is_plain(sent) && sent.is_ascii() && sent.first() == Some(&b'/') {
            seen.extend_from_slice(sent);
        } else {
            scratch.clear();
            rules.redact.target(sent, has_bad_start(head), scratch);
            escaped |= text::push(scratch, seen);
        }
        let target = Target::parse(seen, is_connect(head));
        columns.target.push_option(Some(&seen[..]).filter(|seen| !seen.is_empty()));
        columns.path.push_option(target.path);
        columns.query.push_option(target.query);
        self.routing.push(&rules.routes, start.first.of(raw), target.path, columns);
        columns.scheme.push(Some(target.scheme.unwrap_or(b"http")));
        match target.authority {
            Some(authority) => columns.authority.push(authority),
            None => match self.known[0].only(head, Meaning::Host) {
                Some(host) => {
                    scratch.clear();
                    let mask = self.known[0].mask(&self.names, Meaning::Host);
                    rules.redact.value(mask, host, scratch);
                    escaped |= text::push(scratch, &mut columns.authority.bytes);
                    columns.authority.close();
                }
                None => columns.authority.push_option(None),
            },
        }
        escaped
    }

    /// Fields and trailers of both messages.
    fn fields(&mut self, rules: &Rules, place: usize, exchange: &Exchange) -> bool {
        let columns = &mut self.columns;
        let sides = [
            (&exchange.request, Direction::Request, &mut columns.request_fields, &mut columns.request_trailers),
            (&exchange.response, Direction::Response, &mut columns.response_fields, &mut columns.response_trailers),
        ];
        let mut escaped = false;
        for (side, (message, direction, fields, trailers)) in sides.into_iter().enumerate() {
            let head = message.as_ref().map(|message: &Message| &message.head);
            let mut writer = Writer { rules, names: &mut self.names, scratch: &mut self.scratch, place, direction };
            let known = &mut self.known[side];
            if let Some(head) = head {
                if side == 1 {
                    known.learn(writer.names, rules, &mut self.hints[1], &head.raw, &head.fields);
                }
                escaped |= writer.write(&head.raw, &head.fields, &known.ids, fields);
            }
            fields.close(head.is_some());
            let with_trailers = head.filter(|head| !head.trailers.is_empty());
            if let Some(head) = with_trailers {
                let mut known = Known::default();
                known.learn(writer.names, rules, &mut Hints::new(), &head.raw, &head.trailers);
                escaped |= writer.write(&head.raw, &head.trailers, &known.ids, trailers);
            }
            trailers.close(with_trailers.is_some());
        }
        escaped
    }

    fn interim(&mut self, rules: &Rules, place: usize, exchange: &Exchange) -> bool {
        let column = &mut self.columns.interim;
        let mut escaped = false;
        for message in &exchange.interim {
            let head = &message.head;
            let mut known = Known::default();
            known.learn(&mut self.names, rules, &mut Hints::new(), &head.raw, &head.fields);
            let direction = Direction::Response;
            let mut writer = Writer { rules, names: &mut self.names, scratch: &mut self.scratch, place, direction };
            escaped |= writer.write(&head.raw, &head.fields, &known.ids, &mut column.fields);
            column.fields.close(true);
            column.statuses.push_option(head.status);
        }
        column.close(!exchange.interim.is_empty());
        escaped
    }

    /// The client behind trusted hops, and the trace.
    fn forwarded(&mut self, rules: &Rules, peer: IpAddr, request: Option<&Head>) {
        let columns = &mut self.columns;
        let known = &self.known[0];
        let reads = request.filter(|_| !known.read.is_empty());
        let client = reads.filter(|_| peer != UNKNOWN.0).and_then(|head| {
            let values = |meaning| known.values(head, meaning);
            rules.hops.client(peer, values(Meaning::Forwarded), values(Meaning::ForwardedFor))
        });
        match client {
            Some(client) => {
                // Writing to a vector can't fail.
                let _ = write!(columns.forwarded_client.bytes, "{client}");
                columns.forwarded_client.close();
            }
            None => columns.forwarded_client.push_option(None),
        }
        let trace = reads.and_then(|head| known.only(head, Meaning::TraceParent)).and_then(TraceParent::parse);
        columns.trace_id.push_option(trace.map(|trace| trace.trace_id.as_bytes()));
        columns.parent_id.push_option(trace.map(|trace| trace.parent_id.as_bytes()));
        columns.trace_flags.push_option(trace.map(|trace| trace.flags));
    }

    /// Version, status, sizes, times and faults.
    fn measures(&mut self, exchange: &Exchange, request: Option<&Head>) {
        let columns = &mut self.columns;
        let (asked, answered) = (exchange.request.as_ref(), exchange.response.as_ref());
        let response = answered.map(|message| &message.head);
        match request.or(response).map(|head| (head.version, head.fault)) {
            Some((Some((1, 1)), _)) => columns.protocol.push(Some(b"http/1.1")),
            Some((Some((1, 0)), _)) => columns.protocol.push(Some(b"http/1.0")),
            Some((Some((major, minor)), _)) => {
                columns.protocol.push(Some(format!("http/{major}.{minor}").as_bytes()));
            }
            Some((None, None)) => columns.protocol.push(Some(b"http/0.9")),
            _ => columns.protocol.push(None),
        }
        columns.status.push_option(response.and_then(|head| head.status));
        columns.request_head_bytes.push_option(asked.map(|message| message.head_bytes));
        columns.request_body_bytes.push_option(asked.map(|message| message.body_bytes));
        columns.response_head_bytes.push_option(answered.map(|message| message.head_bytes));
        columns.response_body_bytes.push_option(answered.map(|message| message.body_bytes));
        columns.ttfb.push_option(exchange.ttfb().map(u64::cast_signed));
        columns.duration.push_option(exchange.duration().map(u64::cast_signed));
        columns.head_spread.push_option(exchange.head_spread().map(u64::cast_signed));
        let fault = request.and_then(|head| head.fault).map(|fault| (fault, ""));
        match fault.or_else(|| response.and_then(|head| head.fault).map(|fault| (fault, " of the response"))) {
            Some(((fault, at), whose)) => {
                // Writing to a vector can't fail.
                let _ = write!(columns.fault.bytes, "{} at byte {at}{whose}", fault.text());
                columns.fault.close();
            }
            None => columns.fault.push_option(None),
        }
    }
}
