//! The program's options for models, the counts that end up on the tiers, and the demo on a real model.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stub_server::{Answer, Part, StubServer, anthropic, openai};

use crate::{
    cli::Place,
    support::{LogFile, finish, normalised},
};

#[test]
fn every_count_that_a_provider_reports_is_on_tiers_2_and_3() {
    let openai = openai::text(
        "42",
        json!({
            "prompt_tokens": 1234, "completion_tokens": 89, "total_tokens": 1323, "cost": 0.000_486_5,
            "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 64},
        }),
    );
    let anthropic = anthropic::text(
        "42",
        json!({
            "input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 300, "output_tokens": 50,
        }),
    );
    let none = openai::text("42", Value::Null);
    let mut text = String::new();
    for (protocol, reply) in [
        ("openai", openai),
        ("anthropic", anthropic),
        ("openai", none),
    ] {
        let server = StubServer::start(move |request| Answer::completion(request, &reply)).unwrap();
        let (place, url) = (Place::new(), server.base_url());
        let arguments = [
            "--model",
            "m",
            "--base-url",
            &url,
            "--provider",
            protocol,
            "--json",
        ];
        let report = place.run(&[&["run", "x"], &arguments[..]].concat()).json();
        let metrics = std::fs::read_to_string(place.dir_of(&report).join("metrics.jsonl")).unwrap();
        let log = LogFile::read(&place.log_path()).text;
        let log = log.lines().find(|it| it.contains("phase=initial")).unwrap();
        text.push_str(
            &format!("{}\n{log}\n", metrics.lines().next().unwrap())
                .replace(&server.address().to_string(), "[address]"),
        );
    }
    let _normalised = normalised();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#"(ttft_ms"?[:=])\d+"#, "${1}[ttft]");
    let _settings = settings.bind_to_scope();
    insta::assert_snapshot!(text, @r#"
    {"event":"llm_call","phase":"initial","model":"m","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":1024,"reasoning_tokens":64,"ttft_ms":[ttft],"provider":"[address]","cost_usd":0.0004865}
    [time] INFO llm_call_complete phase=initial duration_ms=[duration] worker_id=[second]_x model=m prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=1024 reasoning_tokens=64 ttft_ms=[ttft] provider=[address] cost_usd=0.0004865 event=llm_call_complete
    {"event":"llm_call","phase":"initial","model":"m","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":600,"completion_tokens":50,"total_tokens":650,"cached_tokens":300,"cache_write_tokens":200,"ttft_ms":[ttft],"provider":"[address]"}
    [time] INFO llm_call_complete phase=initial duration_ms=[duration] worker_id=[second]_x model=m prompt_tokens=600 completion_tokens=50 total_tokens=650 cached_tokens=300 cache_write_tokens=200 ttft_ms=[ttft] provider=[address] event=llm_call_complete
    {"event":"llm_call","phase":"initial","model":"m","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"ttft_ms":[ttft],"provider":"[address]"}
    [time] INFO llm_call_complete phase=initial duration_ms=[duration] worker_id=[second]_x model=m ttft_ms=[ttft] provider=[address] event=llm_call_complete
    "#);
}

#[test]
fn options_that_make_no_sense_are_bad_usage_and_touch_nothing() {
    let place = Place::new();
    for (arguments, said) in [
        (
            &["--base-url", "http://127.0.0.1:1"][..],
            "name the model to ask there with --model",
        ),
        (
            &["--model", "m", "--base-url", "me:secret-7c51e8d24b60@host"],
            "is no base URL",
        ),
        (
            &["--model", "m", "--base-url", "ftp://host/"],
            "is no base URL",
        ),
        (
            &["--model", "m", "--api-key-env", "TRISCOPE_TEST_NO_SUCH_KEY"],
            "`TRISCOPE_TEST_NO_SUCH_KEY`",
        ),
        (
            &["--model", "m", "--provider", "carrier-pigeon"],
            "there are `openai` and `anthropic`",
        ),
        (
            &["--model", "claude-sonnet-4-5"],
            "set ANTHROPIC_API_KEY, or name the server with --base-url",
        ),
        (
            &["--model", "m", "--max-parallel-tools", "0"],
            "--max-parallel-tools",
        ),
    ] {
        for command in [&["run", "x"][..], &["demo"]] {
            let finished = place.run(&[command, arguments].concat()).expect(2);
            assert!(finished.stderr.contains(said), "{finished:?}");
            assert!(!finished.stderr.contains("secret"), "{finished:?}");
        }
    }
    assert!(!place.data_dir().exists());
}

#[test]
fn a_key_goes_to_the_server_from_the_variable_that_is_named() {
    let server =
        StubServer::start(|request| Answer::completion(request, &openai::text("42", Value::Null)))
            .unwrap();
    let (place, url) = (Place::new(), server.base_url());
    let run = |more: &[&str]| {
        let model = ["run", "x", "--model", "m", "--base-url", &url, "--json"];
        let mut command = place.command(&[&model, more].concat());
        command
            .env("OPENAI_API_KEY", "sk-usual-7c51e8d24b60")
            .env("MY_KEY", "sk-mine-7c51e8d24b60");
        finish(&mut command).answer();
        server
            .received()
            .last()
            .unwrap()
            .header("authorization")
            .map(str::to_owned)
    };
    assert_eq!(run(&[]).as_deref(), Some("Bearer sk-usual-7c51e8d24b60"));
    assert_eq!(
        run(&["--api-key-env", "MY_KEY"]).as_deref(),
        Some("Bearer sk-mine-7c51e8d24b60")
    );
    // A local server needs none.
    place
        .run(&["run", "x", "--model", "m", "--base-url", &url])
        .answer();
    assert_eq!(
        server.received().last().unwrap().header("authorization"),
        None
    );
}

#[test]
fn the_demo_s_workers_ask_a_real_model() {
    let asked = AtomicUsize::new(0);
    let server = StubServer::start(move |request| {
        asked.fetch_add(1, Ordering::Relaxed);
        let body = request.json();
        let messages = body["messages"].as_array().unwrap();
        let has_output = messages.iter().any(|it| it["role"] == "tool");
        let reply = if has_output || body["tools"].is_null() {
            openai::text(
                "It is 42.",
                json!({"prompt_tokens": 10, "completion_tokens": 2}),
            )
        } else {
            openai::calls(
                &[("call_1", "calculate", r#"{"expression":"7*6"}"#)],
                Value::Null,
            )
        };
        Answer::completion(request, &reply)
    })
    .unwrap();
    let (place, url) = (Place::new(), server.base_url());
    let demo = place
        .run(&["demo", "--model", "m", "--base-url", &url])
        .answer();
    assert_eq!(demo.matches("\n  It is 42.\n").count(), 6, "{demo}");
    // Two turns and a summary for each of six workers; the first turns bring the system prompt.
    let received = server.received();
    assert_eq!(received.len(), 18);
    let system = &received[0].json()["messages"][0];
    assert_eq!(system["role"], "system");
    assert!(
        system["content"]
            .as_str()
            .unwrap()
            .starts_with("You are a worker."),
        "{system}"
    );
}

/// The worker's own time limit ends a call that hangs, and the call is an event.
#[test]
fn a_model_that_hangs_is_stopped_with_its_worker() {
    let halves = openai::events(&openai::text("forty-two", Value::Null));
    for answer in [
        Answer::hang(),
        Answer::stream([Part::bytes(&*halves[1]), Part::Hang]),
    ] {
        let server = StubServer::start(move |_| answer.clone()).unwrap();
        let (place, url) = (Place::new(), server.base_url());
        let arguments = [
            "run",
            "x",
            "--model",
            "m",
            "--base-url",
            &url,
            "--timeout",
            "300ms",
            "--json",
        ];
        let finished = place.run(&arguments).expect(1);
        let report: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(report["status"], "timeout");
        let metrics = std::fs::read_to_string(place.dir_of(&report).join("metrics.jsonl")).unwrap();
        let event: Value = serde_json::from_str(&metrics).unwrap();
        assert_eq!(
            (&event["success"], &event["error"]),
            (&json!(false), &json!("timeout")),
            "{event}"
        );
        assert_eq!(event["provider"], server.address().to_string());
    }
}
