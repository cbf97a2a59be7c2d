//! The model: one call, from its request to its reply.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use tokio::time::timeout;
use worker_runner::{ChatModel, ChatReply, ChatRequest, ErrorClass, ModelError};

use crate::{
    address::Address,
    answer::Answer,
    anthropic,
    draft::{Draft, bad},
    failure,
    key::without_key,
    openai,
    options::{HttpModelOptions, Protocol, SetupError},
    sse::Events,
};

/// As much of a refusal's body as is read.
const REFUSAL_BYTES: usize = 8 << 10;

/// A model that a server serves. Its workers share its connections.
#[derive(Debug)]
pub struct HttpModel {
    options: HttpModelOptions,
    address: Address,
    headers: HeaderMap,
    client: Client,
}

impl HttpModel {
    /// A model; nothing is sent yet.
    ///
    /// # Errors
    /// If the base URL is none, or no client can be made.
    pub fn new(options: HttpModelOptions) -> Result<Self, SetupError> {
        let address = Address::new(options.protocol, options.base_url.as_deref())?;
        let client = client(&options, &address)?;
        Ok(Self {
            headers: headers(&options, &address),
            options,
            address,
            client,
        })
    }

    /// The same server and connections for another of its models.
    #[must_use]
    pub fn with_model(&self, model: impl Into<String>) -> Self {
        Self {
            options: HttpModelOptions {
                model: model.into(),
                ..self.options.clone()
            },
            address: self.address.clone(),
            headers: self.headers.clone(),
            client: self.client.clone(),
        }
    }

    /// Whether the key would go to another machine unencrypted.
    pub fn sends_key_in_clear(&self) -> bool {
        self.options.key.is_some() && self.address.is_in_clear()
    }

    async fn exchange(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        let started = Instant::now();
        let body = match self.options.protocol {
            Protocol::OpenAi => openai::request(request, &self.options),
            Protocol::Anthropic => anthropic::request(request, &self.options),
        };
        let sent = self.client.post(self.address.url.clone());
        let sent = sent.headers(self.headers.clone()).body(body.to_string());
        let from = &*self.address.shown;
        let silence = self.options.silence_timeout;
        let response = match timeout(silence, sent.send()).await {
            Ok(sent) => sent.map_err(|it| failure::of_transport(&it, from))?,
            Err(_) => {
                let reason = format!("{from} did not answer within {silence:?}");
                return Err(ModelError::new(ErrorClass::Timeout, reason));
            }
        };
        let status = response.status();
        let (headers, content_type) = (response.headers().clone(), content_type(&response));
        let answer = Answer::new(response, from, silence, self.options.max_answer_bytes);
        if !status.is_success() {
            let body = self.clean(answer.beginning(REFUSAL_BYTES).await);
            return Err(failure::of_status(status, &headers, &body, from));
        }
        if content_type.contains("html") {
            return Err(bad(format!(
                "{from} answers with a web page; is the base URL right?"
            )));
        }
        // A server that does not stream says so by its content type.
        let (draft, ttft) = if self.options.stream && !content_type.contains("json") {
            self.read_stream(answer, started).await?
        } else {
            (self.read_whole(answer).await?, None)
        };
        Ok(self.reply(draft, ttft))
    }

    async fn read_whole(&self, answer: Answer<'_>) -> Result<Draft, ModelError> {
        let text = self.clean(answer.whole().await?);
        let body = serde_json::from_str(&text).map_err(|error| {
            let beginning: String = text.chars().take(100).collect();
            bad(format!("the answer is not JSON ({error}): {beginning}"))
        })?;
        match self.options.protocol {
            Protocol::OpenAi => openai::answer(&body),
            Protocol::Anthropic => anthropic::answer(&body),
        }
    }

    async fn read_stream(
        &self,
        mut answer: Answer<'_>,
        started: Instant,
    ) -> Result<(Draft, Option<Duration>), ModelError> {
        let read = match self.options.protocol {
            Protocol::OpenAi => openai::event,
            Protocol::Anthropic => anthropic::event,
        };
        let (mut draft, mut ttft) = (Draft::default(), None);
        let mut events = Events::default();
        let mut n_events = 0;
        while let Some(bytes) = answer.next().await? {
            for data in events.push(&bytes) {
                n_events += 1;
                read(&mut draft, &self.clean(data))?;
                if ttft.is_none() && draft.has_begun() {
                    ttft = Some(started.elapsed());
                }
                if draft.is_over {
                    answer.give_back();
                    return Ok((draft, ttft));
                }
            }
        }
        let length = answer.len();
        if let Some(data) = events.finish() {
            n_events += 1;
            // Half an event is no event.
            let _ = read(&mut draft, &self.clean(data));
        }
        match (draft.is_whole, n_events) {
            // Some servers close instead of saying that nothing follows.
            (true, _) => Ok((draft, ttft)),
            (false, 0) if length > 0 => Err(bad("there is no reply in the answer")),
            (false, _) => Err(ModelError::new(
                ErrorClass::BrokenOff,
                format!("the stream ended before the reply did, after {length} bytes"),
            )),
        }
    }

    fn reply(&self, mut draft: Draft, ttft: Option<Duration>) -> ChatReply {
        ChatReply {
            usage: draft.usage,
            ttft,
            provider: Some(self.address.provider.clone()),
            cost_usd: draft.cost_usd,
            cut_short: draft.cut_short.take(),
            // A key that came in pieces is whole only here.
            message: draft.message(|it| self.clean(it)),
        }
    }

    /// `text` without the key, should a server send it back. Before anything is cut, as half a key says too much.
    fn clean(&self, text: String) -> String {
        without_key(text, self.options.key.as_ref())
    }
}

#[async_trait]
impl ChatModel for HttpModel {
    fn name(&self) -> &str {
        &self.options.model
    }

    fn provider(&self) -> Option<&str> {
        Some(&self.address.provider)
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        let limit = self.options.call_timeout;
        let answered = timeout(limit, self.exchange(request)).await;
        answered.unwrap_or_else(|_| {
            let reason = format!("{} took longer than {limit:?}", self.address.shown);
            Err(ModelError::new(ErrorClass::Timeout, reason))
        })
    }
}

fn client(options: &HttpModelOptions, address: &Address) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("triscope/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        // A key goes where it was meant to go, and nowhere else.
        .redirect(redirect::Policy::none());
    if address.is_loopback() {
        builder = builder.no_proxy();
    }
    if address.url.scheme() == "http" {
        // Reading the machine's root certificates takes a while, and plain HTTP needs none.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

fn headers(options: &HttpModelOptions, address: &Address) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let (name, prefix) = match options.protocol {
        Protocol::Anthropic => ("x-api-key", ""),
        Protocol::OpenAi if address.provider == "azure" => ("api-key", ""),
        Protocol::OpenAi => ("authorization", "Bearer "),
    };
    if let Some(value) = options.key.as_ref().and_then(|it| it.header(prefix)) {
        headers.insert(HeaderName::from_static(name), value);
    }
    if options.protocol == Protocol::Anthropic {
        let version = HeaderValue::from_static(anthropic::VERSION);
        headers.insert(HeaderName::from_static("anthropic-version"), version);
    }
    headers
}

fn content_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE);
    let value = value.and_then(|it| it.to_str().ok()).unwrap_or_default();
    value.to_ascii_lowercase()
}
