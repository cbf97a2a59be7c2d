//! All the tools at once, with their usual limits.

use std::{path::PathBuf, sync::Arc};

use worker_runner::Tool;

use crate::{
    calculate::Calculate,
    get_current_time::GetCurrentTime,
    http_request::{HttpRequest, HttpRequestOptions},
    list_dir::ListDir,
    read_file::ReadFile,
    shell_exec::{ShellExec, ShellExecOptions},
    ssh_exec::{SshExec, SshExecOptions},
};

/// What [`builtin_tools_with`] may reach beyond the public network and the directory.
#[derive(Debug, Clone, Default)]
pub struct ToolOptions {
    /// Limits and exceptions of `http_request`.
    pub http: HttpRequestOptions,
    /// The machines of `ssh_exec`; the tool is there if there are any.
    pub ssh: SshExecOptions,
    /// More variables of the environment that `shell_exec` hides from commands, beside its usual ones.
    pub hidden_variables: Vec<String>,
}

/// Every tool of this crate that needs no setting up, with default options.
///
/// `root` is the directory that `read_file` and `list_dir` read below and that `shell_exec` runs in, so that all
/// mean the same file by `notes.txt`.
///
/// **It does not confine the shell**: a command can reach whatever the process can.
pub fn builtin_tools(root: PathBuf) -> Vec<Arc<dyn Tool>> {
    builtin_tools_with(root, ToolOptions::default())
}

/// The same tools with what `options` allow.
pub fn builtin_tools_with(root: PathBuf, options: ToolOptions) -> Vec<Arc<dyn Tool>> {
    let mut shell = ShellExecOptions {
        directory: Some(root.clone()),
        ..ShellExecOptions::default()
    };
    shell.hidden_variables.extend(options.hidden_variables);
    let mut tools: Vec<Arc<dyn Tool>> = vec![
        Arc::new(Calculate::new()),
        Arc::new(GetCurrentTime::new()),
        Arc::new(HttpRequest::new(options.http)),
        Arc::new(ShellExec::new(shell)),
        Arc::new(ReadFile::new(root.clone())),
        Arc::new(ListDir::new(root)),
    ];
    if !options.ssh.targets.is_empty() {
        tools.push(Arc::new(SshExec::new(options.ssh)));
    }
    tools
}
