//! Where the answer goes: into pipes that close early, full devices, nowhere.

use std::{
    fs::{self, File},
    io,
    process::{Command, Stdio},
};

use super::{Place, metadata};
use crate::support::{Finished, finish, program_path, sh, triscope};

/// A pipe's writing end that nobody reads any more.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_device() -> Stdio {
    File::create("/dev/full").unwrap().into()
}

/// Runs to its end with this as stdout; gives the exit code and stderr.
fn run_into(stdout: Stdio, command: &mut Command) -> (Option<i32>, String) {
    let output = command
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}

/// Command lines that print something, in a place with a worker whose `long.txt` no pipe can hold.
fn place_to_print() -> (Place, Vec<Vec<&'static str>>) {
    let place = Place::new();
    let dir = place.worker("calculate 7*6");
    fs::write(dir.join("long.txt"), "a line\n".repeat(100_000)).unwrap();
    fs::write(place.folder().join("log"), "a line\n".repeat(100_000)).unwrap();
    let commands = [
        "run|calculate 7*6",
        "run|calculate 7*6|--json",
        "workers",
        "workers|--json",
        "result|1",
        "file|1|long.txt",
        "file|1|long.txt|--raw",
        "file|1|long.txt|--json",
        "grep|result",
        "grep|line|log",
        "meta|1",
        "--help",
        "demo",
    ];
    let commands = commands.map(|it| it.split('|').collect());
    (place, commands.into())
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    let (place, commands) = place_to_print();
    for arguments in commands {
        let ended = run_into(closed_pipe(), &mut place.command(&arguments));
        assert_eq!(ended, (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn head_takes_what_it_wants() {
    let (place, _) = place_to_print();
    let recipe = format!(
        "{{ '{}' --data-dir workers file 1 long.txt --raw; echo $? >code; }} | head -1",
        program_path().display()
    );
    assert_eq!(sh(place.folder(), &recipe).answer(), "a line\n");
    let code = fs::read_to_string(place.folder().join("code")).unwrap();
    assert_eq!(code, "0\n");
}

#[test]
fn a_full_device_is_an_error_and_no_panic() {
    let (place, commands) = place_to_print();
    for arguments in commands {
        let ended = run_into(full_device(), &mut place.command(&arguments));
        let said = "error: cannot write to stdout: No space left on device (os error 28)\n";
        assert_eq!(ended, (Some(3), said.to_owned()), "{arguments:?}");
    }
    // What could not be printed was done all the same.
    let rows = place.rows();
    assert!(rows.len() > 1);
    for row in rows {
        if row["task"] == "calculate 7*6" {
            assert_eq!(metadata(&place.dir_of(&row))["status"], "success", "{row}");
        }
    }
}

#[test]
fn full_devices_everywhere_are_no_panic() {
    let place = Place::new();
    for (arguments, code) in [
        (&["run", "calculate 7*6"][..], 3),
        (&["run", "-v", "calculate 7*6"], 3),
        (&["result", "99"], 1),
        (&["frobnicate"], 2),
        (&["--help"], 3),
    ] {
        let status = place
            .command(arguments)
            .stdout(full_device())
            .stderr(full_device())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

fn without(streams: &str, place: &Place, arguments: &[&str]) -> Finished {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec \"$@\" {streams}"), "sh"])
        .arg(program_path())
        .arg("--data-dir")
        .arg(place.data_dir())
        .args(arguments);
    finish(&mut command)
}

#[test]
fn closed_streams_are_nothing_to_a_worker() {
    let place = Place::new();
    for streams in ["<&-", "2>&-", "<&- 2>&-"] {
        let answer = without(streams, &place, &["run", "calculate 7*6"]).answer();
        assert!(answer.contains("The result is 42."), "{streams}: {answer}");
    }
    without("<&- >&- 2>&-", &place, &["run", "calculate 7*6"]).answer();
    let rows = place.rows();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(row["status"], "success", "{row}");
    }
}

#[test]
fn errors_into_a_closed_pipe_keep_their_exit_code() {
    let mut command = triscope(["frobnicate"]);
    let status = command.stderr(closed_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}
