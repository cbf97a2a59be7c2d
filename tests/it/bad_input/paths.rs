//! Ways out of a worker's directory: none of them leads anywhere.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    path::Path,
};

use serde_json::json;

use crate::{
    cli::{Place, answered},
    support::{Lab, finish, sh, triscope},
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
    symlink("link.txt", dir.join("chain.txt")).unwrap();
    symlink("links", dir.join("links of links")).unwrap();
    symlink("loop two", dir.join("loop one")).unwrap();
    symlink("loop one", dir.join("loop two")).unwrap();
    symlink("/proc/self/environ", dir.join("environ")).unwrap();
    symlink(".", dir.join("here")).unwrap();
    symlink("..", dir.join("up")).unwrap();
    fs::create_dir(dir.join("folder")).unwrap();
    symlink(&secret, dir.join("folder/link.txt")).unwrap();
    fs::hard_link(other.join("thread.jsonl"), dir.join("their thread.jsonl")).unwrap();
    fs::hard_link(&secret, dir.join("hard.txt")).unwrap();
    sh(&dir, "mkfifo fifo").answer();
    let socket = UnixListener::bind(dir.join("socket")).unwrap();
    (place, socket)
}

#[expect(clippy::too_many_lines, reason = "one long list")]
fn ways_out(place: &Place) -> Vec<String> {
    let neighbour = place.rows()[0]["worker_id"].as_str().unwrap().to_owned();
    let absolute = place.folder().join("secret.txt");
    let deep = "../".repeat(400);
    let long = "x".repeat(5000);
    let inside = place.dir_of(&place.rows()[1]).join("result.txt");
    let inside = inside.to_str().unwrap();
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
        // Dots and slashes.
        "./result.txt",
        ".//result.txt",
        "result.txt/",
        "result.txt//",
        "result.txt/.",
        "result.txt/..",
        "folder/",
        "folder/.",
        "folder/..",
        "folder//link.txt",
        "folder/../result.txt",
        "folder/../../../secret.txt",
        "folder/./link.txt",
        "folder/link.txt",
        "...",
        ".../secret.txt",
        "../",
        "..//..//secret.txt",
        "/../secret.txt",
        "///",
        inside,
        // Links.
        "chain.txt",
        "links of links/key",
        "loop one",
        "loop one/result.txt",
        "environ",
        "here/result.txt",
        "up/.triscope/jobs.sqlite",
        "their thread.jsonl",
        "links/../../secret.txt",
        // What lies beside the workers, and beside files.
        "../.triscope/jobs.sqlite",
        ".triscope/jobs.sqlite",
        "../.triscope/triscope.log",
        "../../workers/.triscope/jobs.sqlite",
        &format!("../{neighbour}/metadata.json"),
        &format!("{neighbour}/result.txt"),
        // The system's own names.
        "/proc/self/root/etc/passwd",
        "/proc/self/fd/0",
        "/proc/self/cwd/secret.txt",
        "/dev/fd/0",
        "/dev/zero",
        "/dev/tty",
        "proc/self/environ",
        // Other ways to write the same.
        "%2e%2e%2fsecret.txt",
        "%252e%252e%252fsecret.txt",
        "..%c0%af..%c0%afsecret.txt",
        "..;/secret.txt",
        "．．/secret.txt",
        "\u{2025}/secret.txt",
        "..\u{2215}..\u{2215}secret.txt",
        "\u{202e}txt.terces",
        "result.txt\u{200b}",
        "RESULT.TXT",
        "Metadata.json",
        "result.txt\n",
        "\nresult.txt",
        "result.txt\\",
        "result.txt ",
        "result.txt?x",
        "result.txt#x",
        "result.txt:stream",
        "file:result.txt",
        "C:\\secret.txt",
        "\\\\?\\secret.txt",
        "~root/secret.txt",
        "$HOME/secret.txt",
        "*.txt",
        "{result,secret}.txt",
        "$(cat secret.txt)",
        "-",
        "--",
    ]
    .map(str::to_owned)
    .into()
}

#[test]
fn no_path_leads_out_of_the_workers_directory() {
    let (place, _socket) = place_with_traps();
    let ways = ways_out(&place);
    assert!(ways.len() >= 100, "{}", ways.len());
    for path in ways {
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

/// What a command line cannot hold, through the tool, and what is no text, through the program.
#[tokio::test]
async fn no_nul_and_no_stray_byte_leads_out_either() {
    let lab = Lab::new();
    let job = lab.run_job("say hello").await;
    let dir = lab.worker_dir(&lab.metadata(job).await.worker_id);
    fs::write(lab.data_dir().join("secret.txt"), SECRET).unwrap();
    for path in [
        "\0",
        "result.txt\0",
        "result.txt\0.jpg",
        "../secret.txt\0",
        "..\0/secret.txt",
        "a\0b/result.txt",
    ] {
        let arguments = json!({"job_id": job, "file_path": path});
        let answer = lab.tools().call("read_worker_file", &arguments).await;
        assert!(
            answer.starts_with("Error: ") && !answer.contains('\0'),
            "{answer:?}"
        );
        assert!(!answer.contains(SECRET));
    }
    let name = OsStr::from_bytes(b"\xff\xfe.txt");
    fs::write(dir.join(name), SECRET).unwrap();
    let mut command = triscope(["file", "1"]);
    let finished = finish(command.arg(name).arg("--data-dir").arg(lab.data_dir()));
    assert_eq!((answered(finished).expect(2).stdout.as_str(), ""), ("", ""));
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
