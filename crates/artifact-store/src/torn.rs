//! A half line at the end of `metrics.jsonl`, as a killed process leaves it: moved to `metrics.torn`, so that the file
//! holds whole lines only.

use std::{io, ops::Range};

use crate::disk::{Output, write_all};

/// Moves what stands after the last line end of `file` to the end of the file that `open_torn` opens for appending, and
/// gives the new length. `sync` is called with that file before the tail is cut off here.
///
/// Broken off and called again, it leaves that part there once.
pub(crate) fn move_tail(
    file: &mut dyn Output,
    open_torn: impl FnOnce() -> io::Result<Box<dyn Output>>,
    sync: impl FnOnce(&mut dyn Output) -> io::Result<()>,
) -> io::Result<u64> {
    let len = file.stat()?.len;
    let end = end_of_last_line(file, len)?;
    if end == len {
        return Ok(len);
    }
    let mut torn = open_torn()?;
    let before = torn.stat()?.len;
    if !ends_with_tail(&*torn, before, file, end..len)? {
        let copied = copy(file, end..len, &mut *torn)
            .and_then(|()| write_all(&mut *torn, b"\n"))
            .and_then(|()| sync(&mut *torn));
        if copied.is_err() {
            // It will be tried again; the tail shall not stand there twice.
            let _ = torn.set_len(before);
        }
        copied?;
    }
    file.set_len(end)?;
    Ok(end)
}

/// The offset after the last `\n` of a file of `len` bytes.
fn end_of_last_line(file: &dyn Output, len: u64) -> io::Result<u64> {
    let mut chunk = [0; 4096];
    let mut end = len;
    while end > 0 {
        // The first look is at the last byte alone: nearly always it is a line end.
        let size = if end == len { 1 } else { end.min(4096) };
        let start = end - size;
        let chunk = &mut chunk[..usize::try_from(size).unwrap_or(4096)];
        read_exact_at(file, chunk, start)?;
        if let Some(at) = memchr::memrchr(b'\n', chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether the tail has been copied already, by a process that was killed before it could cut it off.
fn ends_with_tail(
    torn: &dyn Output,
    torn_len: u64,
    file: &dyn Output,
    tail: Range<u64>,
) -> io::Result<bool> {
    let tail_len = tail.end - tail.start;
    let Some(start) = torn_len.checked_sub(tail_len + 1) else {
        return Ok(false);
    };
    let mut last = [0];
    read_exact_at(torn, &mut last, torn_len - 1)?;
    if last != *b"\n" {
        return Ok(false);
    }
    let (mut one, mut other) = ([0; 4096], [0; 4096]);
    let mut done = 0;
    while done < tail_len {
        let size = usize::try_from(tail_len - done).map_or(4096, |it| it.min(4096));
        read_exact_at(file, &mut one[..size], tail.start + done)?;
        read_exact_at(torn, &mut other[..size], start + done)?;
        if one[..size] != other[..size] {
            return Ok(false);
        }
        done += size as u64;
    }
    Ok(true)
}

/// Appends a part of `from` to `to`.
fn copy(from: &dyn Output, part: Range<u64>, to: &mut dyn Output) -> io::Result<()> {
    let mut chunk = [0; 4096];
    let mut at = part.start;
    while at < part.end {
        let size = usize::try_from(part.end - at).map_or(4096, |it| it.min(4096));
        read_exact_at(from, &mut chunk[..size], at)?;
        write_all(to, &chunk[..size])?;
        at += size as u64;
    }
    Ok(())
}

fn read_exact_at(file: &dyn Output, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.read_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                bytes = &mut bytes[n..];
                at += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
