//! One exchange into one row, column by column.

use std::io::Write;
use std::net::IpAddr;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::exchange::{Endpoints, Exchange, Fault, Head, Marks, Message, Protocol, Role, Unresolved, UNKNOWN};
use heads::rules::redact::Mask;
use heads::rules::select::Direction;
use heads::rules::target::{is_scheme, Target};
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
    /// What is done with `:authority`, as with `Host`.
    host_mask: Option<Mask>,
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
    let authority = head.authority.map(|span| span.of(&head.raw));
    (target.authority.or(authority).or_else(|| known.only(head, Meaning::Host)), target.path)
}

/// The target is an authority; in HTTP/2 that has a place of its own (RFC 9113, section 8.5).
fn is_connect(head: &Head) -> bool {
    head.start.first.of(&head.raw) == b"CONNECT" && head.version != Some((2, 0))
}

/// Fields of all heads of which something is not known.
fn unresolved(exchange: &Exchange) -> u32 {
    let messages = exchange.request.iter().chain(&exchange.response).chain(&exchange.interim);
    let fields = messages.flat_map(|message| message.head.fields.iter().chain(&message.head.trailers));
    let count = fields.filter(|field| field.unresolved != Unresolved::Nothing).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// `ProtocolVersion` (RFC 8446, section 4.1.2; RFC 6101 for SSL 3.0); `None` for what is none.
fn tls_version(number: u16) -> Option<&'static [u8]> {
    Some(match number {
        0x0300 => b"ssl3",
        0x0301 => b"1.0",
        0x0302 => b"1.1",
        0x0303 => b"1.2",
        0x0304 => b"1.3",
        _ => return None,
    })
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
            host_mask: None,
            columns: Columns::new(),
        }
    }

    /// Drops what was decided under other rules.
    pub(super) fn forget(&mut self) {
        self.names.forget();
        self.links.forget();
        self.routing.forget();
        self.host_mask = None;
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
        let unresolved = if exchange.protocol == Protocol::Http1 { 0 } else { unresolved(exchange) };
        if unresolved > 0 {
            marks.add(Marks::HPACK_UNRESOLVED);
        }
        self.columns.hpack_unresolved.push_option(Some(unresolved).filter(|&count| count > 0));
        self.identity(endpoints, exchange, &link);
        let escaped = [
            self.request_line(rules, endpoints, exchange),
            self.fields(rules, place, exchange),
            self.interim(rules, place, exchange),
        ];
        if escaped.contains(&true) {
            marks.add(Marks::ESCAPED);
        }
        self.forwarded(rules, endpoints.client.0, request);
        self.protocol(endpoints, exchange);
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
    fn request_line(&mut self, rules: &Rules, endpoints: &Endpoints, exchange: &Exchange) -> bool {
        let columns = &mut self.columns;
        let by_transport: &[u8] = if endpoints.tls.is_some() { b"https" } else { b"http" };
        let Some(head) = exchange.request.as_ref().map(|message| &message.head) else {
            columns.method.push(None);
            columns.scheme.push(Some(by_transport));
            for column in [&mut columns.target, &mut columns.path, &mut columns.query, &mut columns.authority] {
                column.push_option(None);
            }
            self.routing.push(&rules.routes, b"", None, false, columns);
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
        self.routing.push(&rules.routes, start.first.of(raw), target.path, exchange.grpc.is_some(), columns);
        let scheme = match head.scheme.map(|span| span.of(raw)) {
            Some(sent) => Some(sent).filter(|sent| is_scheme(sent)),
            None => Some(target.scheme.unwrap_or(by_transport)),
        };
        columns.scheme.push(scheme);
        if let Some(authority) = target.authority {
            columns.authority.push(authority);
            return escaped;
        }
        let sent = if let Some(span) = head.authority {
            Some((span.of(raw), *self.host_mask.get_or_insert_with(|| rules.redact.mask(b"host"))))
        } else {
            let known = &self.known[0];
            known.only(head, Meaning::Host).map(|host| (host, known.mask(&self.names, Meaning::Host)))
        };
        match sent {
            Some((host, mask)) => {
                scratch.clear();
                rules.redact.value(mask, host, scratch);
                escaped |= text::push(scratch, &mut columns.authority.bytes);
                columns.authority.close();
            }
            None => columns.authority.push_option(None),
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

    /// What carried the call: protocol, TLS, gRPC.
    fn protocol(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        let columns = &mut self.columns;
        let head = exchange.request.as_ref().or(exchange.response.as_ref()).map(|message| &message.head);
        match (exchange.protocol, head.map(|head| (head.version, head.fault))) {
            _ if exchange.grpc.is_some() => columns.protocol.push(Some(b"grpc")),
            (Protocol::WebSocket, _) => columns.protocol.push(Some(b"websocket")),
            (Protocol::Http2, _) if endpoints.tls.is_some() => columns.protocol.push(Some(b"h2")),
            (Protocol::Http2, _) => columns.protocol.push(Some(b"h2c")),
            (_, Some((Some((1, 1)), _))) => columns.protocol.push(Some(b"http/1.1")),
            (_, Some((Some((1, 0)), _))) => columns.protocol.push(Some(b"http/1.0")),
            (_, Some((Some((major, minor)), _))) => {
                columns.protocol.push(Some(format!("http/{major}.{minor}").as_bytes()));
            }
            (_, Some((None, None))) => columns.protocol.push(Some(b"http/0.9")),
            _ => columns.protocol.push(None),
        }
        let tls = endpoints.tls;
        columns.tls_version.push(tls.and_then(|tls| tls.version).and_then(tls_version));
        columns.tls_library.push(tls.and_then(|tls| tls.library).map(str::as_bytes));
        let grpc = exchange.grpc.unwrap_or_default();
        columns.grpc_status.push_option(grpc.status.and_then(|status| u16::try_from(status).ok()));
        columns.grpc_request_messages.push_option(grpc.request_messages);
        columns.grpc_response_messages.push_option(grpc.response_messages);
        columns.grpc_timeout.push_option(grpc.timeout.and_then(|timeout| i64::try_from(timeout).ok()));
    }

    /// Status, sizes, times and faults.
    fn measures(&mut self, exchange: &Exchange, request: Option<&Head>) {
        let columns = &mut self.columns;
        let (asked, answered) = (exchange.request.as_ref(), exchange.response.as_ref());
        let response = answered.map(|message| &message.head);
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
