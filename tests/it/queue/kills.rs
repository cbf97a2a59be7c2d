//! Processes that take jobs, killed at any moment: no job is lost, none runs twice at once.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use artifact_store::{ArtifactStore, DEFAULT_OWNER};
use rustix::process::Signal;
use supervisor_tools::{JobBook, JobFilter, JobStatus, NewJob};

use crate::{
    cli::Place,
    support::{Background, program_path},
};

const KILLS: u64 = 100;
const TAKERS: usize = 3;

fn taker(place: &Place, arguments: &[&str]) -> Background {
    let program = program_path().with_file_name("taker");
    let mut command = Command::new(program);
    command
        .arg(place.data_dir())
        .arg(place.folder())
        .args(arguments);
    Background::start(&mut command)
}

/// What the jobs noted, in the order of the file.
fn notes(folder: &Path) -> Vec<(String, u64)> {
    let notes = std::fs::read_to_string(folder.join("notes")).unwrap();
    let notes = notes.lines().map(|line| {
        let (what, job) = line.split_once(' ').unwrap();
        (what.to_owned(), job.parse().unwrap())
    });
    notes.collect()
}

#[test]
fn kills_at_any_moment_lose_no_job_and_run_none_twice_at_once() {
    let place = Place::new();
    let store = ArtifactStore::open(place.data_dir()).unwrap();
    let book = JobBook::of_store(&store).unwrap();
    let add = |n: u64| {
        let job = NewJob {
            // Every other one may be begun again.
            max_attempts: if n.is_multiple_of(2) { 1000 } else { 1 },
            ..NewJob::new(DEFAULT_OWNER, n.to_string())
        };
        let id = book.add_shared(&job, &store.run_id().into(), store.clock().timestamp());
        assert_eq!(id.unwrap().get(), n);
    };
    let mut jobs = 1..;
    jobs.by_ref().take(20).for_each(add);
    let random = RandomState::new();
    let mut takers: Vec<_> = (0..TAKERS).map(|_| taker(&place, &[])).collect();
    for n in 0..KILLS {
        jobs.by_ref().take(5).for_each(add);
        let number = random.hash_one(n);
        // From before it has opened the store to the middle of its jobs: that is the moment, not a wait for anything.
        thread::sleep(Duration::from_micros(number % 60_000));
        let dying = usize::try_from(number >> 32).unwrap() % takers.len();
        takers[dying].signal(Signal::KILL);
        takers[dying] = taker(&place, &[]);
    }
    drop(takers);
    taker(&place, &["--drain"]).finish().expect(0);

    let mut begun: BTreeMap<u64, u32> = BTreeMap::new();
    let mut ended: BTreeMap<u64, u32> = BTreeMap::new();
    for (what, job) in notes(place.folder()) {
        match &*what {
            "begin" => *begun.entry(job).or_default() += 1,
            "end" => *ended.entry(job).or_default() += 1,
            other => panic!("{other} {job}"),
        }
    }
    let all = book.list(&JobFilter::default()).unwrap();
    assert_eq!(Some(all.len() as u64 + 1), jobs.next());
    let mut n_died = 0;
    for job in all {
        let (begun, ended) = (begun.get(&job.id.get()), ended.get(&job.id.get()));
        let (begun, ended) = (begun.copied().unwrap_or(0), ended.copied().unwrap_or(0));
        assert!(
            begun <= job.attempt && job.attempt <= job.max_attempts,
            "{begun}: {job:?}"
        );
        match job.status {
            JobStatus::Success => assert!(ended >= 1, "{job:?}"),
            JobStatus::Failed => {
                assert_eq!(job.error.as_deref(), Some("worker process died"), "{job:?}");
                assert_eq!((job.max_attempts, job.attempt), (1, 1), "{job:?}");
                n_died += 1;
            }
            other => panic!("{other}: {job:?}"),
        }
        n_died += job.attempt - 1;
    }
    assert!(n_died > 0, "no kill met a job");
}
