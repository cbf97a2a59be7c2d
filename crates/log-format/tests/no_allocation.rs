//! Our own events allocate nothing on their thread once the buffers are warm.
#![expect(unsafe_code, reason = "a counting allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tracing_subscriber::layer::SubscriberExt as _;

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });

struct Counting;

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Takes and forgets.
struct Nowhere;

impl log_format::LineSink for Nowhere {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
}

#[test]
fn a_warm_event_allocates_nothing() {
    let writer = log_format::LogWriter::spawn(Nowhere, 1 << 20).unwrap();
    let layer = log_format::LogLayer::new(writer);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        emit(100); // The buffers of this thread grow to the size of a line.
        let before = ALLOCATIONS.get();
        emit(100);
        assert_eq!(ALLOCATIONS.get() - before, 0);
    });
}

fn emit(n_events: i64) {
    for it in 0..n_events {
        tracing::info!(
            target: "triscope::telemetry",
            end_unix_us = 1_765_768_773_000_000 + it * 100_000,
            tool = "ssh exec",
            duration_ms = it,
            success = true,
            worker_id = "2025-12-15T03-19-12_backup",
            event = "tool_call_complete",
            "tool_call_complete"
        );
    }
}
