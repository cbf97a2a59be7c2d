//! Files and directories that cannot be read, or not now: named, passed over, and in nobody's way.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tempfile::TempDir;

use crate::support::{
    Background, Finished, as_nobody, finish, program_path, require, sh, skip_test, triscope,
};

const SEED: &str = include_str!("../../samples/seed-metrics.jsonl");

/// A folder with a data directory `data`, in which there is one good worker.
fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    worker(dir.path(), "good");
    dir
}

fn worker(folder: &Path, name: &str) {
    let dir = folder.join("data").join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("metrics.jsonl"), SEED).unwrap();
}

/// Called in `folder`. Ended by the test where it waits for something.
#[track_caller]
fn ask(folder: &Path, arguments: &[&str]) -> Finished {
    Background::start(triscope(arguments).current_dir(folder)).finish()
}

fn calls(answer: &str) -> u64 {
    let rows: Vec<serde_json::Value> = serde_json::from_str(answer).unwrap();
    rows.iter().map(|it| it["count"].as_u64().unwrap()).sum()
}

#[test]
fn what_is_no_worker_is_named_and_passed_over() {
    let place = place();
    let data = place.path().join("data");
    sh(&data, "mkdir fifo folder/metrics.jsonl -p; mkfifo fifo/metrics.jsonl a-fifo good/fifo; mkdir empty").answer();
    symlink("loop", data.join("loop")).unwrap();
    symlink("..", data.join("up")).unwrap();
    worker(place.path(), "looping");
    fs::remove_file(data.join("looping/metrics.jsonl")).unwrap();
    symlink("metrics.jsonl", data.join("looping/metrics.jsonl")).unwrap();
    for command in ["report", "slow", "failures", "histogram"] {
        let good = ask(place.path(), &[command, "data/good"]).answer();
        // Their names as they were given, and also where that is not the whole path.
        let ended = ask(place.path(), &[command, "data"]).expect(0);
        assert_eq!(ended.stdout, good, "{command}");
        assert_eq!(
            ended.stderr.lines().collect::<Vec<_>>(),
            [
                "not used: 6 files or directories",
                "  data/empty: it has no metrics.jsonl",
                "  data/fifo: it is not a plain file",
                "  data/folder: it is not a plain file",
                "  data/loop: a symbolic link, not followed",
                "  data/looping: Too many levels of symbolic links (os error 40)",
                "  data/up: a symbolic link, not followed",
            ],
            "{command}"
        );
    }
    for name in ["data/fifo", "data/loop", "data/looping", "data/empty/none"] {
        let ended = ask(place.path(), &["timeline", name]).expect(1);
        assert!(ended.stderr.contains(&format!("  {name}: ")), "{ended:?}");
    }
}

#[test]
fn metadata_that_cannot_be_read_is_named_where_it_is_asked_for() {
    let place = place();
    let data = place.path().join("data");
    for name in ["fifo", "link", "torn", "without"] {
        worker(place.path(), name);
    }
    fs::write(
        data.join("good/metadata.json"),
        r#"{"owner":"ann","status":"success"}"#,
    )
    .unwrap();
    fs::write(
        data.join("torn/metadata.json"),
        r#"{"owner":"ann","status":"succ"#,
    )
    .unwrap();
    sh(&data, "mkfifo fifo/metadata.json").answer();
    symlink("../good/metadata.json", data.join("link/metadata.json")).unwrap();
    let report = ["report", "--by", "worker", "--format", "json", "data"];
    assert_eq!(calls(&ask(place.path(), &report).answer()), 15);
    // Calls may be missing from these, and so it is said.
    for asks in [&["--owner", "ann"][..], &["--where", "status = 'success'"]] {
        let ended = ask(place.path(), &[&report[..], asks].concat()).expect(0);
        assert_eq!(calls(&ended.stdout), 3);
        let said: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(said[0], "not used: 3 files or directories");
        assert_eq!(said[1], "  data/fifo/metadata.json: it is not a plain file");
        assert!(
            said[2].starts_with("  data/link/metadata.json: "),
            "{said:?}"
        );
        assert!(
            said[3].starts_with("  data/torn/metadata.json: EOF while parsing"),
            "{said:?}"
        );
    }
    // The same by the name of the file, which lies beside it.
    for name in ["fifo", "torn"] {
        let path = format!("data/{name}/metrics.jsonl");
        let arguments = ["report", "--by", "owner", "--format", "json", &path];
        let ended = ask(place.path(), &arguments).expect(0);
        assert_eq!(calls(&ended.stdout), 3);
        assert!(
            ended
                .stderr
                .contains(&format!("  data/{name}/metadata.json: ")),
            "{ended:?}"
        );
    }
}

#[test]
fn what_may_not_be_read_is_named() {
    require!("setpriv");
    if !rustix::process::geteuid().is_root() {
        skip_test!("only root can become another user");
    }
    let place = place();
    for name in ["closed", "secret"] {
        worker(place.path(), name);
    }
    let set_mode = |path: &str, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(place.path().join(path), mode).unwrap();
    };
    set_mode("", 0o755);
    set_mode("data/closed", 0o000);
    set_mode("data/secret/metrics.jsonl", 0o600);
    // The program's own folder may be closed to others. Copied by another process: a child of another test could hold the copy
    // open for writing if it was made here, and then it cannot be started.
    let copy = Command::new("cp")
        .arg(program_path())
        .arg(place.path().join("triscope"))
        .status();
    assert!(copy.unwrap().success());
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(place.path().join("triscope"));
        command.args(arguments).current_dir(place.path());
        finish(&mut as_nobody(&command))
    };
    let report = ["report", "--by", "event", "--format", "json"];
    for way in [&["data"][..], &["--data-dir", "data"]] {
        let ended = ask(&[&report[..], way].concat()).expect(0);
        assert_eq!(calls(&ended.stdout), 3);
        assert_eq!(
            ended.stderr,
            "not used: 2 files or directories\n  data/closed: Permission denied (os error 13)\n  \
             data/secret: Permission denied (os error 13)\n"
        );
    }
    for name in ["data/closed", "data/secret", "data/secret/metrics.jsonl"] {
        let ended = ask(&[&report[..], &[name, "data/good"]].concat()).expect(1);
        assert_eq!(calls(&ended.stdout), 3);
        assert!(
            ended
                .stderr
                .contains(&format!("  {name}: Permission denied")),
            "{ended:?}"
        );
    }
    set_mode("data", 0o000);
    let ended = ask(&[&report[..], &["--data-dir", "data"]].concat()).expect(3);
    assert_eq!(
        (&*ended.stdout, &*ended.stderr),
        (
            "",
            "error: cannot read the data directory `data`: Permission denied (os error 13)\n"
        )
    );
    ask(&[&report[..], &["data"]].concat()).expect(1);
}

#[test]
fn workers_that_come_and_go_meanwhile_are_read_as_a_whole_or_not_at_all() {
    let place = place();
    let data = place.path().join("data");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0_u64.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let name = format!("w{n}");
                worker(place.path(), ".new");
                fs::rename(data.join(".new"), data.join(&name)).unwrap();
                fs::rename(data.join(&name), data.join(".old")).unwrap();
                fs::remove_dir_all(data.join(".old")).unwrap();
            }
        });
        for _ in 0..20 {
            let arguments = ["report", "--by", "worker", "--format", "json", "data"];
            let ended = finish(triscope(arguments).current_dir(place.path()));
            let is_good = ended.code == 0 && ended.stderr.is_empty();
            let rows: Vec<serde_json::Value> =
                serde_json::from_str(&ended.stdout).unwrap_or_default();
            let are_whole = rows.iter().all(|it| it["count"] == 3);
            let has_good = rows.iter().any(|it| it["worker"] == "good");
            // Nothing may panic while the other thread still goes on.
            if !(is_good && are_whole && has_good) {
                is_over.store(true, Ordering::Relaxed);
                panic!("{ended:?}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn packed_files_that_are_damaged_give_what_is_whole_and_are_named() {
    require!("gzip");
    let place = place();
    sh(place.path(), "gzip -c data/good/metrics.jsonl > whole.gz; head -c 150 whole.gz > cut.gz; \
        (cat whole.gz; printf nonsense) > more.gz; printf '\\037\\213nonsense' > none.gz; printf '\\050\\265\\057\\375nonsense' > none.zst").answer();
    let ask = |name: &str| {
        let arguments = [
            "report", "--by", "event", "--format", "json", "whole.gz", name,
        ];
        finish(triscope(arguments).current_dir(place.path())).expect(0)
    };
    for name in ["cut.gz", "none.gz", "none.zst"] {
        let ended = ask(name);
        assert!(calls(&ended.stdout) < 6, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains(&format!("not used: 1 file or directory\n  {name}: ")),
            "{ended:?}"
        );
    }
    let ended = ask("more.gz");
    assert_eq!(calls(&ended.stdout), 6, "{ended:?}");
    assert!(ended.stderr.contains("  more.gz: "), "{ended:?}");
}
