//! What holds for any bytes: for `cargo xtask fuzz`, and for the tests that replay what it found.

use metrics_core::{Timestamp, Usage};

use crate::{CostSum, PriceSet, Usd, layer::Layer, usd::decimal};

/// A name, and what panics where something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] = &[("price_table", price_table), ("money", money)];

/// A file of prices is read or refused. Those that are read cost something or say why not, add up, and are the same when they
/// are written and read again.
fn price_table(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let layer = match Layer::of_file(&text) {
        Ok(layer) => layer,
        Err(problem) => return assert!(!problem.is_empty()),
    };
    let usages = [
        Usage::default(),
        Usage::new(0, 0),
        Usage {
            cached_tokens: Some(1024),
            ..Usage::new(1234, 89)
        },
        Usage {
            cached_tokens: Some(9),
            ..Usage::new(1, 1)
        },
        Usage::new(u64::MAX, u64::MAX),
    ];
    for provider in &layer.providers {
        let _ = (
            layer.provider(&provider.id),
            layer.provider_of_model("gpt-5"),
        );
        for model in provider.models() {
            let at = layer.provider(&provider.id);
            let _ = at.and_then(|it| layer.model(it, &model.id));
            let _ = model.prices_at(Timestamp::UNIX_EPOCH);
            for prices in &model.prices {
                let mut sum = CostSum::default();
                for usage in &usages {
                    let cost = prices.cost(usage).map(|it| it.total());
                    assert!(
                        cost.is_ok_and(|it| it >= Usd::ZERO) || cost.is_err(),
                        "{cost:?}"
                    );
                    sum.add(&model.id, cost);
                }
                assert_eq!(sum.to_string().lines().count(), 1);
                let written = serde_json::to_string(prices).unwrap_or_default();
                let read = serde_json::from_str::<PriceSet>(&written);
                assert!(read.is_ok_and(|it| it == *prices), "{written}");
            }
        }
    }
}

/// An amount of money is shown, and is the same when it is written and read again as far as 28 digits say it.
fn money(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(amount) = decimal(&text).and_then(Usd::from_decimal) else {
        return;
    };
    assert!(amount.to_string().contains('$'), "{amount}");
    let written = serde_json::to_string(&amount).unwrap_or_default();
    let read: Option<Usd> = serde_json::from_str(&written).ok();
    let again = read.and_then(|it| serde_json::to_string(&it).ok());
    assert_eq!(again, Some(written));
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod tests;
