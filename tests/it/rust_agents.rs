//! Agents on other people's libraries, unchanged but for three lines in `main`, on all three tiers.
//!
//! They are projects outside the workspace, so that nobody else builds those libraries. Their models are scripted.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};
use stub_server::{Answer, StubServer, openai};
use tempfile::TempDir;

use crate::{
    outside_crates::Project,
    support::{LogFile, MARK, MetricsFile, assert_no_secrets, finish, normalised, triscope},
};

/// What one run of an agent came to.
struct Run {
    dir: TempDir,
    /// What it printed.
    answer: String,
    /// The requests that its model got.
    received: usize,
}

impl Drop for Run {
    fn drop(&mut self) {
        assert_no_secrets(self.dir.path());
    }
}

impl Run {
    /// Runs an agent whose model gives these answers.
    #[track_caller]
    fn of(name: &'static str, arguments: &[&str], answers: Vec<Value>) -> Self {
        let program = Project::new(name).build();
        let server = StubServer::start(move |request| match answers.get(request.number) {
            Some(Value::String(error)) => {
                let body = json!({"error": {"message": error}});
                Answer::json(429, &[("retry-after", "0")], &body)
            }
            Some(answer) => Answer::completion(request, answer),
            None => Answer::hang(),
        })
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let answer = finish(
            Command::new(program)
                .arg(dir.path())
                .args(arguments)
                .env("OPENAI_API_KEY", format!("key-{MARK}"))
                .env("OPENAI_BASE_URL", server.base_url())
                .env_remove("RUST_LOG"),
        )
        .answer();
        let received = server.received().len();
        Self {
            dir,
            answer,
            received,
        }
    }

    fn agents(&self) -> PathBuf {
        self.dir.path().join("agents")
    }

    /// The one worker's id.
    #[track_caller]
    fn worker_id(&self) -> String {
        let entries = std::fs::read_dir(self.agents()).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let workers: Vec<_> = names.filter(|it| !it.starts_with('.')).collect();
        assert_eq!(workers.len(), 1, "{workers:?}");
        workers[0].clone()
    }

    /// All three tiers, the parallel tool calls in a fixed order.
    #[track_caller]
    fn tiers(&self) -> String {
        let id = self.worker_id();
        let place = self.agents();
        let first = triscope(["result", &id, "--data-dir"]).arg(&place).output();
        let tier1 = String::from_utf8(first.unwrap().stdout).unwrap();
        let metrics = MetricsFile::read(&place.join(&id).join("metrics.jsonl"));
        let log = LogFile::read(&self.dir.path().join("agents.log"));
        let of_calls = log.text.lines().filter(|it| it.contains(" event="));
        assert_eq!(log.calls(Some(&id)).len(), metrics.events.len());
        let in_order = |mut lines: Vec<&str>| {
            let is_tool = |it: &&str| it.contains("tool_call");
            if let Some(first) = lines.iter().position(is_tool) {
                let n_tools = lines[first..].iter().take_while(|it| is_tool(it)).count();
                let id = |it: &&str| it.split_once("tool_call_id").map(|it| it.1.to_owned());
                lines[first..first + n_tools].sort_by_key(id);
            }
            lines.join("\n")
        };
        let tier2 = in_order(metrics.text.lines().collect());
        let tier3 = in_order(of_calls.collect());
        format!("{tier1}\n{tier2}\n\n{tier3}\n")
    }
}

fn two_tools_and_an_answer() -> Vec<Value> {
    let calls = [
        ("call_1", "multiply", r#"{"x":7,"y":6}"#),
        ("call_2", "read_notes", "{}"),
    ];
    let usage = json!({
        "prompt_tokens": 1234, "completion_tokens": 89, "total_tokens": 1323,
        "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 64},
    });
    let more = json!({"prompt_tokens": 1400, "completion_tokens": 10, "total_tokens": 1410});
    vec![
        openai::calls(&calls, usage),
        openai::text("The result is 42.", more),
    ]
}

#[test]
fn an_agent_of_rigs_is_on_all_three_tiers_streamed_or_not() {
    let _normalised = normalised();
    for arguments in [&[][..], &["stream"]] {
        let run = Run::of("agent-on-rig", arguments, two_tools_and_an_answer());
        assert_eq!(run.answer, "success: The result is 42.\n");
        insta::allow_duplicates!(insta::assert_snapshot!(run.tiers(), @r#"
    Result from worker [second]_what-is-7-6:

    Execution time: [duration]
    Usage: 2 LLM calls, 2,733 tokens, $0.00063; 2 tool calls (1 failed)

    The result is 42.

    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":1024,"reasoning_tokens":64,"provider":"openai"}
    {"event":"tool_call","tool":"multiply","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":true,"tool_call_id":"call_1"}
    {"event":"tool_call","tool":"read_notes","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":false,"error":"other","tool_call_id":"call_2"}
    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1400,"completion_tokens":10,"total_tokens":1410,"provider":"openai"}

    [time] INFO llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=1024 reasoning_tokens=64 provider=openai event=llm_call_complete
    [time] INFO tool_call_complete tool=multiply duration_ms=[duration] success=True worker_id=[second]_what-is-7-6 tool_call_id=call_1 event=tool_call_complete
    [time] WARN tool_call_complete tool=read_notes duration_ms=[duration] success=False worker_id=[second]_what-is-7-6 error=other tool_call_id=call_2 event=tool_call_complete
    [time] INFO llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1400 completion_tokens=10 total_tokens=1410 provider=openai event=llm_call_complete
    "#));
    }
}

#[test]
fn a_model_that_refuses_an_agent_of_rigs_is_a_failed_call() {
    let run = Run::of("agent-on-rig", &[], vec![json!("slow down")]);
    assert_eq!(run.received, 1);
    let _normalised = normalised();
    insta::assert_snapshot!(run.tiers(), @r#"
    Result from worker [second]_what-is-7-6:

    Execution time: [duration]
    Usage: 1 LLM call (1 failed)
    Status: failed
    Error: ProviderResponseError: status 429 Too Many Requests: {"error":{"message":"slow down"}}

    (No result generated)

    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"provider":"openai","success":false,"error":"no response"}

    [time] WARN llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini provider=openai success=False error="no response" event=llm_call_complete
    "#);
}

#[test]
fn a_tool_loop_on_genai_is_on_all_three_tiers() {
    let run = Run::of("agent-on-genai", &[], two_tools_and_an_answer());
    assert_eq!(run.answer, "success: The result is 42.\n");
    let _normalised = normalised();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#"(ttft_ms"?[:=])\d+"#, "${1}[ttft]");
    let _settings = settings.bind_to_scope();
    insta::assert_snapshot!(run.tiers(), @r#"
    Result from worker [second]_what-is-7-6:

    Execution time: [duration]
    Usage: 2 LLM calls, 2,733 tokens, $0.00063; 2 tool calls (1 failed)

    The result is 42.

    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":1024,"reasoning_tokens":64,"provider":"openai"}
    {"event":"tool_call","tool":"multiply","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":true,"tool_call_id":"call_1"}
    {"event":"tool_call","tool":"read_notes","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":false,"error":"No such file or directory (os error 2)","tool_call_id":"call_2"}
    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1400,"completion_tokens":10,"total_tokens":1410,"ttft_ms":[ttft],"provider":"openai"}

    [time] INFO llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=1024 reasoning_tokens=64 provider=openai event=llm_call_complete
    [time] INFO tool_call_complete tool=multiply duration_ms=[duration] success=True worker_id=[second]_what-is-7-6 tool_call_id=call_1 event=tool_call_complete
    [time] WARN tool_call_complete tool=read_notes duration_ms=[duration] success=False worker_id=[second]_what-is-7-6 error="No such file or directory (os error 2)" tool_call_id=call_2 event=tool_call_complete
    [time] INFO llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1400 completion_tokens=10 total_tokens=1410 ttft_ms=[ttft] provider=openai event=llm_call_complete
    "#);
}

#[test]
fn a_model_that_refuses_a_loop_on_genai_is_a_failed_call() {
    let [calls, _] = two_tools_and_an_answer().try_into().unwrap();
    let run = Run::of("agent-on-genai", &[], vec![calls, json!("slow down")]);
    assert_eq!(run.received, 2);
    let _normalised = normalised();
    insta::assert_snapshot!(run.tiers(), @r#"
    Result from worker [second]_what-is-7-6:

    Execution time: [duration]
    Usage: 2 LLM calls (1 failed), 1,323 tokens, $0.00026; 2 tool calls (1 failed)
    Status: failed
    Error: Web stream error for model 'gpt-5-mini (adapter: OpenAI)'. Cause: HTTP error. Status: 429 Too Many Requests Too Many Requests Body: {"error":{"message":"slow down"}}

    (No result generated)

    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":1024,"reasoning_tokens":64,"provider":"openai"}
    {"event":"tool_call","tool":"multiply","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":true,"tool_call_id":"call_1"}
    {"event":"tool_call","tool":"read_notes","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":false,"error":"No such file or directory (os error 2)","tool_call_id":"call_2"}
    {"event":"llm_call","phase":"chat","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"provider":"openai","success":false,"error":"web_stream"}

    [time] INFO llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=1024 reasoning_tokens=64 provider=openai event=llm_call_complete
    [time] INFO tool_call_complete tool=multiply duration_ms=[duration] success=True worker_id=[second]_what-is-7-6 tool_call_id=call_1 event=tool_call_complete
    [time] WARN tool_call_complete tool=read_notes duration_ms=[duration] success=False worker_id=[second]_what-is-7-6 error="No such file or directory (os error 2)" tool_call_id=call_2 event=tool_call_complete
    [time] WARN llm_call_complete phase=chat duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini provider=openai success=False error=web_stream event=llm_call_complete
    "#);
}

#[test]
fn a_worker_on_a_model_and_tools_of_rigs_is_recorded_once_by_its_loop() {
    let mut answers = two_tools_and_an_answer();
    answers.insert(0, json!("slow down")); // Which the loop tries again.
    let run = Run::of("worker-on-rig", &[], answers);
    assert_eq!(run.answer, "success: The result is 42.\n");
    let _normalised = normalised();
    insta::assert_snapshot!(run.tiers(), @r#"
    Result from worker [second]_what-is-7-6:

    Execution time: [duration]
    Usage: 3 LLM calls (1 failed), 2,733 tokens, $0.00063; 2 tool calls (1 failed)

    The result is 42.

    {"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"attempt":1,"success":false,"error":"rate_limited: ProviderResponseError: status 429 Too Many Requests: {\"error\":{\"message\":\"slow down\"}}"}
    {"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":1024,"reasoning_tokens":64,"provider":"openai","attempt":2}
    {"event":"tool_call","tool":"multiply","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":true,"tool_call_id":"call_1"}
    {"event":"tool_call","tool":"read_notes","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":false,"error":"No such file or directory (os error 2)","tool_call_id":"call_2"}
    {"event":"llm_call","phase":"synthesis","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1400,"completion_tokens":10,"total_tokens":1410,"provider":"openai"}

    [time] WARN llm_call_complete phase=initial duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini attempt=1 success=False error="rate_limited: ProviderResponseError: status 429 Too Many Requests: {\"error\":{\"message\":\"slow down\"}}" event=llm_call_complete
    [time] INFO llm_call_complete phase=initial duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=1024 reasoning_tokens=64 provider=openai attempt=2 event=llm_call_complete
    [time] INFO tool_call_complete tool=multiply duration_ms=[duration] success=True worker_id=[second]_what-is-7-6 tool_call_id=call_1 event=tool_call_complete
    [time] WARN tool_call_complete tool=read_notes duration_ms=[duration] success=False worker_id=[second]_what-is-7-6 error="No such file or directory (os error 2)" tool_call_id=call_2 event=tool_call_complete
    [time] INFO llm_call_complete phase=synthesis duration_ms=[duration] worker_id=[second]_what-is-7-6 model=gpt-5-mini prompt_tokens=1400 completion_tokens=10 total_tokens=1410 provider=openai event=llm_call_complete
    "#);
}

#[test]
fn the_rig_adapters_own_tests_pass() {
    Project::in_folder("adapters", "rig").test();
}
