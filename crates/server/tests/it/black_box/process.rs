//! The gateway as a process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Admin;

/// The management key that every gateway of the tests is started with.
pub(crate) const ADMIN_KEY: &str = "tgm-black-box-0123456789abcdef0123456789abcdef";

/// One `tollgate serve`; it is killed when this is dropped.
pub(crate) struct Gateway {
    pub(crate) url: String,
    directory: Arc<TempDir>,
    child: Child,
    output: watch::Receiver<String>,
    _readers: JoinSet<()>,
}

/// Starts a gateway with a fresh data directory.
pub(crate) async fn start() -> Gateway {
    Gateway::spawn(Arc::new(TempDir::new().unwrap())).await
}

/// `tollgate serve` on a port that the system chooses.
pub(crate) fn serve_command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .env_clear()
        .env("TOLLGATE_ADMIN_KEY", ADMIN_KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Gateway {
    /// Starts one on the `data` in this directory.
    pub(crate) async fn spawn(directory: Arc<TempDir>) -> Self {
        let mut child = serve_command(&directory.path().join("data"))
            .spawn()
            .unwrap();
        let (sender, output) = watch::channel(String::new());
        let sender = Arc::new(sender);
        let mut readers = JoinSet::new();
        readers.spawn(read(child.stdout.take().unwrap(), sender.clone()));
        readers.spawn(read(child.stderr.take().unwrap(), sender));
        let mut gateway = Self {
            url: String::new(),
            directory,
            child,
            output,
            _readers: readers,
        };
        gateway.wait_until_ready().await;
        gateway
    }

    async fn wait_until_ready(&mut self) {
        let address = loop {
            if let Some(address) = listening(&self.output.borrow_and_update()) {
                break address;
            }
            tokio::select! {
                changed = self.output.changed() => {
                    assert!(changed.is_ok(), "it ended:\n{}", *self.output.borrow());
                }
                status = self.child.wait() => {
                    panic!("it ended with {status:?}:\n{}", *self.output.borrow());
                }
            }
        };
        self.url = format!("http://{address}");
        let ready = format!("{}/health/ready", self.url);
        while !reqwest::get(&ready)
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended:\n{}", *self.output.borrow());
            tokio::task::yield_now().await;
        }
    }

    /// Everything it printed and logged so far.
    pub(crate) fn output(&self) -> String {
        self.output.borrow().clone()
    }

    /// Waits until it has printed or logged `text`.
    pub(crate) async fn wait_for_output(&mut self, text: &str) {
        self.output
            .wait_for(|output| output.contains(text))
            .await
            .unwrap();
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The management API.
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(&self.url)
    }

    /// `kill -9`, then a start on the same data directory.
    pub(crate) async fn killed_and_restarted(mut self) -> Self {
        self.child.kill().await.unwrap();
        Self::spawn(self.directory.clone()).await
    }

    /// Ends it by SIGTERM, then as [`Self::restarted`].
    pub(crate) async fn stopped_and_restarted(self) -> Self {
        self.terminate();
        self.restarted().await
    }

    /// Ends it by SIGTERM, does something with its data directory, and starts it again.
    pub(crate) async fn stopped_then(mut self, act: impl AsyncFnOnce(&Path)) -> Self {
        self.terminate();
        assert!(self.wait().await.success(), "{}", self.output());
        act(&self.data_dir()).await;
        Self::spawn(self.directory.clone()).await
    }

    /// Waits for its end, which must be a success, then starts it on the same data directory.
    pub(crate) async fn restarted(mut self) -> Self {
        assert!(self.wait().await.success(), "{}", self.output());
        Self::spawn(self.directory.clone()).await
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id().expect("it runs")).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end.
    async fn wait(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }
}

/// Every black-box test ends with a look at the log: no bug was caught on the way.
impl Drop for Gateway {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let output = self.output();
            assert!(!output.contains("panicked"), "{output}");
            assert!(!output.contains(ADMIN_KEY), "{output}");
        }
    }
}

async fn read(stream: impl AsyncRead + Unpin, output: Arc<watch::Sender<String>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        output.send_modify(|output| {
            output.push_str(&line);
            output.push('\n');
        });
    }
}

/// The first address on loopback that the output names.
fn listening(output: &str) -> Option<String> {
    let (_, after) = output.split_once("127.0.0.1:")?;
    let port: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}
