//! What a program prints, finds and is called.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt as _};

use artifact_store::Status;
use metrics_core::{TraceContext, WorkerId};
use worker_runner::Redactor;

use super::support::Home;
use crate::{
    CommandError, OutputFormat, ProgramAgent, ProgramOptions, Surroundings,
    output::{Output, Watch},
};

fn text() -> ProgramOptions {
    ProgramOptions::default()
}

#[tokio::test]
async fn what_it_prints_is_kept_byte_by_byte() {
    let home = Home::new();
    let script = r"printf 'a\377b\000c\n'; printf 'd\371' >&2";
    let ended = home.run(script, text()).await;
    assert_eq!(ended.report.status, Status::Success);
    assert_eq!(ended.file("result.txt"), b"a\xffb\0c\n");
    assert_eq!(ended.file("stderr.txt"), b"d\xf9");
    assert_eq!(ended.report.result, "a\u{fffd}b\0c\n");
    assert_eq!(ended.program()["stdout_bytes"], 6);
    assert_eq!(ended.program()["stderr_bytes"], 2);
    assert_eq!(ended.warnings(), [""; 0]);
}

#[tokio::test]
async fn a_line_without_end_is_a_result_like_any_other() {
    let home = Home::new();
    let ended = home
        .run("head -c 20000000 /dev/zero | tr '\\0' x", text())
        .await;
    assert_eq!(ended.file("result.txt").len(), 20_000_000);
    assert_eq!(ended.report.result.len(), 1 << 20);
}

#[tokio::test]
async fn a_program_that_prints_nothing_has_no_result() {
    let home = Home::new();
    let ended = home.run("exec >&- 2>&-", text()).await;
    assert_eq!(ended.report.result, worker_runner::NO_RESULT);
    assert_eq!(ended.text("result.txt"), worker_runner::NO_RESULT);
}

#[tokio::test]
async fn a_disk_that_is_full_costs_the_rest_of_the_file_and_not_the_program() {
    #[derive(Default)]
    struct Seen(usize);
    impl Watch for Seen {
        fn look(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let bytes = vec![b'x'; 1_000_000];
    let mut output = Output::new(Some(&bytes[..]), full, Seen::default(), &Redactor::new());
    output.read_to_end().await;
    let loss = output.loss("result.txt").unwrap();
    assert!(
        loss.starts_with("`result.txt` holds the first 0 of 1000000 bytes: No space"),
        "{loss}"
    );
    assert_eq!(output.into_watcher().0, 1_000_000);
}

#[tokio::test]
async fn it_finds_its_worker_its_trace_and_its_metrics_file() {
    let home = Home::new();
    let script =
        r#"echo "$TRISCOPE_WORKER_ID"; echo "$TRACEPARENT"; ls -l "$TRISCOPE_METRICS_FILE""#;
    let ended = home.run(script, text()).await;
    let lines: Vec<_> = ended.report.result.lines().collect();
    assert_eq!(lines[0], ended.report.worker_id.as_str());
    let child = Surroundings::read(Some(lines[1]), Some(lines[0]));
    let trace = child.trace.unwrap();
    assert_eq!(Some(trace.trace_id), ended.metadata.trace_id);
    assert_eq!(trace.parent_span_id, ended.metadata.span_id);
    assert_eq!(child.worker_id, Some(ended.report.worker_id.clone()));
    assert!(lines[2].starts_with("-rw------- "), "{}", lines[2]);
    assert!(
        lines[2].ends_with("/child-metrics.jsonl") && lines[2].contains(" /"),
        "{}",
        lines[2]
    );
}

#[test]
fn only_a_trace_that_holds_links_a_process_to_its_worker() {
    let trace = TraceContext::root().traceparent();
    let nobody = Surroundings::default();
    assert_eq!(Surroundings::read(None, Some("w")), nobody);
    assert_eq!(Surroundings::read(Some("00-0-0-00"), Some("w")), nobody);
    let read = |id| Surroundings::read(Some(&trace), Some(id)).worker_id;
    assert_eq!(read("w"), Some(WorkerId::from("w")));
    let long = "w".repeat(300);
    for bad in ["", "a\nb", &long] {
        assert_eq!(read(bad), None);
    }
}

#[tokio::test]
async fn its_standard_input_is_empty() {
    let home = Home::new();
    let ended = home.run("cat; echo read", text()).await;
    assert_eq!(ended.report.result, "read\n");
}

#[tokio::test]
async fn a_known_agents_stream_is_kept_and_its_last_word_is_the_result() {
    let home = Home::new();
    let sample = include_str!("../../samples/codex-json.jsonl");
    fs::write(home.path().join("stream"), sample).unwrap();
    let options = ProgramOptions {
        format: OutputFormat::CodexJson,
        ..text()
    };
    let ended = home.run("cat stream", options).await;
    assert_eq!(ended.report.result, "All done.");
    assert_eq!(ended.text("stdout.jsonl"), sample);
    assert_eq!(ended.text("result.txt"), "All done.");
    assert_eq!(ended.events().len(), 6);
    assert_eq!(ended.program()["format"]["lines"], 16);
}

#[tokio::test]
async fn an_agent_that_says_that_it_failed_has_failed_whatever_its_exit_code() {
    let home = Home::new();
    let sample = include_str!("../../samples/claude-failed.jsonl");
    fs::write(home.path().join("stream"), sample).unwrap();
    let options = ProgramOptions {
        format: OutputFormat::ClaudeStreamJson,
        ..text()
    };
    let said = "the agent says that it failed: error_max_turns";
    for (script, error) in [
        ("cat stream", said.to_owned()),
        ("cat stream; exit 1", format!("exit code 1: {said}")),
    ] {
        let ended = home.run(script, options.clone()).await;
        assert_eq!(ended.report.status, Status::Failed);
        assert_eq!(ended.report.error.as_deref(), Some(&*error));
    }
}

#[test]
fn a_command_that_cannot_be_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o600)).unwrap();
    let new = |words: &[&str]| {
        ProgramAgent::new(words.iter().map(OsString::from), text()).map(|it| it.command_line())
    };
    assert_eq!(new(&[]), Err(CommandError::Empty));
    assert_eq!(new(&[""]), Err(CommandError::Empty));
    for name in ["no-such-program", "./no-such-program", "no\u{1b}such"] {
        let error = new(&[name]).unwrap_err();
        assert!(matches!(error, CommandError::NotFound(_)), "{error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
    for path in [home.path(), script.as_path()] {
        let error = new(&[path.to_str().unwrap()]).unwrap_err();
        assert!(
            matches!(error, CommandError::NotExecutable { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_command_line_can_be_typed_again() {
    let words = ["sh", "-c", "echo 'it'\"s\"; $HOME", "", "a=b", "é"].map(OsString::from);
    let agent = ProgramAgent::new(words, text()).unwrap();
    assert_eq!(
        agent.command_line(),
        r#"sh -c 'echo '\''it'\''"s"; $HOME' '' a=b 'é'"#
    );
}
