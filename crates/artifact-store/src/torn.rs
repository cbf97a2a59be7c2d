//! A half line at the end of `metrics.jsonl`, as a killed process leaves it: moved to `metrics.torn`, so that the file
//! holds whole lines only.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _},
};

/// Moves what stands after the last line end of `file` to the end of the file that `open_torn` opens for appending.
///
/// Broken off and called again, it leaves that part there once.
pub(crate) fn move_tail(
    file: &mut File,
    open_torn: impl FnOnce() -> io::Result<File>,
) -> io::Result<()> {
    let len = file.metadata()?.len();
    let end = end_of_last_line(file, len)?;
    if end == len {
        return Ok(());
    }
    let mut torn = open_torn()?;
    let before = torn.metadata()?.len();
    if ends_with_tail(&torn, before, file, end..len)? {
        return file.set_len(end);
    }
    file.seek(SeekFrom::Start(end))?;
    let moved = io::copy(&mut (&*file).take(len - end), &mut torn)
        .and_then(|_| torn.write_all(b"\n"))
        .and_then(|()| file.set_len(end));
    if moved.is_err() {
        // It will be tried again; the tail shall not stand there twice.
        let _ = torn.set_len(before);
    }
    moved
}

fn end_of_last_line(mut file: &File, len: u64) -> io::Result<u64> {
    const CHUNK: u64 = 4096;
    let mut end = len;
    let mut chunk = Vec::new();
    while end > 0 {
        // The first look is at the last byte alone: nearly always it is a line end.
        let start = if end == len {
            len - 1
        } else {
            end.saturating_sub(CHUNK)
        };
        chunk.clear();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether the tail has been copied already, by a process that was killed before it could cut it off.
fn ends_with_tail(
    mut torn: &File,
    torn_len: u64,
    mut file: &File,
    tail: std::ops::Range<u64>,
) -> io::Result<bool> {
    let Some(start) = torn_len.checked_sub(tail.end - tail.start + 1) else {
        return Ok(false);
    };
    torn.seek(SeekFrom::Start(start))?;
    file.seek(SeekFrom::Start(tail.start))?;
    let tail = BufReader::new(file.take(tail.end - tail.start)).chain(&b"\n"[..]);
    let mut copied = BufReader::new(torn).bytes();
    for byte in tail.bytes() {
        if copied.next().transpose()? != Some(byte?) {
            return Ok(false);
        }
    }
    Ok(true)
}
