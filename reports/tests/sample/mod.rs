//! Made-up reports that look like real ones, for the tests and for looking at the page.

use relay_reports::model::*;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const MIN: u64 = 60 * S;
const H: u64 = 60 * MIN;

/// Three Mains and six Homes for ten minutes: a partition of 90 s, a crash of 30 s, everything holds.
pub(crate) fn passed() -> Report {
    let bands = vec![
        band(120 * S, Some(210 * S), "partition", "relay-b cut off", &["relay-b"]),
        band(330 * S, Some(360 * S), "crash", "relay-c crashed", &["relay-c"]),
    ];
    let calls = traffic(600 * S, 120, 6, &bands, |_| 0);
    Report {
        schema_version: SCHEMA_VERSION,
        run: RunInfo {
            scenario: ScenarioInfo {
                name: "three-mains-six-homes".to_owned(),
                description: "Ten minutes of calls between all Homes, through a partition of one Main and the crash of another."
                    .to_owned(),
                file: "scenarios/federation/three-mains-six-homes.toml".to_owned(),
                duration_ns: 600 * S,
                text: "name = \"three-mains-six-homes\"\nduration = \"10m\"\n\n[[main]]\nname = \"relay-a\"\n".to_owned(),
            },
            seed: 7,
            version: "0.1.0 (98b7b20)".to_owned(),
            engine: "event".to_owned(),
            replay_command: "relay-sim run scenarios/federation/three-mains-six-homes.toml --seed 7".to_owned(),
            settings: settings(),
            parameters: Vec::new(),
        },
        verdict: Verdict::Passed,
        summary: Summary {
            headline: "All 4 gates and 5 invariants hold.".to_owned(),
            details: Vec::new(),
        },
        checks: Checks { gates: gates(), invariants: invariants(), metrics: metrics() },
        topology: Topology {
            mains: vec![
                MainInfo::new("relay-a", ["alice.home", "bob.home"].map(str::to_owned)),
                MainInfo::new("relay-b", ["carol.home", "dave.home"].map(str::to_owned)),
                MainInfo::new("relay-c", ["erin.home", "frank.home"].map(str::to_owned)),
            ],
        },
        history: History {
            fault_bands: bands,
            convergence: vec![
                settled(0, 1_240, "start"),
                settled(120, 180, "relay-b cut off"),
                settled(210, 11_830, "relay-b healed"),
                settled(330, 60, "relay-c crashed"),
                settled(360, 4_310, "relay-c restarted"),
            ],
            timeline: timeline(),
            timeline_total: 23,
            lanes: lanes(),
            likelihood: Vec::new(),
            series: vec![series()],
        },
        calls,
        trace_hash: "9f1c6a07d2b84e35a1f0c7d98e2b6453".to_owned(),
        wall: Some(WallFigures { wall_ns: 214 * MS, virtual_per_wall: 2803.5, events: 98_412 }),
    }
}

fn series() -> Series {
    let point = |at: u64| SeriesPoint {
        start_ns: at * 60_000 * MS,
        width_ns: 60_000 * MS,
        mean: 9 + at,
        max: 12 + at * 2,
    };
    Series {
        name: "table: calls".to_owned(),
        unit: "entries".to_owned(),
        of_machine: false,
        points: (0..10).map(point).collect(),
    }
}

/// The same run with a bug: gates fail, invariants are violated, code panicked.
pub(crate) fn failing() -> Report {
    let mut report = passed();
    let bands = report.history.fault_bands.clone();
    report.verdict = Verdict::Panicked;
    report.run.seed = 18_446_744_073_709_551_615;
    report.run.replay_command =
        "relay-sim run scenarios/federation/three-mains-six-homes.toml --seed 18446744073709551615"
            .to_owned();
    report.summary = Summary {
        headline: "relay-c panicked at 6:01.482, 2 invariants are violated and 4 gates fail.".to_owned(),
        details: vec![
            "relay-c, task link-session/4, at 6:01.482:\nthread panicked at node/src/link/session.rs:212:\nindex out of bounds: the len is 3 but the index is 3"
                .to_owned(),
        ],
    };
    for (gate, measured) in report.checks.gates.iter_mut().zip(["never", "61.20 %", "4.12 s", "5"]) {
        gate.holds = false;
        gate.measured = measured.to_owned();
    }
    report.checks.invariants[1].violated = 3;
    report.checks.invariants[1].violations = vec![
        violation(
            361_482,
            "relay-c answered call 4711 of alice.home to bob.home, which had asked for nothing",
        ),
        violation(
            361_502,
            "relay-c answered call 4712 of alice.home to bob.home, which had asked for nothing",
        ),
        violation(
            402_001,
            "relay-c answered call 5301 of carol.home to bob.home, which had asked for nothing",
        ),
    ];
    report.checks.invariants[2].violated = 1_204;
    report.checks.invariants[2].violations = vec![violation(
        361_600,
        "call 4720 went alice.home → relay-a → relay-b → relay-c → relay-a → relay-b: five hops",
    )];
    report.calls = traffic(600 * S, 120, 6, &bands, |second| match second {
        0..361 => 0,
        420..450 => 6,
        _ => 4,
    });
    report.history.convergence[4].settled_after_ns = None;
    report.history.timeline.push(event(
        361_482,
        Some("relay-c"),
        "panic",
        "index out of bounds: the len is 3 but the index is 3",
    ));
    report.history.timeline.push(event(
        361_482,
        Some("relay-c"),
        "violation",
        "an answer reached bob.home, which had asked for nothing",
    ));
    report.history.timeline.sort_by_key(|event| event.at_ns);
    report.history.timeline_total = 41_322;
    report.run.parameters = vec![
        NamedValue::new("failure rate", "10 %"),
        NamedValue::new("families", "partitions, crashes; no disk faults"),
    ];
    report.history.likelihood = [(0, 3), (120, 3), (240, 4), (300, 9), (330, 17), (345, 20), (360, 20)]
        .map(|(from_s, failed)| LikelihoodPoint { from_ns: from_s * S, runs: 20, failed })
        .to_vec();
    report.checks.invariants[1].history[36].violated = 3;
    for point in &mut report.checks.invariants[2].history[36..] {
        point.violated = 50;
    }
    let against = |metric: &mut Metric, value, standing| {
        metric.baseline = Some(Against { value, tolerance: "15 %".to_owned(), standing });
    };
    against(&mut report.checks.metrics[0], 10_200_000_000, Standing::Worse);
    against(&mut report.checks.metrics[1], 34_000_000, Standing::Within);
    against(&mut report.checks.metrics[2], 190_000_000, Standing::Better);
    report.history.lanes.nodes[2].marks.push(mark(361_482, "panic", "index out of bounds"));
    report
}

/// Not one call succeeded.
pub(crate) fn all_failing() -> Report {
    let mut report = passed();
    report.verdict = Verdict::GateFailed;
    report.summary.headline = "1 of 4 gates fails: success 0 %, limit ≥ 100 %.".to_owned();
    report.checks.gates[1].holds = false;
    report.checks.gates[1].measured = "0 %".to_owned();
    report.checks.gates[2].measured = "—".to_owned();
    report.history.fault_bands = vec![band(0, None, "link", "all links lose everything", &[])];
    let mut calls = traffic(600 * S, 120, 6, &[], |_| 6);
    calls.latency.iter_mut().for_each(|p| p.calls = 0);
    calls.slowest.clear();
    report.calls = calls;
    report
}

/// A scenario in which nothing takes part and nothing happens.
pub(crate) fn empty() -> Report {
    let mut report = passed();
    report.run.scenario = ScenarioInfo {
        name: "empty".to_owned(),
        description: String::new(),
        file: String::new(),
        duration_ns: 0,
        text: String::new(),
    };
    report.run.settings.clear();
    report.run.replay_command = "relay-sim run empty.toml --seed 7".to_owned();
    report.summary.headline = "Nothing had to hold.".to_owned();
    report.checks = Checks::default();
    report.topology = Topology::default();
    report.history = History::default();
    report.calls = Calls::default();
    report.wall = None;
    report
}

/// A day of 3,003 hosts with a fault every half hour.
pub(crate) fn day() -> Report {
    let mut report = passed();
    let kinds = [
        ("partition", "cut off"),
        ("crash", "crashed"),
        ("link", "slow link"),
        ("clock-skew", "clock 40 s ahead"),
    ];
    let bands: Vec<_> = (1..48_u64)
        .map(|i| {
            let (kind, label) = kinds[(i % 4) as usize];
            let host = format!("relay-{}", ["a", "b", "c"][(i % 3) as usize]);
            band(
                i * 30 * MIN,
                Some(i * 30 * MIN + (3 + i % 9) * MIN),
                kind,
                &format!("{host} {label}"),
                &[&host],
            )
        })
        .collect();
    report.run.scenario.name = "three-mains-three-thousand-homes".to_owned();
    report.run.scenario.duration_ns = 24 * H;
    report.calls = traffic(24 * H, 600, 300, &bands, |_| 0);
    report.history.convergence = bands
        .iter()
        .enumerate()
        .map(|(i, b)| settled(b.end_ns.unwrap_or(0) / S, 900 + 731 * (i as u64 % 17), "healed"))
        .collect();
    report.history.timeline = bands
        .iter()
        .flat_map(|b| {
            [
                event(b.start_ns / MS, b.hosts.first().map(String::as_str), "fault", &b.label),
                event(
                    b.end_ns.unwrap_or(0) / MS,
                    b.hosts.first().map(String::as_str),
                    "heal",
                    "back to normal",
                ),
            ]
        })
        .collect();
    report.history.timeline_total = 412_700;
    report.history.lanes = Lanes {
        nodes: ["relay-a", "relay-b", "relay-c"]
            .map(|name| {
                let of = bands.iter().filter(|b| b.hosts.iter().any(|host| host == name));
                let spans = of.map(|b| LaneSpan {
                    start_ns: b.start_ns,
                    end_ns: b.end_ns,
                    state: match b.kind.as_str() {
                        "partition" => "cut",
                        "crash" => "down",
                        "link" => "degraded",
                        _ => "faulted",
                    }
                    .to_owned(),
                    text: b.label.clone(),
                });
                lane(name, "main", spans.collect())
            })
            .to_vec(),
        nodes_total: 3_003,
        links: Vec::new(),
        links_touched: 4_001,
    };
    report.history.fault_bands = bands;
    report.topology.mains = ["a", "b", "c"]
        .map(|main| {
            MainInfo::new(format!("relay-{main}"), (1..=1_000).map(|i| format!("home-{main}-{i:04}")))
        })
        .to_vec();
    report
}

fn gates() -> Vec<Gate> {
    let gate = |name: &str, limit: &str, measured: &str, explanation: &str| Gate {
        name: name.to_owned(),
        limit: limit.to_owned(),
        measured: measured.to_owned(),
        holds: true,
        explanation: explanation.to_owned(),
    };
    vec![
        gate(
            "convergence",
            "≤ 20 s",
            "11.8 s",
            "From the last heal or restart until every Main's view of all services equals the truth.",
        ),
        gate(
            "success",
            "≥ 100 %",
            "100 %",
            "Calls that succeeded, of those whose path was whole from send to answer.",
        ),
        gate("latency p99", "≤ 250 ms", "118 ms", "Measured from the intended send time."),
        gate("hops", "≤ 3", "3", "Relays and Homes that a call passed after its caller."),
    ]
}

fn invariants() -> Vec<Invariant> {
    let invariant = |name: &str, checked: u64, statement: &str| Invariant {
        name: name.to_owned(),
        statement: statement.to_owned(),
        checked,
        violated: 0,
        violations: Vec::new(),
        history: (0..60)
            .map(|i| CheckPoint {
                start_ns: i * 10 * S,
                width_ns: 10 * S,
                checked: checked / 60,
                violated: 0,
            })
            .collect(),
    };
    vec![
        invariant("one-outcome", 3_594, "Every call ends in exactly one outcome before its deadline."),
        invariant(
            "answer-reaches-caller",
            3_411,
            "An answer reaches the caller that asked, and nobody else.",
        ),
        invariant("three-hops", 10_233, "No call takes more than three hops, and none passes a node twice."),
        invariant("no-inbound-home", 9_120, "No inbound connection reaches a Home."),
        invariant(
            "service-ttl",
            0,
            "A service is listed nowhere longer than its TTL after its Home is gone.",
        ),
    ]
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::new("convergence", Unit::Ns, Better::Lower, 11_830_000_000),
        Metric::new("p50", Unit::Ns, Better::Lower, 34_100_000),
        Metric::new("p99", Unit::Ns, Better::Lower, 118_000_000),
        Metric::new("success", Unit::Billionths, Better::Higher, 1_000_000_000),
        Metric::new("max_hops", Unit::Count, Better::Lower, 3),
    ]
}

fn settings() -> Vec<NamedValue> {
    [
        ("Mains", "3"),
        ("Homes", "6"),
        ("network: latency", "5ms"),
        ("network: jitter", "1ms"),
        ("node: heartbeat", "30s"),
        ("load everyone", "home-* call echo at home-*, 1/s each, timeout 10s"),
    ]
    .map(|(name, value)| NamedValue::new(name, value))
    .to_vec()
}

fn lanes() -> Lanes {
    let span = |start_s: u64, end_s: u64, state: &str, text: &str| LaneSpan {
        start_ns: start_s * S,
        end_ns: Some(end_s * S),
        state: state.to_owned(),
        text: text.to_owned(),
    };
    let cut = || span(120, 210, "cut", "relay-b cut off");
    let mut nodes = vec![
        lane("relay-a", "main", vec![]),
        lane("relay-b", "main", vec![cut()]),
        lane("relay-c", "main", vec![span(330, 360, "down", "relay-c crashed")]),
    ];
    nodes[2].marks = vec![mark(360_000, "start", "relay-c starts")];
    let homes = ["alice.home", "bob.home", "carol.home", "dave.home", "erin.home", "frank.home"];
    nodes.extend(homes.map(|name| lane(name, "home", vec![])));
    let mut links = ["relay-a – relay-b", "relay-b – relay-c", "carol.home – relay-b", "dave.home – relay-b"]
        .map(|name| lane(name, "link", vec![cut()]))
        .to_vec();
    links[0].marks = vec![
        mark(180_012, "lost", "relay-a lost its connection to relay-b"),
        mark(221_402, "connected", "relay-a is connected to relay-b again"),
    ];
    Lanes { nodes, nodes_total: 9, links, links_touched: 4 }
}

fn lane(name: &str, kind: &str, spans: Vec<LaneSpan>) -> Lane {
    Lane { name: name.to_owned(), kind: kind.to_owned(), spans, spans_left_out: 0, marks: Vec::new() }
}

fn mark(at_ms: u64, kind: &str, text: &str) -> LaneMark {
    LaneMark { at_ns: at_ms * MS, kind: kind.to_owned(), text: text.to_owned() }
}

fn timeline() -> Vec<TimelineEvent> {
    let mut events = vec![
        event(0, None, "start", "3 Mains and 6 Homes start"),
        event(212, Some("relay-a"), "link", "link to relay-b up"),
        event(214, Some("relay-a"), "link", "link to relay-c up"),
        event(231, Some("relay-b"), "link", "link to relay-c up"),
        event(1_240, None, "settled", "all views agree: 12 services"),
        event(
            120_000,
            Some("relay-b"),
            "fault",
            "partition: relay-b cut off from relay-a and relay-c for 90 s",
        ),
        event(180_012, Some("relay-a"), "link", "relay-b silent for 60 s: link closed"),
        event(180_019, Some("relay-c"), "link", "relay-b silent for 60 s: link closed"),
        event(180_102, None, "settled", "all views agree: 8 services"),
        event(210_000, Some("relay-b"), "heal", "partition healed"),
        event(221_402, Some("relay-a"), "link", "link to relay-b up, attempt 4"),
        event(221_588, Some("relay-c"), "link", "link to relay-b up, attempt 4"),
        event(221_830, None, "settled", "all views agree: 12 services"),
        event(330_000, Some("relay-c"), "crash", "process killed"),
        event(330_004, Some("relay-a"), "link", "link to relay-c reset"),
        event(330_004, Some("erin.home"), "link", "link to relay-c reset; next attempt in 0.9 s"),
        event(330_004, Some("frank.home"), "link", "link to relay-c reset; next attempt in 1.1 s"),
        event(360_000, Some("relay-c"), "restart", "started with its data"),
        event(360_188, Some("relay-c"), "link", "link to relay-a up"),
        event(363_902, Some("erin.home"), "registry", "registered at relay-c with 2 services"),
        event(364_120, Some("frank.home"), "registry", "registered at relay-c with 2 services"),
        event(364_310, None, "settled", "all views agree: 12 services"),
        event(600_000, None, "end", "3,594 calls ended, none in flight"),
    ];
    events.sort_by_key(|event| event.at_ns);
    events
}

/// `buckets` intervals of `per_second` calls; during a band a third of them fails, as expected.
fn traffic(
    duration_ns: u64,
    buckets: u64,
    per_second: u64,
    bands: &[FaultBand],
    unexpected: impl Fn(u64) -> u64,
) -> Calls {
    let width_ns = duration_ns / buckets;
    let mut noise = Noise(42);
    let mut calls = Calls::default();
    for i in 0..buckets {
        let start_ns = i * width_ns;
        let all = per_second * width_ns / S;
        let kind = bands
            .iter()
            .find(|b| start_ns < b.end_ns.unwrap_or(u64::MAX) && start_ns + width_ns > b.start_ns)
            .map(|b| b.kind.as_str());
        let hit = match kind {
            Some("partition" | "crash") => all * 55 / 100 - noise.below(all / 8 + 1),
            _ => 0,
        };
        let unexpected = (unexpected(start_ns / S) * width_ns / S).min(all - hit);
        let succeeded = all - hit - unexpected;
        let slow = match (unexpected, kind) {
            (1.., _) => 24_000,
            (0, Some(_)) => 1_500,
            (0, None) => 1_000,
        };
        let p50 = (31_000 + noise.below(6_000)) * slow;
        let p90 = p50 + (9_000 + noise.below(8_000)) * slow;
        let p99 = p90
            + (11_000 + noise.below(24_000) + if kind.is_some() { noise.below(30_000) } else { 0 }) * slow;
        let max = p99 + noise.below(9_000) * slow;
        calls.latency.push(LatencyPoint {
            start_ns,
            width_ns,
            calls: succeeded,
            p50_ns: p50,
            p90_ns: p90,
            p99_ns: p99,
            max_ns: max,
        });
        calls.rate.push(RatePoint {
            start_ns,
            width_ns,
            succeeded,
            failed_expected: hit,
            failed_unexpected: unexpected,
        });
        calls.totals.succeeded += succeeded;
        calls.totals.failed_expected += hit;
        calls.totals.failed_unexpected += unexpected;
    }
    let totals = &mut calls.totals;
    if totals.succeeded > 0 {
        (totals.p50_ns, totals.p90_ns, totals.p99_ns, totals.max_ns) =
            (34_100_000, 51_700_000, 118_000_000, 342_000_000);
    }
    let outcome = |code, name: &str, count| OutcomeCount { code, name: name.to_owned(), count };
    calls.outcomes = vec![
        outcome(None, "succeeded", totals.succeeded),
        outcome(Some(-32003), "no route (peer down)", totals.failed_expected * 4 / 5),
        outcome(Some(-32004), "timed out", totals.failed_expected - totals.failed_expected * 4 / 5),
        outcome(Some(-32006), "hop limit or loop", totals.failed_unexpected),
    ];
    calls.outcomes.retain(|outcome| outcome.count > 0);
    calls.outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.count));
    calls.slowest = vec![
        sample(210_482, 342, "succeeded", true, &["dave.home", "relay-b", "relay-a", "alice.home"]),
        sample(221_620, 301, "succeeded", true, &["alice.home", "relay-a", "relay-b", "carol.home"]),
        sample(364_322, 288, "succeeded", true, &["bob.home", "relay-a", "relay-c", "frank.home"]),
        sample(12_004, 174, "succeeded", true, &["alice.home", "relay-a", "bob.home"]),
    ];
    if calls.totals.failed_unexpected > 0 {
        calls.failed.push(sample(
            361_600,
            5_000,
            "hop limit or loop",
            true,
            &["alice.home", "relay-a", "relay-b", "relay-c", "relay-a", "relay-b"],
        ));
    }
    if calls.totals.failed_expected > 0 {
        calls.failed.push(sample(120_214, 5_000, "timed out", false, &["alice.home", "relay-a"]));
        calls.failed.push(sample(181_003, 14, "no route (peer down)", false, &["erin.home", "relay-c"]));
        calls.failed.push(sample(330_120, 9, "no route (peer down)", false, &["bob.home", "relay-a"]));
    }
    calls
}

/// A sequence of numbers that looks random and is always the same.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn band(start_ns: u64, end_ns: Option<u64>, kind: &str, label: &str, hosts: &[&str]) -> FaultBand {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    FaultBand { start_ns, end_ns, kind: kind.to_owned(), label: label.to_owned(), hosts }
}

fn settled(start_s: u64, after_ms: u64, cause: &str) -> ConvergencePoint {
    ConvergencePoint { start_ns: start_s * S, settled_after_ns: Some(after_ms * MS), cause: cause.to_owned() }
}

fn violation(at_ms: u64, text: &str) -> Violation {
    Violation { at_ns: at_ms * MS, text: text.to_owned() }
}

fn event(at_ms: u64, host: Option<&str>, kind: &str, text: &str) -> TimelineEvent {
    TimelineEvent {
        at_ns: at_ms * MS,
        host: host.map(str::to_owned),
        kind: kind.to_owned(),
        text: text.to_owned(),
    }
}

fn sample(at_ms: u64, latency_ms: u64, outcome: &str, path_whole: bool, path: &[&str]) -> CallSample {
    CallSample {
        at_ns: at_ms * MS,
        caller: path[0].to_owned(),
        target: "shop@carol.home".to_owned(),
        latency_ns: latency_ms * MS,
        outcome: outcome.to_owned(),
        path_whole,
        path: path.iter().map(|host| (*host).to_owned()).collect(),
        detail: Some(detail(latency_ms, outcome, path_whole, path)),
    }
}

fn detail(latency_ms: u64, outcome: &str, path_whole: bool, path: &[&str]) -> CallDetail {
    // Each node on the way back has it for a little less.
    let hops = path.iter().enumerate().map(|(i, node)| HopTime {
        node: (*node).to_owned(),
        took_ns: latency_ms * MS * (path.len() - i) as u64 / (path.len() as u64 + 1),
    });
    CallDetail {
        load: "everyone".to_owned(),
        service: "shop".to_owned(),
        callee: Some("carol.home".to_owned()),
        code: match outcome {
            "succeeded" => None,
            "timed out" => Some(-32004),
            _ => Some(-32003),
        },
        waited_ns: latency_ms * MS / 50,
        hops: hops.collect(),
        faults: if path_whole { Vec::new() } else { vec!["relay-b cut off".to_owned()] },
    }
}
