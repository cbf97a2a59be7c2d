//! Models over HTTP, as a user of the program meets them: against a third party's mock server, and against a stub of our
//! own for what that cannot do.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may give up as tests do"
)]

mod aimock;
mod limits;
mod program;
mod secrets;
