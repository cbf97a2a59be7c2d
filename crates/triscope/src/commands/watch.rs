//! `triscope workers --watch`: what changes, for as long as somebody looks.

use std::{
    collections::{BTreeMap, HashSet},
    io::IsTerminal as _,
    time::Duration,
};

use artifact_store::Status;
use supervisor_tools::{JobRef, RowFilter, RowStatus, ToolFailure, WorkerRow};

use crate::{app::App, cli::Workers, exit::Exit, output, signals::Signals};

const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn watch(app: &App, arguments: Workers) -> Result<Exit, ToolFailure> {
    let mut signals = Signals::listen();
    let mut seen = Seen::default();
    let is_table = std::io::stdout().is_terminal() && !arguments.scope.json;
    loop {
        let filter = super::read::filter(app, &arguments);
        if is_table {
            show_table(app, filter).await?;
        } else {
            for row in seen.changed(app, filter).await? {
                if arguments.scope.json {
                    output::print(&serde_json::to_string(&row).unwrap_or_default());
                } else {
                    output::print(&row.line());
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            exit = signals.next() => return Ok(exit),
        }
    }
}

/// As much of the list as the terminal has room for, the newest first.
async fn show_table(app: &App, filter: RowFilter) -> Result<(), ToolFailure> {
    let rows = app.supervisor.rows(filter).await?.rows;
    let table = super::read::table(app, &rows);
    let height = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |it| it.ws_row);
    let room = match height {
        0 => usize::MAX,                   // It does not say.
        height => usize::from(height) - 1, // The cursor's line.
    };
    output::redraw(
        &table
            .lines()
            .take(room)
            .fold(String::new(), |text, line| text + line + "\n"),
    );
    Ok(())
}

/// What was printed of each job or worker.
#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<Name, String>,
    /// Those that had not ended.
    active: HashSet<Name>,
}

/// A job, or a worker without one.
type Name = (Option<u64>, Option<String>);

fn name_of(row: &WorkerRow) -> Name {
    match row.job_id {
        Some(id) => (Some(id), None),
        None => (None, row.worker_id.as_ref().map(ToString::to_string)),
    }
}

fn is_active(row: &WorkerRow) -> bool {
    matches!(&*row.status, "queued" | "created" | "running")
}

impl Seen {
    /// The rows whose status is another one than before, the oldest first.
    async fn changed(
        &mut self,
        app: &App,
        filter: RowFilter,
    ) -> Result<Vec<WorkerRow>, ToolFailure> {
        let is_whole = filter.status.is_none();
        let mut filters = vec![filter.clone()];
        if is_whole {
            // The newest may all be waiting while older ones run.
            let running = RowStatus::Worker(Status::Running);
            filters.extend([RowStatus::Queued, running].map(|status| RowFilter {
                limit: None,
                status: Some(status),
                ..filter.clone()
            }));
        }
        let mut rows: BTreeMap<Name, WorkerRow> = BTreeMap::new();
        for filter in filters {
            let listed = app.supervisor.rows(filter).await?.rows;
            rows.extend(listed.into_iter().map(|it| (name_of(&it), it)));
        }
        if is_whole {
            // What ended and is not among the newest.
            let gone = self.active.iter().filter(|it| !rows.contains_key(it));
            for (job, _) in gone.cloned().collect::<Vec<_>>() {
                if let Some(row) = row_of(app, job).await {
                    rows.insert(name_of(&row), row);
                }
            }
        }
        let active = rows.iter().filter(|(_, row)| is_active(row));
        self.active = active.map(|(name, _)| name.clone()).collect();
        let mut changed = Vec::new();
        for (name, row) in rows {
            let before = self.statuses.insert(name, row.status.clone());
            if before.as_ref() != Some(&row.status) {
                changed.push(row);
            }
        }
        changed.sort_by_key(|it| (it.created_at, it.job_id));
        Ok(changed)
    }
}

async fn row_of(app: &App, job: Option<u64>) -> Option<WorkerRow> {
    let job = JobRef::Job(job?.try_into().ok()?);
    app.supervisor
        .tools(None)
        .job(&job)
        .await
        .ok()?
        .map(WorkerRow::from)
}
