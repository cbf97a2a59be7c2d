//! What the words after `fuzz` mean, and which targets there are.

use super::*;

fn parse(line: &str) -> Result<Options, String> {
    let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let known = ["a", "b"].map(|it| (it.to_owned(), ())).into();
    Options::parse(&args, &known)
}

#[test]
fn without_a_name_all_targets_share_the_time() {
    let all = parse("").unwrap();
    assert_eq!(all.targets, ["a", "b", "properties"]);
    assert_eq!(all.share(), Duration::from_secs(20));
    let two = parse("b properties --seconds 600").unwrap();
    assert_eq!(two.targets, ["b", "properties"]);
    assert_eq!(two.share(), Duration::from_mins(5));
    assert_eq!(
        parse("a b --seconds 1").unwrap().share(),
        Duration::from_secs(1)
    );
}

#[test]
fn what_is_no_target_or_number_is_told() {
    for (line, told) in [
        ("c", "no target `c`"),
        ("--fast", "no target `--fast`"),
        ("a --seconds", "`--seconds` is a number"),
        ("a --seconds 0", "`--seconds` is a number"),
    ] {
        let problem = parse(line).unwrap_err();
        assert!(problem.contains(told), "{line}: {problem}");
    }
    assert_eq!(parse("--help"), Err(String::new()));
}

#[test]
fn each_folder_of_inputs_is_a_target_that_a_crate_has() {
    let workspace = Workspace::find().unwrap();
    let targets = targets(workspace.root()).unwrap();
    assert!(targets.contains_key("event_line"));
    for (name, inputs) in targets {
        assert!(
            !names(&inputs).unwrap().is_empty(),
            "nothing to begin with: {name}"
        );
        let source = fs::read_to_string(inputs.join("../../../src/fuzzing.rs")).unwrap();
        assert!(source.contains(&format!("(\"{name}\", ")), "{name}");
    }
}

#[test]
fn a_log_tells_how_often_and_what_broke() {
    let dir = Workspace::find().unwrap().scratch();
    fs::create_dir_all(&dir).unwrap();
    let log = dir.join("test-fuzz.log");
    let text = "#8\tpulse  cov: 1\nthread '<unnamed>' panicked at src/a.rs:1:2:\nno such thing\n###### Recommended dictionary. ######\nDone 12345 runs in 60 second(s)\n";
    fs::write(&log, text).unwrap();
    assert_eq!(runs_of(&log).as_deref(), Some("12345"));
    assert_eq!(
        panic_of(&log),
        "thread '<unnamed>' panicked at src/a.rs:1:2: no such thing"
    );
}
