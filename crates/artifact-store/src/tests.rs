//! What users of a store see.

mod confined;
mod data_dir;
mod death;
mod list;
mod liveness;
mod metadata;
mod modes;
mod mounts;
mod power;
mod races;
mod read_file;
mod run;
mod search;
mod support;
mod worker;
mod worker_ids;
