//! What a look at the store's health needs and nobody else does.

use crate::{ArtifactStore, StoreError, WorkerReader, confined::Dir, whole_file::UNFINISHED};

impl ArtifactStore {
    /// Files in the store's own directory whose writing was not finished: in progress, or broken off.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn unfinished_files(&self) -> Result<Vec<String>, StoreError> {
        let path = self.own_dir();
        let mut entries = match Dir::open(&path).map(|it| it.entries()) {
            Ok(entries) => entries.map_err(StoreError::io("list", path))?,
            Err(_) => Vec::new(), // Nothing of ours is there.
        };
        entries.retain(|it| !it.is_dir && it.name.ends_with(UNFINISHED));
        Ok(entries.into_iter().map(|it| it.name).collect())
    }
}

impl WorkerReader {
    /// Files whose writing was not finished: in progress, or broken off. [`files`](Self::files) leaves them out.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn unfinished_files(&self) -> Result<Vec<String>, StoreError> {
        let mut files = self.all_files()?;
        files.retain(|it| it.ends_with(UNFINISHED));
        Ok(files)
    }
}
