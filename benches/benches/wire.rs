//! Reading and writing one request and one response.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relay_node::wire::{decode, encode};

/// A call on its second hop, with arguments of the size that most have.
const REQUEST: &str = r#"{"type":"request","message_id":"5f2c1a9e-4711","timestamp":"2026-01-02T03:04:05.678Z",
"source_node":{"type":"home","id":"alice.home","main_relay":"relay-a.com"},
"destination_node":{"type":"home","id":"bob.home","main_relay":"relay-b.com"},
"routing_path":["alice.home","relay-a.com"],"ttl":8,"server_name":"blog","method":"list_posts",
"jsonrpc_request":{"jsonrpc":"2.0","method":"list_posts","params":{"since":"2025-12-01","tags":["rust","relay"],
"limit":20},"id":"5f2c1a9e-4711"},"timeout_seconds":60}"#;

/// Its answer on the way back.
const RESPONSE: &str = r#"{"type":"response","message_id":"91d2c0aa-17","correlation_id":"5f2c1a9e-4711",
"timestamp":"2026-01-02T03:04:05.690Z","source_node":{"type":"home","id":"bob.home","main_relay":"relay-b.com"},
"destination_node":{"type":"home","id":"alice.home","main_relay":"relay-a.com"},
"routing_path":["bob.home","relay-b.com"],"ttl":8,
"data":{"success":true,"result":[{"title":"Three hops are enough","at":"2025-12-24"},{"title":"Homes come back"}]}}"#;

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (kind, text) in [("request", REQUEST), ("response", RESPONSE)] {
        let frame = decode(text).expect("the frame is sound");
        let ours = encode(&frame);
        group.throughput(Throughput::Bytes(ours.len() as u64));
        group.bench_function(format!("decode/{kind}"), |bencher| bencher.iter(|| decode(black_box(&ours))));
        // As a relay of other making may write it: read by the general reader.
        group.bench_function(format!("decode/{kind}-of-others"), |bencher| {
            bencher.iter(|| decode(black_box(text)));
        });
        group.bench_function(format!("encode/{kind}"), |bencher| bencher.iter(|| encode(black_box(&frame))));
    }
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
