//! `prices`: what a model costs, and prices of one's own.

use std::fs;

use serde_json::json;

use super::Place;

const OWN: &str = r#"{
    "source": "our contract", "date": "2026-11-01",
    "providers": [{"id": "localhost:11434", "models": [
        {"id": "qwen3", "match": {"starts_with": "qwen3"}, "prices": [{"input": 0.05, "output": 0.15000000000000002}]}]}]
}"#;

#[test]
fn a_model_is_shown_with_its_prices_and_their_source() {
    let place = Place::new();
    let shown = place.run(&["prices", "gpt-5-mini"]).answer();
    assert_eq!(
        shown,
        "gpt-5-mini (GPT-5 mini) of openai (OpenAI): dollars for a million tokens\n\n\
         \u{20}     INPUT  CACHED  OUTPUT\n\
         \u{20}now  0.25   0.025   2\n\n\
         Prices: genai-prices 0.2.3, taken 2026-11-24 (MIT, Copyright (c) Pydantic Services Inc. 2025 to present)\n"
    );
    assert!(!place.data_dir().exists(), "no store is made for that");
    let dated = place.run(&[
        "prices",
        "deepseek-v4-pro",
        "--provider",
        "api.deepseek.com",
    ]);
    let dated = dated.answer();
    assert!(
        dated.contains("2026-08-17") && dated.contains("01:00 to 04:00 UTC"),
        "{dated}"
    );
}

#[test]
fn without_a_model_providers_and_their_models_are_listed() {
    let place = Place::new();
    let providers = place.run(&["prices"]).answer();
    assert!(
        providers.lines().any(|it| it.starts_with(" openrouter ")),
        "{providers}"
    );
    let models = place.run(&["prices", "--provider", "anthropic"]).answer();
    assert!(
        models
            .lines()
            .any(|it| it.starts_with(" claude-haiku-4-5 ")),
        "{models}"
    );
    let all = place.run(&["prices", "--json"]).json();
    assert_eq!(all["models"].as_array().unwrap().len(), 2330);
}

#[test]
fn an_unknown_model_is_an_error_with_a_way_out() {
    let place = Place::new();
    let none = place
        .run(&["prices", "deepseek-v4-pro", "--provider", "openai"])
        .expect(1);
    assert!(
        none.stderr
            .starts_with("error: no price of `deepseek-v4-pro` of `openai`: "),
        "{none:?}"
    );
    assert!(
        none.stderr.contains(" deepseek-v4-pro of deepseek"),
        "{none:?}"
    );
    let none = place.run(&["prices", "no-such-model"]).expect(1);
    assert!(
        none.stderr
            .contains("hint: give its price in a file of your own"),
        "{none:?}"
    );
    place.run(&["prices", "--provider", "nobody"]).expect(1);
}

#[test]
fn own_prices_come_from_an_option_or_a_variable() {
    let place = Place::new();
    let path = place.folder().join("own.json");
    fs::write(&path, OWN).unwrap();
    let arguments = [
        "prices",
        "qwen3:8b",
        "--provider",
        "localhost:11434",
        "--json",
    ];
    place.run(&arguments).expect(1);
    let option = place.run(&[&arguments[..], &["--prices", "own.json"]].concat());
    // Digit for digit: this one is no float.
    assert!(
        option.stdout.contains("\"output\": 0.15000000000000002"),
        "{option:?}"
    );
    let object = option.json();
    assert_eq!(object["model"], json!("qwen3"));
    assert_eq!(object["source"]["name"], json!("our contract"));
    let mut variable = place.command(&arguments);
    variable.env("TRISCOPE_PRICES", &path);
    assert_eq!(crate::support::finish(&mut variable).json(), object);
    fs::write(&path, OWN.replace("0.05", "-1")).unwrap();
    let wrong = place.run(&["prices", "--prices", "own.json"]).expect(2);
    assert!(
        wrong
            .stderr
            .contains("own.json` cannot be used: `-1` is no price"),
        "{wrong:?}"
    );
}
