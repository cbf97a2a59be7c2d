//! W3C trace context: ids that link a supervisor, its workers, their tools and child processes.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::WorkerId;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// From its bytes; `None` if all are zero, which W3C calls invalid.
            pub fn from_bytes(bytes: [u8; $len]) -> Option<Self> {
                (bytes != [0; $len]).then_some(Self(bytes))
            }

            /// Its bytes, most significant first.
            pub fn to_bytes(self) -> [u8; $len] {
                self.0
            }

            /// A new random id.
            pub fn random() -> Self {
                loop {
                    let mut bytes = [0; $len];
                    for chunk in bytes.chunks_mut(8) {
                        chunk.copy_from_slice(&random_u64().to_be_bytes());
                    }
                    if let Some(id) = Self::from_bytes(bytes) {
                        return id;
                    }
                }
            }

            pub(crate) fn render(self) -> [u8; $digits] {
                let mut text = [0; $digits];
                for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
                    pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
                }
                text
            }
        }

        impl FromStr for $name {
            type Err = TraceIdError;

            fn from_str(text: &str) -> Result<Self, TraceIdError> {
                parse_hex(text.as_bytes())
                    .and_then(Self::from_bytes)
                    .ok_or(TraceIdError { digits: $digits })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(std::str::from_utf8(&self.render()).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// Names one trace: 16 bytes, written as 32 lower-case hex digits.
    TraceId,
    16,
    32
);
hex_id!(
    /// Names one span of a trace: 8 bytes, written as 16 lower-case hex digits.
    SpanId,
    8,
    16
);

/// Why a text is not a trace or span id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} lower-case hex digits that are not all zero")]
pub struct TraceIdError {
    digits: usize,
}

fn parse_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Random without a dependency: `RandomState` is keyed by the operating system; a counter makes each call new.
fn random_u64() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one(CALLS.fetch_add(1, Ordering::Relaxed))
}

/// The ids an event carries; absent ones cost nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceFields {
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// Its own id, present where another record refers to it.
    pub span_id: Option<SpanId>,
    /// The span that caused it.
    pub parent_span_id: Option<SpanId>,
}

/// Where a worker or a call stands in a trace: what a child needs to know of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The worker's or call's own span.
    pub span_id: SpanId,
    /// The span that caused it; `None` at the root of a trace.
    pub parent_span_id: Option<SpanId>,
}

impl TraceContext {
    /// The root of a new trace.
    pub fn root() -> Self {
        Self {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            parent_span_id: None,
        }
    }

    /// A new span below `parent` in its trace.
    pub fn child_of(trace_id: TraceId, parent: SpanId) -> Self {
        Self {
            trace_id,
            span_id: SpanId::random(),
            parent_span_id: Some(parent),
        }
    }

    /// A new span below the one that a W3C `traceparent` names; `None` if the text is not in its form.
    ///
    /// A version that is not known yet is read as the first one, as W3C asks for.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let [version] = parse_hex(version.as_bytes())?;
        let mut parts = rest.split('-');
        let trace_id = parts.next()?.parse().ok()?;
        let parent = parts.next()?.parse().ok()?;
        parse_hex::<1>(parts.next()?.as_bytes())?;
        // Only later versions may say more.
        let is_known_form = version != 0xff && (version > 0 || parts.next().is_none());
        is_known_form.then(|| Self::child_of(trace_id, parent))
    }

    /// The W3C `traceparent` that makes a child process's spans children of this one.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

/// The span id of an event whose line carries none, from where it stands.
///
/// Stable for ever: FNV-1a (64 bit) over the 16 bytes of `trace_id`, the UTF-8 bytes of `worker`, one zero byte and
/// the 8 bytes of `line_offset` (the byte offset of the line in `metrics.jsonl`), most significant first; a result of zero becomes one.
pub fn derive_span_id(trace_id: TraceId, worker: &WorkerId, line_offset: u64) -> SpanId {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = trace_id
        .to_bytes()
        .into_iter()
        .chain(worker.as_str().bytes())
        .chain([0])
        .chain(line_offset.to_be_bytes());
    let hash = bytes.fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    SpanId(hash.max(1).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::{SpanId, TraceContext, TraceId, derive_span_id};
    use crate::WorkerId;

    #[test]
    fn ids_read_back_and_differ() {
        let (one, two) = (TraceId::random(), TraceId::random());
        assert_ne!(one, two);
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn what_w3c_calls_invalid_is_refused() {
        for text in [
            "",
            "0000000000000000",
            "ABCDEF0123456789",
            "abcdef012345678",
            "abcdef012345678é",
        ] {
            assert!(text.parse::<SpanId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_child_process_continues_the_trace() {
        let parent = TraceContext::root();
        let child = TraceContext::from_traceparent(&parent.traceparent()).unwrap();
        assert_eq!(child.trace_id, parent.trace_id);
        assert_eq!(child.parent_span_id, Some(parent.span_id));
        assert_ne!(child.span_id, parent.span_id);
    }

    #[test]
    fn only_w3c_traceparents_are_taken() {
        const IDS: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        for good in [
            format!("00-{IDS}-01"),
            format!("00-{IDS}-00"),
            format!("01-{IDS}-01"),
            format!("cc-{IDS}-01-more"),
        ] {
            assert!(TraceContext::from_traceparent(&good).is_some(), "{good}");
        }
        for bad in [
            String::new(),
            "00".to_owned(),
            IDS.to_owned(),
            format!("00-{IDS}"),
            format!("00-{IDS}-"),
            format!("00-{IDS}-1"),
            format!("00-{IDS}-01-more"),
            format!("00-{IDS}-01 "),
            format!("ff-{IDS}-01"),
            format!("00-{}-01", IDS.to_uppercase()),
            format!(
                "00-{}-01",
                IDS.replace("b7ad6b7169203331", "0000000000000000")
            ),
            format!("é0-{IDS}-01"),
        ] {
            assert!(TraceContext::from_traceparent(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_derived_span_id_never_changes() {
        // Other records refer to it, so this value is part of the format.
        let trace_id: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
        let worker = WorkerId::from("2025-12-15T04-08-08_calculate-7-6");
        insta::assert_snapshot!(derive_span_id(trace_id, &worker, 229), @"80ddfa1773b5ac4b");
    }
}
