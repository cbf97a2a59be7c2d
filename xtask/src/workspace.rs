//! Where the workspace is, where its build output goes, and which cargo it is built with.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::exec::Invocation;

/// The workspace this program belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// The folder above xtask's own manifest.
    ///
    /// The environment comes first, as a checkout may have moved since this program was built.
    pub(crate) fn find() -> Result<Self> {
        let at_run_time = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let built_in = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = [at_run_time, Some(built_in)]
            .into_iter()
            .flatten()
            .filter(|manifest_dir| manifest_dir.ends_with("xtask"))
            .filter_map(|manifest_dir| manifest_dir.parent().map(Path::to_owned))
            .find(|root| root.join("Cargo.toml").is_file())
            .context("failed to find the workspace; call this as `cargo xtask`")?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir), // An absolute path replaces the root.
            None => root.join("target"),
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self {
            root,
            target,
            cargo,
        })
    }

    /// The folder of the workspace's `Cargo.toml`; every command runs there.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The cargo that this was called by.
    pub(crate) fn cargo_program(&self) -> &OsString {
        &self.cargo
    }

    /// Where cargo puts its output.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where xtask keeps logs and scratch files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// `path` as a reader at the root would type it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// One call of the workspace's cargo.
    pub(crate) fn cargo(&self, args: &[&str]) -> Invocation {
        Invocation::new(&self.cargo, "cargo").args(args)
    }
}
