//! `triscope file`: whole, in parts, raw.

use std::{fmt::Write as _, fs};

use serde_json::json;

use super::Place;

#[test]
fn a_file_is_shown_with_its_worker() {
    let place = Place::new();
    let dir = place.worker("calculate 7*6");
    let worker = dir.file_name().unwrap().to_str().unwrap();
    let metrics = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    let expected =
        format!("Contents of metrics.jsonl from worker job 1 (worker {worker}):\n\n{metrics}");
    // The events are what is usually wanted.
    assert_eq!(place.run(&["file", "1"]).answer(), expected);
    assert_eq!(
        place.run(&["file", worker, "metrics.jsonl"]).answer(),
        expected
    );
    let output = place.run(&["file", "1", "tool_calls/001_calculate.txt"]);
    assert!(output.answer().ends_with(":\n\n42\n"));
}

#[test]
fn a_raw_file_is_its_bytes_and_nothing_else() {
    let place = Place::new();
    let dir = place.worker("calculate 7*6");
    for file in ["metrics.jsonl", "result.txt", "thread.jsonl"] {
        let raw = place.run(&["file", "1", file, "--raw"]).answer();
        assert_eq!(raw, fs::read_to_string(dir.join(file)).unwrap(), "{file}");
    }
    assert_eq!(
        place
            .run(&["file", "1", "result.txt", "--raw", "--offset", "4"])
            .answer(),
        "result is 42."
    );
}

#[test]
fn a_raw_file_that_is_no_text_is_its_bytes_too() {
    let place = Place::new();
    let dir = place.worker("say hello");
    let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    fs::write(dir.join("bytes.bin"), &bytes).unwrap();
    let mut command = place.command(&["file", "1", "bytes.bin", "--raw", "--offset", "3"]);
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stdout == bytes[3..]);
}

#[test]
fn a_file_of_many_reads_comes_in_parts_and_raw_in_one() {
    let place = Place::new();
    let dir = place.worker("say hello");
    let mut long = String::new();
    while long.len() < 3 << 20 {
        writeln!(long, "line {} of a long file, é", long.len()).unwrap();
    }
    fs::write(dir.join("long.txt"), &long).unwrap();
    let raw = place.run(&["file", "1", "long.txt", "--raw"]).answer();
    assert!(raw == long, "{} and {} bytes", raw.len(), long.len());

    // Each part says where to go on.
    let (mut together, mut offset) = (String::new(), 0);
    loop {
        let text = place.run(&["file", "1", "long.txt", "--offset", &offset.to_string()]);
        let text = text.answer();
        let (_, part) = text.split_once(":\n\n").unwrap();
        let Some((part, said)) = part.rsplit_once("\n[") else {
            together.push_str(part);
            break;
        };
        together.push_str(part);
        together.push('\n');
        let (_, next) = said.trim_end().split_once("go on with offset=").unwrap();
        offset = next.trim_end_matches(']').parse().unwrap();
        assert_eq!(offset, together.len());
    }
    assert!(together == long, "{} of {}", together.len(), long.len());
}

#[test]
fn a_part_of_a_file_is_an_object_for_programs() {
    let place = Place::new();
    let dir = place.worker("say hello");
    let worker = dir.file_name().unwrap().to_str().unwrap();
    let arguments = ["file", "1", "result.txt", "--json", "--offset", "1"];
    assert_eq!(
        place.run(&arguments).json(),
        json!({
            "worker_id": worker,
            "file": "result.txt",
            "offset": 1,
            "next_offset": null,
            "total_bytes": 5,
            "text": "ello",
        })
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_those_that_are() {
    let place = Place::new();
    place.worker("say hello");
    for form in [&[][..], &["--raw"][..], &["--json"][..]] {
        let finished = place.run(&[&["file", "1", "notes.txt"], form].concat());
        let finished = finished.expect(1);
        assert_eq!(finished.stdout, "");
        assert!(finished.stderr.starts_with("Error: "), "{finished:?}");
        assert!(
            finished.stderr.contains("`notes.txt`") && finished.stderr.contains("result.txt"),
            "{finished:?}"
        );
    }
    let beyond = place.run(&["file", "1", "result.txt", "--offset", "99"]);
    let beyond = beyond.expect(1);
    assert!(
        beyond.stderr.starts_with("Error: ") && beyond.stderr.contains("offset 99"),
        "{beyond:?}"
    );
    place.run(&["file", "1", "--raw", "--json"]).expect(2);
}
