//! The groups of a scan as a table.

use metrics_core::with_commas;

use crate::{
    Column, EXACT_UP_TO, Group, Key, Seen, Stats, Table, spelling,
    table::{Cell, one_line},
};

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// What the groups have in common.
    pub by: Vec<Key>,
    /// The column that they are sorted by: numbers from the largest down, texts upwards. Without one, times come in order
    /// and all else by the time it took.
    pub sort: Option<Sort>,
    /// At most so many rows.
    pub limit: Option<usize>,
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort(&'static str);

/// A column's name, its head, and what it is of a group.
type Number = (&'static str, &'static str, fn(&Stats) -> Cell);

const NUMBERS: [Number; 21] = [
    ("count", "CALLS", |it| Cell::Whole(it.count().into())),
    ("failures", "FAILED", |it| Cell::Whole(it.failures.into())),
    ("total_ms", "TOTAL MS", |it| {
        Cell::Whole(it.duration_ms.sum())
    }),
    ("mean_ms", "MEAN", |it| Cell::real(it.duration_ms.mean())),
    ("p50_ms", "P50", |it| {
        Cell::whole(it.duration_ms.percentile(500))
    }),
    ("p95_ms", "P95", |it| {
        Cell::whole(it.duration_ms.percentile(950))
    }),
    ("p99_ms", "P99", |it| {
        Cell::whole(it.duration_ms.percentile(990))
    }),
    ("max_ms", "MAX", |it| Cell::whole(it.duration_ms.max())),
    ("prompt_tokens", "PROMPT", |it| {
        Cell::whole(it.tokens.prompt_tokens)
    }),
    ("completion_tokens", "COMPLETION", |it| {
        Cell::whole(it.tokens.completion_tokens)
    }),
    ("total_tokens", "TOKENS", |it| {
        Cell::whole(it.tokens.total_tokens)
    }),
    ("cached_tokens", "CACHED", |it| {
        Cell::whole(it.tokens.cached_tokens)
    }),
    ("cache_write_tokens", "", |it| {
        Cell::whole(it.tokens.cache_write_tokens)
    }),
    ("reasoning_tokens", "", |it| {
        Cell::whole(it.tokens.reasoning_tokens)
    }),
    ("cost_usd", "COST", |it| Cell::cost(&it.cost)),
    ("cost_unknown_calls", "", |it| {
        let calls = it.cost.unknown().map(|it| u128::from(it.1)).sum();
        (!it.cost.is_empty())
            .then_some(calls)
            .map_or(Cell::None, Cell::Whole)
    }),
    ("tokens_per_second", "TOK/S", |it| {
        Cell::real(it.tokens_per_second())
    }),
    ("mean_ttft_ms", "TTFT", |it| Cell::real(it.ttft_ms.mean())),
    ("p50_ttft_ms", "", |it| {
        Cell::whole(it.ttft_ms.percentile(500))
    }),
    ("p95_ttft_ms", "", |it| {
        Cell::whole(it.ttft_ms.percentile(950))
    }),
    ("percentiles", "", |it| {
        let is_exact = it.duration_ms.is_exact() && it.ttft_ms.is_exact();
        let word = if is_exact { "exact" } else { "within 0.2%" };
        Cell::Text(word.to_owned())
    }),
];

impl Sort {
    /// The column `name` of a report by `keys`.
    ///
    /// # Errors
    /// What to say of a name that there is not.
    pub fn by(name: &str, keys: &[Key]) -> Result<Self, String> {
        let names = keys
            .iter()
            .map(|it| it.as_str())
            .chain(NUMBERS.iter().map(|it| it.0));
        if let Some(known) = names.clone().find(|it| *it == name) {
            return Ok(Self(known));
        }
        let hint = match spelling::nearest(name, names.clone()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        Err(format!("no column `{}`; {hint}", one_line(name)))
    }
}

/// The table of some groups.
pub fn report(groups: Vec<Group>, options: &ReportOptions) -> Table {
    let keys = options.by.iter().map(|key| Column {
        name: key.as_str(),
        head: head(*key),
    });
    let numbers = NUMBERS.iter().map(|(name, head, _)| Column { name, head });
    let columns: Vec<_> = keys.chain(numbers).collect();
    let mut rows: Vec<Vec<Cell>> = groups
        .into_iter()
        .map(|group| {
            let keys = group.values.into_iter().map(Cell::text);
            let numbers = NUMBERS.iter().map(|(_, _, of)| of(&group.stats));
            keys.chain(numbers).collect()
        })
        .collect();
    let sort = options.sort.map_or_else(
        || match options.by.first() {
            Some(key) if key.is_time() => key.as_str(),
            _ => "total_ms",
        },
        |it| it.0,
    );
    let at = columns.iter().position(|it| it.name == sort).unwrap_or(0);
    let n_keys = options.by.len();
    // By all keys first: what is equal by the column asked for stays in that order.
    rows.sort_by(|one, other| {
        let keys = one[..n_keys].iter().zip(&other[..n_keys]);
        let by_keys = keys.map(|(a, b)| order(a, b)).find(|it| it.is_ne());
        order(&one[at], &other[at]).then(by_keys.unwrap_or(std::cmp::Ordering::Equal))
    });
    rows.truncate(options.limit.unwrap_or(usize::MAX));
    Table { columns, rows }
}

/// Numbers from the largest down, texts upwards, nothing last.
fn order(one: &Cell, other: &Cell) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match (one, other) {
        (Cell::Whole(one), Cell::Whole(other)) => other.cmp(one),
        (Cell::Real(one), Cell::Real(other)) => other.total_cmp(one),
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        (Cell::Cost { known: one, .. }, Cell::Cost { known: other, .. }) => other.cmp(one),
        (Cell::None, Cell::None) => Equal,
        (Cell::None, _) => Greater,
        (_, Cell::None) => Less,
        _ => Equal,
    }
}

const fn head(key: Key) -> &'static str {
    match key {
        Key::Event => "EVENT",
        Key::Model => "MODEL",
        Key::Phase => "PHASE",
        Key::Tool => "TOOL",
        Key::Provider => "PROVIDER",
        Key::Worker => "WORKER",
        Key::Owner => "OWNER",
        Key::Status => "STATUS",
        Key::Hour => "HOUR",
        Key::Day => "DAY",
    }
}

/// What the calls of all groups cost, in one line for people; `None` where there is nothing to say.
pub fn total_cost(groups: &[Group]) -> Option<String> {
    let mut sum = Stats::default();
    for group in groups {
        sum.merge_cost(&group.stats);
    }
    let text = sum.cost.to_string();
    let text = one_line(text.strip_prefix("cost ").unwrap_or(&text));
    (!sum.cost.is_empty()).then(|| format!("Cost: {text}."))
}

impl Seen {
    /// What was read, in one line for people; `is_exact` says whether all percentiles are.
    pub fn summary(&self, is_exact: bool) -> String {
        let n = |n: u64, one: &str, many: &str| {
            let word = if n == 1 { one } else { many };
            format!("{} {word}", with_commas(&n.to_string()))
        };
        let calls = if self.matching == self.calls {
            n(self.calls, "call", "calls")
        } else {
            let matching = with_commas(&self.matching.to_string());
            format!("{matching} of {}", n(self.calls, "call", "calls"))
        };
        let percentiles = if is_exact {
            "percentiles are exact".to_owned()
        } else {
            let limit = with_commas(&EXACT_UP_TO.to_string());
            format!("percentiles are exact up to {limit} calls in a group, else within 0.2 %")
        };
        format!(
            "{calls} in {}; {percentiles}.",
            n(self.files, "file", "files")
        )
    }

    /// What could not be used, a line each: how much of it, then the first of it by name. Empty if there was none.
    pub fn complaints(&self) -> Vec<String> {
        let n = |n: u64, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{} {many}", with_commas(&n.to_string()))),
        };
        let counts = [
            n(self.unusable, "line", "lines"),
            n(self.unreadable, "file or directory", "files or directories"),
        ];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        if counts.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![format!("not used: {}", counts.join(" and "))];
        lines.extend(self.problems.iter().map(|it| {
            let line = it.line.map(|it| format!(":{it}")).unwrap_or_default();
            let path = one_line(&it.path.display().to_string());
            format!("  {path}{line}: {}", one_line(&it.reason))
        }));
        let total = self.unusable + self.unreadable;
        let named = self.problems.len() as u64;
        if total > named {
            lines.push(format!(
                "  and {} more",
                with_commas(&(total - named).to_string())
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests;
