//! `cargo xtask fuzz [TARGET…]`: looks for an input that breaks what holds for any, for so many seconds.
//!
//! A target is a function of a crate's `fuzzing` module, and the folder of its name below `testdata/fuzz` of that crate:
//! libFuzzer begins with what lies there, and puts there what breaks it, so that the crate's own tests replay it from then
//! on. What else it finds worth keeping stays in `target/fuzz`, and a later run goes on from there.
//!
//! The target `properties` is the property tests, with new inputs and more of them.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    USAGE_ERROR,
    exec::{self, Ended, Invocation},
    workspace::Workspace,
};

const USAGE: &str = "\
usage: cargo xtask fuzz [TARGET…] [--seconds N] [--list]

  TARGET       what to look at [default: all]
  --seconds N  how long, all targets together; building is not counted [default: 60]
  --list       print the targets
";

const USUAL_SECONDS: u64 = 60;
const PROPERTIES: &str = "properties";

/// Inputs for each property; ten times as many as usual.
const CASES: &str = "2560";

/// How rustc marks the branches of a program for libFuzzer. No sanitizer, which would need another compiler than ours.
const RUSTFLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 --cfg fuzzing";

/// A longer input shows nothing that a shorter one does not.
const MAX_INPUT_BYTES: u32 = 4096;
/// An input that takes longer is a find.
const MAX_INPUT_SECONDS: u32 = 10;
/// Building may take so long, and a fuzzer so much longer than it was told.
const BUILD_LIMIT: Duration = Duration::from_mins(40);
const GRACE: Duration = Duration::from_secs(30);

/// The verb.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let fuzz = Fuzz::new(Workspace::find()?)?;
    let options = match Options::parse(args, &fuzz.targets) {
        Ok(options) => options,
        Err(problem) if problem.is_empty() => {
            print!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        Err(problem) => {
            eprint!("{problem}{USAGE}");
            return Ok(USAGE_ERROR.into());
        }
    };
    if options.list {
        for target in &options.targets {
            println!("{target}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let share = options.share();
    let mut finds = 0;
    if options.targets.iter().any(|it| it != PROPERTIES) {
        fuzz.build()?;
    }
    for target in &options.targets {
        let found = match fuzz.targets.get(target) {
            Some(inputs) => fuzz.target(target, inputs, share)?,
            None => fuzz.properties(share)?,
        };
        finds += usize::from(found);
    }
    println!(
        "\n{finds} of {} targets found something or did not end well",
        options.targets.len()
    );
    Ok(u8::from(finds > 0).into())
}

#[derive(Debug, PartialEq)]
struct Options {
    targets: Vec<String>,
    seconds: u64,
    list: bool,
}

impl Options {
    /// Reads the words after `fuzz`; the error is for the person who typed them, and empty if they asked for help.
    fn parse<T>(args: &[String], known: &BTreeMap<String, T>) -> Result<Self, String> {
        let mut res = Self {
            targets: Vec::new(),
            seconds: USUAL_SECONDS,
            list: false,
        };
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            match arg {
                "--help" | "-h" => return Err(String::new()),
                "--list" => res.list = true,
                "--seconds" => {
                    let number = args.next().and_then(|it| it.parse().ok());
                    let number = number.filter(|it| *it > 0);
                    res.seconds =
                        number.ok_or("error: `--seconds` is a number, such as 600\n\n")?;
                }
                target if target == PROPERTIES || known.contains_key(target) => {
                    res.targets.push(target.to_owned());
                }
                other => return Err(format!("error: no target `{other}`\n\n")),
            }
        }
        if res.targets.is_empty() {
            res.targets = known.keys().cloned().collect();
            res.targets.push(PROPERTIES.to_owned());
        }
        Ok(res)
    }

    /// The time of one target.
    fn share(&self) -> Duration {
        let targets = self.targets.len().max(1) as u64;
        Duration::from_secs((self.seconds / targets).max(1))
    }
}

struct Fuzz {
    workspace: Workspace,
    /// Their names, and where their inputs lie.
    targets: BTreeMap<String, PathBuf>,
    /// Where all that comes and goes is kept.
    dir: PathBuf,
    /// What rustc calls this machine. Where a target is named, flags are not for what runs while building.
    host: String,
}

impl Fuzz {
    fn new(workspace: Workspace) -> Result<Self> {
        let rustc = Command::new("rustc").arg("-vV").output();
        let said = rustc.context("failed to start `rustc`")?.stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let host = said.lines().find_map(|it| it.strip_prefix("host: "));
        Ok(Self {
            targets: targets(workspace.root())?,
            dir: workspace.target().join("fuzz"),
            host: host.context("`rustc -vV` names no host")?.to_owned(),
            workspace,
        })
    }

    fn build(&self) -> Result<()> {
        let dir = self.workspace.shown(&self.dir);
        let build = self
            .workspace
            .cargo(&["build", "--release", "--locked", "--manifest-path"])
            .args(&[
                "fuzz/Cargo.toml",
                "--target",
                &self.host,
                "--target-dir",
                &dir,
            ])
            .env("RUSTFLAGS", RUSTFLAGS);
        println!("building ...");
        let log = self.dir.join("build.log");
        let ended = self.command(&build, &log, BUILD_LIMIT)?;
        ensure!(
            is_success(&ended),
            "the fuzzer was not built; it needs a C++ compiler. See `{}`:\n{}",
            self.workspace.shown(&log),
            last_lines(&log, 20)
        );
        Ok(())
    }

    /// Whether an input was found that breaks `target`.
    fn target(&self, target: &str, inputs: &Path, share: Duration) -> Result<bool> {
        let kept = self.dir.join("corpus").join(target);
        fs::create_dir_all(&kept)
            .with_context(|| format!("failed to make `{}`", kept.display()))?;
        let mut finds_go_to = OsString::from("-artifact_prefix=");
        finds_go_to.push(inputs.join(""));
        let program = self.dir.join(&self.host).join("release/triscope-fuzz");
        let fuzzer = Invocation::new(&program, "triscope-fuzz")
            .args(&[finds_go_to.as_os_str()])
            .args(&[
                format!("-max_total_time={}", share.as_secs()),
                format!("-max_len={MAX_INPUT_BYTES}"),
                format!("-timeout={MAX_INPUT_SECONDS}"),
            ])
            .args(&[&*kept, inputs])
            .env("TRISCOPE_FUZZ_TARGET", target);
        let before = names(inputs)?;
        let log = self.dir.join(format!("{target}.log"));
        let ended = self.command(&fuzzer, &log, share + GRACE)?;
        let finds: Vec<_> = names(inputs)?
            .into_iter()
            .filter(|it| !before.contains(it))
            .collect();
        if is_success(&ended) && finds.is_empty() {
            let runs = runs_of(&log).unwrap_or_default();
            println!("{target}: nothing in {} s, {runs} runs", share.as_secs());
            return Ok(false);
        }
        if finds.is_empty() {
            println!("{target}: did not end well, and left no input");
        } else {
            println!("{target}: FOUND");
        }
        for find in &finds {
            println!("    {}", self.workspace.shown(find));
        }
        println!(
            "    see `{}`: {}",
            self.workspace.shown(&log),
            panic_of(&log)
        );
        Ok(true)
    }

    /// Whether a property does not hold for an input that was made anew.
    fn properties(&self, share: Duration) -> Result<bool> {
        let packages = self.packages_with_properties()?;
        let tests = |more: &[&str]| {
            let mut tests = self
                .workspace
                .cargo(&["test", "--lib", "--locked", "--no-fail-fast"]);
            for package in &packages {
                tests = tests.args(&["--package", package]);
            }
            tests.args(more)
        };
        let log = self.dir.join(format!("{PROPERTIES}.log"));
        let ended = self.command(&tests(&["--no-run"]), &log, BUILD_LIMIT)?;
        ensure!(
            is_success(&ended),
            "the tests were not built:\n{}",
            last_lines(&log, 20)
        );
        let started = Instant::now();
        let mut rounds = 0;
        loop {
            let seed = RandomState::new().build_hasher().finish().to_string();
            let round = tests(&[])
                .env("PROPTEST_RNG_SEED", &seed)
                .env("PROPTEST_CASES", CASES);
            let left = share.saturating_sub(started.elapsed());
            let ended = self.command(&round, &log, left)?;
            let text = fs::read_to_string(&log).unwrap_or_default();
            let failed: Vec<_> = text
                .lines()
                .filter(|it| it.starts_with("test ") && it.ends_with("FAILED"))
                .collect();
            // Where it was stopped, nothing was found up to then.
            if !failed.is_empty() || (matches!(ended, Ended::Exited(_)) && !is_success(&ended)) {
                println!("{PROPERTIES}: FOUND\n    {}", failed.join("\n    "));
                println!(
                    "    again: {round}\n    see `{}`",
                    self.workspace.shown(&log)
                );
                return Ok(true);
            }
            if matches!(ended, Ended::TimedOut) || started.elapsed() >= share {
                println!(
                    "{PROPERTIES}: nothing in {} s, {rounds} whole rounds",
                    share.as_secs()
                );
                return Ok(false);
            }
            rounds += 1;
        }
    }

    fn packages_with_properties(&self) -> Result<Vec<String>> {
        let mut res = Vec::new();
        for folder in names(&self.workspace.root().join("crates"))? {
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            if manifest.contains("\nproptest") {
                res.extend(
                    folder
                        .file_name()
                        .map(|it| it.to_string_lossy().into_owned()),
                );
            }
        }
        Ok(res)
    }

    /// Runs one command with a log of its own.
    fn command(&self, command: &Invocation, log: &Path, limit: Duration) -> Result<Ended> {
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::write(log, ""))
            .with_context(|| format!("failed to write `{}`", log.display()))?;
        let deadline = Instant::now() + limit;
        exec::run(command, self.workspace.root(), log, deadline, &mut |_| {})
    }
}

/// The folders `crates/*/testdata/fuzz/*`.
fn targets(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut res = BTreeMap::new();
    for folder in names(&root.join("crates"))? {
        let folder = folder.join("testdata/fuzz");
        if !folder.is_dir() {
            continue;
        }
        for inputs in names(&folder)? {
            if let Some(name) = inputs.file_name() {
                res.insert(name.to_string_lossy().into_owned(), inputs.clone());
            }
        }
    }
    Ok(res)
}

/// What lies in a folder, in order.
fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|it| it.map(|it| Ok(it?.path())).collect());
    let mut entries: Vec<PathBuf> =
        entries.with_context(|| format!("failed to read `{}`", folder.display()))?;
    entries.sort();
    Ok(entries)
}

fn is_success(ended: &Ended) -> bool {
    matches!(ended, Ended::Exited(status) if status.success())
}

fn last_lines(log: &Path, n: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(n)..].join("\n")
}

/// How often the target was called: `Done 12345 runs in 60 second(s)`.
fn runs_of(log: &Path) -> Option<String> {
    let text = last_lines(log, 50);
    let done = text.lines().find_map(|it| it.strip_prefix("Done "))?;
    done.split_whitespace().next().map(str::to_owned)
}

/// What the target said when it broke: the line behind `panicked at`.
fn panic_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().skip_while(|it| !it.contains("panicked at"));
    let (place, message) = (lines.next(), lines.next());
    [place, message]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
