//! `triscope report --follow`: the answer again and again, as files grow.

use std::{
    fs::{self, File},
    io::Write as _,
};

use rustix::process::Signal;

use crate::support::{Background, finish, triscope};

const SEED: &str = include_str!("../../samples/seed-metrics.jsonl");

#[test]
fn what_is_appended_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let tool = SEED.lines().nth(1).unwrap();
    fs::write(&path, format!("{tool}\n")).unwrap();
    let mut file = File::options().append(true).open(&path).unwrap();
    let mut append = |text: &str| file.write_all(text.as_bytes()).unwrap();
    let arguments = ["report", "--follow", "--by", "tool", "--format", "csv"];
    let mut following = Background::start(triscope(arguments).arg(&path));
    let mut next = || {
        assert!(following.next_line().starts_with("tool,count,"));
        let row = following.next_line();
        row.split(',').take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(next(), "ssh_exec 1");
    append(&format!("{tool}\n"));
    assert_eq!(next(), "ssh_exec 2");
    // A line counts once it is whole.
    append(&tool[..60]);
    assert_eq!(next(), "ssh_exec 2");
    append(&format!("{}\n", &tool[60..]));
    assert_eq!(next(), "ssh_exec 3");
    // Another file in its place.
    let other = dir.path().join("other");
    fs::write(&other, format!("{tool}\n")).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(next(), "ssh_exec 1");
    following.signal(Signal::INT);
    let ended = following.finish().expect(130);
    assert_eq!(ended.stdout, "");
    let told = format!(
        "  {}:3: torn: the file ends within this line\n",
        path.display()
    );
    assert_eq!(ended.stderr, format!("not used: 1 line\n{told}"));
}

#[test]
fn standard_input_cannot_be_followed() {
    let ended = finish(&mut triscope(["report", "--follow", "-"])).expect(2);
    assert!(
        ended.stderr.contains("standard input can be read once"),
        "{ended:?}"
    );
}
