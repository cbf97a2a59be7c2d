//! What a run ends with: the steps, what was verified, what was skipped, what failed, and the counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    libtest::{Binary, Outcome, Test},
    options::Scope,
    run::StepResult,
    steps::Suite,
    table::{self, Row, Section},
    tally::Tally,
};

/// The three tiers, by the start of their modules' names.
const TIERS: &[(u8, &str, &str)] = &[
    (1, "tier1_", "Tier 1 always visible"),
    (2, "tier2_", "Tier 2 progressive disclosure"),
    (3, "tier3_", "Tier 3 dev telemetry"),
];

#[derive(Debug)]
pub(super) struct Report {
    pub(super) scope: Scope,
    pub(super) results: Vec<StepResult>,
}

impl Report {
    pub(super) fn is_green(&self) -> bool {
        self.results.iter().all(StepResult::is_green)
    }

    /// Each test once: of a repeated run only the failures count.
    fn total(&self) -> Tally {
        let mut res = Tally::default();
        for result in &self.results {
            let counted = tests_of(result).filter(|test| {
                result.suite != Some(Suite::Repeat) || test.outcome == Outcome::Failed
            });
            counted.for_each(|test| res.add(test));
            res.failed += result.problems.len();
            res.skipped += usize::from(result.skipped.is_some());
        }
        res
    }

    fn sections(&self) -> Vec<Section> {
        vec![
            Section {
                title: "tiers",
                rows: self.tier_rows(),
            },
            Section {
                title: "capabilities",
                rows: self.capability_rows(),
            },
            Section {
                title: "unit tests",
                rows: self.crate_rows(Suite::Unit),
            },
            Section {
                title: "doctests",
                rows: self.crate_rows(Suite::Doc),
            },
        ]
    }

    /// A tier that was asked for has its row even when nothing ran: that is worth seeing.
    fn tier_rows(&self) -> Vec<Row> {
        let wanted = TIERS.iter().filter(|(number, ..)| match self.scope {
            Scope::Tier(only) => only == *number,
            Scope::Quick | Scope::Standard | Scope::Full => true,
        });
        wanted
            .map(|(_, prefix, title)| {
                let of_tier = |test: &&Test| test.name.starts_with(prefix);
                let tally = Tally::of(self.integration_tests().filter(of_tier));
                // libtest has seconds for a run only; each tier has one of its own.
                let runs = self.integration_binaries().filter(|binary| {
                    !binary.tests.is_empty() && binary.tests.iter().all(|test| of_tier(&test))
                });
                Row {
                    label: (*title).to_owned(),
                    tally,
                    elapsed: runs.map(|binary| binary.elapsed).reduce(|sum, it| sum + it),
                }
            })
            .collect()
    }

    fn capability_rows(&self) -> Vec<Row> {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for test in self.integration_tests() {
            let module = test.name.split("::").next().unwrap_or_default();
            if !TIERS
                .iter()
                .any(|(_, prefix, _)| module.starts_with(prefix))
            {
                tallies.entry(module).or_default().add(test);
            }
        }
        let row = |(module, tally): (&str, Tally)| Row {
            label: module.to_owned(),
            tally,
            elapsed: None, // libtest has no seconds for a module.
        };
        tallies.into_iter().map(row).collect()
    }

    fn crate_rows(&self, suite: Suite) -> Vec<Row> {
        let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
        let results = self
            .results
            .iter()
            .filter(|result| result.suite == Some(suite));
        for binary in results.flat_map(|result| &result.binaries) {
            let row = rows.entry(&binary.name).or_insert_with(|| Row {
                label: binary.name.clone(),
                tally: Tally::default(),
                elapsed: None,
            });
            binary.tests.iter().for_each(|test| row.tally.add(test));
            row.elapsed = Some(row.elapsed.unwrap_or_default() + binary.elapsed);
        }
        rows.into_values().collect()
    }

    fn integration_tests(&self) -> impl Iterator<Item = &Test> {
        self.integration_binaries().flat_map(|binary| &binary.tests)
    }

    fn integration_binaries(&self) -> impl Iterator<Item = &Binary> {
        let results = self
            .results
            .iter()
            .filter(|result| result.suite == Some(Suite::Integration));
        results.flat_map(|result| &result.binaries)
    }

    /// `module::test: reason`, once for each test, and the steps that were skipped whole.
    fn skips(&self) -> BTreeSet<String> {
        let steps = self.results.iter().filter_map(|result| {
            let reason = result.skipped.as_ref()?;
            Some(format!("{}: {reason}", result.name))
        });
        let skips = self
            .results
            .iter()
            .flat_map(tests_of)
            .filter_map(|test| match &test.outcome {
                Outcome::Skipped(reason) => Some(format!("{}: {reason}", test.name)),
                Outcome::Passed | Outcome::Failed => None,
            });
        skips.chain(steps).collect()
    }

    /// Tests that failed in one run of the integration package and passed in another.
    fn flaky_tests(&self) -> Vec<String> {
        let mut runs: BTreeMap<&str, Tally> = BTreeMap::new();
        for result in &self.results {
            if matches!(result.suite, Some(Suite::Integration | Suite::Repeat)) {
                tests_of(result).for_each(|test| runs.entry(&test.name).or_default().add(test));
            }
        }
        runs.into_iter()
            .filter(|(_, tally)| tally.failed > 0 && tally.passed > 0)
            .map(|(name, tally)| {
                format!(
                    "{name} failed in {} of {} runs",
                    tally.failed,
                    tally.passed + tally.failed
                )
            })
            .collect()
    }
}

fn tests_of(result: &StepResult) -> impl Iterator<Item = &Test> {
    result.binaries.iter().flat_map(|binary| &binary.tests)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nsteps")?;
        let width = self
            .results
            .iter()
            .map(|it| it.name.len())
            .max()
            .unwrap_or_default();
        for result in &self.results {
            let (name, verdict) = (&result.name, result.verdict());
            writeln!(
                f,
                "  {name:width$}  {verdict:6} {:>8.1} s",
                result.elapsed.as_secs_f64()
            )?;
        }
        writeln!(f, "\nverified")?;
        f.write_str(&table::render(&self.sections()))?;

        list(f, "skipped", self.skips())?;
        list(f, "flaky", self.flaky_tests())?;
        if !self.is_green() {
            writeln!(f, "\nfailures")?;
        }
        for result in self.results.iter().filter(|result| !result.is_green()) {
            let log = result
                .log
                .as_ref()
                .map(|log| format!(" (log: {log})"))
                .unwrap_or_default();
            writeln!(f, "  {}{log}", result.name)?;
            for failure in result
                .failed_tests()
                .chain(result.problems.iter().map(String::as_str))
            {
                writeln!(f, "    {}", failure.replace('\n', "\n      "))?;
            }
        }
        writeln!(f, "\n{}", self.total())
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: impl IntoIterator<Item = String>,
) -> fmt::Result {
    let mut items = items.into_iter().peekable();
    if items.peek().is_some() {
        writeln!(f, "\n{title}")?;
    }
    items.try_for_each(|item| writeln!(f, "  {item}"))
}

#[cfg(test)]
mod tests;
