//! Reading and writing one request frame.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use relay_node::wire::{decode, encode};

/// A call on its second hop, with arguments of the size that most have.
const REQUEST: &str = r#"{"type":"request","message_id":"5f2c1a9e-4711","timestamp":"2026-01-02T03:04:05.678Z",
"source_node":{"type":"home","id":"alice.home","main_relay":"relay-a.com"},
"destination_node":{"type":"home","id":"bob.home","main_relay":"relay-b.com"},
"routing_path":["alice.home","relay-a.com"],"ttl":8,"server_name":"blog","method":"list_posts",
"jsonrpc_request":{"jsonrpc":"2.0","method":"list_posts","params":{"since":"2025-12-01","tags":["rust","relay"],
"limit":20},"id":"5f2c1a9e-4711"},"timeout_seconds":60}"#;

fn wire(criterion: &mut Criterion) {
    let frame = decode(REQUEST).expect("the frame is sound");
    let mut group = criterion.benchmark_group("wire");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(encode(frame.clone()).len() as u64));
    group.bench_function("decode", |bencher| bencher.iter(|| decode(black_box(REQUEST))));
    group.bench_function("encode", |bencher| {
        bencher.iter_batched(|| frame.clone(), encode, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
