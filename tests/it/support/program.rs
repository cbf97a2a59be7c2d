//! The real program and other real programs, with their output captured.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read},
    os::unix::{
        ffi::OsStrExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
};

use rustix::{
    process::{Pid, Signal, kill_process, kill_process_group},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use super::{
    text::{LogFile, MetricsFile},
    wait::{DEADLINE, eventually},
};

/// The program under test, in the folder that the tests themselves were built into.
pub(crate) fn program_path() -> PathBuf {
    let test_binary = env::current_exe().expect("a running test binary has a path");
    // `target/debug/deps/it-1234` is tested with `target/debug/triscope`.
    let program = test_binary
        .parent()
        .and_then(Path::parent)
        .expect("test binaries lie two folders deep")
        .join("triscope");
    assert!(
        program.is_file(),
        "the program under test is missing: no `{}`; build it with `cargo build -p triscope`, or run `cargo xtask verify`",
        program.display()
    );
    program
}

/// `triscope ARGUMENTS`, untouched by what the surroundings say about data directories, logs and models.
pub(crate) fn triscope<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program_path());
    command
        .args(arguments)
        .env_remove("SWARMLET_DATA_PATH")
        .env_remove("RUST_LOG")
        .env_remove("TRACEPARENT")
        .env_remove("TRISCOPE_WORKER_ID")
        .env_remove("OPENAI_API_KEY")
        .env_remove("ANTHROPIC_API_KEY")
        .stdin(Stdio::null());
    command
}

/// A shell recipe in `dir`.
pub(crate) fn sh(dir: &Path, recipe: &str) -> Finished {
    let mut command = Command::new("sh");
    command
        .args(["-c", recipe])
        .current_dir(dir)
        .env("LC_ALL", "C");
    finish(&mut command)
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What ran, for messages.
    command: String,
    /// The exit code; of a program that a signal ended, 128 + its number.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, its output captured.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> Finished {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap_or_else(|error| panic!("{shown} cannot start: {error}"));
    Finished::new(shown, output)
}

impl Finished {
    fn new(command: String, output: Output) -> Self {
        let status = output.status;
        Self {
            command,
            code: status
                .code()
                .or(status.signal().map(|it| 128 + it))
                .expect("an ended program has a code or a signal"),
            stdout: String::from_utf8(output.stdout).expect("what our programs print is UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code; a failure shows all that was printed.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// What was printed by a program that ended well and complained about nothing.
    #[track_caller]
    pub(crate) fn answer(self) -> String {
        assert!(self.code == 0 && self.stderr.is_empty(), "{self:#?}");
        self.stdout
    }

    /// The answer of a program that prints JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let command = self.command.clone();
        let answer = self.answer();
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{command} printed no JSON ({error}): {answer}"))
    }
}

/// A program that runs beside the test, in a process group of its own; dropped, it and its children are killed.
#[derive(Debug)]
pub(crate) struct Background {
    command: String,
    child: Child,
    stdout: Printed,
    stderr: Printed,
}

impl Background {
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped());
        let mut this = Self::spawn(command);
        let stdout = this.child.stdout.take().expect("stdout is a pipe");
        this.stdout = Printed::by(stdout);
        this
    }

    /// The same with a terminal as its standard output, whose lines end with `\r\n`.
    #[track_caller]
    pub(crate) fn start_on_terminal(command: &mut Command) -> Self {
        let (ours, theirs) = terminal().expect("the system gives us a terminal");
        command.stdout(theirs);
        let mut this = Self::spawn(command);
        // Our copy of the other end would keep the terminal open behind the program.
        command.stdout(Stdio::null());
        this.stdout = Printed::by(ours);
        this
    }

    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{shown} cannot start: {error}"));
        let stderr = child.stderr.take().expect("stderr is a pipe");
        Self {
            command: shown,
            child,
            stdout: Printed::by(io::empty()),
            stderr: Printed::by(stderr),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the program alone.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the program still runs");
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The next line it prints, without its end; waits for it. An empty one once it prints no more.
    #[track_caller]
    pub(crate) fn next_line(&mut self) -> String {
        match self.stdout.0.recv_timeout(DEADLINE) {
            Ok(line) => {
                let line = String::from_utf8(line).expect("what our programs print is UTF-8");
                line.trim_end_matches(['\r', '\n']).to_owned()
            }
            Err(RecvTimeoutError::Disconnected) => String::new(),
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} printed nothing within {DEADLINE:?}", self.command)
            }
        }
    }

    /// Waits for its end; what it printed is what no `next_line` took. A program that does not end is killed.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        let what = format!("the end of {}", self.command);
        let status = eventually(&what, || {
            self.child.try_wait().expect("a child can be waited for")
        });
        let output = Output {
            status,
            stdout: self.stdout.rest(),
            stderr: self.stderr.rest(),
        };
        Finished::new(self.command.clone(), output)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Neither is left to kill where it ended by itself.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, read by a thread, so that the program never waits for the test.
#[derive(Debug)]
struct Printed(mpsc::Receiver<Vec<u8>>);

impl Printed {
    fn by(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                // A terminal whose other end was closed gives an error: that is its end.
                let is_over = !matches!(stream.read_until(b'\n', &mut line), Ok(1..));
                if is_over || sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// All that nobody took, to the end of the stream.
    fn rest(&self) -> Vec<u8> {
        self.0.iter().flatten().collect()
    }
}

/// The most memory that a process ever had, in KiB.
pub(crate) fn peak_memory_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

/// Both ends of a new terminal: ours, and the one for a program.
fn terminal() -> io::Result<(File, File)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(OsStr::from_bytes(name.to_bytes()))?;
    Ok((File::from(ours), theirs))
}

/// What one run of `triscope demo` left behind and printed; all tests of this process look at the same one.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) data_dir: PathBuf,
    pub(crate) stdout: String,
    /// Keeps other test processes from using the folder.
    _lock: File,
}

/// Runs the demo, once.
pub(crate) fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let (data_dir, lock) = own_dir("demo");
        let output = finish(triscope(["demo", "--data-dir"]).arg(&data_dir));
        Demo {
            data_dir,
            stdout: output.answer(),
            _lock: lock,
        }
    })
}

impl Demo {
    pub(crate) fn log_path(&self) -> PathBuf {
        self.data_dir.join(".triscope/triscope.log")
    }

    pub(crate) fn log(&self) -> LogFile {
        LogFile::read(&self.log_path())
    }

    /// The directories of the workers, by name and so by age.
    pub(crate) fn workers(&self) -> Vec<PathBuf> {
        let mut res: Vec<_> = fs::read_dir(&self.data_dir)
            .expect("the data directory can be listed")
            .map(|it| it.expect("the data directory can be listed").path())
            .filter(|it| it.file_name() != Some(OsStr::new(".triscope")))
            .collect();
        res.sort();
        res
    }

    /// The one worker whose id has `part` in it, and its events.
    #[track_caller]
    pub(crate) fn worker(&self, part: &str) -> (PathBuf, MetricsFile) {
        let workers = self.workers();
        let mut found = workers
            .iter()
            .filter(|it| it.to_string_lossy().contains(part));
        let dir = found
            .next()
            .unwrap_or_else(|| panic!("no `{part}` in {workers:?}"));
        assert_eq!(found.next(), None, "two workers with `{part}`");
        (dir.clone(), MetricsFile::read(&dir.join("metrics.jsonl")))
    }
}

/// An empty folder below `target` that no other living test process uses, for what a whole process shares: nothing
/// would remove a temporary folder behind a static.
fn own_dir(name: &str) -> (PathBuf, File) {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for n in 0_u32.. {
        let dir = base.join(format!("{name}-{n}"));
        let lock = base.join(format!("{name}-{n}.lock"));
        let lock = File::create(&lock)
            .unwrap_or_else(|error| panic!("cannot make `{}`: {error}", lock.display()));
        if lock.try_lock().is_ok() {
            if dir.exists() {
                fs::remove_dir_all(&dir).expect("an earlier run's folder can be removed");
            }
            return (dir, lock);
        }
    }
    unreachable!("more test processes than numbers");
}
