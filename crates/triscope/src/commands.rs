//! The commands, a module each where there is something to them.

mod analysis;
mod ask;
mod completions;
mod demo;
mod demo_server;
mod doctor;
mod exec;
mod grep;
mod man;
pub(crate) mod mcp;
mod prices;
mod prune;
mod queue;
mod read;
mod run;
mod watch;
mod work;

use std::path::Path;

use anyhow::Context as _;
use artifact_store::{IfMissing, Metadata, RecordMode};
use model_prices::PriceTable;
use supervisor_tools::{ToolFailure, one_line};

use crate::{
    app::App,
    cli::{Cli, Command},
    exit::Exit,
    models::Models,
    output,
    tools::ToolArgs,
};

/// The commands that neither wait for anything nor write, but an index: they answer before a runtime would have started.
pub(crate) fn at_once(cli: &Cli) -> Option<Exit> {
    let common = &cli.common;
    Some(match &cli.command {
        Command::Report(arguments) => analysis::report(common, arguments),
        Command::Slow(arguments) => analysis::slow(common, arguments),
        Command::Failures(arguments) => analysis::failures(common, arguments),
        Command::Histogram(arguments) => analysis::histogram(common, arguments),
        Command::Timeline(arguments) => analysis::timeline(common, arguments),
        Command::Compare(arguments) => analysis::compare(common, arguments),
        Command::Grep(arguments) if !arguments.paths.is_empty() => grep::lines(arguments),
        _ => return None,
    })
}

pub(crate) async fn run(cli: Cli) -> Exit {
    // These do without a store, or want it untouched.
    match &cli.command {
        Command::Doctor(arguments) => return doctor::doctor(&cli.common, arguments),
        Command::Prices(arguments) => return prices::prices(&cli.common, arguments),
        Command::Completions(arguments) => return completions::completions(arguments),
        Command::Man => return man::man(),
        _ => {}
    }
    let prices = match prices::table(cli.common.prices.as_deref()) {
        Ok(prices) => prices,
        Err(error) => return output::fail(Exit::Usage, &error.into()),
    };
    let models = match cli.command.models(prices) {
        Ok(models) => models,
        Err(error) => return output::fail(Exit::Usage, &error),
    };
    let (common, mode) = (&cli.common, cli.command.recording());
    let mut demo_server = None;
    let app = match &cli.command {
        Command::Demo(_) => demo::open(common, mode, models).map(|(app, server)| {
            demo_server = Some(server);
            app
        }),
        // The worker's tools work where the program was called.
        Command::Run(_) | Command::Ask(_) | Command::Spawn(_) | Command::Mcp(_) => {
            std::env::current_dir()
                .context("cannot tell the current directory")
                .and_then(|root| App::open(common, IfMissing::Create, &root, mode, models))
        }
        Command::Work(arguments) => {
            App::open_for(arguments.concurrency.get(), common, mode, models)
        }
        Command::Exec(_) => App::open(common, IfMissing::Create, Path::new("."), mode, models),
        _ => App::open(common, IfMissing::Refuse, Path::new("."), mode, models),
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => return output::fail(Exit::Unusable, &error),
    };
    let told = tell_of_recoveries(&app, 0);
    let exit = match cli.command {
        Command::Demo(_) => match demo_server {
            Some(server) => demo::demo(&app, server).await,
            None => Ok(Exit::Done), // Opened together above.
        },
        Command::Run(arguments) => run::run(&app, arguments).await,
        Command::Ask(arguments) => ask::ask(&app, arguments).await,
        Command::Spawn(arguments) => queue::spawn(&app, arguments).await,
        Command::Work(arguments) => work::work(&app, arguments).await,
        Command::Wait(arguments) => queue::wait(&app, arguments).await,
        Command::Cancel(arguments) => queue::cancel(&app, arguments).await,
        Command::Exec(arguments) => exec::exec(&app, arguments).await,
        Command::Workers(arguments) if arguments.watch => watch::watch(&app, arguments).await,
        Command::Mcp(arguments) => mcp::mcp(&app, arguments).await,
        Command::Workers(arguments) => read::workers(&app, arguments).await,
        Command::Result(arguments) => read::result(&app, arguments).await,
        Command::File(arguments) => read::file(&app, arguments).await,
        Command::Grep(arguments) => read::grep(&app, arguments).await,
        Command::Meta(arguments) => read::meta(&app, arguments).await,
        Command::Trace(arguments) => read::trace(&app, arguments).await,
        Command::Prune(arguments) => prune::prune(&app, arguments).await,
        _ => Ok(Exit::Done), // Done above.
    };
    let exit = exit.unwrap_or_else(|failure| failed(&failure));
    tell_of_recoveries(&app, told);
    // Dropping the app waits for the last log lines.
    exit
}

impl Command {
    fn models(&self, prices: PriceTable) -> anyhow::Result<Models> {
        match self {
            Self::Demo(arguments) => Models::new(&arguments.models, &ToolArgs::default(), prices),
            Self::Run(arguments) => Models::new(&arguments.models, &arguments.tools, prices),
            Self::Ask(arguments) => Models::with_worker_model(
                &arguments.models,
                arguments.worker_model.as_deref(),
                &arguments.tools,
                prices,
            ),
            Self::Spawn(arguments) => {
                Models::for_others(&arguments.models, &arguments.tools, prices)
            }
            Self::Mcp(arguments) => Models::new(&arguments.models, &arguments.tools, prices),
            _ => Ok(Models::none(prices)),
        }
    }

    fn recording(&self) -> RecordMode {
        match self {
            Self::Demo(arguments) => arguments.recording.mode,
            Self::Run(arguments) => arguments.recording.mode,
            Self::Ask(arguments) => arguments.recording.mode,
            Self::Work(arguments) => arguments.recording.mode,
            Self::Exec(arguments) => arguments.recording.mode,
            Self::Mcp(arguments) => arguments.recording.mode,
            _ => RecordMode::default(),
        }
    }
}

/// The worker of a job's last attempt.
fn last_attempt(workers: Vec<Metadata>, job: u64) -> Option<Metadata> {
    let of_job = workers.into_iter().filter(|it| it.job_id == Some(job));
    of_job.max_by_key(|it| (it.attempt, it.created_at))
}

/// Says what came back of a damaged job book, unless it is one of the first `told`, which were told before.
fn tell_of_recoveries(app: &App, told: usize) -> usize {
    let recoveries = app.supervisor.book().recoveries();
    for recovery in recoveries.iter().skip(told) {
        let recovery = one_line(&recovery.to_string());
        output::note(&format!("warning: {recovery}"));
    }
    recoveries.len()
}

/// Says why a tool refused: on stderr, so that stdout holds answers only.
fn failed(failure: &ToolFailure) -> Exit {
    output::note(&failure.to_string());
    match failure {
        ToolFailure::Broken(_) => Exit::Unusable,
        _ => Exit::JobFailed,
    }
}
