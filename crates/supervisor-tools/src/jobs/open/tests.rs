//! Files that are, are not, or are no longer a job book.

use std::{
    error::Error,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use rusqlite::Connection;

use super::{APPLICATION_ID, FORMAT, SCHEMA, find_format, migrate};
use crate::jobs::{
    BookSummary, JobBook, JobBookError, JobFilter, JobStatus,
    test_support::{TestBook, at, id, run, task_of},
};

fn refusal(path: &Path) -> JobBookError {
    let error = JobBook::open(path).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&*path.to_string_lossy()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    error
}

#[test]
fn the_files_are_for_their_owner_alone() {
    let test = TestBook::new();
    test.add("ann");
    let directory = fs::read_dir(test.path.parent().unwrap()).unwrap();
    let mut names = Vec::new();
    for entry in directory {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expected = [
        "jobs.sqlite",
        "jobs.sqlite-shm",
        "jobs.sqlite-wal",
        "jobs.sqlite.lock",
    ];
    assert_eq!(names, expected);
}

#[test]
fn commits_wait_for_the_disk_in_a_write_ahead_log() {
    let test = TestBook::new();
    for book in [&test.book, &JobBook::open(&test.path).unwrap()] {
        let connection = book.lock();
        let pragma = |name: &str| -> rusqlite::types::Value {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma("synchronous"), 2.into(), "FULL");
        assert_eq!(pragma("busy_timeout"), 30_000.into());
        assert_eq!(pragma("user_version"), 2.into());
    }
}

#[test]
fn opening_again_changes_no_job() {
    let test = TestBook::new();
    test.add("ann");
    test.add("bob");
    test.book.claim(id(1), &run("gone"), at(2)).unwrap();
    let before = test.book.list(&JobFilter::default()).unwrap();
    let again = JobBook::open(&test.path).unwrap();
    assert_eq!(again.list(&JobFilter::default()).unwrap(), before);
    assert_eq!(before[1].status, JobStatus::Running);
}

#[test]
fn a_new_book_among_odd_names_is_only_a_file() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        ":memory:",
        "file:x?mode=memory",
        "a b'c\"?#%41",
        "\u{1f600}\n",
        "-x",
    ] {
        let path = directory.path().join(name);
        let book = JobBook::open(&path).unwrap();
        book.add(&task_of("ann"), &run("home"), at(1)).unwrap();
        assert!(fs::metadata(&path).unwrap().len() > 0, "{name}");
    }
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite_header = [&b"SQLite format 3\0"[..], &[0xff; 8_000]].concat();
    for content in [
        &b"xx"[..],
        b"not a database\n",
        &[0; 512],
        &[b'x'; 10_000],
        &sqlite_header,
    ] {
        let path = directory.path().join("jobs.sqlite");
        fs::write(&path, content).unwrap();
        let error = refusal(&path);
        assert!(error.is_damaged(), "{error:?}");
        assert!(error.source().is_some());
        assert!(error.to_string().contains("move it aside"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_book_cut_short_is_damaged() {
    let test = TestBook::new();
    for _ in 0..100 {
        test.add("ann");
    }
    drop(test.book); // The last connection folds the log into the file.
    let whole = fs::read(&test.path).unwrap();
    assert!(whole.len() > 16_384, "{}", whole.len());
    fs::write(&test.path, &whole[..whole.len() / 2]).unwrap();
    let error = JobBook::open(&test.path)
        .and_then(|book| book.list(&JobFilter::default()))
        .unwrap_err();
    assert!(error.is_damaged(), "{error:?}");
}

#[test]
fn a_book_without_its_table_is_damaged() {
    let test = TestBook::new();
    test.book.lock().execute_batch("DROP TABLE jobs").unwrap();
    assert!(refusal(&test.path).is_damaged());
}

#[test]
fn an_empty_file_becomes_a_book() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.sqlite");
    fs::write(&path, "").unwrap();
    let book = JobBook::open(&path).unwrap();
    assert_eq!(
        book.add(&task_of("ann"), &run("home"), at(1)).unwrap(),
        id(1)
    );
}

#[test]
fn whoever_comes_second_finds_the_tables_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.sqlite");
    let mut connections = [0; 2].map(|_| Connection::open(&path).unwrap());
    for connection in &mut connections {
        assert!(find_format(connection, &path).is_ok());
        migrate(connection, &path, FORMAT).unwrap();
        assert_eq!(find_format(connection, &path).unwrap(), FORMAT);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    for sql in [
        "CREATE TABLE songs (name TEXT)",
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY); PRAGMA user_version = 2",
        "PRAGMA application_id = 77",
        "PRAGMA user_version = 9",
    ] {
        let path = directory.path().join("jobs.sqlite");
        let _ = fs::remove_file(&path);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        let error = refusal(&path);
        assert!(
            matches!(error, JobBookError::Foreign { .. }),
            "{sql}: {error:?}"
        );
        assert_eq!(fs::read(&path).unwrap(), before, "{sql}");
    }
}

#[test]
fn a_book_of_a_later_version_is_refused_and_left_alone() {
    let test = TestBook::new();
    test.book
        .lock()
        .execute_batch("PRAGMA user_version = 3")
        .unwrap();
    let error = refusal(&test.path);
    assert!(
        matches!(
            error,
            JobBookError::TooNew {
                found: 3,
                known: 2,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("update triscope"), "{error}");
    let format: i64 = test
        .book
        .lock()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(format, 3);
}

#[test]
fn a_path_where_no_file_can_be_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (root, file) = (directory.path(), directory.path().join("file"));
    fs::write(&file, "").unwrap();
    fs::create_dir(root.join("directory")).unwrap();
    symlink(root.join("nowhere/else"), root.join("dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let mkfifo = Command::new("mkfifo").arg(root.join("fifo")).status();
    assert!(mkfifo.unwrap().success());
    for path in [
        root.join("fifo"),
        file.join("jobs.sqlite"),
        root.join("missing").join("jobs.sqlite"),
        root.join("directory"),
        root.join("dangling"),
        root.join("socket"),
        root.join("x".repeat(300)),
    ] {
        let error = refusal(&path);
        assert!(
            matches!(error, JobBookError::NotWritable { .. }),
            "{error:?}"
        );
        let reason = error.source().unwrap().to_string();
        let is_special = !path.starts_with(&file) && fs::metadata(&path).is_ok();
        assert_eq!(
            reason.contains("not a regular file"),
            is_special,
            "{path:?}: {reason}"
        );
    }
    assert!(fs::read(&file).unwrap().is_empty());
}

#[test]
fn a_book_that_we_may_not_write_is_named() {
    let test = TestBook::new();
    test.add("ann");
    let (path, directory) = (&test.path, test.path.parent().unwrap());
    drop(test.book);
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(path, 0o400);
    if fs::OpenOptions::new().append(true).open(path).is_ok() {
        eprintln!("skipped: modes do not bind this user");
        return;
    }
    for (file_mode, directory_mode) in [(0o400, 0o700), (0o600, 0o500), (0o000, 0o700)] {
        set_mode(path, file_mode);
        set_mode(directory, directory_mode);
        let error = refusal(path);
        assert!(
            matches!(error, JobBookError::NotWritable { .. }),
            "{error:?}"
        );
        let new = directory.join("new.sqlite");
        assert_eq!(JobBook::open(&new).is_err(), directory_mode == 0o500);
        set_mode(directory, 0o700);
    }
}

/// A book as the version before made it, with a job in each of three states.
fn of_format_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; {SCHEMA}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;
             INSERT INTO jobs (owner, status, spawned_by, run, attempt, created_at, timeout_us, task)
             VALUES ('ann', 'success', 'gone', 'gone', 1, 1000000, 5, 'first'),
                    ('bob', 'running', 'gone', 'gone', 1, 1000000, 5, 'second'),
                    ('ann', 'queued', 'gone', NULL, 0, 1000000, 5, 'third')"
        ))
        .unwrap();
}

#[track_caller]
fn holds_those_of_format_1(book: &JobBook) {
    let jobs = book.list(&JobFilter::default()).unwrap();
    let facts: Vec<_> = jobs.iter().map(|it| (&*it.task, it.status)).collect();
    let expected = [
        ("third", JobStatus::Queued),
        ("second", JobStatus::Running),
        ("first", JobStatus::Success),
    ];
    assert_eq!(facts, expected);
    for job in &jobs {
        assert_eq!((job.max_attempts, job.is_shared), (1, false));
        assert!(job.settings.is_empty() && job.traceparent.is_none());
    }
    assert_eq!(book.runs_with_lines().unwrap(), [run("gone")]);
    assert_eq!(book.share_line_of(&run("gone")).unwrap(), 1);
    let next = book.claim_next(None, &run("me"), at(2)).unwrap().unwrap();
    assert_eq!(next.id, id(3));
}

#[test]
fn a_book_of_the_version_before_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.sqlite");
    of_format_1(&path);
    let expected = BookSummary {
        jobs: 3,
        queued: 1,
        running: 1,
    };
    let summary = JobBook::examine(&path).unwrap();
    assert_eq!(summary, Some(expected), "a look changes nothing");
    let format = Connection::open(&path).unwrap();
    assert_eq!(find_format(&format, &path).unwrap(), 1);
    let book = JobBook::open(&path).unwrap();
    assert_eq!(find_format(&book.lock(), &path).unwrap(), 2);
    holds_those_of_format_1(&book);
    assert_eq!(JobBook::examine(&path).unwrap().unwrap().jobs, 3);
}

#[test]
fn a_damaged_book_of_the_version_before_is_mended() {
    for broken in [0, 1] {
        let directory = tempfile::tempdir().unwrap();
        let store = artifact_store::ArtifactStore::open(directory.path()).unwrap();
        let path = JobBook::path_in(&store);
        of_format_1(&path);
        let mut bytes = fs::read(&path).unwrap();
        let page = if broken == 0 {
            0 // The schema, or an index:
        } else {
            let connection = Connection::open(&path).unwrap();
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'jobs_by_status'";
            let root = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            usize::try_from(root.unwrap()).unwrap() - 1
        };
        bytes[page * 4096..(page + 1) * 4096].fill(0);
        fs::write(&path, bytes).unwrap();
        let book = JobBook::of_store(&store).unwrap();
        // An index is found out by the first who needs it.
        let queued = JobFilter {
            status: Some(JobStatus::Queued),
            ..JobFilter::default()
        };
        let n_queued = book.list(&queued).unwrap().len();
        assert_eq!(n_queued, 1, "{:?}", book.recoveries());
        let recoveries = book.recoveries();
        assert_eq!(recoveries.len(), 1, "{recoveries:?}");
        assert_eq!((recoveries[0].from_book, recoveries[0].queued), (3, 1));
        holds_those_of_format_1(&book);
    }
}
