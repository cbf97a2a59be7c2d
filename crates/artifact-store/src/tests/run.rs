//! The lock that says that a process lives.

use std::{
    fs::{self, File},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};

use super::support::{TestStore, assert_passed, child, child_argument, open};
use crate::{Liveness, Status, WorkerFilter};

#[test]
fn a_runs_lock_is_held_as_long_as_any_of_its_workers_lives() {
    const NAME: &str = "tests::run::a_runs_lock_is_held_as_long_as_any_of_its_workers_lives";
    if let Some(path) = child_argument() {
        // A process never stands in its own way, so another one must try.
        let lock = File::options().write(true).open(path).unwrap();
        let answer = fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive);
        assert!(matches!(answer, Err(Errno::AGAIN | Errno::ACCESS)));
        return;
    }
    let it = TestStore::new();
    let assert_held = |path: &Path| assert_passed(&child(NAME, path).output().unwrap());
    let run = format!("{}.lock", it.store.run_id());
    let path = it.store.own_dir().join("run").join(run);
    assert_held(&path);
    let run_dir = path.parent().unwrap();
    assert_eq!(fs::read_dir(run_dir).unwrap().count(), 1);
    let worker = it.worker("task");
    let TestStore { temp, store, clock } = it;
    // Other stores of this process look at its worker and go; closing the lock's file once would be enough to lose it.
    for _ in 0..3 {
        let other = open(temp.path(), &clock);
        let list = other.list(&WorkerFilter::default()).unwrap();
        assert_eq!(list.workers[0].status, Status::Created);
        assert_eq!(other.run_liveness(store.run_id()), Liveness::Alive);
    }
    assert_held(&path);
    drop(store);
    assert_held(&path);
    drop(worker);
    assert!(!path.exists());
    drop(temp);
}

#[test]
fn two_stores_of_a_process_are_two_runs() {
    let it = TestStore::new();
    let other = open(it.temp.path(), &it.clock);
    assert_ne!(it.store.run_id(), other.run_id());
}
