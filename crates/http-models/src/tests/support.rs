//! A model, and a server that does what a test tells it.

use serde_json::Value;
use stub_server::{Answer, Received, StubServer, anthropic, openai};
use worker_runner::{ChatModel as _, ChatReply, ChatRequest, Message, ModelError, Role};

use crate::{ApiKey, HttpModel, HttpModelOptions, Protocol};

pub(super) const BOTH: [Protocol; 2] = [Protocol::OpenAi, Protocol::Anthropic];
pub(super) const KEY: &str = "sk-marked-0123456789abcdef";

pub(super) fn options(protocol: Protocol, server: &StubServer) -> HttpModelOptions {
    HttpModelOptions {
        base_url: Some(server.base_url()),
        key: ApiKey::parse(KEY, "a test").unwrap(),
        ..HttpModelOptions::new(protocol, "stub")
    }
}

pub(super) async fn ask(options: HttpModelOptions) -> Result<ChatReply, ModelError> {
    let model = HttpModel::new(options).unwrap();
    let messages = [Message::text(Role::User, "What is 7*6?")];
    let request = ChatRequest {
        messages: &messages,
        tools: &[],
    };
    model.chat(request).await
}

/// Asks a server that gives `answer`.
pub(super) async fn asked(protocol: Protocol, answer: Answer) -> Result<ChatReply, ModelError> {
    let server = StubServer::scripted([answer]).unwrap();
    ask(options(protocol, &server)).await
}

/// A reply of text in either protocol.
pub(super) fn text(protocol: Protocol, text: &str, usage: Value) -> Value {
    match protocol {
        Protocol::OpenAi => openai::text(text, usage),
        Protocol::Anthropic => anthropic::text(text, usage),
    }
}

/// A server that gives this reply, as the request wants it.
pub(super) fn serving(reply: Value) -> StubServer {
    StubServer::start(move |request: &Received| Answer::completion(request, &reply)).unwrap()
}
