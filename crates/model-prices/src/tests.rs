//! The table as a user asks it, and the calculator it was taken from.

use metrics_core::{Timestamp, Usage};

use crate::PriceTable;

mod finding;
mod own_prices;
mod pricing;
mod source;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What a call costs, with all digits, or why that is not known.
fn cost(table: &PriceTable, provider: Option<&str>, model: &str, usage: &Usage) -> String {
    let at = at("2026-11-24T12:00:00Z");
    let cost = table.cost(provider, model, usage, at);
    // Whoever is in a hurry is told the same.
    let total = table.find(provider, model);
    let total = total.and_then(|it| it.total(usage, at));
    assert_eq!(total, cost.map(|it| it.total()), "{model} {usage:?}");
    match cost {
        Ok(cost) => cost.total().to_decimal().to_string(),
        Err(error) => format!("{error:?}"),
    }
}
