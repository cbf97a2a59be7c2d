//! The prices of one file: finding a provider, and a model of it.

use std::sync::OnceLock;

use metrics_core::Timestamp;
use serde_json::value::RawValue;

use crate::{
    clause::{Clause, Pattern},
    file::{ModelEntry, ProviderEntry, Source, TableFile},
    price::PriceSet,
};

/// Stands for every provider, in a user's file.
pub(crate) const ANY_PROVIDER: &str = "*";

#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) source: Source,
    pub(crate) providers: Vec<Provider>,
}

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    url: Option<Pattern>,
    names: Option<Clause>,
    models_match: Option<Clause>,
    fallback: Vec<String>,
    /// Read when the provider is first asked for: one of them has nine hundred.
    models: OnceLock<Vec<Model>>,
    unread: Option<&'static RawValue>,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) prices: Vec<PriceSet>,
    names: Clause,
}

impl Layer {
    /// The table in this crate. Should it be damaged, nothing has a price; a test reads all of it.
    pub(crate) fn builtin() -> Self {
        let json = include_str!("../data/prices.json");
        let file: TableFile<&'static RawValue> = match serde_json::from_str(json) {
            Ok(file) => file,
            Err(_) => return Self::default(),
        };
        Self::new(file, |models| (OnceLock::new(), Some(models)))
    }

    /// A user's file, which is read and checked at once.
    pub(crate) fn of_file(json: &str) -> Result<Self, String> {
        let file: TableFile<Vec<ModelEntry>> =
            serde_json::from_str(json).map_err(|it| it.to_string())?;
        let layer = Self::new(file, |models| (OnceLock::from(models_of(models)), None));
        match layer.fault() {
            Some(fault) => Err(fault),
            None => Ok(layer),
        }
    }

    fn new<M>(
        file: TableFile<M>,
        models: impl Fn(M) -> (OnceLock<Vec<Model>>, Option<&'static RawValue>),
    ) -> Self {
        let provider = |it: ProviderEntry<M>| {
            let (models, unread) = models(it.models);
            Provider {
                id: it.id.trim().to_lowercase(),
                name: it.name,
                url: it.url,
                names: it.names,
                models_match: it.models_match,
                fallback: it.fallback,
                models,
                unread,
            }
        };
        Self {
            source: Source {
                name: file.source,
                version: file.version,
                date: file.date,
                license: file.license,
            },
            providers: file.providers.into_iter().map(provider).collect(),
        }
    }

    /// The provider that goes by this name, which may also be an address or its host.
    pub(crate) fn provider(&self, given: &str) -> Option<usize> {
        let given = given.trim().to_lowercase();
        let by_id = self.providers.iter().position(|it| it.id == given);
        by_id.or_else(|| {
            // A host whose name has a provider's in it may be anybody's.
            if given.contains(['.', ':', '/']) {
                let url = address(&given);
                let is_at = |it: &Provider| it.url.as_ref().is_some_and(|it| it.is_at_start(&url));
                self.providers.iter().position(is_at)
            } else {
                let is_called =
                    |it: &Provider| it.names.as_ref().is_some_and(|it| it.is_match(&given));
                self.providers.iter().position(is_called)
            }
        })
    }

    /// The provider that a model's name tells, where no provider is named.
    pub(crate) fn provider_of_model(&self, model: &str) -> Option<&Provider> {
        let is_its = |it: &&Provider| {
            it.models_match
                .as_ref()
                .is_some_and(|it| it.is_match(model))
        };
        self.providers.iter().find(is_its)
    }

    /// A model by its name in lower case: of this provider, or of those it falls back to. Gives the provider whose price it is.
    pub(crate) fn model(&self, provider: usize, name: &str) -> Option<(usize, usize)> {
        self.model_as_written(provider, name).or_else(|| {
            let name = with_hyphens(name)?;
            self.model_as_written(provider, &name)
        })
    }

    fn model_as_written(&self, provider: usize, name: &str) -> Option<(usize, usize)> {
        let own = self.providers.get(provider)?;
        let fallbacks = own
            .fallback
            .iter()
            .filter_map(|id| self.providers.iter().position(|it| it.id == *id));
        [provider].into_iter().chain(fallbacks).find_map(|at| {
            let models = self.providers[at].models();
            Some((at, models.iter().position(|it| it.names.is_match(name))?))
        })
    }

    /// What is wrong with it, in words that name the place.
    pub(crate) fn fault(&self) -> Option<String> {
        self.providers.iter().find_map(|provider| {
            let name = &provider.id;
            if name.is_empty() {
                return Some("a provider without an id".to_owned());
            }
            if let Some(url) = provider.url.as_ref().filter(|it| it.is_bad()) {
                return Some(format!(
                    "provider `{name}`: `url` is no pattern: `{}`",
                    url.as_str()
                ));
            }
            let clauses = [&provider.names, &provider.models_match]
                .into_iter()
                .flatten();
            if let Some(pattern) = clauses.into_iter().find_map(Clause::bad_pattern) {
                return Some(format!(
                    "provider `{name}`: no pattern: `{}`",
                    pattern.as_str()
                ));
            }
            provider.models().iter().find_map(|model| {
                let fault = model.fault()?;
                Some(format!("provider `{name}`, model `{}`: {fault}", model.id))
            })
        })
    }
}

impl Provider {
    pub(crate) fn models(&self) -> &[Model] {
        self.models.get_or_init(|| {
            let unread = self.unread.map_or("[]", RawValue::get);
            serde_json::from_str(unread)
                .map(models_of)
                .unwrap_or_default()
        })
    }
}

fn models_of(models: Vec<ModelEntry>) -> Vec<Model> {
    let model = |it: ModelEntry| Model {
        names: it.names.unwrap_or_else(|| Clause::equals(&it.id)),
        id: it.id,
        name: it.name,
        prices: it.prices,
    };
    models.into_iter().map(model).collect()
}

impl Model {
    /// The last of its prices that holds at `at`; where none does, the first.
    #[inline]
    pub(crate) fn prices_at(&self, at: Timestamp) -> Option<&PriceSet> {
        let active = self.prices.iter().rev().find(|it| it.is_active(at));
        active.or(self.prices.first())
    }

    /// Whether `part`, in lower case, is a part of its id or name, or a name that it goes by.
    pub(crate) fn goes_by(&self, part: &str) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        self.id.to_lowercase().contains(part)
            || name.to_lowercase().contains(part)
            || self.names.is_match(part)
    }

    fn fault(&self) -> Option<String> {
        if self.id.is_empty() {
            return Some("it has no id".to_owned());
        }
        if let Some(pattern) = self.names.bad_pattern() {
            return Some(format!("no pattern: `{}`", pattern.as_str()));
        }
        if self.prices.is_empty() {
            return Some("`prices` is empty; give at least one set, such as {\"input\": 0.25, \"output\": 2}".to_owned());
        }
        self.prices
            .iter()
            .find_map(PriceSet::fault)
            .map(str::to_owned)
    }
}

/// An address of which only the host, or the host and the port, may be known.
fn address(given: &str) -> String {
    let url = if given.contains("://") {
        given.to_owned()
    } else {
        format!("https://{given}")
    };
    url.strip_suffix(":443").map(str::to_owned).unwrap_or(url)
}

/// Dates in one piece in the usual form: `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`, the way routers write them.
fn with_hyphens(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let mut res = String::new();
    let mut copied = 0;
    for (at, _) in name.match_indices('-') {
        let Some(digits) = name.get(at + 1..at + 9) else {
            continue;
        };
        let is_end = matches!(bytes.get(at + 9), None | Some(b'-' | b':'));
        if is_end && digits.starts_with("20") && digits.bytes().all(|it| it.is_ascii_digit()) {
            let (year, month, day) = (&digits[..4], &digits[4..6], &digits[6..]);
            let date = format!("{year}-{month}-{day}");
            if format!("{date}T00:00:00Z").parse::<Timestamp>().is_ok() {
                res.push_str(&name[copied..=at]);
                res.push_str(&date);
                copied = at + 9;
            }
        }
    }
    (copied > 0).then(|| res + &name[copied..])
}
