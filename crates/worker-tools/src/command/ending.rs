//! How a command's end is put into words.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use super::Finished;

/// What the command printed, with a line about what is not in there.
pub(crate) fn with_output(finished: &Finished) -> String {
    let mut output = finished.output.clone();
    if finished.left_open {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str("[a process left in the background held the output open and was killed]");
    }
    if output.is_empty() {
        output.push_str("(no output)");
    }
    output
}

/// Why a status is no success.
pub(crate) fn cause(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("exit code {code}");
    }
    match status.signal() {
        Some(number) => match signal_name(number) {
            Some(name) => format!("killed by signal {number} ({name})"),
            None => format!("killed by signal {number}"),
        },
        None => status.to_string(),
    }
}

/// The signals that have the same number everywhere.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}
