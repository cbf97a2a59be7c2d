//! What a user sees, a module per tier or capability. The `tier1_`, `tier2_` and `tier3_` modules are what
//! `cargo xtask verify --tier N` runs.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails; clippy makes an exception for the functions marked as tests, not for their helpers"
)]

mod support;

mod analysis;
mod ask;
mod bad_input;
mod cli;
mod doctor;
mod exec;
mod faults;
mod liveness;
mod mcp;
mod models;
mod outside_crates;
mod queue;
mod readme;
mod rust_agents;
mod secrets;
mod supervising;
mod tier1_duration;
mod tier2_metrics;
mod tier2_recipes;
mod tier3_logs;
mod tier3_recipes;
mod tools;
