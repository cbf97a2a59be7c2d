//! From `metrics.jsonl` to an answer, against `DuckDB`, `jq`, and `grep | awk`, where they are installed.
//!
//! The data are made once and kept. The number of events is 5 million, or as `TRISCOPE_BENCH_EVENTS` says; `DuckDB` is
//! looked for in the Python that `DUCKDB_PYTHON` names, else in `python3`.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use artifact_store::{CallIndex, WantedCalls};
use metrics_analysis::{
    EachDuration, Failures, Filter, Fold, Groups, Input, Key, Kind, Slowest, scan,
};
use rustix::time::{ClockId, clock_gettime};

use crate::corpus::{self, Form};

const ROUNDS: usize = 5;
const SEED: u64 = 20_251_215;

pub(crate) fn run() {
    let events = env::var("TRISCOPE_BENCH_EVENTS").ok();
    let events: u64 = events.and_then(|it| it.parse().ok()).unwrap_or(5_000_000);
    let mut duckdb = DuckDb::start();
    if duckdb.is_none() {
        println!("\nDuckDB is not installed (pip install duckdb): not compared");
    }
    for (title, target, form, workers) in [
        (
            "one file",
            "0.3x the faster form of DuckDB",
            Form::Canonical,
            0,
        ),
        ("in 10,000 workers", "0.3x", Form::Canonical, 10_000),
        ("one file of a foreign writer", "1x", Form::Python, 0),
    ] {
        let path = made(events, form, workers);
        println!("\n{events} events, {title}, by model and phase\n  target: at most {target}");
        group_query(&path, workers > 0, duckdb.as_mut());
    }
    newest(&made(1_000_000, Form::Canonical, 100_000));
    jq(&made(200_000, Form::Canonical, 0));
    shell(&made(1_000_000, Form::Log, 0));
}

/// Data of so many events, made if they are not there yet.
pub(crate) fn made(events: u64, form: Form, workers: u64) -> PathBuf {
    let program = env::current_exe().expect("the program's path");
    let dir = program.ancestors().nth(2).expect("the target directory");
    let dir = dir.join("bench-analysis");
    fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join(format!("{events}-{form:?}-{workers}"));
    if !path.exists() {
        let unfinished = path.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        match workers {
            0 => corpus::file(&unfinished, events, SEED, form),
            _ => corpus::workers(&unfinished, workers, events, SEED, form),
        }
        .expect("the data");
        fs::rename(&unfinished, &path).expect("the data");
    }
    path
}

/// Best wall and CPU time so far.
#[derive(Clone, Copy)]
pub(crate) struct Best(f64, f64);

impl Best {
    pub(crate) const NONE: Self = Self(f64::INFINITY, f64::INFINITY);

    pub(crate) fn take(&mut self, wall: f64, cpu: f64) {
        self.0 = self.0.min(wall);
        self.1 = self.1.min(cpu);
    }
}

fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
    .as_secs_f64()
}

fn timed<T>(best: &mut Best, body: impl FnOnce() -> T) -> T {
    let (begun, cpu_before) = (Instant::now(), cpu());
    let res = body();
    best.take(begun.elapsed().as_secs_f64(), cpu() - cpu_before);
    res
}

fn ask<F: Fold>(path: &Path, filter: &Filter, make: impl Fn() -> F + Sync) -> F {
    let (fold, seen) = scan(&[Input::Path(path.into())], filter, make);
    assert_eq!(seen.unusable + seen.unreadable, 0, "{:?}", seen.problems);
    fold
}

/// Count, sum, and three percentiles of each model and phase.
type Answer = BTreeMap<(String, String), (u64, u128, [u64; 3])>;

fn ours(path: &Path) -> Answer {
    let groups = ask(path, &Filter::default(), || {
        Groups::by(&[Key::Model, Key::Phase])
    });
    let groups = groups.into_groups().into_iter();
    groups
        .map(|it| {
            let [model, phase] = [0, 1].map(|at| it.values[at].clone().unwrap_or_default());
            let duration = &it.stats.duration_ms;
            let percentiles = duration.percentiles([500, 950, 990]).unwrap_or_default();
            (
                (model, phase),
                (duration.count(), duration.sum(), percentiles),
            )
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "compared with a generous bound")]
fn check(ours: &Answer, theirs: &Answer) {
    assert_eq!(ours.len(), theirs.len(), "as many groups");
    for (key, (count, sum, percentiles)) in theirs {
        let mine = &ours[key];
        assert_eq!((mine.0, mine.1), (*count, *sum), "{key:?}");
        for (mine, exact) in mine.2.iter().zip(percentiles) {
            let error = mine.abs_diff(*exact) as f64;
            assert!(
                error <= *exact as f64 / 512.0,
                "{key:?}: {mine} for {exact}"
            );
        }
    }
}

fn group_query(path: &Path, is_dir: bool, mut duckdb: Option<&mut DuckDb>) {
    let shown = path.display();
    let files = if is_dir {
        format!("{shown}/*/metrics.jsonl")
    } else {
        shown.to_string()
    };
    let forms = ["detected", "typed"];
    let (mut mine, mut theirs) = (Best::NONE, [Best::NONE; 2]);
    for round in 0..ROUNDS {
        let answer = timed(&mut mine, || ours(path));
        for (form, best) in forms.iter().zip(&mut theirs) {
            if let Some(duckdb) = duckdb.as_deref_mut() {
                let (wall, cpu, expected) = duckdb.ask(form, &files);
                best.take(wall, cpu);
                if round == 0 {
                    check(&answer, &expected);
                }
            }
        }
    }
    row("triscope", mine, None);
    if duckdb.is_some() {
        let peer = Best(theirs[0].0.min(theirs[1].0), theirs[0].1.min(theirs[1].1));
        for (form, best) in forms.iter().zip(theirs) {
            row(&format!("DuckDB, schema {form}"), best, None);
        }
        row("triscope / the faster DuckDB", mine, Some(peer));
    }
    println!("  peak memory so far {} MiB", peak_mib());
}

pub(crate) fn row(name: &str, best: Best, peer: Option<Best>) {
    match peer {
        None => println!("  {name:<46} {:>8.3} s wall {:>8.3} s CPU", best.0, best.1),
        Some(peer) => println!(
            "  {name:<46} {:>8.3} x wall {:>8.3} x CPU",
            best.0 / peer.0,
            best.1 / peer.1
        ),
    }
}

/// The peak of this process, benchmarks before this one included.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// A `DuckDB` that answers line by line, so that its start is not measured.
struct DuckDb {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

const SCRIPT: &str = r#"
import duckdb, json, resource, sys, time
def cpu():
    it = resource.getrusage(resource.RUSAGE_SELF)
    return it.ru_utime + it.ru_stime
typed = ", columns={event: 'VARCHAR', model: 'VARCHAR', phase: 'VARCHAR', duration_ms: 'BIGINT'}"
duckdb.sql("set enable_progress_bar = false")  # It goes to stdout.
print("ready", flush=True)
for line in sys.stdin:
    form, path = line.rstrip("\n").split("\t")
    query = f"""select model, phase, count(*), sum(duration_ms)::BIGINT, quantile_disc(duration_ms, [0.5, 0.95, 0.99])
        from read_json('{path}', format='newline_delimited'{typed if form == 'typed' else ''})
        where event = 'llm_call' group by 1, 2"""
    begun, before = time.monotonic(), cpu()
    rows = duckdb.sql(query).fetchall()
    print(json.dumps([time.monotonic() - begun, cpu() - before, rows]), flush=True)
"#;

impl DuckDb {
    fn start() -> Option<Self> {
        let python = env::var("DUCKDB_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut this = Self {
            stdin: child.stdin.take()?,
            stdout: BufReader::new(child.stdout.take()?),
            child,
        };
        (this.line() == "ready\n").then_some(this)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("an answer");
        line
    }

    fn ask(&mut self, form: &str, path: &str) -> (f64, f64, Answer) {
        type Row = (String, String, u64, u64, [u64; 3]);
        writeln!(self.stdin, "{form}\t{path}").expect("a question");
        let (wall, cpu, rows): (f64, f64, Vec<Row>) =
            serde_json::from_str(&self.line()).expect("an answer");
        let rows = rows.into_iter();
        let answer = rows
            .map(|(model, phase, count, sum, it)| ((model, phase), (count, sum.into(), it)))
            .collect();
        (wall, cpu, answer)
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of a shell recipe and its time, `None` without the programs it needs.
fn recipe(recipe: &str, path: &Path, best: &mut Best) -> Option<String> {
    let recipe = recipe.replace("FILE", &path.display().to_string());
    let begun = Instant::now();
    let output = Command::new("sh")
        .args(["-c", &recipe])
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    best.take(begun.elapsed().as_secs_f64(), f64::INFINITY);
    let answer = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !answer.is_empty()).then_some(answer)
}

/// The newest workers of a large store, whose others need not be read.
fn newest(data_dir: &Path) {
    const NEWEST: usize = 200;
    println!(
        "\n1,000,000 events in 100,000 workers: since the {NEWEST}th newest worker began\n  target: as the answer, not as the store"
    );
    fs::create_dir_all(data_dir.join(".triscope")).expect("a directory for the index");
    let names = fs::read_dir(data_dir).expect("the data directory");
    let names = names.map(|it| it.expect("a name").file_name().into_string());
    let mut names: Vec<_> = names.map(|it| it.expect("text")).collect();
    names.sort_unstable();
    let (day, time) = names[names.len() - NEWEST][..19].split_at(10);
    let since = format!("{day}{}Z", time.replace('-', ":"));
    let filter = Filter {
        since: since.parse().ok(),
        ..Filter::default()
    };
    let wanted = WantedCalls {
        since: filter.since,
        ..WantedCalls::default()
    };
    let few = |it: Vec<OsString>| it.len() < 2 * NEWEST;
    // Each goes on with the index for a moment.
    while !CallIndex::of(data_dir).workers(&wanted).is_some_and(few) {}

    let groups = || Groups::by(&[Key::Model]);
    let counts = |it: Groups| {
        let groups = it.into_groups().into_iter();
        let counts: BTreeMap<_, _> = groups.map(|it| (it.values, it.stats.count())).collect();
        counts
    };
    let (mut of_all, mut of_some) = (Best::NONE, Best::NONE);
    for _ in 0..ROUNDS {
        let all = timed(&mut of_all, || ask(data_dir, &filter, groups));
        let some = timed(&mut of_some, || {
            let names = CallIndex::of(data_dir).workers(&wanted);
            let names = names.expect("an answer of the index");
            let inputs = [Input::Workers(data_dir.into(), names)];
            scan(&inputs, &filter, groups).0
        });
        assert_eq!(counts(some), counts(all));
    }
    row("all workers read", of_all, None);
    row("those that the index leaves", of_some, None);
    row("the latter / the former", of_some, Some(of_all));
}

fn jq(path: &Path) {
    const TOTAL: &str = r#"jq -s '[.[] | select(.event=="llm_call") | .duration_ms] | add' FILE"#;
    println!(
        "\n200,000 events: the four recipes together\n  target: at most 0.05x one of them in jq"
    );
    let (mut mine, mut theirs) = (Best::NONE, Best::NONE);
    let failed = Filter {
        condition: "event = 'tool_call' and not success".parse().ok(),
        ..Filter::default()
    };
    for _ in 0..ROUNDS {
        let total = timed(&mut mine, || {
            ask(path, &Filter::default(), || Slowest::new(5));
            ask(path, &failed, Failures::default);
            let groups = ask(path, &Filter::default(), || Groups::by(&[Key::Event]));
            let groups = groups.into_groups().into_iter();
            let llm = Some(Kind::LlmCall.as_str().to_owned());
            groups
                .filter(|it| it.values[0] == llm)
                .map(|it| it.stats.duration_ms.sum())
                .sum::<u128>()
        });
        match recipe(TOTAL, path, &mut theirs) {
            Some(answer) => assert_eq!(answer.trim().parse(), Ok(total)),
            None => return println!("  jq is not installed: not compared"),
        }
    }
    row("triscope, all four", mine, None);
    println!(
        "  jq, the total of LLM time: {:.3} s; ratio {:.3}",
        theirs.0,
        mine.0 / theirs.0
    );
}

fn shell(path: &Path) {
    println!("\n1,000,000 log lines\n  target: at most 0.25x each pipeline");
    let durations =
        "grep 'duration_ms=' FILE | awk -F'duration_ms=' '{print $2}' | awk '{print $1}' | sort -n";
    let all = Filter::default();
    compare(
        "slowest 20",
        path,
        &format!("{durations} | tail -20"),
        || {
            ask(path, &all, || Slowest::new(20));
        },
    );
    compare("histogram", path, &format!("{durations} | uniq -c"), || {
        ask(path, &all, EachDuration::default);
    });
    let by_model = "grep llm_call_complete FILE | grep -o 'model=[^ ]*' | sort | uniq -c";
    compare("count by model", path, by_model, || {
        ask(path, &all, || Groups::by(&[Key::Model]));
    });
}

fn compare(name: &str, path: &Path, pipeline: &str, mut body: impl FnMut()) {
    let (mut mine, mut theirs) = (Best::NONE, Best::NONE);
    for _ in 0..3 {
        timed(&mut mine, &mut body);
        if recipe(pipeline, path, &mut theirs).is_none() {
            return println!("  {name}: grep, awk or sort is missing: not compared");
        }
    }
    row(name, mine, None);
    println!(
        "  {name}, pipeline: {:.3} s; ratio {:.3}",
        theirs.0,
        mine.0 / theirs.0
    );
}
