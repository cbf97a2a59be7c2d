//! Made-up events of made-up workers: the same seed gives the same bytes. Also `cargo xtask generate`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use metrics_core::{CallTime, Event, LlmCall, Outcome, Timestamp, ToolCall, Usage};

const MODELS: [&str; 6] = [
    "gpt-5-mini",
    "gpt-5",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "gemini-2.5-pro",
    "qwen3-coder",
];
const PHASES: [&str; 4] = ["initial", "tool_decision", "synthesis", "summary"];
const TOOLS: [&str; 6] = [
    "ssh_exec",
    "http_request",
    "read_file",
    "shell_exec",
    "calculate",
    "get_current_time",
];
const ERRORS: [&str; 4] = [
    "timeout",
    "Connection refused: http://cube:9000/",
    "HTTP 503",
    "exit code 1: no such file or directory",
];

/// How the lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As we write them.
    Canonical,
    /// As the seed's Python system does: spaces, `+00:00`.
    Python,
    /// The log's lines.
    Log,
}

/// Numbers that look like chance (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }

    /// Mostly short and sometimes very long, as calls are.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "any number of about this size will do"
    )]
    fn micros(&mut self, median_ms: f64) -> u64 {
        let sum: u64 = (0..6).map(|_| self.below(1 << 20)).sum();
        let bell = sum as f64 / f64::from(1 << 20) - 3.0;
        (median_ms * 1000.0 * (bell * 1.6).exp()) as u64
    }
}

/// Events of one worker after another.
pub(crate) struct Corpus {
    random: Random,
    now: Timestamp,
}

impl Corpus {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            now: Timestamp::from_unix_micros(1_765_771_688_123_456),
        }
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> Event<'static> {
        let random = &mut self.random;
        let micros = match random.below(2) {
            0 => random.micros(900.0),
            _ => random.micros(120.0),
        };
        let time = CallTime::new(self.now, Duration::from_micros(micros));
        self.now = time.end_ts().plus_micros(500);
        // The machine is busy with others, too: days pass.
        if random.below(1000) == 0 {
            self.now = self.now.plus_micros(3_600_000_000);
        }
        if random.below(2) == 0 {
            let mut call = LlmCall::new(random.of(&PHASES), random.of(&MODELS), time);
            call.usage = Usage::new(100 + random.below(8000), 5 + random.below(900));
            if random.below(10) == 0 {
                call.usage.cached_tokens = Some(random.below(100));
                call.provider = Some("openai".into());
            }
            return call.into();
        }
        let mut call = ToolCall::new(random.of(&TOOLS), time);
        if random.below(25) == 0 {
            call.outcome = Outcome::failure(random.of(&ERRORS));
        }
        call.into()
    }
}

/// One event in some form, with its line end.
pub(crate) fn write(event: &Event<'_>, worker: &str, form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Canonical => event.encode(out),
        Form::Python => {
            let line = event.to_line();
            let line = line.replace("Z\"", "+00:00\"").replace("\":", "\": ");
            out.extend_from_slice(line.replace(",\"", ", \"").as_bytes());
        }
        Form::Log => log_line(event, worker, out),
    }
    out.push(b'\n');
}

fn log_line(event: &Event<'_>, worker: &str, out: &mut Vec<u8>) {
    let stamp = event.time().end_ts().to_string()[..19].replace('T', " ");
    let level = if event.outcome().is_success() {
        "INFO"
    } else {
        "WARN"
    };
    let millis = event.time().duration_ms();
    let text = match event {
        Event::LlmCall(call) => {
            let tokens = |it: Option<u64>| it.unwrap_or_default();
            format!(
                "{stamp} {level} llm_call_complete phase={} duration_ms={millis} worker_id={worker} model={} prompt_tokens={} completion_tokens={} total_tokens={} event=llm_call_complete",
                call.phase,
                call.model,
                tokens(call.usage.prompt_tokens),
                tokens(call.usage.completion_tokens),
                tokens(call.usage.total_tokens),
            )
        }
        Event::ToolCall(call) => {
            let success = if event.outcome().is_success() {
                "True"
            } else {
                "False"
            };
            let error = event.outcome().error().map(|it| format!(" error=\"{it}\""));
            format!(
                "{stamp} {level} tool_call_complete tool={} duration_ms={millis} success={success} worker_id={worker}{} event=tool_call_complete",
                call.tool,
                error.unwrap_or_default(),
            )
        }
        _ => return,
    };
    out.extend_from_slice(text.as_bytes());
}

/// A file of `events` lines.
pub(crate) fn file(path: &Path, events: u64, seed: u64, form: Form) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut corpus = Corpus::new(seed);
    let mut line = Vec::new();
    for n in 0..events {
        line.clear();
        let worker = format!("2025-12-15T04-08-08_{}-backup", n / 500);
        write(&corpus.event(), &worker, form, &mut line);
        out.write_all(&line)?;
    }
    out.flush()
}

/// A data directory of `workers` that have `events` together.
pub(crate) fn workers(
    dir: &Path,
    workers: u64,
    events: u64,
    seed: u64,
    form: Form,
) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut corpus = Corpus::new(seed);
    let mut lines = Vec::new();
    for n in 0..workers {
        let stamp = corpus.now.to_string()[..19].replace(':', "-");
        let worker = format!("{stamp}_backup-{n}");
        lines.clear();
        let created_at = corpus.now;
        for _ in 0..events / workers {
            write(&corpus.event(), &worker, form, &mut lines);
        }
        let worker_dir = dir.join(&worker);
        fs::create_dir(&worker_dir)?;
        fs::write(worker_dir.join("metrics.jsonl"), &lines)?;
        let metadata = format!(
            "{{\"worker_id\":\"{worker}\",\"task\":\"back up\",\"status\":\"{}\",\"created_at\":\"{created_at}\",\"owner\":\"{}\",\"events\":{},\"format\":1}}\n",
            ["success", "success", "failed"][usize::try_from(n % 3).unwrap_or(0)],
            ["local", "ann", "bob"][usize::try_from(n / 3 % 3).unwrap_or(0)],
            events / workers,
        );
        fs::write(worker_dir.join("metadata.json"), metadata)?;
    }
    Ok(())
}

const USAGE: &str = "\
usage: cargo xtask generate OUT [--events N] [--workers N] [--seed N] [--form canonical|python|log]

Writes N events (1000) to the file OUT, or with --workers to a data directory of so many workers.
The same numbers give the same bytes.
";

/// `generate OUT …`
#[expect(clippy::print_stderr, reason = "a program: usage errors go there")]
pub(crate) fn generate(arguments: &[String]) -> ExitCode {
    let Some(asked) = Asked::parse(arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let Asked {
        out,
        events,
        workers: n_workers,
        seed,
        form,
    } = asked;
    let made = match n_workers {
        Some(n) => workers(&out, n, events, seed, form),
        None => file(&out, events, seed, form),
    };
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write `{}`: {error}", out.display());
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, PartialEq)]
struct Asked {
    out: PathBuf,
    events: u64,
    workers: Option<u64>,
    seed: u64,
    form: Form,
}

impl Asked {
    fn parse(arguments: &[String]) -> Option<Self> {
        let (out, options) = arguments.split_first()?;
        let mut asked = Self {
            out: out.into(),
            events: 1000,
            workers: None,
            seed: 1,
            form: Form::Canonical,
        };
        if out.starts_with('-') {
            return None;
        }
        for option in options.chunks(2) {
            let [name, value] = option else { return None };
            match name.as_str() {
                "--events" => asked.events = value.parse().ok()?,
                "--workers" => asked.workers = Some(value.parse().ok().filter(|it| *it > 0)?),
                "--seed" => asked.seed = value.parse().ok()?,
                "--form" => {
                    asked.form = match value.as_str() {
                        "canonical" => Form::Canonical,
                        "python" => Form::Python,
                        "log" => Form::Log,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Corpus, Form, write};

    fn lines(seed: u64, form: Form) -> Vec<u8> {
        let mut corpus = Corpus::new(seed);
        let mut lines = Vec::new();
        for _ in 0..200 {
            write(&corpus.event(), "w", form, &mut lines);
        }
        lines
    }

    #[test]
    fn a_seed_gives_the_same_events_in_every_form() {
        assert_eq!(lines(7, Form::Canonical), lines(7, Form::Canonical));
        assert_ne!(lines(7, Form::Canonical), lines(8, Form::Canonical));
        let read = |form| {
            let lines = lines(7, form);
            let lines = lines.split(|it| *it == b'\n').filter(|it| !it.is_empty());
            lines
                .map(|it| match metrics_core::decode(it) {
                    Ok(metrics_core::Decoded::Event(event)) => event.into_owned(),
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(read(Form::Canonical), read(Form::Python));
        let log = String::from_utf8(lines(7, Form::Log)).expect("UTF-8");
        for line in log.lines() {
            let line = log_format::parse_line(line).expect("a log line");
            assert!(line.is_telemetry());
        }
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let parse = |it: &str| {
            let words: Vec<_> = it.split_whitespace().map(str::to_owned).collect();
            Asked::parse(&words)
        };
        let asked = parse("out --events 5 --workers 2 --seed 9 --form log").expect("arguments");
        assert_eq!(
            (asked.events, asked.workers, asked.seed, asked.form),
            (5, Some(2), 9, Form::Log)
        );
        for wrong in [
            "",
            "--events 5",
            "out --events",
            "out --events x",
            "out --workers 0",
            "out --odd 1",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
