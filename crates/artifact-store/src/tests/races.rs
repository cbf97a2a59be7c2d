//! A file swapped, as fast as can be, while it is read.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::support::{SetOnDrop, TestStore};
use crate::{SearchOptions, WorkerReader};

const READS: usize = 2000;
const SECRET: &str = "the secret";
const INSIDE: &str = "inside";

/// Reads `file` while another thread runs `swap` over and over; gives how many reads went well, of how many.
fn read_while(reader: &WorkerReader, file: &str, swap: impl FnMut() + Send) -> (usize, usize) {
    // However it ends, it must end, and never with the secret.
    let read = || {
        let Ok(mut file) = reader.open_file(file) else {
            return false;
        };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, INSIDE, "leaked");
        true
    };
    try_while(swap, READS, read)
}

/// Tries `read` while another thread runs `swap` over and over; gives how often it went well, of how many.
fn try_while(
    mut swap: impl FnMut() + Send,
    n_reads: usize,
    mut read: impl FnMut() -> bool,
) -> (usize, usize) {
    let (start, is_over) = (Barrier::new(2), AtomicBool::new(false));
    let n_swaps = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            while !is_over.load(Ordering::Relaxed) {
                swap();
                n_swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        start.wait();
        let _over_at_last = SetOnDrop(&is_over);
        let (mut n_tried, mut n_read) = (0, 0);
        // On few processors one thread may do all of its work before the other one runs at all.
        while n_tried < n_reads
            || n_swaps.load(Ordering::Relaxed) < n_reads
            || (n_read == 0 && n_tried < 4 * n_reads)
        {
            n_tried += 1;
            n_read += usize::from(read());
        }
        (n_read, n_tried)
    })
}

struct Setup {
    it: TestStore,
    reader: WorkerReader,
}

impl Setup {
    fn new() -> Self {
        let it = TestStore::new();
        let (_, reader) = it.pair();
        let outside = it.temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), SECRET).unwrap();
        Self { it, reader }
    }

    fn outside(&self, name: &str) -> std::path::PathBuf {
        self.it.temp.path().join("outside").join(name)
    }
}

fn put(path: &Path) {
    fs::write(path, INSIDE).unwrap();
}

#[test]
fn a_file_swapped_with_a_symbolic_link_never_leaks() {
    let it = Setup::new();
    let target = it.reader.path().join("file");
    let (plain, link) = (it.outside("plain"), it.outside("link"));
    let (n_read, _) = read_while(&it.reader, "file", || {
        put(&plain);
        fs::rename(&plain, &target).unwrap();
        symlink(it.outside("secret"), &link).unwrap();
        fs::rename(&link, &target).unwrap();
    });
    assert!(n_read > 0, "nothing was read at all");
}

#[test]
fn a_file_swapped_with_a_hard_link_never_leaks() {
    let it = Setup::new();
    let target = it.reader.path().join("file");
    let (plain, link) = (it.outside("plain"), it.outside("link"));
    let (n_read, _) = read_while(&it.reader, "file", || {
        put(&plain);
        fs::rename(&plain, &target).unwrap();
        fs::hard_link(it.outside("secret"), &link).unwrap();
        fs::rename(&link, &target).unwrap();
    });
    assert!(n_read > 0, "nothing was read at all");
}

#[test]
fn a_hard_link_that_comes_and_goes_never_leaks() {
    // Just after it went, the secret has one link again: looking at the open file alone would not tell.
    let it = Setup::new();
    let target = it.reader.path().join("file");
    read_while(&it.reader, "file", || {
        fs::hard_link(it.outside("secret"), &target).unwrap();
        fs::remove_file(&target).unwrap();
    });
}

#[test]
fn a_search_finds_nothing_in_a_hard_link_that_comes_and_goes() {
    let it = Setup::new();
    let target = it.reader.path().join("file");
    let swap = || {
        fs::hard_link(it.outside("secret"), &target).unwrap();
        fs::remove_file(&target).unwrap();
    };
    try_while(swap, READS / 10, || {
        let options = SearchOptions::default();
        let result = it.it.store.search(SECRET, &options).unwrap();
        assert_eq!(result.matches, [], "leaked");
        true
    });
}

#[test]
fn a_directory_swapped_with_a_link_never_leaks() {
    let it = Setup::new();
    let dir = it.reader.path().join("dir");
    let (away, outside) = (it.reader.path().join("away"), it.outside(""));
    fs::create_dir(&dir).unwrap();
    put(&dir.join("secret"));
    let (n_read, _) = read_while(&it.reader, "dir/secret", || {
        // It stays for a moment, so that some reads go well.
        put(&dir.join("secret.new"));
        fs::remove_file(dir.join("secret.new")).unwrap();
        fs::rename(&dir, &away).unwrap();
        symlink(&outside, &dir).unwrap();
        fs::remove_file(&dir).unwrap();
        fs::rename(&away, &dir).unwrap();
    });
    assert!(n_read > 0, "nothing was read at all");
}

#[test]
fn a_file_replaced_all_the_time_can_be_read_all_the_same() {
    let it = Setup::new();
    let target = it.reader.path().join("file");
    put(&target);
    let plain = it.outside("plain");
    let (n_read, n_tried) = read_while(&it.reader, "file", || {
        put(&plain);
        fs::rename(&plain, &target).unwrap();
    });
    assert_eq!(n_read, n_tried);
}
