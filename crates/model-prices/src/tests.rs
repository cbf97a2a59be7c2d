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
    match table.cost(provider, model, usage, at("2026-11-24T12:00:00Z")) {
        Ok(cost) => cost.total().to_decimal().to_string(),
        Err(error) => format!("{error:?}"),
    }
}
