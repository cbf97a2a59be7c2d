//! A real `sshd` of the test's own: its port, its host key, the one key it lets in.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use tempfile::TempDir;
use worker_tools::{SshExecOptions, SshTarget};

use crate::support::{missing_program, sh};

/// A server for one test. Its sessions end with their connections.
pub(super) struct Server {
    folder: TempDir,
    target: SshTarget,
}

impl Server {
    /// Starts one, or says why that cannot be done here.
    pub(super) fn start() -> Result<Self, String> {
        if let Some(reason) = missing_program(&["ssh", "ssh-keygen", "id"]) {
            return Err(reason);
        }
        let sshd = sshd().ok_or("`sshd` is not installed")?;
        let folder = tempfile::tempdir().unwrap();
        let user = sh(folder.path(), "id -un").answer().trim().to_owned();
        if user == "root" {
            // Where it confines the part of itself that speaks to strangers.
            fs::create_dir_all("/run/sshd").map_err(|it| format!("no `/run/sshd`: {it}"))?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = format!("box={user}@127.0.0.1:{port}").parse();
        let this = Self {
            folder,
            target: target.map_err(|it| format!("no target: {it}"))?,
        };
        let key = this.new_key("key");
        let host_key = this.new_key("host_key");
        this.known_hosts("known_hosts", &host_key);
        let path = |name: &str| this.folder().join(name).display().to_string();
        fs::copy(key.with_extension("pub"), path("authorized_keys")).unwrap();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PubkeyAuthentication yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nAllowAgentForwarding yes\nLogLevel ERROR\n\
             SetEnv SHLVL=9\n", // So that bash reads no `.bashrc`, which may print anything.
            path("host_key"),
            path("authorized_keys"),
        );
        let config_path = path("sshd_config");
        fs::write(&config_path, config).unwrap();
        let checked = Command::new(&sshd)
            .args(["-t", "-f", &config_path])
            .output()
            .unwrap();
        if !checked.status.success() {
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            return Err(format!("`sshd` cannot run here: {}", said.trim()));
        }
        let log = File::create(path("sshd.log")).unwrap();
        // A process a connection, as inetd starts it: the port is ours from the beginning, and there is nothing to wait for.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = OwnedFd::from(connection.unwrap());
                let mut session = Command::new(&sshd);
                session
                    .args(["-i", "-e", "-f", &config_path])
                    .env_remove("SSH_AUTH_SOCK")
                    .stdin(Stdio::from(connection.try_clone().unwrap()))
                    .stdout(Stdio::from(connection))
                    .stderr(log.try_clone().unwrap());
                let mut session = session.spawn().unwrap();
                thread::spawn(move || session.wait());
            }
        });
        Ok(this)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn target(&self) -> &SshTarget {
        &self.target
    }

    /// What lets the tool in.
    pub(super) fn options(&self) -> SshExecOptions {
        SshExecOptions {
            targets: vec![self.target.clone()],
            identity: Some(self.folder().join("key")),
            known_hosts: Some(self.folder().join("known_hosts")),
            ..SshExecOptions::default()
        }
    }

    /// The same for the command line.
    pub(super) fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder().join(name).display().to_string();
        vec![
            format!("--ssh-target=box={}", self.target),
            format!("--ssh-identity={}", path("key")),
            format!("--ssh-known-hosts={}", path("known_hosts")),
        ]
    }

    /// Makes a key, its public half beside it.
    pub(super) fn new_key(&self, name: &str) -> PathBuf {
        let path = self.folder().join(name);
        let command = format!("ssh-keygen -q -t ed25519 -N '' -C '' -f {name}");
        sh(self.folder(), &command).expect(0);
        path
    }

    /// A file that knows the server by this key.
    pub(super) fn known_hosts(&self, name: &str, host_key: &Path) -> PathBuf {
        let public = fs::read_to_string(host_key.with_extension("pub")).unwrap();
        let path = self.folder().join(name);
        let port = self.target.port();
        fs::write(&path, format!("[127.0.0.1]:{port} {public}")).unwrap();
        path
    }
}

/// The server is often not on the path of who is no administrator.
fn sshd() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|it| it.join("sshd")).find(|it| it.is_file())
}
