//! Texts as small numbers.

use rustc_hash::FxHashMap;

/// A text's number; [`NameId::NONE`] where there is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NameId(u32);

impl NameId {
    pub(crate) const NONE: Self = Self(0);
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    ids: FxHashMap<Box<[u8]>, u32>,
    texts: Vec<Box<[u8]>>,
}

impl Names {
    #[inline]
    pub(crate) fn id(&mut self, text: &[u8]) -> NameId {
        match self.ids.get(text) {
            Some(id) => NameId(*id),
            None => self.new_id(text),
        }
    }

    #[cold]
    fn new_id(&mut self, text: &[u8]) -> NameId {
        self.texts.push(text.into());
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.ids.insert(text.into(), id);
        NameId(id)
    }

    pub(crate) fn text(&self, id: NameId) -> Option<&[u8]> {
        let at = id.0.checked_sub(1)?;
        self.texts.get(usize::try_from(at).ok()?).map(AsRef::as_ref)
    }
}
