//! How a call went, for each way in which a span can tell.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Waker},
};

use metrics_core::ErrorText;
use tracing::{Instrument as _, error, field::Empty, info_span};

use super::{Worker, answer, chat, tool, watch};

/// A span as genai makes it: it has a field for an error.
macro_rules! careful_chat {
    ($model:expr) => {
        chat!($model, error.type = Empty, otel.status_code = Empty)
    };
}

/// A span as rig makes it for a tool.
macro_rules! rig_tool {
    ($tool:expr) => {
        tool!($tool, gen_ai.tool.call.outcome = Empty, gen_ai.tool.error.type = Empty)
    };
}

#[test]
fn a_call_that_told_its_error_has_failed() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        careful_chat!("class").record("error.type", "429");
        careful_chat!("status").record("otel.status_code", "ERROR");
        let span = chat!("both", error.type = "429", error.message = "slow down");
        answer(&span); // An answer that broke off.
        drop(span);
        tool!("flag", error = true);
        tool!("text", error = "no route");
        let span = rig_tool!("rig");
        span.record("gen_ai.tool.call.outcome", "error");
        span.record("gen_ai.tool.error.type", "timeout");
        drop(span);
        rig_tool!("refused").record("gen_ai.tool.call.outcome", "denied");
    });
    assert_eq!(
        worker.seen(),
        [
            "class 0ms: 429",
            "status 0ms: failed",
            "both 0ms: 429: slow down",
            "flag 0ms: failed",
            "text 0ms: no route",
            "rig 0ms: timeout",
            "refused 0ms: denied",
        ]
    );
    assert_eq!(worker.collector.totals().llm_failures, 3);
}

#[test]
fn a_call_that_told_its_answer_has_succeeded() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        answer(&careful_chat!("m"));
        rig_tool!("t").record("gen_ai.tool.call.outcome", "success");
    });
    assert_eq!(worker.seen(), ["m 0ms", "t 0ms"]);
}

#[test]
fn silence_means_what_the_spans_fields_let_it_mean() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        chat!("could tell an answer only");
        careful_chat!("could tell both");
        info_span!(
            "x",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "could tell nothing"
        );
        rig_tool!("could tell both");
        rig_tool!(Empty); // As it is where the arguments were no JSON.
        tool!("could tell an error only", error.type = Empty);
    });
    assert_eq!(
        worker.seen(),
        [
            "could tell an answer only 0ms: no response",
            "could tell both 0ms: cancelled",
            "could tell nothing 0ms",
            "could tell both 0ms: cancelled",
            "unknown 0ms: no response",
            "could tell an error only 0ms",
        ]
    );
}

#[test]
fn a_stream_that_is_dropped_after_its_first_part_is_cancelled() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let span = worker
        .within(|| chat!("m", error.type = Empty, gen_ai.response.time_to_first_chunk = Empty));
    worker.pass_ms(5);
    span.record("gen_ai.response.time_to_first_chunk", 0.005);
    worker.pass_ms(5);
    drop(span);
    assert_eq!(worker.seen(), ["m 10ms: cancelled"]);
    assert_eq!(worker.llm_call().ttft_ms, Some(5));
}

#[test]
fn a_dropped_future_has_the_reason_that_its_worker_was_given() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    {
        let call = pending::<()>().instrument(worker.within(|| chat!("m")));
        let tool = pending::<()>().instrument(worker.within(|| tool!("t")));
        let both = pin!(async { tokio::join!(call, tool) });
        assert!(
            both.poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        worker.pass_ms(7);
        worker.collector.interrupt(ErrorText::TIMEOUT);
    }
    assert_eq!(worker.seen(), ["m 7ms: timeout", "t 7ms: timeout"]);
}

#[test]
fn a_call_in_flight_is_ended_with_its_worker() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let spans = worker.within(|| (chat!("m"), tool!("t")));
    assert_eq!(worker.in_flight(), ["m", "t"]);
    worker.collector.close(&ErrorText::TIMEOUT);
    answer(&spans.0);
    drop(spans);
    assert_eq!(worker.seen(), ["m 0ms: timeout", "t 0ms: timeout"]);
}

#[test]
fn a_panic_is_told_as_one_wherever_it_is_caught() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let held = worker.within(|| tool!("held"));
    let panics = || {
        worker.within(|| {
            let _dropped = tool!("dropped").entered();
            held.in_scope(|| panic!("in a tool"))
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    drop(held);
    assert_eq!(
        worker.seen(),
        ["dropped 0ms: panicked", "held 0ms: panicked"]
    );
}

#[tracing::instrument(err, fields(gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "read"))]
fn read(inner: bool) -> Result<(), String> {
    if inner {
        // What it returns is dealt with.
        let _ = look(true);
        let _ = look(false);
        error!(error = "logged", attempt = 1);
        return Ok(());
    }
    Err("no such file".to_owned())
}

#[tracing::instrument(
    err,
    skip_all,
    fields(gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "wait")
)]
async fn wait() -> Result<(), std::io::Error> {
    tokio::task::yield_now().await;
    Err(std::io::ErrorKind::TimedOut.into())
}

#[tracing::instrument(err)]
fn look(_: bool) -> Result<(), String> {
    Err("not here".to_owned())
}

#[tokio::test]
async fn what_an_instrumented_function_returns_is_its_calls_error() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    assert!(worker.collector.scope(wait()).await.is_err());
    worker.within(|| {
        assert!(read(false).is_err());
        assert!(read(true).is_ok());
    });
    assert_eq!(
        worker.seen(),
        ["wait 0ms: timed out", "read 0ms: no such file", "read 0ms"]
    );
}
