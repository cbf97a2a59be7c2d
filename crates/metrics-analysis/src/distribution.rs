//! Sums and percentiles of whole numbers: exact for a group of moderate size, from there by a histogram whose error is
//! bounded.

/// Up to so many values percentiles are exact.
pub const EXACT_UP_TO: u64 = 10_000;

/// Beyond that, by how much a percentile may differ from the exact one, as a part of it.
pub const SKETCH_ERROR: f64 = 1.0 / 512.0; // Half of a bucket, of which there are 256 in a power of two.

/// Buckets between a power of two and the next.
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const SUB_BITS: u32 = 8;
/// Values below this have a bucket each.
const LINEAR: u64 = 2 * SUB_BUCKETS;

/// How many values there were, their sum, extremes and percentiles. Two of them can be merged into one that says the
/// same as if it had seen all values itself, in any order.
#[derive(Debug, Clone)]
pub struct Distribution {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    /// All of them, while they are few. Four bytes are enough for 49 days in milliseconds; a longer one is for the buckets.
    exact: Vec<u32>,
    /// How many fell into each bucket; empty while `exact` holds all.
    buckets: Vec<u64>,
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
            exact: Vec::new(),
            buckets: Vec::new(),
        }
    }
}

impl Distribution {
    /// Takes one more value in.
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if self.is_exact() {
            match u32::try_from(value) {
                Ok(short) if self.count <= EXACT_UP_TO => return self.exact.push(short),
                _ => self.make_buckets(),
            }
        }
        count_in(&mut self.buckets, value);
    }

    /// Takes in all that `other` has seen.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if self.is_exact() && other.is_exact() && self.count <= EXACT_UP_TO {
            return self.exact.extend(other.exact);
        }
        self.make_buckets();
        for value in other.exact {
            count_in(&mut self.buckets, value.into());
        }
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, other) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += other;
        }
    }

    #[cold]
    fn make_buckets(&mut self) {
        for value in std::mem::take(&mut self.exact) {
            count_in(&mut self.buckets, value.into());
        }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The smallest; `None` if there was none.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest; `None` if there was none.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// Their mean; `None` if there was none.
    #[expect(clippy::cast_precision_loss, reason = "a mean is rounded anyway")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// Whether percentiles are exact; otherwise they are within [`SKETCH_ERROR`] of the exact ones.
    pub fn is_exact(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The smallest value that is not below `per_mille` thousandths of the values (nearest rank): 500 is the median.
    /// `None` if there was no value.
    pub fn percentile(&self, per_mille: u64) -> Option<u64> {
        let [value] = self.percentiles([per_mille])?;
        Some(value)
    }

    /// Several of them at once, for one sorting.
    pub fn percentiles<const N: usize>(&self, per_mille: [u64; N]) -> Option<[u64; N]> {
        if self.count == 0 {
            return None;
        }
        // From 1, as for the first of all.
        let ranks = per_mille.map(|it| {
            let rank = (u128::from(self.count) * u128::from(it.min(1000))).div_ceil(1000);
            u64::try_from(rank).unwrap_or(u64::MAX).max(1)
        });
        if self.is_exact() {
            let mut values = self.exact.clone();
            values.sort_unstable();
            let at = |rank| values.get(usize::try_from(rank - 1).unwrap_or(0)).copied();
            return Some(ranks.map(|rank| at(rank).map_or(self.max, Into::into)));
        }
        let middle = |rank| middle_of(bucket_at(&self.buckets, rank)).clamp(self.min, self.max);
        Some(ranks.map(middle))
    }

    /// The same with every value moved to the middle of its bucket: those of two distributions can be compared, whichever of
    /// them is exact.
    pub(crate) fn buckets(&self) -> Vec<(u64, u64)> {
        let mut steps: Vec<(u64, u64)> = Vec::new();
        for (value, count) in self.steps() {
            let value = middle_of(bucket_of(value));
            match steps.last_mut() {
                Some(last) if last.0 == value => last.1 += count,
                _ => steps.push((value, count)),
            }
        }
        steps
    }

    /// The values in ascending order, equal ones together (or those of a bucket): one of them, and how many.
    pub fn steps(&self) -> Vec<(u64, u64)> {
        let mut values = self.exact.clone();
        values.sort_unstable();
        let runs = values.chunk_by(|one, other| one == other);
        let runs = runs.map(|run| (run[0].into(), run.len() as u64));
        let filled = self.buckets.iter().enumerate().filter(|it| *it.1 > 0);
        let filled = filled.map(|(bucket, count)| (middle_of(bucket), *count));
        runs.chain(filled).collect()
    }
}

#[inline]
fn count_in(buckets: &mut Vec<u64>, value: u64) {
    let bucket = bucket_of(value);
    match buckets.get_mut(bucket) {
        Some(slot) => *slot += 1,
        None => {
            buckets.resize(bucket + 1, 0);
            buckets[bucket] = 1;
        }
    }
}

/// Below [`LINEAR`] the value itself; above, 256 buckets from each power of two to the next.
#[inline]
fn bucket_of(value: u64) -> usize {
    if value < LINEAR {
        return usize::try_from(value).unwrap_or(0);
    }
    let shift = u64::BITS - 1 - value.leading_zeros() - SUB_BITS;
    let bucket = u64::from(shift) * SUB_BUCKETS + (value >> shift);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The value in the middle of a bucket.
fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < LINEAR {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let top = bucket - shift * SUB_BUCKETS;
    (top << shift) + (1 << (shift - 1))
}

fn bucket_at(buckets: &[u64], rank: u64) -> usize {
    let mut seen = 0;
    let found = buckets.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    found.unwrap_or(buckets.len().saturating_sub(1))
}

#[cfg(test)]
mod tests;
