//! How a call is recorded, for each way it can end.

use std::{
    fmt,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    thread,
};

use metrics_core::{Decimal, Event, Phase, Usage};
use tokio::task::yield_now;

use super::{Failed, Worker, poll};
use crate::{llm_call, start_llm_call, start_tool_call, tool_call};

#[tokio::test]
async fn a_question_mark_inside_is_the_calls_error() {
    async fn step() -> Result<u32, Failed> {
        yield_now().await;
        Err(Failed("no route"))
    }
    let worker = Worker::new("w");
    let call = tool_call("ssh_exec", async {
        let n = step().await?;
        Ok::<_, Failed>(n)
    });
    let result = worker.collector.scope(call).await;
    assert_eq!(result.unwrap_err().0, "no route");
    let call = llm_call("m", Phase::INITIAL, async {
        Err::<(), Failed>(Failed("HTTP 429"))
    });
    assert!(worker.collector.scope(call).await.is_err());
    assert_eq!(
        worker.seen(),
        ["ssh_exec 0ms: no route", "m/initial 0ms: HTTP 429"]
    );
}

#[tokio::test]
async fn the_loser_of_a_select_is_cancelled() {
    let worker = Worker::new("w");
    let body = async {
        tokio::select! {
            biased;
            _ = tool_call("slow", pending::<Result<(), Failed>>()) => unreachable!(),
            _ = llm_call("slow", "initial", pending::<Result<(), Failed>>()) => unreachable!(),
            _ = tool_call("fast", async { worker.pass_ms(3); Ok::<_, Failed>(()) }) => {}
            _ = tool_call("never polled", pending::<Result<(), Failed>>()) => unreachable!(),
        }
    };
    worker.collector.scope(body).await;
    let mut seen = worker.seen();
    seen[1..].sort();
    assert_eq!(
        seen,
        [
            "fast 3ms",
            "slow 3ms: cancelled",
            "slow/initial 3ms: cancelled"
        ]
    );
}

#[tokio::test]
async fn a_panic_inside_is_recorded_as_one() {
    let worker = Worker::new("w");
    let panics = || async {
        yield_now().await;
        panic!("in a tool")
    };
    let held = async move {
        let timer = start_llm_call("timer", "initial");
        let _ = tool_call::<_, (), Failed>("held", panics()).await;
        timer.succeed();
    };
    assert!(tokio::spawn(worker.collector.scope(held)).await.is_err());
    assert_eq!(
        worker.seen(),
        ["held 0ms: panicked", "timer/initial 0ms: panicked",]
    );
}

#[test]
fn a_panic_caught_before_the_call_is_dropped_is_one_too() {
    let worker = Worker::new("w");
    let tool = tool_call::<_, (), Failed>("t", async { panic!("in a tool") });
    let mut tool = Box::pin(worker.collector.scope(tool));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(tool.as_mut()))).is_err());
    let llm = llm_call::<_, (), Failed>("m", "initial", async { panic!("in a model") });
    let mut llm = Box::pin(worker.collector.scope(llm));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(llm.as_mut()))).is_err());
    assert_eq!(worker.seen(), [""; 0]);
    drop(tool);
    drop(llm);
    assert_eq!(
        worker.seen(),
        ["t 0ms: panicked", "m/initial 0ms: panicked"]
    );
}

#[test]
fn a_dropped_timer_is_cancelled() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        let (tool, llm) = (start_tool_call("t"), start_llm_call("m", "initial"));
        worker.pass_ms(5);
        drop(tool);
        drop(llm);
    });
    assert_eq!(
        worker.seen(),
        ["t 5ms: cancelled", "m/initial 5ms: cancelled"]
    );
}

#[test]
fn a_timer_belongs_to_the_scope_it_began_in() {
    let (a, b) = (Worker::new("a"), Worker::new("b"));
    let (tool, llm, dropped) = a.collector.scope_sync(|| {
        (
            start_tool_call("tool"),
            start_llm_call("llm", "initial"),
            start_tool_call("dropped"),
        )
    });
    a.pass_ms(7);
    b.pass_ms(1000);
    thread::scope(|scope| scope.spawn(|| tool.succeed()).join().unwrap());
    b.collector.scope_sync(|| {
        llm.fail("no");
        drop(dropped);
    });
    assert_eq!(
        a.seen(),
        ["tool 7ms", "llm/initial 7ms: no", "dropped 7ms: cancelled"]
    );
    assert_eq!(b.seen(), [""; 0]);
}

#[test]
fn a_wrapper_belongs_to_the_scope_of_its_first_poll() {
    let (a, b) = (Worker::new("a"), Worker::new("b"));
    let mut call = pin!(tool_call("outer", async {
        yield_now().await;
        start_tool_call("inner").succeed();
        Ok::<_, Failed>(())
    }));
    assert!(a.collector.scope_sync(|| poll(call.as_mut())).is_pending());
    assert!(b.collector.scope_sync(|| poll(call.as_mut())).is_ready());
    assert_eq!(a.seen(), ["inner 0ms", "outer 0ms"]);
    assert_eq!(b.seen(), [""; 0]);
}

#[test]
fn a_call_never_polled_never_was() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        drop(tool_call("t", pending::<Result<(), Failed>>()));
        drop(llm_call("m", "initial", pending::<Result<(), Failed>>()));
    });
    assert_eq!(worker.seen(), [""; 0]);
}

#[test]
fn the_lines_hold_exact_times_and_all_that_is_known() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        let mut timer = start_llm_call("gpt-5-mini", Phase::INITIAL);
        timer.provider("openai");
        timer.attempt(2);
        timer.cost_usd(Decimal::new(5, 4));
        worker.pass_ms(40);
        timer.first_token();
        worker
            .time
            .advance(std::time::Duration::from_micros(71_111));
        timer.first_token();
        // The wall clock jumps back; the call took what it took.
        worker.time.set_wall(metrics_core::Timestamp::UNIX_EPOCH);
        timer.usage(Usage {
            total_tokens: None,
            ..Usage::new(1234, 89)
        });
        timer.succeed();
        let mut timer = start_tool_call("ssh_exec");
        timer.tool_call_id("call_1");
        worker
            .time
            .advance(std::time::Duration::from_nanos(999_999));
        timer.fail("no route");
    });
    let lines: Vec<_> = worker.events().iter().map(Event::to_line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"ttft_ms":40,"provider":"openai","attempt":2,"cost_usd":0.0005}
    {"event":"tool_call","tool":"ssh_exec","start_ts":"1970-01-01T00:00:00.000000Z","end_ts":"1970-01-01T00:00:00.000999Z","duration_ms":0,"success":false,"error":"no route","tool_call_id":"call_1"}
    "#);
}

#[tokio::test]
async fn a_failed_or_cancelled_call_keeps_what_is_known() {
    let worker = Worker::new("w");
    let call = |future| {
        llm_call("m", "initial", future)
            .provider("openai")
            .usage(|(): &()| unreachable!("no reply"))
            .attempt(3)
    };
    let failing: Pin<Box<dyn Future<Output = _>>> = Box::pin(ready(Err(Failed("HTTP 429"))));
    assert!(worker.collector.scope(call(failing)).await.is_err());
    let mut hanging = Box::pin(worker.collector.scope(call(Box::pin(pending()))));
    assert!(poll(hanging.as_mut()).is_pending());
    drop(hanging);
    let mut hanging = Box::pin(
        worker
            .collector
            .scope(tool_call("t", pending::<Result<(), Failed>>()).tool_call_id("call_1")),
    );
    assert!(poll(hanging.as_mut()).is_pending());
    drop(hanging);
    let lines: Vec<_> = worker.events().iter().map(Event::to_line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.123456Z","duration_ms":0,"provider":"openai","attempt":3,"success":false,"error":"HTTP 429"}
    {"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.123456Z","duration_ms":0,"provider":"openai","attempt":3,"success":false,"error":"cancelled"}
    {"event":"tool_call","tool":"t","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.123456Z","duration_ms":0,"success":false,"error":"cancelled","tool_call_id":"call_1"}
    "#);
}

#[tokio::test]
async fn a_reply_is_read_into_the_event() {
    let worker = Worker::new("w");
    let call = llm_call("m", "initial", async { Ok::<_, Failed>((12, 3)) })
        .report(|(prompt, completion), call| {
            call.usage.prompt_tokens = Some(*prompt);
            call.usage.completion_tokens = Some(*completion);
            call.ttft_ms = Some(0);
            call.provider = Some("anthropic".into());
        })
        .provider("openai");
    assert_eq!(worker.collector.scope(call).await.unwrap(), (12, 3));
    let lines: Vec<_> = worker.events().iter().map(Event::to_line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.123456Z","duration_ms":0,"prompt_tokens":12,"completion_tokens":3,"total_tokens":15,"ttft_ms":0,"provider":"anthropic"}"#);
}

#[test]
fn builder_calls_on_a_running_call_keep_it_running() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        let mut call = llm_call("m", "initial", pending::<Result<(), Failed>>());
        assert!(poll(Pin::new(&mut call)).is_pending());
        worker.pass_ms(2);
        let mut call = call.attempt(2).usage(|()| Usage::default());
        assert!(poll(Pin::new(&mut call)).is_pending());
        assert_eq!(worker.collector.in_flight().len(), 1);
    });
    assert_eq!(worker.seen(), ["m/initial 2ms: cancelled"]);
}

/// An error whose text takes a second to make.
struct SlowToTell<'a>(&'a Worker);

impl fmt::Display for SlowToTell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.pass_ms(1000);
        f.write_str("slow to tell")
    }
}

#[test]
fn the_end_is_read_before_the_error_is_put_into_words() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        start_tool_call("timer").fail(SlowToTell(&worker));
        start_llm_call("timer", "initial").fail(SlowToTell(&worker));
        let call = tool_call("call", ready(Err::<(), _>(SlowToTell(&worker))));
        assert!(poll(pin!(call)).is_ready());
        let call = llm_call("call", "initial", ready(Err::<(), _>(SlowToTell(&worker))));
        assert!(poll(pin!(call)).is_ready());
    });
    assert_eq!(
        worker.seen(),
        [
            "timer 0ms: slow to tell",
            "timer/initial 0ms: slow to tell",
            "call 0ms: slow to tell",
            "call/initial 0ms: slow to tell",
        ]
    );
}

#[tokio::test]
async fn code_that_only_measures_costs_nobody_a_result() {
    #[derive(Debug, PartialEq)]
    struct Unspeakable;
    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Display")
        }
    }
    let worker = Worker::new("w");
    let call = tool_call("t", ready(Err::<(), _>(Unspeakable)));
    assert_eq!(worker.collector.scope(call).await, Err(Unspeakable));
    let call = llm_call("m", "initial", ready(Ok::<_, Failed>(42))).report(|_, call| {
        call.ttft_ms = Some(1);
        panic!("in a report")
    });
    assert_eq!(worker.collector.scope(call).await.unwrap(), 42);
    assert_eq!(
        worker.seen(),
        [
            "t 0ms: the text of this error cannot be shown",
            "m/initial 0ms"
        ]
    );
}

#[test]
fn a_call_that_ends_while_another_panics_is_still_recorded() {
    let worker = Worker::new("w");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        worker.collector.scope_sync(|| {
            let _timer = start_tool_call("t");
            worker.pass_ms(1);
            panic!("in the worker");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(worker.seen(), ["t 1ms: panicked"]);
}
