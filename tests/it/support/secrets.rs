//! No made-up secret of the suite is ever written: every place that a test works in is looked through when it goes.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    thread,
};

/// A part of every secret that these tests make up; half of one would be a leak too.
pub(crate) const MARK: &str = "7c51e8d24b60";

/// Every file below `dir` that holds the mark, with the line that does. What goes away meanwhile holds nothing.
pub(crate) fn leaks(dir: &Path) -> Vec<String> {
    let mut res = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.to_string_lossy().into_owned();
        if name.contains(MARK) {
            res.push(name.clone());
        }
        // Neither links nor pipes: some tests plant those.
        match entry.file_type() {
            Ok(it) if it.is_dir() => res.extend(leaks(&path)),
            Ok(it) if it.is_file() => {
                let line = line_with_mark(&path);
                res.extend(line.map(|it| format!("{name}: {it}")));
            }
            _ => {}
        }
    }
    res
}

/// Fails the test if there is one; not a test that fails already.
#[track_caller]
pub(crate) fn assert_no_secrets(dir: &Path) {
    if !thread::panicking() {
        let leaks = leaks(dir);
        assert!(leaks.is_empty(), "secrets were written: {leaks:#?}");
    }
}

fn line_with_mark(path: &Path) -> Option<String> {
    /// No test that makes up a secret writes more; some others write gigabytes.
    const MOST: u64 = 4 << 20;
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(MOST)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().find(|it| it.contains(MARK)).map(str::to_owned)
}
