//! `read_file`: the text of a file below one directory, and of no other.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use worker_runner::{Tool, ToolDefinition, ToolError};

use crate::{
    arguments::{Arguments, bad},
    below,
    text::{beginning_and_length, shown},
};

/// The limits of [`ReadFile`].
#[derive(Debug, Clone)]
pub struct ReadFileOptions {
    /// The most bytes of a file that one call answers with; 64 KiB by default.
    pub max_bytes: usize,
}

impl Default for ReadFileOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024,
        }
    }
}

/// Reads the regular file `path` below a root directory.
///
/// The path is walked component by component below the root's own descriptor, so nothing leads out of
/// it: not `..`, an absolute path, or a symbolic link, even one that is put in place meanwhile. What
/// is no regular file (a directory, a FIFO, a device) is refused without being opened.
///
/// A longer file is cut, and the last line says so, and with which `offset` it goes on. What is not UTF-8 is shown as `�`.
#[derive(Debug)]
pub struct ReadFile {
    definition: ToolDefinition,
    root: PathBuf,
    options: ReadFileOptions,
}

impl ReadFile {
    /// The tool below `root` with default options.
    ///
    /// `root` itself may be a symbolic link; it is opened at each call.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_options(root, ReadFileOptions::default())
    }

    /// The tool below `root`.
    pub fn with_options(root: impl Into<PathBuf>, options: ReadFileOptions) -> Self {
        Self {
            definition: ToolDefinition {
                name: "read_file".to_owned(),
                description: format!(
                    "Reads a text file of the working directory, at most {} bytes of it.",
                    options.max_bytes
                ),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "path": {
                            "type": "string",
                            "description": "The file, relative to the working directory, such as \
                                            notes.txt or logs/today.txt.",
                        },
                        "offset": {
                            "type": "integer",
                            "minimum": 0,
                            "description": "The byte to begin at; 0 if left out.",
                        },
                    },
                    "required": ["path"],
                    "additionalProperties": false,
                }),
            },
            root: root.into(),
            options,
        }
    }
}

#[async_trait]
impl Tool for ReadFile {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let mut arguments = Arguments::new(arguments, &["path", "offset"])?;
        let path = arguments.text("path")?;
        let offset = arguments.optional_count("offset")?.unwrap_or(0);
        let root = self.root.clone();
        let max_bytes = self.options.max_bytes;
        // A file on a network share can take its time.
        tokio::task::spawn_blocking(move || read(&root, &path, offset, max_bytes))
            .await
            .map_err(|err| ToolError::Failed(format!("the read was given up: {err}")))?
    }
}

fn read(root: &Path, path: &str, offset: u64, max_bytes: usize) -> Result<String, ToolError> {
    let mut file = below::open_file(root, path)?;
    let failed =
        |err: io::Error| ToolError::Failed(format!("`{}` could not be read: {err}", shown(path)));
    let size = file.metadata().map_err(failed)?.len();
    if offset > 0 {
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    }
    let bytes = read_up_to(&file, max_bytes.saturating_add(1)).map_err(failed)?;
    if bytes.is_empty() && offset > 0 {
        return Err(bad(format!(
            "`{}` has no byte {offset}; it ends at {size}",
            shown(path)
        )));
    }
    if bytes.len() <= max_bytes {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let (text, n_bytes) = beginning_and_length(&bytes, max_bytes);
    let next = offset + n_bytes as u64;
    // The size is a guess for a file that grows, or that a kernel makes up as it is read.
    let of = if size > next {
        format!(" of {size}")
    } else {
        String::new()
    };
    Ok(match offset {
        0 => format!("{text}\n[cut: the first {next}{of} bytes; go on with offset={next}]"),
        _ => format!("{text}\n[cut: bytes {offset} to {next}{of}; go on with offset={next}]"),
    })
}

fn read_up_to(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
