//! What a look at a book finds, and that it changes nothing.

use std::{collections::BTreeMap, fs, path::Path};

use rusqlite::Connection;

use crate::jobs::{
    BookSummary, JobBook, JobBookError, sqlite_fault,
    test_support::{TestBook, at, id, run},
};

fn files(book: &Path) -> BTreeMap<String, Vec<u8>> {
    let directory = fs::read_dir(book.parent().unwrap()).unwrap();
    let files = directory.map(|it| it.unwrap().path());
    files
        .map(|it| (it.display().to_string(), fs::read(it).unwrap()))
        .collect()
}

#[test]
fn a_sound_book_is_read_and_left_as_it_is() {
    let test = TestBook::new();
    for _ in 0..3 {
        test.add("ann");
    }
    test.book.claim(id(1), &run("gone"), at(2)).unwrap();
    let expected = BookSummary {
        jobs: 3,
        queued: 2,
        running: 1,
    };
    // While it is open, with its log, and once nobody has it open.
    let before = files(&test.path);
    assert_eq!(JobBook::examine(&test.path).unwrap(), Some(expected));
    let names: Vec<_> = before.keys().collect();
    let after = files(&test.path);
    assert_eq!(names, after.keys().collect::<Vec<_>>());
    assert_eq!(
        before[test.path.to_str().unwrap()],
        after[test.path.to_str().unwrap()]
    );
    drop(test.book);
    let before = files(&test.path);
    assert_eq!(JobBook::examine(&test.path).unwrap(), Some(expected));
    assert_eq!(files(&test.path), before);
}

#[test]
fn there_may_be_no_book() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd ?#%41 name.sqlite");
    assert_eq!(JobBook::examine(&path).unwrap(), None);
    fs::write(&path, "").unwrap();
    assert_eq!(JobBook::examine(&path).unwrap(), None);
    assert_eq!(files(&path).len(), 1);
    fs::remove_file(&path).unwrap();
    drop(JobBook::open(&path).unwrap());
    let summary = JobBook::examine(&path).unwrap();
    assert_eq!(summary, Some(BookSummary::default()));
}

#[test]
fn a_damaged_book_is_named_and_left_as_it_is() {
    let test = TestBook::new();
    for _ in 0..200 {
        test.add("ann");
    }
    drop(test.book);
    let sound = fs::read(&test.path).unwrap();
    for at in [0, 4096 * 8, sound.len() - 4096] {
        let mut bytes = sound.clone();
        bytes[at..at + 4096].fill(0);
        fs::write(&test.path, &bytes).unwrap();
        let before = files(&test.path);
        let error = JobBook::examine(&test.path).unwrap_err();
        assert!(
            matches!(error, JobBookError::Damaged { .. }),
            "{at}: {error:?}"
        );
        assert_eq!(files(&test.path), before);
    }
    fs::write(&test.path, "").unwrap();
    let log = test.path.with_extension("sqlite-wal");
    fs::write(&log, "something").unwrap();
    assert!(JobBook::examine(&test.path).unwrap_err().is_damaged());
    assert_eq!(fs::read(log).unwrap(), b"something");
}

#[test]
fn a_file_of_any_program_is_sound_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.sqlite");
    assert_eq!(sqlite_fault(&path), None);
    assert!(!path.exists());
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE songs (name TEXT); INSERT INTO songs VALUES ('x')")
        .unwrap();
    drop(connection);
    assert_eq!(sqlite_fault(&path), None);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0);
    fs::write(&path, &bytes).unwrap();
    let fault = sqlite_fault(&path).unwrap();
    assert!(!fault.is_empty());
    fs::write(&path, "garbage").unwrap();
    assert_eq!(sqlite_fault(&path).unwrap(), "file is not a database");
    assert_eq!(files(&path).len(), 1);
}
