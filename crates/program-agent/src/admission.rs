//! Which events of a program are taken: it says of itself what it likes, and only what can be true goes on.

use metrics_core::{Event, ExtraFields, Outcome, Timestamp, TraceContext, TraceFields, Usage};
use worker_runner::Redactor;

/// How far a stamp may lie outside of the worker's life: clocks are set while programs run.
const CLOCK_SLACK_US: i64 = 60 * 1_000_000;
/// How far a duration may be from what the stamps say: they come from different clocks, and are rounded.
const DURATION_SLACK_US: u64 = 1_000_000;
/// A longer name is no name.
const MAX_NAME_BYTES: usize = 256;
/// More than all prompts of a worker could ever hold.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// Why an event is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Implausible {
    #[error("`end_ts` is before `start_ts`")]
    EndBeforeStart,
    #[error("`end_ts` {0} is in the future")]
    Future(Timestamp),
    #[error("`start_ts` {0} is before the worker began")]
    BeforeTheWorker(Timestamp),
    #[error("`duration_ms` {said} is not what the stamps say ({stamps})")]
    Duration { said: u64, stamps: u64 },
    #[error("`{0}` is longer than {MAX_NAME_BYTES} bytes")]
    LongName(&'static str),
    #[error("`{0}` is more than any model takes")]
    Tokens(&'static str),
    #[error("`cost_usd` is negative")]
    NegativeCost,
}

/// What an event is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) began: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) trace: TraceContext,
}

/// Takes an event of the worker's program, as the worker's own.
pub(crate) fn admit<'a>(
    mut event: Event<'a>,
    life: &Life,
    redactor: &Redactor,
) -> Result<Event<'a>, Implausible> {
    check_time(&event, life)?;
    match &mut event {
        Event::LlmCall(call) => {
            let provider = call.provider.as_ref().map_or("", |it| it.as_str());
            check_names([
                ("phase", call.phase.as_str()),
                ("model", call.model.as_str()),
                ("provider", provider),
            ])?;
            check_usage(&call.usage)?;
            if call
                .cost_usd
                .is_some_and(|it| it.is_sign_negative() && !it.is_zero())
            {
                return Err(Implausible::NegativeCost);
            }
            call.outcome = cut(std::mem::replace(&mut call.outcome, Outcome::Success));
            call.phase = redacted(redactor, call.phase.as_str()).into();
            call.model = redacted(redactor, call.model.as_str()).into();
            let provider = call.provider.take();
            call.provider = provider.map(|it| redacted(redactor, it.as_str()).into());
            drop_secrets(redactor, &mut call.extra);
            place(&mut call.trace, life.trace);
        }
        Event::ToolCall(call) => {
            let id = call.tool_call_id.as_deref().unwrap_or("");
            check_names([("tool", call.tool.as_str()), ("tool_call_id", id)])?;
            call.outcome = cut(std::mem::replace(&mut call.outcome, Outcome::Success));
            call.tool = redacted(redactor, call.tool.as_str()).into();
            let id = call.tool_call_id.take();
            call.tool_call_id = id.map(|it| redacted(redactor, &it).into());
            drop_secrets(redactor, &mut call.extra);
            place(&mut call.trace, life.trace);
        }
        // A kind that a newer core knows has passed the checks that are for all.
        _ => {}
    }
    Ok(event)
}

fn redacted(redactor: &Redactor, text: &str) -> String {
    redactor.text(text).into_owned()
}

/// Fields that nobody knows are kept for whoever does, but not with a secret among them.
fn drop_secrets(redactor: &Redactor, extra: &mut ExtraFields) {
    let has_secret = extra.iter().any(|(key, json)| {
        let field = format!("{{\"{key}\":{json}}}");
        redactor.text(&field) != field
    });
    if has_secret {
        *extra = ExtraFields::default();
    }
}

fn check_time(event: &Event<'_>, life: &Life) -> Result<(), Implausible> {
    let time = event.time();
    let (start, end) = (time.start_ts(), time.end_ts());
    let Ok(stamps_us) = u64::try_from(end.unix_micros() - start.unix_micros()) else {
        return Err(Implausible::EndBeforeStart);
    };
    if end > life.now.plus_micros(CLOCK_SLACK_US) {
        return Err(Implausible::Future(end));
    }
    if start < life.began.plus_micros(-CLOCK_SLACK_US) {
        return Err(Implausible::BeforeTheWorker(start));
    }
    let said = time.duration_ms();
    if said.saturating_mul(1000).abs_diff(stamps_us) > DURATION_SLACK_US {
        let stamps = stamps_us / 1000;
        return Err(Implausible::Duration { said, stamps });
    }
    Ok(())
}

fn check_names<const N: usize>(names: [(&'static str, &str); N]) -> Result<(), Implausible> {
    let long = names.iter().find(|(_, name)| name.len() > MAX_NAME_BYTES);
    long.map_or(Ok(()), |(field, _)| Err(Implausible::LongName(field)))
}

fn check_usage(usage: &Usage) -> Result<(), Implausible> {
    let counts = [
        ("prompt_tokens", usage.prompt_tokens),
        ("completion_tokens", usage.completion_tokens),
        ("total_tokens", usage.total_tokens),
        ("cached_tokens", usage.cached_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
    ];
    let absurd = counts
        .iter()
        .find(|(_, it)| it.is_some_and(|it| it > MAX_TOKENS));
    absurd.map_or(Ok(()), |(field, _)| Err(Implausible::Tokens(field)))
}

/// An error is at most as long as in an event of our own.
fn cut(outcome: Outcome<'_>) -> Outcome<'_> {
    match &outcome {
        Outcome::Failure(error) => Outcome::failure(error.as_str().to_owned()),
        Outcome::Success => outcome,
    }
}

/// Spans count within the worker's trace alone; those of another one would link to nothing.
fn place(fields: &mut TraceFields, worker: TraceContext) {
    match fields.trace_id {
        Some(trace_id) if trace_id != worker.trace_id => *fields = TraceFields::default(),
        None if fields.span_id.is_some() || fields.parent_span_id.is_some() => {
            fields.trace_id = Some(worker.trace_id);
        }
        _ => {}
    }
}
