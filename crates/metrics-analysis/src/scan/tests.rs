//! Whole scans: places, packings, and what is in the way.

use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Call, Fold, Seen, scan};
use crate::{Filter, Groups, Input, Key};

const SEED: &str = include_str!("../../testdata/seed-metrics.jsonl");

fn total(path: &Path) -> (u64, u128, Seen) {
    let input = Input::Path(path.into());
    let (groups, seen) = scan(&[input], &Filter::default(), || Groups::by(&[]));
    let groups = groups.into_groups();
    let stats = groups
        .first()
        .map(|it| (it.stats.count(), it.stats.duration_ms.sum()));
    let (count, sum) = stats.unwrap_or_default();
    (count, sum, seen)
}

/// What was said of what could not be used, without the directory.
fn problems(seen: &Seen, dir: &Path) -> Vec<String> {
    let problems = seen.problems.iter().map(|it| {
        let path = it
            .path
            .strip_prefix(dir)
            .unwrap_or(&it.path)
            .display()
            .to_string();
        let line = it.line.map(|it| format!(":{it}")).unwrap_or_default();
        format!("{path}{line}: {}", it.reason)
    });
    problems.collect()
}

fn worker(data_dir: &Path, name: &str) -> PathBuf {
    let dir = data_dir.join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("metrics.jsonl"), SEED).unwrap();
    dir
}

#[test]
fn a_worker_its_file_and_all_workers_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let one = worker(dir.path(), "w1");
    worker(dir.path(), "w2");
    fs::create_dir(dir.path().join(".triscope")).unwrap();
    fs::write(dir.path().join("notes.txt"), "nothing").unwrap();
    for (path, n) in [
        (one.join("metrics.jsonl"), 1),
        (one, 1),
        (dir.path().into(), 2),
    ] {
        let (count, sum, seen) = total(&path);
        assert_eq!(
            (count, sum, seen.files),
            (3 * n, 1333 * u128::from(n), n),
            "{path:?}"
        );
        assert_eq!(seen.problems, []);
    }
}

/// Remembers workers and line numbers.
#[derive(Default)]
struct Lines(Vec<(super::Place, Option<String>)>);

impl Fold for Lines {
    fn call(&mut self, call: &Call<'_>) {
        if call.record.duration_ms == 7 {
            let worker = call
                .worker()
                .map(|it| String::from_utf8_lossy(it).into_owned());
            self.0.push((call.place(), worker));
        }
    }

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

#[test]
fn a_large_file_is_read_in_parts_and_its_lines_are_still_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let one = worker(dir.path(), "w1");
    let marked = SEED.lines().nth(1).unwrap().replace(":1111,", ":7,");
    let path = one.join("metrics.jsonl");
    let mut file = File::create(&path).unwrap();
    let block = format!("{}\n\n", SEED.repeat(1000).trim_end()); // 3,001 lines
    let blocks = 40_u64;
    for n in 0..blocks {
        file.write_all(block.as_bytes()).unwrap();
        if n % 10 == 9 {
            file.write_all(format!("{marked}\nnonsense\n").as_bytes())
                .unwrap();
        }
    }
    drop(file);
    assert!(fs::metadata(&path).unwrap().len() > 20 << 20);
    let inputs = [Input::Path(path.clone())];
    let (lines, seen) = scan(&inputs, &Filter::default(), Lines::default);
    let mut found: Vec<_> = lines.0.iter().map(|(place, _)| seen.line(place)).collect();
    found.sort_unstable();
    let expected: Vec<_> = (1..=4_u64)
        .map(|it| it * 10 * 3001 + (it - 1) * 2 + 1)
        .collect();
    assert_eq!(found, expected);
    assert!(
        lines
            .0
            .iter()
            .all(|(_, worker)| worker.as_deref() == Some("w1"))
    );
    assert_eq!(seen.calls, blocks * 3000 + 4);
    let unusable: Vec<_> = seen.problems.iter().map(|it| it.line).collect();
    assert_eq!(
        unusable,
        expected.iter().map(|it| Some(it + 1)).collect::<Vec<_>>()
    );
}

#[test]
fn packed_files_are_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let one = worker(dir.path(), "w1");
    let plain = one.join("metrics.jsonl");
    let gz = dir.path().join("a.jsonl.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(SEED.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    // Two members in a row, as `cat a.gz b.gz` makes them.
    fs::write(&gz, [&*packed, &*packed].concat()).unwrap();
    assert_eq!(total(&gz).0, 6);

    let frame = ruzstd::encoding::compress_to_vec(
        SEED.as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let zst = dir.path().join("a.jsonl.zst");
    fs::write(&zst, [&*frame, &*frame].concat()).unwrap();
    assert_eq!(total(&zst).0, 6);

    // One that ends too early gives what is there, and says so.
    fs::write(&gz, &packed[..packed.len() - 12]).unwrap();
    let (_, _, seen) = total(&gz);
    assert_eq!(seen.unreadable, 1, "{:?}", seen.problems);
    fs::write(&zst, &frame[..frame.len() - 5]).unwrap();
    assert_eq!(total(&zst).2.unreadable, 1);

    // An old worker may be packed.
    fs::remove_file(&plain).unwrap();
    fs::write(one.join("metrics.jsonl.gz"), packed).unwrap();
    assert_eq!(total(dir.path()).0, 3);
}

#[test]
fn what_is_in_the_way_is_named_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    worker(dir.path(), "good");
    let fifo = dir.path().join("fifo");
    fs::create_dir(&fifo).unwrap();
    let made = Command::new("mkfifo")
        .arg(fifo.join("metrics.jsonl"))
        .status();
    assert!(made.unwrap().success());
    symlink("loop", dir.path().join("loop")).unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let linked = worker(dir.path(), "linked");
    fs::remove_file(linked.join("metrics.jsonl")).unwrap();
    symlink("../good/metrics.jsonl", linked.join("metrics.jsonl")).unwrap();
    let hard = worker(dir.path(), "hard");
    fs::hard_link(hard.join("metrics.jsonl"), dir.path().join("other")).unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir_all(folder.join("metrics.jsonl")).unwrap();

    let (count, _, seen) = total(dir.path());
    assert_eq!((count, seen.unreadable, seen.missing), (3, 6, 0));
    let said = problems(&seen, dir.path());
    assert_eq!(said[0], "empty: it has no metrics.jsonl");
    assert_eq!(said[1], "fifo: it is not a plain file");
    assert_eq!(said[2], "folder: it is not a plain file");
    assert_eq!(said[3], "hard: it has a second hard link");
    assert!(said[4].starts_with("linked: "), "{said:?}");
    assert_eq!(said[5], "loop: a symbolic link, not followed");
}

#[test]
fn what_was_asked_for_and_is_not_there_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let one = worker(dir.path(), "w1");
    let inputs = [Input::Path(dir.path().join("gone")), Input::Path(one)];
    let (groups, seen) = scan(&inputs, &Filter::default(), || Groups::by(&[]));
    assert_eq!((seen.missing, seen.unreadable), (1, 1));
    assert_eq!(groups.into_groups()[0].stats.count(), 3);
}

#[test]
fn absurd_numbers_do_not_wrap() {
    let dir = tempfile::tempdir().unwrap();
    let line = SEED
        .lines()
        .nth(1)
        .unwrap()
        .replace(":1111,", ":18446744073709551615,");
    let path = dir.path().join("a.jsonl");
    fs::write(&path, format!("{line}\n{line}\n{line}\n")).unwrap();
    let (count, sum, _) = total(&path);
    assert_eq!((count, sum), (3, 3 * u128::from(u64::MAX)));
}

/// Cuts the file at the first call it is given.
struct Cuts<'a>(&'a Path, &'a AtomicBool);

impl Fold for Cuts<'_> {
    fn call(&mut self, _: &Call<'_>) {
        if !self.1.swap(true, Ordering::SeqCst) {
            let mut file = File::options().write(true).open(self.0).unwrap();
            file.set_len(1000).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
        }
    }

    fn merge(&mut self, _: Self) {}
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    fs::write(&path, SEED.repeat(60_000)).unwrap();
    let is_cut = AtomicBool::new(false);
    let inputs = [Input::Path(path.clone())];
    let (_, seen) = scan(&inputs, &Filter::default(), || Cuts(&path, &is_cut));
    assert!(seen.unreadable >= 1);
    let said = problems(&seen, dir.path());
    assert_eq!(said[0], "a.jsonl: it became shorter while it was read");
}

#[test]
fn only_the_files_of_workers_that_are_asked_for_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5 {
        worker(dir.path(), &format!("w{n}"));
    }
    let filter = Filter {
        workers: vec!["w3".to_owned(), "none".to_owned()],
        ..Filter::default()
    };
    let inputs = [Input::Path(dir.path().into())];
    let (groups, seen) = scan(&inputs, &filter, || Groups::by(&[Key::Worker]));
    assert_eq!((seen.files, seen.calls), (1, 3));
    assert_eq!(groups.into_groups()[0].values, [Some("w3".to_owned())]);
}

#[test]
fn times_bound_calls_by_their_ends() {
    let dir = tempfile::tempdir().unwrap();
    let one = worker(dir.path(), "w1");
    let count = |since: Option<&str>, until: Option<&str>| {
        let time = |it: &str| it.parse().unwrap();
        let filter = Filter {
            since: since.map(time),
            until: until.map(time),
            ..Filter::default()
        };
        let (_, seen) = scan(&[Input::Path(one.clone())], &filter, || Groups::by(&[]));
        seen.matching
    };
    assert_eq!(count(None, None), 3);
    assert_eq!(count(Some("2025-12-15T04:08:09.456789Z"), None), 2);
    assert_eq!(count(None, Some("2025-12-15T04:08:09.456789Z")), 1);
    assert_eq!(
        count(
            Some("2025-12-15T05:08:09.456789+01:00"),
            Some("2025-12-15T04:08:09.5Z")
        ),
        1
    );
}
