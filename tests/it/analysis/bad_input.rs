//! What cannot be used is counted and named, and changes no sum.

use std::{fs, io::Write as _, path::Path};

use crate::support::{Background, Finished, finish, peak_memory_kib, triscope};

const SEED: &str = include_str!("../../samples/seed-metrics.jsonl");
const LOG: &str = include_str!("../../samples/seed-backend.log");
/// All that answer about the calls of files.
const COMMANDS: [&str; 5] = ["report", "slow", "failures", "timeline", "histogram"];

fn report(path: &Path, arguments: &[&str]) -> Finished {
    finish(
        triscope(["report", "--by", "event", "--format", "json"])
            .args(arguments)
            .arg(path),
    )
}

#[test]
fn damaged_lines_change_no_sum_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let good = report_of(&path, SEED.as_bytes());
    let line = SEED.lines().next().unwrap();
    let mut text = SEED.as_bytes().to_vec();
    for bad in [
        b"nonsense".to_vec(),
        vec![0; 300],
        b"{\"event\":\"llm_call\"".to_vec(),
        b"\xff\xfe{\x00\"\x00".to_vec(),
        line.replace(":111,", ":18446744073709551616,").into_bytes(),
        line.replace(":111,", ":-1,").into_bytes(),
        line.replace(":111,", ":1e400,").into_bytes(),
        line.replace("\"model\"", "\"phase\"").into_bytes(),
        "[".repeat(100_000).into_bytes(),
        "x".repeat(20 << 20).into_bytes(),
    ] {
        text.extend_from_slice(&bad);
        text.push(b'\n');
    }
    let mixed = report_of(&path, &text);
    assert_eq!(mixed.stdout, good.stdout);
    let said: Vec<_> = mixed.stderr.lines().collect();
    assert_eq!(said[0], "not used: 10 lines");
    assert_eq!(said.len(), 11);
    for (n, line) in (4..).zip(&said[1..]) {
        assert!(line.contains(&format!("metrics.jsonl:{n}: ")), "{line}");
    }
    assert!(
        said[10].ends_with("longer than 4194304 bytes"),
        "{}",
        said[10]
    );
}

/// What each command says of `text`, whose first lines are as good as `good`: the same as of `good` alone; and what it
/// complains about.
#[track_caller]
fn complaints(name: &str, good: &str, text: &[u8]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let say = |command: &str, text: &[u8]| {
        fs::write(dir.path().join(name), text).unwrap();
        let arguments = [command, "--format", "json", name];
        finish(triscope(arguments).current_dir(dir.path())).expect(0)
    };
    let mut said = None;
    for command in COMMANDS {
        let expected = say(command, good.as_bytes()).answer();
        let damaged = say(command, text);
        assert_eq!(damaged.stdout, expected, "{command}");
        let lines: Vec<_> = damaged.stderr.lines().map(str::to_owned).collect();
        let first = said.get_or_insert(lines.clone());
        assert_eq!(*first, lines, "{command}");
    }
    said.unwrap_or_default()
}

#[test]
fn a_damaged_log_changes_no_number_and_its_lines_are_named() {
    let tool = LOG.lines().nth(1).unwrap();
    // As our writer leaves a line that it closes: its worker's name has lost its end.
    let torn = format!("{} ", &tool[..100]);
    let bad: Vec<u8> = [
        torn.as_bytes(),
        b"2025-12-15 03:19:33 INFO tool_call_complete tool=\xff duration_ms=1 success=True",
        b"2025-13-15 03:19:33 INFO tool_call_complete tool=x duration_ms=1 success=True",
        b"2025-12-15 03:19:33 INFO tool_call_complete tool=x duration_ms=18446744073709551616 success=True",
        b"Traceback (most recent call last):",
        b"2025-12-15 03:19:33 INFO tool_call_complete tool=\"x duration_ms=1 success=True",
        b"\0\0\0\0",
    ]
    .join(&b'\n');
    let text = [LOG.as_bytes(), &bad, b"\n"].concat();
    insta::assert_snapshot!(complaints("backend.log", LOG, &text).join("\n"), @r"
    not used: 7 lines
      backend.log:3: no log line: column 102: expected a key of the characters `A-Z a-z 0-9 _ .` and an equals sign
      backend.log:4: not UTF-8 at byte 50
      backend.log:5: no log line: column 1: expected a timestamp such as `2025-12-15 03:19:33`
      backend.log:6: field `duration_ms`: not a number that could stand there
      backend.log:7: expected value at column 1
      backend.log:8: no log line: column 64: a character that must be escaped
      backend.log:9: expected value at column 1
    ");
}

#[test]
fn a_line_that_the_end_of_its_file_cuts_off_is_no_call() {
    let llm = LOG.lines().next().unwrap();
    let whole = format!("{llm} event=llm_call_complete");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backend.log");
    // Without its last digits it would be a call of fewer tokens.
    for len in llm.len() - 20..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let ended = report(&path, &[]).expect(0);
        assert_eq!(ended.stdout, "[]\n", "{}", &whole[..len]);
        let told = "backend.log:1: torn: the file ends within this line\n";
        assert!(ended.stderr.ends_with(told), "{ended:?}");
    }
    let said = complaints("backend.log", &format!("{whole}\n"), whole.as_bytes());
    assert_eq!(said, Vec::<String>::new());
    let torn = [SEED.as_bytes(), &SEED.as_bytes()[..150]].concat();
    assert_eq!(
        complaints("metrics.jsonl", SEED, &torn),
        [
            "not used: 1 line",
            "  metrics.jsonl:4: torn: the file ends within this line"
        ]
    );
}

#[test]
fn a_line_of_a_hundred_megabytes_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    // A hole in the file is a line of zeros that takes no disk.
    let file = fs::File::create(&path).unwrap();
    file.set_len(100 << 20).unwrap();
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(format!("\n{SEED}").as_bytes()).unwrap();
    drop(file);
    for command in COMMANDS {
        let ended = finish(triscope([command, "--format", "json"]).arg(&path)).expect(0);
        assert!(ended.stdout.starts_with('['), "{ended:?}");
        let said: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(said[0], "not used: 1 line");
        let told = "metrics.jsonl:1: longer than 4194304 bytes";
        assert!(said.len() == 2 && said[1].ends_with(told), "{said:?}");
    }
    // Of one that has answered, and still runs.
    let peak = |path: &Path| {
        let mut following = Background::start(triscope(["report", "--follow"]).arg(path));
        assert!(following.next_line().starts_with("MODEL"));
        peak_memory_kib(following.pid().as_raw_nonzero().get())
    };
    let small = dir.path().join("small.jsonl");
    fs::write(&small, SEED).unwrap();
    let (small, large) = (peak(&small), peak(&path));
    assert!(large < small + (32 << 10), "{small} KiB, then {large} KiB");
    let rows = report(&path, &[]).expect(0).stdout;
    assert!(rows.contains("\"total_ms\":1111"), "{rows}");
}

#[test]
fn times_in_any_zone_and_precision_are_the_same_time() {
    let line = SEED.lines().nth(1).unwrap();
    let (start, end) = ("2025-12-15T04:08:08.345678Z", "2025-12-15T04:08:09.456789Z");
    let mut text = String::new();
    for (other_start, other_end) in [
        (start, end),
        (
            "2025-12-15T05:08:08.345678+01:00",
            "2025-12-15T00:38:09.456789-03:30",
        ),
        (
            "2025-12-15 04:08:08.345678999Z",
            "2025-12-15t04:08:09.456789123456z",
        ),
        (
            "2025-12-16T03:08:08.345678+2300",
            "2025-12-14T05:08:09.456789-23:00",
        ),
    ] {
        text += &line.replace(start, other_start).replace(end, other_end);
        text.push('\n');
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, text).unwrap();
    let rows = finish(triscope(["slow", "--format", "json"]).arg(&path)).json();
    assert_eq!(rows.as_array().unwrap().len(), 4);
    for row in rows.as_array().unwrap() {
        assert_eq!(row["start_ts"], start);
    }
    for (since, count) in [(end, 4), ("2025-12-15T04:08:09.456790Z", 0)] {
        let rows = report(&path, &["--since", since]).json();
        let counted = rows[0]["count"].as_u64().unwrap_or(0);
        assert_eq!(counted, count, "{since}");
    }
}

#[test]
fn times_that_make_no_sense_are_shown_as_they_are() {
    let line = SEED.lines().next().unwrap();
    let (start, end) = ("2025-12-15T04:08:08.123456Z", "2025-12-15T04:08:08.234567Z");
    let odd = [
        line.replace(end, "1025-12-15T04:08:08.234567Z"), // It ended before it began.
        line.replace(start, "0000-01-01T00:00:00+23:59"),
        line.replace(end, "9999-12-31T23:59:59-23:59"),
        line.replace(":111,", ":18446744073709551615,"),
        line.replace(":111,", ":0,"),
    ];
    let bad = [
        line.replace(start, "2025-12-15T04:08:08"), // In no zone.
        line.replace(start, "2025-02-30T04:08:08Z"),
        line.replace(start, "10000-01-01T00:00:00Z"),
        line.replace(&format!("\"{start}\""), "1765771688"),
        line.replace(":111,", ":1e3,"),
        line.replace(":1234,", ":-5,"),
    ];
    let odd = odd.join("\n") + "\n";
    let text = format!("{odd}{}\n", bad.join("\n"));
    let said = complaints("metrics.jsonl", &odd, text.as_bytes());
    assert_eq!(said[0], "not used: 6 lines");
    for (n, said) in (6..).zip(&said[1..]) {
        let field = if n < 10 {
            "start_ts"
        } else {
            &said[said.find('`').unwrap()..][1..12]
        };
        assert!(
            said.starts_with(&format!("  metrics.jsonl:{n}: field `{field}")),
            "{said}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, &text).unwrap();
    let rows = report(&path, &[]).expect(0).stdout;
    // Exact, and beyond what 64 bits hold.
    assert!(
        rows.contains(&format!("\"total_ms\":{},", u128::from(u64::MAX) + 333)),
        "{rows}"
    );
    let drawn = finish(triscope(["timeline"]).arg(&path)).expect(0).stdout;
    assert_eq!(drawn.matches("gpt-5-mini initial").count(), 5, "{drawn}");
}

fn report_of(path: &Path, text: &[u8]) -> Finished {
    fs::write(path, text).unwrap();
    report(path, &[]).expect(0)
}

#[test]
fn what_is_not_there_ends_with_1_and_the_rest_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, SEED).unwrap();
    let ended = report(&path, &["gone.jsonl"]).expect(1);
    assert!(ended.stdout.contains("\"total_ms\":1111"), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("gone.jsonl: No such file or directory"),
        "{ended:?}"
    );
    let ended = finish(&mut triscope(["report", "--data-dir", "gone"])).expect(3);
    assert_eq!(ended.stderr, "error: no data directory `gone`\n");
}

#[test]
fn a_slip_is_told_with_its_place_and_what_was_meant() {
    for (arguments, told) in [
        (
            ["report", "--where", "success and duraton_ms > 10"],
            "no field `duraton_ms`; did you mean `duration_ms`? at column 13",
        ),
        (
            ["report", "--by", "modle"],
            "nothing to group by is called `modle`; did you mean `model`?",
        ),
        (
            ["report", "--sort", "p95"],
            "no column `p95`; did you mean `p95_ms`?",
        ),
        (
            ["report", "--format", "xml"],
            "give table, json, jsonl, csv or markdown",
        ),
        (["report", "--since", "yesterday"], "give a time such as"),
        (
            ["report", "--by", "event,model,tool,phase,worker"],
            "--by takes at most 4 keys",
        ),
    ] {
        let ended = finish(&mut triscope(arguments)).expect(2);
        assert!(
            ended.stderr.contains(told),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
}
