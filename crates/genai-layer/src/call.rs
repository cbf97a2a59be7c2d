//! A span's call: from what its fields tell to the event.

use metrics_collector::{
    CallKind, LlmTimer, MetricsCollector, ToolTimer, current_call, start_llm_call, start_tool_call,
};
use metrics_core::{ErrorText, WorkerId};
use tracing::Metadata;

use crate::{
    facts::{Facts, tells_answer, tells_error, tells_outcome},
    operation::Operation,
};

/// What a call is named until its fields say more.
const UNNAMED: &str = "unknown";

/// Why a call failed that has fields for an answer, no value in any, and nothing else to show that it was cut off.
const NO_RESPONSE: &str = "no response";

/// What a GenAI span is to its worker; kept with the span.
#[derive(Debug)]
pub(crate) struct Call {
    collector: MetricsCollector,
    facts: Facts,
    /// Which fields it has: what it could tell, and may not have told.
    metadata: &'static Metadata<'static>,
    /// A panic went through it.
    panicked: bool,
    /// The tool whose `tool_call` it began in.
    wrapped_in: Option<String>,
    timer: Timer,
}

#[derive(Debug)]
enum Timer {
    /// What the span does is not known yet.
    None,
    Model(LlmTimer<'static>),
    Tool(ToolTimer<'static>),
    /// It is no call, or one that is recorded elsewhere.
    Nothing,
}

/// How a call went.
enum Ending {
    Success,
    Failure(String),
    /// It was cut off; the collector knows why.
    CutOff,
}

impl Call {
    /// What a span, or an event, of a worker is.
    pub(crate) fn new(collector: MetricsCollector, metadata: &'static Metadata<'static>) -> Self {
        Self {
            collector,
            facts: Facts::default(),
            metadata,
            panicked: false,
            wrapped_in: None,
            timer: Timer::None,
        }
    }

    pub(crate) fn collector(&self) -> &MetricsCollector {
        &self.collector
    }

    pub(crate) fn worker_id(&self) -> &WorkerId {
        self.collector.worker_id()
    }

    pub(crate) fn operation(&self) -> Option<Operation> {
        self.facts.operation
    }

    /// The tool that it calls.
    pub(crate) fn tool(&self) -> Option<&str> {
        match self.timer {
            Timer::Tool(_) => self.facts.tool.as_deref(),
            _ => None,
        }
    }

    /// Takes in what is newly known; whether this began a model call.
    pub(crate) fn learn(&mut self, news: Facts) -> bool {
        let first_token = news.first_token && !self.facts.first_token;
        self.facts.add(news);
        let begins = matches!(self.timer, Timer::None) && self.begin();
        match &mut self.timer {
            Timer::Model(timer) => {
                if let Some(model) = self.facts.model() {
                    timer.model(model.to_owned());
                }
                if first_token {
                    timer.first_token();
                }
            }
            Timer::Tool(timer) => {
                if let Some(tool) = &self.facts.tool {
                    timer.tool(tool.clone());
                }
            }
            Timer::None | Timer::Nothing => {}
        }
        begins
    }

    /// Starts the call, once it is known what it is.
    fn begin(&mut self) -> bool {
        let Some(operation) = self.facts.operation else {
            return false;
        };
        let wrapper = current_call();
        let in_llm_call = wrapper.as_ref().is_some_and(|it| it.kind == CallKind::Llm);
        let collector = &self.collector;
        self.timer = match operation {
            Operation::Model(_) if in_llm_call => Timer::Nothing,
            Operation::Model(phase) => {
                Timer::Model(collector.scope_sync(|| start_llm_call(UNNAMED, phase)))
            }
            Operation::Tool => {
                self.wrapped_in = wrapper
                    .filter(|it| it.kind == CallKind::Tool)
                    .map(|it| it.name);
                Timer::Tool(collector.scope_sync(|| start_tool_call(UNNAMED)))
            }
            Operation::Around => Timer::Nothing,
        };
        matches!(self.timer, Timer::Model(_))
    }

    /// Leaves the recording to a model call of the same worker directly inside this one.
    pub(crate) fn give_way(&mut self) {
        if matches!(self.timer, Timer::Model(_))
            && let Timer::Model(timer) = std::mem::replace(&mut self.timer, Timer::Nothing)
        {
            timer.discard();
        }
    }

    /// Notes that a panic goes through it.
    pub(crate) fn panics(&mut self) {
        self.panicked = true;
    }

    /// Records the call, unless it is part of one of the same tool `around` it.
    pub(crate) fn end(self, around: Option<&str>) {
        let ending = self.ending();
        let facts = self.facts;
        match self.timer {
            Timer::Model(mut timer) => {
                timer.usage(facts.usage);
                if let Some(provider) = facts.provider() {
                    timer.provider(provider.to_owned());
                }
                match ending {
                    Ending::Success => timer.succeed(),
                    Ending::Failure(error) => timer.fail(error),
                    Ending::CutOff => drop(timer),
                }
            }
            Timer::Tool(timer)
                if facts.tool.is_some()
                    && (facts.tool.as_deref() == around || facts.tool == self.wrapped_in) =>
            {
                timer.discard();
            }
            Timer::Tool(mut timer) => {
                if let Some(id) = facts.tool_call_id {
                    timer.tool_call_id(id);
                }
                match ending {
                    Ending::Success => timer.succeed(),
                    Ending::Failure(error) => timer.fail(error),
                    Ending::CutOff => drop(timer),
                }
            }
            Timer::None | Timer::Nothing => {}
        }
    }

    fn ending(&self) -> Ending {
        if let Some(error) = self.facts.error() {
            Ending::Failure(error)
        } else if self.facts.answered {
            Ending::Success
        } else if self.panicked {
            Ending::Failure(ErrorText::PANICKED.to_string())
        } else if std::thread::panicking() || self.collector.interrupted().is_some() {
            Ending::CutOff
        } else {
            self.silent_ending()
        }
    }

    /// How a call went that told nothing: what it has fields for and left empty says it.
    fn silent_ending(&self) -> Ending {
        let has = |tells: fn(&str) -> bool| {
            // An event has no more to tell later.
            self.metadata.is_span() && self.metadata.fields().iter().any(|it| tells(it.name()))
        };
        let (must_answer, is_named) = match self.timer {
            Timer::Tool(_) => (has(tells_outcome), self.facts.tool.is_some()),
            _ => (has(tells_answer), self.facts.model().is_some()),
        };
        if !must_answer {
            Ending::Success
        } else if is_named && has(tells_error) {
            Ending::CutOff
        } else {
            Ending::Failure(NO_RESPONSE.to_owned())
        }
    }
}
