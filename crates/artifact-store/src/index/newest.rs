//! The walk through the index: as the one through the directories, second by second, but looking only at what it meets.

use metrics_core::WorkerId;
use rusqlite::{ToSql, Transaction, params};

use super::{
    calls::Calls,
    file::{IndexFile, Unusable},
    settled::{Settled, is_unchanged},
};
use crate::{
    ArtifactStore, WorkerFilter, WorkerList, confined::Dir, list, liveness::Pulses,
    worker::file_names, worker_id,
};

/// Of a second's workers behind the last one wanted, so many are looked at for damage, which a walk would name.
const LOOKED_AT_BEHIND: usize = 100;

/// What is to be changed in the index.
#[derive(Debug)]
pub(super) enum Change {
    Settle(Settled),
    Unsettle(String),
}

impl Change {
    pub(super) fn apply(&self, it: &Transaction<'_>) -> rusqlite::Result<()> {
        // No insert: a worker that is gone from the names stays gone.
        match self {
            Self::Settle(settled) => {
                // What another process has read of the calls meanwhile is kept.
                let mut update = it.prepare_cached(
                    "UPDATE worker SET created_at = ?2, status = ?3, owner = ?4, stamp = ?5, json = ?6, calls = ?7,
                     first_end = ?8, last_end = ?9
                     WHERE id = ?1 AND (?7 IS NOT NULL OR calls IS NULL OR stamp IS NOT ?5)",
                )?;
                let calls = settled.calls.as_ref();
                update.execute(params![
                    settled.id,
                    settled.created_at.unix_micros(),
                    settled.status.as_str(),
                    settled.owner,
                    settled.stamp.bytes(),
                    settled.json,
                    calls.map(Calls::stamp),
                    calls.and_then(Calls::first_end),
                    calls.and_then(Calls::last_end),
                ])?;
            }
            Self::Unsettle(id) => {
                let mut update = it.prepare_cached(
                    "UPDATE worker SET created_at = ?2, status = NULL, owner = NULL, stamp = NULL, json = NULL,
                     calls = NULL, first_end = NULL, last_end = NULL WHERE id = ?1",
                )?;
                update.execute(params![id, i64::MAX])?;
            }
        }
        Ok(())
    }
}

/// The workers that fit `filter`, and what was found to have changed.
pub(super) fn newest(
    index: &IndexFile,
    dir: &Dir,
    store: &ArtifactStore,
    filter: &WorkerFilter,
) -> Result<(WorkerList, Vec<Change>), Unusable> {
    let limit = filter.limit.unwrap_or(usize::MAX);
    let since = filter.since.map(worker_id::stamp).unwrap_or_default();
    let status = filter.status.map(crate::Status::as_str);
    let (mut parameters, mut narrow): (Vec<&dyn ToSql>, _) = (vec![&since], String::new());
    if let Some(status) = &status {
        parameters.push(status);
        narrow.push_str(" AND status = ?2");
    }
    if let Some(owner) = &filter.owner {
        parameters.push(owner);
        narrow = format!("{narrow} AND owner = ?{}", parameters.len());
    }
    let sql = select(&narrow);
    let mut statement = index.connection.prepare_cached(&sql)?;
    let mut rows = statement.query(&*parameters)?;

    let (mut list, mut changes) = (WorkerList::default(), Vec::new());
    let mut pulses = Pulses::default();
    let mut second = String::new();
    // Of workers whose names tell a second: those of later seconds, the settled ones of this one, all of this one.
    let (mut n_before, mut n_settled, mut n_here, mut n_behind) = (0, 0, 0, 0);
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str()?;
        let is_timed = worker_id::has_stamp(id);
        let row_second = row.get_ref(1)?.as_str()?;
        if second != row_second {
            row_second.clone_into(&mut second);
            n_before += n_here;
            (n_settled, n_here, n_behind) = (0, 0, 0);
            if n_before >= limit {
                break;
            }
        }
        let stamp = row.get_ref(2)?.as_blob_or_null()?;
        let is_settled = stamp.is_some_and(|it| is_unchanged(dir, id, file_names::METADATA, it));
        let metadata = if is_settled {
            // These come in the order of their times, so no more of them can be wanted.
            if is_timed && n_before + n_settled >= limit {
                n_behind += 1;
                if n_behind > LOOKED_AT_BEHIND {
                    break;
                }
                continue;
            }
            let metadata = serde_json::from_str(row.get_ref(3)?.as_str()?);
            Some(Ok(metadata.map_err(|_| Unusable)?))
        } else {
            let metadata = store.metadata_if_there(&WorkerId::from(id), &mut pulses);
            let settled = matches!(&metadata, Some(Ok(it)) if it.status.is_final())
                .then(|| Settled::read(dir, id))
                .flatten();
            match settled {
                Some(it) => changes.push(Change::Settle(it)),
                None if stamp.is_some() => changes.push(Change::Unsettle(id.to_owned())),
                None => {}
            }
            metadata
        };
        match metadata {
            Some(Ok(metadata)) if filter.matches(&metadata) => {
                n_here += usize::from(is_timed);
                n_settled += usize::from(is_settled);
                list.workers.push(metadata);
            }
            Some(Err(problem)) => list.problems.push(problem),
            Some(Ok(_)) | None => {}
        }
    }
    list::newest_first(&mut list.workers);
    list.workers.truncate(limit);
    Ok((list, changes))
}

/// Which of the newest settled workers are not as they were, if the filter trusts that they are.
pub(super) fn edited(
    index: &IndexFile,
    dir: &Dir,
    filter: &WorkerFilter,
    limit: i64,
) -> Result<Vec<Change>, Unusable> {
    if filter.status.is_none() && filter.owner.is_none() {
        return Ok(Vec::new());
    }
    let since = filter.since.map(worker_id::stamp).unwrap_or_default();
    let mut statement = index.connection.prepare_cached(
        "SELECT id, stamp FROM worker WHERE second >= ?1 AND stamp IS NOT NULL ORDER BY second DESC LIMIT ?2",
    )?;
    let mut rows = statement.query(params![since, limit])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str()?;
        if !is_unchanged(dir, id, file_names::METADATA, row.get_ref(1)?.as_blob()?) {
            changes.push(Change::Unsettle(id.to_owned()));
        }
    }
    Ok(changes)
}

/// The rows to go through, the newest second first, and in it the unsettled ones first: these may fit any filter.
fn select(narrow: &str) -> String {
    const SELECT: &str =
        "SELECT id, second, stamp, json, created_at FROM worker WHERE second >= ?1";
    const ORDER: &str = "ORDER BY second DESC, created_at DESC, id DESC";
    if narrow.is_empty() {
        format!("{SELECT} {ORDER}")
    } else {
        // SQLite merges the two in their common order, so that it need not go through more than is asked for.
        format!("{SELECT} AND status IS NULL UNION ALL {SELECT}{narrow} {ORDER}")
    }
}
