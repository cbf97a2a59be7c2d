//! A job as a row of the table, both ways.

use std::time::Duration;

use metrics_core::{Timestamp, WorkerId};
use rusqlite::{Connection, Row, named_params, types::Type};
use serde_json::{Map, Value};

use super::{Job, JobId, RunId};

/// All that [`read_job`] wants, for a statement's text.
macro_rules! columns {
    () => {
        "id, owner, task, model, timeout_us, status, worker_id, spawned_by, run, attempt, created_at, \
         started_at, finished_at, error, cancel_requested, shared, max_attempts, settings, traceparent, \
         parent_worker_id"
    };
}
pub(super) use columns;

/// The same of a table of format 1, which had none of the last five.
pub(super) const COLUMNS_OF_FORMAT_1: &str = "id, owner, task, model, timeout_us, status, worker_id, spawned_by, run, attempt, \
     created_at, started_at, finished_at, error, cancel_requested, 0 AS shared, 1 AS max_attempts, \
     NULL AS settings, NULL AS traceparent, NULL AS parent_worker_id";

const INSERT_WHOLE: &str = concat!(
    "INSERT INTO jobs (",
    columns!(),
    ") VALUES (:id, :owner, :task, :model, :timeout_us, :status, :worker_id, :spawned_by, :run, :attempt, \
     :created_at, :started_at, :finished_at, :error, :cancel_requested, :shared, :max_attempts, :settings, \
     :traceparent, :parent_worker_id)"
);

pub(super) fn read_job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let status: String = row.get("status")?;
    let timestamp = |micros: Option<i64>| micros.map(Timestamp::from_unix_micros);
    Ok(Job {
        id: JobId::from_sql(row.get("id")?).map_err(|error| bad_value(Type::Integer, error))?,
        owner: row.get("owner")?,
        task: row.get("task")?,
        model: row.get("model")?,
        timeout: Duration::from_micros(
            u64::try_from(row.get::<_, i64>("timeout_us")?)
                .map_err(|error| bad_value(Type::Integer, error))?,
        ),
        status: status
            .parse()
            .map_err(|error| bad_value(Type::Text, error))?,
        worker_id: row
            .get::<_, Option<String>>("worker_id")?
            .map(WorkerId::from),
        spawned_by: row.get::<_, String>("spawned_by")?.into(),
        run: row.get::<_, Option<String>>("run")?.map(RunId::from),
        attempt: row.get("attempt")?,
        created_at: Timestamp::from_unix_micros(row.get("created_at")?),
        started_at: timestamp(row.get("started_at")?),
        finished_at: timestamp(row.get("finished_at")?),
        error: row.get("error")?,
        cancel_requested: row.get("cancel_requested")?,
        is_shared: row.get("shared")?,
        max_attempts: row.get("max_attempts")?,
        settings: match row.get::<_, Option<String>>("settings")? {
            Some(json) => {
                serde_json::from_str(&json).map_err(|error| bad_value(Type::Text, error))?
            }
            None => Map::new(),
        },
        traceparent: row.get("traceparent")?,
        parent_worker_id: row
            .get::<_, Option<String>>("parent_worker_id")?
            .map(WorkerId::from),
    })
}

/// Writes a job down as it is, under its own number.
pub(super) fn insert_job(connection: &Connection, job: &Job) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(INSERT_WHOLE)?;
    statement.execute(named_params! {
        ":id": job.id.to_sql(),
        ":owner": job.owner,
        ":task": job.task,
        ":model": job.model,
        ":timeout_us": whole_micros(job.timeout),
        ":status": job.status.as_str(),
        ":worker_id": job.worker_id.as_ref().map(WorkerId::as_str),
        ":spawned_by": job.spawned_by.as_str(),
        ":run": job.run.as_ref().map(RunId::as_str),
        ":attempt": job.attempt,
        ":created_at": job.created_at.unix_micros(),
        ":started_at": job.started_at.map(Timestamp::unix_micros),
        ":finished_at": job.finished_at.map(Timestamp::unix_micros),
        ":error": job.error,
        ":cancel_requested": job.cancel_requested,
        ":shared": job.is_shared,
        ":max_attempts": job.max_attempts,
        ":settings": settings_text(&job.settings),
        ":traceparent": job.traceparent,
        ":parent_worker_id": job.parent_worker_id.as_ref().map(WorkerId::as_str),
    })?;
    Ok(())
}

pub(super) fn settings_text(settings: &Map<String, Value>) -> Option<String> {
    (!settings.is_empty()).then(|| Value::Object(settings.clone()).to_string())
}

pub(super) fn whole_micros(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX)
}

fn bad_value(kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
}
