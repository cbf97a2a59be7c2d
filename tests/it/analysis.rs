//! Answers about many calls: what `report`, `slow`, `failures` and `histogram` print.

mod bad_input;
mod recipes;
mod report;
