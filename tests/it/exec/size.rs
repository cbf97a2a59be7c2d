//! A result of a gigabyte: whole on the disk, and not in memory.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    cli::Place,
    support::{Background, eventually, peak_memory_kib},
};

const GIB: u64 = 1 << 30;

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |it| it.len())
}

#[test]
fn a_gigabyte_of_output_does_not_pass_through_memory() {
    let place = Place::new();
    let script = "touch started; until [ -e go ]; do sleep 0.01; done; \
                  yes 'a line of thirty-two characters' | head -c 1073741824; \
                  until [ -e end ]; do sleep 0.01; done";
    let arguments = [
        "exec",
        "--json",
        "--timeout",
        "1h",
        "--",
        "sh",
        "-c",
        script,
    ];
    let running = Background::start(&mut place.command(&arguments));
    eventually("the program", || place.has("started"));
    let pid = running.pid().as_raw_nonzero().get();
    let before = peak_memory_kib(pid);
    place.go();
    let worker = || {
        let mut dirs = fs::read_dir(place.data_dir())
            .unwrap()
            .map(|it| it.unwrap().path());
        dirs.find(|it| it.join("metadata.json").exists()).unwrap()
    };
    let result = worker().join("result.txt");
    let mut last = 0;
    while last < GIB {
        // As long as it grows it has the time that it needs.
        last = eventually("more of the output", || {
            let now = length(&result);
            (now > last).then_some(now)
        });
    }
    let while_read = peak_memory_kib(pid);
    assert!(
        while_read < before + 4096,
        "{before} KiB, then {while_read} KiB"
    );
    fs::write(place.folder().join("end"), "").unwrap();
    let finished = running.finish().expect(0);

    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["result_bytes"], GIB);
    assert_eq!(report["result"].as_str().unwrap().len(), 1 << 20);
    assert_eq!(report["warnings"], Value::Null);
    let id = report["worker_id"].as_str().unwrap();
    let text = place.run(&["result", id]).answer();
    assert!(text.len() < (1 << 20) + 1000);
    assert!(
        text.ends_with("\n[the result goes on; read_worker_file with file_path=result.txt and offset=1048576]\n"),
        "{}",
        &text[text.len() - 200..]
    );
}
