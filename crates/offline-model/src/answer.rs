//! The answer: a sentence for each step.

use crate::{
    plan::{Action, MAX_STEPS, Plan},
    progress::{Progress, State},
    text::cut,
};

/// The answer to a task that no rule fits.
const HELP: &str = "I am a small rule-based stand-in for a language model, and I have no rule for this \
                    task. I understand: calculate 7*6; tell the time; fetch http://127.0.0.1:8080/; \
                    run `ls -l`; read notes.txt; say hello. Steps are joined with \"and\", or with \
                    \"then\" where one must wait for the other.";

/// How the loop marks the output of a call that failed.
const ERROR_PREFIX: &str = "Error: ";
/// The most characters of a tool's output that the answer repeats.
const OUTPUT_CHARS: usize = 4000;
/// The most characters of the task's own words that a sentence repeats.
const LABEL_CHARS: usize = 120;

/// Puts into words what became of the plan.
pub(crate) fn answer(plan: &Plan<'_>, progress: &Progress<'_>) -> String {
    let is_unknown = |action: &Action<'_>| matches!(action, Action::Unknown { .. });
    if plan.steps.iter().all(|step| is_unknown(&step.action)) {
        return HELP.to_owned();
    }
    let is_calculation = |action: &Action<'_>| matches!(action, Action::Calculate { .. });
    let n_calculations = plan
        .steps
        .iter()
        .filter(|step| is_calculation(&step.action));
    let several = n_calculations.count() > 1;
    let mut sentences: Vec<String> = plan
        .steps
        .iter()
        .zip(progress.states())
        .map(|(step, state)| sentence(&step.action, state, several))
        .collect();
    if plan.more {
        sentences.push(format!(
            "I do at most {MAX_STEPS} steps; the rest of the task is left out."
        ));
    }
    sentences.join("\n")
}

fn sentence(action: &Action<'_>, state: &State<'_>, several: bool) -> String {
    let label = || label(action);
    match state {
        State::NoTool => match action {
            Action::Say { text } => (*text).to_owned(),
            _ => format!("I have no rule for: {}", label()),
        },
        State::NotOffered { tool } => {
            format!("I have no tool to {}: `{tool}` is not offered.", label())
        }
        State::Pending { .. } | State::Asked { output: None } => {
            format!("{} gave no output.", label())
        }
        State::Asked {
            output: Some(output),
        } => match output.strip_prefix(ERROR_PREFIX) {
            Some(reason) => format!("{} failed: {}", label(), cut(reason.trim(), OUTPUT_CHARS)),
            None if output.trim().is_empty() => nothing(action),
            None => success(action, output.trim(), several),
        },
    }
}

/// What an empty output says about its step.
fn nothing(action: &Action<'_>) -> String {
    match action {
        Action::Run { command } => format!("`{}` printed nothing.", cut(command, LABEL_CHARS)),
        Action::Read { path } => format!("{} is empty.", cut(path, LABEL_CHARS)),
        _ => format!("{} gave no output.", label(action)),
    }
}

/// What a tool's output says about its step.
fn success(action: &Action<'_>, output: &str, several: bool) -> String {
    let shown = cut(output, OUTPUT_CHARS);
    match action {
        Action::Calculate { expression } if several => {
            let expression = cut(expression, LABEL_CHARS);
            format!("The result of {expression} is {shown}.")
        }
        Action::Calculate { .. } => format!("The result is {shown}."),
        Action::Time => format!("The time is {shown}."),
        Action::Fetch { url } => {
            let url = cut(url, LABEL_CHARS);
            match status_and_body(output) {
                Some((status, "")) => format!("{url} answered HTTP {status} without a body."),
                Some((status, body)) => {
                    format!("{url} answered HTTP {status}: {}", cut(body, OUTPUT_CHARS))
                }
                None => format!("{url} answered: {shown}"),
            }
        }
        Action::Run { command } => {
            format!("`{}` printed: {shown}", cut(command, LABEL_CHARS))
        }
        Action::Read { path } => {
            format!("{} says: {shown}", cut(path, LABEL_CHARS))
        }
        Action::List { path } => {
            format!("{} holds:\n{shown}", cut(path, LABEL_CHARS))
        }
        Action::RunOn { host, command } => {
            let (host, command) = (cut(host, LABEL_CHARS), cut(command, LABEL_CHARS));
            format!("`{command}` on {host} printed: {shown}")
        }
        Action::Say { text } | Action::Unknown { text } => (*text).to_owned(),
    }
}

/// The code and the body of an output that begins with a line such as `HTTP 200 OK`.
fn status_and_body(output: &str) -> Option<(&str, &str)> {
    let (status_line, body) = output.split_once('\n').unwrap_or((output, ""));
    let code = status_line.strip_prefix("HTTP ")?.split(' ').next()?;
    let is_code = code.len() == 3 && code.bytes().all(|it| it.is_ascii_digit());
    is_code.then_some((code, body.trim()))
}

/// A step in the task's own words.
fn label(action: &Action<'_>) -> String {
    match action {
        Action::Calculate { expression } => format!("calculate {}", cut(expression, LABEL_CHARS)),
        Action::Time => "tell the time".to_owned(),
        Action::Fetch { url } => format!("fetch {}", cut(url, LABEL_CHARS)),
        Action::Run { command } => format!("run `{}`", cut(command, LABEL_CHARS)),
        Action::Read { path } => format!("read {}", cut(path, LABEL_CHARS)),
        Action::List { path } => format!("list files in {}", cut(path, LABEL_CHARS)),
        Action::RunOn { host, command } => {
            let (host, command) = (cut(host, LABEL_CHARS), cut(command, LABEL_CHARS));
            format!("run `{command}` on {host}")
        }
        Action::Say { text } | Action::Unknown { text } => cut(text, LABEL_CHARS).into_owned(),
    }
}
