//! A private database for one test.
//!
//! SQLite: a file in a temporary directory. PostgreSQL: a database of its own on a server that is shared by the test
//! run. `TOLLGATE_TEST_POSTGRES_URL` names a server to use (its user must be allowed to create databases); without it
//! the first test that asks starts one from the installed package, and it stops when the test run ends, however it
//! ends. See [`postgres`](crate::postgres).

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
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = Server::shared();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        server.run_sql(&format!("create database {name}"));
        Self {
            url: server.url_of(&name),
            _place: Place::Database {
                _database: Database { server, name },
            },
        }
    }

    /// Its address, as the server's configuration takes it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = &self.name;
        self.server
            .try_sql(&format!("drop database if exists {name} with (force)"));
    }
}
