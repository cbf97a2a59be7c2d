//! Which model a name finds.

use super::at;
use crate::{PriceTable, Unpriced, layer::Layer};

fn found(provider: Option<&str>, model: &str) -> Result<String, Unpriced> {
    let table = PriceTable::builtin();
    let it = table.find(provider, model)?;
    Ok(format!("{}/{}", it.provider_id(), it.model_id()))
}

#[test]
fn the_whole_table_is_sound() {
    let layer = Layer::builtin();
    assert_eq!(layer.fault(), None);
    assert_eq!(layer.providers.len(), 47);
    let models: usize = layer.providers.iter().map(|it| it.models().len()).sum();
    assert_eq!(models, 2330);
    assert_eq!(
        (&*layer.source.name, &*layer.source.version),
        ("genai-prices", "0.2.3")
    );
    assert_eq!(layer.source.date, "2026-11-24");
}

#[test]
fn the_providers_that_our_events_name_are_found() {
    for (provider, model, expected) in [
        (Some("openai"), "gpt-5-mini", "openai/gpt-5-mini"),
        (Some("OpenAI"), "GPT-5-mini-2025-08-07", "openai/gpt-5-mini"),
        (
            Some("anthropic"),
            "claude-sonnet-4-5-20250929",
            "anthropic/claude-sonnet-4-5",
        ),
        (
            Some("openrouter"),
            "openai/gpt-5-mini",
            "openrouter/openai/gpt-5-mini",
        ),
        // Not its own model, so at OpenAI's price.
        (Some("azure"), "gpt-5-mini", "openai/gpt-5-mini"),
        // A server that is none of the four stands in events with its host.
        (
            Some("api.groq.com"),
            "llama-3.1-8b-instant",
            "groq/llama-3.1-8b-instant",
        ),
        (
            Some("api.deepseek.com:443"),
            "deepseek-chat",
            "deepseek/deepseek-chat",
        ),
        (
            Some("https://api.mistral.ai/v1"),
            "mistral-small-latest",
            "mistral/mistral-small",
        ),
        (Some("litellm"), "openai/gpt-5-mini", "openai/gpt-5-mini"),
        (None, "gpt-5-mini", "openai/gpt-5-mini"),
        (Some(""), "gpt-5-mini", "openai/gpt-5-mini"),
    ] {
        let found = found(provider, model);
        assert!(
            found.as_ref().is_ok_and(|it| it.starts_with(expected)),
            "{provider:?} {model}: {found:?}"
        );
    }
}

#[test]
fn what_is_not_in_the_table_is_not_guessed() {
    for (provider, model, expected) in [
        (None, "offline-rules", Unpriced::Model),
        (None, "", Unpriced::Model),
        (Some("openai"), "gpt-99", Unpriced::Model),
        (Some("localhost:11434"), "gpt-5-mini", Unpriced::Provider),
        // Its name is no proof of who answers there.
        (Some("openai.example.com"), "gpt-5-mini", Unpriced::Provider),
        (
            Some("evil.example/https://api.openai.com"),
            "gpt-5-mini",
            Unpriced::Provider,
        ),
    ] {
        assert_eq!(
            found(provider, model),
            Err(expected),
            "{provider:?} {model}"
        );
        assert_eq!(
            found(provider, model),
            Err(expected),
            "remembered: {provider:?} {model}"
        );
    }
}

#[test]
fn a_date_in_one_piece_is_read_as_one_with_hyphens() {
    let dated = found(Some("openai"), "gpt-5.2-2025-12-11").unwrap();
    assert_eq!(found(Some("openai"), "gpt-5.2-20251211").unwrap(), dated);
    assert_eq!(
        found(Some("openai"), "gpt-5.2-20251311"),
        Err(Unpriced::Model)
    );
    assert_eq!(
        found(Some("openai"), "gpt-5.2-20250230"),
        Err(Unpriced::Model)
    );
}

#[test]
fn any_number_of_names_is_answered_from_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prices.json");
    std::fs::write(&path, r#"{"providers": []}"#).unwrap();
    // A table of its own: that of the other tests remembers what they ask.
    let table = PriceTable::from_file(&path).unwrap();
    for n in 0..10_000 {
        let found = table.find(Some("openai"), &format!("gpt-none-{n}"));
        assert_eq!(found.err(), Some(Unpriced::Model));
    }
    assert_eq!(table.count_remembered(), 4096);
    assert!(table.find(Some("openai"), "gpt-5-mini").is_ok());
    let other = PriceTable::from_file(&path).unwrap();
    assert_eq!(
        other.find(None, &"x".repeat(1000)).err(),
        Some(Unpriced::Model)
    );
    assert_eq!(other.count_remembered(), 0);
    assert!(other.find(None, "gpt-5-mini").is_ok());
    assert_eq!(other.count_remembered(), 1);
}

#[test]
fn a_part_of_a_name_lists_models() {
    let table = PriceTable::builtin();
    let ids: Vec<_> = table
        .models("Haiku 4.5")
        .map(|it| format!("{}/{}", it.provider_id(), it.model_id()))
        .collect();
    assert!(
        ids.contains(&"anthropic/claude-haiku-4-5".to_owned()),
        "{ids:?}"
    );
    assert_eq!(table.models("").count(), 2330);
    assert_eq!(table.models("no such model").count(), 0);
    let now = at("2026-11-24T00:00:00Z");
    assert!(table.models("").all(|it| it.prices_at(now).is_some()));
}
