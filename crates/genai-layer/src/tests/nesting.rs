//! One call is one event, however many spans tell of it.

use metrics_collector::{llm_call, tool_call};
use tracing::{field::Empty, info_span};

use super::{Worker, answer, chat, tool, watch};

#[test]
fn a_model_call_inside_a_model_call_is_the_one_that_counts() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        let outer = chat!("wrapper").entered();
        assert_eq!(worker.in_flight(), ["wrapper"]);
        info_span!("not genai").in_scope(|| {
            for attempt in ["attempt 1", "attempt 2"] {
                let inner = chat!(attempt, error.type = Empty);
                assert_eq!(worker.in_flight(), [attempt]);
                match attempt {
                    "attempt 1" => inner.record("error.type", "429"),
                    _ => inner.record("gen_ai.response.id", "r"),
                };
            }
        });
        answer(&outer);
    });
    assert_eq!(worker.seen(), ["attempt 1 0ms: 429", "attempt 2 0ms"]);
    assert_eq!(worker.collector.totals().llm_calls, 2);
}

#[test]
fn an_agent_around_and_a_tool_between_make_no_call_less() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        let _agent = info_span!("a", gen_ai.operation.name = "invoke_agent").entered();
        let outer = chat!("outer").entered();
        {
            let _tool = tool!("research").entered();
            let _agent = info_span!("b", gen_ai.operation.name = "invoke_agent").entered();
            answer(&chat!("inner"));
        }
        answer(&outer);
    });
    assert_eq!(worker.seen(), ["inner 0ms", "research 0ms", "outer 0ms"]);
}

#[test]
fn a_tool_call_directly_inside_one_of_the_same_tool_is_part_of_it() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        let _framework = tool!("ssh_exec", gen_ai.tool.call.id = "call_1").entered();
        let named_later = tool!(Empty).entered();
        named_later.record("gen_ai.tool.name", "ssh_exec");
        drop(named_later);
        drop(tool!("resolve_host"));
        let _agent = info_span!("a", gen_ai.operation.name = "invoke_agent").entered();
        drop(tool!("ssh_exec"));
    });
    assert_eq!(
        worker.seen(),
        ["resolve_host 0ms", "ssh_exec 0ms", "ssh_exec 0ms"]
    );
    assert!(worker.events()[2].to_line().contains("call_1"));
}

#[tokio::test]
async fn what_a_wrapper_of_the_collector_records_is_not_recorded_again() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let ask = llm_call("wrapped", "initial", async {
        answer(&chat!("same call"));
        drop(tool!("a tool of the agent"));
        Ok::<_, String>(())
    });
    let run = tool_call("research", async {
        drop(tool!("research"));
        answer(&chat!("in the tool"));
        Ok::<_, String>(())
    });
    worker
        .collector
        .scope(async { (ask.await, run.await) })
        .await
        .0
        .unwrap();
    assert_eq!(
        worker.seen(),
        [
            "a tool of the agent 0ms",
            "wrapped 0ms",
            "in the tool 0ms",
            "research 0ms"
        ]
    );
}

#[test]
fn a_worker_inside_a_call_keeps_its_own_accounts() {
    let (_watch, outer, inner) = (watch(), Worker::new("outer"), Worker::new("inner"));
    outer.within(|| {
        let chat = chat!("outer's").entered();
        let tool = tool!("delegate").entered();
        inner.within(|| {
            answer(&chat!("inner's"));
            drop(tool!("delegate"));
        });
        drop(tool);
        inner.within(|| answer(&chat!("inner's")));
        answer(&chat);
    });
    assert_eq!(outer.seen(), ["delegate 0ms", "outer's 0ms"]);
    assert_eq!(inner.seen(), ["inner's 0ms", "delegate 0ms", "inner's 0ms"]);
}
