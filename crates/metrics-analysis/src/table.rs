//! An answer as rows and columns, and the forms it can be printed in.

use std::{fmt::Write as _, str::FromStr};

use metrics_core::with_commas;
use model_prices::{CostSum, Usd};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// An array of objects.
    Json,
    /// An object a line.
    Jsonl,
    /// With a line of names first (RFC 4180).
    Csv,
    /// For a page.
    Markdown,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "table" => Self::Table,
            "json" => Self::Json,
            "jsonl" => Self::Jsonl,
            "csv" => Self::Csv,
            "markdown" => Self::Markdown,
            _ => return Err("give table, json, jsonl, csv or markdown".to_owned()),
        })
    }
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// There is none.
    None,
    /// A text.
    Text(String),
    /// A whole number.
    Whole(u128),
    /// Another number, rounded to three digits behind the point.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// What calls cost: for programs dollars with all digits, or nothing where that is not known.
    Cost {
        /// What is known of it.
        known: Option<Usd>,
        /// Whether that is all.
        is_complete: bool,
    },
}

impl Cell {
    /// A sum that may be empty, or known in part.
    pub fn cost(sum: &CostSum) -> Self {
        if sum.is_empty() {
            return Self::None;
        }
        Self::Cost {
            known: sum.known(),
            is_complete: sum.unknown().next().is_none(),
        }
    }

    /// A number that may not be there.
    pub fn whole(number: Option<impl Into<u128>>) -> Self {
        number.map_or(Self::None, |it| Self::Whole(it.into()))
    }

    /// A number that may not be there.
    pub fn real(number: Option<f64>) -> Self {
        number.map_or(Self::None, Self::Real)
    }

    /// A text that may not be there.
    pub fn text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::None, |it| Self::Text(it.into()))
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Whole(_) | Self::Real(_) | Self::Cost { .. })
    }

    /// For programs.
    fn plain(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Real(number) => rounded(*number).to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Cost { known, .. } => {
                known.map_or_else(String::new, |it| it.to_decimal().to_string())
            }
        }
    }

    /// For people.
    fn shown(&self) -> String {
        match self {
            Self::None => "-".to_owned(),
            Self::Text(text) => one_line(text),
            Self::Whole(number) => with_commas(&number.to_string()),
            Self::Bool(value) => value.to_string(),
            Self::Cost { known, is_complete } => match known {
                Some(known) if *is_complete => known.to_string(),
                Some(known) => format!("≥{known}"),
                None => "unknown".to_owned(),
            },
            Self::Real(number) => {
                let digits = format!("{number:.1}");
                let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
                format!("{}.{fraction}", with_commas(whole))
            }
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Whole(number) => serializer.serialize_u128(*number),
            Self::Real(number) => serializer.serialize_f64(rounded(*number)),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Cost { known, .. } => known.serialize(serializer),
        }
    }
}

/// A column: its name for programs, and its head for people; without one it is for programs only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As a key.
    pub name: &'static str,
    /// As a head; empty for a column that people do not see.
    pub head: &'static str,
}

/// Rows that all have the same columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with a cell a column.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The table as a text that ends with a line end, unless it is empty.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.for_people(),
            Format::Markdown => self.markdown(),
            Format::Csv => self.csv(),
            Format::Json if self.rows.is_empty() => "[]\n".to_owned(),
            Format::Json => self.objects("[\n  ", ",\n  ", "\n]\n"),
            Format::Jsonl if self.rows.is_empty() => String::new(),
            Format::Jsonl => self.objects("", "\n", "\n"),
        }
    }

    fn objects(&self, begin: &str, between: &str, end: &str) -> String {
        let mut text = begin.as_bytes().to_vec();
        for (n, row) in self.rows.iter().enumerate() {
            if n > 0 {
                text.extend_from_slice(between.as_bytes());
            }
            // Only numbers and texts are in it, none of which can fail.
            let _ = serde_json::to_writer(&mut text, &Object(&self.columns, row));
        }
        text.extend_from_slice(end.as_bytes());
        String::from_utf8(text).unwrap_or_default()
    }

    fn csv(&self) -> String {
        let quoted = |text: String| {
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text
            }
        };
        let heads = self.columns.iter().map(|it| it.name.to_owned());
        let mut lines = vec![heads.collect::<Vec<_>>().join(",")];
        for row in &self.rows {
            let cells = row.iter().map(|it| quoted(it.plain()));
            lines.push(cells.collect::<Vec<_>>().join(","));
        }
        lines.join("\n") + "\n"
    }

    fn markdown(&self) -> String {
        let columns = self.shown_columns();
        let cells = |texts: Vec<String>| format!("| {} |\n", texts.join(" | "));
        let heads = columns
            .iter()
            .map(|at| self.columns[*at].head.to_lowercase());
        let rules = columns.iter().map(|at| {
            let rule = if self.is_right(*at) { "---:" } else { "---" };
            rule.to_owned()
        });
        let mut text = cells(heads.collect()) + &cells(rules.collect());
        for row in &self.rows {
            let shown = columns.iter().map(|at| row[*at].shown());
            text += &cells(
                shown
                    .map(|it| it.replace('|', "\\|").replace('<', "&lt;"))
                    .collect(),
            );
        }
        text
    }

    fn for_people(&self) -> String {
        let columns = self.shown_columns();
        let heads = columns.iter().map(|at| self.columns[*at].head.to_owned());
        let mut lines = vec![heads.collect::<Vec<_>>()];
        for row in &self.rows {
            lines.push(columns.iter().map(|at| row[*at].shown()).collect());
        }
        let widths: Vec<_> = (0..columns.len())
            .map(|at| {
                lines
                    .iter()
                    .map(|it| it[at].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in lines {
            let mut shown = String::new();
            for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let gap = if at == 0 { "" } else { "  " };
                // Writing to a text cannot fail.
                let _ = if self.is_right(columns[at]) {
                    write!(shown, "{gap}{cell:>width$}")
                } else {
                    write!(shown, "{gap}{cell:<width$}")
                };
            }
            text += shown.trim_end();
            text.push('\n');
        }
        text
    }

    /// Columns for people: those with a head, if any row has something there.
    fn shown_columns(&self) -> Vec<usize> {
        let any =
            |at: usize| self.rows.is_empty() || self.rows.iter().any(|it| it[at] != Cell::None);
        let all = 0..self.columns.len();
        all.filter(|at| !self.columns[*at].head.is_empty() && any(*at))
            .collect()
    }

    fn is_right(&self, at: usize) -> bool {
        let mut cells = self.rows.iter().map(|it| &it[at]);
        cells.any(Cell::is_number)
    }
}

struct Object<'a>(&'a [Column], &'a [Cell]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, cell) in self.0.iter().zip(self.1) {
            map.serialize_entry(column.name, cell)?;
        }
        map.end()
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Somebody else's text on one line, shown and not obeyed, and not too long.
pub(crate) fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let shown = |it: char| {
        // Controls, and what turns the direction of a text or hides in it.
        let obeyed = it.is_control()
            || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if obeyed {
            it.escape_default().collect()
        } else {
            it.to_string()
        }
    };
    let mut line: String = text.chars().take(MAX_CHARS).map(shown).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, Format, Table};

    fn table() -> Table {
        let column = |name, head| Column { name, head };
        Table {
            columns: vec![
                column("tool", "TOOL"),
                column("count", "CALLS"),
                column("mean_ms", "MEAN"),
                column("nothing", "NOTHING"),
                column("hidden", ""),
            ],
            rows: vec![
                vec![
                    Cell::Text("a|b, \"c\"\n\u{1b}[31m".to_owned()),
                    Cell::Whole(1_234_567),
                    Cell::Real(1234.5678),
                    Cell::None,
                    Cell::Whole(u128::MAX),
                ],
                vec![
                    Cell::None,
                    Cell::Whole(7),
                    Cell::Real(0.0),
                    Cell::None,
                    Cell::None,
                ],
            ],
        }
    }

    #[test]
    fn people_see_aligned_columns_and_no_controls() {
        insta::assert_snapshot!(table().render(Format::Table), @r#"
        TOOL                      CALLS     MEAN
        a|b, "c"\n\u{1b}[31m  1,234,567  1,234.6
        -                             7      0.0
        "#);
        insta::assert_snapshot!(table().render(Format::Markdown), @r#"
        | tool | calls | mean |
        | --- | ---: | ---: |
        | a\|b, "c"\n\u{1b}[31m | 1,234,567 | 1,234.6 |
        | - | 7 | 0.0 |
        "#);
    }

    #[test]
    fn programs_get_every_column_as_it_is() {
        let json: serde_json::Value = serde_json::from_str(&table().render(Format::Json)).unwrap();
        assert_eq!(json[0]["tool"], "a|b, \"c\"\n\u{1b}[31m");
        assert_eq!(json[0]["mean_ms"], 1234.568);
        assert_eq!(json[1]["tool"], serde_json::Value::Null);
        assert!(
            table()
                .render(Format::Jsonl)
                .contains("\"hidden\":340282366920938463463374607431768211455")
        );
        assert_eq!(table().render(Format::Jsonl).lines().count(), 2);
        insta::assert_snapshot!(table().render(Format::Csv).replace('\u{1b}', "ESC"), @r#"
        tool,count,mean_ms,nothing,hidden
        "a|b, ""c""
        ESC[31m",1234567,1234.568,,340282366920938463463374607431768211455
        ,7,0,,
        "#);
        let empty = Table {
            rows: vec![],
            ..table()
        };
        assert_eq!(empty.render(Format::Json), "[]\n");
        assert_eq!(empty.render(Format::Jsonl), "");
    }
}
