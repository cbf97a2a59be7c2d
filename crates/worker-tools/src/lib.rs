//! The concrete tools of a triscope worker.
//!
//! | tool | arguments | answers |
//! |---|---|---|
//! | `calculate` | `expression` | the value, exact where a decimal can be |
//! | `get_current_time` | `utc_offset`? (minutes) | RFC 3339, to the second |
//! | `http_request` | `url`, `method`?, `headers`?, `body`? | `HTTP 200 OK`, a blank line, the body |
//! | `shell_exec` | `command` | what the command printed |
//! | `read_file` | `path`, `offset`? | the file's text |
//! | `list_dir` | `path`? | kind, size and name of each entry |
//! | `ssh_exec` | `host`, `command` | what the command printed on the other machine |
//!
//! Each is a type of its own with its own limits; [`builtin_tools`] gives all of them with the usual
//! ones, but for `ssh_exec`, which needs to be told the hosts. Every tool checks its arguments itself: whatever JSON it is given, it answers or returns a
//! [`ToolError`](worker_runner::ToolError) that says what to mend, and never panics. They need a tokio
//! runtime with I/O and time enabled. Unix only.
//!
//! What on purpose does not live here: recording (the loop that calls a tool does that), and rules
//! about who may call which tool.
//!
//! ```
//! use serde_json::json;
//! use worker_runner::Tool;
//! use worker_tools::Calculate;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), worker_runner::ToolError> {
//! let answer = Calculate::new().call(json!({"expression": "7*6"})).await?;
//! assert_eq!(answer, "42");
//! # Ok(())
//! # }
//! ```

mod builtin;
mod calculate;
mod get_current_time;
mod http_request;
mod list_dir;
mod read_file;
mod shell_exec;
mod ssh_exec;

mod arguments;
mod below;
mod command;
mod text;

#[cfg(test)]
mod tests;

pub use crate::{
    builtin::{ToolOptions, builtin_tools, builtin_tools_with},
    calculate::Calculate,
    get_current_time::GetCurrentTime,
    http_request::{AllowedHost, HttpRequest, HttpRequestOptions, InvalidHost},
    list_dir::{ListDir, ListDirOptions},
    read_file::{ReadFile, ReadFileOptions},
    shell_exec::{ShellExec, ShellExecOptions},
    ssh_exec::{InvalidTarget, SshExec, SshExecOptions, SshTarget},
};
