//! The names that a condition may use, and what they are of a call.

use metrics_core::Timestamp;
use model_prices::Usd;

use crate::Call;

/// A call's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a [u8]),
    Whole(u64),
    Money(Usd),
    Bool(bool),
    Time(Timestamp),
}

/// What may be compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Money,
    Bool,
    Time,
}

impl Type {
    /// For a message.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes, such as 'ssh_exec'",
            Self::Number => "a number, such as 10000",
            Self::Money => "a number of dollars, such as 0.01",
            Self::Bool => "true or false",
            Self::Time => "a time in quotes, such as '2025-12-15T04:08:08Z'",
        }
    }
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident |$call:ident| $value:expr;)*) => {
        /// A name that a condition may use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field { $($variant),* }

        impl Field {
            pub(super) const NAMES: &[&str] = &[$($name),*];

            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(super) const fn kind(self) -> Type {
                match self { $(Self::$variant => Type::$kind),* }
            }

            /// Its value in a call; `None` where the call has none.
            #[inline]
            pub(super) fn of<'a>(self, call: &Call<'a>) -> Option<Value<'a>> {
                match self {
                    $(Self::$variant => { let $call = call; $value })*
                }
            }
        }
    };
}

fields! {
    Event "event" Text |it| text(Some(it.record.kind.as_str().as_bytes()));
    Phase "phase" Text |it| text(it.record.phase());
    Model "model" Text |it| text(it.record.model());
    Tool "tool" Text |it| text(it.record.tool());
    Provider "provider" Text |it| text(it.record.provider);
    Worker "worker" Text |it| text(it.worker());
    Owner "owner" Text |it| text(it.source.owner.as_deref().map(str::as_bytes));
    Status "status" Text |it| text(it.source.status.as_deref().map(str::as_bytes));
    Error "error" Text |it| text(it.record.error);
    Success "success" Bool |it| Some(Value::Bool(it.record.success));
    StartTs "start_ts" Time |it| Some(Value::Time(it.record.start.into()));
    EndTs "end_ts" Time |it| Some(Value::Time(it.record.end.into()));
    DurationMs "duration_ms" Number |it| whole(Some(it.record.duration_ms));
    PromptTokens "prompt_tokens" Number |it| whole(it.record.usage.prompt_tokens);
    CompletionTokens "completion_tokens" Number |it| whole(it.record.usage.completion_tokens);
    TotalTokens "total_tokens" Number |it| whole(it.record.usage.total_tokens);
    CachedTokens "cached_tokens" Number |it| whole(it.record.usage.cached_tokens);
    CacheWriteTokens "cache_write_tokens" Number |it| whole(it.record.usage.cache_write_tokens);
    ReasoningTokens "reasoning_tokens" Number |it| whole(it.record.usage.reasoning_tokens);
    TtftMs "ttft_ms" Number |it| whole(it.record.ttft_ms);
    Attempt "attempt" Number |it| whole(it.record.attempt.map(Into::into));
    CostUsd "cost_usd" Money |it| cost(it);
}

fn text(text: Option<&[u8]>) -> Option<Value<'_>> {
    text.map(Value::Text)
}

fn cost<'a>(call: &Call<'_>) -> Option<Value<'a>> {
    let cost = match call.record.cost_usd {
        Some(reported) => Usd::from_decimal(reported),
        None => call.cost()?.ok(),
    };
    cost.map(Value::Money)
}

fn whole<'a>(number: Option<u64>) -> Option<Value<'a>> {
    number.map(Value::Whole)
}
