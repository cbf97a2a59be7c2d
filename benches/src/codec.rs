//! The canonical line against `serde_json` on the same struct.

use std::{hint::black_box, time::Duration};

use metrics_core::{CallTime, Event, LlmCall, Phase, Usage, decode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::rounds::{Variant, compare};

const BATCH: usize = 2_000;

/// What anybody would write first: a derive, with the stamps as `time` writes them.
#[derive(Serialize, Deserialize)]
struct Derived<'a> {
    event: &'a str,
    phase: &'a str,
    model: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    start_ts: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    end_ts: OffsetDateTime,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_tokens: Option<u64>,
}

pub(crate) fn run() {
    let time = CallTime::new(
        "2025-12-15T04:08:08.123456Z".parse().expect("a timestamp"),
        Duration::from_micros(111_111),
    );
    let mut call = LlmCall::new(Phase::INITIAL, "gpt-5-mini", time);
    call.usage = Usage::new(1234, 89);
    let event = Event::from(call);
    let line = event.to_line();
    let derived: Derived<'_> = serde_json::from_str(&line).expect("the same fields");
    assert_eq!(serde_json::to_string(&derived).expect("serializes"), line);
    // Another writer's spelling of the same event: other order, spaces.
    let foreign = format!(
        "{{\"model\": \"gpt-5-mini\", \"event\": \"llm_call\", {}",
        line.replace("\"event\":\"llm_call\",", "")
            .replace("\"model\":\"gpt-5-mini\",", "")
            .replace(',', ", ")
            .replace("\":", "\": ")
            .trim_start_matches('{')
    );
    assert_eq!(decode(foreign.as_bytes()), decode(line.as_bytes()));

    let (mut ours, mut theirs) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
    compare(
        "encode one llm_call line",
        "at most 0.25x serde_json, no allocation",
        Some("serde_json derive with time stamps"),
        vec![
            Variant::new("Event::encode", BATCH, || {
                ours.clear();
                black_box(&event).encode(&mut ours);
                black_box(&ours);
            }),
            Variant::new("serde_json derive with time stamps", BATCH, || {
                theirs.clear();
                serde_json::to_writer(&mut theirs, black_box(&derived)).expect("serializes");
                black_box(&theirs);
            }),
        ],
    );
    compare(
        "decode one canonical llm_call line",
        "at most 0.5x serde_json",
        Some("serde_json derive with time stamps"),
        vec![
            Variant::new("decode", BATCH, || {
                black_box(decode(black_box(line.as_bytes()))).expect("decodes");
            }),
            Variant::new("serde_json derive with time stamps", BATCH, || {
                black_box(serde_json::from_str::<Derived<'_>>(black_box(&line))).expect("decodes");
            }),
        ],
    );
    compare(
        "decode one foreign llm_call line",
        "no slower than serde_json",
        Some("serde_json derive with time stamps"),
        vec![
            Variant::new("decode", BATCH, || {
                black_box(decode(black_box(foreign.as_bytes()))).expect("decodes");
            }),
            Variant::new("serde_json derive with time stamps", BATCH, || {
                black_box(serde_json::from_str::<Derived<'_>>(black_box(&foreign)))
                    .expect("decodes");
            }),
        ],
    );
}
