//! A task split into steps.

#[cfg(test)]
mod tests;

use serde_json::json;

use crate::{
    progress::Wish,
    verbs::{Opening, opening},
    words::{Kind, Words},
};

/// The most steps of a task that are done.
pub const MAX_STEPS: usize = 32;

/// Words between steps that say nothing.
const FILLERS: [&str; 8] = [
    "please", "also", "now", "first", "just", "can", "could", "you",
];

/// What a task asks for, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    pub(crate) steps: Vec<Step<'a>>,
    /// Whether there were more than [`MAX_STEPS`] steps.
    pub(crate) more: bool,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step<'a> {
    pub(crate) action: Action<'a>,
    /// Steps of the same turn are asked for together.
    pub(crate) turn: usize,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    Calculate {
        expression: &'a str,
    },
    Time,
    Fetch {
        url: &'a str,
    },
    Run {
        command: &'a str,
    },
    Read {
        path: &'a str,
    },
    List {
        path: &'a str,
    },
    RunOn {
        host: &'a str,
        command: &'a str,
    },
    Say {
        text: &'a str,
    },
    /// Text that is no step.
    Unknown {
        text: &'a str,
    },
}

impl Action<'_> {
    /// The tool that does it, if it takes one, and the arguments as JSON.
    pub(crate) fn tool_call(&self) -> Option<(&'static str, String)> {
        let (tool, arguments) = match self {
            Self::Calculate { expression } => ("calculate", json!({"expression": expression})),
            Self::Time => ("get_current_time", json!({})),
            Self::Fetch { url } => ("http_request", json!({"url": url})),
            Self::Run { command } => ("shell_exec", json!({"command": command})),
            Self::Read { path } => ("read_file", json!({"path": path})),
            Self::List { path } => ("list_dir", json!({"path": path})),
            Self::RunOn { host, command } => {
                ("ssh_exec", json!({"host": host, "command": command}))
            }
            Self::Say { .. } | Self::Unknown { .. } => return None,
        };
        Some((tool, arguments.to_string()))
    }
}

impl<'a> Plan<'a> {
    /// What each step wants.
    pub(crate) fn wishes(&self) -> impl Iterator<Item = Wish> {
        let steps = self.steps.iter();
        steps.map(|step| (step.action.tool_call(), step.turn))
    }

    /// Reads a task.
    pub(crate) fn new(task: &'a str) -> Self {
        let mut splitter = Splitter {
            task,
            steps: Vec::new(),
            turn: 0,
            open: None,
        };
        let mut words = Words::new(task);
        let mut more = false;
        let mut at_start = true;
        loop {
            let gap = Gap::take(&mut words, at_start);
            at_start = false;
            let found = if gap.parts_steps {
                opening(words)
            } else {
                None
            };
            match found {
                Some((opening, behind)) => {
                    splitter.close(false);
                    if splitter.steps.len() == MAX_STEPS {
                        more = true;
                        break;
                    }
                    splitter.begin(opening, words, behind, gap.then);
                    words = behind;
                }
                None => match words.next_token() {
                    Some(token) => splitter.go_on(token.start, token.end),
                    None => break,
                },
            }
        }
        splitter.close(true);
        more |= splitter.steps.len() > MAX_STEPS;
        splitter.steps.truncate(MAX_STEPS);
        Self {
            steps: splitter.steps,
            more,
        }
    }
}

/// The words and marks that may stand between two steps.
#[derive(Debug)]
struct Gap {
    /// Whether a step may begin behind it.
    parts_steps: bool,
    /// Whether that step begins a new turn.
    then: bool,
}

impl Gap {
    fn take(words: &mut Words<'_>, at_start: bool) -> Self {
        let mut res = Self {
            parts_steps: at_start,
            then: false,
        };
        loop {
            let mut ahead = *words;
            let Some(token) = ahead.next_token() else {
                return res;
            };
            if token.kind == Kind::Break || token.is_one_of(&["and"]) {
                res.parts_steps = true;
            } else if token.is_one_of(&["then"]) {
                res.parts_steps = true;
                res.then = true;
            } else if !token.is_one_of(&FILLERS) {
                return res;
            }
            *words = ahead;
        }
    }
}

/// The step whose end has not been found yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    kind: OpenKind,
    /// Where its verb begins.
    verb: usize,
    /// Where its text begins.
    start: usize,
    /// Where its last word so far ends.
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenKind {
    Expression,
    Text,
    Unknown,
}

/// Puts the steps together as they are found.
#[derive(Debug)]
struct Splitter<'a> {
    task: &'a str,
    steps: Vec<Step<'a>>,
    turn: usize,
    open: Option<Open>,
}

impl<'a> Splitter<'a> {
    /// A step begins at `verb`, and `behind` follows what is known of it.
    fn begin(&mut self, opening: Opening<'a>, verb: Words<'a>, behind: Words<'a>, then: bool) {
        if then && !self.steps.is_empty() {
            self.turn += 1;
        }
        let start = self.task.len() - behind.rest().len();
        let open = |kind| Open {
            kind,
            verb: self.task.len() - verb.rest().len(),
            start,
            end: start,
        };
        let action = match opening {
            Opening::Expression => return self.open = Some(open(OpenKind::Expression)),
            Opening::Text => return self.open = Some(open(OpenKind::Text)),
            Opening::Calculate(expression) => Action::Calculate { expression },
            Opening::Time => Action::Time,
            Opening::Fetch(url) => Action::Fetch { url },
            Opening::Run(command) => Action::Run { command },
            Opening::Read(path) => Action::Read { path },
            Opening::List(path) => Action::List { path },
            Opening::RunOn(host, command) => Action::RunOn { host, command },
        };
        self.push(action);
    }

    /// A word belongs to the open step, or to none.
    fn go_on(&mut self, start: usize, end: usize) {
        let open = self.open.get_or_insert(Open {
            kind: OpenKind::Unknown,
            verb: start,
            start,
            end,
        });
        open.end = end;
    }

    /// The open step ends, at the end of the whole task or before another one.
    fn close(&mut self, at_end: bool) {
        let Some(open) = self.open.take() else {
            return;
        };
        let Open { start, end, .. } = open;
        let words = self.task[start..end].trim();
        match open.kind {
            // A verb without anything behind it.
            _ if words.is_empty() => {
                let text = self.task[open.verb..end].trim();
                self.push(Action::Unknown { text });
            }
            OpenKind::Expression => self.push(Action::Calculate { expression: words }),
            OpenKind::Unknown => self.push(Action::Unknown { text: words }),
            // At the end even the last full stop belongs to what is to be said.
            OpenKind::Text => {
                let end = if at_end { self.task.len() } else { end };
                let text = self.task[start..end].trim();
                self.push(Action::Say { text });
            }
        }
    }

    fn push(&mut self, action: Action<'a>) {
        let turn = self.turn;
        self.steps.push(Step { action, turn });
    }
}
