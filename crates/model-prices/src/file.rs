//! The format of a table: the one in this crate and those of users.

use serde::Deserialize;

use crate::{
    clause::{Clause, Pattern},
    price::PriceSet,
};

/// `M` is what the models of a provider are read as: all at once, or later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableFile<M> {
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) date: String,
    #[serde(default)]
    pub(crate) license: String,
    pub(crate) providers: Vec<ProviderEntry<M>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderEntry<M> {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Which addresses are this provider's, from their beginning on.
    #[serde(default)]
    pub(crate) url: Option<Pattern>,
    /// Under which other names it goes.
    #[serde(default, rename = "match")]
    pub(crate) names: Option<Clause>,
    /// Which models are this provider's where no provider is named.
    #[serde(default)]
    pub(crate) models_match: Option<Clause>,
    /// Providers whose prices hold for models that it has none of.
    #[serde(default)]
    pub(crate) fallback: Vec<String>,
    pub(crate) models: M,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelEntry {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Without it, the id and nothing else.
    #[serde(default, rename = "match")]
    pub(crate) names: Option<Clause>,
    pub(crate) prices: Vec<PriceSet>,
}

/// Where prices come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// Who collected them, or the path of a file.
    pub name: String,
    /// The collection's version; empty where a file does not say.
    pub version: String,
    /// The day on which they were taken, such as `2026-11-24`; empty where a file does not say.
    pub date: String,
    /// The terms they are under.
    pub license: String,
}
