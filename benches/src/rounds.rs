//! Measuring: interleaved rounds of all variants, the best of each, as a ratio to a peer in the same run.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use crate::allocations;

/// Rounds of every variant; between two of them other work of the machine moves on.
const ROUNDS: usize = 15;

/// One thing to measure.
pub(crate) struct Variant<'a> {
    name: &'a str,
    batch: usize,
    /// Runs a round and gives its time.
    body: Box<dyn FnMut(usize) -> Duration + 'a>,
    best_ns: f64,
    allocations: f64,
}

impl<'a> Variant<'a> {
    /// A variant whose `body` is called `batch` times a round.
    pub(crate) fn new(name: &'a str, batch: usize, mut body: impl FnMut() + 'a) -> Self {
        Self::timed(name, batch, move |batch| {
            let started = Instant::now();
            for _ in 0..batch {
                black_box(&mut body)();
            }
            started.elapsed()
        })
    }

    /// A variant whose `body` is called `batch` times a round, each time with something new; making that and dropping it
    /// is not measured.
    pub(crate) fn prepared<T>(
        name: &'a str,
        batch: usize,
        mut prepare: impl FnMut() -> T + 'a,
        mut body: impl FnMut(&mut T) + 'a,
    ) -> Self {
        Self::timed(name, batch, move |batch| {
            let mut time = Duration::ZERO;
            for _ in 0..batch {
                let mut prepared = prepare();
                let started = Instant::now();
                black_box(&mut body)(&mut prepared);
                time += started.elapsed();
            }
            time
        })
    }

    fn timed(name: &'a str, batch: usize, body: impl FnMut(usize) -> Duration + 'a) -> Self {
        Self {
            name,
            batch,
            body: Box::new(body),
            best_ns: f64::INFINITY,
            allocations: f64::INFINITY,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a benchmark are small"
    )]
    fn round(&mut self) {
        let allocations = allocations::on_this_thread();
        let ns = (self.body)(self.batch).as_secs_f64() * 1e9 / self.batch as f64;
        let allocations = allocations::on_this_thread() - allocations;
        self.best_ns = self.best_ns.min(ns);
        self.allocations = self.allocations.min(allocations as f64 / self.batch as f64);
    }
}

/// Runs all variants in interleaved rounds and prints them, with ratios to the one called `peer`.
pub(crate) fn compare(title: &str, target: &str, peer: &str, mut variants: Vec<Variant<'_>>) {
    for _ in 0..ROUNDS {
        for variant in &mut variants {
            variant.round();
        }
    }
    let peer_ns = variants
        .iter()
        .find(|it| it.name == peer)
        .map_or(f64::NAN, |it| it.best_ns);
    println!("\n{title}\n  target: {target}");
    println!(
        "  {:<46} {:>12} {:>8} {:>8}",
        "variant", "best ns", "ratio", "allocs"
    );
    for it in &variants {
        println!(
            "  {:<46} {:>12.1} {:>8.3} {:>8.2}",
            it.name,
            it.best_ns,
            it.best_ns / peer_ns,
            it.allocations
        );
    }
}
