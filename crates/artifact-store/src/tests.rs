//! What users of a store see.

#[cfg(feature = "index")]
mod calls;
mod confined;
mod data_dir;
mod death;
#[cfg(feature = "index")]
mod index;
mod life;
mod list;
mod liveness;
mod metadata;
mod modes;
mod mounts;
mod power;
mod prune;
mod races;
mod read_file;
mod run;
mod search;
mod support;
mod worker;
mod worker_ids;
