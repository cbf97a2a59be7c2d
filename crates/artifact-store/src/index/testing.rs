//! What tests do to an index from inside.

use std::{
    path::Path,
    process, thread,
    time::{Duration, SystemTime},
};

use super::{
    Index,
    file::{IndexFile, Lock},
    settled::{TICKS, now},
};

/// Until then the index does not count on what has just been changed.
pub(crate) fn let_ticks_pass() {
    let changed = SystemTime::now();
    while now() <= changed + TICKS {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether an answer reads the worker's events itself.
pub(crate) fn is_read_beside_an_answer(index: &Index, id: &str) -> bool {
    index.look_at_few(&mut None, &[id.to_owned()])
}

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
