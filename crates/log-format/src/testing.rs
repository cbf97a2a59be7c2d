//! What several test modules need: captured lines, hostile strings, a sink under the test's control.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use crate::escape::is_unsafe;
use crate::{LineSink, LogFormat};

/// The lines that `format` makes of the events in `emit`, with their `\n`.
pub(crate) fn lines_with(format: LogFormat, emit: impl FnOnce()) -> Vec<String> {
    let lines = Arc::default();
    let capture = Capture {
        format,
        lines: Arc::clone(&lines),
    };
    tracing::subscriber::with_default(Registry::default().with(capture), emit);
    std::mem::take(&mut *lines.lock().unwrap())
}

/// The one line of the one event in `emit`, checked to be a line, without its `\n`.
pub(crate) fn line(emit: impl FnOnce()) -> String {
    let lines = lines_with(LogFormat::new(), emit);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines[0]
        .strip_suffix('\n')
        .expect("a line ends in a newline");
    assert!(!line.contains(is_unsafe), "{line:?}");
    line.to_owned()
}

/// The same without the second stamp and the space after it.
pub(crate) fn stampless(emit: impl FnOnce()) -> String {
    line(emit).split_off(crate::stamp::STAMP_LEN + 1)
}

/// The hostile strings, and each of them inside other text.
pub(crate) fn hostile_strings() -> Vec<String> {
    let list: Vec<String> =
        serde_json::from_str(include_str!("../tests/hostile-strings.json")).unwrap();
    assert!(list.len() > 50);
    let inside = list
        .iter()
        .map(|it| format!("a {it} b"))
        .collect::<Vec<_>>();
    [list, inside].concat()
}

struct Capture {
    format: LogFormat,
    lines: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Vec::new();
        self.format.write_event(event, &mut line);
        self.lines
            .lock()
            .unwrap()
            .push(String::from_utf8(line).unwrap());
    }
}

/// What a [`ScriptedSink`] does with one write.
pub(crate) enum Step {
    /// Takes at most so many bytes.
    Take(usize),
    /// Fails.
    Fail(io::ErrorKind),
    /// Panics.
    Panic,
    /// Says on the first channel that it was reached, then waits for the second.
    Block(Sender<()>, Receiver<()>),
}

/// Follows a script, then takes everything; what it took can be read.
#[derive(Clone, Default)]
pub(crate) struct ScriptedSink(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    steps: std::collections::VecDeque<Step>,
    taken: Vec<u8>,
    writes: usize,
}

impl ScriptedSink {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let res = Self::default();
        res.then(steps);
        res
    }

    pub(crate) fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.0.lock().unwrap().steps.extend(steps);
    }

    /// What was taken, stamps replaced by `T`.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().taken.clone()).unwrap();
        text.lines()
            .flat_map(|it| [without_stamp(it), "\n".to_owned()])
            .collect()
    }

    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }
}

fn without_stamp(line: &str) -> String {
    match line.get(..crate::stamp::STAMP_LEN) {
        Some(head) if crate::stamp::parse_stamp(head.as_bytes()).is_some() => {
            format!("T{}", &line[crate::stamp::STAMP_LEN..])
        }
        _ => line.to_owned(),
    }
}

/// A step that blocks, the news that it was reached, and the way to let it go on.
pub(crate) fn block() -> (Step, Receiver<()>, Sender<()>) {
    let (reached, is_reached) = channel();
    let (go_on, wait) = channel();
    (Step::Block(reached, wait), is_reached, go_on)
}

impl LineSink for ScriptedSink {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = {
            let mut script = self.0.lock().unwrap();
            script.writes += 1;
            script.steps.pop_front()
        };
        let len = match step {
            None => bytes.len(),
            Some(Step::Take(len)) => len.min(bytes.len()),
            Some(Step::Fail(kind)) => return Err(kind.into()),
            Some(Step::Panic) => panic!("as the test wants it"),
            Some(Step::Block(reached, wait)) => {
                let _ = reached.send(());
                let _ = wait.recv();
                bytes.len()
            }
        };
        self.0
            .lock()
            .unwrap()
            .taken
            .extend_from_slice(&bytes[..len]);
        Ok(len)
    }
}
