//! Ways out of a worker's directory: none of them leads anywhere.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use crate::{
    cli::{Place, answered},
    support::sh,
};

const SECRET: &str = "TOP-SECRET-1234";

/// A worker with every kind of trap in its directory, a secret beside it and one in another worker's.
fn place_with_traps() -> (Place, UnixListener) {
    let place = Place::new();
    let dir = place.worker("say hello");
    let other = place.worker("say to another");
    fs::write(other.join("result.txt"), SECRET).unwrap();
    let secret = place.folder().join("secret.txt");
    fs::write(&secret, SECRET).unwrap();
    fs::create_dir(place.folder().join("secrets")).unwrap();
    fs::write(place.folder().join("secrets/key"), SECRET).unwrap();

    symlink(&secret, dir.join("link.txt")).unwrap();
    symlink("../../secret.txt", dir.join("relative.txt")).unwrap();
    symlink(place.folder().join("secrets"), dir.join("links")).unwrap();
    symlink(&other, dir.join("neighbour")).unwrap();
    symlink("loop", dir.join("loop")).unwrap();
    symlink("/dev/null", dir.join("device")).unwrap();
    fs::hard_link(&secret, dir.join("hard.txt")).unwrap();
    sh(&dir, "mkfifo fifo").answer();
    let socket = UnixListener::bind(dir.join("socket")).unwrap();
    (place, socket)
}

fn ways_out(place: &Place) -> Vec<String> {
    let neighbour = place.rows()[0]["worker_id"].as_str().unwrap().to_owned();
    let absolute = place.folder().join("secret.txt");
    let deep = "../".repeat(400);
    let long = "x".repeat(5000);
    [
        "../secret.txt",
        "../../secret.txt",
        "../../../../../../../../etc/passwd",
        "tool_calls/../../../secret.txt",
        "./../../secret.txt",
        "result.txt/../../../secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        absolute.to_str().unwrap(),
        &format!("../{neighbour}/result.txt"),
        &format!("{deep}etc/passwd"),
        &long,
        "link.txt",
        "relative.txt",
        "links/key",
        "neighbour/result.txt",
        "loop",
        "hard.txt",
        "fifo",
        "socket",
        "device",
        "/proc/self/environ",
        "/dev/stdin",
        "..",
        ".",
        "",
        "/",
        "tool_calls",
        "~/secret.txt",
        "..\\..\\secret.txt",
        "%2e%2e/%2e%2e/secret.txt",
        "..%2f..%2fsecret.txt",
        "....//....//secret.txt",
        "file:///etc/passwd",
    ]
    .map(str::to_owned)
    .into()
}

#[test]
fn no_path_leads_out_of_the_workers_directory() {
    let (place, _socket) = place_with_traps();
    for path in ways_out(&place) {
        for form in [&[][..], &["--raw"][..], &["--json"][..]] {
            let finished = place.run(&[&["file"], form, &["--", "1", &path]].concat());
            let finished = answered(finished).expect(1);
            assert_eq!(finished.stdout, "", "{path:.80}");
            assert!(finished.stderr.starts_with("Error: "), "{finished:?}");
            assert!(
                finished.stderr.contains("use the relative path of a file")
                    || finished.stderr.contains("its files: "),
                "{finished:?}"
            );
            assert!(finished.stderr.len() < 8000 && !finished.stderr.contains(SECRET));
        }
    }
    // What is inside can still be read.
    let inside = place.run(&["file", "1", "result.txt", "--raw"]);
    assert_eq!(inside.answer(), "hello");
}

#[test]
fn searching_does_not_follow_links_out_of_the_workers_directory() {
    let (place, _socket) = place_with_traps();
    let found = place.run(&["grep", SECRET, "--json"]).expect(0);
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let found = found.as_array().unwrap();
    assert!(!found.is_empty(), "the neighbour's own result is found");
    for it in found {
        assert_eq!(
            (&it["job_id"], &it["file"]),
            (&2.into(), &"result.txt".into()),
            "{it}"
        );
    }
}

#[test]
fn a_worker_that_is_a_link_out_of_the_data_directory_is_none() {
    let place = Place::new();
    let dir = place.worker("say hello");
    let elsewhere = place.folder().join("elsewhere");
    fs::rename(&dir, &elsewhere).unwrap();
    symlink(&elsewhere, &dir).unwrap();
    let worker = Path::new(dir.file_name().unwrap()).to_str().unwrap();
    for job in ["1", worker] {
        for command in ["result", "file", "meta"] {
            let finished = answered(place.run(&[command, job])).expect(1);
            assert_eq!(finished.stdout, "");
            assert!(finished.stderr.starts_with("Error: "), "{finished:?}");
        }
    }
    let list = answered(place.run(&["workers", "--json"])).expect(0);
    assert!(!list.stdout.contains("hello"), "{list:?}");
}
