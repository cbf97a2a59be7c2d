//! The options of `verify`, read by hand: there are few, and xtask compiles before all else.

/// What `--help` prints.
pub(super) const USAGE: &str = "\
usage: cargo xtask verify [--quick | --full | --tier N] [--list] [--verbose]

  --quick    format, clippy, unit and integration tests, tidy; no docs
  --full     everything, then the heavy steps: repeated runs, the release build and its demo, the licences
  --tier N   only the integration tests of tier 1, 2 or 3
  --list     print the steps and their commands, and run nothing
  --verbose  show all output as it comes, not only that of failing steps
";

/// Which steps are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Quick,
    Standard,
    Full,
    Tier(u8),
}

#[derive(Debug, PartialEq)]
pub(super) struct Options {
    pub(super) scope: Scope,
    pub(super) list: bool,
    pub(super) verbose: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Run(Options),
    Help,
}

/// Reads the words after `verify`; the error is a sentence for the person who typed them.
pub(super) fn parse(args: &[String]) -> Result<Request, String> {
    let mut options = Options {
        scope: Scope::Standard,
        list: false,
        verbose: false,
    };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let scope = match arg {
            "--help" | "-h" => return Ok(Request::Help),
            "--list" => {
                options.list = true;
                continue;
            }
            "--verbose" | "-v" => {
                options.verbose = true;
                continue;
            }
            "--quick" => Scope::Quick,
            "--full" => Scope::Full,
            "--tier" => tier(args.next().unwrap_or_default())?,
            other => match other.strip_prefix("--tier=") {
                Some(number) => tier(number)?,
                None => return Err(format!("no option `{other}`")),
            },
        };
        if options.scope != Scope::Standard {
            return Err("only one of `--quick`, `--full` and `--tier` at a time".into());
        }
        options.scope = scope;
    }
    Ok(Request::Run(options))
}

fn tier(number: &str) -> Result<Scope, String> {
    match number {
        "1" => Ok(Scope::Tier(1)),
        "2" => Ok(Scope::Tier(2)),
        "3" => Ok(Scope::Tier(3)),
        other => Err(format!("`--tier` is 1, 2 or 3, not `{other}`")),
    }
}

#[cfg(test)]
mod tests;
