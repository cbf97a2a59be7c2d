//! Real files: rotation, truncation, torn ends, FIFOs, full devices.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::{DEFAULT_QUEUE_BYTES, LogWriter};

const LONG: Duration = Duration::from_mins(1);

struct Log {
    dir: TempDir,
    path: PathBuf,
    writer: LogWriter,
}

impl Log {
    /// A log on a file that begins with `text`.
    fn beginning_with(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, text).unwrap();
        let writer = writer(&path);
        Self { dir, path, writer }
    }

    fn push(&self, line: &str) {
        self.writer.push(format!("{line}\n").as_bytes());
        self.writer.flush(LONG).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }
}

fn writer(path: &Path) -> LogWriter {
    LogWriter::spawn(FileSink::open(path).unwrap(), DEFAULT_QUEUE_BYTES).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn file_and_folders_are_made_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/x.log");
    FileSink::open(&path).unwrap();
    assert_eq!(
        (
            mode(&path),
            mode(path.parent().unwrap()),
            mode(&dir.path().join("a"))
        ),
        (0o600, 0o700, 0o700)
    );
}

#[test]
fn lines_are_appended() {
    let log = Log::beginning_with("before\n");
    log.push("after");
    assert_eq!(log.text(), "before\nafter\n");
}

#[test]
fn a_renamed_file_is_followed_by_a_new_one() {
    let log = Log::beginning_with("");
    log.push("one");
    let old = log.dir.path().join("x.log.1");
    fs::rename(&log.path, &old).unwrap();
    log.push("two");
    log.push("three");
    assert_eq!(fs::read_to_string(old).unwrap(), "one\n");
    assert_eq!(log.text(), "two\nthree\n");
    assert_eq!((mode(&log.path), log.writer.dropped()), (0o600, 0));
}

#[test]
fn a_removed_file_or_folder_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs/x.log");
    let writer = writer(&path);
    let push = |line: &[u8]| {
        writer.push(line);
        writer.flush(LONG).unwrap();
        fs::read_to_string(&path).unwrap()
    };
    assert_eq!(push(b"one\n"), "one\n");
    fs::remove_file(&path).unwrap();
    assert_eq!(push(b"two\n"), "two\n");
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    assert_eq!(push(b"three\n"), "three\n");
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn a_removed_file_that_cannot_come_back_counts_its_lines_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs/x.log");
    let writer = writer(&path);
    let push = |line: &[u8]| {
        writer.push(line);
        writer.flush(LONG).unwrap();
    };
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path.parent().unwrap(), "in the way").unwrap();
    push(b"lost\n");
    assert_eq!(writer.dropped(), 1);
    fs::remove_file(path.parent().unwrap()).unwrap();
    push(b"back\n");
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.ends_with(" WARN events_dropped lost=1 target=log_format\nback\n"),
        "{text}"
    );
}

#[test]
fn a_file_truncated_in_place_goes_on_at_its_beginning() {
    let log = Log::beginning_with("");
    log.push("one");
    File::options()
        .write(true)
        .open(&log.path)
        .unwrap()
        .set_len(0)
        .unwrap();
    log.push("two");
    assert_eq!(log.text(), "two\n");
}

#[test]
fn half_lines_of_others_are_closed() {
    let log = Log::beginning_with("torn by a crash");
    log.push("one");
    fs::OpenOptions::new()
        .append(true)
        .open(&log.path)
        .unwrap()
        .write_all(b"torn by another")
        .unwrap();
    log.push("two");
    File::options()
        .write(true)
        .open(&log.path)
        .unwrap()
        .set_len(3)
        .unwrap();
    log.push("three");
    assert_eq!(log.text(), "tor \nthree\n");
}

#[test]
fn no_reader_takes_a_half_line_for_a_whole_one() {
    let line = crate::parse::tests::SEED_LLM_LINE;
    for len in crate::stamp::STAMP_LEN..=line.len() {
        let log = Log::beginning_with(&line[..len]);
        log.push("next");
        let text = log.text();
        let half = text.lines().next().unwrap();
        // Cut within the message, it is a line about something else.
        let is_call = crate::parse_line(half).is_ok_and(|it| !it.fields.is_empty());
        assert!(!is_call, "{half:?}");
    }
}

#[test]
fn two_writers_on_one_file_keep_long_lines_whole() {
    let log = Log::beginning_with("");
    let other = writer(&log.path);
    let line = |c: char| format!("{}\n", c.to_string().repeat(64 * 1024));
    std::thread::scope(|scope| {
        for (writer, c) in [(&log.writer, 'a'), (&other, 'b')] {
            let line = line(c);
            scope.spawn(move || {
                for _ in 0..100 {
                    writer.push(line.as_bytes());
                    writer.flush(LONG).unwrap();
                }
            });
        }
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 200);
    let whole = |it: &str| it.len() == 64 * 1024 && it.bytes().all(|b| b == it.as_bytes()[0]);
    assert!(text.lines().all(whole));
}

#[test]
fn a_fifo_without_a_reader_is_an_error_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir);
    let error = FileSink::open(&path).unwrap_err();
    assert!(matches!(error, LogError::FifoWithoutReader { .. }));
    assert!(
        error.to_string().contains("hint: start the reader first"),
        "{error}"
    );
}

#[test]
fn a_fifo_with_a_reader_takes_lines() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir);
    // Opened for both ends, so that neither open waits for the other.
    let reader = File::options().read(true).write(true).open(&path).unwrap();
    let writer = writer(&path);
    writer.push(b"one\n");
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
}

#[test]
fn a_directory_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = FileSink::open(dir.path()).unwrap_err().to_string();
    let path = dir.path().display();
    assert_eq!(
        error,
        format!(
            "`{path}` is a directory\nhint: give the path of a file in it, such as `{path}/triscope.log`"
        )
    );
}

#[test]
fn a_file_in_the_place_of_a_folder_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "").unwrap();
    let error = FileSink::open(dir.path().join("a/x.log")).unwrap_err();
    assert!(
        matches!(error, LogError::CreateDirectory { .. }),
        "{error:?}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_drops_and_counts() {
    let writer = writer(Path::new("/dev/full"));
    for _ in 0..3 {
        writer.push(b"lost\n");
    }
    writer.flush(LONG).unwrap();
    assert_eq!(writer.dropped(), 3);
}

fn fifo(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path
}

/// Pushes numbered lines while `meanwhile` does what a rotation does, as often as it likes; answers how many.
fn push_while(log: &Log, meanwhile: impl FnOnce(&Path)) -> usize {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut n_lines = 0;
            while !stop.load(Ordering::Relaxed) {
                log.push(&format!("line {n_lines}"));
                n_lines += 1;
            }
            n_lines
        });
        // Also where `meanwhile` panics, as the scope waits for the thread.
        let stops = Stop(&stop);
        meanwhile(&log.path);
        drop(stops);
        pushing.join().unwrap()
    })
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::yield_now();
    }
}

#[test]
fn no_line_is_lost_or_torn_by_renames_in_flight() {
    let log = Log::beginning_with("");
    let old = |n: usize| log.dir.path().join(format!("x.log.{n}"));
    let n_lines = push_while(&log, |path| {
        for n in 0..50 {
            // The next rename waits for the file to be made again, and to have lines.
            wait_until(|| fs::metadata(path).is_ok_and(|it| it.len() > 0));
            fs::rename(path, old(n)).unwrap();
        }
    });
    log.push("last");
    let mut text: String = (0..50)
        .map(|n| fs::read_to_string(old(n)).unwrap())
        .collect();
    text += &log.text();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let expected = (0..n_lines).map(|n| format!("line {n}"));
    assert_eq!(
        lines,
        expected.chain(["last".to_owned()]).collect::<Vec<_>>()
    );
    assert_eq!(log.writer.dropped(), 0);
}

#[test]
fn a_file_removed_in_flight_is_made_again_and_holds_whole_lines() {
    let log = Log::beginning_with("");
    push_while(&log, |path| {
        for _ in 0..50 {
            wait_until(|| fs::remove_file(path).is_ok());
        }
    });
    log.push("last");
    let text = log.text();
    assert!(text.ends_with("last\n"), "{text:?}");
    assert!(text.lines().all(is_whole), "{text:?}");
}

#[test]
fn a_file_truncated_in_flight_holds_whole_lines() {
    let log = Log::beginning_with("");
    push_while(&log, |path| {
        for _ in 0..50 {
            // As after a copy; what was written since the copy is lost, which `copytruncate` is known for.
            wait_until(|| fs::metadata(path).is_ok_and(|it| it.len() > 0));
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(0).unwrap();
        }
    });
    log.push("last");
    let text = log.text();
    assert!(text.ends_with("last\n"), "{text:?}");
    assert!(text.lines().all(is_whole), "{text:?}");
    assert_eq!(log.writer.dropped(), 0);
}

fn is_whole(line: &str) -> bool {
    let number = line.strip_prefix("line ").map(str::parse::<usize>);
    line == "last" || matches!(number, Some(Ok(_)))
}
