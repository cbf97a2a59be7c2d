//! What the tests share: a store with a supervisor in this process, the real program, shell recipes, waiting, skipping.

mod agents;
mod aimock;
mod lab;
mod limits;
mod program;
mod secrets;
mod skip;
mod text;
mod tmpfs;
mod wait;

pub(crate) use self::{
    agents::{ScriptedModel, agent, reply},
    aimock::Aimock,
    lab::{Lab, LabOptions},
    limits::{as_nobody, limited},
    program::{Background, Finished, demo, finish, peak_memory_kib, program_path, sh, triscope},
    secrets::{MARK, assert_no_secrets, leaks},
    skip::{missing_program, skip},
    text::{Lines, LogFile, MetricsFile, normalised},
    tmpfs::Tmpfs,
    wait::{eventually, eventually_async},
};

/// Ends the test early, as a visible skip, unless these programs are installed: `require!("jq", "awk");`.
macro_rules! require {
    ($($program:literal),+) => {
        if let Some(reason) = $crate::support::missing_program(&[$($program),+]) {
            $crate::support::skip_test!(&reason);
        }
    };
}
pub(crate) use require;

/// Ends the test early, as a visible skip: `skip_test!("only root can mount");`.
macro_rules! skip_test {
    ($reason:expr) => {{
        fn here() {}
        $crate::support::skip(std::any::type_name_of_val(&here), $reason);
        return;
    }};
}
pub(crate) use skip_test;
