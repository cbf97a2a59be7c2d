//! No secret in any file under the data directory or in the log, by whichever way it comes in.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::{Value, json};
use stub_server::{Answer, StubServer, openai};

use crate::{
    cli::Place,
    support::{Lab, MARK, finish, leaks},
};

/// A secret of a well-known shape.
fn shaped() -> String {
    ["gh", "p_", MARK, "Zk3QpX8vLm2NcR5tYw7BdF9h"].concat()
}

/// One that only its name gives away.
fn named() -> String {
    format!("open-{MARK}-sesame")
}

#[test]
fn the_scan_finds_what_is_planted() {
    let place = Place::that_keeps_secrets();
    let command = format!("echo {}; echo password={} >&2", shaped(), named());
    place.run(&["exec", "--keep-secrets", "--", "sh", "-c", &command]);
    let found = leaks(place.data_dir());
    for file in ["result.txt", "stderr.txt", "metadata.json"] {
        assert!(
            found.iter().any(|it| it.contains(file)),
            "{file}: {found:#?}"
        );
    }
}

/// Every test of the suite that leaves a secret behind fails, whatever it is about.
#[tokio::test]
async fn no_place_goes_with_a_secret_in_it() {
    fn fails(place: impl Sized) -> bool {
        catch_unwind(AssertUnwindSafe(|| drop(place))).is_err()
    }
    let place = Place::new();
    fs::create_dir_all(place.log_path().parent().unwrap()).unwrap();
    fs::write(place.log_path(), named()).unwrap();
    assert!(fails(place));
    let lab = Lab::new();
    tracing::info!(password = named());
    assert!(fails(lab));
    assert!(!fails(Place::new()) && !fails(Lab::new()));
}

#[test]
fn nothing_of_a_model_s_worker_is_written_with_its_secrets() {
    let (shaped, named) = (shaped(), named());
    let commands = [
        format!("echo {shaped}; echo 'Authorization: Bearer {named}'"),
        format!("echo password={named}; exit 3"),
        "echo $DB_PASSWORD".to_owned(),
        "env".to_owned(),
    ];
    let mut calls: Vec<_> = commands
        .iter()
        .map(|it| ("shell_exec", json!({"command": it}).to_string()))
        .collect();
    calls.extend([
        ("http_request", json!({"url": format!("http://ada:{named}@127.0.0.1:1/?token={named}"), "headers": {"Authorization": named}}).to_string()),
        ("read_file", json!({"path": format!("{shaped}.txt")}).to_string()),
        (shaped.as_str(), json!({"password": named}).to_string()),
        ("calculate", format!("{{\"expression\": {shaped}")),
    ]);
    let ids: Vec<_> = (0..calls.len()).map(|it| format!("call_{it}")).collect();
    let asked: Vec<_> = ids
        .iter()
        .zip(&calls)
        .map(|(id, (name, it))| (id.as_str(), *name, it.as_str()))
        .collect();
    let first = openai::calls(&asked, Value::Null);
    let answer = format!("The key is {shaped} and the password: {named}");
    let server = StubServer::start(move |request| match request.number {
        0 => Answer::json(200, &[], &first),
        _ => Answer::json(200, &[], &openai::text(&answer, Value::Null)),
    })
    .unwrap();
    let place = Place::new();
    let url = server.base_url();
    let task = format!("use {shaped}, password={named}, at https://ada:{named}@example.org");
    let mut command = place.command(&[
        "run",
        &task,
        "--model",
        "m",
        "--base-url",
        &url,
        "--allow-private-addresses", // What may not be asked ends a worker.
        "--verbose",
    ]);
    command.env("DB_PASSWORD", &named).env("RUST_LOG", "trace");
    let finished = finish(&mut command);
    assert!(matches!(finished.code, 0 | 1), "{finished:?}");
    assert!(!finished.stdout.contains(MARK), "{}", finished.stdout);
    // The model itself was told everything.
    let received = server.received();
    let sent = received.get(1).unwrap_or_else(|| panic!("{finished:?}"));
    let sent = &sent.body;
    assert!(sent.contains(&shaped) && sent.contains(&named), "{sent}");
}

/// Its goal is in its own files, in its calls and in its workers' tasks; only the workers get it whole.
#[test]
fn nothing_of_a_supervisor_is_written_with_its_secrets() {
    let shaped = shaped();
    let place = Place::new();
    let goal = format!("run `printf %s {shaped} | wc -c`; say token: {shaped}");
    let answer = place.run(&["ask", &goal]).answer();
    assert!(answer.contains("2 of 2 tasks succeeded."), "{answer}");
    let n_bytes = format!("printed: {}\n", shaped.len());
    assert!(answer.contains(&n_bytes), "{answer}");
    assert!(!answer.contains(MARK), "{answer}");
}

#[test]
fn nothing_of_a_program_is_written_with_its_secrets() {
    let (shaped, named) = (shaped(), named());
    let event = |tool: &str, error: &str| {
        format!(
            "{{\\\"event\\\":\\\"tool_call\\\",\\\"tool\\\":\\\"{tool}\\\",\\\"start_ts\\\":\\\"$now\\\",\\\"end_ts\\\":\\\"$now\\\",\\\"duration_ms\\\":0,\\\"success\\\":false,\\\"error\\\":\\\"{error}\\\"}}"
        )
    };
    let lines = event(&shaped, &format!("password={named}"));
    let script = format!(
        "now=$(date -u +%Y-%m-%dT%H:%M:%SZ); echo \"{lines}\" >> $TRISCOPE_METRICS_FILE; \
         echo '{{\"event\":\"{shaped}' >> $TRISCOPE_METRICS_FILE; \
         printf 'password=open-7c51'; sleep 0.2; echo 'e8d24b60-sesame'; echo 'Bearer {shaped}' >&2; \
         echo \"$DB_PASSWORD\"; exit 3"
    );
    let place = Place::new();
    let task = format!("token: {shaped}");
    let mut command = place.command(&[
        "exec",
        "--task",
        &task,
        "--",
        "sh",
        "-c",
        &script,
        "--password",
        &named,
    ]);
    command.env("DB_PASSWORD", &named);
    let finished = finish(&mut command);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(
        finished.stdout.contains("password=[redacted]\n"),
        "{}",
        finished.stdout
    );
    assert!(!finished.stdout.contains(MARK), "{}", finished.stdout);
}

/// The whole time of a worker is limited from the command line; it ends with what it has, and says so.
#[test]
fn a_worker_out_of_time_ends_with_what_it_has() {
    let first = openai::calls(
        &[("a", "calculate", r#"{"expression": "6*7"}"#)],
        Value::Null,
    );
    let server = StubServer::start(move |request| match request.number {
        0 => Answer::json(200, &[], &first),
        _ => Answer::hang(),
    })
    .unwrap();
    let place = Place::new();
    let url = server.base_url();
    let finished = finish(&mut place.command(&[
        "run",
        "x",
        "--model",
        "m",
        "--base-url",
        &url,
        "--max-time",
        "3s",
    ]));
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(
        finished.stdout.contains("the limit of 3s was reached"),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains("42"), "{}", finished.stdout);
}
