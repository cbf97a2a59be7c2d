//! Known stamps, the edges of the calendar, and the way back.

use super::*;
use proptest::prelude::*;

fn text(unix_seconds: i64) -> String {
    String::from_utf8(stamp(unix_seconds).to_vec()).unwrap()
}

#[test]
fn known_stamps() {
    assert_eq!(text(0), "1970-01-01 00:00:00");
    assert_eq!(text(1_765_768_773), "2025-12-15 03:19:33");
    assert_eq!(text(951_827_696), "2000-02-29 12:34:56");
    assert_eq!(text(-1), "1969-12-31 23:59:59");
}

#[test]
fn years_outside_four_digits_are_clamped() {
    for far in [i64::MIN, SECONDS_RANGE.0 - 1, SECONDS_RANGE.0] {
        assert_eq!(text(far), "0000-01-01 00:00:00");
    }
    for far in [i64::MAX, SECONDS_RANGE.1 + 1, SECONDS_RANGE.1] {
        assert_eq!(text(far), "9999-12-31 23:59:59");
    }
}

#[test]
fn dates_that_do_not_exist_are_refused() {
    for wrong in [
        "2025-02-29 00:00:00",
        "2025-00-01 00:00:00",
        "2025-13-01 00:00:00",
        "2025-01-32 00:00:00",
        "2025-01-01 24:00:00",
        "2025-01-01 00:60:00",
        "2025-01-01 00:00:60",
        "2025-01-01T00:00:00",
        "2025-01-01 00:00:0",
        "2025-01-01 00:00:0\u{661}",
        "",
    ] {
        assert_eq!(parse_stamp(wrong.as_bytes()), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn every_stamp_reads_back(seconds in SECONDS_RANGE.0..=SECONDS_RANGE.1) {
        prop_assert_eq!(parse_stamp(&stamp(seconds)), Some(seconds));
    }
}
