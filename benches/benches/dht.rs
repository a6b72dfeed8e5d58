//! The DHT: what a datagram costs a node, and what a lookup costs a network of 10 to 1,000 nodes.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark measures real time")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant as WallInstant};

use criterion::{Criterion, criterion_group};
use ed25519_dalek::SigningKey;
use plotters::prelude::*;
use rand::SeedableRng;
use relay_node::dht::krpc::{Body, Message, Method, Put, PutMutable, Query, Want};
use relay_node::dht::{
    BUCKET_SIZE, Config, Dht, Event, GetRequest, Id, Item, MutableItem, PutRequest, bencode::Value,
};
use relay_node::env::{Instant, Rng};

/// The same network in memory as the tests have.
#[path = "../../node/tests/dht/network.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod network;

use network::{Network, Weather, report_of};

const SIZES: [usize; 7] = [10, 20, 50, 100, 200, 500, 1_000];

/// Lookups, puts and gets of each size.
const COMMANDS: usize = 100;

fn item(number: usize) -> MutableItem {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let value = format!("400:{}", "x".repeat(400)).into_bytes();
    MutableItem::sign(&SigningKey::from_bytes(&seed), b"", 1, value).expect("the item is within its limits")
}

/// Where the curves are drawn.
const PLOT_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/dht-growth.svg");

/// Prints a table, nothing of which is time but the last columns; gives the queries of a lookup, a put and a get by size.
fn growth() -> Vec<(usize, [f64; 3])> {
    let mut curves = Vec::new();
    println!(
        "| nodes | queries per lookup | per put | per get | get ms (virtual) | bytes per node and hour | joining s | virtual s per s |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for nodes in SIZES {
        let begun = WallInstant::now();
        let mut network = Network::joined(1, Weather::FAIR, nodes);
        let joining = begun.elapsed();
        let (mut lookups, mut puts, mut gets, mut took) = (0, 0, 0, Duration::ZERO);
        for at in 0..COMMANDS {
            let target = Id::random(network.rng());
            match network.command(at * 7 % nodes, |dht, now| dht.find_node(target, now)) {
                Event::Found { cost, .. } => lookups += cost.queries,
                other => panic!("{other:?}"),
            }
            let request = PutRequest::of(Item::Mutable(item(at)));
            let put = network.command(at * 11 % nodes, |dht, now| dht.put(request, now));
            if let Event::Stored { cost, .. } = &put {
                puts += cost.queries;
            }
            assert!(report_of(put).taken.len() >= BUCKET_SIZE.min(nodes - 1));
            let request = GetRequest::of_key(&item(at).key, b"");
            match network.command(at * 13 % nodes, |dht, now| dht.get(request, now)) {
                Event::Got { found, cost, .. } => {
                    assert!(found.item.is_some());
                    gets += cost.queries;
                    took += cost.took;
                }
                other => panic!("{other:?}"),
            }
        }
        network.run(Duration::from_secs(1_800));
        let (begun, before) = (WallInstant::now(), network.sent.1);
        network.run(Duration::from_secs(3_600));
        let bytes = (network.sent.1 - before) / nodes as u64;
        let each = |queries: u32| f64::from(queries) / COMMANDS as f64;
        curves.push((nodes, [each(lookups), each(puts), each(gets)]));
        println!(
            "| {nodes} | {:.1} | {:.1} | {:.1} | {} | {bytes} | {:.2} | {:.0} |",
            each(lookups),
            each(puts),
            each(gets),
            took.as_millis() / COMMANDS as u128,
            joining.as_secs_f64(),
            3_600.0 / begun.elapsed().as_secs_f64(),
        );
    }
    curves
}

/// Draws what a lookup costs over the number of nodes, on a logarithmic axis: a cost that grows with the logarithm is a
/// straight line there. The dashes are eight answers, which any lookup needs, and one query for each doubling.
fn plot(curves: &[(usize, [f64; 3])]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(PLOT_FILE, (800, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (least, most) = (SIZES[0] as f64, SIZES[SIZES.len() - 1] as f64);
    let highest = curves.iter().flat_map(|(_, costs)| costs).fold(0.0_f64, |a, b| a.max(*b));
    let mut chart = ChartBuilder::on(&root)
        .caption("Queries of one command of the DHT, by nodes", ("sans-serif", 20))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d((least..most).log_scale(), 0.0..highest * 1.1)?;
    let whole = |number: &f64| format!("{number:.0}");
    chart
        .configure_mesh()
        .x_desc("nodes")
        .y_desc("queries")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .draw()?;
    for (at, (name, colour)) in [("lookup", &BLUE), ("put", &RED), ("get", &GREEN)].into_iter().enumerate() {
        let points = curves.iter().map(|(nodes, costs)| (*nodes as f64, costs[at]));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let logarithm = SIZES.map(|nodes| (nodes as f64, 8.0 + (nodes as f64 / 8.0).log2()));
    chart
        .draw_series(DashedLineSeries::new(logarithm, 4, 4, BLACK.stroke_width(1)))?
        .label("8 + log₂(n / 8)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK));
    chart.configure_series_labels().position(SeriesLabelPosition::LowerRight).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}

fn asker() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4_000))
}

fn query(method: Method<'_>) -> Vec<u8> {
    let query = Query { id: Id::from_bytes([5; 20]), read_only: true, method };
    Message { transaction: b"tttt", version: None, body: Body::Query(query) }.encode()
}

fn datagrams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dht");
    // A node in the midst of 200, as others left it.
    let mut network = Network::joined(1, Weather::FAIR, 200);
    let item = item(1);
    let target = item.target();
    network.command(0, |dht, now| dht.put(PutRequest::of(Item::Mutable(item.clone())), now));
    let (holder, mut at) = (network.closest(&target)[0], network.now);
    let dht = &mut network.host_mut(holder).dht;
    let mut answer = |dht: &mut Dht, datagram: &[u8]| {
        // A millisecond between two, so that the limits are not what is measured.
        at = at + Duration::from_millis(1);
        dht.handle(datagram, asker(), at);
        dht.poll_transmit().expect("it is answered").datagram
    };
    let want = Want::UNSAID;
    let get = query(Method::Get { target, newer_than: None, want });
    for (name, datagram) in [
        ("ping", query(Method::Ping)),
        ("find_node", query(Method::FindNode { target, want })),
        ("get", get.clone()),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| answer(dht, black_box(&datagram))));
    }
    let answered = answer(dht, &get);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Message::decode(black_box(&answered)).is_ok());
    });
    // Each time a later version: its signature is verified.
    let key = SigningKey::from_bytes(&[7; 32]);
    let newer = (1..).map(|seq| {
        MutableItem::sign(&key, b"", seq, b"5:value".to_vec()).expect("the item is within its limits")
    });
    let (mut newer, mut fresh) =
        (newer, Dht::new(Config::v4(Id::from_bytes([1; 20])), Rng::seed_from_u64(1), Instant::default()));
    group.bench_function("put", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for item in newer.by_ref().take(rounds as usize) {
                let get = query(Method::Get { target: item.target(), newer_than: None, want });
                let answered = answer(&mut fresh, &get);
                let Ok(Message { body: Body::Response(response), .. }) = Message::decode(&answered) else {
                    panic!("a get is answered")
                };
                let MutableItem { key, seq, signature, value, .. } = &item;
                let mutable = PutMutable { key, salt: &[], seq: *seq, signature, cas: None };
                let value = Value::parse(value).expect("the value is bencoded");
                let token = response.token.expect("a get is answered with a token");
                let put = query(Method::Put(Put { token, value, mutable: Some(mutable) }));
                let begun = WallInstant::now();
                black_box(answer(&mut fresh, &put));
                took += begun.elapsed();
            }
            took
        });
    });
    group.finish();
}

criterion_group!(benches, datagrams);

fn main() {
    let curves = growth();
    match plot(&curves) {
        Ok(()) => println!("drawn: target/dht-growth.svg"),
        Err(error) => println!("not drawn: {error}"),
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
