//! The table that is asked: layers of files, and what was found before.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use metrics_core::{LlmCall, ProviderName, Timestamp, Usage};

use crate::{
    Cost, Source, Unpriced, Usd,
    layer::{ANY_PROVIDER, Layer, Model},
    price::PriceSet,
};

/// Names remembered per table. Whoever sends more than this is searched for each time.
const MAX_REMEMBERED: usize = 4096;
/// Names that long are nobody's.
const MAX_REMEMBERED_BYTES: usize = 500;
/// A file of prices is no larger.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// What models cost. Cheap to clone.
#[derive(Clone)]
pub struct PriceTable(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// A user's file, which goes before the prices in this crate.
    own: Option<Layer>,
    /// By provider (empty: none) and model. Two maps, so that a look costs no allocation.
    found: RwLock<HashMap<Box<str>, Models>>,
}

/// What was found, or that nothing was, by the model's name.
type Models = HashMap<Box<str>, Result<Found, Unpriced>>;

#[derive(Clone, Copy)]
struct Found {
    is_own: bool,
    provider: usize,
    model: usize,
}

/// Why a file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// It cannot be read.
    #[error("cannot read the prices in `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// It is not what a file of prices is.
    #[error("the prices in `{}` cannot be used: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where, what, and what to do.
        problem: String,
    },
}

/// A model that was found, and its prices.
#[derive(Clone, Copy)]
pub struct Priced<'a> {
    layer: &'a Layer,
    provider: usize,
    model: &'a Model,
}

impl PriceTable {
    /// The prices in this crate. They are parsed when first asked for.
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<PriceTable> = LazyLock::new(|| PriceTable(Arc::default()));
        BUILTIN.clone()
    }

    /// The prices of a file, and for all that it does not have those in this crate.
    ///
    /// # Errors
    /// If the file cannot be read, is no JSON, or says what makes no sense. The message names the line or the model.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let io = |source| TableError::Io {
            path: path.to_owned(),
            source,
        };
        let format = |problem| TableError::Format {
            path: path.to_owned(),
            problem,
        };
        let mut json = String::new();
        let mut file = File::open(path).map_err(io)?.take(MAX_FILE_BYTES + 1);
        file.read_to_string(&mut json).map_err(io)?;
        if file.limit() == 0 {
            return Err(format(format!("it has more than {MAX_FILE_BYTES} bytes")));
        }
        let mut layer = Layer::of_file(json.trim_start_matches('\u{feff}')).map_err(format)?;
        if layer.source.name.is_empty() {
            layer.source.name = path.display().to_string();
        }
        Ok(Self(Arc::new(Inner {
            own: Some(layer),
            found: RwLock::default(),
        })))
    }

    /// A user's file first.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        let layers = [self.0.own.as_ref(), Some(builtin_layer())];
        layers.into_iter().flatten()
    }

    /// Where the prices come from; those that go before others are first.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.layers().map(|it| &it.source)
    }

    /// What a call costs, by the prices of the moment `at`.
    ///
    /// `provider` is its name, or the address or the host of its server. Without one, the model's name has to tell it.
    ///
    /// # Errors
    /// If that is not known; see [`Unpriced`].
    pub fn cost(
        &self,
        provider: Option<&str>,
        model: &str,
        usage: &Usage,
        at: Timestamp,
    ) -> Result<Cost, Unpriced> {
        self.find(provider, model)?.cost(usage, at)
    }

    /// What a call of `metrics.jsonl` cost: what its provider reported, else by the prices of when it began.
    ///
    /// # Errors
    /// As for [`cost`](Self::cost).
    pub fn cost_of(&self, call: &LlmCall<'_>) -> Result<Usd, Unpriced> {
        if let Some(reported) = call.cost_usd {
            return Usd::from_decimal(reported).ok_or(Unpriced::TooLarge);
        }
        let provider = call.provider.as_ref().map(ProviderName::as_str);
        let cost = self.cost(
            provider,
            call.model.as_str(),
            &call.usage,
            call.time.start_ts(),
        );
        cost.map(|it| it.total())
    }

    /// The prices of a model; for whoever has many calls of one.
    ///
    /// # Errors
    /// [`Unpriced::Provider`] or [`Unpriced::Model`].
    pub fn find(&self, provider: Option<&str>, model: &str) -> Result<Priced<'_>, Unpriced> {
        let found = match self.remembered(provider, model) {
            Some(found) => found,
            None => {
                let found = self.search(provider, model);
                self.remember(provider, model, found);
                found
            }
        };
        let found = found?;
        let own = self.0.own.as_ref().filter(|_| found.is_own);
        let layer = own.unwrap_or_else(|| builtin_layer());
        Ok(Priced {
            layer,
            provider: found.provider,
            model: &layer.providers[found.provider].models()[found.model],
        })
    }

    /// All models whose id or name holds `part`, or that go by that name, whoever their provider is; without it, all.
    pub fn models(&self, part: &str) -> impl Iterator<Item = Priced<'_>> {
        let part = part.to_lowercase();
        let all = self.layers().flat_map(|layer| {
            let providers = 0..layer.providers.len();
            providers.flat_map(move |provider| {
                let models = layer.providers[provider].models();
                models.iter().map(move |model| Priced {
                    layer,
                    provider,
                    model,
                })
            })
        });
        all.filter(move |it| it.model.goes_by(&part))
    }

    fn remembered(&self, provider: Option<&str>, model: &str) -> Option<Result<Found, Unpriced>> {
        let found = self.0.found.read().unwrap_or_else(PoisonError::into_inner);
        found.get(provider.unwrap_or(""))?.get(model).copied()
    }

    fn remember(&self, provider: Option<&str>, model: &str, res: Result<Found, Unpriced>) {
        if model.len() + provider.map_or(0, str::len) > MAX_REMEMBERED_BYTES {
            return;
        }
        let mut found = self.0.found.write().unwrap_or_else(PoisonError::into_inner);
        if found.values().map(HashMap::len).sum::<usize>() < MAX_REMEMBERED {
            let models = found.entry(provider.unwrap_or("").into()).or_default();
            models.insert(model.into(), res);
        }
    }

    #[cfg(test)]
    pub(crate) fn count_remembered(&self) -> usize {
        let found = self.0.found.read().unwrap_or_else(PoisonError::into_inner);
        found.values().map(HashMap::len).sum()
    }

    fn search(&self, provider: Option<&str>, model: &str) -> Result<Found, Unpriced> {
        let model = model.to_lowercase();
        let (mut provider, mut model) = (provider.filter(|it| !it.is_empty()), &*model);
        if provider.is_some_and(|it| it.eq_ignore_ascii_case("litellm")) {
            // A router that writes the provider before the model.
            let named = model
                .split_once('/')
                .filter(|(it, _)| !it.is_empty() && self.knows(it));
            provider = named.map(|it| it.0);
            model = named.map_or(model, |it| it.1);
        }
        let told = match provider {
            Some(_) => None,
            None => self.layers().find_map(|it| it.provider_of_model(model)),
        };
        let name = provider.or(told.map(|it| &*it.id)).unwrap_or(ANY_PROVIDER);
        for layer in self.layers() {
            // The provider itself goes before what stands for every provider.
            let providers = [layer.provider(name), layer.provider(ANY_PROVIDER)];
            for own in providers.into_iter().flatten() {
                if let Some((provider, model)) = layer.model(own, model) {
                    return Ok(Found {
                        is_own: self.0.own.as_ref().is_some_and(|it| ptr::eq(it, layer)),
                        provider,
                        model,
                    });
                }
            }
        }
        match provider {
            Some(name) if !self.knows(name) => Err(Unpriced::Provider),
            _ => Err(Unpriced::Model),
        }
    }

    fn knows(&self, provider: &str) -> bool {
        self.layers().any(|it| it.provider(provider).is_some())
    }
}

fn builtin_layer() -> &'static Layer {
    static LAYER: LazyLock<Layer> = LazyLock::new(Layer::builtin);
    &LAYER
}

impl fmt::Debug for PriceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.0.own.as_ref().map(|it| &it.source.name);
        f.debug_struct("PriceTable")
            .field("own", &own)
            .finish_non_exhaustive()
    }
}

impl<'a> Priced<'a> {
    /// What a call costs, by the prices of the moment `at`.
    ///
    /// # Errors
    /// If that is not known; see [`Unpriced`].
    pub fn cost(&self, usage: &Usage, at: Timestamp) -> Result<Cost, Unpriced> {
        self.prices_at(at).ok_or(Unpriced::Tokens)?.cost(usage)
    }

    /// The total of [`cost`](Self::cost), for whoever has very many calls.
    ///
    /// # Errors
    /// As for `cost`.
    #[inline]
    pub fn total(&self, usage: &Usage, at: Timestamp) -> Result<Usd, Unpriced> {
        self.prices_at(at).ok_or(Unpriced::Tokens)?.total(usage)
    }

    /// The prices that hold at the moment `at`.
    #[inline]
    pub fn prices_at(&self, at: Timestamp) -> Option<&'a PriceSet> {
        self.model.prices_at(at)
    }

    /// All its prices: the last one that holds at a moment is the one that counts; where none does, the first.
    pub fn prices(&self) -> &'a [PriceSet] {
        &self.model.prices
    }

    /// The model's id in the table.
    pub fn model_id(&self) -> &'a str {
        &self.model.id
    }

    /// The model's name for people.
    pub fn model_name(&self) -> &'a str {
        self.model.name.as_deref().unwrap_or(&self.model.id)
    }

    /// The id of the provider whose prices these are.
    pub fn provider_id(&self) -> &'a str {
        &self.layer.providers[self.provider].id
    }

    /// That provider's name for people.
    pub fn provider_name(&self) -> &'a str {
        let provider = &self.layer.providers[self.provider];
        provider.name.as_deref().unwrap_or(&provider.id)
    }

    /// Where its prices come from.
    pub fn source(&self) -> &'a Source {
        &self.layer.source
    }
}

impl fmt::Debug for Priced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Priced")
            .field("provider", &self.provider_id())
            .field("model", &self.model_id())
            .finish_non_exhaustive()
    }
}
