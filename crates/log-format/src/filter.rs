//! Which events become lines: `RUST_LOG`, with triscope's own events kept.

#[cfg(test)]
mod tests;

use std::env;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

use crate::format::{TELEMETRY_TARGET, notice};

/// The directives in force when `RUST_LOG` says nothing.
pub(crate) const DEFAULT_DIRECTIVES: &str = "info";

/// Added unless the directives name the telemetry target themselves.
const TELEMETRY_DIRECTIVE: &str = "triscope::telemetry=info";

/// A filter and what could not be understood while it was made.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) filter: EnvFilter,
    pub(crate) ignored: Vec<Ignored>,
}

/// A directive that was left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    directive: String,
    reason: String,
}

impl Ignored {
    /// A line that says so.
    pub(crate) fn notice(&self) -> Vec<u8> {
        let fields = [
            ("directive", self.directive.as_str()),
            ("reason", self.reason.as_str()),
        ];
        notice("log_filter_ignored", &fields)
    }
}

/// The filter that the environment asks for; `default` stands in for an unset or empty `RUST_LOG`.
pub(crate) fn from_env(default: &str) -> Filter {
    match env::var_os("RUST_LOG") {
        None => from_directives("", default),
        Some(value) => from_directives(&value.to_string_lossy(), default),
    }
}

/// The filter of comma-separated directives; `default` stands in where none of them is valid.
///
/// The telemetry target is kept at INFO unless a directive names exactly that target.
pub(crate) fn from_directives(text: &str, default: &str) -> Filter {
    let mut ignored = Vec::new();
    let mut valid = parse(text, &mut ignored);
    if valid.is_empty() {
        valid = parse(default, &mut ignored);
    }
    if !valid.iter().any(|(target, _)| *target == TELEMETRY_TARGET) {
        valid.extend(parse(TELEMETRY_DIRECTIVE, &mut ignored));
    }
    let mut directives = valid.into_iter().map(|(_, directive)| directive);
    // An `EnvFilter` without directives adds `error`; the first one takes that place.
    let mut builder = EnvFilter::builder();
    if let Some(first) = directives.next() {
        builder = builder.with_default_directive(first);
    }
    let filter = directives.fold(builder.parse_lossy(""), EnvFilter::add_directive);
    Filter { filter, ignored }
}

/// The valid directives of `text`, each with the target it names.
fn parse<'a>(text: &'a str, ignored: &mut Vec<Ignored>) -> Vec<(&'a str, Directive)> {
    let mut res = Vec::new();
    for piece in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        match piece.parse::<Directive>() {
            Ok(directive) => {
                let target = piece.split(['=', '[']).next().unwrap_or(piece);
                res.push((target, directive));
            }
            Err(error) => ignored.push(Ignored {
                directive: piece.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
    res
}
