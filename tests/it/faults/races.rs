//! Files that are swapped while the program reads them: no read leaves the worker's directory.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{
    cli::{Place, answered},
    support::{Finished, sh},
};

const SECRET: &str = "TOP-SECRET-4711";
const INSIDE: &str = "inside\n";

/// Stops the swapping, also where a read panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads `file` of a worker again and again while `swap` goes on; gives all answers, each of which kept its manners.
fn read_while(file: &str, reads: usize, swap: impl Fn(&Path, &Path) + Sync) -> Vec<Finished> {
    let place = Place::new();
    let dir = place.worker("say hello");
    let outside = place.folder().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("notes.txt"), SECRET).unwrap();
    // The attacker's own copies of what he swaps in.
    fs::write(dir.join("mine"), INSIDE).unwrap();
    fs::create_dir(dir.join("sub")).unwrap();
    fs::write(dir.join("sub/notes.txt"), INSIDE).unwrap();
    fs::write(dir.join("notes.txt"), INSIDE).unwrap();
    let stop = AtomicBool::new(false);
    let read = |n: usize| {
        let form = ["--raw", "--json"][n % 2];
        answered(place.run(&["file", "1", file, form]))
    };
    let mut answers = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                swap(&dir, &outside);
            }
        });
        let _stop = Stop(&stop);
        (0..reads).map(read).collect::<Vec<_>>()
    });
    // While it is swapped without a pause it may well never be met; afterwards it is there.
    answers.push(read(0));
    for answer in &answers {
        for text in [&answer.stdout, &answer.stderr] {
            assert!(!text.contains(SECRET), "leaked: {answer:?}");
        }
        let is_error =
            answer.code == 1 && answer.stdout.is_empty() && answer.stderr.starts_with("Error: ");
        assert!(answer.code == 0 || is_error, "{answer:?}");
    }
    answers
}

/// Puts something at `path` in one step: made beside it by `make`, then renamed over it.
fn put(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) {
    let aside = path.with_extension("aside");
    let _ = fs::remove_file(&aside);
    make(&aside).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[track_caller]
fn assert_some_were_read(answers: &[Finished]) {
    let n_read = answers.iter().filter(|it| it.code == 0).count();
    assert!(n_read > 0, "the file was never there: {:?}", answers[0]);
}

#[test]
fn a_file_swapped_with_a_symbolic_link_does_not_leak() {
    assert_some_were_read(&read_while("notes.txt", 100, |dir, outside| {
        let file = dir.join("notes.txt");
        put(&file, |aside| symlink(outside.join("notes.txt"), aside));
        put(&file, |aside| fs::write(aside, INSIDE));
    }));
}

#[test]
fn a_file_swapped_with_a_second_link_does_not_leak() {
    assert_some_were_read(&read_while("notes.txt", 100, |dir, outside| {
        let file = dir.join("notes.txt");
        put(&file, |aside| {
            fs::hard_link(outside.join("notes.txt"), aside)
        });
        put(&file, |aside| fs::write(aside, INSIDE));
    }));
}

#[test]
fn a_directory_swapped_with_a_link_does_not_leak() {
    assert_some_were_read(&read_while("sub/notes.txt", 100, |dir, outside| {
        let (sub, away) = (dir.join("sub"), dir.join("away"));
        fs::rename(&sub, &away).unwrap();
        symlink(outside, &sub).unwrap();
        fs::remove_file(&sub).unwrap();
        fs::rename(&away, &sub).unwrap();
    }));
}

#[test]
fn a_file_swapped_with_a_pipe_or_a_device_makes_nobody_wait() {
    let answers = read_while("notes.txt", 60, |dir, _| {
        let file = dir.join("notes.txt");
        put(&file, |aside| symlink("/dev/zero", aside));
        put(&file, |aside| {
            sh(dir, "rm -f pipe && mkfifo pipe").answer();
            fs::rename(dir.join("pipe"), aside)
        });
        put(&file, |aside| fs::write(aside, INSIDE));
    });
    for answer in answers.iter().filter(|it| it.code == 0) {
        assert!(answer.stdout.contains("inside"), "{answer:?}");
    }
}

#[test]
fn a_file_that_shrinks_and_grows_while_it_is_read_ends_where_it_ends() {
    let long = "0123456789abcde\n".repeat(200_000);
    let answers = read_while("notes.txt", 60, |dir, _| {
        let file = dir.join("notes.txt");
        fs::write(&file, &long).unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(1_500_000)
            .unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(0)
            .unwrap();
    });
    for answer in answers {
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    }
}
