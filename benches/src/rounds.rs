//! Measuring: interleaved rounds of all variants, the best of each, as a ratio to a peer in the same run.

use std::{hint::black_box, time::Instant};

use crate::allocations;

/// Rounds of every variant. Many and short, as other work of the machine stretches some of them.
const ROUNDS: usize = 300;

/// One thing to measure.
pub(crate) struct Variant<'a> {
    name: &'a str,
    events: usize,
    round: Box<dyn FnMut() + 'a>,
    settle: Box<dyn FnMut() + 'a>,
    best_ns: f64,
    allocations: f64,
}

impl<'a> Variant<'a> {
    /// A variant whose `body` is called `events` times a round.
    pub(crate) fn new(name: &'a str, events: usize, mut body: impl FnMut() + 'a) -> Self {
        Self::whole_round(name, events, move || {
            for _ in 0..events {
                black_box(&mut body)();
            }
        })
    }

    /// A variant whose `round` does its `events` itself.
    pub(crate) fn whole_round(name: &'a str, events: usize, round: impl FnMut() + 'a) -> Self {
        Self {
            name,
            events,
            round: Box::new(round),
            settle: Box::new(|| ()),
            best_ns: f64::INFINITY,
            allocations: f64::INFINITY,
        }
    }

    /// Calls `settle` between rounds, outside the time measured: what one round left behind must not cost the next.
    pub(crate) fn settle(mut self, settle: impl FnMut() + 'a) -> Self {
        self.settle = Box::new(settle);
        self
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a benchmark are small"
    )]
    fn run(&mut self) {
        let events = self.events as f64;
        let allocations = allocations::so_far();
        let started = Instant::now();
        (self.round)();
        let ns = started.elapsed().as_secs_f64() * 1e9 / events;
        (self.settle)();
        let allocations = allocations::so_far() - allocations;
        self.best_ns = self.best_ns.min(ns);
        self.allocations = self.allocations.min(allocations as f64 / events);
    }
}

/// Runs all variants in interleaved rounds and prints them, with ratios to the one called `peer`.
pub(crate) fn compare(
    title: &str,
    target: &str,
    peer: Option<&str>,
    mut variants: Vec<Variant<'_>>,
) {
    for _ in 0..ROUNDS {
        for variant in &mut variants {
            variant.run();
        }
    }
    let peer_ns = variants
        .iter()
        .find(|it| Some(it.name) == peer)
        .map(|it| it.best_ns);
    println!("\n{title}\n  target: {target}");
    println!(
        "  {:<46} {:>12} {:>8} {:>8}",
        "variant", "best ns", "ratio", "allocs"
    );
    for it in &variants {
        let ratio = peer_ns.map_or("-".to_owned(), |peer| format!("{:.3}", it.best_ns / peer));
        println!(
            "  {:<46} {:>12.1} {ratio:>8} {:>8.2}",
            it.name, it.best_ns, it.allocations
        );
    }
}
