//! A file that the program wrote itself, without its secrets once it has ended.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
};

use worker_runner::AgentContext;

/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Puts a copy without secrets in the place of `name`, if `file` holds any.
pub(crate) fn replace(file: &File, name: &str, context: &AgentContext) -> io::Result<()> {
    if context.redactor().is_off() || file.metadata()?.len() == 0 {
        return Ok(());
    }
    let new = format!("{name}.new");
    let new_path = context.worker_dir().join(&new);
    let copy = context.create_artifact(&new).map_err(io::Error::other)?;
    let copied = copy_redacted(file, copy, context);
    match copied {
        Ok(true) => fs::rename(&new_path, context.worker_dir().join(name)),
        Ok(false) => fs::remove_file(&new_path),
        Err(error) => {
            let _ = fs::remove_file(&new_path);
            Err(error)
        }
    }
}

/// Whether the copy differs.
fn copy_redacted(file: &File, mut copy: File, context: &AgentContext) -> io::Result<bool> {
    let mut stream = context.redactor().stream();
    // What a process that outlives the program goes on to write is nobody's.
    let end = file.metadata()?.len();
    let (mut chunk, mut out) = (vec![0; CHUNK_BYTES], Vec::new());
    let mut at = 0;
    while at < end {
        let n_bytes = match file.read_at(&mut chunk, at) {
            Ok(0) => break,
            Ok(n_bytes) => n_bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        at += n_bytes as u64;
        stream.push(&chunk[..n_bytes], &mut out);
        copy.write_all(&out)?;
        out.clear();
    }
    stream.finish(&mut out);
    copy.write_all(&out)?;
    Ok(stream.has_redacted())
}
