//! The tools of workers, through the program: what a user sees on all tiers, and what is refused.

mod files;
mod http;
mod shell;
mod ssh;
