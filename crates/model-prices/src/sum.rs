//! What several calls cost together, and what of it is not known.

use std::{collections::BTreeMap, fmt};

use metrics_core::{LlmCall, Usage};

use crate::{PriceTable, Unpriced, Usd};

/// Names of models that are kept one by one; calls of further ones are counted together.
const MAX_NAMES: usize = 100;
const OTHERS: &str = "other models";
/// Names that are shown, and how much of each.
const SHOWN_NAMES: usize = 3;
const SHOWN_CHARS: usize = 60;

/// What several calls cost: a sum of what is known, and the models of the calls of which nothing is.
///
/// ```
/// use model_prices::{CostSum, Unpriced, Usd};
///
/// let mut sum = CostSum::default();
/// sum.add("gpt-5-mini", Ok(Usd::from_decimal("0.0049".parse()?).unwrap_or_default()));
/// assert_eq!(sum.to_string(), "$0.0049");
/// sum.add("qwen3", Err(Unpriced::Model));
/// assert_eq!(sum.to_string(), "at least $0.0049 (price of qwen3 unknown)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CostSum {
    /// `None` until a cost was known.
    known: Option<Usd>,
    /// Calls of unknown cost, by model.
    unknown: BTreeMap<String, u64>,
}

impl CostSum {
    /// A sum that was kept before.
    pub fn new(known: Option<Usd>, unknown: impl IntoIterator<Item = (String, u64)>) -> Self {
        let mut res = Self {
            known,
            ..Self::default()
        };
        for (model, calls) in unknown {
            res.add_unknown(&model, calls);
        }
        res
    }

    /// Adds a call of `model`.
    pub fn add(&mut self, model: &str, cost: Result<Usd, Unpriced>) {
        let sum = cost
            .ok()
            .and_then(|it| self.known.unwrap_or_default().checked_add(it));
        match sum {
            Some(sum) => self.known = Some(sum),
            None => self.add_unknown(model, 1),
        }
    }

    /// Adds a call of `metrics.jsonl`, by the prices of `table`, if there is any sign that it cost something.
    pub fn add_call(&mut self, table: &PriceTable, call: &LlmCall<'_>) {
        let cost = table.cost_of(call);
        if Self::takes(&cost, &call.usage, call.outcome.is_success()) {
            self.add(call.model.as_str(), cost);
        }
    }

    /// Whether there is any sign that a call cost something. There is none of a call of which nothing was counted if it failed,
    /// or if nobody knows a price of its model.
    pub fn takes(cost: &Result<Usd, Unpriced>, usage: &Usage, is_success: bool) -> bool {
        let is_counted = usage.prompt_tokens.is_some()
            || usage.completion_tokens.is_some()
            || usage.total_tokens.is_some();
        let is_priced = !matches!(cost, Err(Unpriced::Provider | Unpriced::Model));
        cost.is_ok() || is_counted || (is_priced && is_success)
    }

    /// Adds what other calls cost. `None` if the sum is beyond 10¹⁴ dollars; then nothing is added.
    pub fn merge(&mut self, more: &Self) -> Option<()> {
        if let Some(known) = more.known {
            self.known = Some(self.known.unwrap_or_default().checked_add(known)?);
        }
        for (model, calls) in &more.unknown {
            self.add_unknown(model, *calls);
        }
        Some(())
    }

    /// The sum of what is known; `None` where nothing is.
    pub fn known(&self) -> Option<Usd> {
        self.known
    }

    /// The models of the calls whose cost is not known, and how many such calls there were.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, u64)> {
        self.unknown.iter().map(|(model, calls)| (&**model, *calls))
    }

    /// Whether no call was added.
    pub fn is_empty(&self) -> bool {
        self.known.is_none() && self.unknown.is_empty()
    }

    fn add_unknown(&mut self, model: &str, calls: u64) {
        let is_full = self.unknown.len() >= MAX_NAMES && !self.unknown.contains_key(model);
        let name = if is_full { OTHERS } else { model };
        match self.unknown.get_mut(name) {
            Some(known) => *known = known.saturating_add(calls),
            None => drop(self.unknown.insert(name.to_owned(), calls)),
        }
    }
}

/// `$0.0049`, `cost unknown (qwen3)` or `at least $0.0049 (price of qwen3 unknown)`; always one line.
impl fmt::Display for CostSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.unknown.keys().take(SHOWN_NAMES).map(|it| shown(it));
        let mut names = names.collect::<Vec<_>>().join(", ");
        if let more @ 1.. = self.unknown.len().saturating_sub(SHOWN_NAMES) {
            names = format!("{names} and {more} more");
        }
        match (self.known, self.unknown.len()) {
            (None, 0) => f.write_str("no cost"),
            (None, _) => write!(f, "cost unknown ({names})"),
            (Some(known), 0) => known.fmt(f),
            (Some(known), n) => {
                let prices = if n == 1 { "price" } else { "prices" };
                write!(f, "at least {known} ({prices} of {names} unknown)")
            }
        }
    }
}

/// A name of anybody's, as a part of a line.
fn shown(name: &str) -> String {
    let mut res = String::new();
    let mut chars = name.chars();
    for it in chars.by_ref().take(SHOWN_CHARS) {
        match it {
            '"' | '\'' | '\\' => res.push(it),
            it => res.extend(it.escape_debug()),
        }
    }
    if chars.next().is_some() {
        res.push('…');
    }
    res
}
