//! `cargo xtask prices PYTHON DATE`: makes the table of `crates/model-prices` from the Python package genai-prices.
//!
//! The same package and the same date give the same bytes; `--check` compares instead of writing.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};

use crate::{USAGE_ERROR, workspace::Workspace};

const USAGE: &str = "\
usage: cargo xtask prices PYTHON DATE [--check]

  PYTHON     a Python that can import genai_prices, such as `target/prices/bin/python` after
             `python3 -m venv target/prices && target/prices/bin/pip install genai-prices`
  DATE       the day the package was fetched, such as 2026-11-24
  --check    write nothing; fail if the files would change
";

/// Where the script and what it makes lie.
const FOLDER: &str = "crates/model-prices/data";

/// What a file is made with.
const FILES: &[(&str, &[&str])] = &[
    ("prices.json", &["table"]), // And the date.
    ("cases.json", &["cases", "7", "500"]),
    ("LICENSE", &["license"]),
];

/// The verb.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (python, date, is_check) = match args {
        [python, date] => (python, date, false),
        [python, date, check] if check == "--check" => (python, date, true),
        _ => {
            eprint!("{USAGE}");
            return Ok(USAGE_ERROR.into());
        }
    };
    let folder = Workspace::find()?.root().join(FOLDER);
    let mut changed = 0;
    for (name, arguments) in FILES {
        let mut script = Command::new(python);
        script.arg(folder.join("generate.py")).args(*arguments);
        if *arguments == ["table"] {
            script.arg(date);
        }
        let output = script
            .output()
            .with_context(|| format!("cannot run `{python}`"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`{python}` did not make {name}:\n{errors}"
        );
        let path = folder.join(name);
        // A file that is not there yet changes too.
        if fs::read(&path).is_ok_and(|it| it == output.stdout) {
            println!("{FOLDER}/{name} is as it was");
            continue;
        }
        changed += 1;
        if is_check {
            println!("{FOLDER}/{name} would change");
        } else {
            fs::write(&path, &output.stdout)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            println!("{FOLDER}/{name} has changed");
        }
    }
    Ok(u8::from(is_check && changed > 0).into())
}
