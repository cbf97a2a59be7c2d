//! libFuzzer over the targets of the crates; `TRISCOPE_FUZZ_TARGET` says which.

#![no_main]

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use metrics_core::fuzzing::Target;

const TARGETS: [&[Target]; 5] = [
    log_format::fuzzing::TARGETS,
    metrics_analysis::fuzzing::TARGETS,
    metrics_core::fuzzing::TARGETS,
    model_prices::fuzzing::TARGETS,
    redactor::fuzzing::TARGETS,
];

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = env::var("TRISCOPE_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.into_iter().flatten().find(|it| it.0 == wanted);
    let Some((_, target)) = found else {
        panic!("no target `{wanted}`");
    };
    *target
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
