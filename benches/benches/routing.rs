//! One call through a Main's router: the request is sent on to the Main behind which the service is, and the answer
//! passed back, so that nothing piles up. With few and with many services in the registry.

#![expect(missing_docs, reason = "criterion's macros make public functions")]

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use relay_node::env::{Instant, UnixTime};
use relay_node::federation::{Action, LinkId, LinkInfo, LinkRole, Moment, Router, RouterConfig};
use relay_node::wire::{
    Announced, Body, DEFAULT_TTL, Discovery, Frame, Header, NodeAddress, NodeId, NodeKind, Registration,
    Request, Response, payload,
};

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

fn home(text: &str) -> NodeAddress {
    NodeAddress { kind: NodeKind::Home, id: id(text), main_relay: None }
}

fn frame(source: NodeAddress, path: &[&str], message_id: String, body: Body) -> Frame {
    let header = Header {
        message_id,
        correlation_id: None,
        timestamp: "2026-01-02T03:04:05.678Z".into(),
        source,
        destination: None,
        path: path.iter().map(|node| id(node)).collect(),
        ttl: DEFAULT_TTL,
        priority: None,
    };
    Frame { header, body }
}

impl Main {
    fn new(services: usize) -> Self {
        let at = Moment { now: Instant::from_nanos(1), unix: UnixTime::default() };
        let mut router = Router::new(RouterConfig {
            me: id("relay-a"),
            kind: NodeKind::Main,
            boot: "boot".into(),
            public_key: "00".repeat(32),
            address: None,
            listen_port: None,
            services: Vec::new(),
            registry_ttl: Duration::from_secs(600),
            call_timeout: Duration::from_secs(60),
        });
        let mut link = |node: &str, role| {
            let link = router.new_link();
            let info = LinkInfo {
                node: id(node),
                role,
                boot: None,
                dialled: false,
                modern: true,
                address: None,
                since: at.now,
            };
            router.link_up(link, info, Registration::default(), at);
            link
        };
        let (home_link, peer) = (link("alice", LinkRole::Home), link("relay-b", LinkRole::Peer));
        let announced = (0..services).map(|at| Announced {
            name: format!("service-{at}"),
            node_id: id(&format!("home-{at}")),
            node_type: NodeKind::Home,
            methods: Vec::new(),
        });
        let news =
            Discovery { full: true, version: 1, services: announced.collect(), ..Discovery::default() };
        let relay_b = NodeAddress { kind: NodeKind::Main, id: id("relay-b"), main_relay: None };
        router.handle(peer, frame(relay_b, &[], "news".into(), Body::Discovery(news)), at);
        Main { router, at, home: home_link, peer, services, calls: 0 }
    }

    /// The next call of Alice's and the answer to it.
    fn next_call(&mut self, by: By) -> (Frame, Frame) {
        self.calls += 1;
        let target = self.calls % self.services;
        let message_id = format!("call-{}", self.calls);
        let request = Request {
            service: format!("service-{target}"),
            method: "list".into(),
            call: Some(payload(&"carried as it is")),
            timeout_seconds: Some(60),
        };
        let mut call = frame(home("alice"), &["alice"], message_id.clone(), Body::Request(request));
        if matches!(by, By::Node) {
            call.header.destination = Some(home(&format!("home-{target}")));
        }
        let response = Body::Response(Response::new(Ok(payload(&"done"))));
        let mut answer =
            frame(home(&format!("home-{target}")), &["home-0", "relay-b"], "answer".into(), response);
        answer.header.correlation_id = Some(message_id);
        answer.header.destination = Some(home("alice"));
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

criterion_group!(benches, routing);
criterion_main!(benches);
