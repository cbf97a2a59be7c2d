//! `shell_exec` keeps all of an output, and holds none of it.

use std::fs;

use serde_json::Value;
use stub_server::{Answer, StubServer, openai};

use super::numbers;
use crate::{
    cli::Place,
    support::{Background, MARK, eventually, finish, peak_memory_kib},
};

const WHOLE: &str = "tool_calls/001_shell_exec.whole.txt";

#[test]
fn a_long_output_is_cut_for_the_model_and_whole_in_an_artifact() {
    let place = Place::new();
    let dir = place.worker("run `seq 1 100000`");
    let printed = numbers();
    assert_eq!(fs::read_to_string(dir.join(WHOLE)).unwrap(), printed);
    let answered = fs::read_to_string(dir.join("tool_calls/001_shell_exec.txt")).unwrap();
    assert!(answered.len() < 70_000, "{}", answered.len());
    let note = format!(
        "\n[… {} of {} bytes left out; the whole output is kept in the worker's `{WHOLE}` …]\n",
        printed.len() - 65_536,
        printed.len()
    );
    assert!(answered.contains(&note), "{}", &answered[32_700..32_900]);
    assert!(answered.starts_with("1\n2\n") && answered.ends_with("99999\n100000\n"));

    let id = dir.file_name().unwrap().to_str().unwrap();
    let read = place.run(&["file", id, WHOLE, "--raw"]).answer();
    assert_eq!(read, printed);
}

#[test]
fn a_short_output_leaves_one_file() {
    let place = Place::new();
    let dir = place.worker("run `echo one` then run `seq 1 100000` then run `echo three`");
    let mut files: Vec<_> = fs::read_dir(dir.join("tool_calls"))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "001_shell_exec.txt",
            "002_shell_exec.txt",
            "002_shell_exec.whole.txt",
            "003_shell_exec.txt"
        ]
    );
}

/// What a model is asked with is not for what it asks for.
#[test]
fn a_command_does_not_get_the_keys_of_models() {
    let place = Place::new();
    let task = "run `echo ${OPENAI_API_KEY-none} ${ANTHROPIC_API_KEY-none} ${TRISCOPE_MCP_TOKEN-none} ${ANOTHER-none}`";
    let mut command = place.command(&["run", task]);
    for name in [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "TRISCOPE_MCP_TOKEN",
        "ANOTHER",
    ] {
        command.env(name, "set");
    }
    let answer = finish(&mut command).answer();
    assert!(answer.contains("none none none set"), "{answer}");

    // A server's key lies wherever one says.
    let call = openai::calls(
        &[(
            "a",
            "shell_exec",
            r#"{"command": "echo ${MY_KEY-none} ${ANOTHER-none}"}"#,
        )],
        Value::Null,
    );
    let server = StubServer::start(move |request| match request.number {
        0 => Answer::json(200, &[], &call),
        _ => Answer::json(200, &[], &openai::text("done", Value::Null)),
    })
    .unwrap();
    let url = server.base_url();
    let model = ["run", "x", "--model", "m", "--base-url", &url];
    let mut command = place.command(&[&model[..], &["--api-key-env", "MY_KEY"]].concat());
    let key = format!("my-{MARK}");
    finish(command.env("MY_KEY", &key).env("ANOTHER", "set")).answer();
    let sent = &server.received()[1];
    assert!(
        sent.header("authorization").unwrap().contains(&key),
        "{sent:?}"
    );
    assert!(sent.body.contains("none set"), "{}", sent.body);
}

#[test]
fn what_was_printed_before_the_worker_ran_out_of_time_is_kept() {
    let place = Place::new();
    let task = "run `seq 1 100000; touch printed; exec sleep 600`";
    let running = Background::start(&mut place.command(&["run", "--json", task]));
    eventually("the output", || place.has("printed"));
    running.signal(rustix::process::Signal::TERM);
    let finished = running.finish().expect(143);
    let report = serde_json::from_str(&finished.stdout).unwrap();
    let kept = fs::read_to_string(place.dir_of(&report).join(WHOLE)).unwrap();
    // What was still in the pipe may be missing, but nothing in between.
    let printed = numbers();
    assert!(
        kept.len() > 300_000 && printed.starts_with(&kept),
        "{}",
        kept.len()
    );
}

#[test]
fn a_gigabyte_of_output_does_not_pass_through_memory() {
    let place = Place::new();
    let task = "run `touch started; until [ -e go ]; do sleep 0.01; done; \
                yes 'a line of thirty-two characters' | head -c 1073741824; \
                touch printed; until [ -e end ]; do sleep 0.01; done`";
    let arguments = ["run", "--json", "--timeout", "1h", task];
    let running = Background::start(&mut place.command(&arguments));
    eventually("the command", || place.has("started"));
    let pid = running.pid().as_raw_nonzero().get();
    let before = peak_memory_kib(pid);
    place.go();
    eventually("the output", || place.has("printed"));
    let while_read = peak_memory_kib(pid);
    fs::write(place.folder().join("end"), "").unwrap();
    let finished = running.finish().expect(0);
    assert!(
        while_read < before + 4096,
        "{before} KiB, then {while_read} KiB"
    );
    let report = serde_json::from_str(&finished.stdout).unwrap();
    let dir = place.dir_of(&report);
    assert_eq!(fs::metadata(dir.join(WHOLE)).unwrap().len(), 256 << 20);
    let answered = fs::read_to_string(dir.join("tool_calls/001_shell_exec.txt")).unwrap();
    let note = format!(
        "the first 268435456 of 1073741824 bytes are kept in the worker's `{WHOLE}`: no more may be kept"
    );
    assert!(answered.contains(&note), "{}", &answered[32_700..32_950]);
}
