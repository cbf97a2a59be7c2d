//! `claude -p --output-format stream-json --verbose`: one JSON object a line, of the types `system`, `assistant`, `user`
//! and `result`, and with `--include-partial-messages` also `stream_event`.
//!
//! - One message of the model comes as several lines with one id, a content block each. Their `usage` repeats, and its
//!   `output_tokens` grows from a placeholder: the line that has most counts, the last one of equals.
//! - A sub-agent's lines carry the `parent_tool_use_id` of the call that started it, and lie between the others.
//! - A model call begins with what it answers (the start, a tool's result) and ends with the last line of its message.

use std::collections::{HashMap, VecDeque};

use metrics_collector::{ToolTimer, record_llm_call, start_tool_call};
use metrics_core::{CallStart, CallTime, Clock, LlmCall, Phase, Usage};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{FormatReader, LineCounts, MAX_OPEN, OutputFormat, Said, name};

/// Ids of messages that are over, so that one that is printed again is not counted again.
const MAX_REMEMBERED: usize = 1024;
/// What the program prints in a model's name where no model was asked.
const NO_MODEL: &str = "<synthetic>";

pub(super) struct ClaudeReader {
    clock: Clock,
    counts: LineCounts,
    started: CallStart,
    /// When a model got what it answers next, by the agent that it works for.
    asked: HashMap<AgentKey, CallStart>,
    open: HashMap<AgentKey, OpenMessage>,
    over: VecDeque<String>,
    tools: HashMap<String, ToolTimer<'static>>,
    has_begun: bool,
    last_text: Option<String>,
    result: Option<ResultLine>,
}

/// The agent that a line is of: the main one, or that of a tool call.
type AgentKey = Option<String>;

/// A message whose lines are still coming.
struct OpenMessage {
    id: String,
    model: String,
    usage: TokenCounts,
    is_first: bool,
    asks_for_tools: bool,
    start: CallStart,
    time: CallTime,
}

#[derive(Deserialize)]
struct MessageLine {
    message: MessageBody,
    #[serde(default)]
    parent_tool_use_id: AgentKey,
}

#[derive(Deserialize)]
struct MessageBody {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    usage: TokenCounts,
}

#[derive(Deserialize)]
struct StreamLine {
    event: StreamEvent,
    #[serde(default)]
    parent_tool_use_id: AgentKey,
}

#[derive(Deserialize)]
struct StreamEvent {
    r#type: String,
    #[serde(default)]
    usage: TokenCounts,
}

#[derive(Deserialize)]
struct ResultLine {
    #[serde(default)]
    subtype: String,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    result: Option<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Tokens as Anthropic counts them: the prompt is what was neither read from the cache nor written to it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as they stand in the stream")]
struct TokenCounts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
}

impl TokenCounts {
    /// The same with a prompt that includes what the cache held.
    fn usage(self) -> Usage {
        let (read, write) = (
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        );
        let prompt = self.input_tokens.map(|it| {
            it.saturating_add(read.unwrap_or(0))
                .saturating_add(write.unwrap_or(0))
        });
        Usage {
            prompt_tokens: prompt,
            completion_tokens: self.output_tokens,
            cached_tokens: read,
            cache_write_tokens: write,
            ..Usage::default()
        }
    }
}

impl ClaudeReader {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            started: clock.start(),
            clock,
            counts: LineCounts::default(),
            asked: HashMap::new(),
            open: HashMap::new(),
            over: VecDeque::new(),
            tools: HashMap::new(),
            has_begun: false,
            last_text: None,
            result: None,
        }
    }

    fn assistant(&mut self, line: MessageLine) {
        let (agent, message) = (line.parent_tool_use_id, line.message);
        let blocks = message.content.as_array().cloned().unwrap_or_default();
        if agent.is_none() {
            let texts = blocks.iter().filter(|it| it["type"] == "text");
            let last = texts.filter_map(|it| it["text"].as_str()).next_back();
            self.last_text = last.map(str::to_owned).or(self.last_text.take());
        }
        let Some(model) = message.model.filter(|it| it != NO_MODEL) else {
            return;
        };
        // Without an id, a line is a message of its own.
        let id = message.id;
        let id = id.unwrap_or_else(|| format!("line {}", self.counts.lines));
        let is_open = self.open.get(&agent).is_some_and(|it| it.id == id);
        if !is_open {
            self.close(&agent);
            if self.over.contains(&id) || self.open.len() >= MAX_OPEN {
                return;
            }
        }
        let start = self.asked.get(&agent).copied().unwrap_or(self.started);
        let open = self.open.entry(agent).or_insert_with(|| OpenMessage {
            id,
            model: name(&model),
            usage: message.usage,
            is_first: !std::mem::replace(&mut self.has_begun, true),
            asks_for_tools: false,
            start,
            time: self.clock.finish(&start),
        });
        open.time = self.clock.finish(&open.start);
        if message.usage.output_tokens >= open.usage.output_tokens {
            (open.usage, open.model) = (message.usage, name(&model));
        }
        let tools = blocks.iter().filter(|it| it["type"] == "tool_use");
        open.asks_for_tools |= tools.clone().next().is_some();
        for tool in tools {
            if let (Some(id), Some(tool)) = (tool["id"].as_str(), tool["name"].as_str()) {
                self.tool_starts(id, tool);
            }
        }
    }

    /// Records the message of an agent, of which no more lines come.
    fn close(&mut self, agent: &AgentKey) {
        let Some(message) = self.open.remove(agent) else {
            return;
        };
        let phase = match (message.is_first, message.asks_for_tools) {
            (true, _) => Phase::INITIAL,
            (_, true) => Phase::TOOL_DECISION,
            (_, false) => Phase::SYNTHESIS,
        };
        let mut call = LlmCall::new(phase, message.model, message.time);
        call.usage = message.usage.usage();
        record_llm_call(call);
        if self.over.len() >= MAX_REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back(message.id);
    }

    fn close_all(&mut self) {
        let mut open: Vec<_> = self
            .open
            .iter()
            .map(|(agent, it)| (it.time.end_ts(), agent.clone()))
            .collect();
        open.sort_unstable();
        for (_, agent) in open {
            self.close(&agent);
        }
    }

    fn tool_starts(&mut self, id: &str, tool: &str) {
        if self.tools.len() >= MAX_OPEN || self.tools.contains_key(id) {
            return;
        }
        // A sub-agent has what it works on from now on.
        self.asks(Some(id.to_owned()));
        let mut timer = start_tool_call(name(tool));
        timer.tool_call_id(name(id));
        self.tools.insert(id.to_owned(), timer);
    }

    fn user(&mut self, line: &MessageLine) {
        let blocks = line.message.content.as_array().into_iter().flatten();
        for block in blocks.filter(|it| it["type"] == "tool_result") {
            let Some(id) = block["tool_use_id"].as_str() else {
                continue;
            };
            // Its sub-agent says no more.
            self.close(&Some(id.to_owned()));
            self.asked.remove(&Some(id.to_owned()));
            let Some(timer) = self.tools.remove(id) else {
                continue;
            };
            if block["is_error"] == true {
                timer.fail(text_of(&block["content"]));
            } else {
                timer.succeed();
            }
        }
        self.asks(line.parent_tool_use_id.clone());
    }

    /// The program is ready; its own start is no model's time.
    fn begins(&mut self) {
        if !self.has_begun {
            self.asks(None);
        }
    }

    /// An agent's model has what it answers next.
    fn asks(&mut self, agent: AgentKey) {
        if self.asked.len() < MAX_OPEN || self.asked.contains_key(&agent) {
            self.asked.insert(agent, self.clock.start());
        }
    }

    /// The count that the placeholder in a message's lines stands for.
    fn streamed(&mut self, line: &StreamLine) {
        if line.event.r#type == "message_delta"
            && let Some(open) = self.open.get_mut(&line.parent_tool_use_id)
            && line.event.usage.output_tokens > open.usage.output_tokens
        {
            open.usage.output_tokens = line.event.usage.output_tokens;
        }
    }
}

/// The text of a tool's result, which is a string or a list of blocks.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<_> = blocks.iter().filter_map(|it| it["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

impl FormatReader for ClaudeReader {
    fn line(&mut self, line: &[u8]) {
        let kind = self.counts.kind(line);
        match kind.as_deref() {
            None => {}
            Some("system") => self.begins(),
            Some("assistant") => {
                if let Some(line) = self.counts.parsed(line) {
                    self.assistant(line);
                }
            }
            Some("user") => {
                if let Some(line) = self.counts.parsed(line) {
                    self.user(&line);
                }
            }
            Some("stream_event") => {
                if let Some(line) = self.counts.parsed(line) {
                    self.streamed(&line);
                }
            }
            Some("result") => {
                self.close_all();
                self.result = self.counts.parsed(line).or(self.result.take());
            }
            Some(_) => self.counts.unknown += 1,
        }
    }

    fn end(mut self: Box<Self>, too_long: u64) -> Said {
        self.close_all();
        let warning = self.counts.warning(OutputFormat::ClaudeStreamJson);
        let mut facts = Map::new();
        facts.insert("lines".to_owned(), self.counts.lines.into());
        facts.insert("unknown".to_owned(), self.counts.unknown.into());
        facts.insert("malformed".to_owned(), self.counts.malformed.into());
        facts.insert("too_long".to_owned(), too_long.into());
        let (mut result, mut error) = (self.last_text, None);
        if let Some(line) = self.result {
            if line.is_error {
                error = Some(format!(
                    "the agent says that it failed: {}",
                    name(&line.subtype)
                ));
            }
            result = line.result.or(result);
            // As the program reports them, for whoever wants to compare.
            for key in [
                "session_id",
                "num_turns",
                "total_cost_usd",
                "usage",
                "modelUsage",
            ] {
                if let Some(fact) = line.more.get(key) {
                    facts.insert(key.to_owned(), fact.clone());
                }
            }
        }
        Said {
            result,
            error,
            facts: Value::Object(facts),
            warning,
        }
    }
}
