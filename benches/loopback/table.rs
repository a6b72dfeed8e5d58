//! The table, as the README has it.

use crate::drive::Figures;
use crate::field::Contender;

pub(crate) fn head() {
    println!("| load | who | calls/s | p50 µs | p99 µs | p999 µs | CPU s per 1,000 | calls/s : last |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
}

/// One line per contender; the last one is what the others are compared with.
pub(crate) fn row(name: &str, contenders: &[Contender], figures: &[Figures]) {
    let last = figures.last().map_or(1.0, |figures| figures.calls_per_second);
    for (contender, it) in contenders.iter().zip(figures) {
        println!(
            "| {name} | {} | {:.0} | {} | {} | {} | {:.3} | {:.2} |",
            contender.name,
            it.calls_per_second,
            it.p50,
            it.p99,
            it.p999,
            it.cpu_per_1000,
            it.calls_per_second / last,
        );
    }
}
