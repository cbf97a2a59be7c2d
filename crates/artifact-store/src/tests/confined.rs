//! Ways out of a worker's directory: each is refused in words.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use super::support::{TestStore, is_root, mkfifo};
use crate::{StoreError, WorkerReader};

const SECRET: &str = "the secret";

/// A worker with all that may stand in its directory, beside a secret.
fn prepared(it: &TestStore) -> WorkerReader {
    let (writer, reader) = it.pair();
    let (dir, outside) = (writer.dir(), it.temp.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    let secret = outside.join("secret");
    fs::write(&secret, SECRET).unwrap();
    writer.write_result("inside").unwrap();
    writer.save_tool_output(1, "ssh_exec", "inside").unwrap();

    symlink(&secret, dir.join("absolute_link")).unwrap();
    symlink("../outside/secret", dir.join("relative_link")).unwrap();
    symlink("result.txt", dir.join("link_inside")).unwrap();
    symlink("nowhere", dir.join("dangling_link")).unwrap();
    symlink("loop_link", dir.join("loop_link")).unwrap();
    symlink(&outside, dir.join("dir_link")).unwrap();
    symlink(".", dir.join("here_link")).unwrap();
    symlink("/", dir.join("tool_calls/root_link")).unwrap();
    symlink("/dev/null", dir.join("device_link")).unwrap();
    symlink("/proc/self/environ", dir.join("proc_link")).unwrap();
    symlink("/dev/fd/0", dir.join("fd_link")).unwrap();
    fs::hard_link(&secret, dir.join("hard_link")).unwrap();
    fs::hard_link(&secret, dir.join("tool_calls/hard_link")).unwrap();
    mkfifo(dir.join("pipe"));
    UnixListener::bind(dir.join("socket")).unwrap();
    fs::create_dir_all(dir.join("deep/deeper")).unwrap();
    fs::write(dir.join("deep/deeper/file"), "inside").unwrap();
    fs::write(dir.join(".hidden"), "inside").unwrap();
    fs::write(dir.join("..."), "inside").unwrap();
    drop(writer);
    reader
}

#[test]
fn every_way_out_is_refused_in_words() {
    let it = TestStore::new();
    let reader = prepared(&it);
    let secret = it.temp.path().join("outside/secret");
    let worker = reader.id().as_str();
    let through_parent = format!("../{worker}/result.txt");
    let long_name = "x".repeat(300);
    let (long, many) = ("x".repeat(5000), "a/".repeat(2000) + "x");
    let ways = [
        ("", "is empty"),
        ("/", "is an absolute path"),
        ("//", "is an absolute path"),
        ("/etc/passwd", "is an absolute path"),
        (secret.to_str().unwrap(), "is an absolute path"),
        (".", "holds `.` or `..`"),
        ("..", "holds `.` or `..`"),
        ("../outside/secret", "holds `.` or `..`"),
        ("../../etc/passwd", "holds `.` or `..`"),
        ("tool_calls/../result.txt", "holds `.` or `..`"),
        ("tool_calls/../../outside/secret", "holds `.` or `..`"),
        ("./result.txt", "holds `.` or `..`"),
        ("tool_calls/./001_ssh_exec.txt", "holds `.` or `..`"),
        ("tool_calls/..", "holds `.` or `..`"),
        ("result.txt/..", "holds `.` or `..`"),
        (&through_parent, "holds `.` or `..`"),
        ("tool_calls//001_ssh_exec.txt", "holds an empty name"),
        ("result.txt/", "holds an empty name"),
        ("tool_calls/", "holds an empty name"),
        ("result.txt\0", "holds a NUL byte"),
        ("\0", "holds a NUL byte"),
        ("tool_calls\0/x", "holds a NUL byte"),
        (&long_name, "is too long"),
        (&long, "is too long"),
        (&many, "no file"),
        ("absolute_link", "is a symbolic link"),
        ("relative_link", "is a symbolic link"),
        ("link_inside", "is a symbolic link"),
        ("dangling_link", "is a symbolic link"),
        ("loop_link", "is a symbolic link"),
        ("dir_link", "is a symbolic link"),
        ("device_link", "is a symbolic link"),
        ("proc_link", "is a symbolic link"),
        ("fd_link", "is a symbolic link"),
        ("dir_link/secret", "something that is not a directory"),
        ("here_link/result.txt", "something that is not a directory"),
        ("tool_calls/root_link/etc/passwd", "that is not a directory"),
        ("result.txt/x", "something that is not a directory"),
        ("metrics.jsonl/x", "something that is not a directory"),
        ("pipe/x", "something that is not a directory"),
        ("hard_link", "has a second hard link"),
        ("tool_calls/hard_link", "has a second hard link"),
        ("pipe", "is not a plain file"),
        ("socket", "is not a plain file"),
        ("tool_calls", "is a directory"),
        ("deep/deeper", "is a directory"),
        ("nothing", "no file"),
        ("tool_calls/nothing", "no file"),
        ("~", "no file"),
        ("~root/.ssh", "no file"),
        ("..\\..\\etc", "no file"),
        ("%2e%2e%2fetc", "no file"),
        ("．．/etc", "no file"),
    ];
    for (file, why) in ways {
        let error = reader.read_file(file, 0, 1000).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(why), "{file:.100}: {text}");
        assert!(text.len() < 1500, "{} bytes", text.len());
        if let StoreError::Refused { .. } = error {
            assert!(text.contains("such as `metrics.jsonl`"), "{text}");
        }
        reader.open_file(file).unwrap_err();
    }
}

#[test]
fn a_file_that_has_left_is_not_our_own() {
    let it = TestStore::new();
    let reader = prepared(&it);
    for file in ["result.txt", "tool_calls/001_ssh_exec.txt"] {
        let opened = reader.open_unproven(file).unwrap();
        assert!(reader.is_own(&opened));
        // As if it had been put here for a moment: when its links are counted, it has one.
        fs::hard_link(reader.path().join(file), it.temp.path().join("its_own")).unwrap();
        fs::remove_file(reader.path().join(file)).unwrap();
        assert!(!reader.is_own(&opened));
        fs::remove_file(it.temp.path().join("its_own")).unwrap();
        assert!(
            !reader.is_own(&opened),
            "that it has no name is no proof any more"
        );
    }
}

#[test]
fn what_is_inside_can_be_read() {
    let it = TestStore::new();
    let reader = prepared(&it);
    for file in [
        "result.txt",
        "tool_calls/001_ssh_exec.txt",
        "deep/deeper/file",
        ".hidden",
        "...",
    ] {
        assert_eq!(reader.read_file(file, 0, 1000).unwrap().text, "inside");
    }
}

#[test]
fn a_device_is_not_opened_for_reading() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let device = writer.dir().join("device");
    let made = Command::new("mknod")
        .arg(&device)
        .args(["c", "1", "5"])
        .output();
    let is_device = fs::metadata(&device).is_ok_and(|it| it.file_type().is_char_device());
    if !is_device {
        assert!(!is_root() || made.is_err() || !device.exists());
        eprintln!("skipped: making a device needs root");
        return;
    }
    let text = reader.open_file("device").unwrap_err().to_string();
    // Where devices are turned off, the system says no before we do.
    let refused = text.contains("is not a plain file") || text.contains("cannot open");
    assert!(refused, "{text}");
}

#[test]
fn a_missing_file_is_answered_with_the_files_there_are() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let text = reader.open_file("metric.jsonl").unwrap_err().to_string();
    let expected = format!(
        "worker `{}` has no file `metric.jsonl`; its files: metadata.json, metrics.jsonl",
        writer.id()
    );
    assert_eq!(text, expected);
    for n in 1..100 {
        writer.save_tool_output(n, "x", "").unwrap();
    }
    let text = reader.open_file("nothing").unwrap_err().to_string();
    assert!(text.ends_with("tool_calls/018_x.txt and 81 more"), "{text}");
}

#[test]
fn names_that_are_no_text_are_left_out_and_do_no_harm() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    if fs::write(writer.dir().join(name), "").is_err() {
        eprintln!("skipped: this filesystem takes text only");
        return;
    }
    assert_eq!(reader.files().unwrap(), ["metadata.json", "metrics.jsonl"]);
}

#[test]
fn a_directory_held_open_stays_the_one_that_was_asked_for() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    writer.write_result("inside").unwrap();
    let moved = it.temp.path().join("moved");
    fs::rename(reader.path(), &moved).unwrap();
    symlink("/etc", reader.path()).unwrap();
    assert_eq!(
        reader.read_file("result.txt", 0, 100).unwrap().text,
        "inside"
    );
    assert!(Path::new("/etc/passwd").exists());
    reader.open_file("passwd").unwrap_err();
}
