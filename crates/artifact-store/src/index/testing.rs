//! What tests do to an index from inside.

use std::{path::Path, process, time::Duration};

use super::file::{IndexFile, Lock};

/// Keeps a turn for as long as the value lives.
pub(crate) fn hold_turn(own_dir: &Path, is_exclusive: bool) -> Lock {
    let patience = Duration::from_secs(30);
    let lock = if is_exclusive {
        Lock::exclusive(own_dir, patience)
    } else {
        Lock::shared(own_dir, patience)
    };
    lock.expect("a turn")
}

/// Writes a part of a change to the disk and dies.
pub(crate) fn write_and_abort(own_dir: &Path) -> ! {
    let lock = Lock::exclusive(own_dir, Duration::from_secs(30)).expect("a turn");
    let mut index = IndexFile::open(own_dir, &lock).expect("an index");
    // With next to no cache, changes go to the disk as they are made.
    let small = index.connection.pragma_update(None, "cache_size", 1);
    small.expect("a small cache");
    let _ = index.write(&lock, |it| -> rusqlite::Result<()> {
        it.execute("UPDATE worker SET json = '{}', owner = 'x'", [])?;
        process::abort();
    });
    unreachable!("it is dead")
}
