//! What a redirect makes of a request.

use reqwest::{
    Method, Response,
    header::{
        ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName,
        LOCATION, USER_AGENT,
    },
};
use worker_runner::ToolError;

use super::request::{Request, address_of};

/// The headers that may go to another origin. Any other may be a secret, whatever its name is.
const HARMLESS: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

impl Request {
    /// The request to make next, if `response` is a redirect.
    pub(super) fn redirected(&self, response: &Response) -> Result<Option<Self>, ToolError> {
        let Some(location) = response.headers().get(LOCATION) else {
            return Ok(None);
        };
        // What browsers do: only the later two codes promise to send the same again.
        let method = match response.status().as_u16() {
            303 if self.method == Method::HEAD => Method::HEAD,
            303 => Method::GET,
            301 | 302 if self.method == Method::POST => Method::GET,
            301 | 302 | 307 | 308 => self.method.clone(),
            _ => return Ok(None),
        };
        let target = location.to_str().ok();
        let target = target.and_then(|it| self.url.join(it).ok());
        let url = target.filter(|it| matches!(it.scheme(), "http" | "https"));
        let Some(url) = url else {
            return Err(ToolError::Failed(format!(
                "{} redirected to what is no http:// or https:// URL",
                address_of(&self.url)
            )));
        };
        let mut headers = self.headers.clone();
        let mut body = self.body.clone();
        if method != self.method {
            body = None;
            for header in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                headers.remove(header);
            }
        }
        if self.url.origin() != url.origin() {
            headers = headers
                .iter()
                .filter(|(name, _)| HARMLESS.contains(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
        }
        Ok(Some(Self {
            url,
            method,
            headers,
            body,
        }))
    }
}
