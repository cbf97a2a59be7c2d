//! What a check found: how it is kept, and how it is shown.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Something was lost, or is not as it should be; work goes on.
    Warn,
    /// Something does not work.
    Fail,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    #[serde(rename = "status")]
    pub(super) level: Level,
    /// What was looked at and found, on one line.
    pub(super) found: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
    /// The file or directory it is about; JSON knows no bytes that are not UTF-8, so these are replaced.
    pub(super) path: Option<String>,
}

/// Findings of one kind that are shown to a person; a program gets them all.
const SHOWN: usize = 5;

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            found: found.into(),
            advice: None,
            path: None,
        }
    }

    pub(super) fn warn(check: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Self {
            level: Level::Warn,
            advice: Some(advice.to_owned()),
            ..Self::ok(check, found)
        }
    }

    pub(super) fn fail(check: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(check, found, advice)
        }
    }

    pub(super) fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().display().to_string());
        self
    }
}

/// Of a check: `problems`, or that there are none.
pub(super) fn or_ok(
    problems: Vec<Finding>,
    check: &'static str,
    found: impl Into<String>,
) -> Vec<Finding> {
    if problems.is_empty() {
        vec![Finding::ok(check, found)]
    } else {
        problems
    }
}

/// `1 worker`, `2 workers`.
pub(super) fn count(n: impl TryInto<u64>, what: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// The findings for a person: a line each, an advice below the last line that it is for, and a last line that sums up.
pub(super) fn report(findings: &[Finding], all: bool) -> String {
    let mut text = String::new();
    let width = findings.iter().map(|it| it.check.len()).max().unwrap_or(0);
    for same in
        findings.chunk_by(|one, other| (one.check, &one.advice) == (other.check, &other.advice))
    {
        let shown = if all { same.len() } else { SHOWN };
        for it in same.iter().take(shown) {
            let level = match it.level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Fail => "fail",
            };
            let _ = writeln!(text, "{level:4}  {:width$}  {}", it.check, it.found);
        }
        if same.len() > shown {
            let more = same.len() - shown;
            let _ = writeln!(
                text,
                "      {:width$}  and {more} more like these (--json shows all)",
                ""
            );
        }
        if let Some(advice) = &same[0].advice {
            let _ = writeln!(text, "      {:width$}  -> {advice}", "");
        }
    }
    let mut checks: BTreeMap<&str, Level> = BTreeMap::new();
    for it in findings {
        let worst = checks.entry(it.check).or_insert(it.level);
        *worst = it.level.max(*worst);
    }
    let of = |level| checks.values().filter(|it| **it == level).count();
    let (warned, failed) = (of(Level::Warn), of(Level::Fail));
    let _ = match (warned, failed) {
        (0, 0) => write!(text, "\n{}: all is well.", count(checks.len(), "check")),
        _ => write!(
            text,
            "\n{}: {} ok, {warned} to look at, {failed} failed.",
            count(checks.len(), "check"),
            of(Level::Ok)
        ),
    };
    text
}
