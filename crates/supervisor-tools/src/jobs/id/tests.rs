//! Job numbers as text and as JSON.

use super::{JobId, JobIdError};

#[test]
fn a_number_has_one_spelling() {
    for text in ["1", "9", "10", "123", "9007199254740991"] {
        let id: JobId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(JobId::from_sql(id.to_sql()), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), text);
        assert_eq!(serde_json::from_str::<JobId>(text).unwrap(), id);
    }
    assert_eq!("9007199254740991".parse(), Ok(JobId::MAX));
}

#[test]
fn any_other_text_is_no_number() {
    let huge = format!("1{}", "0".repeat(400));
    for text in [
        "",
        "0",
        "00",
        "0123",
        "-0",
        "-1",
        "+1",
        "1.0",
        "1e3",
        " 1",
        "1 ",
        "1\n",
        "1\0",
        "\u{ff11}\u{ff12}",
        "٣",
        "0x1",
        "1_000",
        "NaN",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        &huge,
    ] {
        assert_eq!(text.parse::<JobId>(), Err(JobIdError), "{text:?}");
    }
}

#[test]
fn json_that_is_no_whole_number_in_range_is_refused() {
    for json in [
        "0",
        "-0",
        "-1",
        "1.0",
        "1e0",
        "\"1\"",
        "null",
        "true",
        "[1]",
        "9007199254740992",
        "1e400",
    ] {
        assert!(serde_json::from_str::<JobId>(json).is_err(), "{json}");
    }
}

#[test]
fn a_row_number_out_of_range_is_refused() {
    for number in [0, -1, i64::MIN, i64::MAX, 1 << 53] {
        assert_eq!(JobId::from_sql(number), Err(JobIdError), "{number}");
    }
}
