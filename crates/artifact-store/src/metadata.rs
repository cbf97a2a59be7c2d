//! `metadata.json`: what a worker is and how it went.

use std::{collections::BTreeMap, fmt, str::FromStr};

use metrics_core::{Decimal, SpanId, Timestamp, TraceId, WorkerId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// The format this version writes. A higher one is read for the fields known here and never rewritten.
pub const METADATA_FORMAT: u32 = 1;

/// A worker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Its directory is there; nothing runs yet.
    Created,
    /// Its agent runs.
    Running,
    /// Its agent ended with a result.
    Success,
    /// Its agent failed, or its process died.
    Failed,
    /// Its time was up.
    Timeout,
    /// Somebody cancelled it.
    Cancelled,
}

impl Status {
    /// All of them, in the order of a worker's life.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Running,
        Self::Success,
        Self::Failed,
        Self::Timeout,
        Self::Cancelled,
    ];

    /// The word in `metadata.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a worker in this state changes no more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Created | Self::Running)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status; use created, running, success, failed, timeout or cancelled")]
pub struct StatusError(String);

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let known = Self::ALL.into_iter().find(|it| it.as_str() == text);
        known.ok_or_else(|| StatusError(text.chars().take(60).collect()))
    }
}

/// The content of `metadata.json`. Fields that this version does not know are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The worker's id, as its directory is called.
    pub worker_id: WorkerId,
    /// The whole task.
    pub task: String,
    /// What it was started with, such as `model` and `timeout_seconds`.
    #[serde(default)]
    pub config: Value,
    /// Where it stands.
    pub status: Status,
    /// When its directory was made.
    pub created_at: Timestamp,
    /// When its agent started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When its agent ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// How long its agent ran, in whole milliseconds, rounded down, on the monotonic clock.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// The same in microseconds.
    #[serde(default)]
    pub duration_us: Option<u64>,
    /// Why it did not succeed.
    #[serde(default)]
    pub error: Option<String>,
    /// The result in one line, for lists.
    #[serde(default)]
    pub summary: Option<String>,
    /// How the summary was made.
    #[serde(default)]
    pub summary_meta: Value,
    /// Whose it is.
    #[serde(default = "default_owner")]
    pub owner: String,
    /// Its trace.
    #[serde(default)]
    pub trace_id: Option<TraceId>,
    /// Its root span.
    #[serde(default)]
    pub span_id: Option<SpanId>,
    /// The worker that started it.
    #[serde(default)]
    pub parent_worker_id: Option<WorkerId>,
    /// The span that started it.
    #[serde(default)]
    pub parent_span_id: Option<SpanId>,
    /// The supervisor's job that it carries out.
    #[serde(default)]
    pub job_id: Option<u64>,
    /// Which attempt at that job, from 1.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// The run of the process that it lives in: `run/<uuid>.lock` is locked while that process lives.
    #[serde(default)]
    pub run: Option<String>,
    /// The machine's name.
    #[serde(default)]
    pub host: Option<String>,
    /// The machine's boot, where the system tells it.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Events recorded, once it ended.
    #[serde(default)]
    pub events: Option<u64>,
    /// Of those, events that are not in `metrics.jsonl`.
    #[serde(default)]
    pub events_lost: Option<u64>,
    /// What its calls came to when it ended, so without that for the summary; absent where nobody added them up.
    #[serde(
        default,
        deserialize_with = "usage_if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub usage: Option<WorkerUsage>,
    /// The version of this format.
    #[serde(default = "default_format")]
    pub format: u32,
    /// Fields of another version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a worker's calls came to: numbers, tokens, cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerUsage {
    /// Model calls that ended, failed ones included.
    pub llm_calls: u64,
    /// Of those, the ones that failed.
    pub llm_failures: u64,
    /// Tool calls that ended, failed ones included.
    pub tool_calls: u64,
    /// Of those, the ones that failed.
    pub tool_failures: u64,
    /// Tokens of the prompts. These and the following are sums of what providers reported, absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the replies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// All tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// Prompt tokens read from caches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Prompt tokens written to caches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Completion tokens spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// What those of its calls cost whose price is known; absent where none is.
    #[serde(with = "json_number", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Decimal>,
    /// The models of the calls whose cost is not known, and how many such calls there were.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cost_unknown: BTreeMap<String, u64>,
}

/// A decimal as a JSON number, digit for digit: a float in between would make another number of it.
mod json_number {
    use metrics_core::Decimal;
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _,
    };
    use serde_json::value::RawValue;

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let number = value.map(|it| RawValue::from_string(it.to_string()));
        number
            .transpose()
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Decimal>, D::Error> {
        let Some(number) = Option::<Box<RawValue>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let exact = Decimal::from_str_exact(number.get());
        let number = exact.or_else(|_| Decimal::from_scientific(number.get()));
        number.map(Some).map_err(D::Error::custom)
    }
}

/// What another version means by it must not make a worker unreadable.
fn usage_if_readable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<WorkerUsage>, D::Error> {
    let usage = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(usage.and_then(|it| serde_json::from_str(it.get()).ok()))
}

/// The key in `metadata.json` that says why events were lost, beside `events_lost`.
pub const EVENTS_LOST_REASON: &str = "events_lost_reason";

/// Whose a worker is when nobody says.
pub const DEFAULT_OWNER: &str = "local";

fn default_owner() -> String {
    DEFAULT_OWNER.to_owned()
}

const fn default_format() -> u32 {
    METADATA_FORMAT
}
