//! What is read, and what is refused.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tempfile::TempDir;
use worker_runner::{Tool, ToolError};

use super::{ReadFile, ReadFileOptions, read};

/// A directory `root` with some files, beside a `secret.txt`.
fn outside() -> TempDir {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    fs::create_dir_all(root.join("logs/deep")).unwrap();
    fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    fs::write(root.join("notes.txt"), "notes\n").unwrap();
    fs::write(root.join("logs/deep/today.txt"), "today").unwrap();
    fs::write(root.join("...txt"), "dots").unwrap();
    outside
}

async fn call(outside: &TempDir, path: &str) -> Result<String, ToolError> {
    let tool = ReadFile::new(outside.path().join("root"));
    tool.call(json!({"path": path})).await
}

#[tokio::test]
async fn files_below_the_root_are_read() {
    let outside = outside();
    for (path, expected) in [
        ("notes.txt", "notes\n"),
        ("./notes.txt", "notes\n"),
        ("logs//deep/./today.txt", "today"),
        ("...txt", "dots"),
    ] {
        assert_eq!(call(&outside, path).await.unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn no_path_leaves_the_root() {
    let outside = outside();
    let root = outside.path().join("root");
    symlink("../secret.txt", root.join("link.txt")).unwrap();
    symlink("notes.txt", root.join("inner-link.txt")).unwrap();
    symlink("..", root.join("up")).unwrap();
    let absolute = outside.path().join("secret.txt");
    for path in [
        "../secret.txt",
        "logs/../../secret.txt",
        "logs/..",
        "..",
        absolute.to_str().unwrap(),
        "/etc/passwd",
        "//etc/passwd",
        "link.txt",
        "inner-link.txt",
        "up/secret.txt",
        "up/root/notes.txt",
        "",
        ".",
        "./",
        "a\0b",
    ] {
        let err = call(&outside, path).await.unwrap_err();
        assert!(matches!(err, ToolError::BadArguments(_)), "{path}: {err}");
    }
}

#[tokio::test]
async fn only_regular_files_are_opened() {
    let outside = outside();
    let root = outside.path().join("root");
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, root.join("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    for (path, expected) in [
        ("pipe", "`pipe` is a FIFO"),
        ("pipe/x", "`pipe/x` is a FIFO"),
        ("socket", "`socket` is a socket"),
        ("logs", "`logs` is a directory"),
    ] {
        let err = call(&outside, path).await.unwrap_err().to_string();
        assert!(
            err.starts_with(&format!("bad arguments: {expected}; ")),
            "{err}"
        );
    }
    let devices = ReadFile::new("/dev");
    let err = devices
        .call(json!({"path": "null"}))
        .await
        .unwrap_err()
        .to_string();
    assert!(err.contains("is a device"), "{err}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let outside = outside();
    let long = "x".repeat(1 << 20);
    for (path, expected) in [
        ("absent.txt", "`absent.txt` does not exist"),
        ("absent/notes.txt", "`absent/notes.txt` does not exist"),
        (
            "notes.txt/x",
            "`notes.txt/x` does not exist: a part of it is not a directory",
        ),
    ] {
        let err = call(&outside, path).await.unwrap_err();
        assert_eq!(err, ToolError::Failed(expected.to_owned()));
    }
    let err = call(&outside, &long).await.unwrap_err();
    assert!(
        matches!(&err, ToolError::Failed(text) if text.len() < 400),
        "{err}"
    );
}

#[tokio::test]
async fn a_root_that_is_not_there_is_a_matter_of_configuration() {
    let tool = ReadFile::new("/nonexistent");
    let err = tool.call(json!({"path": "notes.txt"})).await.unwrap_err();
    assert!(matches!(err, ToolError::Configuration(_)), "{err}");
}

#[tokio::test]
async fn a_long_file_is_cut_at_a_character_and_says_so() {
    let outside = outside();
    let root = outside.path().join("root");
    fs::write(root.join("long.txt"), "ab€cd").unwrap();
    let tool = ReadFile::with_options(&root, ReadFileOptions { max_bytes: 4 });
    assert_eq!(
        tool.call(json!({"path": "long.txt"})).await.unwrap(),
        "ab\n[cut: the first 2 of 7 bytes; go on with offset=2]"
    );
    fs::write(root.join("exact.txt"), "abcd").unwrap();
    assert_eq!(
        tool.call(json!({"path": "exact.txt"})).await.unwrap(),
        "abcd"
    );
    fs::write(root.join("binary"), b"a\xff\0b").unwrap();
    assert_eq!(
        tool.call(json!({"path": "binary"})).await.unwrap(),
        "a\u{fffd}\0b"
    );
}

proptest! {
    #[test]
    fn any_path_is_read_or_refused(path in r"(\.|/|[a-z]|\.\.|\PC){0,12}") {
        let outside = outside();
        let root = outside.path().join("root");
        if let Ok(text) = read(&root, &path, 0, 100) {
            prop_assert_ne!(text, "secret");
        }
    }
}

#[tokio::test]
async fn a_long_file_is_read_piece_by_piece() {
    let root = tempfile::tempdir().unwrap();
    let whole = "aé€b€c".repeat(5);
    fs::write(root.path().join("long.txt"), &whole).unwrap();
    let tool = ReadFile::with_options(root.path(), ReadFileOptions { max_bytes: 4 });
    let (mut offset, mut read) = (0, String::new());
    loop {
        let arguments = json!({"path": "long.txt", "offset": offset});
        let text = tool.call(arguments).await.unwrap();
        let Some((piece, note)) = text.split_once("\n[cut: ") else {
            read.push_str(&text);
            break;
        };
        read.push_str(piece);
        let (_, next) = note.trim_end_matches(']').rsplit_once("offset=").unwrap();
        offset = next.parse().unwrap();
        assert_eq!(offset, read.len());
    }
    assert_eq!(read, whole);
    for offset in [json!(whole.len()), json!(u64::MAX), json!(-1), json!(1.5)] {
        let arguments = json!({"path": "long.txt", "offset": offset});
        tool.call(arguments).await.unwrap_err();
    }
}
