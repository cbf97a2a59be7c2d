//! Replays the inputs that are kept of fuzzing. A module of `fuzzing` in each crate that has targets.

use std::{fs, panic, path::Path};

#[test]
fn what_fuzzing_found_holds() {
    for (name, target) in super::TARGETS {
        let inputs = Path::new("testdata/fuzz").join(name);
        for input in fs::read_dir(&inputs).unwrap() {
            let path = input.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let held = panic::catch_unwind(|| target(&bytes));
            assert!(held.is_ok(), "{}", path.display());
        }
    }
}
