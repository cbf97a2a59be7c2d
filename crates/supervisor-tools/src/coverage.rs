//! Which parts of a worker's time were spent in calls, and which were not.

use std::collections::BTreeMap;

use metrics_core::Timestamp;

/// Stretches that are kept apart; the earliest are closed beyond that, so that the memory stays within bounds.
const MAX_OPEN: usize = 4096;

/// The union of calls' times, which may overlap.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// Stretches without a gap in microseconds, by their start; they neither touch nor overlap.
    open: BTreeMap<i64, i64>,
    /// What was closed, and where that ended.
    closed_us: u64,
    closed_until: Option<i64>,
}

impl Coverage {
    /// Adds a call's time. What of it lies before the closed stretches' end counts with them.
    pub(crate) fn add(&mut self, start: Timestamp, end: Timestamp) {
        let not_before = self.closed_until.unwrap_or(i64::MIN);
        let mut start = start.unix_micros().max(not_before);
        let mut end = end.unix_micros();
        if end <= start {
            return;
        }
        while let Some((&other_start, &other_end)) = self.open.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.open.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.open.insert(start, end);
        if self.open.len() > MAX_OPEN
            && let Some((start, end)) = self.open.pop_first()
        {
            self.closed_us += micros(start, end);
            self.closed_until = Some(end);
        }
    }

    /// How many microseconds some call covers.
    pub(crate) fn covered_us(&self) -> u64 {
        let open = self.open.iter().map(|(start, end)| micros(*start, *end));
        self.closed_us + open.sum::<u64>()
    }

    /// The stretches between `start` and `end` that no call covers, in the order of time.
    pub(crate) fn gaps(&self, start: Timestamp, end: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let end = end.unix_micros();
        let mut from = start
            .unix_micros()
            .max(self.closed_until.unwrap_or(i64::MIN));
        let mut gaps = Vec::new();
        for (&next_start, &next_end) in self.open.iter().chain([(&end, &end)]) {
            let until = next_start.min(end);
            if until > from {
                gaps.push((from, until));
            }
            from = from.max(next_end);
        }
        let stamp = |micros: i64| start.plus_micros(micros - start.unix_micros());
        gaps.into_iter()
            .map(|(from, until)| (stamp(from), stamp(until)))
            .collect()
    }
}

fn micros(start: i64, end: i64) -> u64 {
    u64::try_from(end - start).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use metrics_core::Timestamp;

    use super::{Coverage, MAX_OPEN};

    fn at(micros: i64) -> Timestamp {
        let start: Timestamp = "2025-12-15T04:08:08Z".parse().unwrap();
        start.plus_micros(micros)
    }

    fn coverage(calls: &[(i64, i64)]) -> Coverage {
        let mut coverage = Coverage::default();
        for (start, end) in calls {
            coverage.add(at(*start), at(*end));
        }
        coverage
    }

    #[test]
    fn overlapping_calls_count_once() {
        let coverage = coverage(&[(10, 30), (20, 40), (60, 70), (5, 8), (35, 60), (100, 100)]);
        assert_eq!(coverage.covered_us(), 3 + 60);
        assert_eq!(
            coverage.gaps(at(0), at(90)),
            [(at(0), at(5)), (at(8), at(10)), (at(70), at(90))]
        );
        assert_eq!(coverage.gaps(at(20), at(65)), []);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_counted_twice() {
        let n = 3 * i64::try_from(MAX_OPEN).unwrap();
        let calls: Vec<_> = (0..n).map(|it| (it * 10, it * 10 + 4)).collect();
        let mut coverage = coverage(&calls);
        assert_eq!(coverage.open.len(), MAX_OPEN);
        assert_eq!(coverage.covered_us(), n.unsigned_abs() * 4);
        coverage.add(at(0), at(4)); // Long closed.
        assert_eq!(coverage.covered_us(), n.unsigned_abs() * 4);
    }
}
