//! `triscope prune`: removes old workers.

use artifact_store::{PruneOptions, Pruned, StoreError};
use metrics_core::Timestamp;
use serde_json::json;
use supervisor_tools::{ToolFailure, one_line};

use crate::{app::App, cli::Prune, exit::Exit, output};

pub(crate) async fn prune(app: &App, arguments: Prune) -> Result<Exit, ToolFailure> {
    let (dry_run, as_json) = (arguments.dry_run, arguments.scope.json);
    let options = PruneOptions {
        older_than: arguments.bounds.older_than,
        keep: arguments.bounds.keep,
        max_bytes: arguments.bounds.max_bytes,
        owner: arguments.scope.owner,
        dry_run,
    };
    let pruned = app.store().unblock(move |it| it.prune(&options)).await?;
    for problem in &pruned.problems {
        output::note(&format!("warning: {}", one_line(&problem.to_string())));
    }
    if as_json {
        output::print_json(&object(&pruned, dry_run));
    } else {
        output::print(&text(&pruned, dry_run));
    }
    // A script that makes room must learn that there is none; what is no worker is none of its business.
    let failed = |it: &StoreError| matches!(it, StoreError::Unremovable { .. });
    Ok(if pruned.problems.iter().any(failed) {
        Exit::JobFailed
    } else {
        Exit::Done
    })
}

fn object(pruned: &Pruned, dry_run: bool) -> serde_json::Value {
    let removed: Vec<_> = pruned
        .removed
        .iter()
        .map(|it| {
            json!({
                "worker_id": it.worker_id,
                "created_at": it.created_at,
                "bytes": it.bytes,
            })
        })
        .collect();
    json!({
        "dry_run": dry_run,
        "removed": removed,
        "bytes": pruned.bytes,
        "kept": pruned.kept,
    })
}

fn text(pruned: &Pruned, dry_run: bool) -> String {
    let lines = pruned.removed.iter().map(|it| {
        let id = one_line(it.worker_id.as_str());
        format!("{id}  {}  {}\n", seconds(it.created_at), size(it.bytes))
    });
    let n = pruned.removed.len();
    let workers = if n == 1 { "worker" } else { "workers" };
    let (removed, freed) = if dry_run {
        ("Would remove", "free")
    } else {
        ("Removed", "freed")
    };
    lines.collect::<String>()
        + &format!(
            "{removed} {n} {workers} and {freed} {}; {} left.",
            size(pruned.bytes),
            pruned.kept
        )
}

/// `2025-12-15 04:08:08`.
fn seconds(at: Timestamp) -> String {
    at.to_string()[..19].replace('T', " ")
}

/// Bytes in the unit that a person would use, and that `--max-bytes` takes.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut size, mut unit) = (bytes as f64 / 1000.0, 0);
    // Not 1000.0 of the smaller unit.
    while size >= 999.95 {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (20_480, "20.5 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (10_000_000_000, "10.0 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
