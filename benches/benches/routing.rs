//! One call through a Main's router: the request is sent on to the Main behind which the service is, and the answer
//! passed back, so that nothing piles up. With few and with many services in the registry.

use std::collections::BTreeMap;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use relay_node::env::{Instant, Rng, UnixTime};
use relay_node::federation::{Action, LinkId, LinkInfo, LinkRole, Moment, Router, RouterConfig};
use relay_node::wire::{Frame, NodeId, NodeKind, Registration, decode};
use serde_json::{Value, json};

const SIZES: [usize; 2] = [10, 10_000];

/// How a call names whom it is for.
#[derive(Clone, Copy)]
enum By {
    /// Any node that offers the service.
    Service,
    /// This node.
    Node,
}

/// A Main with one Home that calls and one peer that announces services.
struct Main {
    router: Router,
    at: Moment,
    home: LinkId,
    peer: LinkId,
    services: usize,
    calls: usize,
}

fn id(text: &str) -> NodeId {
    text.parse().expect("the node id is sound")
}

/// A frame as it comes from the wire: `fields` on top of what every message has.
fn frame(kind: &str, message_id: &str, from: (&str, &str), path: &[&str], fields: Value) -> Frame {
    let mut message = json!({
        "type": kind,
        "message_id": message_id,
        "timestamp": "2026-01-02T03:04:05.678Z",
        "source_node": { "type": from.0, "id": from.1 },
        "routing_path": path,
    });
    let object = message.as_object_mut().expect("a message is an object");
    object.extend(fields.as_object().expect("fields are an object").clone());
    decode(&message.to_string()).expect("the frame is sound")
}

impl Main {
    fn new(services: usize) -> Self {
        let at = Moment { now: Instant::from_nanos(1), unix: UnixTime::default() };
        let config = RouterConfig {
            me: id("relay-a"),
            kind: NodeKind::Main,
            introduction: Registration::default(),
            balance: BTreeMap::new(),
            registry_ttl: Duration::from_secs(600),
            call_timeout: Duration::from_secs(60),
            home_calls_per_second: None,
        };
        let mut router = Router::new(config, Rng::seed_from_u64(1));
        let mut link = |node: &str, role| {
            let link = router.new_link();
            let info = LinkInfo {
                node: id(node),
                role,
                boot: None,
                key: None,
                dialled: false,
                modern: true,
                older_mesh: false,
                address: None,
                since: at.now,
            };
            router.link_up(link, info, Registration::default(), at);
            link
        };
        let (home_link, peer) = (link("alice", LinkRole::Home), link("relay-b", LinkRole::Peer));
        let entry = |at| json!({ "name": format!("service-{at}"), "node_id": format!("home-{at}") });
        let announced: Vec<Value> = (0..services).map(entry).collect();
        let news = json!({ "data": { "full": true, "version": 1, "services": announced } });
        router.handle(peer, frame("service_discovery", "news", ("main", "relay-b"), &[], news), at);
        Main { router, at, home: home_link, peer, services, calls: 0 }
    }

    /// The next call of Alice's and the answer to it.
    fn next_call(&mut self, by: By) -> (Frame, Frame) {
        self.calls += 1;
        let target = self.calls % self.services;
        let (message_id, home) = (format!("call-{}", self.calls), format!("home-{target}"));
        let mut request = json!({
            "server_name": format!("service-{target}"),
            "method": "list",
            "jsonrpc_request": { "jsonrpc": "2.0", "method": "list", "params": ["carried as it is"], "id": 1 },
            "timeout_seconds": 60,
        });
        if matches!(by, By::Node) {
            request["destination_node"] = json!({ "type": "home", "id": home });
        }
        let response = json!({
            "correlation_id": message_id,
            "destination_node": { "type": "home", "id": "alice" },
            "data": { "success": true, "result": "done" },
        });
        let call = frame("request", &message_id, ("home", "alice"), &["alice"], request);
        let answer = frame("response", "answer", ("home", &home), &[&home, "relay-b"], response);
        (call, answer)
    }

    /// Both decisions.
    fn carry(&mut self, (call, answer): (Frame, Frame)) -> (Vec<Action>, Vec<Action>) {
        (self.router.handle(self.home, call, self.at), self.router.handle(self.peer, answer, self.at))
    }
}

/// Panics unless a call really goes out to the peer and its answer back to Alice.
fn check(main: &mut Main, by: By) {
    let call = main.next_call(by);
    let (there, back) = main.carry(call);
    assert!(matches!(there[..], [Action::Send(link, _)] if link == main.peer), "{there:?}");
    assert!(matches!(back[..], [Action::Send(link, _)] if link == main.home), "{back:?}");
    assert_eq!(main.router.in_flight(), 0);
}

fn routing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routing");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (name, by) in [("by_service", By::Service), ("by_node", By::Node)] {
        for services in SIZES {
            let main = std::cell::RefCell::new(Main::new(services));
            check(&mut main.borrow_mut(), by);
            group.bench_function(BenchmarkId::new(name, services), |bencher| {
                let (prepare, carry) =
                    (|| main.borrow_mut().next_call(by), |call| main.borrow_mut().carry(call));
                bencher.iter_batched(prepare, carry, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

/// The lookup alone: who offers a service.
fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for services in SIZES {
        let main = Main::new(services);
        let registry = main.router.registry();
        let names: Vec<String> = (0..services).map(|at| format!("service-{at}")).collect();
        assert!(names.iter().all(|name| registry.instances_of(name) == 1));
        let mut next = names.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| registry.instances_of(next.next().expect("a cycle has no end")));
        });
    }
    group.finish();
}

criterion_group!(benches, routing, lookup);
criterion_main!(benches);
