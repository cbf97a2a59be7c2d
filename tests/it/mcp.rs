//! The MCP server: real clients that are not ours, hostile ones, and what becomes of the workers.

mod clients;
mod http;
mod http_client;
mod http_hostile;
mod lifetimes;
mod resources;
mod stdio_client;
mod stdio_hostile;
mod tokens;

use serde_json::json;
use stub_server::{Answer, StubServer, openai};

use self::stdio_client::StdioServer;

#[test]
fn a_client_sees_what_a_worker_cost_as_text_and_as_data() {
    let counts = json!({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200});
    let reply = openai::text("42", counts);
    let model = StubServer::start(move |request| Answer::completion(request, &reply)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let prices = dir.path().join("prices.json");
    let set = json!({"input": 1, "output": 10});
    let table =
        json!({"providers": [{"id": "*", "models": [{"id": "m", "prices": [set]}]}]}).to_string();
    std::fs::write(&prices, table).unwrap();
    let (prices, url) = (prices.to_str().unwrap(), model.base_url());
    let options = ["--model", "m", "--base-url", &url, "--prices", prices];
    let mut server = StdioServer::ready(&options);
    let result = server.call("spawn_worker", &json!({"task": "x", "wait": true}));
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("\nUsage: 1 LLM call, 1,200 tokens, $0.0030\n"),
        "{text}"
    );
    assert_eq!(result["structuredContent"]["usage"]["cost_usd"], 0.003);
    let digest = server.text("worker_metrics", &json!({"job_id": 1}));
    assert!(digest.contains("\nCost: $0.00"), "{digest}");
    // A person who wants no such line says so to the server.
    let mut server = StdioServer::ready(&[&options[..], &["--no-usage"]].concat());
    let text = server.text("spawn_worker", &json!({"task": "x", "wait": true}));
    assert!(!text.contains("Usage: "), "{text}");
}
