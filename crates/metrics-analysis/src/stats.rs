//! What is known of a group of calls.

use std::borrow::Cow;

use model_prices::{CostSum, Unpriced, Usd};

use crate::{Distribution, Kind, Record};

/// Sums, failures and percentiles of some calls. Those of two sets of calls can be merged.
///
/// What depends on a single call belongs into [`add`](Self::add), the one place that sees each of them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that did not do what they should.
    pub failures: u64,
    /// How long they took, in milliseconds.
    pub duration_ms: Distribution,
    /// Tokens, each kind where any call told it.
    pub tokens: TokenSums,
    /// What they cost, and which models' calls are not in that; see [`Call::cost`](crate::Call::cost).
    pub cost: CostSum,
    /// The same call by call.
    pub(crate) costs: Spread,
    /// Times to the first token, of the calls that tell it.
    pub ttft_ms: Distribution,
    /// Completion tokens and milliseconds of the calls that tell both.
    generated: (u128, u128),
}

/// Token sums, under the names that they have in events; `None` where no call tells any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenSums {
    /// Of prompts, cached ones included.
    pub prompt_tokens: Option<u128>,
    /// Of replies.
    pub completion_tokens: Option<u128>,
    /// As the providers add them up.
    pub total_tokens: Option<u128>,
    /// Read from a cache.
    pub cached_tokens: Option<u128>,
    /// Written to a cache.
    pub cache_write_tokens: Option<u128>,
    /// Spent on reasoning.
    pub reasoning_tokens: Option<u128>,
}

impl Stats {
    /// Takes one call in.
    #[inline]
    pub fn add(&mut self, record: &Record<'_>) {
        self.failures += u64::from(!record.success);
        self.duration_ms.add(record.duration_ms);
        if record.kind == Kind::ToolCall {
            return;
        }
        let (sums, usage) = (&mut self.tokens, &record.usage);
        add(&mut sums.prompt_tokens, usage.prompt_tokens);
        add(&mut sums.completion_tokens, usage.completion_tokens);
        add(&mut sums.total_tokens, usage.total_tokens);
        add(&mut sums.cached_tokens, usage.cached_tokens);
        add(&mut sums.cache_write_tokens, usage.cache_write_tokens);
        add(&mut sums.reasoning_tokens, usage.reasoning_tokens);
        if let Some(tokens) = usage.completion_tokens {
            self.generated.0 += u128::from(tokens);
            self.generated.1 += u128::from(record.duration_ms);
        }
        if let Some(ttft_ms) = record.ttft_ms {
            self.ttft_ms.add(ttft_ms);
        }
    }

    /// Takes in what a call cost, of whose `model` it was.
    #[inline]
    pub fn add_cost(&mut self, model: &[u8], cost: Result<Usd, Unpriced>) {
        let name = match cost {
            Ok(cost) => {
                self.costs.add(cost);
                Cow::Borrowed("") // Not kept.
            }
            Err(_) => String::from_utf8_lossy(model),
        };
        self.cost.add(&name, cost);
    }

    /// Takes in all that `other` has seen.
    pub fn merge(&mut self, other: Self) {
        self.merge_cost(&other);
        self.failures += other.failures;
        self.duration_ms.merge(other.duration_ms);
        self.ttft_ms.merge(other.ttft_ms);
        self.generated.0 += other.generated.0;
        self.generated.1 += other.generated.1;
        let (sums, more) = (&mut self.tokens, other.tokens);
        add(&mut sums.prompt_tokens, more.prompt_tokens);
        add(&mut sums.completion_tokens, more.completion_tokens);
        add(&mut sums.total_tokens, more.total_tokens);
        add(&mut sums.cached_tokens, more.cached_tokens);
        add(&mut sums.cache_write_tokens, more.cache_write_tokens);
        add(&mut sums.reasoning_tokens, more.reasoning_tokens);
    }

    pub(crate) fn merge_cost(&mut self, other: &Self) {
        if self.cost.merge(&other.cost).is_none() {
            // What is left out has to be seen.
            self.add_cost(b"calls beyond all sums", Err(Unpriced::TooLarge));
        }
        self.costs.merge(other.costs);
    }

    /// How many calls.
    pub fn count(&self) -> u64 {
        self.duration_ms.count()
    }

    /// Completion tokens a second of the calls that tell how many they made.
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    pub fn tokens_per_second(&self) -> Option<f64> {
        let (tokens, millis) = self.generated;
        (millis > 0).then(|| tokens as f64 * 1000.0 / millis as f64)
    }
}

/// Costs of single calls, for their mean and how far they are from it. Whole numbers, so that the order makes no difference.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    count: u64,
    /// In steps of 2⁵⁰ · 10⁻²⁴ dollars, which is about a thousand-millionth.
    sum: i128,
    squares: u128,
}

impl Spread {
    #[inline]
    fn add(&mut self, cost: Usd) {
        let steps = i64::try_from(cost.units() >> 50).unwrap_or(i64::MAX);
        self.count += 1;
        self.sum = self.sum.saturating_add(i128::from(steps));
        let square = u128::from(steps.unsigned_abs()) * u128::from(steps.unsigned_abs());
        self.squares = self.squares.saturating_add(square);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
    }

    /// How many calls.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The mean and the variance, in steps.
    #[expect(
        clippy::cast_precision_loss,
        reason = "statistics are approximations anyway"
    )]
    pub(crate) fn mean_and_variance(&self) -> (f64, f64) {
        let n = self.count.max(1) as f64;
        let mean = self.sum as f64 / n;
        let variance = (self.squares as f64 - mean * mean * n) / (n - 1.0).max(1.0);
        (mean, variance.max(0.0))
    }
}

#[inline]
fn add(sum: &mut Option<u128>, more: Option<impl Into<u128>>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0) + more.into());
    }
}
