//! The prices of one model, and what a call costs by them.

use metrics_core::{Timestamp, Usage};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeStruct as _,
};
use serde_json::value::RawValue;

use crate::{
    Unpriced, Usd,
    usd::{PLACES, decimal},
};

/// Decimal places of a price per million tokens.
const PRICE_PLACES: u32 = PLACES - 6;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const MICROS_PER_DAY: i64 = 24 * 60 * MICROS_PER_MINUTE;

/// Prices that hold together: always, from a day on, or in some hours of each day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceSet {
    /// The first day, in UTC.
    #[serde(
        default,
        deserialize_with = "from_day",
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_day"
    )]
    pub from: Option<Timestamp>,
    /// The hours of each day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Window>,
    /// A million tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Price>,
    /// A million tokens of the prompt that were read from the provider's cache; without it they cost as all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Price>,
    /// A million tokens of the prompt that were written to the provider's cache; without it they cost as all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Price>,
    /// A million tokens of the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Price>,
    /// A million tokens of the reply that were spent on reasoning; without it they cost as all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Price>,
    /// A thousand calls, beside their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Price>,
}

/// A part of each day, in UTC; it may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first minute of the day.
    pub start_minute: u16,
    /// The minute of the day after its last.
    pub end_minute: u16,
}

/// Dollars for a million tokens (or a thousand calls), perhaps more from some length of the prompt on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// In units of 10⁻¹⁸ dollars.
    base: i128,
    /// For prompts of more tokens than this, ascending; the price then holds for all tokens of the call.
    above: Vec<(u64, i128)>,
}

/// A price for a thousand calls is a thousand prices for a million.
const PER_CALL: u64 = 1000;

/// What has a price of its own.
struct Counts {
    /// All of the prompt, whose length chooses the price.
    prompt: u64,
    input: u64,
    cached: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

/// What one call costs, part by part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// Tokens of the prompt that have no price of their own below.
    pub input: Usd,
    /// Tokens read from the cache.
    pub cached: Usd,
    /// Tokens written to the cache.
    pub cache_write: Usd,
    /// Tokens of the reply that have no price of their own below.
    pub output: Usd,
    /// Tokens spent on reasoning.
    pub reasoning: Usd,
    /// The call itself.
    pub request: Usd,
    total: Usd,
}

impl Cost {
    /// The sum of the parts, exactly.
    pub fn total(&self) -> Usd {
        self.total
    }

    fn with_total(mut self) -> Result<Self, Unpriced> {
        let parts = [
            self.input,
            self.cached,
            self.cache_write,
            self.output,
            self.reasoning,
            self.request,
        ];
        let sum = parts.into_iter().try_fold(Usd::ZERO, Usd::checked_add);
        self.total = sum.ok_or(Unpriced::TooLarge)?;
        Ok(self)
    }
}

impl PriceSet {
    /// Whether it holds at `at`.
    pub(crate) fn is_active(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.hours.is_none_or(|it| it.contains(at))
    }

    /// What a call with these counts costs.
    pub(crate) fn cost(&self, usage: &Usage) -> Result<Cost, Unpriced> {
        let counts = self.counts(usage)?;
        let times = |price: &Option<Price>, count: u64| match price {
            Some(price) => price.times(count, counts.prompt),
            None => Ok(Usd::ZERO),
        };
        Cost {
            input: times(&self.input, counts.input)?,
            cached: times(&self.cached, counts.cached)?,
            cache_write: times(&self.cache_write, counts.cache_write)?,
            output: times(&self.output, counts.output)?,
            reasoning: times(&self.reasoning, counts.reasoning)?,
            request: times(&self.requests, PER_CALL)?,
            total: Usd::ZERO,
        }
        .with_total()
    }

    /// The total of [`cost`](Self::cost), in a third of its time.
    #[inline]
    pub(crate) fn total(&self, usage: &Usage) -> Result<Usd, Unpriced> {
        let counts = self.counts(usage)?;
        let parts = [
            (&self.input, counts.input),
            (&self.cached, counts.cached),
            (&self.cache_write, counts.cache_write),
            (&self.output, counts.output),
            (&self.reasoning, counts.reasoning),
            (&self.requests, PER_CALL),
        ];
        if parts.iter().any(|it| it.1 > u64::from(u32::MAX)) {
            return self.cost(usage).map(|it| it.total());
        }
        // A price is below 2⁹⁰ (see `parse_price`), so that no sum of these can be too large.
        let units = parts.iter().map(|(price, count)| match price {
            Some(price) => price.at(counts.prompt) * i128::from(*count),
            None => 0,
        });
        Ok(Usd::from_units(units.sum()))
    }

    /// How many tokens have which price.
    ///
    /// Cached and written tokens are parts of the prompt, reasoning is a part of the reply. A part that has a price of its own
    /// is taken out of the whole; what has none costs as the whole does.
    #[inline]
    fn counts(&self, usage: &Usage) -> Result<Counts, Unpriced> {
        let prompt = whole(self.input.as_ref(), usage.prompt_tokens)?;
        let reply = whole(self.output.as_ref(), usage.completion_tokens)?;
        let part =
            |price: &Option<Price>, count: Option<u64>| price.as_ref().and(count).unwrap_or(0);
        let cached = part(&self.cached, usage.cached_tokens);
        let cache_write = part(&self.cache_write, usage.cache_write_tokens);
        let reasoning = part(&self.reasoning, usage.reasoning_tokens);
        let rest = |whole: u64, parts: &[u64]| {
            let left = parts
                .iter()
                .try_fold(whole, |left, it| left.checked_sub(*it));
            left.ok_or(Unpriced::BadCounts)
        };
        let is_unpriced = |price: &Option<Price>, count| price.is_none() && count > 0;
        let counts = Counts {
            prompt,
            input: rest(prompt, &[cached, cache_write])?,
            cached,
            cache_write,
            output: rest(reply, &[reasoning])?,
            reasoning,
        };
        if is_unpriced(&self.input, prompt)
            || is_unpriced(&self.output, reply)
            || (self.input.is_none() && self.output.is_none())
        {
            return Err(Unpriced::Tokens);
        }
        Ok(counts)
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let needs_input = self.cached.is_some() || self.cache_write.is_some();
        if needs_input && self.input.is_none() {
            Some("`cached` and `cache_write` are parts of the prompt: give `input` too")
        } else if self.reasoning.is_some() && self.output.is_none() {
            Some("`reasoning` is a part of the reply: give `output` too")
        } else {
            None
        }
    }
}

/// A count that a price needs has to be there.
fn whole(price: Option<&Price>, count: Option<u64>) -> Result<u64, Unpriced> {
    match (price, count) {
        (Some(_), None) => Err(Unpriced::NotCounted),
        (_, count) => Ok(count.unwrap_or(0)),
    }
}

impl Price {
    /// The price of a call whose prompt has so many tokens, in units of 10⁻¹⁸ dollars.
    #[inline]
    fn at(&self, prompt_tokens: u64) -> i128 {
        let tier = self
            .above
            .iter()
            .rev()
            .find(|(start, _)| prompt_tokens > *start);
        tier.map_or(self.base, |(_, price)| *price)
    }

    fn times(&self, count: u64, prompt_tokens: u64) -> Result<Usd, Unpriced> {
        // 10⁻¹⁸ dollars for a million are 10⁻²⁴ dollars for one.
        let units = self.at(prompt_tokens).checked_mul(i128::from(count));
        units.map(Usd::from_units).ok_or(Unpriced::TooLarge)
    }

    /// Dollars for a million tokens (or a thousand calls), whatever the length of the prompt.
    pub fn base(&self) -> Usd {
        dollars(self.base)
    }

    /// Prompts of more tokens than this, and the price for all tokens of such a call; ascending.
    pub fn above(&self) -> impl Iterator<Item = (u64, Usd)> {
        self.above
            .iter()
            .map(|(start, price)| (*start, dollars(*price)))
    }
}

fn dollars(price: i128) -> Usd {
    // A price is at most 10⁹ dollars; see `parse_price`.
    Usd::from_units(price.saturating_mul(10_i128.pow(PLACES - PRICE_PLACES)))
}

/// Dollars with at most 18 decimal places, from nothing to a thousand million.
fn parse_price(json: &str) -> Option<i128> {
    const MAX: i128 = 10_i128.pow(9 + PRICE_PLACES);
    let dollars = decimal(json)?.normalize();
    let factor = 10_i128.checked_pow(PRICE_PLACES.checked_sub(dollars.scale())?)?;
    let price = dollars.mantissa().checked_mul(factor)?;
    (0..=MAX).contains(&price).then_some(price)
}

const PRICE_HELP: &str = "give dollars for a million tokens, such as 0.25, or {\"base\": 1.25, \"above\": [[200000, 2.5]]}";

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Tiers {
            base: Box<RawValue>,
            above: Vec<(u64, Box<RawValue>)>,
        }
        // The digits as they stand: a number that went through a float is another one.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let no_price =
            |json: &str| D::Error::custom(format_args!("`{json:.60}` is no price; {PRICE_HELP}"));
        let price = |json: &str| parse_price(json).ok_or_else(|| no_price(json));
        if !json.get().starts_with('{') {
            let base = price(json.get())?;
            return Ok(Self {
                base,
                above: Vec::new(),
            });
        }
        let Ok(tiers) = serde_json::from_str::<Tiers>(json.get()) else {
            return Err(no_price(json.get()));
        };
        let base = price(tiers.base.get())?;
        let mut above = Vec::new();
        for (start, json) in tiers.above {
            above.push((start, price(json.get())?));
        }
        above.sort_by_key(|(start, _)| *start);
        Ok(Self { base, above })
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.above.is_empty() {
            return self.base().serialize(serializer);
        }
        let mut tiers = serializer.serialize_struct("Price", 2)?;
        tiers.serialize_field("base", &self.base())?;
        tiers.serialize_field("above", &self.above().collect::<Vec<_>>())?;
        tiers.end()
    }
}

impl Window {
    fn contains(self, at: Timestamp) -> bool {
        let minute = at.unix_micros().rem_euclid(MICROS_PER_DAY) / MICROS_PER_MINUTE;
        let (start, end) = (i64::from(self.start_minute), i64::from(self.end_minute));
        if end < start {
            minute >= start || minute < end
        } else {
            (start..end).contains(&minute)
        }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [start, end] = [self.start_minute, self.end_minute].map(clock);
        write!(f, "{start} to {end} UTC")
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.start_minute, self.end_minute]
            .map(clock)
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = <[String; 2]>::deserialize(deserializer)?;
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let is_number = |it: &str| it.len() == 2 && it.bytes().all(|it| it.is_ascii_digit());
            let (hour, minute): (u16, u16) = (is_number(hour) && is_number(minute))
                .then(|| Some((hour.parse().ok()?, minute.parse().ok()?)))??;
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        match texts.each_ref().map(|it| minute(it)) {
            [Some(start_minute), Some(end_minute)] => Ok(Self {
                start_minute,
                end_minute,
            }),
            _ => Err(D::Error::custom(
                "give two times of the day in UTC, such as [\"16:30\", \"00:30\"]",
            )),
        }
    }
}

fn from_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let day = String::deserialize(deserializer)?;
    match format!("{day}T00:00:00Z").parse() {
        Ok(midnight) => Ok(Some(midnight)),
        Err(_) => Err(D::Error::custom(format_args!(
            "`{day:.60}` is no day, such as 2026-12-01"
        ))),
    }
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn as_day<S: Serializer>(day: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    let stamp = day.map(|it| it.to_string());
    // The day is the first ten characters of a time stamp.
    stamp
        .as_deref()
        .and_then(|it| it.get(..10))
        .serialize(serializer)
}
