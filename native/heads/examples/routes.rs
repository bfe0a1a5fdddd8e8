//! What a route costs, without columns: `cargo run --release -p heads --example routes`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use heads::rules::route::Scratch;
use heads::rules::Rules;
use std::hint::black_box;
use std::time::Instant;

const PATHS: [&str; 6] = [
    "/v1/users",
    "/v1/users/1234/orders",
    "/v1/users/6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "/v1/customers/cus_9s6XKzkNRiz8i3/invoices",
    "/assets/css/main.css",
    "/api/v2/orders/507f1f77bcf86cd799439011/items/7",
];
const ROUNDS: u32 = 300_000;

fn rules(templates: &[String]) -> Rules {
    let templates = serde_json::json!(templates);
    let text = format!(
        r#"{{"redact": {{"enabled": false, "fields": [], "query": []}}, "routes": {{"templates": {templates}}}}}"#
    );
    Rules::from_json(&text, b"").unwrap_or_else(|problem| panic!("{problem}"))
}

/// The best of a few rounds, since the machine is not ours alone.
fn measure(name: &str, rules: &Rules, paths: &[String]) {
    let mut scratch = Scratch::default();
    let mut best = u128::MAX;
    for _ in 0..9 {
        let started = Instant::now();
        for _ in 0..ROUNDS / 9 {
            for path in paths {
                black_box(rules.routes.find(b"GET", black_box(path.as_bytes()), &mut scratch));
            }
        }
        best = best.min(started.elapsed().as_nanos());
    }
    let calls = u128::from(ROUNDS / 9) * paths.len() as u128;
    println!("{name}: {} ns", best / calls.max(1));
}

fn main() {
    let none = rules(&[]);
    for path in PATHS {
        measure(&format!("inferred, {path}"), &none, &[path.to_owned()]);
    }
    measure("inferred, the six in turn", &none, &PATHS.map(str::to_owned));
    let templates: Vec<String> = (0..100)
        .flat_map(|number| {
            let base = format!("/v1/things{number}");
            [base.clone(), format!("GET {base}/{{id}}"), format!("{base}/{{id}}/parts/{{part}}")]
        })
        .collect();
    let paths: Vec<String> = (0..100).map(|number| format!("/v1/things{number}/1234/parts/5")).collect();
    measure("configured, 300 templates, a hundred paths in turn", &rules(&templates), &paths);
}
