//! `prune`: removes old workers, tells what it frees, and can tell beforehand.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Place, metadata};

fn name(dir: &Path) -> &str {
    dir.file_name().unwrap().to_str().unwrap()
}

/// Makes a worker look as if it had been made long ago.
fn made_at(dir: &Path, created_at: &str) {
    let mut metadata = metadata(dir);
    metadata["created_at"] = json!(created_at);
    fs::write(dir.join("metadata.json"), metadata.to_string()).unwrap();
}

#[test]
fn a_dry_run_tells_what_prune_then_removes() {
    let place = Place::new();
    let dirs = ["say one", "say two", "say three"].map(|it| place.worker(it));
    let would = place.run(&["prune", "--keep", "1", "--dry-run"]).answer();
    assert!(dirs.iter().all(|it| it.exists()));
    let did = place.run(&["prune", "--keep", "1"]).answer();
    let there: Vec<_> = dirs.iter().map(|it| it.exists()).collect();
    assert_eq!(there, [false, false, true]);
    let [would, did] = [would, did].map(|it| {
        let lines = it.lines().map(ToOwned::to_owned);
        lines.collect::<Vec<_>>()
    });
    assert_eq!(would[..2], did[..2]);
    for (line, dir) in did[..2].iter().zip(&dirs) {
        assert!(line.starts_with(name(dir)), "{did:?}");
    }
    let freed = did[2].strip_prefix("Removed 2 workers and freed ").unwrap();
    assert!(freed.ends_with("B; 1 left."), "{did:?}");
    assert_eq!(would[2], format!("Would remove 2 workers and free {freed}"));
    assert_eq!(place.rows().len(), 1);
    // The jobs stay in the book.
    let result = place.run(&["result", "1"]).expect(1);
    assert!(result.stderr.contains("was removed"), "{result:?}");
    assert!(place.run(&["result", "3"]).answer().ends_with("\nthree\n"));
}

#[test]
fn an_object_for_programs_says_the_same() {
    let place = Place::new();
    let old = place.worker("say old");
    place.worker("say new");
    made_at(&old, "2025-01-02T03:04:05.000006Z");
    let pruned = place
        .run(&["prune", "--older-than", "30d", "--json"])
        .json();
    let bytes = pruned["bytes"].as_u64().unwrap();
    assert!(bytes > 0);
    assert_eq!(
        pruned,
        json!({
            "dry_run": false,
            "removed": [{
                "worker_id": name(&old),
                "created_at": "2025-01-02T03:04:05.000006Z",
                "bytes": bytes,
            }],
            "bytes": bytes,
            "kept": 1,
        })
    );
    assert!(!old.exists());
    let nothing = place
        .run(&["prune", "--older-than", "30d", "--json"])
        .json();
    assert_eq!(nothing["removed"], json!([]));
}

#[test]
fn what_takes_too_much_room_goes() {
    let place = Place::new();
    let (large, small) = (place.worker("say large"), place.worker("say small"));
    fs::write(large.join("result.txt"), vec![b'x'; 3_000_000]).unwrap();
    let pruned =
        |size: &str| -> Value { place.run(&["prune", "--max-bytes", size, "--json"]).json() };
    assert_eq!(pruned("4MB")["kept"], 2);
    let after = pruned("2MiB");
    assert!(after["bytes"].as_u64().unwrap() >= 3_000_000, "{after}");
    assert!(!large.exists() && small.exists());
}

#[test]
fn one_that_runs_and_another_owners_stay() {
    let place = Place::new();
    let other = place.run(&["run", "say hello", "--owner", "other", "--json"]);
    let other = place.dir_of(&other.json());
    let running = place.worker_until_go();
    let pruned = place
        .run(&["prune", "--keep", "0", "--owner", "local", "--json"])
        .json();
    assert_eq!(
        (&pruned["removed"], &pruned["kept"]),
        (&json!([]), &json!(1))
    );
    place.run(&["prune", "--keep", "0"]).answer();
    assert!(!other.exists());
    assert_eq!(place.rows()[0]["status"], "running");
    place.go();
    running.finish().expect(0);
}

#[test]
fn without_a_bound_nothing_is_removed() {
    let place = Place::new();
    let dir = place.worker("say hello");
    let finished = place.run(&["prune"]).expect(2);
    for option in ["--older-than", "--keep", "--max-bytes"] {
        assert!(finished.stderr.contains(option), "{finished:?}");
    }
    assert!(dir.exists());
}

#[test]
fn what_is_no_worker_is_named_on_stderr_and_stays() {
    let place = Place::new();
    place.worker("say hello");
    let notes = place.data_dir().join("notes");
    fs::create_dir(&notes).unwrap();
    let finished = place.run(&["prune", "--keep", "0"]).expect(0);
    assert!(
        finished
            .stderr
            .starts_with("warning: worker `notes` has no file"),
        "{finished:?}"
    );
    assert!(
        finished.stdout.contains("Removed 1 worker and freed "),
        "{finished:?}"
    );
    assert!(notes.exists());
}
