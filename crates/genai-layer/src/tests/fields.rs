//! What fields become, whenever and however they are recorded.

use std::fmt;

use metrics_core::{Phase, Usage};
use tracing::{debug_span, event, field::Empty, info, info_span, trace_span};

use super::{Worker, chat, tool, watch};

#[test]
fn a_chat_span_becomes_a_model_call_with_all_that_its_fields_say() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let span = worker.within(|| {
        info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = "openai",
            gen_ai.request.model = "gpt-5-mini",
            gen_ai.response.model = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
        )
    });
    worker.pass_ms(30);
    span.record("gen_ai.response.time_to_first_chunk", 0.03);
    worker.pass_ms(70);
    span.record("gen_ai.response.model", "gpt-5-mini-2025-08-07");
    span.record("gen_ai.usage.input_tokens", 1234_u64);
    span.record("gen_ai.usage.output_tokens", 89_i64);
    span.record("gen_ai.usage.cache_read.input_tokens", 1024);
    span.record("gen_ai.usage.cache_creation.input_tokens", 100);
    span.record("gen_ai.usage.reasoning.output_tokens", 64);
    drop(span);
    assert_eq!(
        worker.events()[0].to_line(),
        r#"{"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.223456Z","duration_ms":100,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":1024,"cache_write_tokens":100,"reasoning_tokens":64,"ttft_ms":30,"provider":"openai"}"#
    );
}

#[test]
fn a_tool_span_becomes_a_tool_call() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let span = worker.within(|| tool!(Empty, gen_ai.tool.call.id = Empty));
    span.record("gen_ai.tool.name", "ssh_exec");
    span.record("gen_ai.tool.call.id", tracing::field::display("call_1"));
    worker.pass_ms(1111);
    drop(span);
    assert_eq!(
        worker.events()[0].to_line(),
        r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:09.234567Z","duration_ms":1111,"success":true,"tool_call_id":"call_1"}"#
            .replace("09.234567", "09.234456")
    );
}

#[test]
fn older_names_and_debug_values_count_too() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        debug_span!(
            "complete",
            gen_ai.operation.name = ?"text_completion",
            gen_ai.system = "vllm",
            gen_ai.response.model = %"llama",
            gen_ai.usage.prompt_tokens = 7,
            gen_ai.usage.completion_tokens = 3,
            gen_ai.usage.total_tokens = 11,
        );
    });
    let call = worker.llm_call();
    assert_eq!(call.phase, Phase::from("text_completion"));
    assert_eq!(
        (call.model.as_str(), call.provider.unwrap().as_str()),
        ("llama", "vllm")
    );
    let usage = Usage {
        total_tokens: Some(11),
        ..Usage::new(7, 3)
    };
    assert_eq!(call.usage, usage);
}

#[test]
fn an_operation_that_is_told_later_starts_the_call() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    let span = worker.within(|| {
        info_span!(
            "x",
            gen_ai.operation.name = Empty,
            gen_ai.request.model = "m"
        )
    });
    assert!(worker.in_flight().is_empty());
    span.record("gen_ai.operation.name", "chat");
    assert_eq!(worker.in_flight(), ["m"]);
    drop(span);
    assert_eq!(worker.seen(), ["m 0ms"]);
}

#[test]
fn fields_of_the_wrong_type_are_passed_over() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = 5,
            gen_ai.provider.name = true,
            gen_ai.usage.input_tokens = "many",
            gen_ai.usage.output_tokens = -1,
            gen_ai.usage.cache_read.input_tokens = 1.5,
            gen_ai.usage.reasoning.output_tokens = false,
            error = 3,
        );
        info_span!(
            "chat",
            gen_ai.operation.name = 7,
            gen_ai.request.model = "m"
        );
    });
    let call = worker.llm_call();
    assert!(call.outcome.is_success());
    assert_eq!(
        (call.model.as_str(), call.provider, call.usage),
        ("unknown", None, Usage::default())
    );
}

#[test]
fn a_value_that_panics_is_passed_over() {
    struct Bad;
    impl fmt::Display for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    let (_watch, worker) = (watch(), Worker::new("w"));
    let span = worker.within(|| chat!("m", gen_ai.provider.name = %Bad));
    span.record("gen_ai.request.model", tracing::field::display(Bad));
    super::answer(&span);
    drop(span);
    assert_eq!(worker.seen(), ["m 0ms"]);
}

#[test]
fn prompts_and_replies_are_not_even_formatted() {
    struct Secret;
    impl fmt::Debug for Secret {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            unreachable!("somebody looks at a prompt")
        }
    }
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        chat!("m", gen_ai.input.messages = ?Secret, gen_ai.output.messages = ?Secret);
        tool!("t", gen_ai.tool.call.arguments = ?Secret, gen_ai.tool.call.result = ?Secret);
    });
    assert_eq!(worker.seen(), ["m 0ms", "t 0ms"]);
}

#[test]
fn agents_and_spans_of_other_things_are_no_calls() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.request.model = "m"
        );
        info_span!(
            "plan",
            gen_ai.operation.name = "something new",
            gen_ai.usage.input_tokens = 3
        );
        info_span!("http", url = "http://localhost");
    });
    assert!(worker.events().is_empty());
}

#[test]
fn only_genai_callsites_are_looked_at() {
    let _watch = watch();
    assert!(
        trace_span!("chat", gen_ai.operation.name = "chat")
            .id()
            .is_some()
    );
    assert!(info_span!("http", url = "http://localhost").is_none());
    assert!(!tracing::enabled!(tracing::Level::ERROR));
}

#[test]
fn an_event_inside_a_calls_span_tells_of_that_call() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        let span = chat!("m").entered();
        info!(
            gen_ai.operation.name = "chat",
            gen_ai.usage.input_tokens = 5
        );
        info_span!("inner").in_scope(|| info!(gen_ai.usage.output_tokens = 2));
        worker.pass_ms(4);
        drop(span);
    });
    let call = worker.llm_call();
    assert_eq!((call.usage, call.time.duration_ms()), (Usage::new(5, 2), 4));
}

#[test]
fn an_event_with_an_operation_of_its_own_is_a_finished_call() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        info!(
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
            gen_ai.usage.input_tokens = 5
        );
        let agent = info_span!("a", gen_ai.operation.name = "invoke_agent").entered();
        info!(gen_ai.operation.name = "chat", gen_ai.request.model = "n", error.type = "429");
        drop(agent);
        let chat = chat!("o").entered();
        info!(
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "t"
        );
        super::answer(&chat);
        info!(gen_ai.operation.name = "invoke_agent");
        info!(gen_ai.tool.name = "no operation");
    });
    assert_eq!(worker.seen(), ["m 0ms", "n 0ms: 429", "t 0ms", "o 0ms"]);
}

#[test]
fn our_own_events_are_not_taken_for_calls() {
    let (_watch, worker) = (watch(), Worker::new("w"));
    worker.within(|| {
        event!(
            target: "triscope::telemetry",
            tracing::Level::INFO,
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
        );
    });
    assert!(worker.events().is_empty());
}
