//! Answers about calls: what `report` and its kin print.

mod bad_input;
mod recipes;
mod report;
mod selection;
mod timeline;
