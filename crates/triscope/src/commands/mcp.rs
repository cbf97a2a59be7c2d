//! `triscope mcp`: serves the supervisor tools to MCP clients, until they or a signal end it.

use std::{env, fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, anyhow, bail};
use mcp_server::{Access, HttpError, HttpOptions, HttpServer, McpServer, Tokens};
use supervisor_tools::ToolFailure;
use tokio_util::sync::CancellationToken;

use super::run::LAST_GRACE;
use crate::{app::App, cli::Mcp, exit::Exit, output, signals::Signals};

/// Holds one token. An argument would be in the list of processes, for everybody to see.
pub(crate) const TOKEN_VARIABLE: &str = "TRISCOPE_MCP_TOKEN";
const MAX_TOKEN_FILE_BYTES: u64 = 1 << 20;

pub(crate) async fn mcp(app: &App, arguments: Mcp) -> Result<Exit, ToolFailure> {
    let mut signals = Signals::listen();
    let stop = CancellationToken::new();
    let serve = async {
        match arguments.http {
            None => {
                let server = McpServer::new(app.supervisor.clone(), &arguments.owner);
                mcp_server::serve_stdio(server, stop.clone()).await;
                Exit::Done
            }
            Some(_) => serve_http(app, &arguments, stop.clone()).await,
        }
    };
    tokio::pin!(serve);
    let (exit, is_over) = tokio::select! {
        exit = &mut serve => (exit, true),
        exit = signals.next() => (exit, false),
    };
    stop.cancel();
    let wind_up = async {
        // Side by side: whoever waits for a worker is told of its end.
        tokio::join!(app.supervisor.shut_down(), async {
            if !is_over {
                serve.await;
            }
        });
    };
    tokio::select! {
        () = wind_up => {}
        exit = signals.next() => {
            let _ = tokio::time::timeout(LAST_GRACE, app.supervisor.shut_down()).await;
            app.flush_log();
            std::process::exit(exit.code().into());
        }
    }
    Ok(exit)
}

async fn serve_http(app: &App, arguments: &Mcp, stop: CancellationToken) -> Exit {
    let Some(address) = arguments.http else {
        return Exit::Usage;
    };
    let access = match access(arguments) {
        Ok(access) => access,
        Err(error) => return output::fail(Exit::Usage, &error),
    };
    let options = HttpOptions {
        access,
        hosts: arguments.http_hosts.clone(),
        origins: arguments.http_origins.clone(),
    };
    let server = match HttpServer::bind(address, options).await {
        Ok(server) => server,
        Err(error @ HttpError::NeedsToken(_)) => {
            let hint = format!(
                "{error}\nhint: name a file with a line `OWNER TOKEN` with --tokens, or set {TOKEN_VARIABLE}"
            );
            return output::fail(Exit::Usage, &anyhow!(hint));
        }
        Err(error) => return output::fail(Exit::Unusable, &error.into()),
    };
    if let Err(exit) = output::try_print(&format!("Listening on {}", server.url())) {
        return exit;
    }
    server.serve(&app.supervisor, stop).await;
    Exit::Done
}

fn access(arguments: &Mcp) -> anyhow::Result<Access> {
    let variable = env::var_os(TOKEN_VARIABLE).filter(|it| !it.is_empty());
    Ok(match (&arguments.tokens, variable) {
        (Some(_), Some(_)) => bail!("give tokens either with --tokens or in {TOKEN_VARIABLE}"),
        (Some(file), None) => Access::Tokens(
            read_tokens(file).with_context(|| format!("the tokens in `{}`", file.display()))?,
        ),
        (None, Some(token)) => {
            let token = token.to_str().context(TOKEN_VARIABLE)?;
            Access::Tokens(Tokens::one(&arguments.owner, token).context(TOKEN_VARIABLE)?)
        }
        (None, None) => Access::Anybody {
            owner: arguments.owner.clone(),
        },
    })
}

fn read_tokens(path: &Path) -> anyhow::Result<Tokens> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    // In a container the file may belong to somebody else, so it is not for us to refuse.
    if metadata.permissions().mode() & 0o077 != 0 {
        output::note(&format!(
            "warning: others on this machine can read `{}`; chmod 600 keeps the tokens to yourself",
            path.display()
        ));
    }
    let mut text = String::new();
    file.take(MAX_TOKEN_FILE_BYTES).read_to_string(&mut text)?;
    Ok(Tokens::parse(&text)?)
}
