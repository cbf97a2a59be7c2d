//! The commands that only read: `workers`, `result`, `file`, `grep`, `meta`.

use std::io::{Seek as _, SeekFrom};

use artifact_store::{ArtifactStore, MAX_READ_BYTES, SearchOptions, StoreError};
use comfy_table::{ContentArrangement, Table, presets};
use metrics_core::{DurationText, Timestamp, WorkerId};
use serde_json::json;
use supervisor_tools::{JobId, JobRef, RowFilter, ToolFailure, WorkerRow, one_line};

use crate::{
    app::App,
    cli::{File, Grep, Job, Workers},
    exit::Exit,
    output,
};

pub(crate) async fn workers(app: &App, arguments: Workers) -> Result<Exit, ToolFailure> {
    let is_filtered = arguments.status.is_some()
        || arguments.since_hours.is_some()
        || arguments.scope.owner.is_some();
    let list = app
        .supervisor
        .rows(RowFilter {
            limit: Some(arguments.limit),
            status: arguments.status,
            since: arguments.since_hours.map(|it| hours_ago(app, it)),
            owner: arguments.scope.owner,
        })
        .await?;
    for problem in &list.problems {
        output::note(&format!("warning: {}", one_line(&problem.to_string())));
    }
    if arguments.scope.json {
        output::print_json(&list.rows);
    } else if list.rows.is_empty() && is_filtered {
        output::print("No such workers.");
    } else if list.rows.is_empty() {
        output::print("No workers. Start one: triscope run \"calculate 7*6\"");
    } else {
        output::print(&table(app, &list.rows));
    }
    Ok(Exit::Done)
}

fn table(app: &App, rows: &[WorkerRow]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "JOB",
        "STATUS",
        "TIME",
        "OWNER",
        "WORKER",
        "SUMMARY OR TASK",
    ]);
    // A pipe gets a line a row, however long.
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(size.ws_col.max(40));
    }
    for row in rows {
        let id = row.job_id.and_then(|it| JobId::try_from(it).ok());
        let running = id
            .and_then(|it| app.supervisor.activity(it))
            .map(|it| it.elapsed);
        let time = row.duration.or(running);
        let what = row.summary.as_deref().filter(|it| !it.is_empty());
        let what: String = what.unwrap_or(&row.task).chars().take(150).collect();
        table.add_row([
            row.job_id.map(|it| it.to_string()).unwrap_or_default(),
            row.status.clone(),
            time.map(|it| DurationText(it).to_string())
                .unwrap_or_default(),
            one_line(&row.owner),
            row.worker_id
                .as_ref()
                .map(|it| one_line(it.as_str()))
                .unwrap_or_default(),
            one_line(&what),
        ]);
    }
    table.trim_fmt()
}

pub(crate) async fn result(app: &App, arguments: Job) -> Result<Exit, ToolFailure> {
    let job = JobRef::parse(&arguments.job)?;
    let tools = app.tools(arguments.scope.owner.as_deref());
    if arguments.scope.json {
        output::print_json(&super::run::report(app, &tools, &job).await?);
    } else {
        output::print(&tools.read_worker_result(&job).await?);
    }
    super::run::exit_of(&tools, &job).await
}

pub(crate) async fn file(app: &App, arguments: File) -> Result<Exit, ToolFailure> {
    let tools = app.tools(arguments.scope.owner.as_deref());
    let job = &JobRef::parse(&arguments.job)?;
    let (path, offset) = (arguments.path, arguments.offset);
    if !arguments.raw && !arguments.scope.json {
        output::print(&tools.read_worker_file(job, &path, offset).await?);
        return Ok(Exit::Done);
    }
    let worker_id = tools.metadata(job).await?.worker_id;
    if arguments.raw {
        let copied = app.store().unblock(move |store| {
            let mut file = store.worker(&worker_id)?.open_file(&path)?;
            file.seek(SeekFrom::Start(offset))
                .and_then(|_| output::print_bytes(&mut file))
                .map_err(|source| StoreError::Io {
                    action: "read",
                    path: path.into(),
                    source,
                })
        });
        copied.await?;
        return Ok(Exit::Done);
    }
    let part = app
        .store()
        .unblock({
            let (worker_id, path) = (worker_id.clone(), path.clone());
            move |store| {
                store
                    .worker(&worker_id)?
                    .read_file(&path, offset, MAX_READ_BYTES)
            }
        })
        .await?;
    output::print_json(&json!({
        "worker_id": worker_id,
        "file": path,
        "offset": part.offset,
        // `null` ends a loop that reads on.
        "next_offset": part.is_cut().then_some(part.next_offset),
        "total_bytes": part.total_bytes,
        "text": part.text,
    }));
    Ok(Exit::Done)
}

/// Gives a file from `offset` to its end, part by part.
pub(crate) fn whole_file(
    store: &ArtifactStore,
    worker_id: &WorkerId,
    path: &str,
    mut offset: u64,
    mut take: impl FnMut(&str),
) -> Result<(), StoreError> {
    let worker = store.worker(worker_id)?;
    loop {
        let part = worker.read_file(path, offset, MAX_READ_BYTES)?;
        take(&part.text);
        if !part.is_cut() || part.next_offset == offset {
            return Ok(());
        }
        offset = part.next_offset;
    }
}

pub(crate) async fn grep(app: &App, arguments: Grep) -> Result<Exit, ToolFailure> {
    if !arguments.scope.json {
        let tools = app.tools(arguments.scope.owner.as_deref());
        let found = tools.grep_workers(&arguments.pattern, arguments.since_hours);
        return match found.await {
            Ok(text) => {
                output::print(&text);
                Ok(Exit::Done)
            }
            Err(failure @ ToolFailure::Refused(_)) => Ok(bad_pattern(&failure)),
            Err(failure) => Err(failure),
        };
    }
    let options = SearchOptions {
        since: Some(hours_ago(app, arguments.since_hours)),
        owner: arguments.scope.owner,
        ..SearchOptions::default()
    };
    let pattern = arguments.pattern;
    let found = app
        .store()
        .unblock(move |store| store.search(&pattern, &options))
        .await;
    let found = match found {
        Err(error @ StoreError::Pattern { .. }) => return Ok(bad_pattern(&error.into())),
        found => found?,
    };
    for skipped in &found.skipped {
        output::note(&format!("warning: not searched: {}", one_line(skipped)));
    }
    if let Some(why) = found.stopped {
        output::note(&format!("warning: stopped early: {why}"));
    }
    let matches: Vec<_> = found
        .matches
        .iter()
        .map(|it| {
            json!({
                "job_id": it.job_id,
                "worker_id": it.worker_id,
                "file": it.file,
                "line": it.line,
                "text": it.text,
            })
        })
        .collect();
    output::print_json(&matches);
    Ok(Exit::Done)
}

fn bad_pattern(failure: &ToolFailure) -> Exit {
    super::failed(failure);
    Exit::Usage
}

pub(crate) async fn meta(app: &App, arguments: Job) -> Result<Exit, ToolFailure> {
    let job = JobRef::parse(&arguments.job)?;
    let tools = app.tools(arguments.scope.owner.as_deref());
    if arguments.scope.json {
        output::print_json(&tools.metadata(&job).await?);
    } else {
        output::print(&tools.get_worker_metadata(&job).await?);
    }
    Ok(Exit::Done)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float that is too large becomes the largest number"
)]
fn hours_ago(app: &App, hours: f64) -> Timestamp {
    let now = app.store().clock().timestamp();
    now.plus_micros(-((hours * 3_600e6) as i64))
}
