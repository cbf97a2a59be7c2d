//! What a call costs by prices that depend on the date, the hour, the prompt and the kind of token.

use std::fs;

use metrics_core::{CallTime, LlmCall, Outcome, Usage};
use proptest::prelude::*;

use super::{at, cost};
use crate::{CostSum, PriceTable, Unpriced, Usd};

fn table(models: &str) -> PriceTable {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prices.json");
    let json = format!(r#"{{"providers": [{{"id": "mine", "models": {models}}}]}}"#);
    fs::write(&path, json).unwrap();
    PriceTable::from_file(&path).unwrap()
}

fn one(prices: &str) -> PriceTable {
    table(&format!(r#"[{{"id": "m", "prices": [{prices}]}}]"#))
}

#[test]
fn each_kind_of_token_has_its_own_price_or_that_of_the_whole() {
    let usage = Usage {
        cached_tokens: Some(300),
        cache_write_tokens: Some(200),
        reasoning_tokens: Some(40),
        ..Usage::new(1000, 100)
    };
    for (prices, dollars) in [
        (r#"{"input": 1, "output": 10}"#, "0.002"),
        (r#"{"input": 1, "cached": 0.1, "output": 10}"#, "0.00173"),
        (
            r#"{"input": 1, "cached": 0.1, "cache_write": 2, "output": 10}"#,
            "0.00193",
        ),
        (r#"{"input": 1, "output": 10, "reasoning": 20}"#, "0.0024"),
        (r#"{"input": 1, "output": 10, "requests": 5}"#, "0.007"),
        (r#"{"input": 0, "output": 0}"#, "0"),
    ] {
        assert_eq!(
            cost(&one(prices), Some("mine"), "m", &usage),
            dollars,
            "{prices}"
        );
    }
}

#[test]
fn a_long_prompt_raises_the_price_of_all_its_tokens() {
    let table = one(
        r#"{"input": {"base": 1, "above": [[400, 3], [200, 2]]}, "output": {"base": 10, "above": [[200, 20]]}}"#,
    );
    for (prompt, dollars) in [
        (200, "0.0012"),
        (201, "0.002402"),
        (400, "0.0028"),
        (401, "0.003203"),
    ] {
        assert_eq!(
            cost(&table, Some("mine"), "m", &Usage::new(prompt, 100)),
            dollars,
            "{prompt}"
        );
    }
}

#[test]
fn the_price_is_that_of_the_moment() {
    let table = one(
        r#"{"input": 1, "output": 0}, {"from": "2026-03-01", "input": 2, "output": 0}, {"hours": ["22:30", "01:00"], "input": 3, "output": 0}"#,
    );
    let usage = Usage::new(1_000_000, 0);
    for (moment, dollars) in [
        ("2026-02-28T12:00:00Z", "1"),
        ("2026-02-28T22:29:59.999999Z", "1"),
        ("2026-02-28T22:30:00Z", "3"),
        ("2026-03-01T00:59:59.999999Z", "3"),
        ("2026-03-01T01:00:00Z", "2"),
        // The same moment in another zone.
        ("2026-03-01T03:00:00+02:00", "2"),
        ("2026-02-28T23:59:59-02:00", "2"),
    ] {
        let cost = table.cost(Some("mine"), "m", &usage, at(moment)).unwrap();
        assert_eq!(cost.total().to_decimal().to_string(), dollars, "{moment}");
    }
}

#[test]
fn before_all_prices_the_first_one_holds() {
    let table = one(
        r#"{"from": "2026-03-01", "input": 2, "output": 0}, {"from": "2026-04-01", "input": 3, "output": 0}"#,
    );
    let cost = table.cost(
        Some("mine"),
        "m",
        &Usage::new(1_000_000, 0),
        at("2020-01-01T00:00:00Z"),
    );
    assert_eq!(cost.unwrap().total().to_string(), "$2.00");
}

#[test]
fn what_is_not_known_is_unknown_and_never_zero() {
    let table = one(r#"{"input": 1, "cached": 0.5, "output": 10}"#);
    let part = |prompt, completion, cached| Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        cached_tokens: cached,
        ..Usage::default()
    };
    for (usage, why) in [
        (Usage::default(), Unpriced::NotCounted),
        (part(Some(1), None, None), Unpriced::NotCounted),
        (part(None, Some(1), None), Unpriced::NotCounted),
        (part(Some(10), Some(1), Some(11)), Unpriced::BadCounts),
        (
            part(Some(u64::MAX), Some(u64::MAX), None),
            Unpriced::TooLarge,
        ),
    ] {
        let result = table.cost(Some("mine"), "m", &usage, at("2026-01-01T00:00:00Z"));
        assert_eq!(result, Err(why), "{usage:?}");
    }
    let many = part(Some(u64::MAX), Some(1), None);
    assert_eq!(
        cost(&table, Some("mine"), "m", &many),
        "18446744073709.551625"
    );
    let dear = one(r#"{"input": 1000000000, "output": 1}"#);
    assert_eq!(cost(&dear, Some("mine"), "m", &many), "TooLarge");
    let only_prompt = one(r#"{"input": 1}"#);
    assert_eq!(
        cost(&only_prompt, Some("mine"), "m", &part(Some(10), None, None)),
        "0.00001"
    );
    assert_eq!(
        cost(&only_prompt, Some("mine"), "m", &Usage::new(10, 1)),
        "Tokens"
    );
    assert_eq!(
        cost(&one("{}"), Some("mine"), "m", &Usage::new(0, 0)),
        "Tokens"
    );
}

#[test]
fn a_cost_that_the_provider_reported_goes_before_ours() {
    let time = CallTime::new(
        at("2025-12-15T04:08:08Z"),
        std::time::Duration::from_millis(5),
    );
    let mut call = LlmCall::new("initial", "gpt-5-mini", time);
    call.usage = Usage::new(1234, 89);
    call.provider = Some("openai".into());
    let table = PriceTable::builtin();
    let ours = table.cost_of(&call).unwrap();
    assert_eq!(ours.to_decimal().to_string(), "0.0004865");
    call.cost_usd = Some("0.5".parse().unwrap());
    assert_eq!(table.cost_of(&call).unwrap().to_string(), "$0.50");
    (call.cost_usd, call.provider) = (None, Some("localhost:1".into()));
    assert_eq!(table.cost_of(&call), Err(Unpriced::Provider));
}

#[test]
fn a_million_costs_add_up_without_drift_in_any_order() {
    let table = PriceTable::builtin();
    let at = at("2025-12-15T04:08:08Z");
    // A third of a cent has no end in binary, and 0.1 + 0.2 is 0.30000000000000004 there.
    let priced = table.find(Some("openai"), "gpt-5-mini").unwrap();
    let costs: Vec<_> = (1..=1000)
        .map(|n| priced.cost(&Usage::new(n * 7, n * 3), at).unwrap().total())
        .collect();
    let sum = |costs: &mut dyn Iterator<Item = &Usd>| {
        costs.fold(Usd::ZERO, |sum, it| sum.checked_add(*it).unwrap())
    };
    let (mut there, mut back) = (Usd::ZERO, Usd::ZERO);
    for _ in 0..1000 {
        there = there.checked_add(sum(&mut costs.iter())).unwrap();
        back = back.checked_add(sum(&mut costs.iter().rev())).unwrap();
    }
    assert_eq!(there, back);
    let whole = priced
        .cost(&Usage::new(500_500 * 7 * 1000, 500_500 * 3 * 1000), at)
        .unwrap();
    assert_eq!(there, whole.total());
}

#[test]
fn a_sum_tells_what_is_not_in_it() {
    let cent = Usd::from_decimal("0.01".parse().unwrap());
    let mut sum = CostSum::default();
    assert!(sum.is_empty());
    for model in ["b", "a", "a"] {
        sum.add(model, Err(Unpriced::Model));
    }
    assert_eq!(sum.to_string(), "cost unknown (a, b)");
    assert_eq!(sum.known(), None, "not zero");
    sum.add("c", Ok(cent.unwrap()));
    assert_eq!(sum.to_string(), "at least $0.010 (prices of a, b unknown)");
    let mut more = CostSum::new(
        cent,
        [("line\nbreak\u{202e}".to_owned(), 2), ("d".repeat(99), 1)],
    );
    more.merge(&sum).unwrap();
    assert_eq!(
        more.to_string(),
        format!(
            "at least $0.020 (prices of a, b, {}… and 1 more unknown)",
            "d".repeat(60)
        )
    );
    assert_eq!(more.unknown().map(|it| it.1).sum::<u64>(), 6);
    for n in 0..1000 {
        more.add(&format!("m{n}"), Err(Unpriced::Model));
    }
    assert_eq!(more.unknown().count(), 101);
    assert_eq!(more.unknown().map(|it| it.1).sum::<u64>(), 1006);
    assert!(
        !CostSum::new(None, [("line\nbreak\u{202e}".to_owned(), 2)])
            .to_string()
            .contains(['\n', '\u{202e}'])
    );
}

#[test]
fn a_call_that_shows_no_sign_of_a_cost_is_not_listed() {
    let time = CallTime::new(at("2025-12-15T04:08:08Z"), std::time::Duration::ZERO);
    let call = |model: &'static str, counted: bool, failed: bool| {
        let mut call = LlmCall::new("initial", model, time);
        if counted {
            call.usage = Usage::new(1234, 89);
        }
        if failed {
            call.outcome = Outcome::failure("rate_limited");
        }
        call
    };
    for (call, sum) in [
        (call("offline-rules", false, false), "no cost"),
        (
            call("offline-rules", true, false),
            "cost unknown (offline-rules)",
        ),
        (call("gpt-5-mini", true, false), "$0.00049"),
        (call("gpt-5-mini", true, true), "$0.00049"),
        (call("gpt-5-mini", false, true), "no cost"),
        (
            call("gpt-5-mini", false, false),
            "cost unknown (gpt-5-mini)",
        ),
    ] {
        let mut calls = CostSum::default();
        calls.add_call(&PriceTable::builtin(), &call);
        assert_eq!(calls.to_string(), sum, "{call:?}");
    }
}

proptest! {
    #[test]
    fn a_total_is_the_sum_of_its_parts(counts: [Option<u64>; 5], is_small: bool) {
        let table = PriceTable::builtin();
        let [prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens] =
            counts.map(|it| it.map(|it| if is_small { it % 1000 } else { it }));
        let usage = Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            cache_write_tokens,
            reasoning_tokens,
            total_tokens: None,
        };
        for model in ["claude-sonnet-4-5", "gemini-2.5-pro", "gpt-5-mini"] {
            // It compares them.
            cost(&table, None, model, &usage);
        }
    }
}
