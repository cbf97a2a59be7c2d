//! The guide's agents in other languages, run as the guide says.

use std::{fs, path::Path};

use metrics_core::Event;

use crate::{
    cli::{Place, metadata},
    support::{LogFile, MetricsFile, require},
};

const GUIDE: &str = include_str!("../../../docs/any-program.md");

/// Runs an example, and looks at all three tiers.
#[track_caller]
fn shows_on_all_tiers(interpreter: &str, example: &str) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let example = examples.join(example);
    let place = Place::new();
    let arguments = [
        "exec",
        "--json",
        "--",
        interpreter,
        example.to_str().unwrap(),
    ];
    let report = place.run(&arguments).json();
    assert_eq!(report["status"], "success");
    assert_eq!(report["result"], "The result is 42.\n");
    assert_eq!(
        (&report["events"], &report["warnings"]),
        (&2.into(), &().into())
    );
    let id = report["worker_id"].as_str().unwrap();

    let text = place.run(&["result", id]).answer();
    let head = format!("Result from worker {id}:\n\nExecution time: ");
    assert!(text.starts_with(&head), "{text}");
    assert!(text.ends_with("\n\nThe result is 42.\n"), "{text}");

    let dir = place.dir_of(&report);
    let metrics = MetricsFile::read(&dir.join("metrics.jsonl"));
    let [Event::LlmCall(model), Event::ToolCall(tool)] = &metrics.events[..] else {
        panic!("{}", metrics.text);
    };
    assert_eq!(
        (model.phase.as_str(), model.model.as_str()),
        ("initial", "my-model")
    );
    assert_eq!(model.usage.total_tokens, Some(128));
    assert_eq!(tool.tool.as_str(), "calculate");
    assert!(tool.outcome.is_success());
    assert!(metadata(&dir)["program"]["metrics"]["refused"] == 0);

    let log = LogFile::read(&place.log_path());
    let messages: Vec<_> = log
        .calls(Some(id))
        .iter()
        .map(|it| it.message.clone())
        .collect();
    assert_eq!(messages, ["llm_call_complete", "tool_call_complete"]);
}

#[test]
fn an_agent_in_python() {
    require!("python3");
    shows_on_all_tiers("python3", "worker.py");
}

#[test]
fn an_agent_in_node() {
    require!("node");
    shows_on_all_tiers("node", "worker.mjs");
}

#[test]
fn the_examples_also_run_alone() {
    require!("python3", "node");
    let place = Place::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let examples = examples.canonicalize().unwrap();
    for command in ["python3 worker.py", "node worker.mjs"] {
        let (interpreter, file) = command.split_once(' ').unwrap();
        let recipe = format!(
            "unset TRISCOPE_METRICS_FILE; {interpreter} '{}'",
            examples.join(file).display()
        );
        let answer = crate::support::sh(place.folder(), &recipe).answer();
        assert_eq!(answer, "The result is 42.\n");
    }
}

#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    for (language, file) in [("python", "worker.py"), ("js", "worker.mjs")] {
        let code = fs::read_to_string(examples.join(file)).unwrap();
        let block = format!("```{language}\n{code}```\n");
        assert!(GUIDE.contains(&block), "the guide does not show `{file}`");
    }
}
