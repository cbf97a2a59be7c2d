//! What a call of a language model costs.
//!
//! [`PriceTable::builtin`] knows some 2,300 models of 47 providers, with prices that changed on a date, that rise with the
//! length of the prompt, or that depend on the time of day. [`PriceTable::from_file`] puts prices of your own before them.
//! What a table has no price for is [`Unpriced`], never zero. Money is [`Usd`]: integers of 10⁻²⁴ dollars, so no sum ever
//! drifts.
//!
//! ```
//! use metrics_core::Usage;
//! use model_prices::{PriceTable, Unpriced};
//!
//! let table = PriceTable::builtin();
//! let at = "2025-12-15T04:08:08Z".parse()?;
//! let usage = Usage { cached_tokens: Some(1024), ..Usage::new(1234, 89) };
//!
//! let cost = table.cost(Some("openai"), "gpt-5-mini", &usage, at)?;
//! assert_eq!(cost.total().to_decimal().to_string(), "0.0002561");
//! assert_eq!(cost.total().to_string(), "$0.00026");
//!
//! let unknown = table.cost(Some("localhost:11434"), "qwen3", &usage, at);
//! assert_eq!(unknown, Err(Unpriced::Provider));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No I/O but for the file that `from_file` is given. The table is a part of the program and is parsed when it is first asked,
//! a provider at a time; what was found once is found again without a search.

mod clause;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod layer;
mod price;
mod sum;
mod table;
mod unpriced;
mod usd;

pub use crate::{
    file::Source,
    price::{Cost, Price, PriceSet, Window},
    sum::CostSum,
    table::{PriceTable, Priced, TableError},
    unpriced::Unpriced,
    usd::Usd,
};

#[cfg(test)]
mod tests;
