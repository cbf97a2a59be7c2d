//! What somebody who has others work for him sees: what they do, where the time went, and who belongs to whom.

mod digest;
mod trace;
