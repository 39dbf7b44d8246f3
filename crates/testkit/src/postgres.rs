//! A PostgreSQL server for one test run.
//!
//! Test runners start a process for each test, so the server belongs to their parent: the first process that needs it
//! starts it under a lock, the others find it, and a watchdog stops it and removes its files once the parent is gone.
//! It listens on a socket in its private directory only, so that no port can collide, and does not wait for the disk.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The server that all tests of a run share.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    bin: PathBuf,
    /// An address whose path is the database to connect to, in front of `?`.
    base: String,
    options: String,
}

const START: &str = r#"
set -eu
"$BIN/initdb" -D "$DIR/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$DIR/log" 2>&1
"$BIN/pg_ctl" -D "$DIR/data" -l "$DIR/log" -w -t 60 -o "-c listen_addresses='' -c unix_socket_directories='$DIR' \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 \
    -c shared_buffers=64MB -c autovacuum=off" start >>"$DIR/log" 2>&1
"#;

/// Runs as ourselves, so it stops the server by its process id, which the server's own tools refuse to root.
const WATCH: &str = r#"
while [ -d "/proc/$PARENT" ]; do sleep 1; done
kill -QUIT "$(head -n 1 "$DIR/data/postmaster.pid")"
sleep 1
rm -rf "$DIR" "$DIR".lock "$DIR".template
"#;

impl Server {
    /// The server of this run; started when nobody has yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test run is configured by its environment"
    )]
    pub(crate) fn shared() -> Self {
        let bin = binaries();
        if let Ok(url) = std::env::var("TOLLGATE_TEST_POSTGRES_URL") {
            let (address, options) = url.split_once('?').unwrap_or((&url, ""));
            let authority = address.find("://").map_or(0, |at| at + 3);
            let end = address[authority..]
                .find('/')
                .map_or(address.len(), |at| authority + at);
            return Self {
                bin,
                base: address[..end].to_owned(),
                options: options.to_owned(),
            };
        }
        let directory =
            std::env::temp_dir().join(format!("tollgate-test-postgres-{}", parent_id()));
        let server = Self {
            bin,
            base: "postgres://postgres@localhost".to_owned(),
            options: format!("host={}", directory.display()),
        };
        server.ensure_started(&directory);
        server
    }

    /// The address of one of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("{}/{database}?{}", self.base, self.options)
    }

    /// Runs a statement outside of any test's database.
    pub(crate) fn run_sql(&self, statement: &str) {
        let output = self.psql(statement);
        assert!(
            output.status.success(),
            "`{statement}` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Whether there is a database of this name.
    pub(crate) fn has_database(&self, name: &str) -> bool {
        let output = self.psql(&format!(
            "select count(*) from pg_database where datname = '{name}'"
        ));
        String::from_utf8_lossy(&output.stdout).trim() == "1"
    }

    /// Held by one process of the run at a time.
    #[expect(clippy::unused_self, reason = "what it guards is on this server")]
    pub(crate) fn lock(&self, what: &str) -> File {
        let name = format!("tollgate-test-postgres-{}.{what}", parent_id());
        let lock = File::create(std::env::temp_dir().join(name)).expect("a lock file");
        lock.lock().expect("the lock");
        lock
    }

    /// As [`Self::run_sql`], for clean-up: a failure leaves something behind that goes with the server.
    pub(crate) fn try_sql(&self, statement: &str) {
        drop(self.psql(statement));
    }

    fn psql(&self, statement: &str) -> Output {
        Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statement,
            ])
            .arg(self.url_of("postgres"))
            .stdin(Stdio::null())
            .output()
            .expect("psql of the PostgreSQL package")
    }

    #[expect(
        clippy::zombie_processes,
        reason = "the watchdog outlives this process and ends with the server"
    )]
    fn ensure_started(&self, directory: &Path) {
        let _one_at_a_time = self.lock("lock");
        if self.is_ready(directory) {
            return;
        }
        // What a run with the same process id left behind after a power cut.
        if directory.exists() {
            fs::remove_dir_all(directory).expect("to remove the directory of an older server");
        }
        fs::create_dir(directory).expect("a directory for the server");
        let owner = give_away(directory);
        let started = self
            .shell(directory, owner.as_deref(), START)
            .status()
            .expect("a shell");
        assert!(
            started.success(),
            "PostgreSQL did not start:\n{}",
            fs::read_to_string(directory.join("log")).unwrap_or_default()
        );
        self.shell(directory, None, WATCH).spawn().expect("a shell");
    }

    fn is_ready(&self, directory: &Path) -> bool {
        directory.exists()
            && Command::new(self.bin.join("pg_isready"))
                .arg("-q")
                .arg("-h")
                .arg(directory)
                .status()
                .is_ok_and(|status| status.success())
    }

    /// A shell in a session of its own, so that neither an interrupt nor a test runner's clean-up reaches the server
    /// before its watchdog does; with nothing of ours open, so that no runner waits for it.
    fn shell(&self, directory: &Path, owner: Option<&str>, script: &str) -> Command {
        let mut command = Command::new("setsid");
        if let Some(owner) = owner {
            command.args(["runuser", "-u", owner, "--"]);
        }
        command
            .args(["sh", "-c", script])
            .env("BIN", &self.bin)
            .env("DIR", directory)
            .env("PARENT", parent_id().to_string())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// PostgreSQL refuses to run as root: its package's own user runs it then, and owns the directory.
fn give_away(directory: &Path) -> Option<String> {
    let private = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory, private).expect("to set the directory's mode");
    let ours = fs::metadata(directory).expect("the directory").uid();
    if ours != 0 {
        return None;
    }
    let owner = "postgres";
    let id = Command::new("id")
        .args(["-u", owner])
        .output()
        .expect("the id program");
    let id: u32 = String::from_utf8_lossy(&id.stdout)
        .trim()
        .parse()
        .expect("the user `postgres`, which the PostgreSQL package makes");
    chown(directory, Some(id), Some(id)).expect("to give the directory away");
    Some(owner.to_owned())
}

/// The newest installed version, as Debian lays it out, else whatever the path finds.
fn binaries() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin).unwrap_or_default()
}
