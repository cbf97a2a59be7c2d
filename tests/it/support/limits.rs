//! Programs that the system gives less than usual.

use std::process::Command;

/// The same program, started by a shell that says `prepare` first, such as `ulimit -n 20`.
pub(crate) fn limited(prepare: &str, command: &Command) -> Command {
    wrapped(
        Command::new("sh").args(["-c", &format!("{prepare}; exec \"$@\""), "sh"]),
        command,
    )
}

/// The same program, run as a user who owns nothing and may do nothing special; only root can do that.
pub(crate) fn as_nobody(command: &Command) -> Command {
    wrapped(
        Command::new("setpriv").args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ]),
        command,
    )
}

/// `wrapper PROGRAM ARGUMENTS`, in the same folder and surroundings.
fn wrapped(wrapper: &mut Command, command: &Command) -> Command {
    let mut res = Command::new(wrapper.get_program());
    res.args(wrapper.get_args())
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => res.env(key, value),
            None => res.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        res.current_dir(dir);
    }
    res
}
