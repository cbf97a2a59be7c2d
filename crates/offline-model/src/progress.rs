//! How far a conversation has come with a plan.

use std::collections::{HashMap, HashSet};

use worker_runner::{Message, Role, ToolDefinition, ToolRequest};

/// What a step wants: a tool's name and the arguments as JSON, if it takes one, and the turn to ask for it in.
pub(crate) type Wish = (Option<(&'static str, String)>, usize);

/// What has become of each step of a plan, in its order.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    states: Vec<State<'a>>,
}

/// What has become of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State<'a> {
    /// It takes no tool.
    NoTool,
    /// Its tool is not offered.
    NotOffered { tool: &'static str },
    /// Its tool is to be asked for.
    Pending {
        tool: &'static str,
        arguments: String,
        turn: usize,
    },
    /// Its tool was asked for; `None` if no output came.
    Asked { output: Option<&'a str> },
}

impl<'a> Progress<'a> {
    /// Compares what the steps want with the messages behind the task.
    pub(crate) fn new(
        wishes: impl Iterator<Item = Wish>,
        messages: &'a [Message],
        tools: &[ToolDefinition],
    ) -> Self {
        let offered: HashSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let outputs: HashMap<&str, &str> = messages
            .iter()
            .filter(|message| message.role == Role::Tool)
            .filter_map(|message| {
                Some((message.tool_call_id.as_deref()?, message.content.as_str()))
            })
            .collect();
        // By what was asked rather than by id, so that calls that are not ours confuse nothing.
        let mut calls: Vec<&ToolRequest> = messages
            .iter()
            .flat_map(|message| &message.tool_calls)
            .collect();
        let states = wishes.map(|(wish, turn)| {
            let Some((tool, arguments)) = wish else {
                return State::NoTool;
            };
            let call = calls
                .iter()
                .position(|call| call.name == tool && call.arguments == arguments)
                .map(|at| calls.remove(at));
            match call {
                Some(call) => State::Asked {
                    output: outputs.get(call.id.as_str()).copied(),
                },
                None if offered.contains(tool) => State::Pending {
                    tool,
                    arguments,
                    turn,
                },
                None => State::NotOffered { tool },
            }
        });
        Self {
            states: states.collect(),
        }
    }

    /// What has become of the steps.
    pub(crate) fn states(&self) -> &[State<'a>] {
        &self.states
    }

    /// The calls of the next turn; none if the plan is through.
    pub(crate) fn next_requests(&self, conversation: &[Message]) -> Vec<ToolRequest> {
        let turn_of = |state: &State<'_>| match state {
            State::Pending { turn, .. } => Some(*turn),
            _ => None,
        };
        let next_turn = self.states.iter().find_map(turn_of);
        let mut last_id = conversation
            .iter()
            .flat_map(|message| &message.tool_calls)
            .filter_map(|call| call.id.strip_prefix("call_")?.parse::<u32>().ok())
            .map(u64::from)
            .max()
            .unwrap_or(0);
        let mut res = Vec::new();
        for state in &self.states {
            if let State::Pending {
                tool,
                arguments,
                turn,
            } = state
                && Some(*turn) == next_turn
            {
                last_id += 1;
                res.push(ToolRequest {
                    id: format!("call_{last_id}"),
                    name: (*tool).to_owned(),
                    arguments: arguments.clone(),
                });
            }
        }
        res
    }
}
