//! Tokens: who has none gets nothing, who has one sees its owner's workers alone, and no token is ever shown.

use std::fs;

use serde_json::json;

use super::http_client::{HttpServer, message};
use crate::support::{finish, triscope};

const ANA: &str = "ana-0123456789abcdef";
const BO: &str = "bo-0123456789abcdef";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn without_its_token_nobody_gets_anything() {
    let server = HttpServer::with_tokens(&[("ana", ANA), ("bo", BO)]);
    let ping = message(1, "ping", &json!({}));
    let (cut, longer) = (bearer(&ANA[..19]), bearer(&format!("{ANA}0")));
    let basic = format!("Basic {ANA}");
    let good = bearer(ANA);
    for headers in [
        vec![],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", ANA)],
        vec![("authorization", &*basic)],
        vec![("authorization", &*cut)],
        vec![("authorization", &*longer)],
        vec![("authorization", &*good), ("authorization", &*good)],
        vec![("authorization", "Bearer \u{e4}\u{f6}\u{fc}")],
    ] {
        let response = server.post(&headers, &ping);
        assert_eq!(response.status, 401, "{headers:?}: {response:?}");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
    let mixed = format!("bEARER  {ANA}");
    for good in [&*good, &mixed] {
        let session = server.session(&[("authorization", good)]);
        assert_eq!(session.answer("ping", &json!({}))["result"], json!({}));
    }
}

#[test]
fn each_token_sees_its_owners_workers_and_sessions_alone() {
    let server = HttpServer::with_tokens(&[("ana", ANA), ("bo", BO)]);
    let (ana_token, bo_token) = (bearer(ANA), bearer(BO));
    let ana = server.session(&[("authorization", &*ana_token)]);
    let bo = server.session(&[("authorization", &*bo_token)]);
    let arguments = json!({"task": "calculate 7*6", "wait": true, "wait_seconds": 600});
    let worker_id = ana.call("spawn_worker", &arguments)["structuredContent"]["worker_id"].clone();
    let list = bo.call("list_workers", &json!({}));
    assert_eq!(list["structuredContent"], json!({"workers": []}));
    assert_eq!(
        bo.answer("resources/list", &json!({}))["result"]["resources"],
        json!([])
    );
    for job in [json!(1), worker_id.clone()] {
        let result = bo.call("read_worker_result", &json!({"job_id": job}));
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(
            text.ends_with("not found. Use list_workers to see job ids."),
            "{text}"
        );
    }
    let uri = format!(
        "triscope://workers/{}/result.txt",
        worker_id.as_str().unwrap()
    );
    let hidden = bo.answer("resources/read", &json!({"uri": uri}));
    assert_eq!(hidden["error"]["code"], -32002, "{hidden}");
    // Another one's session is no session.
    let mut stolen = ana.headers();
    stolen.retain(|it| it.0 != "authorization");
    stolen.push(("authorization", &bo_token));
    let response = server.post(&stolen, &message(1, "ping", &json!({})));
    assert_eq!(response.status, 404, "{response:?}");
    // No token is in what the server leaves behind.
    let log = fs::read_to_string(server.data_dir().join(".triscope/triscope.log")).unwrap();
    assert!(!log.contains("0123456789abcdef"), "{log}");
}

#[test]
fn a_token_may_come_in_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    for (token, problem) in [
        ("short", "shorter than"),
        ("0123456789abcdef ä", "consists of"),
    ] {
        let mut command = triscope(["mcp", "--http", "0", "--data-dir"]);
        command.arg(dir.path()).env("TRISCOPE_MCP_TOKEN", token);
        let refused = finish(&mut command).expect(2);
        assert!(refused.stderr.contains(problem), "{refused:#?}");
        assert!(!refused.stderr.contains("0123456789"), "{refused:#?}");
    }
}

#[test]
fn a_file_without_usable_tokens_is_refused_with_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    for (text, problem) in [
        ("", "there is no token"),
        ("ana", "line 1: give an owner and a token"),
        (
            "ana 0123456789abcdef\nbo 0123456789abcdef",
            "line 2: the token is there twice",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let mut command = triscope(["mcp", "--http", "0", "--tokens"]);
        command
            .arg(&file)
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .env_remove("TRISCOPE_MCP_TOKEN");
        let refused = finish(&mut command).expect(2);
        assert!(refused.stderr.contains(problem), "{refused:#?}");
        assert!(!refused.stderr.contains("0123456789"), "{refused:#?}");
    }
    let mut command = triscope([
        "mcp",
        "--http",
        "0",
        "--tokens",
        "no-such-file",
        "--data-dir",
    ]);
    let refused = finish(command.arg(dir.path().join("data"))).expect(2);
    assert!(refused.stderr.contains("no-such-file"), "{refused:#?}");
}
