//! The end of `triscope work`: by itself, by signals, by force.

use artifact_store::ArtifactStore;
use rustix::process::Signal;
use supervisor_tools::{JobBook, NewJob};

use super::{UNTIL_GO, n_began, row, spawn, work};
use crate::{
    cli::{Place, metadata},
    support::eventually,
};

/// The book, as another process has it open.
fn book(place: &Place) -> JobBook {
    let store = ArtifactStore::open(place.data_dir()).unwrap();
    JobBook::of_store(&store).unwrap()
}

#[test]
fn a_signal_lets_what_runs_go_on_and_takes_no_more() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let place = Place::new();
        let work = work(&place, &["--concurrency", "1", "--grace", "10m"]);
        spawn(&place, &[UNTIL_GO]);
        spawn(&place, &["calculate 7*6"]);
        eventually("the running job", || place.has("began"));
        work.signal(signal);
        let book = book(&place);
        eventually("the end of the taking", || {
            book.takers(None).unwrap().is_empty().then_some(())
        });
        place.go();
        let finished = work.finish().expect(code);
        assert_eq!(
            finished.stderr,
            "note: no more jobs are taken; a second signal cancels those that run\n"
        );
        assert_eq!(row(&place, "1")["status"], "success");
        assert_eq!(row(&place, "2")["status"], "queued");
    }
}

#[test]
fn after_the_grace_or_a_second_signal_workers_are_cancelled() {
    for (grace, signals) in [
        ("10m", &[Signal::TERM, Signal::INT][..]),
        ("1ms", &[Signal::TERM]),
    ] {
        let place = Place::new();
        let work = work(&place, &["--grace", grace]);
        spawn(&place, &[UNTIL_GO]);
        eventually("the running job", || place.has("began"));
        for signal in signals {
            work.signal(*signal);
        }
        let finished = work.finish();
        assert!(matches!(finished.code, 130 | 143), "{finished:?}");
        assert_eq!(row(&place, "1")["status"], "cancelled");
    }
}

#[test]
fn a_job_with_attempts_left_goes_back_into_the_queue() {
    let place = Place::new();
    let first = work(&place, &["--grace", "1ms"]);
    spawn(&place, &["--max-attempts", "2", UNTIL_GO]);
    eventually("the running job", || place.has("began"));
    first.signal(Signal::TERM);
    let finished = first.finish().expect(143);
    assert!(
        finished.stdout.ends_with("job 1: back in the queue\n"),
        "{finished:?}"
    );
    let queued = row(&place, "1");
    assert_eq!(
        (&queued["status"], &queued["worker_id"]),
        (&"queued".into(), &serde_json::Value::Null)
    );
    place.go();
    work(&place, &["--drain"]).finish().expect(0);
    assert_eq!(n_began(&place), 2);
    let last = row(&place, "1");
    assert_eq!(last["status"], "success");
    assert_eq!(metadata(&place.dir_of(&last))["attempt"], 2);
}

#[test]
fn the_death_of_a_process_is_noticed_by_the_others() {
    let place = Place::new();
    let other = work(&place, &["--owner", "somebody else"]);
    let mut dying = work(&place, &[]);
    spawn(&place, &[UNTIL_GO]);
    spawn(&place, &["--max-attempts", "2", UNTIL_GO]);
    eventually("the running jobs", || (n_began(&place) == 2).then_some(()));
    assert!(dying.is_running());
    dying.signal(Signal::KILL);
    dying.finish();
    // Nobody asks for them: whoever takes jobs sees to it, whosever they are.
    let book = book(&place);
    let status = |id: u64| {
        let job = book.get(id.try_into().unwrap(), None).unwrap().unwrap();
        (job.status.to_string(), job.error)
    };
    eventually("the end of the first job", || {
        (status(1) == ("failed".to_owned(), Some("worker process died".to_owned()))).then_some(())
    });
    eventually("the second attempt", || {
        (status(2) == ("queued".to_owned(), None)).then_some(())
    });
    place.go();
    let _one_more = work(&place, &[]);
    place.run(&["wait", "2"]).expect(0);
    assert_eq!(n_began(&place), 3);
    drop(other);
}

#[test]
fn what_a_dead_process_had_only_queued_is_taken_by_others() {
    let place = Place::new();
    // Its own process was to run the second one.
    let store = ArtifactStore::open(place.data_dir()).unwrap();
    let book = JobBook::of_store(&store).unwrap();
    let gone = "0b5c9a52-1f4e-4d3a-9a3e-6f1f9d6f3b11".into();
    let job = NewJob::new("local", "calculate 7*6");
    book.add(&job, &gone, store.clock().timestamp()).unwrap();
    drop((book, store));
    work(&place, &["--drain"]).finish().expect(0);
    assert_eq!(row(&place, "1")["status"], "success");
}

#[test]
fn a_reader_that_goes_away_ends_it_without_harm() {
    let place = Place::new();
    spawn(&place, &["calculate 7*6"]);
    spawn(&place, &["calculate 1+1"]);
    let mut command = place.command(&["work", "--concurrency", "1"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = command.stdout(writer).status().unwrap();
    assert_eq!(ended.code(), Some(0));
    let statuses = ["1", "2"].map(|it| row(&place, it)["status"].clone());
    for status in statuses {
        assert!(
            matches!(status.as_str(), Some("queued" | "success")),
            "{status}"
        );
    }
}
