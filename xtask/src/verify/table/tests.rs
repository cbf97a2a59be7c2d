//! The table and the closing line, to the character.

use super::*;

fn row(
    label: &str,
    passed: usize,
    failed: usize,
    skipped: usize,
    elapsed: Option<Duration>,
) -> Row {
    Row {
        label: label.to_owned(),
        tally: Tally {
            passed,
            failed,
            skipped,
        },
        elapsed,
    }
}

#[test]
fn rows_are_aligned_under_their_section() {
    let sections = [
        Section {
            title: "tiers",
            rows: vec![
                row("Tier 1 always visible", 12, 0, 1, None),
                row("Tier 2", 3, 1, 0, None),
            ],
        },
        Section {
            title: "capabilities",
            rows: Vec::new(),
        },
        Section {
            title: "unit tests",
            rows: vec![row(
                "metrics-core",
                1204,
                0,
                0,
                Some(Duration::from_millis(1250)),
            )],
        },
    ];
    let expected = "
                          passed  failed skipped  seconds
tiers
  Tier 1 always visible       12       0       1        -
  Tier 2                       3       1       0        -
unit tests
  metrics-core              1204       0       0     1.25
";
    assert_eq!(render(&sections), expected[1..]);
}

#[test]
fn the_closing_line_names_skips_only_when_there_are_any() {
    let tally = Tally {
        passed: 3,
        failed: 0,
        skipped: 0,
    };
    assert_eq!(tally.to_string(), "3 passed, 0 failed");
    assert_eq!(
        Tally {
            skipped: 2,
            ..tally
        }
        .to_string(),
        "3 passed, 0 failed, 2 skipped"
    );
}
