//! `get_current_time`: the wall clock as text.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use worker_runner::{Tool, ToolDefinition, ToolError};

use crate::arguments::Arguments;

/// The largest offset, in minutes: RFC 3339 writes at most `23:59`.
const MAX_OFFSET_MINUTES: i32 = 23 * 60 + 59;

/// Says the time as RFC 3339 to the second: `2025-12-15T04:08:08Z`.
///
/// With `utc_offset`, in minutes east of UTC, the same moment as `2025-12-15T05:08:08+01:00`.
pub struct GetCurrentTime {
    definition: ToolDefinition,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

impl GetCurrentTime {
    /// The tool on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(SystemTime::now)
    }

    /// The tool on a clock of the caller's, such as a fixed one in a test.
    pub fn with_clock(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            definition: ToolDefinition {
                name: "get_current_time".to_owned(),
                description: "Says the current date and time, in UTC unless asked otherwise."
                    .to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "utc_offset": {
                            "type": "integer",
                            "minimum": -MAX_OFFSET_MINUTES,
                            "maximum": MAX_OFFSET_MINUTES,
                            "description": "Minutes east of UTC, such as 60 for +01:00. \
                                            Leave it out for UTC.",
                        },
                    },
                    "additionalProperties": false,
                }),
            },
            clock: Box::new(clock),
        }
    }
}

impl Default for GetCurrentTime {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for GetCurrentTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetCurrentTime").finish_non_exhaustive()
    }
}

#[async_trait]
impl Tool for GetCurrentTime {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let minutes = Arguments::new(arguments, &["utc_offset"])?
            .optional_integer("utc_offset", -MAX_OFFSET_MINUTES..=MAX_OFFSET_MINUTES)?
            .unwrap_or(0);
        text((self.clock)(), minutes).ok_or_else(|| {
            ToolError::Failed("the clock stands outside the years 0 to 9999".to_owned())
        })
    }
}

/// `None` for a moment that RFC 3339 cannot write.
fn text(now: SystemTime, offset_minutes: i32) -> Option<String> {
    let seconds = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).ok()?,
        // Rounded down as well, away from the epoch.
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).ok()?;
            -seconds - i64::from(before.subsec_nanos() > 0)
        }
    };
    let offset = UtcOffset::from_whole_seconds(offset_minutes * 60).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .checked_to_offset(offset)?
        .format(&Rfc3339)
        .ok()
}
