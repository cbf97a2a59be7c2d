//! Who is taken for dead: by lock, boot and host, whatever metadata says.

use std::{fs, fs::File};

use serde_json::{Value, json};

use super::{
    death::{Dead, NO_RUN},
    support::{TestStore, hostile_strings, mkfifo, open},
};
use crate::{
    Liveness,
    liveness::{Machine, Pulses},
    run::run_dir,
};

#[test]
fn host_and_boot_come_before_the_lock() {
    let it = TestStore::new();
    let (host, boot) = (json!("another-host"), json!("another-boot"));
    let machine = Machine::this();
    let (ours, our_boot) = (json!(machine.host), json!(machine.boot_id));
    let null = Value::Null;
    for (host, boot, expected) in [
        (&ours, &our_boot, Liveness::Dead),
        (&host, &our_boot, Liveness::Dead), // Another container: the lock decides.
        (&null, &our_boot, Liveness::Dead),
        (&ours, &boot, Liveness::Dead),
        (&host, &boot, Liveness::Unknown),
        (&null, &boot, Liveness::Unknown),
        (&host, &null, Liveness::Unknown),
        (&null, &null, Liveness::Unknown),
    ] {
        let dead = Dead::plain(&it);
        dead.edit(|it| {
            it["host"] = host.clone();
            it["boot_id"] = boot.clone();
        });
        let worker = it.store.worker(&dead.id).unwrap();
        let metadata = worker.metadata_as_written().unwrap();
        let liveness = it.store.liveness(&metadata);
        assert_eq!(liveness, expected, "{host} {boot}");
        let is_marked = dead.metadata(&it.store).status.is_final();
        assert_eq!(is_marked, expected == Liveness::Dead, "{host} {boot}");
        if is_marked {
            let marked = dead.metadata(&it.store);
            assert_eq!(it.store.liveness(&marked), Liveness::Ended);
        }
    }
}

#[test]
fn a_system_that_does_not_tell_its_boots_goes_by_host_and_lock() {
    let it = TestStore::new();
    let mut metadata = it.worker("task").metadata();
    metadata.boot_id = None;
    let mut machine = Machine::this();
    machine.boot_id = None;
    assert_eq!(machine.verdict(&metadata), None);
    metadata.host = Some("another-host".to_owned());
    assert_eq!(machine.verdict(&metadata), Some(Liveness::Unknown));
    (machine.host, metadata.host) = (None, None);
    assert_eq!(machine.verdict(&metadata), Some(Liveness::Unknown));
}

#[test]
fn only_a_run_of_our_making_becomes_a_file_name() {
    let it = TestStore::new();
    // All of these would be found free if they were opened.
    let run_dir = run_dir(it.temp.path());
    let upper = NO_RUN.to_uppercase();
    let simple = NO_RUN.replace('-', "");
    for name in ["x", ".", &upper, &simple, "..", &format!("{{{NO_RUN}}}")] {
        File::create(run_dir.join(format!("{name}.lock"))).unwrap();
    }
    File::create(it.temp.path().join("x.lock")).unwrap();
    let absolute = it.temp.path().join("x").display().to_string();
    let mut runs = hostile_strings();
    runs.extend(["x", "../../x", "", ".", "..", &absolute].map(str::to_owned));
    runs.extend([
        upper,
        simple,
        format!("{{{NO_RUN}}}"),
        format!("urn:uuid:{NO_RUN}"),
    ]);
    for run in runs {
        assert_eq!(it.store.run_liveness(&run), Liveness::Unknown, "{run:?}");
    }
    assert_eq!(it.store.run_liveness(NO_RUN), Liveness::Dead);

    let dead = Dead::plain(&it);
    dead.edit(|it| it["run"] = json!("../../x"));
    assert!(!dead.metadata(&it.store).status.is_final());
    dead.edit(|it| it["run"] = Value::Null);
    assert!(!dead.metadata(&it.store).status.is_final());
}

#[test]
fn a_lock_that_is_no_plain_file_says_nothing() {
    let it = TestStore::new();
    let path = run_dir(it.temp.path()).join(format!("{NO_RUN}.lock"));
    let asked = || it.store.run_liveness(NO_RUN);
    mkfifo(&path);
    assert_eq!(asked(), Liveness::Unknown);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    assert_eq!(asked(), Liveness::Unknown);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(asked(), Liveness::Unknown);
    fs::remove_dir(&path).unwrap();
    File::create(&path).unwrap();
    assert_eq!(asked(), Liveness::Dead);
}

#[test]
fn a_list_asks_each_lock_once() {
    let it = TestStore::new();
    let run_dir = run_dir(it.temp.path());
    let mut pulses = Pulses::default();
    assert_eq!(pulses.liveness(&run_dir, NO_RUN), Liveness::Dead);
    mkfifo(run_dir.join(format!("{NO_RUN}.lock")));
    assert_eq!(pulses.liveness(&run_dir, NO_RUN), Liveness::Dead);
    let mut fresh = Pulses::default();
    assert_eq!(fresh.liveness(&run_dir, NO_RUN), Liveness::Unknown);
}

#[test]
fn workers_of_this_process_are_alive_whichever_store_made_them() {
    let it = TestStore::new();
    let other = open(it.temp.path(), &it.clock);
    let worker = it.worker("task");
    let metadata = worker.metadata();
    assert_eq!(other.liveness(&metadata), Liveness::Alive);
    // As a copy of the directory would say it, on this machine or another one.
    let mut elsewhere = metadata.clone();
    elsewhere.boot_id = Some("another-boot".to_owned());
    assert_eq!(other.liveness(&elsewhere), Liveness::Alive);

    let TestStore { store, temp, .. } = it;
    drop(store);
    assert_eq!(other.liveness(&metadata), Liveness::Alive);
    drop(worker);
    assert_eq!(other.liveness(&metadata), Liveness::Dead);
    drop(temp);
}
