//! The time on a fixed clock.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use worker_runner::Tool;

use super::GetCurrentTime;

fn at(seconds: u64) -> GetCurrentTime {
    GetCurrentTime::with_clock(move || UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 999))
}

#[tokio::test]
async fn utc_to_the_second() {
    let tool = at(1_765_771_688);
    assert_eq!(tool.call(json!({})).await.unwrap(), "2025-12-15T04:08:08Z");
    let utc = json!({"utc_offset": 0});
    assert_eq!(tool.call(utc).await.unwrap(), "2025-12-15T04:08:08Z");
}

#[tokio::test]
async fn other_offsets_are_the_same_moment() {
    let tool = at(1_765_771_688);
    for (minutes, expected) in [
        (60, "2025-12-15T05:08:08+01:00"),
        (-330, "2025-12-14T22:38:08-05:30"),
        (1439, "2025-12-16T04:07:08+23:59"),
    ] {
        let arguments = json!({"utc_offset": minutes});
        assert_eq!(tool.call(arguments).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_offset_that_is_none_is_refused() {
    for offset in [
        json!(1440),
        json!(-1440),
        json!(1.5),
        json!(u64::MAX),
        json!("60"),
    ] {
        let err = at(0)
            .call(json!({"utc_offset": offset}))
            .await
            .unwrap_err()
            .to_string();
        let expected =
            "bad arguments: `utc_offset` must be a whole number from -1439 to 1439, not ";
        assert!(err.starts_with(expected), "{err}");
    }
}

#[tokio::test]
async fn a_clock_far_off_is_an_error_and_no_panic() {
    let before = GetCurrentTime::with_clock(|| UNIX_EPOCH - Duration::from_millis(1));
    assert_eq!(
        before.call(json!({})).await.unwrap(),
        "1969-12-31T23:59:59Z"
    );
    let late = GetCurrentTime::with_clock(|| UNIX_EPOCH + Duration::from_secs(1 << 40));
    assert!(late.call(json!({})).await.is_err());
    let last = at(253_402_300_799);
    assert!(last.call(json!({"utc_offset": 60})).await.is_err());
}
