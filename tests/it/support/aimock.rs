//! aimock, a third party's server that speaks OpenAI's and Anthropic's protocols, started for one test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::Background;

/// Names the program, where it is not in the project's tools or on the path.
const VARIABLE: &str = "TRISCOPE_LLMOCK";

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Aimock {
    _server: Background,
    _folder: TempDir,
    address: String,
}

impl Aimock {
    /// A server with these fixtures, the first that matches a request answers it.
    ///
    /// # Errors
    /// Why the test cannot run here: the program is not installed.
    pub(crate) fn start(fixtures: &Value, flags: &[&str]) -> Result<Self, String> {
        let program = program().ok_or(
            "`llmock` is not installed; `.ci/run` installs it, or `npm install --prefix target/tools @copilotkit/aimock`",
        )?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("fixtures.json");
        let fixtures = json!({"fixtures": fixtures}).to_string();
        fs::write(&file, fixtures).expect("a file can be written");
        let mut command = Command::new(program);
        command
            .args(["--port", "0", "--fixtures"])
            .arg(&file)
            .args(flags);
        let mut server = Background::start(&mut command);
        // It says so once it listens, and where.
        let address = loop {
            let line = server.next_line();
            assert!(!line.is_empty(), "the server ended: {:#?}", server.finish());
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.to_owned();
            }
        };
        Ok(Self {
            _server: server,
            _folder: folder,
            address,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.address)
    }
}

fn program() -> Option<PathBuf> {
    if let Some(program) = env::var_os(VARIABLE) {
        return Some(program.into());
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/node_modules/.bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = [tools].into_iter().chain(env::split_paths(&path));
    places.find_map(|it| Some(it.join("llmock")).filter(|it| it.is_file()))
}
