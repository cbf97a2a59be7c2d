//! Only the owner reads what workers leave, whatever the umask.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::support::{LONG, assert_passed, child, child_argument, event};
use crate::{ArtifactStore, NewWorker, Status};

#[test]
fn files_and_directories_are_private_whatever_the_umask() {
    // The umask belongs to the whole process, so a process of its own tries each.
    let Some(umask) = child_argument() else {
        for umask in ["000", "022", "077"] {
            let name = "tests::modes::files_and_directories_are_private_whatever_the_umask";
            assert_passed(&child(name, umask).output().unwrap());
        }
        return;
    };
    let umask = u32::from_str_radix(&umask, 8).unwrap();
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(umask));
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path().join("made/with/parents");
    let store = ArtifactStore::open(&data_dir).unwrap();
    let worker = store.create_worker(NewWorker::new("task")).unwrap();
    fs::write(worker.dir().join("metrics.jsonl"), "torn").unwrap();
    worker.sink().record(&worker.id(), &event("ssh_exec"));
    assert_eq!(worker.finish_metrics(LONG).0.lost, 0);
    worker.write_result("secret").unwrap();
    worker.append_message(&"secret").unwrap();
    worker.save_tool_output(1, "ssh_exec", "secret").unwrap();
    worker.update(|it| it.status = Status::Success).unwrap();

    let paths = below(&temp.path().join("made"));
    assert_eq!(paths.len(), 15, "{paths:?}");
    for path in paths {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = metadata.permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{}: {mode:o}", path.display());
    }
}

fn below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            all.extend(below(&entry.unwrap().path()));
        }
    }
    all
}
