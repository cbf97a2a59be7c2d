//! Printing. A closed pipe ends the program quietly; nothing here panics on a full device.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
};

use crate::exit::Exit;

/// Prints a text and, where it has none, a line end to stdout.
pub(crate) fn print(text: &str) {
    print_part(text);
    if !text.ends_with('\n') {
        print_part("\n");
    }
}

/// Prints a part of a text to stdout.
pub(crate) fn print_part(text: &str) {
    let mut stdout = io::stdout().lock();
    let printed = stdout
        .write_all(for_terminal(text, &io::stdout()).as_bytes())
        .and_then(|()| stdout.flush());
    if let Err(error) = printed {
        drop(stdout);
        give_up(&error);
    }
}

/// On a terminal, control characters of somebody else's text are shown and not obeyed.
pub(crate) fn for_terminal<'a>(text: &'a str, stream: &impl io::IsTerminal) -> Cow<'a, str> {
    let obeyed = |it: char| it.is_control() && !matches!(it, '\n' | '\t');
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
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints an error with its causes to stderr.
pub(crate) fn fail(exit: Exit, error: &anyhow::Error) -> Exit {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some errors say their cause themselves.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    note(&text);
    exit
}

/// Prints what clap has to say: help to stdout, errors to stderr.
pub(crate) fn print_clap(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        let _ = error.print();
        return Exit::Usage;
    }
    let styled = error.render();
    if io::stdout().is_terminal() {
        print(&styled.ansi().to_string());
    } else {
        print(&styled.to_string());
    }
    Exit::Done
}

/// Stdout takes no more: a closed pipe is how `head` says that it has enough, anything else is an error.
fn give_up(error: &io::Error) -> ! {
    let exit = if error.kind() == io::ErrorKind::BrokenPipe {
        Exit::Done
    } else {
        note(&format!("error: cannot write to stdout: {error}"));
        Exit::Unusable
    };
    std::process::exit(exit.code().into())
}
