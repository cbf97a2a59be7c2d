//! What can be given for `job_id`, and what cannot.

use serde_json::{Value, json};

use super::support::Office;

const TOOLS: [&str; 5] = [
    "read_worker_result",
    "read_worker_file",
    "get_worker_metadata",
    "worker_metrics",
    "cancel_worker",
];

fn arguments(tool: &str, job_id: &Value) -> Value {
    match tool {
        "read_worker_file" => json!({"job_id": job_id, "file_path": "result.txt"}),
        _ => json!({"job_id": job_id}),
    }
}

#[tokio::test]
async fn whatever_names_no_job_is_not_found() {
    let office = Office::new();
    office.done("calculate 7*6").await;
    let huge = format!("1{}", "0".repeat(400));
    let long = "x".repeat(100_000);
    for (job_id, shown) in [
        (json!(5), "5"),
        (json!("5"), "5"),
        (json!(0), "0"),
        (json!(-1), "-1"),
        (json!("-0"), "-0"),
        (json!(1.0), "1.0"),
        (json!("1.0"), "1.0"),
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
        (json!("9007199254740993"), "9007199254740993"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(1e300), "1e+300"),
        (json!("0123"), "0123"),
        (json!("01"), "01"),
        (json!("１"), "１"),
        (json!("+1"), "+1"),
        (json!(" 1"), " 1"),
        (json!("1\n"), "1 "),
        (json!("0x1"), "0x1"),
        (json!("1e0"), "1e0"),
        (json!(""), ""),
        (json!(true), "true"),
        (json!([1]), "[1]"),
        (json!({"id": 1}), r#"{"id":1}"#),
        (
            json!("2025-12-15T04-08-08_calculate"),
            "2025-12-15T04-08-08_calculate",
        ),
        (
            json!("2025-12-15T04-08-08_calculate-7-6/"),
            "2025-12-15T04-08-08_calculate-7-6/",
        ),
        (json!(".triscope"), ".triscope"),
        (json!(".."), ".."),
        (json!("../x"), "../x"),
        (json!("'; DROP TABLE jobs; --"), "'; DROP TABLE jobs; --"),
        (json!("\u{1b}[31m"), "\\u{1b}[31m"),
        (json!("\u{202e}x"), "\\u{202e}x"),
        (json!("a\0b"), "a\\u{0}b"),
        (json!(huge), &format!("{}…", &huge[..99])),
        (json!(long), &format!("{}…", &long[..99])),
    ] {
        for tool in TOOLS {
            assert_eq!(
                office.call(tool, arguments(tool, &job_id)).await,
                format!("Error: job {shown} not found. Use list_workers to see job ids."),
                "{tool} {job_id}"
            );
        }
    }
    for tool in TOOLS {
        for none in [json!({}), json!({"job_id": null}), Value::Null] {
            assert_eq!(
                office.call(tool, none).await,
                "Error: argument `job_id` is missing. Use list_workers to see job ids."
            );
        }
    }
}
