//! A data directory that cannot be used is an error at once, and says what to do.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
};

use super::support::{assert_passed, child, child_argument, is_root};
use crate::{ArtifactStore, DATA_DIR_VARIABLE, IfMissing, StoreError, StoreOptions, data_dir};

/// The problem with `path`, which the text names.
fn options(if_missing: IfMissing) -> StoreOptions {
    StoreOptions {
        if_missing,
        ..StoreOptions::default()
    }
}

fn problem(path: &Path, if_missing: IfMissing) -> String {
    let error = ArtifactStore::open_with(path, options(if_missing)).unwrap_err();
    let text = error.to_string();
    let begin = format!("data directory `{}` ", path.display());
    assert!(matches!(error, StoreError::DataDir { .. }), "{text}");
    text.strip_prefix(&begin).expect(&text).to_owned()
}

#[test]
fn what_is_no_directory_is_refused_in_words() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let link = temp.path().join("link");
    symlink("nowhere", &link).unwrap();
    let missing = temp.path().join("missing");

    let text = problem(&file, IfMissing::Create);
    assert_eq!(text, "is a file; name a directory instead");
    let text = problem(&link, IfMissing::Create);
    assert_eq!(
        text,
        "is a symbolic link to nowhere; remove it or make its target"
    );
    let text = problem(&missing, IfMissing::Refuse);
    assert_eq!(
        text,
        "does not exist; check the path, or run a worker there first"
    );
    for path in [file.join("below"), link.join("below"), "a\0b".into()] {
        let text = problem(&path, IfMissing::Create);
        assert!(text.starts_with("cannot be "), "{text}");
    }
    assert!(!missing.exists() && !temp.path().join("nowhere").exists());
}

#[test]
fn a_missing_directory_is_made_and_a_link_to_one_is_followed() {
    let temp = tempfile::tempdir().unwrap();
    let missing = temp.path().join("a/b");
    let store = ArtifactStore::open(&missing).unwrap();
    assert_eq!(store.data_dir(), missing);
    assert!(store.own_dir().join("run").is_dir());
    let link = temp.path().join("link");
    symlink("a/b", &link).unwrap();
    ArtifactStore::open_with(&link, options(IfMissing::Refuse)).unwrap();
}

#[test]
fn something_else_in_the_place_of_our_own_directory_is_said() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join(".triscope"), "").unwrap();
    let text = problem(temp.path(), IfMissing::Create);
    assert!(text.contains(".triscope/run"), "{text}");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    const NAME: &str = "tests::data_dir::a_directory_that_cannot_be_written_is_refused";
    const NOBODY: u32 = 65_534;
    if let Some(path) = child_argument() {
        let text = problem(Path::new(&path), IfMissing::Create);
        let advice = "cannot be written; change its owner or mode, or name another one";
        assert_eq!(text, advice);
        let text = problem(&Path::new(&path).join("below"), IfMissing::Create);
        assert!(text.starts_with("cannot be created: "), "{text}");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("dir");
    fs::create_dir(&dir).unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(temp.path(), 0o755);
    mode(&dir, 0o555);
    let mut child = child(NAME, &dir);
    if is_root() {
        child.uid(NOBODY).gid(NOBODY); // Modes do not bind root.
    }
    match child.output() {
        Ok(output) => assert_passed(&output),
        Err(error) => eprintln!("skipped: cannot run as another user: {error}"),
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn a_directory_that_is_gone_later_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(temp.path()).unwrap();
    fs::remove_dir_all(temp.path()).unwrap();
    let error = store.list(&crate::WorkerFilter::default()).unwrap_err();
    let expected = format!("data directory `{}` is gone", temp.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_named_directory_comes_before_the_environment_and_that_before_the_defaults() {
    const NAME: &str = "tests::data_dir::a_named_directory_comes_before_the_environment_and_that_before_the_defaults";
    let explicit = Path::new("explicit");
    let Some(case) = child_argument() else {
        assert_eq!(data_dir(Some(explicit)).unwrap(), explicit);
        for (case, variable) in [("named", "/from/environment"), ("default", "")] {
            let mut child = child(NAME, case);
            child
                .env(DATA_DIR_VARIABLE, variable)
                .env("HOME", "/home/x")
                .env_remove("XDG_DATA_HOME");
            assert_passed(&child.output().unwrap());
        }
        return;
    };
    assert_eq!(data_dir(Some(explicit)).unwrap(), explicit);
    let found = data_dir(None).unwrap();
    if case == "named" {
        assert_eq!(found, PathBuf::from("/from/environment"));
    } else if found != Path::new("/data/swarmlet/workers") {
        assert!(found.starts_with("/home/x"), "{}", found.display());
        assert!(found.ends_with("triscope/workers"));
    }
}
