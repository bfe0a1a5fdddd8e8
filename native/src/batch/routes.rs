//! The route of each row, found once for a run of calls of the same path.

use heads::rules::route::{Origin, Routes, Scratch};

use super::columns::NULL;
use super::table::Columns;

/// What the last call was, and the keys that it got.
#[derive(Default)]
pub(super) struct Routing {
    method: Vec<u8>,
    path: Vec<u8>,
    grpc: bool,
    keys: Option<(i32, i32)>,
    scratch: Scratch,
}

impl Routing {
    /// Drops what was decided under other rules, or for another batch.
    pub(super) fn forget(&mut self) {
        self.keys = None;
    }

    /// `path` as it may be seen; `method` as it was sent, since templates are compared with it and it is not shown.
    /// `grpc`: the call is gRPC.
    #[inline]
    pub(super) fn push(
        &mut self,
        routes: &Routes,
        method: &[u8],
        path: Option<&[u8]>,
        grpc: bool,
        columns: &mut Columns,
    ) {
        let (route, source) = match (path, self.keys) {
            (None, _) => (NULL, NULL),
            (Some(path), Some(keys)) if self.path == path && self.method == method && self.grpc == grpc => keys,
            (Some(path), _) => {
                self.grpc = grpc;
                self.find(routes, method, path, columns)
            }
        };
        columns.route.push_key(route);
        columns.route_source.push_key(source);
    }

    fn find(&mut self, routes: &Routes, method: &[u8], path: &[u8], columns: &mut Columns) -> (i32, i32) {
        for (kept, now) in [(&mut self.method, method), (&mut self.path, path)] {
            kept.clear();
            kept.extend_from_slice(now);
        }
        let named = self.grpc && is_grpc_method(path);
        let keys = match routes.find(method, path, &mut self.scratch) {
            found if named && found.is_none_or(|(_, origin)| origin == Origin::Inferred) => {
                (columns.route.dictionary.key(path), columns.route_source.dictionary.key(b"grpc"))
            }
            Some((route, origin)) => {
                (columns.route.dictionary.key(route), columns.route_source.dictionary.key(origin.name().as_bytes()))
            }
            None => (NULL, NULL),
        };
        self.keys = Some(keys);
        keys
    }
}

/// `/package.Service/Method`: names of Protocol Buffers (gRPC over HTTP2, `Path`), whatever the digits in them.
fn is_grpc_method(path: &[u8]) -> bool {
    let is_name =
        |text: &[u8]| !text.is_empty() && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let mut parts = path.split(|&byte| byte == b'/');
    let (root, service, method) = (parts.next(), parts.next(), parts.next());
    root.is_some_and(<[u8]>::is_empty)
        && service.is_some_and(|service| service.split(|&byte| byte == b'.').all(is_name))
        && method.is_some_and(is_name)
        && parts.next().is_none()
}

#[cfg(test)]
#[allow(clippy::pedantic, clippy::print_stderr, reason = "tests and a measurement: read, not shipped")]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_array::{RecordBatch, StringArray};
    use heads::exchange::{Exchange, Log};

    use crate::batch::tests::{endpoints, exchange, rules};
    use crate::batch::{Rows, Source};

    const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\r\n";

    fn called(line: &str) -> Exchange {
        exchange(&format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n"), RESPONSE)
    }

    fn words(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
        let array = batch.column_by_name(column).unwrap().as_dictionary::<Int32Type>();
        array.downcast_dict::<StringArray>().unwrap().into_iter().map(|word| word.map(str::to_owned)).collect()
    }

    /// Route and source of each call.
    fn routes(more: &str, exchanges: &[Exchange]) -> Vec<Option<(String, String)>> {
        let mut rows = Rows::new(rules(more), (), Source::Pcap, "pcap");
        exchanges.iter().for_each(|exchange| rows.exchange(&endpoints(1), exchange));
        let batch = rows.finish().unwrap().unwrap();
        words(&batch, "route")
            .into_iter()
            .zip(words(&batch, "route_source"))
            .map(|(route, source)| route.zip(source))
            .collect()
    }

    fn inferred(route: &str) -> Option<(String, String)> {
        Some((route.to_owned(), "inferred".to_owned()))
    }

    #[test]
    fn runs_and_changes_of_paths_give_each_row_its_own_route() {
        let lines = ["GET /a/1", "GET /a/1", "GET /a/2?x=1", "GET /b", "GET /a/1", "GET http://h/a/3", "GET http://h"];
        let exchanges: Vec<Exchange> = lines.into_iter().map(called).collect();
        let expected = ["/a/{id}", "/a/{id}", "/a/{id}", "/b", "/a/{id}", "/a/{id}", "/"];
        assert_eq!(routes("", &exchanges), expected.map(inferred));
    }

    #[test]
    fn a_call_without_a_path_has_no_route() {
        let only_response = Exchange { request: None, ..called("GET /") };
        let exchanges =
            [called("GET /a"), called("CONNECT h:443"), called("OPTIONS *"), only_response, called("GET /a")];
        assert_eq!(routes("", &exchanges), [inferred("/a"), None, None, None, inferred("/a")]);
    }

    #[test]
    fn the_method_counts_in_a_run_of_one_path() {
        let more = r#", "routes": {"templates": ["GET /a/{x}", "/a/{y}"], "infer": false}"#;
        let configured = |route: &str| Some((route.to_owned(), "configured".to_owned()));
        let exchanges =
            [called("GET /a/1"), called("PUT /a/1"), called("PUT /a/1"), called("GET /a/1"), called("GET /b")];
        let expected = ["/a/{x}", "/a/{y}", "/a/{y}", "/a/{x}"].map(configured);
        assert_eq!(routes(more, &exchanges), [&expected[..], &[None]].concat());
    }

    #[test]
    fn a_secret_is_no_part_of_a_route_and_bytes_that_are_no_text_are_escaped() {
        let request = b"GET /\xff/7;token=S3CRET HTTP/1.1\r\n\r\n";
        let escaped = Exchange { request: Some(crate::batch::tests::message(request, 0)), ..called("GET /") };
        assert_eq!(routes("", &[escaped]), [inferred("/\\xff/7;token={secret}")]);
    }

    #[test]
    fn other_rules_and_another_batch_begin_anew() {
        let mut rows = Rows::new(rules(""), (), Source::Pcap, "pcap");
        let call = called("GET /a/1");
        rows.exchange(&endpoints(1), &call);
        rows.set_rules(rules(r#", "routes": {"templates": ["/a/{x}"]}"#));
        rows.exchange(&endpoints(1), &call);
        let first = rows.finish().unwrap().unwrap();
        rows.exchange(&endpoints(1), &called("GET /b"));
        rows.exchange(&endpoints(1), &call);
        let second = rows.finish().unwrap().unwrap();
        let own = |list: [&str; 2]| list.map(|text| Some(text.to_owned()));
        assert_eq!(words(&first, "route"), own(["/a/{id}", "/a/{x}"]));
        assert_eq!(words(&first, "route_source"), own(["inferred", "configured"]));
        assert_eq!(words(&second, "route"), own(["/b", "/a/{x}"]));
    }
    /// `cargo test --release -p native -- --ignored --nocapture cost`
    #[test]
    #[ignore = "a measurement"]
    fn the_cost_of_a_route() {
        let call = |number: u64| called(&format!("GET /v1/users/{}/orders?page=2", 1000 + number % 997));
        let (run, changing) = (vec![call(0)], (0..997).map(call).collect::<Vec<_>>());
        let templates = r#", "routes": {"templates": ["/v1/users/{user}/orders"]}"#;
        for (name, exchanges) in [("one path", &run), ("another path each time", &changing)] {
            let mut best = [f64::MAX; 3];
            for _ in 0..60 {
                for (more, best) in [r#", "routes": {"infer": false}"#, "", templates].iter().zip(&mut best) {
                    let mut rows = Rows::new(rules(more), (), Source::Pcap, "pcap");
                    let start = std::time::Instant::now();
                    for index in 0..4096 {
                        rows.exchange(&endpoints(1), &exchanges[index % exchanges.len()]);
                    }
                    *best = best.min(start.elapsed().as_nanos() as f64 / 4096.0);
                }
            }
            let [without, inferred, configured] = best;
            eprintln!(
                "{name}: a row {without:.0} ns, with an inferred route {inferred:.0}, configured {configured:.0}"
            );
        }
    }
}
