//! Runs foreign formatting code, which may panic, fail, or emit events of its own.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Events inside the formatting of events, one in another, before a value is given up.
///
/// A `Debug` that logs itself would else recurse until the stack ends.
const MAX_DEPTH: u8 = 4;

/// Runs `format`; on failure answers the text that stands in the value's place.
pub(crate) fn guarded(format: impl FnOnce() -> fmt::Result) -> Result<(), &'static str> {
    thread_local!(static DEPTH: Cell<u8> = const { Cell::new(0) });
    let depth = DEPTH.get();
    if depth >= MAX_DEPTH {
        return Err("<nested too deep>");
    }
    DEPTH.set(depth + 1);
    let res = catch_unwind(AssertUnwindSafe(format));
    DEPTH.set(depth);
    match res {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fmt::Error)) => Err("<formatting failed>"),
        Err(payload) => {
            std::mem::forget(payload); // Its drop is foreign code too, and may panic.
            Err("<panicked while formatting>")
        }
    }
}
