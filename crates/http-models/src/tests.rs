//! Models as their callers see them: a reply or an error, whatever the server does.

mod faults;
mod replies;
mod requests;
mod secrets;
mod support;
