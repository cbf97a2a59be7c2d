//! Costs of many calls, against what `model-prices` itself says of each of them.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use metrics_core::{Event, EventReader, LineContent, LlmCall};
use model_prices::{CostSum, PriceTable, Usd};
use serde_json::{Value, value::RawValue};

use crate::{
    Cell, Filter, Format, Group, Groups, Input, Key, ReportOptions, Table, report, scan, total_cost,
};

/// Made-up prices that change on a day, with the hour, and with the length of a prompt.
const OWN: &str = r#"{"providers": [{"id": "mine", "models": [
    {"id": "dated", "prices": [{"input": 1, "output": 10}, {"from": "2025-12-16", "input": 0.333333333333333333, "output": 7}]},
    {"id": "nightly", "prices": [{"input": 3, "output": 9}, {"hours": ["22:00", "06:00"], "input": 1.5, "output": 4.5}]},
    {"id": "long", "prices": [{"input": {"base": 1.25, "above": [[1000, 2.5]]}, "cached": 0.125, "output": 10, "requests": 5}]}]}]}"#;

/// A file of calls, and prices that go before those of the program.
struct Calls {
    _dir: tempfile::TempDir,
    path: PathBuf,
    table: PriceTable,
}

impl Calls {
    /// So many that no group is small, of models whose prices are known, unknown, and depend on everything they can.
    fn many() -> Self {
        let models = [
            ("gpt-5-mini", r#","provider":"openai""#),
            ("gpt-5-mini", ""),
            ("claude-sonnet-4-20250514", r#","provider":"anthropic""#),
            ("dated", r#","provider":"mine""#),
            ("nightly", r#","provider":"mine""#),
            ("long", r#","provider":"mine""#),
            ("long", r#","provider":"mite""#),
            ("lung", r#","provider":"mine""#),
            ("qwen3", r#","provider":"localhost:11434""#),
            ("offline-rules", ""),
        ];
        let mut text = String::new();
        for n in 0..5000_usize {
            let (model, provider) = models[n * 7 % models.len()];
            let (day, hour) = (15 + n % 3, n * 5 % 24);
            let (prompt, completion) = (n * 37 % 2500, n * 11 % 400);
            let tokens = match n % 23 {
                0 => String::new(),
                1 => format!(r#","total_tokens":{}"#, prompt + completion),
                // More cached ones than there are.
                2 => format!(
                    r#","prompt_tokens":{prompt},"completion_tokens":{completion},"cached_tokens":9999"#
                ),
                _ => format!(
                    r#","prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{},"cached_tokens":{}"#,
                    prompt + completion,
                    prompt / 3,
                ),
            };
            let outcome = if n % 9 == 0 {
                r#","success":false,"error":"no""#
            } else {
                ""
            };
            let reported = if n % 41 == 0 {
                r#","cost_usd":0.0000123456789"#
            } else {
                ""
            };
            let stamp = format!("2025-12-{day}T{hour:02}:59:59.{:06}Z", n * 199 % 1_000_000);
            let end = format!("2025-12-{}T00:00:00.000000Z", day + 1);
            let _ = writeln!(
                text,
                r#"{{"event":"llm_call","phase":"p{}","model":"{model}","start_ts":"{stamp}","end_ts":"{end}","duration_ms":{n}{tokens}{provider}{outcome}{reported}}}"#,
                n % 2,
            );
        }
        text.push_str("{\"event\":\"tool_call\",\"tool\":\"t\",\"start_ts\":\"2025-12-15T04:08:08.345678Z\",\"end_ts\":\"2025-12-15T04:08:09.456789Z\",\"duration_ms\":1111,\"success\":true}\n");
        Self::of(&text)
    }

    fn of(text: &str) -> Self {
        Self::priced(text, OWN)
    }

    fn priced(text: &str, own: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, prices) = (dir.path().join("a.jsonl"), dir.path().join("prices.json"));
        fs::write(&path, text).unwrap();
        fs::write(&prices, own).unwrap();
        Self {
            path,
            table: PriceTable::from_file(prices).unwrap(),
            _dir: dir,
        }
    }

    fn filter(&self, condition: &str) -> Filter {
        Filter {
            condition: (!condition.is_empty()).then(|| condition.parse().unwrap()),
            prices: Some(self.table.clone()),
            ..Filter::default()
        }
    }

    fn groups(&self, by: &[Key], filter: &Filter) -> Vec<Group> {
        let inputs = [Input::Path(self.path.clone())];
        scan(&inputs, filter, || Groups::by(by)).0.into_groups()
    }

    fn report(&self, by: &[Key], filter: &Filter) -> Table {
        let options = ReportOptions {
            by: by.to_vec(),
            sort: None,
            limit: None,
        };
        report(self.groups(by, filter), &options)
    }

    /// Each model call, as it stands in the file.
    fn each(&self, mut take: impl FnMut(&LlmCall<'_>)) {
        let text = fs::read(&self.path).unwrap();
        let mut lines = EventReader::new(&*text);
        while let Some(line) = lines.next_line().unwrap() {
            if let LineContent::Event(Event::LlmCall(call)) = &line.content {
                take(call);
            }
        }
    }

    /// What `model-prices` says of them, summed up by `key`.
    fn by_hand(&self, key: impl Fn(&LlmCall<'_>) -> String) -> BTreeMap<String, CostSum> {
        let mut sums = BTreeMap::<_, CostSum>::new();
        self.each(|call| {
            let sum = sums.entry(key(call)).or_default();
            sum.add_call(&self.table, call);
        });
        sums
    }
}

#[test]
fn each_group_costs_what_its_calls_cost_and_all_together_the_whole() {
    let calls = Calls::many();
    let of_all = calls.by_hand(|_| String::new()).remove("").unwrap();
    for (key, by_hand) in [
        (Key::Model, calls.by_hand(|it| it.model.as_str().to_owned())),
        (Key::Phase, calls.by_hand(|it| it.phase.as_str().to_owned())),
        (
            Key::Day,
            calls.by_hand(|it| it.time.end_ts().to_string()[..10].to_owned()),
        ),
    ] {
        let filter = calls.filter("event = 'llm_call'");
        let groups = calls.groups(&[key], &filter);
        let mut units = 0;
        for group in &groups {
            let value = group.values[0].as_deref().unwrap();
            assert_eq!(group.stats.cost, by_hand[value], "{key} {value}");
            units += group.stats.cost.known().map_or(0, Usd::units);
        }
        assert_eq!(groups.len(), by_hand.len());
        assert_eq!(Some(Usd::from_units(units)), of_all.known());
        assert_eq!(total_cost(&groups), Some(format!("Cost: {of_all}.")));

        // A program gets all digits, and nothing where nothing is known.
        let json = calls.report(&[key], &filter).render(Format::Jsonl);
        for line in json.lines() {
            let row: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            let value: String = serde_json::from_str(row[key.as_str()].get()).unwrap();
            let sum = &by_hand[&value];
            let known = sum.known().map(|it| it.to_decimal().to_string());
            assert_eq!(
                row["cost_usd"].get(),
                known.as_deref().unwrap_or("null"),
                "{line}"
            );
            let unknown: u64 = sum.unknown().map(|it| it.1).sum();
            let shown = (!sum.is_empty()).then_some(unknown);
            let written: Option<u64> =
                serde_json::from_str(row["cost_unknown_calls"].get()).unwrap();
            assert_eq!(written, shown, "{line}");
        }
    }
    let known = of_all.known().unwrap();
    assert!(
        known > Usd::ZERO && of_all.unknown().count() > 3,
        "{of_all}"
    );
}

#[test]
fn each_of_more_models_than_are_kept_has_the_price_of_its_provider() {
    let provider = |provider: usize| {
        let model = |n| {
            let input = provider * 100 + n;
            format!(r#"{{"id":"m{n}","prices":[{{"input":{input},"output":0}}]}}"#)
        };
        let models = (0..20).map(model).collect::<Vec<_>>().join(",");
        format!(r#"{{"id":"p{provider}","models":[{models}]}}"#)
    };
    let own = (0..10).map(provider).collect::<Vec<_>>().join(",");
    let mut text = String::new();
    for n in 0..800 {
        let (provider, model) = (n % 10, n / 10 % 20);
        let _ = writeln!(
            text,
            r#"{{"event":"llm_call","phase":"p","model":"m{model}","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-15T04:08:09.456789Z","duration_ms":1111,"prompt_tokens":1000000,"completion_tokens":1,"provider":"p{provider}"}}"#,
        );
    }
    let calls = Calls::priced(&text, &format!(r#"{{"providers":[{own}]}}"#));
    let groups = calls.groups(&[Key::Provider, Key::Model], &calls.filter(""));
    assert_eq!(groups.len(), 200);
    for group in groups {
        let [Some(provider), Some(model)] = &*group.values else {
            panic!("{group:?}");
        };
        let [provider, n] = [provider, model].map(|it| it[1..].parse::<i128>().unwrap());
        let dollars = provider * 100 + n;
        let units = group.stats.cost.known().map(Usd::units);
        assert_eq!(
            units,
            Some(4 * dollars * 10_i128.pow(24)),
            "{provider} {model}"
        );
    }
}

#[test]
fn people_see_what_is_known_and_that_there_is_more() {
    let call = |model: &str, rest: &str| {
        format!(
            "{{\"event\":\"llm_call\",\"phase\":\"p\",\"model\":\"{model}\",\"start_ts\":\"2025-12-15T04:08:08.345678Z\",\
             \"end_ts\":\"2025-12-15T04:08:08.345678Z\",\"duration_ms\":0{rest}}}\n"
        )
    };
    let tokens = r#","prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323"#;
    let calls = Calls::of(
        &[
            call("gpt-5-mini", tokens),
            call("qwen3", tokens),
            call("offline-rules", ""),
        ]
        .concat(),
    );
    let text = |by: &[Key], filter: &Filter| {
        let mut table = calls.report(by, filter);
        let wanted = ["model", "phase", "count", "cost_usd", "cost_unknown_calls"];
        let columns = table.columns.iter();
        let is_shown: Vec<_> = columns.map(|it| wanted.contains(&it.name)).collect();
        for row in &mut table.rows {
            let mut shown = is_shown.iter();
            row.retain(|_| shown.next() == Some(&true));
        }
        table.columns.retain(|it| wanted.contains(&it.name));
        table.render(Format::Table) + &table.render(Format::Csv)
    };
    let priced = calls.filter("");
    insta::assert_snapshot!(text(&[Key::Model], &priced), @r"
    MODEL          CALLS      COST
    gpt-5-mini         1  $0.00049
    offline-rules      1         -
    qwen3              1   unknown
    model,count,cost_usd,cost_unknown_calls
    gpt-5-mini,1,0.0004865,0
    offline-rules,1,,
    qwen3,1,,1
    ");
    insta::assert_snapshot!(text(&[Key::Phase], &priced), @r"
    PHASE  CALLS       COST
    p          3  ≥$0.00049
    phase,count,cost_usd,cost_unknown_calls
    p,3,0.0004865,1
    ");
    // Whoever wants no prices has no cost, and the same table otherwise.
    insta::assert_snapshot!(text(&[Key::Phase], &Filter::default()), @r"
    PHASE  CALLS
    p          3
    phase,count,cost_usd,cost_unknown_calls
    p,3,,
    ");
    assert_eq!(total_cost(&calls.groups(&[], &Filter::default())), None);
}

#[test]
fn conditions_ask_for_what_a_call_cost_whoever_says_so() {
    let calls = Calls::many();
    let count = |condition: &str, filter: Filter| {
        let filter = Filter {
            condition: Some(condition.parse().unwrap()),
            ..filter
        };
        calls
            .groups(&[], &filter)
            .first()
            .map_or(0, |it| it.stats.count())
    };
    let limit: Usd = serde_json::from_str("0.002").unwrap();
    let (mut more, mut less, mut reported) = (0, 0, 0);
    calls.each(|call| {
        match calls.table.cost_of(call) {
            Ok(cost) if cost > limit => more += 1,
            Ok(_) => less += 1,
            Err(_) => {}
        }
        reported += u64::from(call.cost_usd.is_some());
    });
    assert!(more > 100 && less > 100 && reported > 100);
    let priced = calls.filter("");
    assert_eq!(count("cost_usd > 0.002", priced.clone()), more);
    assert_eq!(count("cost_usd <= 0.002", priced.clone()), less);
    assert_eq!(count("cost_usd = 0.0000123456789", priced), reported);
    // Without prices it is what providers said.
    assert_eq!(count("cost_usd > 0", Filter::default()), reported);
}

#[test]
fn a_row_is_sorted_by_what_is_known_of_its_cost() {
    let calls = Calls::many();
    let by = [Key::Model];
    let options = ReportOptions {
        sort: Some(crate::Sort::by("cost_usd", &by).unwrap()),
        by: by.to_vec(),
        limit: None,
    };
    let table = report(calls.groups(&by, &calls.filter("")), &options);
    let at = table
        .columns
        .iter()
        .position(|it| it.name == "cost_usd")
        .unwrap();
    let costs: Vec<_> = table.rows.iter().map(|row| &row[at]).collect();
    let known = costs.iter().map(|it| match it {
        Cell::Cost { known, .. } => *known,
        _ => None,
    });
    assert!(known.is_sorted_by(|one, other| one >= other), "{costs:?}");
    let json: Value = serde_json::from_str(&table.render(Format::Json)).unwrap();
    assert_ne!(json[0]["model"], "offline-rules");
}
