//! Known agents that tell of their own calls.

use std::{fs, path::Path};

use crate::{
    cli::Place,
    support::{MetricsFile, normalised},
};

fn sample(name: &str) -> String {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/program-agent/samples");
    let path = samples.join(name).canonicalize().unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_coding_agents_stream_shows_on_all_tiers() {
    let place = Place::new();
    let stream = sample("claude-stream-json.jsonl");
    let format = ["exec", "--format", "claude-stream-json", "--task", "fix it"];
    let text = place
        .run(&[&format[..], &["--", "cat", &stream]].concat())
        .answer();
    {
        let _normalised = normalised();
        insta::assert_snapshot!(text, @r"
        Result from worker [second]_fix-it:

        Execution time: [duration]
        Usage: 4 LLM calls, 35,856 tokens, $0.035; 3 tool calls (1 failed)

        The tests do not compile, and backups run at night.
        ");
    }
    let metadata = place.only_metadata();
    let dir = place.dir_of(&metadata);
    let metrics = MetricsFile::read(&dir.join("metrics.jsonl"));
    assert_eq!(metrics.events.len(), 7);
    assert_eq!(metadata["events"], 7);
    assert_eq!(metadata["program"]["format"]["total_cost_usd"], 0.0321);
    let log = fs::read_to_string(place.log_path()).unwrap();
    assert_eq!(log.matches(" event=llm_call_complete").count(), 4);
    assert_eq!(log.matches(" event=tool_call_complete").count(), 3);
    assert_eq!(
        fs::read(dir.join("stdout.jsonl")).unwrap(),
        fs::read(stream).unwrap()
    );
}

#[test]
fn a_stream_of_another_format_is_told_and_the_worker_lives() {
    let place = Place::new();
    let arguments = ["exec", "--format", "codex-json", "--", "echo", "plain text"];
    let text = place.run(&arguments).answer();
    assert!(
        text.contains("\nWarning: 1 of 1 lines printed are not codex-json (line 1: "),
        "{text}"
    );
    assert!(text.ends_with("\n\n(No result generated)\n"), "{text}");
}
