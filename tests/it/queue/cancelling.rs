//! A cancel reaches a job wherever it is.

use super::{UNTIL_GO, n_began, row, spawn, work};
use crate::{cli::Place, support::eventually};

#[test]
fn a_cancel_reaches_a_worker_in_another_process() {
    let place = Place::new();
    let _work = work(&place, &[]);
    spawn(&place, &["--max-attempts", "5", UNTIL_GO]);
    eventually("the running job", || place.has("began"));
    let cancelled = place.run(&["cancel", "1"]).answer();
    assert_eq!(
        cancelled,
        "Job 1 is being cancelled. Call read_worker_result for what there is of its result.\n"
    );
    let waited = place.run(&["wait", "1"]).expect(1).stdout;
    assert!(waited.contains("\nStatus: cancelled\n"), "{waited}");
    let again = place.run(&["cancel", "1"]).expect(1).stderr;
    assert!(again.contains("job 1 has ended already"), "{again}");
    assert_eq!(n_began(&place), 1);
}

#[test]
fn a_cancel_reaches_a_worker_that_its_own_process_runs() {
    let place = Place::new();
    let run = place.worker_until_go();
    place.run(&["cancel", "1"]).answer();
    let finished = run.finish().expect(1);
    assert!(
        finished.stdout.contains("\nStatus: cancelled\n"),
        "{finished:?}"
    );
}

#[test]
fn a_queued_job_that_is_cancelled_never_starts() {
    let place = Place::new();
    spawn(&place, &[UNTIL_GO]);
    spawn(&place, &["calculate 7*6"]);
    let cancelled = place.run(&["cancel", "1"]).answer();
    assert_eq!(cancelled, "Job 1 was cancelled before it started.\n");
    work(&place, &["--drain"]).finish().expect(0);
    assert_eq!(n_began(&place), 0);
    assert_eq!(row(&place, "1")["status"], "cancelled");
    assert_eq!(row(&place, "2")["status"], "success");
    place.run(&["wait", "1"]).expect(1);
}

#[test]
fn a_job_of_another_owner_is_not_there_to_be_cancelled_or_waited_for() {
    let place = Place::new();
    spawn(&place, &["--owner", "ann", "calculate 7*6"]);
    let unknown = "Error: job 1 not found. Use list_workers to see job ids.\n";
    for command in ["cancel", "wait"] {
        let refused = place.run(&[command, "1", "--owner", "bob"]).expect(1);
        assert_eq!(refused.stderr, unknown);
    }
    assert_eq!(row(&place, "1")["status"], "queued");
}
