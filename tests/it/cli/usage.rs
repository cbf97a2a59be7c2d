//! Help, version, and command lines that are none.

use super::Place;
use crate::support::{finish, triscope};

const COMMANDS: [&str; 13] = [
    "demo",
    "run",
    "ask",
    "exec",
    "workers",
    "result",
    "file",
    "grep",
    "meta",
    "prune",
    "doctor",
    "completions",
    "man",
];
/// These print what no program reads.
const WITHOUT_JSON: [&str; 3] = ["demo", "completions", "man"];

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["-h"], &["help"]] {
        let help = finish(&mut triscope(arguments)).answer();
        assert!(
            help.contains("Usage: triscope [OPTIONS] <COMMAND>"),
            "{help}"
        );
        for command in COMMANDS {
            assert!(help.contains(&format!("\n  {command} ")), "{help}");
        }
        assert!(help.contains("Exit codes: 0 done; 1 "), "{help}");
    }
    for argument in ["--version", "-V"] {
        let version = finish(&mut triscope([argument])).answer();
        let number = version.strip_prefix("triscope ").unwrap().trim_end();
        assert_eq!(number.split('.').count(), 3, "{version}");
    }
}

#[test]
fn every_command_has_help_and_the_common_options() {
    for command in COMMANDS {
        let help = finish(&mut triscope([command, "--help"])).answer();
        for option in ["--data-dir", "--log-file", "--verbose"] {
            assert!(help.contains(option), "{command}: {help}");
        }
        let has_json = help.contains("--json");
        assert_eq!(
            has_json,
            !WITHOUT_JSON.contains(&command),
            "{command}: {help}"
        );
    }
}

#[test]
fn no_command_is_bad_usage_and_shows_the_usage() {
    let finished = finish(&mut triscope::<&str>([])).expect(2);
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.contains("Usage: triscope"), "{finished:?}");
}

#[test]
fn a_command_line_that_is_none_is_bad_usage_and_touches_nothing() {
    let place = Place::new();
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["run", "one", "two"],
        &["run", "x", "--no-such-option"],
        &["result"],
        &["file"],
        &["grep"],
        &["workers", "--limit", "many"],
        &["prune"],
        &["prune", "--dry-run", "--owner", "local"],
        &["prune", "--older-than", "30"],
        &["prune", "--keep", "-1"],
        &["prune", "--max-bytes", "much"],
        &["--log-file"],
    ] {
        let finished = place.run(arguments).expect(2);
        assert_eq!(finished.stdout, "", "{arguments:?}");
        assert!(finished.stderr.starts_with("error: "), "{finished:?}");
    }
    assert!(!place.data_dir().exists());
}

#[test]
fn readers_work_in_a_folder_that_is_gone() {
    let place = Place::new();
    place.worker("say hello");
    let mut command = std::process::Command::new("sh");
    command
        .args([
            "-c",
            "mkdir gone && cd gone && rmdir ../gone && exec \"$@\"",
            "sh",
        ])
        .arg(crate::support::program_path())
        .arg("--data-dir")
        .arg(place.data_dir())
        .args(["result", "1"])
        .current_dir(place.folder());
    assert!(finish(&mut command).answer().ends_with("\nhello\n"));
}
