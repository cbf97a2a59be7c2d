//! `codex exec --json`: one JSON object a line: `thread.started`, `turn.started`, `item.started`, `item.completed`,
//! `turn.completed`, `turn.failed`, `error`.
//!
//! - Codex counts tokens for a turn, in which it may ask its model many times: a turn is one model call here, of the phase
//!   `turn`, and takes in the time of its tools.
//! - Its counts are the thread's so far; what an earlier turn of this stream had is taken off. A thread that was resumed
//!   brings its past along.
//! - It does not name its model. That is taken from its arguments, and is else `codex`.

use std::{collections::HashMap, ffi::OsStr};

use metrics_collector::{LlmTimer, ToolTimer, start_llm_call, start_tool_call};
use metrics_core::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FormatReader, LineCounts, MAX_OPEN, OutputFormat, Said, name};
use crate::command::ProgramCommand;

const TURN: &str = "turn";

pub(super) struct CodexReader {
    model: String,
    counts: LineCounts,
    turn: Option<LlmTimer<'static>>,
    before: TokenCounts,
    tools: HashMap<String, ToolTimer<'static>>,
    thread_id: Option<String>,
    last_text: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct ThreadStarted {
    thread_id: String,
}

#[derive(Deserialize)]
struct TurnCompleted {
    usage: TokenCounts,
}

#[derive(Deserialize)]
struct TurnFailed {
    error: Message,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct ItemLine {
    item: Item,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    r#type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    tool: Option<String>,
    #[serde(default)]
    error: Value,
}

/// Tokens as Codex counts them: the prompt includes what the cache held.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as they stand in the stream")]
struct TokenCounts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cached_input_tokens: Option<u64>,
    #[serde(default)]
    cache_write_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    reasoning_output_tokens: Option<u64>,
}

impl TokenCounts {
    /// What was added since `before`; all of it where the counts began anew.
    fn since(self, before: Self) -> Usage {
        let began_anew = self.input_tokens < before.input_tokens;
        let added = |now: Option<u64>, before: Option<u64>| {
            let before = if began_anew { 0 } else { before.unwrap_or(0) };
            now.map(|it| it.saturating_sub(before))
        };
        Usage {
            prompt_tokens: added(self.input_tokens, before.input_tokens),
            completion_tokens: added(self.output_tokens, before.output_tokens),
            cached_tokens: added(self.cached_input_tokens, before.cached_input_tokens),
            cache_write_tokens: added(
                self.cache_write_input_tokens,
                before.cache_write_input_tokens,
            ),
            reasoning_tokens: added(self.reasoning_output_tokens, before.reasoning_output_tokens),
            ..Usage::default()
        }
    }
}

impl CodexReader {
    pub(super) fn new(command: &ProgramCommand) -> Self {
        let words: Vec<_> = command.words().filter_map(OsStr::to_str).collect();
        Self {
            model: model_of(&words).unwrap_or_else(|| "codex".to_owned()),
            counts: LineCounts::default(),
            turn: None,
            before: TokenCounts::default(),
            tools: HashMap::new(),
            thread_id: None,
            last_text: None,
            error: None,
        }
    }

    fn item_starts(&mut self, item: &Item) {
        if let Some(tool) = item.tool_name()
            && self.tools.len() < MAX_OPEN
            && !self.tools.contains_key(&item.id)
        {
            let mut timer = start_tool_call(tool);
            timer.tool_call_id(name(&item.id));
            self.tools.insert(item.id.clone(), timer);
        }
    }

    fn item_ends(&mut self, item: Item) {
        // Some items are only told of when they are over.
        self.item_starts(&item);
        if let Some(timer) = self.tools.remove(&item.id) {
            match item.failure() {
                None => timer.succeed(),
                Some(error) => timer.fail(error),
            }
        }
        if item.r#type == "agent_message" {
            self.last_text = item.text.or(self.last_text.take());
        }
    }

    fn turn(&mut self) -> LlmTimer<'static> {
        let turn = self.turn.take();
        turn.unwrap_or_else(|| start_llm_call(self.model.clone(), TURN))
    }
}

impl Item {
    /// `None` for what is no call: messages, thoughts, plans.
    fn tool_name(&self) -> Option<String> {
        match &*self.r#type {
            "command_execution" | "file_change" | "web_search" | "collab_tool_call" => {
                Some(self.r#type.clone())
            }
            "mcp_tool_call" => {
                let (server, tool) = (self.server.as_deref(), self.tool.as_deref());
                Some(name(&format!(
                    "{}.{}",
                    server.unwrap_or("mcp"),
                    tool.unwrap_or("tool")
                )))
            }
            _ => None,
        }
    }

    fn failure(&self) -> Option<String> {
        let message = self.error["message"].as_str();
        match (self.status.as_deref(), self.exit_code) {
            (Some("failed" | "declined"), Some(0) | None) => Some(
                message
                    .or(self.status.as_deref())
                    .unwrap_or_default()
                    .to_owned(),
            ),
            (_, Some(code)) if code != 0 => Some(format!("exit code {code}")),
            _ => message.map(str::to_owned),
        }
    }
}

/// The model that the arguments of `codex` name: `-m X`, `--model X` or `--model=X`.
fn model_of(words: &[&str]) -> Option<String> {
    // What stands before, such as `npx`, has options of its own.
    let mut words = words.iter().skip_while(|it| !it.ends_with("codex"));
    while let Some(word) = words.next() {
        if matches!(*word, "-m" | "--model") {
            return words.next().map(|it| name(it));
        }
        if let Some(model) = word.strip_prefix("--model=") {
            return Some(name(model));
        }
    }
    None
}

impl FormatReader for CodexReader {
    fn line(&mut self, line: &[u8]) {
        let kind = self.counts.kind(line);
        match kind.as_deref() {
            None => {}
            Some("thread.started") => {
                let started: Option<ThreadStarted> = self.counts.parsed(line);
                self.thread_id = started.map(|it| name(&it.thread_id));
            }
            Some("turn.started") => {
                let turn = self.turn();
                self.turn = Some(turn);
            }
            Some("turn.completed") => {
                if let Some(completed) = self.counts.parsed::<TurnCompleted>(line) {
                    let mut turn = self.turn();
                    turn.usage(completed.usage.since(self.before));
                    self.before = completed.usage;
                    turn.succeed();
                    // What went wrong on the way was mended.
                    self.error = None;
                }
            }
            Some("turn.failed") => {
                if let Some(failed) = self.counts.parsed::<TurnFailed>(line) {
                    self.turn().fail(&failed.error.message);
                    self.error = Some(failed.error.message);
                }
            }
            Some("error") => {
                if let Some(error) = self.counts.parsed::<Message>(line) {
                    self.error = Some(error.message);
                }
            }
            Some("item.started") => {
                if let Some(line) = self.counts.parsed::<ItemLine>(line) {
                    self.item_starts(&line.item);
                }
            }
            Some("item.completed") => {
                if let Some(line) = self.counts.parsed::<ItemLine>(line) {
                    self.item_ends(line.item);
                }
            }
            Some(_) => self.counts.unknown += 1,
        }
    }

    fn end(self: Box<Self>, too_long: u64) -> Said {
        let warning = self.counts.warning(OutputFormat::CodexJson);
        Said {
            result: self.last_text,
            error: self.error,
            facts: json!({
                "lines": self.counts.lines,
                "unknown": self.counts.unknown,
                "malformed": self.counts.malformed,
                "too_long": too_long,
                "thread_id": self.thread_id,
            }),
            warning,
        }
    }
}
