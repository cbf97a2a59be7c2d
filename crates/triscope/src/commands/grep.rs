//! `grep` of files: lines of a log, or of any other text.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::Context as _;
use artifact_store::{LineOptions, LineSearch};
use serde_json::json;

use crate::{
    cli::Grep,
    exit::Exit,
    output::{self, Lines},
};

pub(crate) fn lines(arguments: &Grep) -> Exit {
    let options = LineOptions {
        case_sensitive: arguments.case_sensitive,
        line_numbers: arguments.scope.json,
    };
    let mut search = match LineSearch::new(&arguments.pattern, options) {
        Ok(search) => search,
        Err(error) => return output::fail(Exit::Usage, &error.into()),
    };
    let mut exit = Exit::Done;
    let out = RefCell::new(Lines::new());
    // An array that can be read as it comes: what stands before its next element.
    let mut before = "[";
    let mut element = |value: &serde_json::Value| {
        out.borrow_mut().write(before, value.to_string().as_bytes());
        before = ",";
    };
    for path in &arguments.paths {
        let name = path.display().to_string();
        // As `grep` does: where there is one file, everybody knows which.
        let prefix = match arguments.paths.len() {
            1 => String::new(),
            _ => format!("{name}:"),
        };
        let mut n_lines = 0_u64;
        let searched = open(path).and_then(|text| {
            let text = FlushFirst(text, &out);
            let searched = search.lines(text, |number, line| {
                n_lines += 1;
                match (arguments.count, arguments.scope.json) {
                    (true, _) => {}
                    (false, false) => out.borrow_mut().write(&prefix, line),
                    (false, true) => {
                        let text = String::from_utf8_lossy(line);
                        let text = text.trim_end_matches(['\r', '\n']);
                        element(&json!({ "file": name, "line": number, "text": text }));
                    }
                }
                Ok(true)
            });
            searched.with_context(|| format!("cannot read `{name}`"))
        });
        match searched {
            Err(error) => {
                out.borrow_mut().flush();
                exit = output::fail(Exit::JobFailed, &error);
                continue;
            }
            Ok(0) => {}
            Ok(n_cut) => output::note(&format!(
                "warning: `{name}`: only the beginning was searched of lines of more than 4 MiB: {n_cut}"
            )),
        }
        match (arguments.count, arguments.scope.json) {
            (false, _) => {}
            (true, false) => out
                .borrow_mut()
                .write(&prefix, n_lines.to_string().as_bytes()),
            (true, true) => element(&json!({ "file": name, "count": n_lines })),
        }
    }
    let mut out = out.borrow_mut();
    if arguments.scope.json {
        out.write(if before == "[" { "[" } else { "" }, b"]");
    }
    out.flush();
    exit
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let opened: io::Result<Box<dyn Read + Send>> = if path == Path::new("-") {
        Ok(Box::new(io::stdin()))
    } else {
        File::open(path).and_then(|file| {
            if file.metadata()?.is_dir() {
                return Err(io::Error::other(
                    "it is a directory; give its files, or for workers --data-dir and no PATH",
                ));
            }
            Ok(Box::new(file) as _)
        })
    };
    let opened = opened.with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(metrics_analysis::unpacked(opened))
}

/// A text for whose next piece may have to be waited: what was found until then is shown first.
struct FlushFirst<'a>(Box<dyn Read + Send>, &'a RefCell<Lines>);

impl Read for FlushFirst<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.1.borrow_mut().flush();
        self.0.read(bytes)
    }
}
