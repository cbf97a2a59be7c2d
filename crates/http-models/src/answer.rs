//! An answer's body, bounded in bytes and in silence.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::timeout;
use worker_runner::{ErrorClass, ModelError};

use crate::{draft::bad, failure};

/// How long the end of an answer may take to come after its last event.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// What is still to come of an answer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    response: Response,
    from: &'a str,
    /// How long the server may be silent.
    silence: Duration,
    limit: usize,
    read: usize,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(response: Response, from: &'a str, silence: Duration, limit: usize) -> Self {
        Self {
            response,
            from,
            silence,
            limit,
            read: 0,
        }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ModelError> {
        let from = self.from;
        let Ok(chunk) = timeout(self.silence, self.response.chunk()).await else {
            return Err(ModelError::new(
                ErrorClass::Timeout,
                format!("{from} stopped for {:?} in mid-answer", self.silence),
            ));
        };
        let chunk = chunk.map_err(|it| failure::of_transport(&it, from))?;
        self.read = self
            .read
            .saturating_add(chunk.as_ref().map_or(0, Bytes::len));
        if self.read > self.limit {
            return Err(bad(format!(
                "the answer of {from} has more than {} bytes",
                self.limit
            )));
        }
        Ok(chunk)
    }

    /// How many bytes came.
    pub(crate) fn len(&self) -> usize {
        self.read
    }

    /// All of it.
    pub(crate) async fn whole(mut self) -> Result<String, ModelError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its beginning, however it goes on.
    pub(crate) async fn beginning(mut self, max: usize) -> String {
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = self.next().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= max {
                bytes.truncate(max);
                break;
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lets the connection serve the next call: it does once its answer is read to the end, which nobody waits for.
    pub(crate) fn give_back(mut self) {
        tokio::spawn(async move {
            let _ = timeout(LAST_BYTES, self.response.chunk()).await;
        });
    }
}
