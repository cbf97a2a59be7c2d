//! What all events of one callsite have in common, worked out at the first of them.

use std::cell::Cell;
use std::collections::HashMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use tracing::Metadata;

use crate::escape::{is_spaceless_key, push_key};
use crate::format::TELEMETRY_TARGET;

/// Bytes of ` key=` that are copied by a move of fixed size; longer keys are rare.
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
    fields: Box<[FieldPlan]>,
}

/// How one field is written.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) role: Role,
    /// Whether a space in the value is `\x20`.
    pub(super) spaceless: bool,
    pub(super) is_worker_id: bool,
    head: Box<[u8]>,
    short_head: [u8; SHORT],
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
        Self {
            metadata,
            origin,
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
        let mut head = vec![b' '];
        push_key(&mut head, name);
        let key = &head[1..];
        let (spaceless, is_worker_id) = (is_spaceless_key(key), key == b"worker_id");
        head.push(b'=');
        let mut short_head = [0; SHORT];
        if let Some(start) = short_head.get_mut(..head.len()) {
            start.copy_from_slice(&head);
        }
        Self {
            role,
            spaceless,
            is_worker_id,
            head: head.into(),
            short_head,
        }
    }

    /// Appends ` key=`.
    #[inline]
    pub(super) fn push_head(&self, out: &mut Vec<u8>) {
        let len = self.head.len();
        if len > SHORT {
            out.extend_from_slice(&self.head);
            return;
        }
        let end = out.len() + len;
        // A length known when this is compiled needs no call.
        out.extend_from_slice(&self.short_head);
        out.truncate(end);
    }
}
