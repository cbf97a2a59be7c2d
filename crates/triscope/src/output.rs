//! Printing. A closed pipe ends the program quietly; nothing here panics on a full device.

use std::{
    borrow::Cow,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
};

use crate::exit::Exit;

/// Prints a text and, where it has none, a line end to stdout.
pub(crate) fn print(text: &str) {
    if let Err(exit) = try_print(text) {
        std::process::exit(exit.code().into());
    }
}

/// Prints `ours`, which a terminal shall obey, and then a text as `print` does.
pub(crate) fn print_with(ours: &str, text: &str) {
    if let Err(error) = io::stdout().write_all(ours.as_bytes()) {
        give_up(&error);
    }
    print(text);
}

/// Prints a text as `print` does. Where stdout takes no more it says how the program shall end, which is the caller's
/// to do: workers may be running.
pub(crate) fn try_print(text: &str) -> Result<(), Exit> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(for_terminal(text, &stdout).as_bytes())
        .and_then(|()| stdout.write_all(if text.ends_with('\n') { b"" } else { b"\n" }))
        .and_then(|()| stdout.flush())
        .map_err(|error| exit_for(&error))
}

/// Shows a text on a terminal instead of what is there.
pub(crate) fn redraw(text: &str) {
    const HOME_AND_CLEAR: &[u8] = b"\x1b[H\x1b[J";
    let mut stdout = io::stdout().lock();
    let printed = stdout
        .write_all(HOME_AND_CLEAR)
        .and_then(|()| stdout.write_all(for_terminal(text, &stdout).as_bytes()))
        .and_then(|()| stdout.flush());
    drop(stdout);
    if let Err(error) = printed {
        give_up(&error);
    }
}

/// Copies what `source` gives to stdout: as it stands into a pipe or a file, shown as a text on a terminal.
///
/// # Errors
/// As `source` says.
pub(crate) fn print_bytes(source: &mut impl io::Read) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let mut source = io::BufReader::new(source);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A longer line comes in parts.
        let read = source
            .by_ref()
            .take(64 << 10)
            .read_until(b'\n', &mut line)?;
        let printed = match read {
            0 => stdout.flush(),
            _ if is_terminal => {
                let text = String::from_utf8_lossy(&line);
                stdout.write_all(for_terminal(&text, &stdout).as_bytes())
            }
            _ => stdout.write_all(&line),
        };
        if let Err(error) = printed {
            drop(stdout);
            give_up(&error);
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Lines of somebody else's text, written to stdout as soon as nothing more is at hand.
pub(crate) struct Lines {
    stdout: io::BufWriter<io::StdoutLock<'static>>,
    is_terminal: bool,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout().lock();
        Self {
            is_terminal: stdout.is_terminal(),
            stdout: io::BufWriter::with_capacity(64 << 10, stdout),
        }
    }

    /// Writes a line as it stands behind `prefix`, or on a terminal so that neither is obeyed.
    pub(crate) fn write(&mut self, prefix: &str, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let stdout = &mut self.stdout;
        let written = if self.is_terminal {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let text = format!("{prefix}{}", String::from_utf8_lossy(line));
            let text = for_terminal(&text, stdout.get_ref());
            stdout.write_all(text.as_bytes())
        } else {
            let prefixed = stdout.write_all(prefix.as_bytes());
            prefixed.and_then(|()| stdout.write_all(line))
        };
        or_give_up(written.and_then(|()| stdout.write_all(b"\n")));
    }

    pub(crate) fn flush(&mut self) {
        or_give_up(self.stdout.flush());
    }
}

fn or_give_up(written: io::Result<()>) {
    if let Err(error) = written {
        give_up(&error);
    }
}

/// Whether a terminal obeys the character instead of showing it.
fn obeyed(it: char) -> bool {
    it.is_control() && !matches!(it, '\n' | '\t')
}

/// On a terminal, control characters of somebody else's text are shown and not obeyed.
fn for_terminal<'a>(text: &'a str, stream: &impl io::IsTerminal) -> Cow<'a, str> {
    if !stream.is_terminal() || !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for it in text.chars() {
        if obeyed(it) {
            shown.extend(it.escape_default());
        } else {
            shown.push(it);
        }
    }
    Cow::Owned(shown)
}

/// Prints a value as JSON to stdout.
pub(crate) fn print_json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(json) => print(&json),
        Err(error) => note(&format!("error: cannot write JSON: {error}")),
    }
}

/// Prints a line to stderr; where that is not possible there is nobody to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", for_terminal(text, &io::stderr()));
}

/// Prints an error with its causes to stderr.
pub(crate) fn fail(exit: Exit, error: &anyhow::Error) -> Exit {
    note(&with_causes(error));
    exit
}

/// An error and its causes on one line, and what to do about them on lines below.
fn with_causes(error: &anyhow::Error) -> String {
    let (mut text, mut hints) = ("error".to_owned(), String::new());
    for cause in error.chain().map(ToString::to_string) {
        let (what, hint) = cause.split_once('\n').unwrap_or((&cause, ""));
        // Some errors say their cause themselves.
        if !text.contains(what) {
            text.push_str(": ");
            text.push_str(what);
        }
        if !hint.is_empty() {
            hints.push('\n');
            hints.push_str(hint);
        }
    }
    text + &hints
}

/// Prints what clap has to say: help to stdout, errors to stderr.
pub(crate) fn print_clap(error: &clap::Error) -> Exit {
    // clap repeats arguments as they were given, so colours are for those that are harmless.
    let harmless = std::env::args_os().all(|it| !it.to_string_lossy().contains(obeyed));
    if error.use_stderr() {
        if harmless {
            let _ = error.print();
        } else {
            note(error.to_string().trim_end());
        }
        return Exit::Usage;
    }
    if harmless {
        if let Err(error) = error.print().and_then(|()| io::stdout().flush()) {
            give_up(&error);
        }
    } else {
        print(&error.to_string());
    }
    Exit::Done
}

fn give_up(error: &io::Error) -> ! {
    std::process::exit(exit_for(error).code().into())
}

/// Stdout takes no more: a closed pipe is how `head` says that it has enough, anything else is an error.
fn exit_for(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Done;
    }
    note(&format!("error: cannot write to stdout: {error}"));
    Exit::Unusable
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::with_causes;

    #[test]
    fn hints_stand_below_all_causes() {
        let error = anyhow!("os error 6").context("nobody reads `f`\nhint: start the reader");
        let error = error.context("cannot log");
        assert_eq!(
            with_causes(&error),
            "error: cannot log: nobody reads `f`: os error 6\nhint: start the reader"
        );
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let error = anyhow!("disk full").context("cannot write `f`: disk full");
        assert_eq!(with_causes(&error), "error: cannot write `f`: disk full");
    }
}
