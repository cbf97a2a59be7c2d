//! What single calls cost: by a price table, where the models of few lines are those of most.

use std::{cell::RefCell, fmt, hash::BuildHasher as _};

use model_prices::{CostSum, PriceTable, Priced, Unpriced, Usd};
use rustc_hash::FxBuildHasher;

use crate::{Kind, Record};

/// Models that are kept at hand.
const RECENT: usize = 64;
/// Places where a model may be kept, one behind the other.
const PLACES: usize = 4;

/// Says what a call cost: a trait, so that a [`Call`](crate::Call) need not tell how long the prices live.
pub(crate) trait Pricing: fmt::Debug {
    /// `None` for a tool call, and where there is no sign that the call cost anything.
    fn cost(&self, record: &Record<'_>) -> Option<Result<Usd, Unpriced>>;
}

/// One thread's prices.
pub(crate) struct Pricer<'a> {
    table: &'a PriceTable,
    /// Models asked for lately, by their hash: looking into the table takes longer than all else.
    recent: RefCell<[Option<Recent<'a>>; RECENT]>,
}

struct Recent<'a> {
    provider: Option<Box<[u8]>>,
    model: Box<[u8]>,
    prices: Result<Priced<'a>, Unpriced>,
}

impl<'a> Pricer<'a> {
    pub(crate) fn new(table: &'a PriceTable) -> Self {
        Self {
            table,
            recent: RefCell::new([const { None }; RECENT]),
        }
    }

    #[inline]
    fn by_table(&self, record: &Record<'_>) -> Result<Usd, Unpriced> {
        let (provider, model) = (record.provider, record.name);
        let hash = FxBuildHasher.hash_one((provider, model));
        let first = usize::try_from(hash % RECENT as u64).unwrap_or(0);
        let mut recent = self.recent.borrow_mut();
        // Where all places are taken, whoever has the first one leaves.
        let mut free = first;
        for place in (first..first + PLACES).map(|it| it % RECENT) {
            match &recent[place] {
                Some(it) if *it.model == *model && it.provider.as_deref() == provider => {
                    return it.total(record);
                }
                Some(_) => {}
                None => {
                    free = place;
                    break;
                }
            }
        }
        recent[free]
            .insert(look_up(self.table, provider, model))
            .total(record)
    }
}

impl Recent<'_> {
    #[inline]
    fn total(&self, record: &Record<'_>) -> Result<Usd, Unpriced> {
        match &self.prices {
            Ok(prices) => prices.total(&record.usage, record.start.into()),
            Err(why) => Err(*why),
        }
    }
}

#[cold]
fn look_up<'a>(table: &'a PriceTable, provider: Option<&[u8]>, model: &[u8]) -> Recent<'a> {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    Recent {
        provider: provider.map(Into::into),
        model: model.into(),
        prices: table.find(provider.map(text).as_deref(), &text(model)),
    }
}

impl Pricing for Pricer<'_> {
    #[inline]
    fn cost(&self, record: &Record<'_>) -> Option<Result<Usd, Unpriced>> {
        if record.kind == Kind::ToolCall {
            return None;
        }
        let cost = match record.cost_usd {
            Some(reported) => Usd::from_decimal(reported).ok_or(Unpriced::TooLarge),
            None => self.by_table(record),
        };
        CostSum::takes(&cost, &record.usage, record.success).then_some(cost)
    }
}

impl fmt::Debug for Pricer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pricer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
