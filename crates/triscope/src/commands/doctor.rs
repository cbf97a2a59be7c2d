//! `triscope doctor`: looks at everything that may be wrong, says what it found and what to do, and changes nothing.
//!
//! The program's other commands are not asked for help: they make a log, and mend a job book.

mod book;
mod facts;
mod finding;
mod log;
mod place;
mod workers;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use artifact_store::{ArtifactStore, StoreError};
use supervisor_tools::{JobRef, one_line};

use self::{
    facts::Workers,
    finding::{Finding, Level, report},
};
use crate::{
    cli::{Common, Doctor},
    exit::Exit,
    output,
};

pub(crate) fn doctor(common: &Common, arguments: &Doctor) -> Exit {
    let rust_log = std::env::var_os("RUST_LOG").map(|it| it.to_string_lossy().into_owned());
    let rust_log = rust_log.as_deref();
    let (store, place) = place::open(common.data_dir.as_deref());
    let mut findings = vec![place];
    let mut exit = None;
    if let Some(store) = &store {
        tell_deaths(store, common);
        let looked = match &arguments.worker {
            None => all_of(store, &log_path(store, common), rust_log),
            Some(worker) => match JobRef::parse(worker) {
                Ok(job) => one_of(store, &job),
                Err(none) => Ok(vec![no_worker(none.given())]),
            },
        };
        match looked {
            Ok(found) => findings.extend(found),
            Err(error) => {
                findings.push(unreadable(&error));
                if !matches!(error, StoreError::WorkerNotFound { .. }) {
                    exit = Some(Exit::Unusable);
                }
            }
        }
    } else {
        findings.extend(log::log_level(rust_log));
        exit = Some(Exit::Unusable);
    }
    if arguments.json {
        output::print_json(&findings);
    } else {
        output::print(&report(&findings, arguments.worker.is_some()));
    }
    let is_well = findings.iter().all(|it| it.level == Level::Ok);
    exit.unwrap_or(if is_well { Exit::Done } else { Exit::JobFailed })
}

/// Whoever finds a dead worker first writes it down, in the log too; only then a log is opened.
pub(super) fn tell_deaths(store: &ArtifactStore, common: &Common) {
    let path = log_path(store, common);
    let log = OnceLock::new();
    store.on_worker_death(move |death| {
        let _guard = log.get_or_init(|| log_format::to_file(&path).install());
        metrics_collector::log_worker_death(&death.worker_id, &death.events);
    });
}

fn log_path(store: &ArtifactStore, common: &Common) -> PathBuf {
    let usual = || store.own_dir().join("triscope.log");
    common.log_file.clone().unwrap_or_else(usual)
}

/// All checks of a store whose log is at `log`.
fn all_of(
    store: &ArtifactStore,
    log: &Path,
    rust_log: Option<&str>,
) -> Result<Vec<Finding>, StoreError> {
    let index = book::index(store); // Before a list could make it anew.
    let workers = Workers::newest(store)?;
    let mut metrics = workers
        .readable
        .iter()
        .filter_map(|it| it.metrics.as_ref().ok());
    let are_events = metrics.any(|it| it.events > 0);
    let of_jobs = workers
        .readable
        .iter()
        .filter(|it| it.metadata.job_id.is_some());
    let mut findings = place::disk_space(store);
    findings.extend(place::own_files(store));
    findings.extend(book::job_book(store, of_jobs.count()));
    findings.extend(index);
    findings.extend(log::log_level(rust_log));
    findings.extend(log::log_file(store, log, are_events));
    findings.extend(of_workers(store, &workers));
    findings.extend(workers::dead_runs(store));
    Ok(findings)
}

/// More about one worker, and the checks that are about workers.
fn one_of(store: &ArtifactStore, worker: &JobRef) -> Result<Vec<Finding>, StoreError> {
    let workers = match worker {
        JobRef::Job(id) => Workers::of_job(store, id.get())?,
        JobRef::Worker(id) => Workers::one(store, id)?,
    };
    let mut findings: Vec<_> = workers.readable.iter().flat_map(workers::details).collect();
    if workers.readable.is_empty() && workers.problems.is_empty() {
        return Ok(vec![no_worker(&worker.to_string())]);
    }
    findings.extend(of_workers(store, &workers));
    Ok(findings)
}

fn no_worker(job: &str) -> Finding {
    let found = format!("job {} has no worker in this directory", one_line(job));
    let advice = "use `triscope workers` to see jobs and workers; a queued job has none yet";
    Finding::fail("worker", found, advice)
}

fn of_workers(store: &ArtifactStore, workers: &Workers) -> Vec<Finding> {
    let now = store.clock().timestamp();
    workers::CHECKS
        .iter()
        .flat_map(|check| check(workers, now))
        .collect()
}

fn unreadable(error: &StoreError) -> Finding {
    let advice = match error {
        StoreError::WorkerNotFound { .. } => "use `triscope workers` to see jobs and workers",
        _ => "mend that, or name another directory",
    };
    Finding::fail("worker", one_line(&error.to_string()), advice)
}

#[cfg(test)]
mod tests;
