//! Requests that are being answered, so that two of a session with one id are not mixed up.

use std::{
    collections::HashSet,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use rmcp::model::RequestId;

use super::{Body, Refusal};

type Key = (HeaderValue, RequestId);

/// One owner's requests, by session and id.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<HashSet<Key>>>);

/// One request, until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    requests: Requests,
    key: Key,
}

impl Requests {
    /// # Errors
    /// [`Refusal::SameId`]
    pub(super) fn begin(&self, session: &HeaderValue, id: RequestId) -> Result<InFlight, Refusal> {
        let key = (session.clone(), id);
        if !self.lock().insert(key.clone()) {
            return Err(Refusal::SameId);
        }
        Ok(InFlight {
            requests: self.clone(),
            key,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.requests.lock().remove(&self.key);
    }
}

impl InFlight {
    /// Keeps the request in flight for as long as its answer is being sent.
    pub(super) fn until_answered(self, body: Body) -> Body {
        let answer = Answer {
            body,
            _request: self,
        };
        answer.boxed()
    }
}

struct Answer {
    body: Body,
    _request: InFlight,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
