//! Takes secrets out of texts before they are written: by the names they stand under, and by the shapes that well-known
//! ones have.
//!
//! ```
//! use redactor::Redactor;
//!
//! let redactor = Redactor::new();
//! let text = r#"{"user": "ada", "password": "correct horse", "max_tokens": 100}"#;
//! let written = r#"{"user": "ada", "password": "[redacted]", "max_tokens": 100}"#;
//! assert_eq!(redactor.text(text), written);
//! assert_eq!(redactor.text(written), written);
//! ```
//!
//! - One pass over the text finds the places worth a look; each of them is looked at within bounds, so the time is linear.
//! - The rest of the text stays as it is, byte for byte, and JSON stays JSON.
//! - It errs on the side of prose and code: a name alone (`the token is invalid`, `let token = next();`) is no secret.
//!
//! What on purpose does not live here: files, JSON values, and what is to be redacted; whoever writes something knows that.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod base64;
mod ends;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod keys;
mod redactor;
mod scan;
mod shapes;
mod stream;
mod url;
mod values;

#[cfg(test)]
mod tests;

pub use crate::{
    redactor::{REDACTED, Redactor, RedactorBuilder},
    stream::Stream,
};
