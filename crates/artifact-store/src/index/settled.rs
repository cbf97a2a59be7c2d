//! What the index keeps of a worker that has ended, and how it knows that this is still so.

use std::{
    io::Read as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics_core::{Timestamp, WorkerId};
use rustix::fs::{Stat, fstat};
use serde_json::Value;

use super::calls::{Budget, Calls};
use crate::{Metadata, Status, confined::Dir, worker::file_names};

/// A longer `metadata.json` is not kept but read each time.
const MAX_JSON_BYTES: u64 = 16 << 10;
/// What changed less than this ago may change again and keep its time: clocks of filesystems tick up to 10 ms.
pub(super) const TICKS: Duration = Duration::from_millis(20);

/// Tells a file or directory from what it was before a change: its inode, time of change and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp([u8; 24]);

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        let mut bytes = [0; 24];
        let parts = [
            i128::from(stat.st_ino),
            changed_ns(stat),
            i128::from(stat.st_size),
        ];
        for (bytes, part) in bytes.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes()[..8]);
        }
        Self(bytes)
    }

    /// The stamp of what was looked at at `now`, if a later change is sure to give another one.
    pub(super) fn if_sure(stat: &Stat, now: SystemTime) -> Option<Self> {
        let now = now.checked_sub(TICKS)?.duration_since(UNIX_EPOCH).ok()?;
        let is_sure = changed_ns(stat) < i128::try_from(now.as_nanos()).ok()?;
        is_sure.then(|| Self::of(stat))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Stamp {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

/// What a filesystem's clock says, which stands still where a machine is too busy to make it tick.
pub(super) fn now() -> SystemTime {
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        let now = clock_gettime(ClockId::RealtimeCoarse);
        if let (Ok(seconds), Ok(nanos)) = (now.tv_sec.try_into(), now.tv_nsec.try_into()) {
            let since = Duration::new(seconds, nanos);
            return UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
        }
    }
    SystemTime::now()
}

/// Nobody can set the time of a change, other than that of a modification.
fn changed_ns(stat: &Stat) -> i128 {
    i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec)
}

/// What `metadata.json` of an ended worker says, and the stamp of that file.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) id: String,
    pub(super) created_at: Timestamp,
    pub(super) status: Status,
    pub(super) owner: String,
    pub(super) stamp: Stamp,
    pub(super) json: String,
    /// What is known of its calls, if somebody looked.
    pub(super) calls: Option<Calls>,
}

impl Settled {
    /// Reads it in the data directory `dir`; `None` if there is anything that speaks against keeping it.
    pub(super) fn read(dir: &Dir, id: &str) -> Option<Self> {
        Self::read_with(dir, id, |_, _| None)
    }

    /// The same, and all its events, if `budget` allows.
    pub(super) fn read_with_calls(dir: &Dir, id: &str, budget: &mut Budget<'_>) -> Option<Self> {
        Self::read_with(dir, id, |worker, metadata| {
            Calls::read(worker, metadata, budget)
        })
    }

    fn read_with(
        dir: &Dir,
        id: &str,
        calls: impl FnOnce(&Dir, &Metadata) -> Option<Calls>,
    ) -> Option<Self> {
        let now = now();
        let worker = dir.subdir(id).ok()?;
        let file = worker.file(file_names::METADATA).ok()?;
        let stamp = Stamp::if_sure(&fstat(&file).ok()?, now)?;
        let mut json = String::new();
        let read = file.take(MAX_JSON_BYTES + 1).read_to_string(&mut json);
        if read.ok()? as u64 > MAX_JSON_BYTES {
            return None;
        }
        let metadata: Metadata = serde_json::from_str(&json).ok()?;
        let is_settled = metadata.worker_id == WorkerId::from(id) && metadata.status.is_final();
        is_settled.then(|| Self {
            id: id.to_owned(),
            created_at: metadata.created_at,
            status: metadata.status,
            owner: metadata.owner.clone(),
            stamp,
            calls: calls(&worker, &metadata),
            json: shortened(json, &metadata),
        })
    }
}

/// The same without nulls and blanks, which is read in less time.
fn shortened(json: String, metadata: &Metadata) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(metadata) else {
        return json;
    };
    fields.retain(|_, value| !value.is_null());
    let short = serde_json::to_string(&fields).unwrap_or_default();
    // A null that stands for something, or a number that would be read otherwise.
    let is_same = |it: Metadata| it == *metadata;
    if serde_json::from_str(&short).is_ok_and(is_same) {
        short
    } else {
        json
    }
}

/// Whether the worker's file is the one that `stamp` was taken of.
pub(super) fn is_unchanged(dir: &Dir, id: &str, file: &str, stamp: &[u8]) -> bool {
    let path = format!("{id}/{file}");
    dir.look_at(&path)
        .is_ok_and(|it| it.st_dev == dir.stat().st_dev && Stamp::of(&it).bytes() == stamp)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::{Duration, UNIX_EPOCH},
    };

    use rustix::fs::fstat;

    use super::{Stamp, changed_ns};

    #[test]
    fn what_has_just_changed_may_change_again_unseen() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let stat = fstat(File::open(&path).unwrap()).unwrap();
        let changed = u64::try_from(changed_ns(&stat)).unwrap();
        let changed = UNIX_EPOCH + Duration::from_nanos(changed);
        let ms = Duration::from_millis;
        assert_eq!(Stamp::if_sure(&stat, changed + ms(19)), None);
        let sure = Stamp::if_sure(&stat, changed + ms(21));
        assert_eq!(sure, Some(Stamp::of(&stat)));
        // A clock that was set back.
        assert_eq!(Stamp::if_sure(&stat, changed - ms(1)), None);
        assert_eq!(Stamp::if_sure(&stat, UNIX_EPOCH), None);

        fs::write(&path, "longer").unwrap();
        assert_ne!(
            Stamp::of(&fstat(File::open(&path).unwrap()).unwrap()),
            Stamp::of(&stat)
        );
    }
}
