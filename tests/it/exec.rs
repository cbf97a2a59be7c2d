//! `triscope exec`: any program as a worker, seen from outside.

mod examples;
mod exits;
mod signals;
mod size;
mod streams;
mod trace;
