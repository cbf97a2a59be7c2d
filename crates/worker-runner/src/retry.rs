//! Asking a model again where that may help, every attempt an event of its own.

use std::{
    convert::Infallible,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use metrics_collector::llm_call;
use metrics_core::{LlmCall, Outcome, Phase};
use tokio::time::{Instant, sleep};

use crate::model::{ChatModel, ChatReply, ChatRequest, ModelError};

/// How often and how long a failed model call is tried again.
///
/// Only failures that [may pass](crate::ErrorClass::is_transient) are. Between two attempts lies a pause that doubles
/// each time, or the one that the provider asks for; a random part of it keeps workers that failed together from coming
/// back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 for no retry.
    pub attempts: u32,
    /// The pause after the first attempt.
    pub first_pause: Duration,
    /// The longest pause that is our own choice; a provider may ask for more.
    pub longest_pause: Duration,
    /// No attempt starts later than this after the first one; nor later than the worker may run.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            total: Duration::from_mins(5),
        }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// How long to wait after attempt number `attempt` failed with `error`; `None` to give up.
    pub(crate) fn pause(&self, error: &ModelError, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts || !error.class.is_transient() {
            return None;
        }
        // Between three quarters and the whole of our own pause; a provider's is never cut short.
        let random = f64::from(random_u32()) / f64::from(u32::MAX);
        Some(match error.retry_after {
            Some(asked) => {
                asked.saturating_add(asked.min(self.longest_pause).mul_f64(random / 10.0))
            }
            None => {
                let doubled = 2_u32.saturating_pow(attempt - 1);
                let pause = self.first_pause.saturating_mul(doubled);
                pause.min(self.longest_pause).mul_f64(0.75 + random / 4.0)
            }
        })
    }
}

/// Asks `model` until it answers or `policy` gives up. `until` is when the worker's time is up.
///
/// A retry that could only start after that is not waited for: the failure that is known says more than a time limit.
pub(crate) async fn ask(
    model: &dyn ChatModel,
    phase: Phase<'static>,
    request: ChatRequest<'_>,
    policy: &RetryPolicy,
    until: Option<Instant>,
    mut report: impl FnMut(&ChatReply, &mut LlmCall<'_>),
) -> Result<ChatReply, ModelError> {
    let latest = Instant::now().checked_add(policy.total);
    let latest = [latest, until].into_iter().flatten().min();
    let mut attempt = 1;
    loop {
        // An answer of either kind is a success of this future: its outcome is set below, as an attempt's number is
        // written only where there are several.
        let call = async {
            let answer = model.chat(request).await;
            let pause = match &answer {
                Err(error) => policy
                    .pause(error, attempt)
                    .filter(|it| ends_before(*it, latest)),
                Ok(_) => None,
            };
            Ok::<_, Infallible>((answer, pause))
        };
        let mut call = llm_call(model.name(), phase.borrowed(), call);
        if let Some(provider) = model.provider() {
            call = call.provider(provider);
        }
        if attempt > 1 {
            call = call.attempt(attempt);
        }
        let call = call.report(
            |(answer, pause): &(Result<ChatReply, ModelError>, _), call| {
                match answer {
                    Ok(reply) => {
                        reply.describe(call);
                        report(reply, call);
                    }
                    Err(error) => call.outcome = Outcome::failure(error.to_string()),
                }
                if pause.is_some() {
                    call.attempt = Some(attempt);
                }
            },
        );
        let Ok((answer, pause)) = call.await;
        let Some(pause) = pause else {
            return answer;
        };
        sleep(pause).await;
        attempt += 1;
    }
}

fn ends_before(pause: Duration, latest: Option<Instant>) -> bool {
    match (Instant::now().checked_add(pause), latest) {
        (Some(end), Some(latest)) => end < latest,
        (end, _) => end.is_some(),
    }
}

/// The standard library seeds its hash maps at random, which is as random as a pause needs to be.
fn random_u32() -> u32 {
    let random = RandomState::new().hash_one(());
    u32::try_from(random >> 32).unwrap_or_default()
}
