//! Appending whole lines to one worker's `metrics.jsonl`, whatever happens to that file meanwhile.
//!
//! A deleted or moved file takes writes without a word. So the lines are booked to the file they went to, and what is in
//! the file that stands at the path now is stored; what went to another one is not, until that one is back.

use std::{io, path::PathBuf, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use super::pending::Chunk;
use crate::{
    disk::{FileStat, Open, Output},
    torn,
    whole_file::Files,
};

/// Files that lines went to and that may come back. More than a few means that somebody replaces them on purpose.
const REMEMBERED: usize = 8;

/// One worker's file.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    /// The file of the last target, if it is held open.
    output: Option<Box<dyn Output>>,
    /// The files that lines went to.
    targets: Vec<Target>,
    /// The last target stood at the path when it was last looked at.
    in_place: bool,
    /// Lines that went to any file.
    written: u64,
    /// Lines of the last target that the disk may not have.
    unsynced: u64,
    looked_at: Option<Duration>,
}

#[derive(Debug)]
struct Target {
    /// The file, and its length after our last line.
    stat: FileStat,
    lines: u64,
}

/// How an append went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// So much of the chunk is written; whole lines.
    pub(super) bytes: usize,
    /// And so many lines.
    pub(super) lines: u64,
    /// Of all lines ever written, those that are not in the file that stands at the path.
    pub(super) elsewhere: u64,
    /// Why it stopped.
    pub(super) error: Option<io::Error>,
    /// The file was opened for this and is still open.
    pub(super) opened: bool,
}

impl Appender {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            output: None,
            targets: Vec::new(),
            in_place: false,
            written: 0,
            unsynced: 0,
            looked_at: None,
        }
    }

    /// Appends as much of `chunk` as can be written. Looks whether the file is still in its place if that was not done
    /// for `look_every`, and with `confirm` also after the write. An empty chunk only puts the file right.
    pub(super) fn append(
        &mut self,
        files: &Files,
        chunk: &Chunk,
        look_every: Duration,
        confirm: bool,
    ) -> Outcome {
        let mut res = Outcome {
            bytes: 0,
            lines: 0,
            elsewhere: 0,
            error: None,
            opened: false,
        };
        res.error = self
            .try_append(files, chunk, look_every, confirm, &mut res)
            .err();
        if res.error.is_some() {
            // Whatever is wrong with it, opening it again is how it is put right.
            self.output = None;
        }
        res.opened &= self.output.is_some();
        res.elsewhere = self.elsewhere();
        res
    }

    /// Lets go of the file until it is needed again.
    pub(super) fn close(&mut self) -> Option<Box<dyn Output>> {
        self.output.take()
    }

    fn try_append(
        &mut self,
        files: &Files,
        chunk: &Chunk,
        look_every: Duration,
        confirm: bool,
        res: &mut Outcome,
    ) -> io::Result<()> {
        self.look(files, look_every);
        let to_write = !chunk.bytes.is_empty() || self.unsynced > 0;
        if !self.in_place || (to_write && self.output.is_none()) {
            self.open(files)?;
            res.opened = true;
        }
        if to_write {
            self.write(files, chunk, res)?;
        }
        if confirm && to_write {
            self.look(files, Duration::ZERO);
            if !self.in_place {
                return Err(io::ErrorKind::NotFound.into());
            }
        }
        Ok(())
    }

    /// Whether the last target still stands at the path, with nothing in it that is not known.
    fn look(&mut self, files: &Files, look_every: Duration) {
        if !self.in_place {
            return;
        }
        if !look_every.is_zero() {
            let now = coarse_now();
            if self
                .looked_at
                .is_some_and(|it| now.saturating_sub(it) < look_every)
            {
                return;
            }
            self.looked_at = Some(now);
        }
        let there = files.disk.stat(&self.path).ok();
        self.in_place = there.is_some() && there == self.targets.last().map(|it| it.stat);
        if !self.in_place {
            self.output = None;
        }
    }

    /// Opens the file at the path, whichever it is now; its last line is whole when this returns.
    fn open(&mut self, files: &Files) -> io::Result<()> {
        self.in_place = false;
        self.output = None;
        let mut output = files.disk.open(&self.path, Open::Append)?;
        let stat = self.repair_tail(files, &mut *output)?;
        // A shorter file is another one, or has lost what was in it. Inodes are used again soon.
        let known = |it: &Target| it.stat.id == stat.id && it.stat.len <= stat.len;
        match self.targets.iter().position(known) {
            Some(at) => {
                let target = self.targets.remove(at);
                if at < self.targets.len() {
                    self.unsynced = 0; // They went to another file.
                }
                self.targets.push(Target { stat, ..target });
            }
            None => {
                files.sync_name(&self.path)?;
                self.unsynced = 0;
                // One of the same inode is gone for good: this is another file, or has lost what was in it.
                self.targets.retain(|it| it.stat.id != stat.id);
                self.targets.push(Target { stat, lines: 0 });
                if self.targets.len() > REMEMBERED {
                    self.targets.remove(0);
                }
            }
        }
        self.output = Some(output);
        self.in_place = true;
        Ok(())
    }

    fn write(&mut self, files: &Files, chunk: &Chunk, res: &mut Outcome) -> io::Result<()> {
        let bytes = &chunk.bytes[..];
        let (Some(output), Some(target)) = (self.output.as_mut(), self.targets.last_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut taken = 0;
        let mut answer = Ok(());
        while taken < bytes.len() && answer.is_ok() {
            match output.write(&bytes[taken..]) {
                Ok(0) => answer = Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => taken += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => answer = Err(error),
            }
        }
        let before = target.stat.len;
        let end = before + taken as u64;
        let (mut whole, mut lines) = (taken, chunk.lines);
        if taken < bytes.len() {
            whole = memchr::memrchr(b'\n', &bytes[..taken]).map_or(0, |it| it + 1);
            lines = count_lines(&bytes[..whole]);
            // The half line must not stay. Where this fails, opening the file again moves it aside.
            cut(&mut **output, end, before + whole as u64);
        }
        if let Err(error) = files.sync(&mut **output) {
            // What the system could not bring to the disk it may forget, so it must be written again.
            if cut(&mut **output, before + whole as u64, before) {
                (whole, lines) = (0, 0);
            } else {
                self.unsynced += lines;
            }
            answer = Err(error);
        } else {
            target.lines += std::mem::take(&mut self.unsynced);
            target.lines += lines;
        }
        target.stat.len = before + whole as u64;
        self.written += lines;
        (res.bytes, res.lines) = (whole, lines);
        answer
    }

    /// Moves what stands after the last line end to `metrics.torn` beside the file.
    fn repair_tail(&self, files: &Files, output: &mut dyn Output) -> io::Result<FileStat> {
        let aside = self.path.with_extension("torn");
        let len = torn::move_tail(
            output,
            || files.disk.open(&aside, Open::Append),
            |it| files.sync(it),
        )?;
        Ok(FileStat {
            len,
            ..output.stat()?
        })
    }

    fn elsewhere(&self) -> u64 {
        match self.targets.last() {
            Some(it) if self.in_place => self.written - it.lines,
            _ => self.written,
        }
    }
}

/// Cuts a file that has `from` bytes, and not one more from somebody else, down to `to`.
fn cut(output: &mut dyn Output, from: u64, to: u64) -> bool {
    from == to || (output.stat().is_ok_and(|it| it.len == from) && output.set_len(to).is_ok())
}

/// The time as of the last tick, a few milliseconds ago at most, for a quarter of the price.
fn coarse_now() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}
