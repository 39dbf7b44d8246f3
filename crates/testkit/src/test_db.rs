//! A private database for one test.
//!
//! SQLite: a file in a temporary directory. PostgreSQL: a database of its own on a server that is shared by the test
//! run. `TOLLGATE_TEST_POSTGRES_URL` names a server to use (its user must be allowed to create databases); without it
//! the first test that asks starts one from the installed package, and it stops when the test run ends, however it
//! ends. See [`postgres`](crate::postgres).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::postgres::Server;

/// A private, empty database. It is removed when dropped.
#[derive(Debug)]
pub struct TestDb {
    url: String,
    _place: Place,
}

#[derive(Debug)]
enum Place {
    Directory { _directory: TempDir },
    Database { _database: Database },
}

/// A database on the shared server.
#[derive(Debug)]
struct Database {
    server: Server,
    name: String,
}

impl TestDb {
    /// A database of the embedded engine.
    pub fn sqlite() -> Self {
        let directory = TempDir::with_prefix("tollgate-test-").expect("a temporary directory");
        let path = directory.path().join("tollgate.db");
        Self {
            url: format!("sqlite:{}", path.display()),
            _place: Place::Directory {
                _directory: directory,
            },
        }
    }

    /// A database on the shared PostgreSQL server.
    pub fn postgres() -> Self {
        Self::on_server(Server::shared(), "")
    }

    fn on_server(server: Server, options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        server.run_sql(&format!("create database {name} {options}"));
        Self {
            url: server.url_of(&name),
            _place: Place::Database {
                _database: Database { server, name },
            },
        }
    }

    /// A database on the shared PostgreSQL server that is like the one which `prepare` makes of an empty one at its
    /// address. It is prepared once in a run and then copied, which is faster than most preparations. All callers in one
    /// test binary must prepare alike, and leave no connection open.
    pub async fn postgres_like(prepare: impl AsyncFnOnce(&str)) -> Self {
        let server = Server::shared();
        let template = format!("template_{:016x}", fingerprint_of_this_binary());
        {
            let _one_at_a_time = server.lock("template");
            if !server.has_database(&template) {
                let unfinished = format!("{template}_unfinished");
                server.run_sql(&format!(
                    "drop database if exists {unfinished} with (force)"
                ));
                server.run_sql(&format!("create database {unfinished}"));
                prepare(&server.url_of(&unfinished)).await;
                server.run_sql(&format!("alter database {unfinished} rename to {template}"));
            }
        }
        Self::on_server(server, &format!("template {template}"))
    }

    /// Its address, as the server's configuration takes it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Tells builds apart, so that a server which outlives a run never hands out what an older build prepared.
fn fingerprint_of_this_binary() -> u64 {
    let path = std::env::current_exe().expect("the path of the test binary");
    let metadata = path.metadata().expect("the test binary");
    let mut hasher = DefaultHasher::new();
    (path, metadata.len(), metadata.modified().ok()).hash(&mut hasher);
    hasher.finish()
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = &self.name;
        self.server
            .try_sql(&format!("drop database if exists {name} with (force)"));
    }
}
