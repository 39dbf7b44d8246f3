//! The binary with whatever arguments and variables a test is about.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::black_box::serve_command;

/// `tollgate <arguments>` without any variable.
pub(crate) fn tollgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What a finished process left.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) async fn finish(command: &mut Command) -> Finished {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    let finished = Finished {
        code: status.code().expect("it was not killed"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    };
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished
}

/// A server with its own data directory, whose addresses are read from its run file.
pub(crate) struct Server {
    pub(crate) child: Child,
    facts: Value,
    directory: TempDir,
}

impl Server {
    /// Starts one after `change` has added arguments or variables.
    pub(crate) async fn start(change: impl FnOnce(&mut Command)) -> Self {
        let directory = TempDir::new().unwrap();
        let data_dir = directory.path().join("data");
        let mut command = serve_command(&data_dir);
        change(&mut command);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let facts = loop {
            if let Ok(text) = std::fs::read(data_dir.join("tollgate.run")) {
                break serde_json::from_slice(&text).unwrap();
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            tokio::task::yield_now().await;
        };
        Self {
            child,
            facts,
            directory,
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// `host:port` of the main listener.
    pub(crate) fn listen(&self) -> String {
        self.facts["listen"].as_str().unwrap().to_owned()
    }

    /// `host:port` of the management listener.
    pub(crate) fn management_listen(&self) -> String {
        self.facts["management_listen"].as_str().unwrap().to_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id().expect("it runs")).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Ends it by SIGTERM, which must be a success.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.signal(rustix::process::Signal::TERM);
        assert!(self.child.wait().await.unwrap().success());
        assert!(!self.data_dir().join("tollgate.run").exists());
        self.directory
    }
}

/// The text of a path, for arguments.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
