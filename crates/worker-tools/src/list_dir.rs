//! `list_dir`: what lies in a directory below one root, and in no other.

#[cfg(test)]
mod tests;

use std::{
    collections::BinaryHeap,
    ffi::CString,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use rustix::{
    fd::AsFd,
    fs::{AtFlags, Dir, FileType, statat},
};
use serde_json::{Value, json};
use worker_runner::{Tool, ToolDefinition, ToolError};

use crate::{
    arguments::Arguments,
    below,
    text::{escaped, shown},
};

/// The limits of [`ListDir`].
#[derive(Debug, Clone)]
pub struct ListDirOptions {
    /// The most entries that one call answers with; 1000 by default.
    pub max_entries: usize,
}

impl Default for ListDirOptions {
    fn default() -> Self {
        Self { max_entries: 1000 }
    }
}

/// Lists the directory `path` below a root directory, or the root itself: kind, size and name of each entry, a line each,
/// sorted by name.
///
/// Nothing leads out of the root, as with [`ReadFile`](crate::ReadFile), and no entry is opened or followed. Of a larger
/// directory the first entries are listed, and the last line says how many there are. Hidden entries are listed too; a
/// control character in a name is escaped.
#[derive(Debug)]
pub struct ListDir {
    definition: ToolDefinition,
    root: PathBuf,
    options: ListDirOptions,
}

impl ListDir {
    /// The tool below `root` with default options.
    ///
    /// `root` itself may be a symbolic link; it is opened at each call.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_options(root, ListDirOptions::default())
    }

    /// The tool below `root`.
    pub fn with_options(root: impl Into<PathBuf>, options: ListDirOptions) -> Self {
        Self {
            definition: ToolDefinition {
                name: "list_dir".to_owned(),
                description: "Lists a directory of the working directory: kind, size in bytes and \
                              name of each entry."
                    .to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "path": {
                            "type": "string",
                            "description": "The directory, relative to the working directory, such \
                                            as logs; the working directory itself if left out.",
                        },
                    },
                    "additionalProperties": false,
                }),
            },
            root: root.into(),
            options,
        }
    }
}

#[async_trait]
impl Tool for ListDir {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let path = Arguments::new(arguments, &["path"])?.optional_text("path")?;
        let path = path.unwrap_or_else(|| ".".to_owned());
        let root = self.root.clone();
        let max_entries = self.options.max_entries;
        // A directory on a network share can take its time.
        tokio::task::spawn_blocking(move || list(&root, &path, max_entries))
            .await
            .map_err(|err| ToolError::Failed(format!("the listing was given up: {err}")))?
    }
}

fn list(root: &Path, path: &str, max_entries: usize) -> Result<String, ToolError> {
    let directory = below::open_directory(root, path)?;
    let (names, total) = first_names(&directory, max_entries).map_err(|err| {
        ToolError::Failed(format!("`{}` could not be listed: {err}", shown(path)))
    })?;
    let mut lines: Vec<_> = names.iter().map(|it| line(&directory, it)).collect();
    match total {
        0 => lines.push("(empty)".to_owned()),
        _ if total > names.len() => lines.push(format!(
            "[cut: the first {} of {total} entries]",
            names.len()
        )),
        _ => {}
    }
    Ok(lines.join("\n"))
}

/// The first names in their order, and how many there are; no more of them are held at a time.
fn first_names(directory: impl AsFd, limit: usize) -> rustix::io::Result<(Vec<CString>, usize)> {
    let mut first = BinaryHeap::new();
    let mut total = 0;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        total += 1;
        first.push(name.to_owned());
        if first.len() > limit {
            first.pop();
        }
    }
    Ok((first.into_sorted_vec(), total))
}

/// `file       1234  notes.txt`
fn line(directory: impl AsFd, name: &CString) -> String {
    let shown = escaped(name.to_string_lossy().chars());
    // It may have gone meanwhile.
    let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return format!("{:<6} {:>12}  {shown}", "gone", "-");
    };
    let (kind, size) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => ("file", stat.st_size.to_string()),
        FileType::Directory => ("dir", "-".to_owned()),
        FileType::Symlink => ("link", "-".to_owned()),
        FileType::Fifo => ("fifo", "-".to_owned()),
        FileType::Socket => ("socket", "-".to_owned()),
        FileType::CharacterDevice | FileType::BlockDevice => ("device", "-".to_owned()),
        FileType::Unknown => ("other", "-".to_owned()),
    };
    let slash = if kind == "dir" { "/" } else { "" };
    format!("{kind:<6} {size:>12}  {shown}{slash}")
}
