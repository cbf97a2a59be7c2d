//! Something mounted inside a worker's directory is not the worker's.

use std::{fs, path::Path, process::Command};

use super::support::{TestStore, assert_passed, child, child_argument};
use crate::ArtifactStore;

#[test]
fn a_file_or_directory_mounted_inside_is_refused() {
    const NAME: &str = "tests::mounts::a_file_or_directory_mounted_inside_is_refused";
    if let Some(data_dir) = child_argument() {
        let store = ArtifactStore::open(Path::new(&data_dir)).unwrap();
        let list = store.list(&crate::WorkerFilter::default()).unwrap();
        let reader = store.worker(&list.workers[0].worker_id).unwrap();
        for file in ["mounted/secret", "mounted_file"] {
            let text = reader.open_file(file).unwrap_err().to_string();
            assert!(text.contains("is on another filesystem"), "{text}");
        }
        assert_eq!(reader.read_file("result.txt", 0, 9).unwrap().text, "inside");
        return;
    }
    let it = TestStore::new();
    let (writer, _) = it.pair();
    writer.write_result("inside").unwrap();
    let outside = it.temp.path().join(".outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    fs::create_dir(writer.dir().join("mounted")).unwrap();
    fs::write(writer.dir().join("mounted_file"), "").unwrap();

    // A mount of the same filesystem, in a namespace of its own, so that it is gone with its process.
    let script = r#"mount --bind "$1" "$2/mounted" && mount --bind "$1/secret" "$2/mounted_file" || exit 99
        shift 2; exec "$@""#;
    let test = child(NAME, it.temp.path());
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([&*outside, writer.dir()])
        .arg(test.get_program())
        .args(test.get_args());
    for (key, value) in test.get_envs() {
        command.env(key, value.unwrap());
    }
    match command.output() {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
            assert_passed(&output);
        }
        _ => eprintln!("skipped: mounting needs root on Linux"),
    }
}
