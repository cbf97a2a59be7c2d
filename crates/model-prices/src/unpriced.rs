//! Why a call has no cost.

/// Why it is not known what a call costs. Never the same as costing nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unpriced {
    /// The table has no such provider.
    #[error("no prices of this provider are known")]
    Provider,
    /// The provider has no such model in the table, or no provider was named and the model's name does not tell it.
    #[error("no price of this model is known")]
    Model,
    /// The model is known, but not what these tokens of it cost, such as those of a model that is paid by the minute.
    #[error("this model has no price for such tokens")]
    Tokens,
    /// Nobody counted the tokens.
    #[error("its tokens were not counted")]
    NotCounted,
    /// A part is larger than the whole, such as more cached tokens than the prompt has.
    #[error("its token counts contradict each other")]
    BadCounts,
    /// More than 10¹⁴ dollars.
    #[error("its cost is too large to be true")]
    TooLarge,
}
