//! Running one command: output to a log file, a time limit, and nothing left behind.
//!
//! The output goes straight to the file and is read back from there. With a pipe, a process that a
//! test forgot would keep the pipe open, and the reader would wait for it for ever.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::{self, File},
    io::{self, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// How often the log is read and the command asked whether it has ended.
const POLL: Duration = Duration::from_millis(40);

/// A command that can be run and shown.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    program: OsString,
    shown_as: String,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
}

impl Invocation {
    pub(crate) fn new(program: impl AsRef<OsStr>, shown_as: impl Into<String>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            shown_as: shown_as.into(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: &[S]) -> Self {
        self.args
            .extend(args.iter().map(|it| it.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, key: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key, value.as_ref().to_owned()));
        self
    }
}

/// The command as it would be typed.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.env {
            write!(f, "{key}={} ", quoted(value))?;
        }
        f.write_str(&self.shown_as)?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    if text.contains(char::is_whitespace) {
        format!("\"{text}\"")
    } else {
        text.into_owned()
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Exited(ExitStatus),
    TimedOut,
}

/// Runs one command in `dir` with no standard input and appends its output to `log`.
///
/// `on_line` is given each line while the command runs. Whatever the command started in its process
/// group is killed when this returns, at the deadline, or when xtask itself ends (Ctrl-C).
pub(crate) fn run(
    invocation: &Invocation,
    dir: &Path,
    log: &Path,
    deadline: Instant,
    on_line: &mut dyn FnMut(&str),
) -> Result<Ended> {
    let mut log_end = open_log(log)?;
    writeln!(log_end, "$ {invocation}").with_context(|| failed_to_write(log))?;
    let mut tail = Tail::at_end(log)?;
    let mut child = Command::new(&invocation.program)
        .args(&invocation.args)
        .envs([
            // The output is parsed: no colours, and neither more nor less than cargo's usual lines.
            ("CARGO_TERM_COLOR", "never"),
            ("CARGO_TERM_VERBOSE", "false"),
            ("CARGO_TERM_QUIET", "false"),
        ])
        .envs(invocation.env.iter().map(|(key, value)| (key, value)))
        .current_dir(dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log_end.try_clone().with_context(|| failed_to_write(log))?)
        .stderr(log_end)
        .spawn()
        .with_context(|| format!("failed to start `{invocation}`"))?;
    let group = match GroupGuard::new(child.id()) {
        Ok(group) => group,
        Err(error) => {
            child
                .kill()
                .and_then(|()| child.wait())
                .context("failed to end the command")?;
            return Err(error).context("failed to start `sh`");
        }
    };

    let ended = loop {
        let status = child.try_wait().context("failed to wait for the command")?;
        tail.read(on_line)?;
        if let Some(status) = status {
            drop(group);
            break Ended::Exited(status);
        }
        if Instant::now() >= deadline {
            drop(group);
            child.wait().context("failed to wait for the command")?;
            break Ended::TimedOut;
        }
        thread::sleep(POLL);
    };
    tail.read(on_line)?;
    tail.finish(on_line);
    Ok(ended)
}

fn open_log(log: &Path) -> Result<File> {
    let open = File::options().create(true).append(true).open(log);
    open.with_context(|| failed_to_write(log))
}

fn failed_to_write(log: &Path) -> String {
    format!("failed to write `{}`", log.display())
}

/// Kills a process group when dropped, and also when this process ends without a drop.
///
/// A shell waits on a pipe that only this process holds open; the end of the pipe is its signal.
/// It is in a group of its own, so that Ctrl-C does not end it before it has done its work.
struct GroupGuard {
    shell: Child,
}

impl GroupGuard {
    fn new(group: u32) -> io::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", r#"read -r _; kill -s KILL -- "-$1""#, "sh"])
            .arg(group.to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        // Closes the pipe first. A failed wait leaves nothing to do: the pipe is closed then, too.
        let _ = self.shell.wait();
    }
}

/// Reads what was added to a file, line by line.
struct Tail {
    file: File,
    partial: Vec<u8>,
}

impl Tail {
    fn at_end(path: &Path) -> Result<Self> {
        let open = || -> io::Result<File> {
            let mut file = File::open(path)?;
            io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().with_context(|| format!("failed to read `{}`", path.display()))?;
        Ok(Self {
            file,
            partial: Vec::new(),
        })
    }

    fn read(&mut self, on_line: &mut dyn FnMut(&str)) -> Result<()> {
        self.file
            .read_to_end(&mut self.partial)
            .context("failed to read the log")?;
        let Some(last_newline) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.partial.split_off(last_newline + 1);
        let lines = std::mem::replace(&mut self.partial, rest);
        for line in String::from_utf8_lossy(&lines).lines() {
            on_line(line);
        }
        Ok(())
    }

    /// The last line may lack its newline, as when the command was killed.
    fn finish(self, on_line: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            on_line(&String::from_utf8_lossy(&self.partial));
        }
    }
}

/// Makes `dir` exist and be empty.
pub(crate) fn empty_dir(dir: &Path) -> Result<()> {
    let cleared = match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    cleared
        .and_then(|()| fs::create_dir_all(dir))
        .with_context(|| format!("failed to empty `{}`", dir.display()))
}

#[cfg(test)]
mod tests;
