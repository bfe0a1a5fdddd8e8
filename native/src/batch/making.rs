//! One exchange into one row, column by column.

mod carried;
mod request_line;

use std::io::Write;
use std::net::IpAddr;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use heads::exchange::{Endpoints, Exchange, Head, Marks, Message, Protocol, Role, UNKNOWN};
use heads::rules::redact::Mask;
use heads::rules::select::Direction;
use heads::rules::trace::TraceParent;
use heads::rules::{Meaning, Rules};

use super::fields::{Known, Writer};
use super::links::{Link, LinkColumns, Links, Lookup};
use super::names::{Hints, Names};
use super::routes::Routing;
use super::rows::Source;
use super::table::Columns;
use carried::unresolved;
use request_line::host_and_path;

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

    /// Status, sizes, times and faults.
    fn measures(&mut self, exchange: &Exchange, request: Option<&Head>) {
        let columns = &mut self.columns;
        let (asked, answered) = (exchange.request.as_ref(), exchange.response.as_ref());
        let response = answered.map(|message| &message.head);
        columns.status.push_option(response.and_then(|head| head.status));
        columns.request_head_bytes.push_option(asked.map(|message| message.head_bytes));
        columns.request_body_bytes.push_option(asked.map(|message| message.body_bytes));
        // Of a head that did not come the size is not known.
        let head_bytes = answered.map(|message| message.head_bytes).filter(|bytes| *bytes > 0);
        columns.response_head_bytes.push_option(head_bytes);
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
