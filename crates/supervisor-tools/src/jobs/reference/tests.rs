//! What a supervisor may give for `job_id`.

use serde_json::json;

use super::JobRef;
use crate::jobs::test_support::HOSTILE;

#[test]
fn digits_are_a_job_and_other_names_a_worker() {
    assert_eq!(
        JobRef::parse("123"),
        Ok(JobRef::Job(123.try_into().unwrap()))
    );
    for text in [
        "2025-12-15T04-08-08_calculate-7-6",
        "2025-12-15T04-08-08_2-backup",
        "backup",
        // Numbers to somebody, but not job numbers: no worker has such an id, so they are not found.
        "-0",
        "+1",
        "1.0",
        "1e3",
        "\u{ff11}\u{ff12}\u{ff13}",
        " 1",
    ] {
        let parsed = JobRef::parse(text).unwrap();
        assert_eq!(parsed, JobRef::Worker(text.into()));
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn what_no_job_and_no_directory_can_be_called_is_refused() {
    let (huge, long) = (format!("1{}", "0".repeat(400)), "x".repeat(256));
    for text in [
        "",
        "0",
        "0123",
        "9007199254740993",
        &huge,
        &long,
        ".",
        "..",
        ".triscope",
        "../2025",
        "a/b",
        "/etc",
        "a\0b",
    ] {
        let message = JobRef::parse(text).unwrap_err().to_string();
        assert!(message.contains("`list_workers`"), "{message}");
        assert!(message.len() < 400, "{}", message.len());
        assert!(!message.contains('\0'), "{message:?}");
    }
}

#[test]
fn json_is_a_number_or_a_string() {
    let job = JobRef::Job(5.try_into().unwrap());
    assert_eq!(JobRef::from_json(&json!(5)).as_ref(), Ok(&job));
    assert_eq!(JobRef::from_json(&json!("5")), Ok(job));
    assert_eq!(
        JobRef::from_json(&json!("2025_x")),
        Ok(JobRef::Worker("2025_x".into()))
    );
    for value in [
        json!(0),
        json!(-1),
        json!(1.0),
        json!(-0.0),
        json!(1e300),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(null),
        json!(true),
        json!([5]),
        json!({"job_id": 5}),
        json!("0123"),
    ] {
        assert!(JobRef::from_json(&value).is_err(), "{value}");
    }
}

#[test]
fn hostile_texts_are_a_worker_or_refused() {
    for text in HOSTILE {
        if let Ok(parsed) = JobRef::parse(text) {
            assert_eq!(parsed, JobRef::Worker((*text).into()));
        }
    }
}
