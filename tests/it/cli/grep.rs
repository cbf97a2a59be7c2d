//! `grep` of files: lines of a log, or of any other text.

use std::{
    fs::{self, File},
    io::Write as _,
};

use serde_json::json;

use super::Place;
use crate::support::{Background, program_path, require, sh};

const LOG: &str = "\
2025-12-15 04:08:08 INFO llm_call_complete phase=initial duration_ms=98 model=gpt-5 event=llm_call_complete
2025-12-15 04:08:09 INFO tool_call_complete tool=ssh_exec duration_ms=7 success=True event=tool_call_complete
2025-12-15 04:08:10 WARN tool_call_complete tool=http_get duration_ms=2 success=False event=tool_call_complete
Traceback (most recent call last):
2025-12-15 04:08:11 INFO llm_call_complete phase=summary duration_ms=9 model=GPT-5 event=llm_call_complete
";

fn place_with(name: &str, text: impl AsRef<[u8]>) -> Place {
    let place = Place::new();
    fs::write(place.folder().join(name), text).unwrap();
    place
}

#[test]
fn lines_are_printed_as_grep_prints_them() {
    require!("grep");
    let place = place_with("a.log", LOG);
    fs::write(place.folder().join("b.log"), "Model=gpt-5 at the end").unwrap();
    for pattern in [
        "llm_call_complete",
        "success=False",
        "model=GPT-5",
        "duration_ms=[0-9]{2}",
        "^Traceback|at the end$",
        "nothing like it",
    ] {
        for (files, count) in [
            ("a.log", ""),
            ("a.log", "-c"),
            ("a.log b.log", ""),
            ("b.log a.log", "-c"),
        ] {
            for (theirs, ours) in [("-i", ""), ("", "-s")] {
                let recipe = format!("grep -E {theirs} {count} -e '{pattern}' {files}; true");
                let expected = sh(place.folder(), &recipe).answer();
                let program = program_path();
                let ours = format!(
                    "'{}' grep {ours} {count} '{pattern}' {files}",
                    program.display()
                );
                let answer = sh(place.folder(), &ours).answer();
                assert_eq!(answer, expected, "{recipe}");
            }
        }
    }
}

#[test]
fn programs_get_the_number_of_each_line() {
    let place = place_with("a.log", LOG);
    let found = place
        .run(&["grep", "MODEL=gpt-5", "a.log", "--json"])
        .json();
    let lines: Vec<_> = LOG.lines().collect();
    let expected = json!([
        { "file": "a.log", "line": 1, "text": lines[0] },
        { "file": "a.log", "line": 5, "text": lines[4] },
    ]);
    assert_eq!(found, expected);
    let counted = place.run(&["grep", "gpt", "a.log", "-c", "--json"]).json();
    assert_eq!(counted, json!([{ "file": "a.log", "count": 2 }]));
    let none = place.run(&["grep", "nothing like it", "a.log", "--json"]);
    assert_eq!(none.json(), json!([]));
}

#[test]
fn packed_files_are_read_too() {
    require!("gzip");
    let place = place_with("a.log", LOG);
    sh(place.folder(), "gzip a.log; head -c 60 a.log.gz >cut.gz").answer();
    let found = place.run(&["grep", "-c", "llm_call", "a.log.gz"]).answer();
    assert_eq!(found, "2\n");
    let cut = place
        .run(&["grep", "llm_call", "cut.gz", "a.log.gz"])
        .expect(1);
    assert!(
        cut.stderr.starts_with("error: cannot read `cut.gz`: "),
        "{cut:?}"
    );
    assert_eq!(cut.stdout.matches("a.log.gz:2025").count(), 2, "{cut:?}");
}

#[test]
fn what_comes_through_a_pipe_is_printed_as_it_comes() {
    let place = Place::new();
    sh(place.folder(), "mkfifo pipe").answer();
    let mut grep = Background::start(&mut place.command(&["grep", "event=", "pipe"]));
    let pipe = place.folder().join("pipe");
    let mut writer = File::options().write(true).open(pipe).unwrap();
    for line in LOG.lines() {
        writeln!(writer, "{line}").unwrap();
        if line.contains("event=") {
            assert_eq!(grep.next_line(), line);
        }
    }
    drop(writer);
    let ended = grep.finish().expect(0);
    assert_eq!((ended.stdout, ended.stderr), (String::new(), String::new()));
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let place = place_with("a.log", LOG);
    let long = "x".repeat(20 << 20) + " Traceback\nTraceback behind it\n";
    fs::write(place.folder().join("long"), long).unwrap();
    let paths = ["nothing.log", "workers", "long", "a.log"];
    fs::create_dir_all(place.data_dir()).unwrap();
    let read = place
        .run(&[&["grep", "Traceback"], &paths[..]].concat())
        .expect(1);
    let expected = "long:Traceback behind it\na.log:Traceback (most recent call last):\n";
    assert_eq!(read.stdout, expected);
    let said: Vec<_> = read.stderr.lines().collect();
    let [nothing, directory, long] = said[..] else {
        panic!("{said:?}")
    };
    assert!(nothing.starts_with("error: cannot read `nothing.log`: No such file"));
    assert!(
        directory.starts_with("error: cannot read `workers`: it is a directory; give its files")
    );
    let cut = "warning: `long`: only the beginning was searched of lines of more than 4 MiB: 1";
    assert_eq!(long, cut);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = place_with("a.log", LOG);
    for (arguments, why) in [
        (
            &["grep", "(", "a.log"][..],
            "is not a usable regular expression",
        ),
        (
            &["grep", "x", "a.log", "--owner", "me"],
            "cannot be used with",
        ),
        (
            &["grep", "x", "a.log", "--since-hours", "1"],
            "cannot be used with",
        ),
        (&["grep", "x", "--count"], "<PATH>"),
    ] {
        let refused = place.run(arguments).expect(2);
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
}
