//! A user's file of prices, and what is said of one that makes no sense.

use std::fs;

use metrics_core::Usage;

use super::cost;
use crate::PriceTable;

fn from_json(json: &str) -> Result<PriceTable, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prices.json");
    fs::write(&path, json).unwrap();
    let shown = format!("{}/", dir.path().display());
    PriceTable::from_file(&path).map_err(|it| it.to_string().replace(&shown, ""))
}

#[test]
fn own_prices_go_before_and_all_others_stay() {
    let table = from_json(
        r#"{
            "source": "our contract", "date": "2026-11-01",
            "providers": [
                {"id": "localhost:11434", "models": [{"id": "qwen3", "match": {"starts_with": "qwen3"}, "prices": [{"input": 0.05, "output": 0.2}]}]},
                {"id": "openai", "models": [{"id": "gpt-5-mini", "prices": [{"input": 0.2, "cached": 0.02, "output": 1.5}]}]},
                {"id": "*", "models": [{"id": "offline-rules", "prices": [{"input": 0, "output": 0}]}]}
            ]
        }"#,
    )
    .unwrap();
    let usage = Usage::new(1_000_000, 1_000_000);
    for (provider, model, dollars) in [
        (Some("localhost:11434"), "qwen3:8b", "0.25"),
        (Some("localhost:11434"), "llama", "Model"),
        (Some("openai"), "gpt-5-mini", "1.7"),
        // Its name alone tells the provider, whose price is ours.
        (None, "gpt-5-mini", "1.7"),
        (Some("openai"), "gpt-5", "11.25"),
        (Some("anthropic"), "claude-haiku-4-5", "6"),
        (None, "offline-rules", "0"),
        (Some("anybody"), "offline-rules", "0"),
        (Some("anybody"), "other", "Provider"),
    ] {
        assert_eq!(
            cost(&table, provider, model, &usage),
            dollars,
            "{provider:?} {model}"
        );
    }
    let sources: Vec<_> = table.sources().map(|it| (&*it.name, &*it.date)).collect();
    assert_eq!(
        sources,
        [
            ("our contract", "2026-11-01"),
            ("genai-prices", "2026-11-24")
        ]
    );
}

#[test]
fn a_file_that_makes_no_sense_is_refused_with_the_place_and_the_way_out() {
    let model = |rest: &str| {
        format!("{{\"providers\": [{{\"id\": \"p\", \"models\": [\n{{\"id\": \"m\", {rest}}}]}}]}}")
    };
    let errors: Vec<_> = [
        "{\"providers\": [".to_owned(),
        "{\"provider\": []}".to_owned(),
        model("\"prices\": [{\"input\": -1}]"),
        model("\"prices\": [{\"input\": \"free\"}]"),
        model("\"prices\": [{\"inptu\": 1}]"),
        model("\"prices\": [{\"input\": {\"base\": 1}}]"),
        model("\"prices\": []"),
        model("\"prices\": [{\"cached\": 1}]"),
        model("\"prices\": [{\"output\": 1e10}]"),
        model("\"prices\": [{\"from\": \"2026-02-30\", \"input\": 1}]"),
        model("\"prices\": [{\"hours\": [\"24:00\", \"1:00\"], \"input\": 1}]"),
        model("\"match\": {\"regex\": \"(\"}, \"prices\": [{\"input\": 1}]"),
        model("\"match\": {\"like\": \"m\"}, \"prices\": [{\"input\": 1}]"),
        model("\"match\": {\"contains\": \"\"}, \"prices\": [{\"input\": 1}]"),
    ]
    .iter()
    .map(|json| {
        let error = from_json(json).unwrap_err();
        let problem = error.strip_prefix("the prices in `prices.json` cannot be used: ");
        problem.unwrap_or(&error).to_owned()
    })
    .collect();
    insta::assert_snapshot!(errors.join("\n"), @r#"
    EOF while parsing a list at line 1 column 15
    unknown field `provider`, expected one of `source`, `version`, `date`, `license`, `providers` at line 1 column 11
    `-1` is no price; give dollars for a million tokens, such as 0.25, or {"base": 1.25, "above": [[200000, 2.5]]} at line 2 column 36
    `"free"` is no price; give dollars for a million tokens, such as 0.25, or {"base": 1.25, "above": [[200000, 2.5]]} at line 2 column 40
    unknown field `inptu`, expected one of `from`, `hours`, `input`, `cached`, `cache_write`, `output`, `reasoning`, `requests` at line 2 column 31
    `{"base": 1}` is no price; give dollars for a million tokens, such as 0.25, or {"base": 1.25, "above": [[200000, 2.5]]} at line 2 column 45
    provider `p`, model `m`: `prices` is empty; give at least one set, such as {"input": 0.25, "output": 2}
    provider `p`, model `m`: `cached` and `cache_write` are parts of the prompt: give `input` too
    `1e10` is no price; give dollars for a million tokens, such as 0.25, or {"base": 1.25, "above": [[200000, 2.5]]} at line 2 column 39
    `2026-02-30` is no day, such as 2026-12-01 at line 2 column 44
    give two times of the day in UTC, such as ["16:30", "00:30"] at line 2 column 50
    provider `p`, model `m`: no pattern: `(`
    unknown variant `like`, expected one of `equals`, `starts_with`, `ends_with`, `contains`, `regex`, `or`, `and`, `not` at line 2 column 28
    an empty text says nothing about a name at line 2 column 37
    "#);
    assert!(
        PriceTable::from_file("no/such/file")
            .unwrap_err()
            .to_string()
            .contains("`no/such/file`")
    );
}

#[test]
fn prices_are_written_as_they_are_read() {
    let json = r#"{"from":"2026-03-01","hours":["16:30","00:30"],"input":{"base":1.25,"above":[[200000,2.5]]},"output":0.15000000000000002}"#;
    let prices: crate::PriceSet = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&prices).unwrap(), json);
}
