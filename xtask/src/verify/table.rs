//! Rows of counts under headings, aligned.

use std::time::Duration;

use super::tally::Tally;

#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) tally: Tally,
    /// Absent where nothing measured them; shown as `-`.
    pub(super) elapsed: Option<Duration>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
}

/// The table, a line for each row; sections without rows are left out.
pub(super) fn render(sections: &[Section]) -> String {
    let labels = sections
        .iter()
        .flat_map(|section| &section.rows)
        .map(|row| &row.label);
    let width = labels
        .map(|label| label.chars().count())
        .max()
        .unwrap_or_default();
    let headings = ["passed", "failed", "skipped", "seconds"].map(str::to_owned);
    let mut lines = vec![line("", width, &headings)];
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        lines.push(format!("{}\n", section.title));
        for row in &section.rows {
            let Tally {
                passed,
                failed,
                skipped,
            } = row.tally;
            let seconds = row.elapsed.map(|it| format!("{:.2}", it.as_secs_f64()));
            let cells = [
                passed.to_string(),
                failed.to_string(),
                skipped.to_string(),
                seconds.unwrap_or_else(|| "-".to_owned()),
            ];
            lines.push(line(&row.label, width, &cells));
        }
    }
    lines.concat()
}

fn line(label: &str, width: usize, cells: &[String; 4]) -> String {
    let [passed, failed, skipped, seconds] = cells;
    format!("  {label:width$}  {passed:>7} {failed:>7} {skipped:>7} {seconds:>8}\n")
}

#[cfg(test)]
mod tests;
