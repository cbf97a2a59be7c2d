//! What is made from the argument parser: completions and the manual page.

use std::{fs, process::Command};

use crate::{
    cli::Place,
    support::{Finished, finish, require, sh, triscope},
};

/// Every command, as the help lists them.
fn commands() -> Vec<String> {
    let help = finish(&mut triscope(["--help"])).answer();
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let lines = listed
        .lines()
        .filter(|it| it.starts_with("  ") && !it.starts_with("   "));
    let names = lines.filter_map(|it| it.split_whitespace().next());
    let names: Vec<_> = names
        .filter(|it| *it != "help")
        .map(str::to_owned)
        .collect();
    assert!(
        names.len() > 8 && names.contains(&"doctor".to_owned()),
        "{names:?}"
    );
    names
}

/// What bash offers for the words of a command line, the last of which is not finished yet.
fn offered(place: &Place, words: &[&str]) -> Finished {
    let line = words.join("' '");
    let n = words.len() - 1;
    let (last, before) = (words[n], words[n - 1]);
    let script = format!(
        "set -e; source triscope.bash; complete -p triscope >/dev/null; \
         COMP_WORDS=('{line}'); COMP_CWORD={n}; \
         _triscope triscope '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", &script]);
    finish(bash.current_dir(place.folder()))
}

#[test]
fn bash_completes_commands_and_options() {
    require!("bash");
    let place = Place::new();
    let script = finish(&mut triscope(["completions", "bash"])).answer();
    fs::write(place.folder().join("triscope.bash"), script).unwrap();
    sh(place.folder(), "bash -n triscope.bash").answer();
    let one = offered(&place, &["triscope", "doc"]).answer();
    assert_eq!(one, "doctor\n");
    let all = offered(&place, &["triscope", ""]).answer();
    for command in commands() {
        assert!(all.lines().any(|it| it == command), "{command} in {all}");
    }
    let options = offered(&place, &["triscope", "workers", "--si"]).answer();
    assert_eq!(options, "--since-hours\n");
}

#[test]
fn each_shell_has_its_script_and_no_data_directory_is_needed() {
    let place = Place::with_data_dir("nowhere");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).answer();
        assert!(
            script.contains("grep") && script.contains("doctor"),
            "{shell}"
        );
    }
    place.run(&["man"]).answer();
    assert!(!place.data_dir().exists());
    let unknown = place.run(&["completions", "dos"]).expect(2);
    assert!(unknown.stderr.contains("zsh"), "{unknown:?}");
}

#[test]
fn the_manual_page_shows_every_command() {
    require!("groff");
    let place = Place::new();
    let page = finish(&mut triscope(["man"])).answer();
    fs::write(place.folder().join("triscope.1"), page).unwrap();
    // With all its warnings, which would go to stderr; without bold and underlined letters.
    let groff = "groff -man -Tascii -rLL=80n -P-cbou -ww triscope.1";
    let shown = sh(place.folder(), groff).answer();
    for command in commands() {
        let heading = format!("TRISCOPE {}", command.to_uppercase());
        assert!(
            shown.lines().any(|it| it == heading),
            "{heading} in {shown}"
        );
    }
    for text in [
        "--data-dir <DIR>",
        "--since-hours <HOURS>",
        "Exit codes: 0 done;",
    ] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
}
