//! Workers within workers, linked across processes.

use serde_json::Value;

use crate::{
    cli::{Place, metadata},
    support::{finish, program_path},
};

#[test]
fn a_worker_within_a_worker_is_its_child_in_the_trace() {
    let place = Place::new();
    let (data_dir, triscope) = (place.data_dir().to_str().unwrap(), program_path());
    let inner = [
        triscope.to_str().unwrap(),
        "--data-dir",
        data_dir,
        "exec",
        "--json",
        "--",
        "true",
    ];
    let outer = place
        .run(&[&["exec", "--json", "--"], &inner[..]].concat())
        .json();
    let inner: Value = serde_json::from_str(outer["result"].as_str().unwrap()).unwrap();
    let outer = metadata(&place.dir_of(&outer));
    let inner = metadata(&place.dir_of(&inner));
    assert_eq!(inner["trace_id"], outer["trace_id"]);
    assert_eq!(inner["parent_span_id"], outer["span_id"]);
    assert_eq!(inner["parent_worker_id"], outer["worker_id"]);
    assert_ne!(inner["span_id"], outer["span_id"]);
    assert_eq!(outer["parent_span_id"], Value::Null);
    assert_eq!(outer["parent_worker_id"], Value::Null);
}

#[test]
fn only_a_valid_traceparent_of_the_surroundings_is_taken() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    for (traceparent, is_taken) in [
        (format!("00-{TRACE}-{SPAN}-01"), true),
        (format!("00-{TRACE}-{SPAN}"), false),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
        ("nonsense".to_owned(), false),
    ] {
        let place = Place::new();
        let mut command = place.command(&["exec", "--", "true"]);
        finish(
            command
                .env("TRACEPARENT", &traceparent)
                .env("TRISCOPE_WORKER_ID", "outer"),
        )
        .answer();
        let metadata = place.only_metadata();
        assert_eq!(metadata["trace_id"] == TRACE, is_taken, "{traceparent}");
        assert_eq!(
            metadata["parent_span_id"] == SPAN,
            is_taken,
            "{traceparent}"
        );
        assert_eq!(
            metadata["parent_worker_id"] == "outer",
            is_taken,
            "{traceparent}"
        );
    }
}
