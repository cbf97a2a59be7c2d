//! Which workers there are: the data directory's names, and what changed since they were last read.

use std::{collections::HashMap, io, time::SystemTime};

use rusqlite::{Transaction, params};
use rustix::fs::FileType;

use super::{
    file::{IndexFile, Unusable},
    settled::Stamp,
};
use crate::{confined::Dir, worker_id};

/// Later than the second of any name that tells one, so that the others come first, as in a walk.
const NO_SECOND: &str = "~";

/// The workers' directories, each with its inode, and the state of the data directory that they were read in.
pub(super) struct Names {
    inodes: HashMap<String, i64>,
    odd: Vec<Vec<u8>>,
    stamp: Option<Stamp>,
}

/// What changed since the names were last read.
pub(super) struct Difference {
    pub(super) gone: Vec<i64>,
    pub(super) n_kept: usize,
    pub(super) new: Vec<(String, i64)>,
    odd: Vec<Vec<u8>>,
    pub(super) stamp: Option<Stamp>,
}

impl Names {
    /// Reads the names in `dir`, opened at `now` or later.
    pub(super) fn read(dir: &Dir, now: SystemTime) -> io::Result<Self> {
        let (mut inodes, mut odd) = (HashMap::new(), Vec::new());
        dir.each_entry(|name, file_type, inode| {
            let is_dir = file_type == Some(FileType::Directory);
            match name.to_str() {
                // As in a walk.
                _ if name.to_bytes().starts_with(b".") => {}
                Ok(name) if is_dir => {
                    inodes.insert(name.to_owned(), inode.cast_signed());
                }
                _ if is_dir || file_type == Some(FileType::Symlink) => {
                    odd.push(name.to_bytes().to_owned());
                }
                _ => {}
            }
        })?;
        Ok(Self {
            inodes,
            odd,
            stamp: Stamp::if_sure(dir.stat(), now),
        })
    }

    /// What is different in the index. A directory that took the place of another one is new.
    pub(super) fn difference(mut self, index: &IndexFile) -> Result<Difference, Unusable> {
        let mut statement = index
            .connection
            .prepare_cached("SELECT rowid, id, dir FROM worker")?;
        let mut rows = statement.query([])?;
        let (mut gone, mut n_kept) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (id, inode): (_, i64) = (row.get_ref(1)?.as_str()?, row.get(2)?);
            if self.inodes.get(id) == Some(&inode) {
                self.inodes.remove(id);
                n_kept += 1;
            } else {
                gone.push(row.get(0)?);
            }
        }
        let mut new: Vec<_> = self.inodes.into_iter().collect();
        new.sort_unstable_by(|one, other| other.cmp(one)); // The newest are wanted first.
        Ok(Difference {
            gone,
            n_kept,
            new,
            odd: self.odd,
            stamp: self.stamp,
        })
    }
}

impl Difference {
    /// Takes out what is gone, and notes the odd names, of which there are few.
    pub(super) fn apply_gone(&self, it: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut delete = it.prepare_cached("DELETE FROM worker WHERE rowid = ?1")?;
        for row in &self.gone {
            delete.execute([row])?;
        }
        it.execute("DELETE FROM odd", [])?;
        let mut insert = it.prepare_cached("INSERT INTO odd (name) VALUES (?1)")?;
        for name in &self.odd {
            insert.execute([name])?;
        }
        Ok(())
    }
}

/// Adds workers that nothing is known of yet but their names.
pub(super) fn insert(it: &Transaction<'_>, new: &[(String, i64)]) -> rusqlite::Result<()> {
    // Another process may have been here first.
    let mut insert = it.prepare_cached(
        "INSERT INTO worker (id, dir, second, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET dir = excluded.dir, created_at = excluded.created_at,
         status = NULL, owner = NULL, stamp = NULL, json = NULL, calls = NULL, first_end = NULL, last_end = NULL
         WHERE dir <> excluded.dir",
    )?;
    for (id, inode) in new {
        let second = if worker_id::has_stamp(id) {
            &id[..19]
        } else {
            NO_SECOND
        };
        insert.execute(params![id, inode, second, i64::MAX])?;
    }
    Ok(())
}
