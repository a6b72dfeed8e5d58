//! The rows of the table: each a way of calling, measured for all contenders in turns.

use std::time::Duration;

use crate::args::Options;
use crate::drive::{self, Figures};
use crate::field::{Chain, Contender, Kind};
use crate::table;

/// A way of calling.
struct Row {
    name: &'static str,
    load: Load,
    /// Bytes of arguments.
    payload: usize,
    /// Calls in one HTTP request; NATS sends them one after the other without waiting.
    batch: usize,
}

enum Load {
    /// Connections, and callers on each.
    Closed(usize, usize),
    /// Connections, and calls a second.
    Open(usize, f64),
}

const ROWS: [Row; 6] = [
    Row { name: "1 caller, 128 B", load: Load::Closed(1, 1), payload: 128, batch: 1 },
    Row { name: "50 callers on 50 connections, 128 B", load: Load::Closed(50, 1), payload: 128, batch: 1 },
    Row { name: "50 callers on 1 connection, 128 B", load: Load::Closed(1, 50), payload: 128, batch: 1 },
    Row { name: "batches of 50 on 1 connection, 128 B", load: Load::Closed(1, 1), payload: 128, batch: 50 },
    Row { name: "open loop, 2000/s, 128 B", load: Load::Open(50, 2_000.0), payload: 128, batch: 1 },
    Row {
        name: "50 callers on 50 connections, 16 KiB",
        load: Load::Closed(50, 1),
        payload: 16 * 1024,
        batch: 1,
    },
];

/// Measures the rows that are wanted, and prints them.
pub(crate) fn run(options: &Options, contenders: &[Contender]) -> Result<(), String> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| options.wants(row.name)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    table::head();
    for row in rows {
        let mut best: Vec<Option<Figures>> = vec![None; contenders.len()];
        for _ in 0..options.rounds {
            for (contender, best) in contenders.iter().zip(&mut best) {
                let chain = contender.start().map_err(|error| format!("{}: {error}", contender.name))?;
                let figures = row.measure(&chain, options.length);
                let figures =
                    figures.map_err(|error| format!("{}, {}: {error}", contender.name, row.name))?;
                *best = Some(match best.take() {
                    None => figures,
                    Some(before) => before.or_better(&figures),
                });
            }
        }
        let best: Vec<Figures> = best.into_iter().flatten().collect();
        table::row(row.name, contenders, &best);
    }
    println!();
    Ok(())
}

impl Row {
    fn measure(&self, chain: &Chain, length: Duration) -> Result<Figures, String> {
        // NATS has no batches: it has the same calls on the way at once.
        let (batch, more) = match chain.kind {
            Kind::Relay => (self.batch, 1),
            Kind::Nats => (1, self.batch),
        };
        let (wire, cpu) = (|| chain.wire(self.payload, batch), || chain.cpu_seconds());
        match self.load {
            Load::Closed(connections, callers) => {
                drive::closed(chain.door, (connections, callers * more), length, wire, cpu)
            }
            Load::Open(connections, rate) => drive::open(chain.door, (connections, rate), length, wire, cpu),
        }
    }
}

impl Figures {
    /// The best of both in each figure: what others do on the machine only ever makes them worse.
    fn or_better(&self, other: &Figures) -> Figures {
        Figures {
            calls_per_second: self.calls_per_second.max(other.calls_per_second),
            p50: self.p50.min(other.p50),
            p99: self.p99.min(other.p99),
            p999: self.p999.min(other.p999),
            cpu_per_1000: self.cpu_per_1000.min(other.cpu_per_1000),
        }
    }
}
