//! The same costs as those of the calculator that the prices come from.
//!
//! `data/cases.json` holds what it said when the table was made (`cargo xtask prices`). Where it is installed it is asked again.

use std::{fs::OpenOptions, io::Write as _, process::Command};

use metrics_core::Usage;
use serde::Deserialize;

use super::at;
use crate::{PriceTable, Unpriced};

/// Provider, model, moment, five counts, and what the calculator says.
#[derive(Debug, Deserialize)]
struct Case(
    Option<String>,
    String,
    String,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Outcome,
);

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Outcome {
    /// Provider, model, cost of the prompt, of the reply, of all.
    Cost([String; 5]),
    Unpriced(String),
}

impl Case {
    fn ours(&self, table: &PriceTable) -> Outcome {
        let usage = Usage {
            prompt_tokens: self.3,
            completion_tokens: self.4,
            total_tokens: None,
            cached_tokens: self.5,
            cache_write_tokens: self.6,
            reasoning_tokens: self.7,
        };
        match self.cost(table, &usage) {
            Ok(cost) => Outcome::Cost(cost),
            Err(Unpriced::Provider | Unpriced::Model) => Outcome::Unpriced("not found".to_owned()),
            Err(Unpriced::BadCounts) => Outcome::Unpriced("bad counts".to_owned()),
            Err(Unpriced::Tokens) => Outcome::Unpriced("no price".to_owned()),
            Err(other) => Outcome::Unpriced(other.to_string()),
        }
    }

    fn cost(&self, table: &PriceTable, usage: &Usage) -> Result<[String; 5], Unpriced> {
        let priced = table.find(self.0.as_deref(), &self.1)?;
        let cost = priced.cost(usage, at(&self.2))?;
        let sum = |parts: &[crate::Usd]| {
            let sum = parts
                .iter()
                .try_fold(crate::Usd::ZERO, |sum, it| sum.checked_add(*it));
            sum.unwrap().to_decimal().to_string()
        };
        let prompt = [cost.input, cost.cached, cost.cache_write];
        let reply = [cost.output, cost.reasoning];
        let all = [&prompt[..], &reply[..], &[cost.request]].concat();
        let total = cost.total().to_decimal().to_string();
        assert_eq!(sum(&all), total, "the parts are the whole: {self:?}");
        // It names the provider that was asked, we the one whose price it is: they differ where one falls back to another.
        let provider = match self.0.as_deref() {
            Some(asked) if asked != priced.provider_id() => asked.to_owned(),
            _ => priced.provider_id().to_owned(),
        };
        Ok([
            provider,
            priced.model_id().to_owned(),
            sum(&prompt),
            sum(&reply),
            total,
        ])
    }
}

/// Compares, and gives how many cases had a cost.
fn compare(cases: &str) -> usize {
    let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
    let table = PriceTable::builtin();
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let ours = case.ours(&table);
            (ours != case.8).then(|| format!("{case:?}\nours: {ours:?}"))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    cases
        .iter()
        .filter(|it| matches!(it.8, Outcome::Cost(_)))
        .count()
}

#[test]
fn five_hundred_calls_cost_what_the_source_says() {
    let cases = include_str!("../../data/cases.json");
    assert_eq!(cases.lines().count(), 502);
    assert!(compare(cases) >= 300, "most of them have a cost");
}

#[test]
fn where_the_source_is_installed_thousands_more_do() {
    let python = std::env::var("TRISCOPE_GENAI_PRICES_PYTHON");
    let python = python.as_deref().unwrap_or("python3");
    // Where what CI runs installs it.
    let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/prices");
    let asked = |args: &[&str]| {
        Command::new(python)
            .env("PYTHONPATH", packages)
            .args(args)
            .output()
    };
    let table = PriceTable::builtin();
    let version = &table.sources().next().unwrap().version;
    let check = format!(
        "from importlib.metadata import version; assert version('genai-prices') == '{version}'"
    );
    let has_it = asked(&["-c", &check]);
    if !has_it.is_ok_and(|it| it.status.success()) {
        skip(&format!(
            "`{python}` has no genai-prices {version}; name one that has in TRISCOPE_GENAI_PRICES_PYTHON"
        ));
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/data/generate.py");
    let cases = asked(&[script, "cases", "20261124", "5000"]).unwrap();
    assert!(
        cases.status.success(),
        "{}",
        String::from_utf8_lossy(&cases.stderr)
    );
    assert!(compare(&String::from_utf8(cases.stdout).unwrap()) >= 3000);
}

/// Makes the test above a visible skip of the suite, which reads that file.
fn skip(reason: &str) {
    let Some(file) = std::env::var_os("TRISCOPE_SKIP_FILE") else {
        return;
    };
    let line =
        format!("tests::source::where_the_source_is_installed_thousands_more_do\t{reason}\n");
    let file = OpenOptions::new().append(true).create(true).open(file);
    file.and_then(|mut it| it.write_all(line.as_bytes()))
        .unwrap();
}
