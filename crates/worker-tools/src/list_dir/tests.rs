//! What is listed, and what is refused.

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
};

use serde_json::json;
use tempfile::TempDir;
use worker_runner::{Tool, ToolError};

use super::{ListDir, ListDirOptions};

/// A directory `root`, beside one called `secret`.
fn outside() -> TempDir {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    fs::create_dir_all(root.join("logs/deep")).unwrap();
    fs::create_dir(root.join("none")).unwrap();
    fs::create_dir(outside.path().join("secret")).unwrap();
    fs::write(outside.path().join("secret/secret.txt"), "").unwrap();
    fs::write(root.join("notes.txt"), "notes\n").unwrap();
    fs::write(root.join(".hidden"), "").unwrap();
    fs::write(root.join("logs/b.log"), vec![0; 12_345]).unwrap();
    fs::write(root.join("logs/a\nb\u{1b}.log"), "").unwrap();
    fs::write(
        root.join("logs")
            .join(std::ffi::OsStr::from_bytes(b"\xff.log")),
        "",
    )
    .unwrap();
    symlink("../secret", root.join("link")).unwrap();
    outside
}

async fn call(outside: &TempDir, path: &str) -> Result<String, ToolError> {
    let tool = ListDir::new(outside.path().join("root"));
    tool.call(json!({"path": path})).await
}

#[tokio::test]
async fn entries_are_listed_by_name_with_kind_and_size() {
    let outside = outside();
    let root = "file              0  .hidden\n\
                link              -  link\n\
                dir               -  logs/\n\
                dir               -  none/\n\
                file              6  notes.txt";
    assert_eq!(call(&outside, ".").await.unwrap(), root);
    let tool = ListDir::new(outside.path().join("root"));
    assert_eq!(tool.call(json!({})).await.unwrap(), root);
    assert_eq!(
        call(&outside, "logs/").await.unwrap(),
        "file              0  a\\nb\\u{1b}.log\n\
         file          12345  b.log\n\
         dir               -  deep/\n\
         file              0  \u{fffd}.log"
    );
    assert_eq!(call(&outside, "none").await.unwrap(), "(empty)");
}

#[tokio::test]
async fn no_path_leaves_the_root() {
    let outside = outside();
    let absolute = outside.path().join("secret");
    for path in [
        "..",
        "../secret",
        "logs/../../secret",
        absolute.to_str().unwrap(),
        "/",
        "link",
        "link/",
        "logs\0",
        "",
    ] {
        let err = call(&outside, path).await.unwrap_err();
        assert!(matches!(err, ToolError::BadArguments(_)), "{path}: {err}");
    }
    for path in ["nowhere", "notes.txt", "notes.txt/x"] {
        let err = call(&outside, path).await.unwrap_err();
        assert!(matches!(err, ToolError::Failed(_)), "{path}: {err}");
        assert!(err.to_string().contains(path), "{path}: {err}");
    }
    let err = ListDir::new("/nonexistent")
        .call(json!({}))
        .await
        .unwrap_err();
    assert!(matches!(err, ToolError::Configuration(_)), "{err}");
}

#[tokio::test]
async fn of_a_large_directory_the_first_names_are_listed() {
    let root = tempfile::tempdir().unwrap();
    for n in 0..30 {
        fs::write(root.path().join(format!("{n:02}")), "").unwrap();
    }
    let tool = ListDir::with_options(root.path(), ListDirOptions { max_entries: 2 });
    assert_eq!(
        tool.call(json!({})).await.unwrap(),
        "file              0  00\nfile              0  01\n[cut: the first 2 of 30 entries]"
    );
}
