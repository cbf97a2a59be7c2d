//! All the tools at once, with their usual limits.

use std::{path::PathBuf, sync::Arc};

use worker_runner::Tool;

use crate::{
    calculate::Calculate,
    get_current_time::GetCurrentTime,
    http_request::HttpRequest,
    read_file::ReadFile,
    shell_exec::{ShellExec, ShellExecOptions},
};

/// Every tool of this crate with default options.
///
/// `root` is the directory that `read_file` reads below and that `shell_exec` runs in, so that both
/// mean the same file by `notes.txt`.
///
/// **It does not confine the shell**: a command can reach whatever the process can.
pub fn builtin_tools(root: PathBuf) -> Vec<Arc<dyn Tool>> {
    let shell = ShellExecOptions {
        directory: Some(root.clone()),
        ..ShellExecOptions::default()
    };
    vec![
        Arc::new(Calculate::new()),
        Arc::new(GetCurrentTime::new()),
        Arc::new(HttpRequest::default()),
        Arc::new(ShellExec::new(shell)),
        Arc::new(ReadFile::new(root)),
    ]
}
