//! A program that logs with `log-format`, and reads its log.

use std::{fs, time::Duration};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give a path for the log")?;
    // As the README shows.
    let guard = log_format::to_file(&path).install()?;
    tracing::info!(peer = "10.0.0.7", "connected");
    tracing::warn!(
        target: log_format::TELEMETRY_TARGET,
        tool = "ssh_exec", duration_ms = 1234, success = false, worker_id = "w",
        error = "no route\nto host", event = "tool_call_complete",
        "tool_call_complete",
    );
    guard.flush(Duration::from_secs(30))?;

    let log = fs::read_to_string(&path)?;
    let lines = log.lines().map(log_format::parse_line);
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let [connected, failed] = &lines[..] else {
        return Err(format!("not two lines: {log}").into());
    };
    assert_eq!(connected.get("peer"), Some("10.0.0.7"));
    assert_eq!(connected.target(), "log_format_alone");
    assert!(failed.is_telemetry());
    assert_eq!(failed.get("error"), Some("no route\nto host"));
    println!("{} failed", log.matches(" success=False ").count());
    Ok(())
}
