//! What only a terminal sees: the line of progress, colours; and what no terminal may get: other people's escapes.

use std::{fs, process::Command};

use super::Place;
use crate::support::{Background, eventually, finish, program_path, require};

/// `script`, which runs a shell command on a terminal and keeps what that shows in the file `screen`.
fn on_terminal(place: &Place, shell_command: &str) -> Command {
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--flush", "--command", shell_command])
        .arg("screen")
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .env("triscope", program_path())
        .env("SWARMLET_DATA_PATH", place.data_dir())
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR")
        .current_dir(place.folder());
    command
}

fn screen(place: &Place) -> String {
    let bytes = fs::read(place.folder().join("screen")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a shell command shows on a terminal, without the lines that `script` adds.
#[track_caller]
fn shown(place: &Place, shell_command: &str) -> String {
    finish(&mut on_terminal(place, shell_command));
    let screen = screen(place);
    let (_, shown) = screen.split_once('\n').unwrap();
    let (shown, _) = shown.rsplit_once("\nScript done").unwrap();
    shown.to_owned()
}

const UNTIL_GO: &str = "run `until [ -e go ]; do sleep 0.01; done`";

#[test]
fn progress_is_shown_on_a_terminal() {
    require!("script");
    let place = Place::new();
    let command = format!("$triscope run '{UNTIL_GO}'");
    let run = Background::start(&mut on_terminal(&place, &command));
    eventually("the line of progress", || {
        // The first one may come before the call of the tool.
        let screen = screen(&place);
        let mut lines = screen.split("job 1 ").skip(1);
        lines
            .any(|line| line.contains("s: shell_exec"))
            .then_some(())
    });
    place.go();
    run.finish().expect(0);
    // The line is gone before the answer comes.
    let screen = screen(&place);
    let (before, _) = screen.split_once("Result from worker job 1").unwrap();
    let last = before.rsplit('\r').next().unwrap();
    assert!(!last.contains("shell_exec"), "{screen:?}");
}

#[test]
fn progress_is_shown_nowhere_else() {
    require!("script");
    let place = Place::new();
    // Stdout is a terminal and stderr is none; beside it, the other way round, there is one.
    let command = format!("$triscope run '{UNTIL_GO}' 2>errors");
    let run = Background::start(&mut on_terminal(&place, &command));
    let other = Place::new();
    let command = format!("$triscope run '{UNTIL_GO}' >answer");
    let with_progress = Background::start(&mut on_terminal(&other, &command));
    // As long as the one shows it, the other would.
    eventually("the line of progress", || {
        screen(&other).contains("s: shell_exec").then_some(())
    });
    place.go();
    other.go();
    run.finish().expect(0);
    with_progress.finish().expect(0);
    let errors = fs::read_to_string(place.folder().join("errors")).unwrap();
    assert_eq!(errors, "");
    assert!(!screen(&place).contains("shell_exec:"));
    let answer = fs::read_to_string(other.folder().join("answer")).unwrap();
    assert!(answer.starts_with("Result from worker job 1"), "{answer}");
}

#[test]
fn a_pipe_gets_no_progress() {
    let place = Place::new();
    let run = place.worker_until_go();
    place.go();
    // An answer is what nothing on stderr goes with.
    let answer = run.finish().answer();
    assert!(answer.starts_with("Result from worker job 1"), "{answer}");
}

#[test]
fn log_lines_on_the_terminal_are_not_mixed_with_progress() {
    require!("script");
    let place = Place::new();
    let command = format!("$triscope run -v '{UNTIL_GO}'");
    let run = Background::start(&mut on_terminal(&place, &command));
    eventually("the first log line", || {
        screen(&place).contains("phase=initial").then_some(())
    });
    place.go();
    run.finish().expect(0);
    let screen = screen(&place);
    assert!(!screen.contains('\u{1b}'), "{screen:?}");
    for line in screen.lines().filter(|it| it.contains("event=")) {
        log_format::parse_line(line.trim_end_matches('\r'))
            .unwrap_or_else(|error| panic!("{error} in {line:?}"));
    }
}

#[test]
fn help_on_a_terminal_is_in_colours_and_not_in_escapes() {
    require!("script");
    let place = Place::new();
    for command in ["$triscope --help", "$triscope run --help", "$triscope -V"] {
        let shown = shown(&place, command);
        assert!(!shown.contains("\\u{"), "{shown}");
    }
    let help = shown(&place, "$triscope --help");
    assert!(help.contains("\u{1b}[1m\u{1b}[4mUsage:"), "{help:?}");
}

#[test]
fn other_peoples_escapes_do_not_reach_the_terminal() {
    require!("script");
    let place = Place::new();
    fs::create_dir(place.data_dir()).unwrap();
    // In the shell's own notation: colours, a link, a bell, a title, a carriage return, a one-byte CSI, a backspace.
    let hostile = r"$(printf 'a\033[35mb\033]8;;http://evil\007c\033]0;d\rover\302\2334me\bf')";
    let commands = [
        "run -- \"say $evil\" 2>/dev/null",
        "run x --owner \"$evil\" 2>/dev/null",
        "run x --model \"$evil\"",
        "run x --timeout \"$evil\"",
        "run x --no-such-\"$evil\"",
        "workers",
        "workers --json",
        "workers --status \"$evil\"",
        "workers --owner \"$evil\"",
        "result 1",
        "result \"$evil\"",
        "result \"0$evil/\"",
        "file 1 thread.jsonl",
        "file 1 \"$evil\"",
        "file 1 result.txt --raw",
        "grep say",
        "grep \"$evil\"",
        "grep \"($evil\"",
        "meta 1",
        "workers --data-dir \"/$evil\"",
        "workers --log-file \"/proc/$evil\"",
        "\"$evil\"",
        "\"$evil\" --help",
        "help \"$evil\"",
    ];
    for command in commands {
        let shown = shown(&place, &format!("evil={hostile}; $triscope {command}"));
        assert_ne!(shown.trim(), "", "{command}");
        assert!(!shown.contains("panicked at"), "{shown}");
        let obeyed = |it: char| it.is_control() && !matches!(it, '\n' | '\t');
        let shown = shown.replace("\r\n", "\n");
        let shown = shown.trim_end_matches('\r');
        assert!(!shown.contains(obeyed), "{command}: {shown:?}");
    }
}
