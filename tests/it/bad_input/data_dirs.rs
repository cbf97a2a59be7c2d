//! Data directories that are none: an error at once that names them, and never another directory instead.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use crate::{
    cli::{Place, answered},
    support::{Finished, finish, program_path, require, sh, triscope},
};

const WRITERS: [&[&str]; 2] = [&["run", "say hello"], &["demo"]];
const READERS: [&[&str]; 5] = [
    &["workers"],
    &["result", "1"],
    &["file", "1"],
    &["grep", "x"],
    &["meta", "1"],
];

/// Runs the program with the directory as a flag and as a variable; a home of its own would show a fallback.
fn both_ways(place: &Place, arguments: &[&str]) -> [Finished; 2] {
    let home = place.folder().join("home");
    fs::create_dir_all(&home).unwrap();
    let run = |command: &mut Command| {
        let command = command.env("HOME", &home).env_remove("XDG_DATA_HOME");
        let finished = answered(finish(command));
        let in_home: Vec<_> = fs::read_dir(&home).unwrap().collect();
        assert!(in_home.is_empty(), "{in_home:?}");
        finished
    };
    let mut by_variable = triscope(arguments);
    by_variable.env("SWARMLET_DATA_PATH", place.data_dir());
    [
        run(&mut place.command(arguments)),
        run(by_variable.current_dir(place.folder())),
    ]
}

#[track_caller]
fn refuses(place: &Place, commands: &[&[&str]], said: &str) {
    for arguments in commands {
        for finished in both_ways(place, arguments) {
            let finished = finished.expect(3);
            assert_eq!(finished.stdout, "");
            let said = format!(
                "error: data directory `{}` {said}",
                place.data_dir().display()
            );
            assert!(finished.stderr.starts_with(&said), "{finished:?}");
        }
    }
}

#[test]
fn a_file_is_no_data_directory() {
    let place = Place::new();
    fs::write(place.data_dir(), "mine").unwrap();
    refuses(&place, &READERS, "is a file; name a directory instead\n");
    refuses(&place, &WRITERS, "is a file; name a directory instead\n");
    assert_eq!(fs::read_to_string(place.data_dir()).unwrap(), "mine");
}

#[test]
fn a_path_through_a_file_is_no_data_directory() {
    let place = Place::with_data_dir("file/workers");
    fs::write(place.folder().join("file"), "mine").unwrap();
    refuses(&place, &READERS, "");
    refuses(&place, &WRITERS, "");
}

#[test]
fn a_missing_directory_is_made_by_writers_alone() {
    let place = Place::with_data_dir("not/there/yet");
    refuses(
        &place,
        &READERS,
        "does not exist; check the path, or run a worker there first\n",
    );
    assert!(!place.folder().join("not").exists(), "a reader made it");
    for finished in both_ways(&place, WRITERS[0]) {
        assert!(finished.answer().ends_with("\nhello\n"));
    }
    let mode = fs::metadata(place.data_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    assert_eq!(place.rows().len(), 2);
}

#[test]
fn a_dangling_link_is_no_data_directory() {
    let place = Place::new();
    let target = place.folder().join("nowhere");
    symlink(&target, place.data_dir()).unwrap();
    let said = "is a symbolic link to nowhere; remove it or make its target\n";
    refuses(&place, &READERS, said);
    refuses(&place, &WRITERS, said);
    assert!(!target.exists());
    // A link to a directory is as good as that.
    fs::create_dir(&target).unwrap();
    assert!(
        place
            .run(&["run", "say hello"])
            .answer()
            .ends_with("\nhello\n")
    );
}

#[test]
fn an_empty_name_is_no_data_directory() {
    let place = Place::new();
    let finished = finish(triscope(["workers", "--data-dir", ""]).current_dir(place.folder()));
    assert!(finished.expect(2).stderr.contains("--data-dir <DIR>"));
}

/// Runs the program as a user who owns nothing and may do nothing special; root is not asked for modes.
fn as_nobody(place: &Place, arguments: &[&str]) -> Finished {
    // The program's own folder may be closed to others.
    let program = place.folder().join("triscope");
    if !program.exists() {
        // By a process of its own: one that another test starts meanwhile would keep the copy open for writing.
        let recipe = format!("cp '{}' triscope", program_path().display());
        sh(place.folder(), &recipe).answer();
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ])
        .arg(&program)
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("HOME", place.folder().join("home"))
        .current_dir("/");
    let with_flag = arguments.contains(&"--data-dir");
    if with_flag {
        command.env_remove("SWARMLET_DATA_PATH");
    } else {
        command.env("SWARMLET_DATA_PATH", place.data_dir());
    }
    answered(finish(&mut command))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether this user may become another one.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    require!("setpriv");
    if !is_root() {
        fn here() {}
        let here = std::any::type_name_of_val(&here);
        crate::support::skip(here, "only root can become another user");
        return;
    }
    let place = Place::new();
    set_mode(place.folder(), 0o755);
    fs::create_dir(place.data_dir()).unwrap();
    set_mode(place.data_dir(), 0o755);
    let data_dir = place.data_dir().to_str().unwrap();
    let said = format!(
        "error: data directory `{data_dir}` cannot be written; change its owner or mode, or name another one\n"
    );
    for arguments in WRITERS.iter().chain(&READERS) {
        let flag = [&["--data-dir", data_dir], *arguments].concat();
        for arguments in [&flag[..], arguments] {
            let finished = as_nobody(&place, arguments).expect(3);
            assert_eq!(
                (finished.stdout, finished.stderr),
                (String::new(), said.clone())
            );
        }
    }
    let doctor = as_nobody(&place, &["doctor"]).expect(3);
    let said = format!("fail  data directory  data directory `{data_dir}` cannot be written; ");
    assert!(doctor.stdout.starts_with(&said), "{doctor:?}");
    let made: Vec<_> = fs::read_dir(place.data_dir()).unwrap().collect();
    assert!(made.is_empty(), "{made:?}");
    assert!(!place.folder().join("home").exists());

    // One that cannot be made is refused too, and the reason named.
    let finished = as_nobody(
        &place,
        &["run", "x", "--data-dir", &format!("{data_dir}/new")],
    );
    let finished = finished.expect(3);
    assert!(
        finished
            .stderr
            .contains("cannot be created: Permission denied"),
        "{finished:?}"
    );

    // The same user, given a directory that can be written, is at home.
    set_mode(place.data_dir(), 0o777);
    let finished = as_nobody(&place, &["run", "say hello"]);
    assert!(finished.answer().ends_with("\nhello\n"));

    // A place that another user's own files lie in already is named as a whole.
    fs::set_permissions(
        place.data_dir().join(".triscope"),
        fs::Permissions::from_mode(0o500),
    )
    .unwrap();
    let finished = as_nobody(&place, &["run", "say hello"]).expect(3);
    assert!(finished.stderr.contains(".triscope"), "{finished:?}");
}
