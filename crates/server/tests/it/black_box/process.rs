//! The gateway as a process.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate_testkit::test_db::TestDb;

use super::{Admin, Faults, http_client};

/// The management key that every gateway of the tests is started with.
pub(crate) const ADMIN_KEY: &str = "tgm-black-box-0123456789abcdef0123456789abcdef";

/// What outlives the process: its data, its database, and the disk under both.
pub(crate) struct Place {
    directory: TempDir,
    /// Without one, SQLite in the data directory.
    database: Option<TestDb>,
    variables: Vec<(&'static str, &'static str)>,
    pub(crate) faults: Option<Faults>,
}

impl Place {
    /// A fresh data directory on a disk that works.
    pub(crate) fn new() -> Self {
        Self::at(TempDir::new().unwrap())
    }

    /// The `data` in this directory, and what is there already.
    pub(crate) fn at(directory: TempDir) -> Self {
        Self {
            directory,
            database: None,
            variables: Vec::new(),
            faults: None,
        }
    }

    /// On a disk that fails when the test says so.
    pub(crate) fn with_faults() -> Self {
        Self {
            faults: Some(Faults::new()),
            ..Self::new()
        }
    }

    /// With a database on the shared PostgreSQL server.
    #[must_use]
    pub(crate) fn on_postgres(self) -> Self {
        Self {
            database: Some(TestDb::postgres()),
            ..self
        }
    }

    /// With this setting.
    #[must_use]
    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// From now on the disk works.
    pub(crate) fn heal(&self) {
        if let Some(faults) = &self.faults {
            faults.heal();
        }
    }

    fn command(&self) -> Command {
        let mut command = serve_command(&self.data_dir());
        command.envs(self.variables.iter().copied());
        if let Some(database) = &self.database {
            command.env("TOLLGATE_DATABASE_URL", database.url());
        }
        if let Some(faults) = &self.faults {
            command.envs(faults.variables());
        }
        command
    }
}

/// One `tollgate serve`; it is killed when this is dropped.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) place: Arc<Place>,
    child: Child,
    output: watch::Receiver<String>,
    readers: JoinSet<()>,
}

/// Starts a gateway with a fresh data directory.
pub(crate) async fn start() -> Gateway {
    Gateway::spawn(Arc::new(Place::new())).await
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
    /// Starts one here, and waits until it is ready.
    pub(crate) async fn spawn(place: Arc<Place>) -> Self {
        match Self::try_spawn(place).await {
            Ok(gateway) => gateway,
            Err((status, output)) => panic!("it ended with {status}:\n{output}"),
        }
    }

    /// The same for one that may die before it is ready; yields how it ended and what it said then.
    pub(crate) async fn try_spawn(place: Arc<Place>) -> Result<Self, (ExitStatus, String)> {
        let mut child = place.command().spawn().unwrap();
        let (sender, output) = watch::channel(String::new());
        let sender = Arc::new(sender);
        let mut readers = JoinSet::new();
        readers.spawn(read(child.stdout.take().unwrap(), sender.clone()));
        readers.spawn(read(child.stderr.take().unwrap(), sender));
        let mut gateway = Self {
            url: String::new(),
            place,
            child,
            output,
            readers,
        };
        if gateway.becomes_ready().await {
            Ok(gateway)
        } else {
            let status = gateway.wait().await;
            // The readers come to their end with the process.
            while gateway.readers.join_next().await.is_some() {}
            Err((status, gateway.output()))
        }
    }

    /// `false` when it ended before.
    async fn becomes_ready(&mut self) -> bool {
        // The address is said at the beginning, the other at the end of the start.
        let is_ready =
            |output: &String| output.contains(": ready\n") && listening(output).is_some();
        let is_ready = self.output.wait_for(is_ready).await.is_ok();
        if let Some(address) = listening(&self.output.borrow()) {
            self.url = format!("http://{address}");
        }
        is_ready
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
        self.place.data_dir()
    }

    /// The disk under it, of a place [`Place::with_faults`].
    pub(crate) fn faults(&self) -> &Faults {
        self.place.faults.as_ref().expect("a disk that can fail")
    }

    /// The status of its readiness.
    pub(crate) async fn readiness(&self) -> u16 {
        let ready = http_client().get(format!("{}/health/ready", self.url));
        ready.send().await.unwrap().status().as_u16()
    }

    /// A number of its metrics, by name and labels.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let page = http_client().get(format!("{}/metrics", self.url));
        let page = page.send().await.unwrap().text().await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let number = line.unwrap_or_else(|| panic!("no `{name}` in\n{page}"));
        number.trim().parse().unwrap()
    }

    /// The management API.
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(&self.url)
    }

    /// `kill -9`, then a start on the same data directory.
    pub(crate) async fn killed_and_restarted(self) -> Self {
        Self::spawn(self.killed().await).await
    }

    /// `kill -9`. Yields what outlives it.
    pub(crate) async fn killed(mut self) -> Arc<Place> {
        self.child.kill().await.unwrap();
        self.place.clone()
    }

    /// Waits until a fault has killed it.
    pub(crate) async fn dead(mut self) -> Arc<Place> {
        let status = self.wait().await;
        assert_eq!(status.signal(), Some(9), "{status}: {}", self.output());
        self.place.clone()
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
        Self::spawn(self.place.clone()).await
    }

    /// Waits for its end, which must be a success, then starts it on the same data directory.
    pub(crate) async fn restarted(mut self) -> Self {
        assert!(self.wait().await.success(), "{}", self.output());
        Self::spawn(self.place.clone()).await
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id().expect("it runs")).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
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
