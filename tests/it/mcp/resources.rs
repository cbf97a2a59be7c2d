//! Workers' files as resources: a list in pages, whole files in parts.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::stdio_client::StdioServer;

#[test]
fn all_files_of_the_newest_workers_are_listed_once() {
    let mut server = StdioServer::ready(&[]);
    for n in 0..25 {
        let arguments =
            json!({"task": format!("calculate {n}+1"), "wait": true, "wait_seconds": 600});
        server.text("spawn_worker", &arguments);
    }
    let mut pages = 0;
    let mut listed: Vec<Value> = Vec::new();
    let mut params = json!({});
    loop {
        let page = server.result("resources/list", &params);
        pages += 1;
        listed.extend(page["resources"].as_array().unwrap().iter().cloned());
        match page.get("nextCursor") {
            None => break,
            Some(cursor) => params = json!({"cursor": cursor}),
        }
    }
    assert_eq!(pages, 2);
    let uris: BTreeSet<_> = listed
        .iter()
        .map(|it| it["uri"].as_str().unwrap())
        .collect();
    assert_eq!(uris.len(), listed.len(), "a file is there twice");
    let results = uris.iter().filter(|it| it.ends_with("/result.txt"));
    assert_eq!(results.count(), 25);
    // Each can be read, and is as long as the list says.
    for resource in listed
        .iter()
        .filter(|it| !it["name"].as_str().unwrap().ends_with("activity.json"))
    {
        let read = server.result("resources/read", &json!({"uri": resource["uri"]}));
        let text = read["contents"][0]["text"].as_str().unwrap();
        assert_eq!(resource["size"], text.len(), "{resource}");
        assert_eq!(resource["mimeType"], read["contents"][0]["mimeType"]);
    }
}

#[test]
fn a_long_file_is_read_in_parts_that_say_where_they_go_on() {
    let mut server = StdioServer::ready(&[]);
    let spawned = server.call(
        "spawn_worker",
        &json!({"task": "calculate 7*6", "wait": true}),
    );
    let worker_id = spawned["structuredContent"]["worker_id"].as_str().unwrap();
    let whole = "a line like any other\n".repeat(50_000);
    fs::write(
        server.data_dir().join(worker_id).join("long file.txt"),
        &whole,
    )
    .unwrap();
    let mut uri = format!("triscope://workers/{worker_id}/long%20file.txt");
    let mut read = String::new();
    let mut parts = 0;
    loop {
        let result = server.result("resources/read", &json!({"uri": uri}));
        let contents = result["contents"].as_array().unwrap();
        read.push_str(contents[0]["text"].as_str().unwrap());
        parts += 1;
        let Some(rest) = contents.get(1) else { break };
        uri = rest["uri"].as_str().unwrap().to_owned();
        let note = rest["text"].as_str().unwrap();
        assert!(
            note.contains(&format!("of {} bytes; go on with {uri}]", whole.len())),
            "{note}"
        );
    }
    assert_eq!(parts, whole.len().div_ceil(256 << 10));
    assert_eq!(read, whole);
}

#[test]
fn a_file_is_found_by_its_job_and_by_its_templates() {
    let mut server = StdioServer::ready(&[]);
    server.text(
        "spawn_worker",
        &json!({"task": "calculate 7*6", "wait": true}),
    );
    let read = server.result(
        "resources/read",
        &json!({"uri": "triscope://jobs/1/result.txt"}),
    );
    assert_eq!(read["contents"][0]["text"], "The result is 42.");
    let templates = server.result("resources/templates/list", &json!({}));
    let templates: Vec<_> = templates["resourceTemplates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["uriTemplate"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        templates,
        [
            "triscope://workers/{worker_id}/{+path}{?offset}",
            "triscope://jobs/{job_id}/{+path}{?offset}"
        ]
    );
}
