//! `triscope demo`: a supervisor, a handful of real workers, and what each tier shows of them.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::Context as _;
use artifact_store::{IfMissing, RecordMode};
use serde_json::json;
use supervisor_tools::{JobId, JobRef, RowFilter, SupervisorError, SupervisorTools, ToolFailure};

use super::demo_server;
use crate::{app::App, cli::Common, exit::Exit, models::Models, output, signals::Signals};

const NOTES: &str = "Backups run at 03:19 UTC. Ask before touching the database.\n";

/// One job of the demo.
struct DemoJob {
    task: String,
    timeout_seconds: u32,
}

/// Opens the store; the workers read files in a small directory of the demo's own.
pub(super) fn open(common: &Common, recording: RecordMode, models: Models) -> anyhow::Result<App> {
    let data_dir = artifact_store::data_dir(common.data_dir.as_deref())?;
    let files = data_dir.join(".triscope").join("demo");
    let app = App::open(common, IfMissing::Create, &files, recording, models)?;
    let notes = files.join("notes.txt");
    // For their owner only, as all that lies in the data directory.
    let write = |mut it: fs::File| it.write_all(NOTES.as_bytes());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&files)
        .and_then(|()| {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&notes).and_then(write)
        })
        .with_context(|| format!("cannot write `{}`", notes.display()))?;
    Ok(app)
}

pub(super) async fn demo(app: &App) -> Result<Exit, ToolFailure> {
    let server = demo_server::start().await.map_err(|it| {
        SupervisorError::BrokenOff(format!("the demo's server cannot start: {it}"))
    })?;
    let signals = Signals::listen();
    let log_start = fs::metadata(&app.log_path).map_or(0, |it| it.len());
    let tools = app.tools(Some(artifact_store::DEFAULT_OWNER));
    let mut jobs = Vec::new();
    for job in tasks(&server.to_string()) {
        let answer = tools
            .call(
                "spawn_worker",
                &json!({"task": job.task, "timeout_seconds": job.timeout_seconds}),
            )
            .await;
        jobs.push(job_id(&answer).ok_or_else(|| ToolFailure::NotEnded(answer))?);
    }
    let begun = output::try_print(&format!(
        "A supervisor hands {} tasks to workers that run side by side; the last one has a second to do more than it can.",
        jobs.len()
    ));
    if let Err(exit) = begun {
        // Nobody will read of them; they must not be left behind.
        app.supervisor.shut_down().await;
        return Ok(exit);
    }
    let interrupted = super::run::wait(app, jobs.clone(), signals).await?;
    app.flush_log();
    output::print(&tier_1(&tools, &jobs).await);
    output::print(&tier_2(app, &tools, &jobs).await?);
    output::print(&tier_3(app, log_start));
    output::print(&next_steps(app, &tools, &jobs).await?);
    Ok(interrupted.unwrap_or(Exit::Done))
}

fn tasks(server: &str) -> Vec<DemoJob> {
    let usual = [
        "calculate 7*6".to_owned(),
        "tell the time and calculate 2^64".to_owned(),
        format!("fetch http://{server}/status then calculate (42+18)/60"),
        "run `sleep 0.3; uname -sm` then read notes.txt".to_owned(),
        format!("fetch http://{server}/no-such-page and calculate 0.1+0.2"),
    ];
    let usual = usual.into_iter().map(|task| DemoJob {
        task,
        timeout_seconds: 60,
    });
    let too_long = DemoJob {
        task: "calculate 6*7 then run `sleep 20`".to_owned(),
        timeout_seconds: 1,
    };
    usual.chain([too_long]).collect()
}

/// The job in the answer of `spawn_worker`, found as a model would find it: by reading.
fn job_id(answer: &str) -> Option<JobId> {
    answer
        .strip_prefix("Worker job ")?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

async fn tier_1(tools: &SupervisorTools, jobs: &[JobId]) -> String {
    let mut text = title("Tier 1, always visible: what the supervisor reads");
    for id in jobs {
        let answer = tools
            .call("read_worker_result", &json!({"job_id": id}))
            .await;
        text.push_str(&indented(&answer));
        text.push('\n');
    }
    text
}

async fn tier_2(app: &App, tools: &SupervisorTools, jobs: &[JobId]) -> Result<String, ToolFailure> {
    let mut text = title("Tier 2, progressive disclosure: every LLM and tool call of two workers");
    for id in [jobs[2], jobs[4]] {
        let worker_id = tools.metadata(&JobRef::Job(id)).await?.worker_id;
        let file = app
            .store()
            .data_dir()
            .join(worker_id.as_str())
            .join("metrics.jsonl");
        let _ = writeln!(text, "  {}", file.display());
        let worker = app.store().worker(&worker_id)?;
        let part = worker.read_file("metrics.jsonl", 0, artifact_store::MAX_READ_BYTES)?;
        text.push_str(&indented(&part.text));
        text.push('\n');
    }
    Ok(text)
}

fn tier_3(app: &App, log_start: u64) -> String {
    let mut text = title("Tier 3, dev telemetry: one line for each event of all workers");
    let _ = writeln!(text, "  {}", app.log_path.display());
    let mut lines = String::new();
    let read = fs::File::open(&app.log_path).and_then(|mut file| {
        file.seek(SeekFrom::Start(log_start))?;
        file.read_to_string(&mut lines)
    });
    if let Err(error) = read {
        let _ = writeln!(text, "  (cannot be read: {error})");
    }
    text.push_str(&indented(&lines));
    text
}

async fn next_steps(
    app: &App,
    tools: &SupervisorTools,
    jobs: &[JobId],
) -> Result<String, ToolFailure> {
    let program = std::env::args_os().next();
    let program = shell_word(Path::new(
        program.as_deref().unwrap_or(OsStr::new("triscope")),
    ));
    let dir = app.store().data_dir();
    let rows = app.supervisor.rows(RowFilter {
        owner: Some(artifact_store::DEFAULT_OWNER.to_owned()),
        ..RowFilter::default()
    });
    let workers = rows.await?.rows.len();
    let failing = tools.metadata(&JobRef::Job(jobs[4])).await?.worker_id;
    let mut text = title("Next");
    let _ = write!(
        text,
        "  {workers} workers lie in {}. Try:
    {program} --data-dir {data_dir} workers
    {program} --data-dir {data_dir} result {first}
    {program} --data-dir {data_dir} file {shell} tool_calls/001_shell_exec.txt
    {program} --data-dir {data_dir} grep 'not found'
    {program} --data-dir {data_dir} run 'calculate 7*6'
    jq -s 'sort_by(.duration_ms) | reverse | .[0:5]' {metrics}
    grep 'success=False' {log}
    tail -F {log}
",
        dir.display(),
        data_dir = shell_word(dir),
        first = jobs[0],
        // Its steps follow one another, so that it is known which output is the first.
        shell = jobs[3],
        metrics = shell_word(&dir.join(failing.as_str()).join("metrics.jsonl")),
        log = shell_word(&app.log_path),
    );
    Ok(text)
}

/// A path as it can be typed into a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./+,:@%".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn title(text: &str) -> String {
    format!("\n== {text}\n\n")
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut indented, line| {
        let _ = writeln!(indented, "{}", format!("  {line}").trim_end());
        indented
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::shell_word;

    #[test]
    fn a_path_is_typed_as_one_word() {
        for (path, word) in [
            ("/tmp/workers", "/tmp/workers"),
            ("/tmp/my workers", "'/tmp/my workers'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
