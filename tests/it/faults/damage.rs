//! A `metrics.jsonl` that somebody did their worst to: what is whole counts, the rest is named by its line, and memory
//! stays small.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    process::Command,
};

use artifact_store::ArtifactStore;
use metrics_core::{EventReader, LineContent};
use serde_json::json;
use supervisor_tools::{RunnerSource, Supervisor, UnknownModel};
use worker_runner::WorkerRunner;

use crate::{
    cli::{Place, answered},
    support::{finish, limited},
};

/// A tool call of 100 ms whose tool and length are written as given.
fn call(tool: &str, duration_ms: &str) -> String {
    format!(
        r#"{{"event":"tool_call","tool":"{tool}","start_ts":"2025-12-15T04:08:08.000000Z","end_ts":"2025-12-15T04:08:08.100000Z","duration_ms":{duration_ms},"success":true}}"#
    )
}

/// Lines that no reader can use, each with a name for messages; none holds a line end.
fn unusable() -> Vec<(&'static str, Vec<u8>)> {
    let utf_16 = call("t", "100")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    vec![
        ("a block of NUL, as a power cut leaves it", vec![0; 4096]),
        (
            "a line of NUL and an event",
            [&[0; 512][..], call("t", "100").as_bytes()].concat(),
        ),
        ("UTF-16", utf_16),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf".as_slice(), call("t", "100").as_bytes()].concat(),
        ),
        (
            "a key twice",
            call("t", "1,\"duration_ms\":999999").into_bytes(),
        ),
        ("torn inside", call("t", "100").into_bytes()[..60].to_vec()),
        (
            "two glued together",
            [
                &call("t", "100").into_bytes()[..60],
                call("t", "100").as_bytes(),
            ]
            .concat(),
        ),
        ("1e400", call("t", "1e400").into_bytes()),
        ("-1", call("t", "-1").into_bytes()),
        ("2^64", call("t", "18446744073709551616").into_bytes()),
        ("a lone surrogate", call(r"\ud800", "100").into_bytes()),
        ("depth", [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        (
            "a deep field",
            call(
                "t",
                &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
            )
            .into_bytes(),
        ),
        (
            "no UTF-8",
            b"{\"event\":\"tool_call\",\"tool\":\"\xff\xfe\"}".to_vec(),
        ),
        ("a number", b"42".to_vec()),
        (
            "100 MB",
            [
                b"{\"event\":\"tool_call\",\"tool\":\"".to_vec(),
                vec![b'x'; 100 << 20],
            ]
            .concat(),
        ),
    ]
}

const CHILD: &str = "TRISCOPE_TEST_DIGEST";

struct NoModel;

impl RunnerSource for NoModel {
    fn runner(&self, _: Option<&str>) -> Result<WorkerRunner, UnknownModel> {
        Err(UnknownModel {
            model: "none".to_owned(),
            known: Vec::new(),
        })
    }
}

/// Prints what the tools say of job 1 of a data directory, then the most memory that this process ever held.
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn tell(data_dir: &Path) {
    let store = ArtifactStore::open(data_dir).unwrap();
    let supervisor = Supervisor::open(store, NoModel, 1).unwrap();
    let tools = supervisor.tools(None);
    println!(
        "{}",
        tools.call("worker_metrics", &json!({"job_id": 1})).await
    );
    for arguments in [json!({"pattern": "xxxy"}), json!({"pattern": "x{3}.*y$"})] {
        assert!(!tools.call("grep_workers", &arguments).await.is_empty());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        status.lines().find(|it| it.starts_with("VmHWM:")).unwrap()
    );
}

#[tokio::test]
async fn a_file_of_damaged_lines_is_counted_line_by_line_in_little_memory() {
    if let Some(data_dir) = std::env::var_os(CHILD) {
        return tell(Path::new(&data_dir)).await;
    }
    let place = Place::new();
    let dir = place.worker("say hello");
    let path = dir.join("metrics.jsonl");
    let own = fs::read_to_string(&path).unwrap();
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let mut bad_lines = Vec::new();
    let mut n_lines = 0;
    for (_, bytes) in unusable() {
        // A sound one before each, with line ends of both kinds.
        let end = ["\n", "\r\n"][n_lines % 4 / 2];
        write!(file, "{}{end}", call("sound", "100")).unwrap();
        file.write_all(&bytes).unwrap();
        file.write_all(b"\n").unwrap();
        n_lines += 2;
        bad_lines.push(n_lines as u64);
    }
    file.write_all(own.as_bytes()).unwrap();
    drop(file);

    let mut reader = EventReader::new(std::io::BufReader::new(File::open(&path).unwrap()));
    let mut found = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        if let LineContent::Unusable(fault) = line.content {
            let fault = fault.to_string();
            assert!(
                !fault.is_empty() && fault.len() < 300 && !fault.contains('\n'),
                "{fault}"
            );
            found.push(line.number);
        }
    }
    let names: Vec<_> = unusable().into_iter().map(|it| it.0).collect();
    assert_eq!(found, bad_lines, "{names:?}");

    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "--nocapture",
        "faults::damage::a_file_of_damaged_lines_is_counted_line_by_line_in_little_memory",
    ]);
    let told = finish(child.env(CHILD, place.data_dir())).answer();
    let sound = unusable().len();
    for line in [
        format!("Tool calls: {sound}, {}ms", sound * 100),
        format!("Lines that could not be used: {sound}"),
        "LLM calls: 2, ".to_owned(),
    ] {
        assert!(
            told.lines().any(|it| it.starts_with(&line)),
            "no `{line}` in {told}"
        );
    }
    let most = told
        .lines()
        .find_map(|it| it.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = most.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kilobytes < 64 << 10, "{kilobytes} KB");
    // And the program, which is given no more.
    for arguments in [
        &["file", "1"][..],
        &["grep", "xxxy"],
        &["workers"],
        &["result", "1"],
        &["meta", "1"],
    ] {
        let mut command = limited("ulimit -d 65536", &place.command(arguments));
        answered(finish(&mut command)).expect(0);
    }
}

/// What is odd but says what it should is no damage.
#[test]
fn odd_lines_that_say_what_they_should_are_events() {
    let spaced = call("t", "100")
        .replace(':', " : ")
        .replace(',', " , ")
        .replace("04 : 08 : 08", "04:08:08");
    let lines = [
        call("t", "100"),
        format!("{}\r", call("t", "100")),
        format!("  {}\t", call("t", "100")),
        spaced,
        call("t", "100").replace("\"success\"", "\"new\":{\"a\":[1,null]},\"success\""),
    ];
    let file = lines.join("\n") + "\n";
    let mut reader = EventReader::new(file.as_bytes());
    let mut n_events = 0;
    while let Some(line) = reader.next_line().unwrap() {
        let LineContent::Event(event) = line.content else {
            panic!("{line:?}")
        };
        assert_eq!(event.time().duration_ms(), 100);
        n_events += 1;
    }
    assert_eq!(n_events, lines.len());
}

/// Patterns that are made to take for ever: an answer all the same.
#[test]
fn no_pattern_takes_for_ever() {
    let place = Place::new();
    let dir = place.worker("say hello");
    fs::write(
        dir.join("notes.txt"),
        "a".repeat(1 << 20) + "\nb\0hidden behind a nul\n",
    )
    .unwrap();
    for pattern in [
        "(a+)+$".to_owned(),
        "(a|a)*b".to_owned(),
        "(.*)*x".to_owned(),
        "(a{1,500}){1,500}".to_owned(),
        "((((a{100}){100}){100}){100})".to_owned(),
        r"\p{L}{1,5000}".to_owned(),
        r"(?i)\w{1000}\W{1000}".to_owned(),
        "(".repeat(10_000),
        "(".repeat(10_000) + &")".repeat(10_000),
        "a?".repeat(5000) + &"a".repeat(5000),
        "[".to_owned() + &"a-z".repeat(20_000) + "]",
        "x".repeat(100_000),
        r"\x00".to_owned(),
        "\u{202e}".to_owned(),
    ] {
        for form in [&[][..], &["--json"][..]] {
            let finished = answered(place.run(&[&["grep"], form, &["--", &pattern]].concat()));
            let is_error =
                finished.stdout.is_empty() && finished.stderr.to_lowercase().starts_with("error: ");
            assert!(
                finished.code == 0 || is_error,
                "{pattern:.40}: {finished:?}"
            );
            assert!(
                finished.stderr.len() < 3000,
                "{pattern:.40}: {} bytes",
                finished.stderr.len()
            );
        }
    }
    // What is found behind a NUL is found, or that the file was passed over is said.
    let found = answered(place.run(&["grep", "--", "hidden behind"])).expect(0);
    assert!(found.stdout.contains("notes.txt"), "{found:?}");
}
