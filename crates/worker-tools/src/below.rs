//! Opening a file or a directory below a directory without ever leaving it.

use std::{fs::File, path::Path};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};
use worker_runner::ToolError;

use crate::{arguments::bad, text::shown};

/// Opens the regular file `path` below `root`.
pub(crate) fn open_file(root: &Path, path: &str) -> Result<File, ToolError> {
    let components = components(path)?;
    let Some((name, parents)) = components.split_last() else {
        return Err(bad(format!(
            "`{}` names the working directory itself; give a file in it, such as notes.txt",
            shown(path)
        )));
    };
    let directory = walk(root, parents, path)?;
    // Without O_NONBLOCK the open itself would hang if a FIFO were put in place meanwhile.
    let file = step(
        &directory,
        name,
        OFlags::NONBLOCK | OFlags::NOCTTY,
        FileType::RegularFile,
        path,
    )?;
    // The entry may have been replaced after it was looked at: what counts is what was opened.
    let stat = fstat(&file).map_err(|err| unreadable(path, err))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(File::from(file)),
        other => Err(refused(path, other)),
    }
}

/// Opens the directory `path` below `root`, which may be the root itself.
pub(crate) fn open_directory(root: &Path, path: &str) -> Result<OwnedFd, ToolError> {
    walk(root, &components(path)?, path)
}

/// Opens one directory after the other, each below the one before.
fn walk(root: &Path, components: &[&str], path: &str) -> Result<OwnedFd, ToolError> {
    let mut directory = openat(
        CWD,
        root,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|err| {
        ToolError::Configuration(format!(
            "the working directory `{}` cannot be opened: {err}",
            root.display()
        ))
    })?;
    for component in components {
        directory = step(
            &directory,
            component,
            OFlags::DIRECTORY,
            FileType::Directory,
            path,
        )?;
    }
    Ok(directory)
}

/// Opens one entry of `directory` if it is of the `wanted` type; never follows a symbolic link.
fn step(
    directory: impl AsFd,
    name: &str,
    flags: OFlags,
    wanted: FileType,
    path: &str,
) -> Result<OwnedFd, ToolError> {
    // Opening some devices does something, so the type comes first.
    let stat =
        statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|err| unreadable(path, err))?;
    let found = FileType::from_raw_mode(stat.st_mode);
    if found != wanted {
        return Err(match (wanted, found) {
            (FileType::Directory, FileType::RegularFile) => unreadable(path, Errno::NOTDIR),
            _ => refused(path, found),
        });
    }
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&directory, name, flags, Mode::empty()).map_err(|err| match err {
        Errno::LOOP => refused(path, FileType::Symlink),
        err => unreadable(path, err),
    })
}

/// The path's components, unless one of them could lead out of the root.
fn components(path: &str) -> Result<Vec<&str>, ToolError> {
    let reason = if path.is_empty() {
        "is empty"
    } else if path.contains('\0') {
        "holds a NUL character"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.split('/').any(|it| it == "..") {
        "holds `..`"
    } else {
        return Ok(path
            .split('/')
            .filter(|it| !it.is_empty() && *it != ".")
            .collect());
    };
    Err(bad(format!(
        "the path `{}` {reason}; give one inside the working directory, such as notes.txt",
        shown(path)
    )))
}

/// Something is there, but not what this tool reads.
fn refused(path: &str, found: FileType) -> ToolError {
    let found = match found {
        FileType::Symlink => "goes through a symbolic link",
        FileType::Directory => "is a directory",
        FileType::Fifo => "is a FIFO",
        FileType::Socket => "is a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "is a device",
        _ => "is of an unknown type",
    };
    bad(format!(
        "`{}` {found}; only regular files below the working directory are read",
        shown(path)
    ))
}

fn unreadable(path: &str, err: Errno) -> ToolError {
    let path = shown(path);
    ToolError::Failed(match err {
        Errno::NOENT => format!("`{path}` does not exist"),
        Errno::NOTDIR => format!("`{path}` does not exist: a part of it is not a directory"),
        err => format!("`{path}` cannot be opened: {err}"),
    })
}
