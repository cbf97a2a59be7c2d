//! The samples as events, and streams that are not what they should be.

use std::{ffi::OsString, sync::Arc, time::Duration};

use metrics_collector::MetricsCollector;
use metrics_core::{Event, ManualClock, MemorySink, Timestamp, TraceContext, WorkerId};

use crate::{
    OutputFormat,
    command::ProgramCommand,
    format::{Reading, Said},
    output::Watch as _,
};

const CLAUDE: &[u8] = include_bytes!("../../samples/claude-stream-json.jsonl");
const CLAUDE_FAILED: &[u8] = include_bytes!("../../samples/claude-failed.jsonl");
const CODEX: &[u8] = include_bytes!("../../samples/codex-json.jsonl");
const CODEX_FAILED: &[u8] = include_bytes!("../../samples/codex-failed.jsonl");

/// Reads a stream whose lines come a second apart; its events in brief, and what it said.
fn read(format: OutputFormat, stream: &[u8]) -> (Vec<String>, Said) {
    let sink = Arc::new(MemorySink::default());
    let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
    let worker = WorkerId::from("w");
    let collector = MetricsCollector::with(
        worker.clone(),
        sink.clone(),
        TraceContext::root(),
        manual.clock(),
    );
    let words = ["sh", "-m", "no", "./codex", "exec", "-m", "gpt-5-codex"].map(OsString::from);
    let command = ProgramCommand::find(words).unwrap();
    let said = collector.scope_sync(|| {
        let reader = format.reader(&command, manual.clock()).unwrap();
        let mut reading = Some(Reading::new(reader));
        for line in stream.split_inclusive(|it| *it == b'\n') {
            manual.advance(Duration::from_secs(1));
            reading.look(line);
        }
        reading.unwrap().end()
    });
    let events = sink.events(&worker);
    (events.iter().map(brief).collect(), said)
}

/// `llm_call initial model 0s-1s 10+20=30`.
fn brief(event: &Event<'_>) -> String {
    let seconds = |it: Timestamp| it.unix_micros() / 1_000_000;
    let time = event.time();
    let time = format!("{}s-{}s", seconds(time.start_ts()), seconds(time.end_ts()));
    let outcome = event.outcome();
    let error = match (outcome.is_success(), outcome.error()) {
        (true, _) => String::new(),
        (false, error) => format!(": {}", error.unwrap_or("no reason")),
    };
    match event {
        Event::LlmCall(it) => {
            let usage = &it.usage;
            let number = |it: Option<u64>| it.map_or("?".to_owned(), |it| it.to_string());
            format!(
                "{} {} {time} {}+{}={} cached {} written {} reasoning {}{error}",
                it.phase,
                it.model,
                number(usage.prompt_tokens),
                number(usage.completion_tokens),
                number(usage.total_tokens),
                number(usage.cached_tokens),
                number(usage.cache_write_tokens),
                number(usage.reasoning_tokens),
            )
        }
        Event::ToolCall(it) => {
            let id = it.tool_call_id.as_deref().unwrap_or("no id");
            format!("{} {id} {time}{error}", it.tool)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_stream_of_claude_code_becomes_its_calls() {
    let (events, said) = read(OutputFormat::ClaudeStreamJson, CLAUDE);
    // A message is one call, however many lines it has, with the highest count of its output.
    assert_eq!(
        events,
        [
            "Bash toolu_01Bash 3s-5s: error: could not compile `app`",
            "Read toolu_02Read 7s-8s",
            "tool_decision claude-haiku-4-5-20251001 6s-7s 900+40=940 cached 0 written 0 reasoning ?",
            "synthesis claude-haiku-4-5-20251001 8s-10s 990+12=1002 cached 0 written 0 reasoning ?",
            "Task toolu_01Task 4s-11s",
            "initial claude-sonnet-4-5-20250929 1s-4s 16651+187=16838 cached 11292 written 5355 reasoning ?",
            "synthesis claude-sonnet-4-5-20250929 11s-12s 17045+31=17076 cached 16827 written 212 reasoning ?",
        ]
    );
    let result = "The tests do not compile, and backups run at night.";
    assert_eq!(said.result.as_deref(), Some(result));
    assert_eq!((said.error, said.warning), (None, None));
    assert_eq!(said.facts["total_cost_usd"], 0.0321);
    assert_eq!(
        (&said.facts["lines"], &said.facts["malformed"]),
        (&13.into(), &0.into())
    );
}

#[test]
fn a_claude_code_that_gives_up_says_why_and_its_calls_are_cut_off() {
    let (events, said) = read(OutputFormat::ClaudeStreamJson, CLAUDE_FAILED);
    assert_eq!(
        events,
        [
            "initial claude-sonnet-4-5-20250929 1s-2s 600+50=650 cached 300 written 200 reasoning ?",
            "Bash toolu_01 2s-3s: cancelled",
        ]
    );
    let error = "the agent says that it failed: error_max_turns";
    assert_eq!(said.error.as_deref(), Some(error));
    assert_eq!(said.result, None);
}

#[test]
fn messages_that_are_printed_again_are_not_counted_again() {
    let once = read(OutputFormat::ClaudeStreamJson, CLAUDE).0;
    let twice = read(OutputFormat::ClaudeStreamJson, &[CLAUDE, CLAUDE].concat()).0;
    assert_eq!(once, twice);
}

#[test]
fn partial_messages_correct_the_count_of_the_output() {
    let stream = br#"{"type":"stream_event","event":{"type":"message_start","message":{"id":"m"}},"parent_tool_use_id":null}
{"type":"assistant","message":{"id":"m","model":"x","content":"plain","usage":{"input_tokens":5,"output_tokens":1}}}
{"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":77}},"parent_tool_use_id":null}
{"type":"assistant","message":{"id":"n","model":"<synthetic>","content":[],"usage":{"input_tokens":0,"output_tokens":0}}}
"#;
    let (events, said) = read(OutputFormat::ClaudeStreamJson, stream);
    assert_eq!(
        events,
        ["initial x 0s-2s 5+77=82 cached ? written ? reasoning ?"]
    );
    assert_eq!(said.warning, None);
}

#[test]
fn the_stream_of_codex_becomes_its_calls() {
    let (events, said) = read(OutputFormat::CodexJson, CODEX);
    assert_eq!(
        events,
        [
            "command_execution item_1 4s-5s",
            "notes.search item_3 7s-8s: no such index",
            "command_execution item_2 6s-9s: exit code 101",
            "file_change item_4 10s-10s",
            "turn gpt-5-codex 2s-13s 24763+122=24885 cached 24448 written ? reasoning 64",
            "turn gpt-5-codex 14s-16s 5237+28=5265 cached 4552 written ? reasoning 0",
        ]
    );
    assert_eq!(said.result.as_deref(), Some("All done."));
    assert_eq!((said.error, said.warning), (None, None));
    assert_eq!(
        said.facts["thread_id"],
        "0199a213-81c0-7800-8aa1-bbab2a035a53"
    );
}

#[test]
fn a_codex_turn_that_fails_is_a_failed_call() {
    let (events, said) = read(OutputFormat::CodexJson, CODEX_FAILED);
    let reason = "You've hit your usage limit.";
    assert_eq!(
        events,
        [
            format!("turn gpt-5-codex 2s-5s ?+?=? cached ? written ? reasoning ?: {reason}"),
            "command_execution item_0 3s-5s: cancelled".to_owned(),
        ]
    );
    assert_eq!(said.error.as_deref(), Some(reason));
}

#[test]
fn unknown_lines_are_passed_over_and_malformed_ones_counted() {
    let strange = br#"Warning: something on stdout
{"type":"rate_limit_event","anything":[1,2]}
{"type":"assistant","message":"a text where an object belongs"}
{"type":"item.completed","item":7}
[1]
{"no":"type"}
"#;
    for (format, sample) in [
        (OutputFormat::ClaudeStreamJson, CLAUDE),
        (OutputFormat::CodexJson, CODEX),
    ] {
        let clean = read(format, sample);
        let noisy = read(format, &[sample, strange, b"\xff\xfe\n{\"torn\":"].concat());
        assert_eq!(clean.0.len(), noisy.0.len(), "{format}");
        assert_eq!(clean.1.result, noisy.1.result, "{format}");
        // The text, the wrong shape of its own format, the array, no type, no text, the torn end.
        assert_eq!(noisy.1.facts["malformed"], 6, "{format}");
        let warning = noisy.1.warning.unwrap();
        assert!(warning.starts_with("6 of "), "{warning}");
        assert!(
            warning.contains("are not") && warning.len() < 300,
            "{warning}"
        );
    }
}

#[test]
fn no_stream_makes_a_reader_grow_without_end() {
    use std::fmt::Write as _;
    let mut stream = String::new();
    for n in 0..5000 {
        let long = "n".repeat(1000);
        writeln!(
            stream,
            r#"{{"type":"assistant","parent_tool_use_id":"p{n}","message":{{"id":"m{n}","model":"{long}","content":[{{"type":"tool_use","id":"t{n}","name":"{long}"}}],"usage":{{}}}}}}"#
        )
        .unwrap();
    }
    let (events, _) = read(OutputFormat::ClaudeStreamJson, stream.as_bytes());
    assert_eq!(events.len(), 2 * 1024);
    assert!(events.iter().all(|it| it.len() < 400), "{}", events[0]);
}
