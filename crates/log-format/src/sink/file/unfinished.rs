//! Tells a half line at the end of a file from one that another process is just writing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// For filesystems where an empty write does not wait for the write of another process.
const STILL: Duration = Duration::from_millis(2);

/// After so many growths other writers are simply busy.
const MAX_LOOKS: usize = 10;

/// Whether the regular file `ours`, open for appending, ends without `\n`.
///
/// `path` is the same file, for reading; an error if that is not allowed.
pub(super) fn ends_mid_line(ours: &File, path: &Path) -> io::Result<bool> {
    let mut reader = File::open(path)?;
    for _ in 0..MAX_LOOKS {
        let len = reader.metadata()?.len();
        if len == 0 {
            return Ok(false);
        }
        let mut last = [b'\n'];
        reader.seek(SeekFrom::Start(len - 1))?;
        reader.read_exact(&mut last).or_else(truncated_meanwhile)?;
        if last == *b"\n" {
            return Ok(false);
        }
        wait_for_other_writers(ours);
        if reader.metadata()?.len() == len {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits for writes of other processes that are under way.
///
/// Linux lets one write at a time into a file, so an empty one ends after those that began before it;
/// seen in the middle of such a write, a file has grown by now.
fn wait_for_other_writers(mut ours: &File) {
    thread::sleep(STILL); // On the log thread, and only where a line looks torn.
    let _ = ours.write(&[]); // A failure changes nothing: there was nothing to write.
}

fn truncated_meanwhile(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Ok(())
    } else {
        Err(error)
    }
}
