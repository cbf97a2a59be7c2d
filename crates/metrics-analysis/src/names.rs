//! Texts as small numbers.

use std::hash::Hasher as _;

use rustc_hash::{FxHashMap, FxHasher};

/// Ids that are kept at hand.
const RECENT: usize = 256;

/// A text's number; [`NameId::NONE`] where there is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NameId(u32);

impl NameId {
    pub(crate) const NONE: Self = Self(0);

    /// For a cheap sum.
    pub(crate) fn number(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
}

#[derive(Debug)]
pub(crate) struct Names {
    /// Ids found lately, by their texts' hash: most lines name what few lines before them named.
    recent: [u32; RECENT],
    ids: FxHashMap<Box<[u8]>, u32>,
    texts: Vec<Box<[u8]>>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            recent: [0; RECENT],
            ids: FxHashMap::default(),
            texts: Vec::new(),
        }
    }
}

impl Names {
    #[inline]
    pub(crate) fn id(&mut self, text: &[u8]) -> NameId {
        let mut hasher = FxHasher::default();
        hasher.write(text);
        let slot = usize::try_from(hasher.finish() % RECENT as u64).unwrap_or(0);
        let id = NameId(self.recent[slot]);
        if self.text(id) == Some(text) {
            return id;
        }
        let id = match self.ids.get(text) {
            Some(id) => NameId(*id),
            None => self.new_id(text),
        };
        self.recent[slot] = id.0;
        id
    }

    #[cold]
    fn new_id(&mut self, text: &[u8]) -> NameId {
        self.texts.push(text.into());
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.ids.insert(text.into(), id);
        NameId(id)
    }

    #[inline]
    pub(crate) fn text(&self, id: NameId) -> Option<&[u8]> {
        let at = id.0.checked_sub(1)?;
        self.texts.get(usize::try_from(at).ok()?).map(AsRef::as_ref)
    }
}
