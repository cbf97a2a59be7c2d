//! Reads all inputs on all cores, and gives each call that passes the filter to a [`Fold`].

mod queue;

use std::{
    io::{self, Read},
    num::NonZero,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::Arc,
    thread,
};

use crate::{
    Call, Filter, Fold, Input, Place, Problem, Seen,
    call::MAX_PROBLEMS,
    lines::{Line, LineReader, Range},
    pricing::{Pricer, Pricing},
    scan::queue::{Part, Queue, Task, Text},
};

/// Reads all inputs.
pub fn scan<F: Fold>(inputs: &[Input], filter: &Filter, make: impl Fn() -> F + Sync) -> (F, Seen) {
    let queue = Queue::new(inputs, filter);
    let run = |first: Option<Task>| {
        let mut worker = Worker {
            queue: &queue,
            filter,
            fold: make(),
            seen: Found::default(),
            reader: LineReader::default(),
            pricer: filter.prices.as_ref().map(Pricer::new),
        };
        worker.run(first);
        (worker.fold, worker.seen)
    };
    // Threads only where there is more than one thing to do.
    let (first, more) = queue.first();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let helpers = if more { cores - 1 } else { 0 };
    let (mut fold, mut found) = (make(), Found::default());
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..helpers).map(|_| scope.spawn(|| run(None))).collect();
        let mine = run(first);
        let others = threads.into_iter().filter_map(|it| it.join().ok());
        for (other, seen) in others.chain([mine]) {
            fold.merge(other);
            found.merge(seen);
        }
    });
    (fold, found.into_seen())
}

/// What one thread comes upon.
#[derive(Default)]
struct Found {
    seen: Seen,
    unusable: Vec<(Place, String)>,
    unreadable: Vec<(PathBuf, String)>,
}

impl Found {
    fn merge(&mut self, other: Self) {
        let (seen, more) = (&mut self.seen, other.seen);
        seen.files += more.files;
        seen.calls += more.calls;
        seen.matching += more.matching;
        seen.others += more.others;
        seen.unusable += more.unusable;
        seen.unreadable += more.unreadable;
        seen.missing += more.missing;
        seen.parts.extend(more.parts);
        self.unusable.extend(other.unusable);
        self.unreadable.extend(other.unreadable);
    }

    fn unreadable(&mut self, path: PathBuf, reason: String, is_named: bool) {
        self.seen.unreadable += 1;
        self.seen.missing += u64::from(is_named);
        self.unreadable.push((path, reason));
        if self.unreadable.len() > 2 * MAX_PROBLEMS {
            self.unreadable.sort_unstable();
            self.unreadable.truncate(MAX_PROBLEMS);
        }
    }

    fn unusable(&mut self, place: Place, reason: String) {
        self.seen.unusable += 1;
        self.unusable.push((place, reason));
        if self.unusable.len() > 2 * MAX_PROBLEMS {
            self.sort_unusable();
            self.unusable.truncate(MAX_PROBLEMS);
        }
    }

    /// In the same order whatever thread came upon them.
    fn sort_unusable(&mut self) {
        self.unusable.sort_unstable_by(|(one, _), (other, _)| {
            let key = |it: &Place| (it.part, it.line);
            (&one.source.path, key(one)).cmp(&(&other.source.path, key(other)))
        });
    }

    fn into_seen(mut self) -> Seen {
        self.sort_unusable();
        self.unreadable.sort_unstable();
        let of_files = self.unreadable.into_iter();
        let mut problems: Vec<_> = of_files
            .map(|(path, reason)| Problem {
                path,
                line: None,
                reason,
            })
            .collect();
        problems.extend(self.unusable.into_iter().map(|(place, reason)| Problem {
            path: place.source.path.clone(),
            line: Some(self.seen.line(&place)),
            reason,
        }));
        problems.truncate(MAX_PROBLEMS);
        Seen {
            problems,
            ..self.seen
        }
    }
}

struct Worker<'a, F> {
    queue: &'a Queue<'a>,
    filter: &'a Filter,
    fold: F,
    seen: Found,
    reader: LineReader,
    pricer: Option<Pricer<'a>>,
}

impl<F: Fold> Worker<'_, F> {
    fn run(&mut self, first: Option<Task>) {
        let mut task = first.or_else(|| self.queue.next());
        while let Some(next) = task {
            match next {
                Task::Open(closed) => match closed.open(self.filter) {
                    Ok(Some(opened)) => {
                        let part = self.queue.opened(opened);
                        self.part(part);
                    }
                    Ok(None) => self.queue.not_opened(),
                    Err(error) => {
                        self.queue.not_opened();
                        if error.kind() != io::ErrorKind::NotFound {
                            self.seen
                                .unreadable(closed.path(), error.to_string(), false);
                        } else if !closed.is_gone() {
                            let reason = "it has no metrics.jsonl".to_owned();
                            self.seen.unreadable(closed.path(), reason, false);
                        }
                    }
                },
                Task::Part(part) => self.part(part),
                Task::Refused(path, reason, is_named) => {
                    self.seen.unreadable(path, reason, is_named);
                }
            }
            task = self.queue.next();
        }
    }

    fn part(&mut self, part: Part) {
        let Self {
            fold,
            seen,
            filter,
            pricer,
            ..
        } = self;
        let pricing = pricer.as_ref().map(|it| it as &dyn Pricing);
        let source = &part.source;
        let mut text = part.text;
        let mut take = |line, content: &Line<'_>| match content {
            Line::Call(record) => {
                seen.seen.calls += 1;
                let call = Call {
                    record,
                    source,
                    part: part.number,
                    line,
                    pricing,
                };
                if filter.matches(&call) {
                    seen.seen.matching += 1;
                    fold.call(&call);
                }
            }
            Line::Unknown | Line::OtherLog => seen.seen.others += 1,
            Line::Unusable(reason) => {
                let place = Place {
                    source: Arc::clone(source),
                    part: part.number,
                    line,
                };
                seen.unusable(place, reason.clone());
            }
        };
        let read = match &mut text {
            Text::Plain(file) => {
                let mut file = At {
                    file,
                    at: part.range.from.saturating_sub(1),
                };
                self.reader.read(&mut file, part.range, &mut take)
            }
            Text::Stream(stream) => self.reader.read(stream, Range::ALL, &mut take),
        };
        let path = &source.path;
        if part.number == 0 {
            self.seen.seen.files += 1;
            if let Some(fault) = &source.metadata_fault {
                let path = source.metadata_path();
                self.seen.unreadable(path, fault.clone(), false);
            }
        }
        match read {
            Ok(read) => {
                if part.is_one_of_many {
                    let key = (source.serial, part.number);
                    self.seen.seen.parts.insert(key, read.lines);
                }
                if read.end < part.must_reach {
                    let reason = "it became shorter while it was read".to_owned();
                    self.seen.unreadable(path.clone(), reason, false);
                }
            }
            Err(error) => self.seen.unreadable(path.clone(), error.to_string(), false),
        }
    }
}

/// Reads a file from some place on, whoever else reads it.
struct At<'a> {
    file: &'a std::fs::File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
