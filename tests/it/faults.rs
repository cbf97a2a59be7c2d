//! The machine and its users doing their worst, made to happen from outside: the worker never notices, and what is lost
//! is counted.

mod crowds;
mod damage;
mod disks;
mod endings;
mod hostile;
mod kills;
mod logs;
mod losses;
mod places;
mod processes;
mod races;
mod recording;
mod times;
