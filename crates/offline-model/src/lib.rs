//! A stand-in for a language model: a few fixed rules, no network, no key.
//!
//! [`OfflineModel`] reads the task, which is the first user message, asks for the tools that the task
//! names, and puts their outputs into an answer. It is honest about what it is: a task that it has no
//! rule for is answered with the list of those it has, a failed tool call is reported as failed, and it
//! counts no tokens, as there are none. The same conversation always gives the same reply.
//!
//! # Grammar
//!
//! A task is one or more steps. Words are compared without regard to case, and a verb may end in `:`.
//!
//! | step | asks for | answers |
//! |---|---|---|
//! | `calculate`, `compute` or `evaluate`, and an expression | `calculate` | `The result is 42.` |
//! | `what is` or `what's`, and an expression that begins like a number | `calculate` | `The result is 42.` |
//! | an expression by itself: `7*6`, `(2 + 3) * 4` | `calculate` | `The result is 42.` |
//! | `time`, `date`, `tell me the time`, `what time is it`, `what is the date` | `get_current_time` | `The time is 2025-12-15T04:08:08Z.` |
//! | `fetch`, `get` or `download`, and a URL | `http_request` | `http://… answered HTTP 200: …` |
//! | ``run `command` ``, ``sh `command` `` | `shell_exec` | `` `command` printed: … `` |
//! | `run: command`, `sh: command`: all the rest of the line | `shell_exec` | `` `command` printed: … `` |
//! | `read`, `read file` or `read the file`, and a path | `read_file` | `notes.txt says: …` |
//! | `list files` or `list the files in`, and a path | `list_dir` | `logs holds: …` |
//! | ``on host run `command` `` | `ssh_exec` | `` `command` on host printed: … `` |
//! | `say`, and a text | no tool | the text |
//!
//! - A URL contains `://` and no space. A path or a URL with spaces stands in backticks; a backticked
//!   text ends on its line and is never split.
//! - A step ends where `and`, `then`, a comma, a semicolon, a full stop, `?`, `!` or a new line is
//!   followed by the beginning of another step, and nowhere else: `say salt and pepper` is one step.
//! - `please`, `also`, `now`, `first`, `just`, `can`, `could` and `you` between steps say nothing.
//! - **`then` begins a new turn**; all other steps are asked for in parallel, in one turn.
//! - Each step answers one sentence, on a line of its own. If several steps calculate, the sentences
//!   name the expressions: `The result of 2+3 is 5.`
//! - Text that belongs to no step is quoted in the answer: `I have no rule for: …`. Of a longer
//!   task the first [`MAX_STEPS`] steps are done, and the answer says so.
//! - A tool that the request does not offer is not asked for; the answer says which one is missing.
//!
//! A request without tools whose last message is a user message that begins with `Summarize` is
//! answered with the beginning of the text behind its first blank line: the sentences that fit 150
//! characters, or else as many words, and `…`.
//!
//! # As a supervisor
//!
//! If `spawn_worker` is among the tools, the model hands the work to others instead of doing it. It understands nothing of
//! the goal but where its parts end, each of which becomes the task of one worker:
//!
//! - A part ends with its line, at a semicolon, behind a sentence's `.`, `!` or `?`, and before `and then`. A text in
//!   backticks is never split. A mark such as `-` or `2.` before a part is left out.
//! - Workers of parts work side by side; a part behind `and then`, or that begins with `then`, waits for those before
//!   it. No worker sees what another one found.
//! - Once all have ended it asks for the metrics of the slowest. The answer says how many succeeded and which did not, then
//!   each part with what its worker answered, head included, and where the slowest one's time went.
//! - The first [`MAX_STEPS`] parts are done, and the answer says so. Nothing is tried twice.
//!
//! # Example
//!
//! ```
//! use offline_model::OfflineModel;
//! use worker_runner::{ChatModel, ChatRequest, Message, Role, ToolDefinition};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), worker_runner::ModelError> {
//! let tools = [ToolDefinition {
//!     name: "calculate".to_owned(),
//!     description: String::new(),
//!     parameters: serde_json::json!({"type": "object"}),
//! }];
//! let mut messages = vec![Message::text(Role::User, "calculate 7*6")];
//!
//! let request = ChatRequest { messages: &messages, tools: &tools };
//! let first = OfflineModel::new().chat(request).await?.message;
//! assert_eq!(first.tool_calls[0].arguments, r#"{"expression":"7*6"}"#);
//!
//! let output = Message::tool_output(&first.tool_calls[0].id, "42");
//! messages.extend([first, output]);
//! let request = ChatRequest { messages: &messages, tools: &tools };
//! let second = OfflineModel::new().chat(request).await?.message;
//! assert_eq!(second.content, "The result is 42.");
//! # Ok(())
//! # }
//! ```

mod model;

mod answer;
mod plan;
mod progress;
mod summary;
mod supervise;
mod verbs;
mod words;

mod text;

pub use crate::{
    model::{OFFLINE_MODEL, OfflineModel},
    plan::MAX_STEPS,
};
