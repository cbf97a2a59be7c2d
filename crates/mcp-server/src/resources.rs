//! Workers' files as resources: the newest workers' in a list, all others by their URIs.

use artifact_store::{ArtifactStore, StoreError, file_names};
use metrics_core::WorkerId;
use rmcp::{
    ErrorData,
    model::{
        ListResourcesResult, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate,
    },
};
use serde_json::json;
use supervisor_tools::{RowFilter, Supervisor, SupervisorTools, ToolFailure};

use crate::{
    resource_uri::{self, FileUri},
    server::{MAX_FILE_BYTES, without_prefix},
};

/// The list ends with so many workers: some hosts put all of it before the user.
const LISTED_WORKERS: usize = 100;
/// Workers on one page of the list.
const PAGE_WORKERS: usize = 20;

/// How the files of any worker are named.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    let size = format!(
        "At most {MAX_FILE_BYTES} bytes are given at once; what is cut says with which offset, in bytes, it goes on."
    );
    vec![
        ResourceTemplate::new("triscope://workers/{worker_id}/{+path}{?offset}", "worker file")
            .with_title("A worker's file")
            .with_description(format!("A file of a worker, such as result.txt, metrics.jsonl, thread.jsonl, metadata.json or tool_calls/001_shell_exec.txt. {size}")),
        ResourceTemplate::new("triscope://jobs/{job_id}/{+path}{?offset}", "job file")
            .with_title("A file of a job's worker")
            .with_description(format!("The same, by the number of the job. {size}")),
    ]
}

/// One page of the newest workers' files; the cursor is the last worker of the page before.
pub(crate) async fn list(
    supervisor: &Supervisor,
    owner: &str,
    cursor: Option<&str>,
) -> Result<ListResourcesResult, ErrorData> {
    let filter = RowFilter {
        limit: Some(LISTED_WORKERS),
        owner: Some(owner.to_owned()),
        ..RowFilter::default()
    };
    let rows = supervisor.rows(filter).await;
    let rows = rows.map_err(|it| broken(&it.into()))?.rows;
    let workers: Vec<WorkerId> = rows.into_iter().filter_map(|it| it.worker_id).collect();
    let start = match cursor {
        None => 0,
        Some(last) => {
            let place = workers.iter().position(|it| it.as_str() == last);
            1 + place.ok_or_else(|| {
                let message =
                    "the cursor leads nowhere: the list has changed; read it from its beginning";
                ErrorData::invalid_params(message, None)
            })?
        }
    };
    let page: Vec<_> = workers
        .iter()
        .skip(start)
        .take(PAGE_WORKERS)
        .cloned()
        .collect();
    let is_last = start + page.len() >= workers.len();
    let next = page.last().filter(|_| !is_last).map(ToString::to_string);
    let store = supervisor.store().clone();
    let files = tokio::task::spawn_blocking(move || {
        let files = page.iter().flat_map(|it| files_of(&store, it));
        files.collect::<Vec<_>>()
    });
    let files = files
        .await
        .map_err(|it| ErrorData::internal_error(it.to_string(), None))?;
    let mut result = ListResourcesResult::with_all_items(files);
    result.next_cursor = next;
    Ok(result)
}

/// A worker that is gone meanwhile has no files.
fn files_of(store: &ArtifactStore, worker_id: &WorkerId) -> Vec<Resource> {
    let files = store
        .worker(worker_id)
        .and_then(|worker| Ok((worker.files()?, worker)));
    let Ok((files, worker)) = files else {
        return Vec::new();
    };
    let resources = files.into_iter().filter_map(|file| {
        // What cannot be read is no resource.
        let size = worker.open_file(&file).and_then(|it| {
            it.metadata()
                .map(|it| it.len())
                .map_err(|source| StoreError::Io {
                    action: "look at",
                    path: worker.path().join(&file),
                    source,
                })
        });
        let uri = resource_uri::of_file(worker_id.as_str(), &file);
        let resource = Resource::new(uri, format!("{worker_id}/{file}"))
            .with_mime_type(mime_type(&file))
            .with_size(size.ok()?);
        Some(match description(&file) {
            Some(it) => resource.with_description(it),
            None => resource,
        })
    });
    resources.collect()
}

/// A file, or the part of it that begins at the URI's offset.
pub(crate) async fn read(
    tools: &SupervisorTools,
    uri: &str,
) -> Result<ReadResourceResponse, ErrorData> {
    let FileUri { job, path, offset } =
        resource_uri::parse(uri).map_err(|it| ErrorData::invalid_params(it, None))?;
    let part = tools.file_part(&job, &path, offset).await;
    let part = part.map_err(|failure| match failure {
        ToolFailure::Broken(_) => broken(&failure),
        other => ErrorData::resource_not_found(
            without_prefix(&other.to_string()),
            Some(json!({"uri": uri})),
        ),
    })?;
    let rest = part.is_cut().then(|| {
        let (file, _) = uri.split_once('?').unwrap_or((uri, ""));
        let next = format!("{file}?offset={}", part.next_offset);
        let note = format!(
            "[{} of {} bytes; go on with {next}]",
            part.next_offset - part.offset,
            part.total_bytes
        );
        ResourceContents::text(note, next)
    });
    let file = ResourceContents::text(part.text, uri).with_mime_type(mime_type(&path));
    let contents = [Some(file), rest].into_iter().flatten().collect();
    Ok(ReadResourceResult::new(contents).into())
}

fn broken(failure: &ToolFailure) -> ErrorData {
    ErrorData::internal_error(without_prefix(&failure.to_string()), None)
}

fn mime_type(file: &str) -> &'static str {
    match file.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "jsonl")) => "application/jsonl",
        _ => "text/plain",
    }
}

fn description(file: &str) -> Option<&'static str> {
    Some(match file {
        file_names::RESULT => "The worker's result.",
        file_names::METRICS => "Every LLM and tool call, one a line.",
        file_names::METADATA => "Task, status, times, configuration.",
        file_names::THREAD => "The worker's conversation.",
        _ if file.starts_with("tool_calls/") => "What a tool gave back.",
        _ => return None,
    })
}
