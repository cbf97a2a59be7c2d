//! The commands that ask about calls: `report`, `slow`, `failures`, `histogram`, `timeline`, `compare`.

mod places;

use std::{
    fs,
    io::{ErrorKind, IsTerminal as _},
    mem,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use artifact_store::{ArtifactStore, IfMissing, StoreOptions, WorkerFilter};
use metrics_analysis::{
    Cell, EachDuration, Filter, Fold, Format, Groups, Input, MAX_KEYS, ReportOptions, Seen, Sort,
    Table, scan,
};
use metrics_core::Timestamp;
use supervisor_tools::JobRef;

use self::places::Places;
use super::prices;
use crate::{
    cli::{
        CallFilter, Calls, Common, Compare, Failures, Histogram, Report, Slow, Timeline,
        parse_moment,
    },
    exit::Exit,
    output,
};

/// How often a growing file is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn report(common: &Common, arguments: &Report) -> Exit {
    let Report { by, limit, .. } = arguments;
    if by.len() > MAX_KEYS {
        return usage(&format!("--by takes at most {MAX_KEYS} keys"));
    }
    let sort = match arguments.sort.as_ref().map(|it| Sort::by(it, by)) {
        Some(Err(problem)) => return usage(&format!("--sort: {problem}")),
        sort => sort.and_then(Result::ok),
    };
    let options = ReportOptions {
        by: by.clone(),
        sort,
        limit: *limit,
    };
    let with_metadata = by.iter().any(|it| it.needs_metadata());
    let asked = match Asked::new(common, &arguments.calls, with_metadata) {
        Ok(asked) => asked,
        Err(exit) => return exit,
    };
    let answer = || {
        let (groups, seen) = asked.scan(|| Groups::by(by));
        let groups = groups.into_groups();
        let cost = metrics_analysis::total_cost(&groups);
        let table = metrics_analysis::report(groups, &options);
        let at = table.columns.iter().position(|it| it.name == "percentiles");
        let is_exact =
            |row: &Vec<Cell>| at.is_none_or(|at| row[at] == Cell::Text("exact".to_owned()));
        let mut summary = seen.summary(table.rows.iter().all(is_exact));
        summary.extend(cost.map(|it| format!("\n{it}")));
        (asked.render(&table, &summary), seen)
    };
    if !arguments.follow {
        let (text, seen) = answer();
        return tell(&text, &seen);
    }
    if asked.places.read_stdin() {
        return usage("--follow reads files again and again, and standard input can be read once");
    }
    let is_terminal = std::io::stdout().is_terminal();
    let mut last = (String::new(), Vec::new());
    loop {
        let (text, seen) = answer();
        let told = (text, seen.complaints());
        if told != last {
            // To the upper left corner of an empty screen.
            let clear = if is_terminal { "\x1b[H\x1b[2J" } else { "" };
            output::print_with(clear, &told.0);
            complain(&told.1);
            last = told;
        }
        thread::sleep(LOOK);
    }
}

pub(super) fn slow(common: &Common, arguments: &Slow) -> Exit {
    answer(common, &arguments.calls, |asked| {
        let (slowest, seen) = asked.scan(|| metrics_analysis::Slowest::new(arguments.limit));
        (slowest.into_table(&seen), None, seen)
    })
}

pub(super) fn failures(common: &Common, arguments: &Failures) -> Exit {
    answer(common, &arguments.calls, |asked| {
        let (failures, seen) = asked.scan(metrics_analysis::Failures::default);
        (failures.into_table(&seen, arguments.limit), None, seen)
    })
}

pub(super) fn histogram(common: &Common, arguments: &Histogram) -> Exit {
    answer(common, &arguments.calls, |asked| {
        if arguments.each {
            let (each, seen) = asked.scan(EachDuration::default);
            return (each.into_table(), None, seen);
        }
        let (histogram, seen) = asked.scan(metrics_analysis::Histogram::default);
        let is_exact = histogram.durations().is_exact();
        (histogram.table(), Some(is_exact), seen)
    })
}

/// Asks and prints. With the table comes whether its percentiles are exact, if it has any.
fn answer(
    common: &Common,
    calls: &Calls,
    ask: impl FnOnce(&Asked<'_>) -> (Table, Option<bool>, Seen),
) -> Exit {
    let asked = match Asked::new(common, calls, false) {
        Ok(asked) => asked,
        Err(exit) => return exit,
    };
    let (table, is_exact, seen) = ask(&asked);
    let summary = seen.summary(is_exact.unwrap_or(true));
    let summary = match is_exact {
        Some(_) => summary,
        None => summary.split(';').next().unwrap_or_default().to_owned() + ".",
    };
    let text = asked.render(&table, &summary);
    // The program ends with this: to give back each cell of a long table takes as long as to print it.
    mem::forget(table);
    tell(&text, &seen)
}

/// What is asked of which calls.
struct Asked<'a> {
    places: Places,
    filter: Filter,
    calls: &'a Calls,
}

impl<'a> Asked<'a> {
    fn new(common: &Common, calls: &'a Calls, with_metadata: bool) -> Result<Self, Exit> {
        let filter = filter(common, &calls.filter, with_metadata)?;
        let inputs = if calls.paths.is_empty() {
            vec![Input::Path(data_dir(common)?)]
        } else {
            calls.paths.iter().map(|it| input(common, it)).collect()
        };
        Ok(Self {
            places: Places::new(inputs),
            filter,
            calls,
        })
    }

    fn scan<F: Fold>(&self, make: impl Fn() -> F + Sync) -> (F, Seen) {
        self.places.scan(&self.filter, make)
    }

    /// The summary is for people: a program gets the rows and nothing else.
    fn render(&self, table: &Table, summary: &str) -> String {
        let text = table.render(self.calls.format);
        match self.calls.format {
            Format::Table if table.rows.is_empty() => format!("No such calls. {summary}\n"),
            Format::Table => format!("{text}\n{summary}\n"),
            _ => text,
        }
    }
}

fn filter(common: &Common, wanted: &CallFilter, with_metadata: bool) -> Result<Filter, Exit> {
    let prices = prices::table(common.prices.as_deref());
    let prices = prices.map_err(|error| output::fail(Exit::Usage, &error.into()))?;
    Ok(Filter {
        since: wanted.since,
        until: wanted.until,
        workers: wanted.worker.clone(),
        owners: wanted.owner.clone(),
        statuses: wanted.status.iter().map(ToString::to_string).collect(),
        models: wanted.model.clone(),
        tools: wanted.tool.clone(),
        phases: wanted.phase.clone(),
        condition: wanted.condition.clone(),
        with_metadata,
        prices: Some(prices),
    })
}

pub(super) fn timeline(common: &Common, arguments: &Timeline) -> Exit {
    let inputs = [input(common, &arguments.worker)];
    let make = metrics_analysis::Timeline::default;
    let (timeline, seen) = scan(&inputs, &Filter::default(), make);
    if seen.files > 1 {
        return usage("a timeline is of one worker; give its id, job number or directory");
    }
    let text = match arguments.format {
        Format::Table if seen.calls == 0 && seen.missing == 0 => "No calls.\n".to_owned(),
        // A pipe has no width.
        Format::Table => {
            let size = rustix::termios::tcgetwinsize(std::io::stdout());
            timeline.draw(size.map_or(100, |it| it.ws_col.into()))
        }
        format => timeline.table().render(format),
    };
    tell(&text, &seen)
}

pub(super) fn compare(common: &Common, arguments: &Compare) -> Exit {
    let Compare { by, format, .. } = arguments;
    if by.len() > MAX_KEYS {
        return usage(&format!("--by takes at most {MAX_KEYS} keys"));
    }
    let with_metadata = by.iter().any(|it| it.needs_metadata());
    let wanted = match filter(common, &arguments.filter, with_metadata) {
        Ok(filter) => filter,
        Err(exit) => return exit,
    };
    let mut sides = Vec::new();
    let mut seen_of_both = Vec::new();
    let mut places = Vec::new();
    for side in [&arguments.a, &arguments.b] {
        let mut filter = wanted.clone();
        let input = match span(side) {
            None => input(common, side),
            Some((since, until)) => {
                filter.since = since.max(filter.since);
                filter.until = until.into_iter().chain(filter.until).min();
                match data_dir(common) {
                    Ok(data_dir) => Input::Path(data_dir),
                    Err(exit) => return exit,
                }
            }
        };
        let place = Places::new(vec![input]);
        let (groups, seen) = place.scan(&filter, || Groups::by(by));
        sides.push(groups.into_groups());
        seen_of_both.push(seen);
        places.push(place); // The answer does not wait for what an index does at its end.
    }
    let after = sides.pop().unwrap_or_default();
    let before = sides.pop().unwrap_or_default();
    let text = metrics_analysis::compare(by, before, after).render(*format);
    let exits = seen_of_both
        .iter()
        .zip([&*text, ""])
        .map(|(seen, text)| tell(text, seen));
    exits.max_by_key(|it| it.code()).unwrap_or(Exit::Done)
}

/// `FROM..TO`, unless a file is called so.
fn span(text: &Path) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    if text.exists() {
        return None;
    }
    let (from, to) = text.to_str()?.split_once("..")?;
    let end = |it: &str| match it {
        "" => Some(None),
        _ => parse_moment(it).ok().map(Some),
    };
    Some((end(from)?, end(to)?))
}

/// The data directory, which must be there and be readable.
pub(super) fn data_dir(common: &Common) -> Result<PathBuf, Exit> {
    let data_dir = artifact_store::data_dir(common.data_dir.as_deref())
        .map_err(|error| output::fail(Exit::Unusable, &error.into()))?;
    let error = match fs::read_dir(&data_dir) {
        Ok(_) => return Ok(data_dir),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            anyhow::anyhow!("no data directory `{}`", data_dir.display())
        }
        Err(error) => anyhow::Error::from(error).context(format!(
            "cannot read the data directory `{}`",
            data_dir.display()
        )),
    };
    Err(output::fail(Exit::Unusable, &error))
}

/// A path, or the id or the job number of a worker that is in the data directory.
pub(super) fn input(common: &Common, path: &Path) -> Input {
    if path == Path::new("-") {
        return Input::Stdin;
    }
    let is_name = path.components().count() == 1 && !path.exists();
    if is_name && let Ok(data_dir) = artifact_store::data_dir(common.data_dir.as_deref()) {
        let worker = data_dir.join(path);
        if worker.is_dir() {
            return Input::Path(worker);
        }
        if let Some(worker) = worker_of_job(common, &data_dir, path) {
            return Input::Path(worker);
        }
    }
    Input::Path(path.to_owned())
}

/// The directory of the worker of a job's last attempt.
fn worker_of_job(common: &Common, data_dir: &Path, number: &Path) -> Option<PathBuf> {
    let Ok(JobRef::Job(id)) = JobRef::parse(number.to_str()?) else {
        return None;
    };
    // Only a store is opened, as that makes a directory one.
    if !data_dir.join(".triscope").is_dir() {
        return None;
    }
    let options = StoreOptions {
        if_missing: IfMissing::Refuse,
        ..StoreOptions::default()
    };
    let store = ArtifactStore::open_with(data_dir, options).ok()?;
    super::doctor::tell_deaths(&store, common);
    let list = store.list(&WorkerFilter::default()).ok()?;
    let worker = super::last_attempt(list.workers, id.get())?;
    Some(data_dir.join(worker.worker_id.as_str()))
}

/// Prints the answer, then what could not be used, so that an answer in a pipe stays one.
pub(super) fn tell(text: &str, seen: &Seen) -> Exit {
    if !text.is_empty() {
        output::print(text);
    }
    complain(&seen.complaints());
    if seen.missing > 0 {
        return Exit::JobFailed;
    }
    Exit::Done
}

fn complain(lines: &[String]) {
    for line in lines {
        output::note(line);
    }
}

fn usage(problem: &str) -> Exit {
    output::note(&format!("error: {problem}"));
    Exit::Usage
}
