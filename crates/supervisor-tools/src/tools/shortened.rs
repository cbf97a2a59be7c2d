//! Metadata as a model can read it: without texts that would fill its context.

use artifact_store::Metadata;
use serde_json::Value;

use crate::texts;

/// Longer texts are cut; a model would have to read them all.
const MAX_METADATA_CHARS: usize = 10_000;

/// The metadata with its long texts cut, and whether any was.
pub(super) fn shortened(mut metadata: Metadata) -> (Metadata, bool) {
    let mut was_cut = false;
    let mut shorten = |text: &mut String| {
        if text.chars().nth(MAX_METADATA_CHARS).is_some() {
            *text = texts::cut(text, MAX_METADATA_CHARS);
            was_cut = true;
        }
    };
    shorten(&mut metadata.task);
    metadata.error.as_mut().map(&mut shorten);
    metadata.summary.as_mut().map(&mut shorten);
    let values = [&mut metadata.config, &mut metadata.summary_meta];
    for value in values.into_iter().chain(metadata.extra.values_mut()) {
        shorten_value(value, &mut shorten);
    }
    (metadata, was_cut)
}

fn shorten_value(value: &mut Value, shorten: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => shorten(text),
        Value::Array(values) => values.iter_mut().for_each(|it| shorten_value(it, shorten)),
        Value::Object(map) => map.values_mut().for_each(|it| shorten_value(it, shorten)),
        _ => {}
    }
}
