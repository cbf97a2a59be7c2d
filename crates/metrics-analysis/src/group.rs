//! Calls by what they have in common.

use std::{fmt, str::FromStr};

use metrics_core::Timestamp;
use rustc_hash::FxHashMap;

use crate::{
    Call, Fold, Kind, Stats,
    names::{NameId, Names},
    spelling,
};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Calls can be grouped by at most so many things together.
pub const MAX_KEYS: usize = 4;

/// What calls may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// `llm_call` or `tool_call`.
    Event,
    /// The model.
    Model,
    /// What a model call was for.
    Phase,
    /// The tool.
    Tool,
    /// Who served a model call.
    Provider,
    /// The worker.
    Worker,
    /// Whose the worker is.
    Owner,
    /// The worker's status.
    Status,
    /// The hour in which they ended, in UTC.
    Hour,
    /// The day on which they ended, in UTC.
    Day,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Event,
        Self::Model,
        Self::Phase,
        Self::Tool,
        Self::Provider,
        Self::Worker,
        Self::Owner,
        Self::Status,
        Self::Hour,
        Self::Day,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Model => "model",
            Self::Phase => "phase",
            Self::Tool => "tool",
            Self::Provider => "provider",
            Self::Worker => "worker",
            Self::Owner => "owner",
            Self::Status => "status",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Whether it stands in `metadata.json`.
    pub const fn needs_metadata(self) -> bool {
        matches!(self, Self::Owner | Self::Status)
    }

    /// Whether it is a time, whose groups come in order.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Hour | Self::Day)
    }

    /// The one kind of call that has it; `None` if both have.
    const fn kind(self) -> Option<Kind> {
        match self {
            Self::Model | Self::Phase | Self::Provider => Some(Kind::LlmCall),
            Self::Tool => Some(Kind::ToolCall),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing to group by is called `{name}`; {hint}")]
pub struct KeyError {
    name: String,
    hint: String,
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let known = Self::ALL.into_iter().find(|it| it.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            KeyError {
                name: text.chars().take(60).flat_map(char::escape_debug).collect(),
                hint: match spelling::nearest(text, names.into_iter()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("there are {}", names.join(", ")),
                },
            }
        })
    }
}

/// Groups calls and keeps the statistics of each group.
///
/// Calls that can have none of the keys are passed over: by model and phase there are model calls only, by tool only tool
/// calls, by model and tool both.
#[derive(Debug)]
pub struct Groups {
    keys: Vec<Key>,
    /// The only kind of call that is wanted.
    kind: Option<Kind>,
    names: Names,
    ids: FxHashMap<[NameId; MAX_KEYS], usize>,
    found: Vec<([NameId; MAX_KEYS], Stats)>,
    /// Groups found lately, by what is cheap to tell of their ids.
    recent: [usize; 64],
    /// The last source and what its worker, owner and status are called: lines of one source come together.
    last_source: Option<(u64, [NameId; 3])>,
    last_hour: (i64, NameId),
    last_day: (i64, NameId),
}

/// One group.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Group {
    /// What its calls have in common, in the order of the keys; `None` where they have no such thing.
    pub values: Vec<Option<String>>,
    /// What is known of them.
    pub stats: Stats,
}

impl Groups {
    /// Groups by `keys`, of which only the first [`MAX_KEYS`] count; without any, all calls are one group.
    pub fn by(keys: &[Key]) -> Self {
        let keys = keys[..keys.len().min(MAX_KEYS)].to_vec();
        let mut kinds = keys.iter().filter_map(|it| it.kind());
        let kind = kinds.next().filter(|first| kinds.all(|it| it == *first));
        Self {
            kind,
            keys,
            names: Names::default(),
            ids: FxHashMap::default(),
            found: Vec::new(),
            recent: [0; 64],
            last_source: None,
            last_hour: (i64::MIN, NameId::NONE),
            last_day: (i64::MIN, NameId::NONE),
        }
    }

    /// The groups, in no order.
    pub fn into_groups(self) -> Vec<Group> {
        let Self {
            keys, names, found, ..
        } = self;
        let text = |id| {
            names
                .text(id)
                .map(|it| String::from_utf8_lossy(it).into_owned())
        };
        let groups = found.into_iter();
        groups
            .map(|(ids, stats)| Group {
                values: ids[..keys.len()].iter().map(|id| text(*id)).collect(),
                stats,
            })
            .collect()
    }

    #[inline]
    fn id(&mut self, key: Key, call: &Call<'_>) -> NameId {
        let record = call.record;
        let text = match key {
            Key::Event => Some(record.kind.as_str().as_bytes()),
            Key::Model => record.model(),
            Key::Phase => record.phase(),
            Key::Tool => record.tool(),
            Key::Provider => record.provider,
            Key::Worker | Key::Owner | Key::Status => return self.of_source(key, call),
            Key::Hour => return self.hour(record.end.unix_micros()),
            Key::Day => return self.day(record.end.unix_micros()),
        };
        text.map_or(NameId::NONE, |it| self.names.id(it))
    }

    fn of_source(&mut self, key: Key, call: &Call<'_>) -> NameId {
        if key == Key::Worker
            && let Some(worker) = call.record.worker
        {
            return self.names.id(worker);
        }
        let source = call.source;
        let [worker, owner, status] = match self.last_source {
            Some((serial, ids)) if serial == source.serial => ids,
            _ => {
                let texts = [&source.worker, &source.owner, &source.status];
                let ids = texts.map(|it| match it {
                    Some(text) => self.names.id(text.as_bytes()),
                    None => NameId::NONE,
                });
                self.last_source = Some((source.serial, ids));
                ids
            }
        };
        match key {
            Key::Worker => worker,
            Key::Owner => owner,
            _ => status,
        }
    }

    fn hour(&mut self, micros: i64) -> NameId {
        let hour = micros.div_euclid(3_600_000_000);
        if self.last_hour.0 != hour {
            let start = Timestamp::from_unix_micros(hour * 3_600_000_000).to_string();
            self.last_hour = (
                hour,
                self.names.id(format!("{}:00Z", &start[..13]).as_bytes()),
            );
        }
        self.last_hour.1
    }

    fn day(&mut self, micros: i64) -> NameId {
        let day = micros.div_euclid(MICROS_PER_DAY);
        if self.last_day.0 != day {
            let start = Timestamp::from_unix_micros(day * MICROS_PER_DAY).to_string();
            self.last_day = (day, self.names.id(&start.as_bytes()[..10]));
        }
        self.last_day.1
    }

    #[inline]
    fn group(&mut self, ids: [NameId; MAX_KEYS]) -> &mut Stats {
        let sum = ids
            .iter()
            .rev()
            .fold(0, |sum: usize, it| sum.wrapping_mul(7) + it.number());
        let slot = sum % self.recent.len();
        let recent = self.recent[slot];
        if self.found.get(recent).is_some_and(|it| it.0 == ids) {
            return &mut self.found[recent].1;
        }
        let next = self.found.len();
        let at = *self.ids.entry(ids).or_insert(next);
        if at == next {
            self.found.push((ids, Stats::default()));
        }
        self.recent[slot] = at;
        &mut self.found[at].1
    }
}

impl Fold for Groups {
    #[inline]
    fn call(&mut self, call: &Call<'_>) {
        if self.kind.is_some_and(|it| it != call.record.kind) {
            return;
        }
        let mut ids = [NameId::NONE; MAX_KEYS];
        for (at, id) in ids.iter_mut().enumerate().take(self.keys.len()) {
            *id = self.id(self.keys[at], call);
        }
        let cost = call.cost();
        let stats = self.group(ids);
        stats.add(call.record);
        if let Some(cost) = cost {
            stats.add_cost(call.record.name, cost);
        }
    }

    fn merge(&mut self, other: Self) {
        for (ids, stats) in other.found {
            let ids = ids.map(|id| match other.names.text(id) {
                Some(text) => self.names.id(text),
                None => NameId::NONE,
            });
            self.group(ids).merge(stats);
        }
    }
}

#[cfg(test)]
mod tests;
