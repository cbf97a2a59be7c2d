//! What a look at the store's health needs and nobody else does.

use crate::{
    ArtifactStore, Liveness, StoreError, WorkerReader, confined::Dir, run, whole_file::UNFINISHED,
};

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

    /// The runs of processes that died: each left its lock file behind, which nothing needs any more.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn dead_runs(&self) -> Result<Vec<String>, StoreError> {
        let path = run::run_dir(self.data_dir());
        let entries = match Dir::open(&path).map(|it| it.entries()) {
            Ok(entries) => entries.map_err(StoreError::io("list", path))?,
            Err(_) => Vec::new(),
        };
        let runs = entries
            .iter()
            .filter_map(|it| it.name.strip_suffix(".lock"));
        let dead = runs.filter(|it| self.run_liveness(it) == Liveness::Dead);
        Ok(dead.map(str::to_owned).collect())
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
