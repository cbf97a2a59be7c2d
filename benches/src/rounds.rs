//! Measuring: interleaved rounds of all variants, the best of each, as a ratio to a peer in the same run.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use crate::allocations;

/// Rounds of every variant, at least and at most. Many and short ones are best, as other work of the machine stretches
/// some of them; but rounds that take long must not take for ever.
const ROUNDS: (usize, usize) = (15, 300);
const LONG: Duration = Duration::from_secs(10);

/// One thing to measure.
pub(crate) struct Variant<'a> {
    name: &'a str,
    events: usize,
    /// Runs a round and gives its time.
    round: Box<dyn FnMut() -> Duration + 'a>,
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
    pub(crate) fn whole_round(name: &'a str, events: usize, mut round: impl FnMut() + 'a) -> Self {
        Self::timed(name, events, move || {
            let started = Instant::now();
            round();
            started.elapsed()
        })
    }

    /// A variant whose `body` is called `events` times a round, each time with something new; making that and dropping it
    /// is not measured.
    pub(crate) fn prepared<T>(
        name: &'a str,
        events: usize,
        mut prepare: impl FnMut() -> T + 'a,
        mut body: impl FnMut(&mut T) + 'a,
    ) -> Self {
        Self::timed(name, events, move || {
            let mut time = Duration::ZERO;
            for _ in 0..events {
                let mut prepared = prepare();
                let started = Instant::now();
                black_box(&mut body)(&mut prepared);
                time += started.elapsed();
            }
            time
        })
    }

    fn timed(name: &'a str, events: usize, round: impl FnMut() -> Duration + 'a) -> Self {
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
        let ns = (self.round)().as_secs_f64() * 1e9 / events;
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
    let begun = Instant::now();
    for round in 0..ROUNDS.1 {
        if round >= ROUNDS.0 && begun.elapsed() > LONG {
            break;
        }
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
