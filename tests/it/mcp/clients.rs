//! Two clients that are not ours: the official one in Python, and the Inspector's command line.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http_client::HttpServer;
use crate::support::{Finished, finish, program_path, require, skip_test, triscope};

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools")
}

/// Runs the Python client against a server: a command, or the address of one.
///
/// # Errors
/// Why the test cannot run here.
fn python_client(server: &[&str], token: Option<&str>) -> Result<Finished, String> {
    let packages = tools().join("python");
    if !packages.join("mcp").is_dir() {
        return Err("the Python package `mcp` is not installed; `.ci/run` installs it".to_owned());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/mcp/client.py");
    let mut command = Command::new("python3");
    command
        .arg(script)
        .args(server)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("TOKEN");
    if let Some(token) = token {
        command.env("TOKEN", token);
    }
    Ok(finish(&mut command))
}

#[test]
fn the_python_client_uses_all_of_it_over_pipes() {
    require!("python3");
    let dir = tempfile::tempdir().unwrap();
    let (program, data_dir) = (program_path(), dir.path().join("data"));
    let server = [
        program.to_str().unwrap(),
        "mcp",
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    match python_client(&server, None) {
        Err(reason) => skip_test!(&reason),
        Ok(finished) => assert_eq!(finished.expect(0).stdout, "legacy: done\nauto: done\n"),
    }
}

#[test]
fn the_python_client_uses_all_of_it_over_http() {
    require!("python3");
    let server = HttpServer::with_tokens(&[("ana", "ana-0123456789abcdef")]);
    match python_client(&[server.url()], Some("ana-0123456789abcdef")) {
        Err(reason) => skip_test!(&reason),
        Ok(finished) => assert_eq!(finished.expect(0).stdout, "legacy: done\nauto: done\n"),
    }
}

/// The Inspector's answer.
///
/// # Errors
/// Why the test cannot run here.
fn inspect(target: &[&str], options: &[&str], dir: &TempDir) -> Result<Finished, String> {
    let inspector = tools().join("inspector/node_modules/.bin/mcp-inspector");
    if !inspector.is_file() {
        return Err("the MCP Inspector is not installed; `.ci/run` installs it".to_owned());
    }
    let mut command = Command::new(inspector);
    command
        .arg("--cli")
        .args(target)
        .args(options)
        .env("HOME", dir.path())
        .env_remove("SWARMLET_DATA_PATH");
    Ok(finish(&mut command))
}

fn json_of(finished: Finished) -> Value {
    let finished = finished.expect(0);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:#?}"))
}

#[test]
fn the_inspector_lists_calls_and_reads_over_pipes() {
    require!("node");
    let dir = tempfile::tempdir().unwrap();
    let (program, data_dir) = (program_path(), dir.path().join("data"));
    let target = [
        program.to_str().unwrap(),
        "mcp",
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    let tools = match inspect(&target, &["--method", "tools/list", "--strict"], &dir) {
        Err(reason) => skip_test!(&reason),
        Ok(finished) => json_of(finished),
    };
    let tools = tools["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 8);
    assert!(
        tools
            .iter()
            .all(|it| it["outputSchema"]["type"] == "object")
    );
    let call = [
        "--method",
        "tools/call",
        "--tool-name",
        "spawn_worker",
        "--tool-arg",
        "task=calculate 7*6",
        "--tool-arg",
        "wait=true",
    ];
    let result = json_of(inspect(&target, &call, &dir).unwrap());
    assert_eq!(result["structuredContent"]["result"], "The result is 42.");
    let read = [
        "--method",
        "resources/read",
        "--uri",
        "triscope://jobs/1/result.txt",
    ];
    let read = json_of(inspect(&target, &read, &dir).unwrap());
    assert_eq!(read["contents"][0]["text"], "The result is 42.");
    let missing = [
        "--method",
        "tools/call",
        "--tool-name",
        "read_worker_result",
        "--tool-arg",
        "job_id=77",
    ];
    let missing = inspect(&target, &missing, &dir).unwrap();
    assert_ne!(missing.code, 0);
    assert!(
        missing.stdout.contains("Error: job 77 not found."),
        "{missing:#?}"
    );
}

#[test]
fn the_inspector_calls_over_http() {
    require!("node");
    let dir = tempfile::tempdir().unwrap();
    let server = HttpServer::with_tokens(&[("ana", "ana-0123456789abcdef")]);
    let target = [
        server.url(),
        "--transport",
        "http",
        "--header",
        "Authorization: Bearer ana-0123456789abcdef",
    ];
    let call = ["--method", "tools/call", "--tool-name", "list_workers"];
    match inspect(&target, &call, &dir) {
        Err(reason) => skip_test!(&reason),
        Ok(finished) => {
            assert_eq!(
                json_of(finished)["structuredContent"],
                json!({"workers": []})
            );
        }
    }
}

#[test]
fn the_help_tells_of_every_option() {
    let help = finish(&mut triscope(["mcp", "--help"])).answer();
    for option in [
        "--http",
        "--tokens",
        "--owner",
        "--model",
        "--base-url",
        "TRISCOPE_MCP_TOKEN",
    ] {
        assert!(help.contains(option), "{option}: {help}");
    }
}
