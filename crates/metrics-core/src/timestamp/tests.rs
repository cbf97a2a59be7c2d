//! Timestamps against the `time` crate, which knows nothing of this code.

use proptest::prelude::*;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Timestamp, parse, parse_canonical};

fn judge(timestamp: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp.unix_micros()) * 1000).unwrap()
}

proptest! {
    #[test]
    fn any_time_is_written_as_the_time_crate_reads_it(
        micros in Timestamp::MIN.unix_micros()..=Timestamp::MAX.unix_micros(),
    ) {
        let timestamp = Timestamp::from_unix_micros(micros);
        let text = timestamp.to_string();
        prop_assert_eq!(text.len(), 27);
        prop_assert_eq!(OffsetDateTime::parse(&text, &Rfc3339).unwrap(), judge(timestamp));
        prop_assert_eq!(text.parse::<Timestamp>().unwrap(), timestamp);
    }

    #[test]
    fn a_time_near_another_reuses_its_date_rightly(
        micros in Timestamp::MIN.unix_micros()..=Timestamp::MAX.unix_micros(),
        more in 0_i64..200_000_000_000,
    ) {
        let start = Timestamp::from_unix_micros(micros);
        let _ = start.to_string(); // Its date is remembered.
        let end = start.plus_micros(more);
        let text = end.to_string();
        prop_assert_eq!(OffsetDateTime::parse(&text, &Rfc3339).unwrap(), judge(end));
        let canonical = |it: Timestamp| parse_canonical(it.to_string().as_bytes().first_chunk().unwrap());
        prop_assert_eq!(canonical(start), Some(start));
        prop_assert_eq!(canonical(end), Some(end));
    }

    #[test]
    fn what_the_quick_way_reads_the_careful_one_reads_too(
        text in "[0-9]{4}[-.][0-9]{2}-[0-9]{2}[Tt:][0-9]{2}[:;][0-9]{2}:[0-9]{2}[./][0-9]{5}[0-9:/][Zz]",
    ) {
        let quick = parse_canonical(text.as_bytes().first_chunk().unwrap());
        let careful = parse(text.as_bytes());
        // It knows neither other forms nor leap seconds.
        prop_assert!(quick.is_none() || quick == careful, "{quick:?} {careful:?}");
    }

    #[test]
    fn any_text_is_a_time_or_an_error(text in ".{0,40}") {
        let _ = text.parse::<Timestamp>();
    }

    #[test]
    fn texts_near_a_time_are_read_as_the_time_crate_reads_them(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-5][0-9])",
    ) {
        let ours = text.parse::<Timestamp>().ok().map(judge);
        // The `time` crate keeps nanoseconds and refuses what leaves its own range of years.
        let theirs = OffsetDateTime::parse(&text, &Rfc3339)
            .ok()
            .map(|it| it.replace_nanosecond(it.nanosecond() / 1000 * 1000).unwrap());
        if let Some(theirs) = theirs.filter(|it| (1..9999).contains(&it.year())) {
            prop_assert_eq!(ours, Some(theirs));
        }
    }
}

#[test]
fn foreign_forms_are_the_same_moment() {
    let expected: Timestamp = "2025-12-15T04:08:00.000000Z".parse().unwrap();
    for text in [
        "2025-12-15T04:08:00Z",
        "2025-12-15T04:08:00+00:00",
        "2025-12-15 05:08:00.0+01:00",
        "2025-12-15t03:38:00.0000009-0030",
        "2025-12-15T04:07:60z",
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_moment_is_refused() {
    for text in [
        "",
        "2025-12-15",
        "2025-12-15T04:08:08",
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-12-00T00:00:00Z",
        "2025-12-15T24:00:00Z",
        "2025-12-15T04:08:08.Z",
        "2025-12-15T04:08:08Zulu",
        "2025-12-15T04:08:08+0é:00",
        "12025-12-15T04:08:08Z",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}

#[test]
fn times_out_of_range_stay_at_its_ends() {
    assert_eq!(
        Timestamp::from_unix_micros(i64::MIN).to_string(),
        "0000-01-01T00:00:00.000000Z"
    );
    assert_eq!(
        Timestamp::from_unix_micros(i64::MAX).to_string(),
        "9999-12-31T23:59:59.999999Z"
    );
    assert_eq!(Timestamp::MAX.plus_micros(1), Timestamp::MAX);
}
