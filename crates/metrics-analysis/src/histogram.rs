//! How long calls take: a bar a range, or every value with its count.

use rustc_hash::FxHashMap;

use crate::{Call, Cell, Column, Distribution, Fold, Table};

/// The length of the longest bar.
const BAR: u64 = 50;

/// Durations in ranges, each twice as long as the one before.
#[derive(Debug)]
pub struct Histogram {
    durations: Distribution,
    /// How many calls took 0 ms, 1 ms, 2 or 3 ms, 4 to 7 ms and so on.
    counts: [u64; 65],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            durations: Distribution::default(),
            counts: [0; 65],
        }
    }
}

impl Histogram {
    /// What is known of all of them.
    pub fn durations(&self) -> &Distribution {
        &self.durations
    }

    /// A row a range, from the first to the last that has any.
    pub fn table(&self) -> Table {
        let column = |name, head| Column { name, head };
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let first = self.counts.iter().position(|it| *it > 0);
        let last = self.counts.iter().rposition(|it| *it > 0);
        let range = first
            .zip(last)
            .map_or(0..0, |(first, last)| first..last + 1);
        let mut so_far = 0_u128;
        let rows = range.map(|at| {
            let count = self.counts[at];
            so_far += u128::from(count);
            let lower = if at == 0 { 0 } else { 1_u64 << (at - 1) };
            let upper = if at == 0 { 0 } else { lower + (lower - 1) };
            // Something is shown of everything that is there.
            let eighths = (u128::from(count) * u128::from(BAR * 8)).div_ceil(u128::from(most));
            let part = so_far * 10_000 / u128::from(self.durations.count().max(1));
            vec![
                Cell::Whole(lower.into()),
                Cell::Whole(upper.into()),
                Cell::Whole(count.into()),
                Cell::Real(f64::from(u32::try_from(part).unwrap_or(0)) / 100.0),
                Cell::Text(bar(u64::try_from(eighths).unwrap_or(0))),
            ]
        });
        Table {
            rows: rows.collect(),
            columns: vec![
                column("from_ms", "FROM MS"),
                column("to_ms", "TO MS"),
                column("count", "CALLS"),
                column("percent_so_far", "% SO FAR"),
                column("bar", "BAR"),
            ],
        }
    }
}

fn bar(eighths: u64) -> String {
    let full = usize::try_from(eighths / 8).unwrap_or(0);
    let rest = usize::try_from(eighths % 8).unwrap_or(0);
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][rest];
    "█".repeat(full) + part
}

impl Fold for Histogram {
    #[inline]
    fn call(&mut self, call: &Call<'_>) {
        let value = call.record.duration_ms;
        self.durations.add(value);
        self.counts[(u64::BITS - value.leading_zeros()) as usize] += 1;
    }

    fn merge(&mut self, other: Self) {
        self.durations.merge(other.durations);
        for (mine, other) in self.counts.iter_mut().zip(other.counts) {
            *mine += other;
        }
    }
}

/// How many calls took how long, to the millisecond.
#[derive(Debug, Default)]
pub struct EachDuration(FxHashMap<u64, u64>);

impl EachDuration {
    /// A row a duration, upwards.
    pub fn into_table(self) -> Table {
        let column = |name, head| Column { name, head };
        let mut counts: Vec<_> = self.0.into_iter().collect();
        counts.sort_unstable();
        let rows = counts.into_iter();
        Table {
            rows: rows
                .map(|(ms, count)| vec![Cell::Whole(ms.into()), Cell::Whole(count.into())])
                .collect(),
            columns: vec![column("duration_ms", "MS"), column("count", "CALLS")],
        }
    }
}

impl Fold for EachDuration {
    #[inline]
    fn call(&mut self, call: &Call<'_>) {
        *self.0.entry(call.record.duration_ms).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        for (ms, count) in other.0 {
            *self.0.entry(ms).or_default() += count;
        }
    }
}
