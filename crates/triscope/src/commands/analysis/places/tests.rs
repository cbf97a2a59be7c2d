//! Whatever happens to a store, the workers that are not read have no wanted call and no fault.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use artifact_store::{ArtifactStore, Ended, NewWorker, Status, WorkerWriter};
use metrics_analysis::{Filter, Groups, Input, Key, Seen, scan};
use metrics_core::{CallTime, Event, Timestamp, ToolCall};
use proptest::{collection::vec, prelude::*, sample::Index as Pick};

use super::Places;

/// One thing that happens to a store. Times are in hours, in no relation to any clock.
#[derive(Debug, Clone)]
enum Step {
    Create(&'static str),
    Record(Pick, i64),
    End(Pick, Status),
    /// Says that it ended, and no more.
    Say(Pick, Status),
    LetGo(Pick),
    AppendCall(Pick, i64),
    Append(Pick, &'static str),
    Edit(Pick, &'static str, &'static str),
    RemoveFile(Pick, &'static str),
    Remove(Pick),
    Foreign(i64),
    Odd,
    SpoilIndex,
    RemoveIndex,
    Ask(Question),
}

#[derive(Debug, Clone)]
struct Question {
    /// What has just been changed is not believed before that.
    when_ticks_have_passed: bool,
    since: Option<i64>,
    until: Option<i64>,
    owners: Vec<&'static str>,
    statuses: Vec<Status>,
    worker: Option<Pick>,
}

fn any_step() -> impl Strategy<Value = Step> {
    let owner = prop::sample::select(vec!["local", "ann", "it's \"bob\""]);
    let last = prop::sample::select(vec![
        Status::Success,
        Status::Failed,
        Status::Timeout,
        Status::Cancelled,
    ]);
    let edit = prop::sample::select(vec![
        ("\"success\"", "\"failed\""),
        ("\"local\"", "\"ann\""),
        ("\"events\": 1", "\"events\": 2"),
        ("{", ""),
    ]);
    let text = prop::sample::select(vec!["nonsense\n", "\n", "{\"event\":\"to", "\u{feff}"]);
    let file = prop::sample::select(vec!["metrics.jsonl", "metadata.json"]);
    let pick = any::<Pick>;
    let hour = -3..4_i64;
    let question = (
        prop::bool::weighted(0.6),
        prop::option::weighted(0.7, hour.clone()),
        prop::option::weighted(0.3, hour.clone()),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(owner.clone(), 1..3)],
        prop_oneof![3 => Just(Vec::new()), 1 => vec(last.clone(), 1..3)],
        prop::option::weighted(0.1, pick()),
    )
        .prop_map(
            |(when_ticks_have_passed, since, until, owners, statuses, worker)| Question {
                when_ticks_have_passed,
                since,
                until,
                owners,
                statuses,
                worker,
            },
        );
    prop_oneof![
        6 => owner.prop_map(Step::Create),
        8 => (pick(), hour.clone()).prop_map(|(it, hour)| Step::Record(it, hour)),
        6 => (pick(), last.clone()).prop_map(|(it, status)| Step::End(it, status)),
        1 => (pick(), last).prop_map(|(it, status)| Step::Say(it, status)),
        1 => pick().prop_map(Step::LetGo),
        1 => (pick(), hour.clone()).prop_map(|(it, hour)| Step::AppendCall(it, hour)),
        1 => (pick(), text).prop_map(|(it, text)| Step::Append(it, text)),
        2 => (pick(), edit).prop_map(|(it, (from, to))| Step::Edit(it, from, to)),
        1 => (pick(), file).prop_map(|(it, file)| Step::RemoveFile(it, file)),
        1 => pick().prop_map(Step::Remove),
        1 => hour.prop_map(Step::Foreign),
        1 => Just(Step::Odd),
        1 => Just(Step::SpoilIndex),
        1 => Just(Step::RemoveIndex),
        8 => question.prop_map(Step::Ask),
    ]
}

fn at(hour: i64) -> Timestamp {
    let noon: Timestamp = "2025-12-15T12:00:00.000000Z".parse().unwrap();
    noon.plus_micros(hour * 3_600_000_000)
}

fn call(hour: i64) -> Event<'static> {
    ToolCall::new("ssh_exec", CallTime::new(at(hour), Duration::ZERO)).into()
}

fn append(path: &Path, text: &str) {
    // Whatever is in the way, there is then nothing to append to.
    if let Ok(mut file) = fs::File::options().append(true).open(path) {
        file.write_all(text.as_bytes()).unwrap();
    }
}

/// A store to which things happen.
struct Ward {
    store: ArtifactStore,
    /// Those that were made, and whoever writes them.
    workers: Vec<(PathBuf, Option<WorkerWriter>)>,
    n_odd: usize,
    dir: tempfile::TempDir,
}

impl Ward {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            store: ArtifactStore::open(dir.path()).unwrap(),
            workers: Vec::new(),
            n_odd: 0,
            dir,
        }
    }

    /// One of the workers, with its writer unless that is gone.
    fn worker(&mut self, pick: Pick) -> Option<&mut (PathBuf, Option<WorkerWriter>)> {
        let workers = &mut self.workers;
        (!workers.is_empty()).then(|| {
            let at = pick.index(workers.len());
            &mut workers[at]
        })
    }

    fn writer(&mut self, pick: Pick) -> Option<&WorkerWriter> {
        self.worker(pick)?.1.as_ref()
    }

    fn file(&mut self, pick: Pick, name: &str) -> PathBuf {
        let worker = self.worker(pick).map(|it| it.0.join(name));
        worker.unwrap_or_default()
    }

    /// Carries out anything but a question.
    fn carry_out(&mut self, step: &Step) {
        let index = self.store.own_dir().join("index.sqlite");
        match step {
            Step::Create(owner) => {
                let new = NewWorker {
                    owner: (*owner).to_owned(),
                    ..NewWorker::new("task")
                };
                let worker = self.store.create_worker(new).unwrap();
                worker.start(at(0)).unwrap();
                self.workers.push((worker.dir().to_owned(), Some(worker)));
            }
            Step::Record(pick, hour) => {
                if let Some(worker) = self.writer(*pick) {
                    worker.sink().record(&worker.id(), &call(*hour));
                    let flush = worker.sink().flush(&worker.id());
                    let _ = flush.wait(Duration::from_secs(30)); // It may have ended.
                }
            }
            Step::End(pick, status) => {
                if let Some(worker) = self.writer(*pick) {
                    let ended = Ended {
                        status: *status,
                        result: "",
                        error: None,
                        duration: Duration::ZERO,
                    };
                    let _ = worker.finish(&ended);
                }
            }
            Step::Say(pick, status) => {
                if let Some(worker) = self.writer(*pick) {
                    let _ = worker.update(|it| it.status = *status);
                }
            }
            Step::LetGo(pick) => {
                if let Some(worker) = self.worker(*pick) {
                    worker.1 = None;
                }
            }
            Step::AppendCall(pick, hour) => {
                let line = call(*hour).to_line();
                append(&self.file(*pick, "metrics.jsonl"), &format!("{line}\n"));
            }
            Step::Append(pick, text) => append(&self.file(*pick, "metrics.jsonl"), text),
            Step::Edit(pick, from, to) => {
                let path = self.file(*pick, "metadata.json");
                if let Ok(json) = fs::read_to_string(&path) {
                    fs::write(&path, json.replace(from, to)).unwrap();
                }
            }
            // Nobody waits for a writer that could not write any more.
            Step::RemoveFile(pick, name) => {
                self.carry_out(&Step::LetGo(*pick));
                let _ = fs::remove_file(self.file(*pick, name));
            }
            Step::Remove(pick) => {
                self.carry_out(&Step::LetGo(*pick));
                let _ = fs::remove_dir_all(self.file(*pick, ""));
            }
            Step::Foreign(hour) => {
                self.n_odd += 1;
                let dir = self.dir.path().join(format!("foreign-{}", self.n_odd));
                fs::create_dir(&dir).unwrap();
                fs::write(dir.join("metrics.jsonl"), call(*hour).to_line()).unwrap();
            }
            Step::Odd => {
                self.n_odd += 1;
                let link = self.dir.path().join(format!("link-{}", self.n_odd));
                symlink("nowhere", link).unwrap();
                let name = [&[0xff], self.n_odd.to_string().as_bytes()].concat();
                fs::create_dir(self.dir.path().join(OsStr::from_bytes(&name))).unwrap();
            }
            Step::SpoilIndex => append(&index, "garbage"),
            Step::RemoveIndex => {
                let _ = fs::remove_file(index);
            }
            Step::Ask(_) => {}
        }
    }

    /// Asks about all workers, and twice about those that the index leaves, as the first who asks makes the index. Gives how
    /// many files were not read then.
    fn ask(&mut self, question: &Question) -> u64 {
        let name_of = |it: &PathBuf| it.file_name().unwrap().to_str().unwrap().to_owned();
        let worker = question.worker;
        let worker = worker.and_then(|pick| self.worker(pick).map(|it| name_of(&it.0)));
        let filter = Filter {
            since: question.since.map(at),
            until: question.until.map(at),
            owners: question.owners.iter().map(ToString::to_string).collect(),
            statuses: question.statuses.iter().map(ToString::to_string).collect(),
            workers: worker.into_iter().collect(),
            ..Filter::default()
        };
        let groups = || Groups::by(&[Key::Worker, Key::Hour]);
        let inputs = vec![Input::Path(self.dir.path().to_owned())];
        if question.when_ticks_have_passed {
            thread::sleep(Duration::from_millis(25));
        }
        let all = scan(&inputs, &filter, groups);
        let (n_files, all) = (all.1.files, said(all));
        let mut n_left_out = 0;
        for _ in 0..2 {
            let some = Places::new(inputs.clone()).scan(&filter, groups);
            n_left_out = n_files - some.1.files;
            assert_eq!(said(some), all, "{filter:?}");
        }
        n_left_out
    }
}

type Said = (
    Vec<(Vec<Option<String>>, u64)>,
    [u64; 5],
    Vec<metrics_analysis::Problem>,
);

/// What an answer says to a user.
fn said((groups, seen): (Groups, Seen)) -> Said {
    let groups = groups.into_groups().into_iter();
    let mut groups: Vec<_> = groups.map(|it| (it.values, it.stats.count())).collect();
    groups.sort_unstable();
    let counts = [
        seen.matching,
        seen.others,
        seen.unusable,
        seen.unreadable,
        seen.missing,
    ];
    (groups, counts, seen.problems)
}

#[test]
fn what_is_not_read_would_have_changed_no_answer() {
    let n_left_out = AtomicUsize::new(0);
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in vec(any_step(), 1..60))| {
        let mut ward = Ward::new();
        for step in &steps {
            if let Step::Ask(question) = step {
                let left_out = ward.ask(question);
                n_left_out.fetch_add(usize::try_from(left_out).unwrap(), Ordering::Relaxed);
            }
            ward.carry_out(step);
        }
    });
    let n_left_out = n_left_out.into_inner();
    assert!(n_left_out > 100, "only {n_left_out} files were not read");
}
