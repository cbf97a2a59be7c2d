//! Files that somebody else broke: what is whole can still be read, what is not is named, and nothing is deleted.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    cli::{Place, answered, metadata},
    support::{Background, Lab, sh},
};

#[tokio::test]
async fn torn_and_foreign_lines_are_counted_and_others_go_on() {
    let lab = Lab::new();
    let job = lab.run_job("calculate 7*6").await;
    let worker = lab.metadata(job).await.worker_id;
    let path = lab.worker_dir(&worker).join("metrics.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let first = whole.lines().next().unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    // The torn line has been ended by whoever came next; the file as a whole ends torn once more.
    for bytes in [
        b"not json\n[1,2]\n\xff\xfe\n{\"event\":\"somebody_elses\"}\n".as_slice(),
        b"{\"event\":\"tool_call\",\"tool\":\"ca\n\0\0\0\0\n",
        first.as_bytes(),
        b"\n{\"event\":\"tool_call\",\"tool\":\"ca",
    ] {
        file.write_all(bytes).unwrap();
    }

    let arguments = json!({"job_id": job});
    let tools = lab.tools();
    let digest = tools.call("worker_metrics", &arguments).await;
    for line in [
        "LLM calls: 4, ",
        "Tool calls: 1, ",
        "Events of other kinds: 1",
    ] {
        let found = digest.lines().any(|it| it.starts_with(line));
        assert!(found, "no `{line}` in {digest}");
    }
    let unusable = digest
        .lines()
        .find_map(|it| it.strip_prefix("Lines that could not be used: "));
    // A last line without an end may be one that is just being written.
    assert!(matches!(unusable, Some("5" | "6")), "{digest}");
    // Everything else is as it was.
    let result = lab.read_result(job).await;
    assert!(result.ends_with("\n\nThe result is 42."), "{result}");
    let arguments = json!({"job_id": job, "file_path": "metrics.jsonl"});
    let file = lab.tools().call("read_worker_file", &arguments).await;
    assert!(
        file.contains(&whole) && file.contains("not json\n"),
        "{file}"
    );
    let arguments = json!({"pattern": "synthesis"});
    let found = tools.call("grep_workers", &arguments).await;
    assert!(found.contains("metrics.jsonl:3: "), "{found}");
    assert!(fs::read(&path).unwrap().starts_with(whole.as_bytes()));
}

/// Breaks the metadata of one worker of several; gives the place and that worker's directory.
#[track_caller]
fn with_broken_metadata(breaks: impl FnOnce(&Path)) {
    let place = Place::new();
    place.worker("say one");
    let dir = place.worker("say two");
    place.worker("say three");
    let file = dir.join("metadata.json");
    breaks(&file);
    let worker = dir.file_name().unwrap().to_str().unwrap();

    let list = answered(place.run(&["workers", "--json"])).expect(0);
    let rows: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let jobs: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["job_id"])
        .collect();
    // The job book knows it all the same.
    assert_eq!(jobs, [3, 2, 1]);
    let warning = list.stderr.trim_end();
    assert!(
        warning.starts_with("warning: ") && warning.contains(worker) && !warning.contains('\n'),
        "{list:?}"
    );
    let table = answered(place.run(&["workers"])).expect(0);
    assert_eq!(
        (table.stdout.lines().count(), table.stderr),
        (4, list.stderr)
    );

    // It is named by what needs it, and is no obstacle to the rest.
    for job in ["2", worker] {
        for command in ["meta", "result"] {
            let finished = answered(place.run(&[command, job]));
            assert_ne!(finished.code, 0, "{finished:?}");
            assert!(
                finished.stderr.starts_with("Error: ") && finished.stderr.contains(worker),
                "{finished:?}"
            );
        }
    }
    let result = place.run(&["file", "2", "result.txt"]).answer();
    assert!(result.ends_with(":\n\ntwo\n"), "{result}");
    place.run(&["result", "1"]).answer();
    place.run(&["result", "3"]).answer();
    let found = answered(place.run(&["grep", "say", "--json"])).expect(0);
    assert!(found.stdout.contains("\"job_id\": 1") && found.stdout.contains("\"job_id\": 3"));
    assert!(found.stderr.contains(worker), "{found:?}");
    let next = place.run(&["run", "say four", "--json"]).json();
    assert_eq!(next["job_id"], 4);
    assert!(dir.join("result.txt").exists() && fs::symlink_metadata(file).is_ok());
}

#[test]
fn metadata_cut_short_is_named_and_passed_over() {
    with_broken_metadata(|file| {
        let whole = fs::read(file).unwrap();
        fs::write(file, &whole[..whole.len() / 2]).unwrap();
    });
}

#[test]
fn metadata_of_nothing_is_named_and_passed_over() {
    with_broken_metadata(|file| fs::write(file, "").unwrap());
}

#[test]
fn metadata_of_garbage_is_named_and_passed_over() {
    with_broken_metadata(|file| fs::write(file, b"\0\xff garbage \x1b[31m").unwrap());
}

#[test]
fn metadata_of_wrong_types_is_named_and_passed_over() {
    with_broken_metadata(|file| {
        fs::write(file, r#"{"worker_id": 5, "task": ["a"], "status": "gone"}"#).unwrap();
    });
}

#[test]
fn metadata_of_another_worker_is_named_and_passed_over() {
    with_broken_metadata(|file| {
        let mut metadata = metadata(file.parent().unwrap());
        metadata["worker_id"] = json!("2020-01-01T00-00-00_other");
        fs::write(file, metadata.to_string()).unwrap();
    });
}

#[test]
fn metadata_that_is_a_fifo_is_named_and_passed_over() {
    with_broken_metadata(|file| {
        fs::remove_file(file).unwrap();
        sh(file.parent().unwrap(), "mkfifo metadata.json").answer();
    });
}

#[test]
fn metadata_that_is_a_directory_is_named_and_passed_over() {
    with_broken_metadata(|file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    });
}

#[test]
fn a_folder_that_is_no_worker_is_no_obstacle() {
    let place = Place::new();
    place.worker("say hello");
    fs::create_dir(place.data_dir().join("photos")).unwrap();
    fs::write(place.data_dir().join("notes.txt"), "mine").unwrap();
    let list = answered(place.run(&["workers", "--json"])).expect(0);
    let rows: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
}

/// Two workers that ended, and a job book that is then broken in some way; the first command says so, and works.
#[track_caller]
fn with_broken_job_book(breaks: impl FnOnce(&Path), is_moved: bool) -> (Place, String) {
    let place = Place::new();
    place.worker("say hello");
    place.worker("say more");
    let book = place.data_dir().join(".triscope/jobs.sqlite");
    breaks(&book);
    let broken = fs::read(&book).unwrap();

    let first = answered(place.run(&["result", "2"])).expect(0);
    assert!(first.stdout.ends_with("\n\nmore\n"), "{first:?}");
    let start = format!("warning: the job book `{}` was ", book.display());
    assert!(
        first.stderr.starts_with(&start) && first.stderr.lines().count() == 1,
        "{first:?}"
    );
    assert!(first.stderr.contains(". 2 jobs came back"), "{first:?}");
    let log = fs::read_to_string(place.log_path()).unwrap();
    let warned = log.lines().filter(|it| it.contains(" WARN the job book "));
    assert_eq!(warned.count(), 1, "{log}");

    let aside = first.stderr.split('`').nth(3).map(PathBuf::from);
    assert_eq!(aside.is_some(), is_moved, "{first:?}");
    if let Some(aside) = aside {
        assert_eq!(fs::read(aside).unwrap(), broken);
    }
    // From then on all is as it was, and the numbers go on.
    let next = place.run(&["run", "say more", "--json"]).json();
    assert_eq!(next["job_id"], 3);
    let jobs: Vec<_> = place.rows().iter().map(|it| it["job_id"].clone()).collect();
    assert_eq!(jobs, [3, 2, 1]);
    (place, first.stderr)
}

#[test]
fn a_job_book_of_garbage_is_moved_aside() {
    let garbage = "garbage ".repeat(1000);
    let (_, told) = with_broken_job_book(|book| fs::write(book, &garbage).unwrap(), true);
    assert!(told.contains("(file is not a database)"), "{told}");
    assert!(
        told.contains("0 from the old book, 2 from their workers"),
        "{told}"
    );
}

#[test]
fn a_job_book_whose_header_is_overwritten_is_read_all_the_same() {
    let overwrite = |book: &Path| {
        let mut bytes = fs::read(book).unwrap();
        bytes[..100].fill(0xff);
        fs::write(book, bytes).unwrap();
    };
    let (_, told) = with_broken_job_book(overwrite, true);
    assert!(
        told.contains("2 from the old book, 0 from their workers"),
        "{told}"
    );
}

#[test]
fn a_job_book_with_a_zeroed_page_is_made_anew() {
    let zero = |book: &Path| {
        let mut bytes = fs::read(book).unwrap();
        bytes[4096..8192].fill(0); // The table's only page.
        fs::write(book, bytes).unwrap();
    };
    let (_, told) = with_broken_job_book(zero, true);
    assert!(
        told.contains("0 from the old book, 2 from their workers"),
        "{told}"
    );
}

#[test]
fn a_job_book_cut_to_nothing_is_made_anew() {
    let (_, told) = with_broken_job_book(|book| fs::write(book, "").unwrap(), false);
    assert!(told.contains("was missing or empty"), "{told}");
}

#[test]
fn several_programs_that_find_a_damaged_job_book_at_once_all_work() {
    let place = Place::new();
    place.worker("say hello");
    let book = place.data_dir().join(".triscope/jobs.sqlite");
    fs::write(&book, "garbage ".repeat(1000)).unwrap();
    let runs: Vec<_> = (0..4)
        .map(|n| Background::start(&mut place.command(&["run", "--json", &format!("say {n}")])))
        .collect();
    let (mut jobs, mut warnings) = (Vec::new(), 0);
    for run in runs {
        let finished = answered(run.finish()).expect(0);
        let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        jobs.push(report["job_id"].as_u64().unwrap());
        warnings += finished.stderr.matches("warning: the job book").count();
    }
    jobs.sort_unstable();
    assert_eq!((jobs, warnings), (vec![2, 3, 4, 5], 1));
}

#[test]
fn a_job_book_of_another_program_is_an_error_and_stays() {
    let place = Place::new();
    place.worker("say hello");
    let book = place.data_dir().join(".triscope/jobs.sqlite");
    let mut bytes = fs::read(&book).unwrap();
    bytes[68..72].fill(7); // SQLite's `application_id`.
    fs::write(&book, &bytes).unwrap();
    for arguments in [&["workers"][..], &["result", "1"], &["run", "say more"]] {
        let finished = answered(place.run(arguments)).expect(3);
        assert_eq!(finished.stdout, "");
        assert!(
            finished.stderr.contains("of another program"),
            "{finished:?}"
        );
    }
    assert_eq!(fs::read(&book).unwrap(), bytes);
}

#[test]
fn a_worker_whose_directory_is_gone_is_said_to_be_removed() {
    let place = Place::new();
    let dir = place.worker("say hello");
    place.worker("say more");
    fs::remove_dir_all(&dir).unwrap();
    let worker = dir.file_name().unwrap().to_str().unwrap();
    for command in ["result", "file", "meta"] {
        for job in ["1", worker] {
            let finished = answered(place.run(&[command, job])).expect(1);
            assert_eq!(finished.stdout, "");
            assert_eq!(
                finished.stderr,
                format!(
                    "Error: the worker of job 1 ({worker}, success) was removed, and its result with it. Spawn the task again if it is needed.\n"
                )
            );
        }
    }
    assert_eq!(place.rows().len(), 1);
}
