//! `triscope doctor`: what a person with a problem is told, and that nothing is changed by asking.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    cli::{Place, answered},
    support::finish,
};

/// All below `dir`: names, content, and when it was written.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        // SQLite's shared memory, where a reader says that it reads, and the cache that readers keep.
        let name = path.to_string_lossy();
        if name.ends_with("-shm") || name.ends_with("index.sqlite") {
            continue;
        }
        if metadata.is_dir() {
            // Its time changes with the lock of whoever looks.
            files.insert(path.clone(), (Vec::new(), 0, 0));
            files.extend(tree(&path));
        } else {
            let content = fs::read(&path).unwrap();
            files.insert(path, (content, metadata.mtime(), metadata.mtime_nsec()));
        }
    }
    files
}

fn objects(stdout: &str) -> Vec<Value> {
    serde_json::from_str(stdout).unwrap()
}

/// What each check says that is not well.
fn problems(findings: &[Value]) -> Vec<(String, String)> {
    let problems = findings.iter().filter(|it| it["status"] != "ok");
    problems
        .map(|it| {
            assert!(it["advice"].is_string(), "{it}");
            let text = |key: &str| it[key].as_str().unwrap().to_owned();
            (text("check"), text("found"))
        })
        .collect()
}

#[test]
fn a_place_that_is_well_is_said_to_be() {
    let place = Place::new();
    place.worker("calculate 7*6 and run `echo hello`");
    place.run(&["run", "run `exit 3`"]);
    let doctor = place.run(&["doctor"]).answer();
    let last = doctor.lines().last().unwrap();
    assert!(last.ends_with(" checks: all is well."), "{doctor}");
    for line in doctor.lines().filter(|it| !it.is_empty() && *it != last) {
        assert!(line.starts_with("ok    "), "{line}");
    }
    let findings = objects(&place.run(&["doctor", "--json"]).answer());
    for finding in &findings {
        let keys: Vec<_> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["advice", "check", "found", "path", "status"]);
        assert_eq!(finding["status"], "ok", "{finding}");
    }
    for job in ["1", "2"] {
        let doctor = place.run(&["doctor", job]).answer();
        assert!(
            doctor.contains(&format!("(job {job}) of local: ")),
            "{doctor}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_and_nothing_is_changed() {
    let place = Place::new();
    let whole = place.worker("say one");
    let torn = place.worker("say two");
    place.worker("say three");
    let path = torn.join("metrics.jsonl");
    let events = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("not json\n{events}{{\"event\":\"tool_c")).unwrap();
    fs::remove_file(whole.join("metrics.jsonl")).unwrap();
    fs::write(whole.join("result.txt.1.new"), "half").unwrap();
    let book = place.data_dir().join(".triscope/jobs.sqlite");
    fs::write(&book, "garbage ".repeat(1000)).unwrap();
    fs::write(place.log_path(), "somebody else's\n").unwrap();

    let before = tree(place.data_dir());
    let mut command = place.command(&["doctor", "--json"]);
    let finished = answered(finish(command.env("RUST_LOG", "triscope::telemetry=off"))).expect(1);
    assert_eq!(finished.stderr, "");
    let mut told = problems(&objects(&finished.stdout));
    told.sort();
    let expected = [
        ("job book", "damaged: file is not a database"),
        (
            "log level",
            "RUST_LOG=`triscope::telemetry=off` keeps successful calls out of the log",
        ),
        ("log lines", "1 line in it, and none has `event=`"),
        ("metrics files", "one (job 1) has no metrics.jsonl"),
        ("metrics lines", "two (job 2), line 1: "),
        ("metrics lines", "two (job 2): the file ends within a line"),
        ("unfinished files", "one (job 1): result.txt.1.new"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((check, found), (expected_check, part)) in told.iter().zip(expected) {
        assert!(
            check == expected_check && found.contains(part),
            "{check}: {found}, not {part}"
        );
    }

    let text = answered(place.run(&["doctor"])).expect(1);
    let lines: Vec<_> = text.stdout.lines().collect();
    let at = lines
        .iter()
        .position(|it| it.starts_with("fail  job book "))
        .unwrap();
    assert!(
        lines[at + 1]
            .trim_start()
            .starts_with("-> the next command"),
        "{text:?}"
    );
    assert!(
        lines.last().unwrap().ends_with(" 4 to look at, 1 failed."),
        "{text:?}"
    );
    let one = answered(place.run(&["doctor", "2"])).expect(1);
    assert!(
        one.stdout.contains("two (job 2), line 1: ") && !one.stdout.contains("job 1"),
        "{one:?}"
    );
    let other = place.run(&["doctor", "3"]);
    other.answer();
    assert!(tree(place.data_dir()) == before);

    // What the advice about the job book says comes true, and is told of from then on.
    answered(place.run(&["workers"])).expect(0);
    let after = answered(place.run(&["doctor", "--json"])).expect(1);
    let told = problems(&objects(&after.stdout));
    let book = told.iter().filter(|(check, _)| check == "job book");
    let book: Vec<_> = book.map(|(_, found)| found).collect();
    assert!(
        book.len() == 1 && book[0].contains("3 jobs came back"),
        "{book:?}"
    );
}

#[test]
fn a_worker_whose_process_was_killed_is_told_of_and_marked_with_its_log_line() {
    let place = Place::new();
    let running = place.worker_until_go();
    running.signal(rustix::process::Signal::KILL);
    assert_eq!(running.finish().code, 128 + 9);
    let finished = answered(place.run(&["doctor", "--json"])).expect(1);
    let told = problems(&objects(&finished.stdout));
    let [(dead, found), (runs, left)] = &told[..] else {
        panic!("not two: {told:#?}");
    };
    assert_eq!(
        (dead.as_str(), runs.as_str()),
        ("dead workers", "dead runs")
    );
    assert!(found.contains("(job 1) died, last seen alive "), "{found}");
    assert!(
        left.starts_with("1 lock file of processes that died: "),
        "{left}"
    );
    let log = fs::read_to_string(place.log_path()).unwrap();
    assert_eq!(log.matches("event=worker_died").count(), 1, "{log}");
    // The second look changes nothing any more.
    let before = tree(place.data_dir());
    answered(place.run(&["doctor"])).expect(1);
    assert!(tree(place.data_dir()) == before);
}

#[test]
fn a_worker_that_is_not_there_is_said_not_to_be() {
    let place = Place::new();
    place.worker("say one");
    for worker in ["2", "nobody", "2020-01-01T00-00-00_x"] {
        let finished = answered(place.run(&["doctor", worker])).expect(1);
        assert!(finished.stdout.contains("\nfail  worker "), "{finished:?}");
        assert!(
            finished.stdout.contains("-> use `triscope workers`"),
            "{finished:?}"
        );
    }
    for none in ["01", "../x"] {
        let finished = answered(place.run(&["doctor", none])).expect(1);
        assert!(finished.stdout.contains("\nfail  worker "), "{finished:?}");
    }
}

#[test]
fn a_place_that_cannot_be_used_is_told_why() {
    type Make = fn(&Path);
    let places: [(Make, &str); 5] = [
        (|_| (), "does not exist"),
        (|it| fs::write(it, "mine").unwrap(), "is a file"),
        (
            |it| symlink("nowhere", it).unwrap(),
            "is a symbolic link to nowhere",
        ),
        (
            |it| fs::create_dir(it).unwrap(),
            "holds nothing of triscope's",
        ),
        (
            |it| {
                fs::create_dir(it).unwrap();
                fs::write(it.join(".triscope"), "mine").unwrap();
            },
            "cannot be written",
        ),
    ];
    for (make, says) in places {
        let place = Place::new();
        make(place.data_dir());
        let names = |dir: &Path| -> Vec<_> {
            let entries = fs::read_dir(dir).into_iter().flatten();
            entries.map(|it| it.unwrap().file_name()).collect()
        };
        let before = [names(place.folder()), names(place.data_dir())];
        let finished = answered(place.run(&["doctor", "--json"])).expect(3);
        let findings = objects(&finished.stdout);
        assert_eq!(findings[0]["check"], "data directory");
        assert_eq!(findings[0]["status"], "fail");
        let found = findings[0]["found"].as_str().unwrap();
        assert!(
            found.contains(says) && found.contains("named by --data-dir"),
            "{found}"
        );
        let text = answered(place.run(&["doctor", "1"])).expect(3);
        assert!(text.stdout.starts_with("fail  data directory "), "{text:?}");
        assert_eq!([names(place.folder()), names(place.data_dir())], before);
    }
}
