//! A command with all that it starts: a process group that does not outlive its owner, and its end in words.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use process_group::{ProcessGroup, failure};
//!
//! let mut command = tokio::process::Command::new("sh");
//! command.args(["-c", "sleep 777 & exit 3"]);
//! let mut group = ProcessGroup::spawn(&mut command)?;
//! group.exited().await;
//! let status = group.reap().await?; // What it left in the background is killed.
//! assert_eq!(failure(status).as_deref(), Some("exit code 3"));
//! # Ok::<_, std::io::Error>(())
//! # }).unwrap();
//! ```

mod ending;
mod group;

pub use rustix::process::Signal;

pub use crate::{
    ending::{failure, signal_name},
    group::ProcessGroup,
};
