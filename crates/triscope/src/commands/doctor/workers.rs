//! The workers: what they recorded, what they lost, how they ended.

use std::time::Duration;

use artifact_store::{
    ArtifactStore, Liveness, METADATA_FORMAT, Metadata, Status, StoreError, WORKER_DIED,
};
use metrics_core::{DurationText, Timestamp};
use supervisor_tools::one_line;

use super::{
    facts::{Worker, Workers},
    finding::{Finding, count, or_ok},
};

/// A clock that is ahead by more is set wrong somewhere.
const AHEAD_MICROS: i64 = 24 * 3_600_000_000;

/// A look at all workers.
pub(super) type Check = fn(&Workers, Timestamp) -> Vec<Finding>;

/// In the order in which a person would ask.
pub(super) const CHECKS: [Check; 8] = [
    metadata,
    dead_workers,
    metrics_files,
    metrics_lines,
    events_lost,
    durations,
    clock,
    unfinished_files,
];

fn metadata(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "metadata";
    let mut problems = Vec::new();
    for problem in &workers.problems {
        let finding = Finding::warn(
            CHECK,
            one_line(&problem.to_string()),
            "its other files may be whole: look into the directory; nothing can be listed of it until metadata.json is mended",
        );
        problems.push(match problem {
            StoreError::Damaged { path, .. } | StoreError::Io { path, .. } => finding.at(path),
            _ => finding,
        });
    }
    let newer = |it: &&Worker| it.metadata.format > METADATA_FORMAT;
    for worker in workers.readable.iter().filter(newer) {
        let format = worker.metadata.format;
        let found = format!(
            "{} has format {format}, and this version knows {METADATA_FORMAT}",
            name(&worker.metadata)
        );
        let advice = "update triscope; until then what is new in it is not shown";
        problems.push(Finding::warn(CHECK, one_line(&found), advice).at(&worker.path));
    }
    let (n, newest) = (
        workers.readable.len(),
        if workers.are_more { "the newest " } else { "" },
    );
    or_ok(
        problems,
        CHECK,
        format!("{newest}{} read", count(n, "worker")),
    )
}

fn dead_workers(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    let died =
        |it: &Metadata| it.status == Status::Failed && it.error.as_deref() == Some(WORKER_DIED);
    let found = |it: &Metadata| {
        let seen = it.finished_at.map(|it| format!(", last seen alive {it}"));
        format!(
            "the process of {} died{}",
            name(it),
            seen.unwrap_or_default()
        )
    };
    let advice = "see what ended its process (the kernel's log tells of memory that ran out); spawn the task again";
    let mut problems = of_each(workers, "dead workers", advice, |it| {
        died(&it.metadata).then(|| found(&it.metadata))
    });
    let elsewhere =
        "look on the machine that it was made on; what was copied from there stays as it is";
    problems.extend(of_each(workers, "dead workers", elsewhere, |it| {
        let is_unknown = it.liveness == Liveness::Unknown;
        is_unknown.then(|| {
            let host = it
                .metadata
                .host
                .as_deref()
                .unwrap_or("a machine without a name");
            format!(
                "{} is {}, and was made on {host}: nothing here can tell whether it lives",
                name(&it.metadata),
                it.metadata.status
            )
        })
    }));
    let running = workers
        .readable
        .iter()
        .filter(|it| !it.metadata.status.is_final());
    or_ok(
        problems,
        "dead workers",
        format!("none; {} running", running.count()),
    )
}

fn metrics_files(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "metrics files";
    let missing = "it is made with the worker, so somebody took it away; for a program of your own, see that its calls \
                   are made inside a scope and that the worker's sink is flushed";
    let mut problems = of_each(workers, CHECK, missing, |worker| match &worker.metrics {
        Ok(_) => None,
        Err(StoreError::FileNotFound { .. }) => {
            Some(format!("{} has no metrics.jsonl", name(&worker.metadata)))
        }
        Err(error) => Some(format!("{}: {error}", name(&worker.metadata))),
    });
    let short =
        "somebody changed the file after the worker's end, or the disk lost what it had taken";
    problems.extend(of_each(workers, CHECK, short, |worker| {
        let metrics = worker.metrics.as_ref().ok()?;
        let metadata = &worker.metadata;
        let expected = metadata
            .events?
            .saturating_sub(metadata.events_lost.unwrap_or(0));
        (metadata.status.is_final() && metrics.events != expected).then(|| {
            format!(
                "{} has {} in metrics.jsonl, and its metadata says {expected}",
                name(metadata),
                count(metrics.events, "event"),
            )
        })
    }));
    let events = workers
        .readable
        .iter()
        .filter_map(|it| it.metrics.as_ref().ok());
    let events: u64 = events.map(|it| it.events).sum();
    or_ok(
        problems,
        CHECK,
        format!("each worker has one; {} in them", count(events, "event")),
    )
}

fn metrics_lines(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "metrics lines";
    let mut problems = Vec::new();
    for worker in &workers.readable {
        let Ok(metrics) = &worker.metrics else {
            continue;
        };
        let at = |found: String, advice| {
            let finding = Finding::warn(CHECK, one_line(&found), advice);
            finding.at(worker.metrics_path())
        };
        let name = name(&worker.metadata);
        let foreign = "readers pass over such a line: sums are those of the others; see who else writes into the file";
        for (number, fault) in &metrics.unusable {
            problems.push(at(format!("{name}, line {number}: {fault}"), foreign));
        }
        let more = metrics.n_unusable - metrics.unusable.len() as u64;
        if more > 0 {
            problems.push(at(format!("{name}: {more} more such lines"), foreign));
        }
        // The last line of a worker that runs may be one that is just being written.
        if metrics.is_torn && worker.metadata.status.is_final() {
            let advice = "its writer was killed, or the disk was full: one event is lost";
            problems.push(at(format!("{name}: the file ends within a line"), advice));
        }
        if worker.has_torn_tail {
            let advice = "nothing to do: half a line of a killed writer was moved there, and the file is whole again";
            let found = format!("{name} has a metrics.torn: one event is lost");
            problems.push(at(found, advice));
        }
    }
    or_ok(problems, CHECK, "all can be used")
}

fn events_lost(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "events lost";
    let advice = "the disk was full, slow or gone: see that it has room; the log has a line `events_lost` with the time";
    let problems = of_each(workers, CHECK, advice, |worker| {
        let lost = worker.metadata.events_lost.filter(|it| *it > 0)?;
        let all = worker.metadata.events.unwrap_or(lost);
        Some(format!(
            "{} lost {lost} of {}",
            name(&worker.metadata),
            count(all, "event")
        ))
    });
    or_ok(problems, CHECK, "none")
}

fn durations(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "durations";
    let advice = "start or end were not captured: run workers with WorkerRunner, or set duration_us in the metadata at their end";
    let problems = of_each(workers, CHECK, advice, |worker| {
        let it = &worker.metadata;
        let has_run = it.status.is_final() && it.started_at.is_some();
        let has_none = it.duration_ms.is_none() && it.duration_us.is_none();
        let nothing =
            it.duration_us == Some(0) || (it.duration_us.is_none() && it.duration_ms == Some(0));
        (has_run && (has_none || nothing)).then(|| format!("{} took no time at all", name(it)))
    });
    let is_fast = |it: &&Worker| it.metadata.duration_ms == Some(0);
    let fast = workers.readable.iter().filter(is_fast).count();
    let found = match fast {
        0 => "each ended worker has one".to_owned(),
        _ => format!(
            "each ended worker has one; {} took less than 1 ms, which duration_ms rounds to 0 and duration_us tells",
            count(fast, "worker")
        ),
    };
    or_ok(problems, CHECK, found)
}

fn clock(workers: &Workers, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "clock";
    let advice = "durations are right all the same, as they come from the monotonic clock; see that the machine's clock is kept right (NTP)";
    let problems = of_each(workers, CHECK, advice, |worker| {
        let it = &worker.metadata;
        let last = it.finished_at.or(it.started_at)?;
        (last < it.created_at).then(|| {
            format!(
                "the clock was set back while {} ran: made {}, ended {last}",
                name(it),
                it.created_at
            )
        })
    });
    let ahead = "made on a machine whose clock is ahead, or this one's is behind: lists are in the order of these times";
    let limit = now.plus_micros(AHEAD_MICROS);
    let from_the_future = of_each(workers, CHECK, ahead, |worker| {
        let it = &worker.metadata;
        let is_ahead = it.created_at > limit;
        is_ahead.then(|| format!("{} was made in the future, {}", name(it), it.created_at))
    });
    let problems = [problems, from_the_future].concat();
    or_ok(problems, CHECK, "no worker ended before it began")
}

fn unfinished_files(workers: &Workers, _: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "unfinished files";
    let advice = "a process was killed while it wrote: they can be deleted, the file they were to become is whole";
    let problems = of_each(workers, CHECK, advice, |worker| {
        // Of one that runs they come and go.
        let is_left = worker.metadata.status.is_final() && !worker.unfinished.is_empty();
        is_left.then(|| {
            format!(
                "{}: {}",
                name(&worker.metadata),
                worker.unfinished.join(", ")
            )
        })
    });
    or_ok(problems, CHECK, "none")
}

/// What processes that died left beside the workers.
pub(super) fn dead_runs(store: &ArtifactStore) -> Vec<Finding> {
    const CHECK: &str = "dead runs";
    let path = store.own_dir().join("run");
    let finding = match store.dead_runs() {
        Ok(runs) if runs.is_empty() => Finding::ok(CHECK, "no process left its lock file behind"),
        Ok(runs) => Finding::warn(
            CHECK,
            format!(
                "{} of processes that died: {}.lock",
                count(runs.len(), "lock file"),
                runs.join(".lock, ")
            ),
            "they are in nobody's way; `triscope prune` removes them",
        ),
        Err(error) => Finding::warn(CHECK, error.to_string(), "change its owner or mode"),
    };
    vec![finding.at(path)]
}

/// More about one worker.
pub(super) fn details(worker: &Worker) -> Vec<Finding> {
    let it = &worker.metadata;
    let duration = it.duration_us.map(Duration::from_micros);
    let duration = duration.map(|it| format!(", took {}", DurationText(it)));
    let mut found = format!(
        "{} of {}: {}, made {}{}",
        name(it),
        it.owner,
        it.status,
        it.created_at,
        duration.unwrap_or_default()
    );
    if let Some(error) = &it.error {
        found.push_str(": ");
        found.push_str(error);
    }
    let mut findings = vec![Finding::ok("worker", one_line(&found)).at(&worker.path)];
    if let Ok(metrics) = &worker.metrics {
        let found = format!(
            "{}, {}; {} failed",
            count(metrics.llm_calls, "LLM call"),
            count(metrics.tool_calls, "tool call"),
            metrics.failed
        );
        findings.push(Finding::ok("calls", found).at(worker.metrics_path()));
    }
    let found = one_line(&worker.files.join(", "));
    findings.push(Finding::ok("files", found).at(&worker.path));
    findings
}

/// A warning for each worker that `problem` has something to say of.
fn of_each(
    workers: &Workers,
    check: &'static str,
    advice: &str,
    problem: impl Fn(&Worker) -> Option<String>,
) -> Vec<Finding> {
    let found = workers.readable.iter().filter_map(|worker| {
        let found = one_line(&problem(worker)?);
        Some(Finding::warn(check, found, advice).at(&worker.path))
    });
    found.collect()
}

fn name(metadata: &Metadata) -> String {
    match metadata.job_id {
        Some(job) => format!("{} (job {job})", metadata.worker_id),
        None => metadata.worker_id.to_string(),
    }
}
