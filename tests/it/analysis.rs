//! Answers about calls: what `report` and its kin print.

mod bad_input;
mod bad_places;
mod follow;
mod recipes;
mod report;
mod selection;
mod timeline;
