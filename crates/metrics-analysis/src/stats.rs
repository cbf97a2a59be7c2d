//! What is known of a group of calls.

use crate::{Distribution, Kind, Record};

/// Sums, failures and percentiles of some calls. Those of two sets of calls can be merged.
///
/// What depends on a single call (a price that depends on its day, its model, the length of its prompt) belongs into
/// [`add`](Self::add), the one place that sees each of them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that did not do what they should.
    pub failures: u64,
    /// How long they took, in milliseconds.
    pub duration_ms: Distribution,
    /// Tokens, each kind where any call told it.
    pub tokens: TokenSums,
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

    /// Takes in all that `other` has seen.
    pub fn merge(&mut self, other: Self) {
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

#[inline]
fn add(sum: &mut Option<u128>, more: Option<impl Into<u128>>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0) + more.into());
    }
}
