//! What all events of one callsite have in common, worked out at the first of them.

use std::cell::Cell;
use std::collections::HashMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use tracing::Metadata;

use crate::buffer::Buffer;
use crate::escape::{is_spaceless_key, push_key};
use crate::format::TELEMETRY_TARGET;
use crate::stamp::STAMP_LEN;

/// Bytes of a piece that are copied by a move of fixed size; longer keys are rare.
const SHORT: usize = 32;

/// Callsites that a thread finds without a lock.
const RECENT: usize = 16;

/// Who made an event: this decides which of its fields are special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// `triscope::telemetry`: `end_unix_us` is the stamp, `event` goes last, no `target=`.
    Telemetry,
    /// A record of the `log` crate through `tracing-log`, which keeps its target in a field.
    LogCrate,
    /// Any other event: fields in place, `target=` last.
    Foreign,
}

impl Origin {
    fn of(metadata: &Metadata<'_>) -> Self {
        match metadata.target() {
            TELEMETRY_TARGET => Self::Telemetry,
            "log" if metadata.name() == "log record" => Self::LogCrate,
            _ => Self::Foreign,
        }
    }
}

/// How the events of one callsite are written.
#[derive(Debug)]
pub(super) struct Plan {
    metadata: &'static Metadata<'static>,
    pub(super) origin: Origin,
    /// Room for the stamp, and the level.
    pub(super) begin: Piece,
    fields: Box<[FieldPlan]>,
}

/// How one field is written.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) role: Role,
    /// Whether a space in the value is `\x20`.
    pub(super) spaceless: bool,
    pub(super) is_worker_id: bool,
    /// ` key=`.
    pub(super) head: Piece,
}

/// A text that every event of the callsite has.
#[derive(Debug)]
pub(super) struct Piece {
    text: Box<[u8]>,
    short: [u8; SHORT],
}

/// Where a field belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Where it stands.
    InPlace,
    /// Behind the level, if it is the first of its kind.
    Message,
    /// At the end of the line, if it is the first of its kind.
    Last,
    /// The stamp of the line.
    Stamp,
    /// Nowhere.
    Skipped,
}

impl Plan {
    /// The plan for the events of `metadata`'s callsite.
    ///
    /// Callsites live as long as the program, and so do their plans.
    pub(super) fn of(metadata: &'static Metadata<'static>) -> &'static Self {
        type Slot = Cell<Option<&'static Plan>>;
        thread_local!(static FOUND: [Slot; RECENT] = const { [const { Cell::new(None) }; RECENT] });
        let slot = ptr::from_ref(metadata).addr() / size_of::<Metadata<'_>>() % RECENT;
        FOUND.with(|found| match found[slot].get() {
            Some(plan) if ptr::eq(plan.metadata, metadata) => plan,
            _ => {
                let plan = Self::look_up(metadata);
                found[slot].set(Some(plan));
                plan
            }
        })
    }

    /// How `index` of the callsite's fields is written.
    pub(super) fn field(&self, index: usize) -> Option<&FieldPlan> {
        self.fields.get(index)
    }

    #[cold]
    fn look_up(metadata: &'static Metadata<'static>) -> &'static Self {
        static PLANS: Mutex<Option<HashMap<usize, &'static Plan>>> = Mutex::new(None);
        let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
        plans
            .get_or_insert_default()
            .entry(ptr::from_ref(metadata).addr())
            .or_insert_with(|| Box::leak(Box::new(Self::new(metadata))))
    }

    fn new(metadata: &'static Metadata<'static>) -> Self {
        let origin = Origin::of(metadata);
        let fields = metadata.fields().iter();
        let mut begin = vec![b' '; STAMP_LEN + 1];
        begin.extend_from_slice(metadata.level().as_str().as_bytes());
        Self {
            metadata,
            origin,
            begin: Piece::new(&begin),
            fields: fields.map(|it| FieldPlan::new(origin, it.name())).collect(),
        }
    }
}

impl FieldPlan {
    fn new(origin: Origin, name: &str) -> Self {
        let (role, name) = match (origin, name) {
            (_, "message") => (Role::Message, name),
            (Origin::Telemetry, "end_unix_us") => (Role::Stamp, name),
            (Origin::Telemetry, "event") => (Role::Last, name),
            (Origin::LogCrate, "log.target") => (Role::Last, "target"),
            (Origin::LogCrate, "log.module_path" | "log.file" | "log.line") => {
                (Role::Skipped, name)
            }
            _ => (Role::InPlace, name),
        };
        let mut head = Buffer::default();
        head.put(b" ");
        push_key(&mut head, name);
        let key = &head.as_bytes()[1..];
        let (spaceless, is_worker_id) = (is_spaceless_key(key), key == b"worker_id");
        head.put(b"=");
        Self {
            role,
            spaceless,
            is_worker_id,
            head: Piece::new(head.as_bytes()),
        }
    }
}

impl Piece {
    fn new(text: &[u8]) -> Self {
        let mut short = [0; SHORT];
        if let Some(start) = short.get_mut(..text.len()) {
            start.copy_from_slice(text);
        }
        let text = text.into();
        Self { text, short }
    }

    #[inline]
    pub(super) fn push(&self, out: &mut Buffer) {
        if self.text.len() <= SHORT {
            // A length known when this is compiled needs no call.
            out.put_first(&self.short, self.text.len());
        } else {
            out.push(&self.text);
        }
    }
}
