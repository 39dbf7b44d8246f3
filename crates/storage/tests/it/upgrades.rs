//! Databases of earlier layouts, with rows in them: what the migrations make of those is what the storage functions read.

mod lists;
mod log;
mod records;
mod usage;

use std::fmt::Write as _;
use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use tollgate_storage::Store;
use tollgate_testkit::test_db::TestDb;

use crate::fixture::connect;

/// A database as an earlier release left it.
pub(crate) struct Old {
    db: TestDb,
    pool: Pool,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Old {
    /// An empty database to which `last` was the newest step.
    pub(crate) async fn at(db: TestDb, last: i64) -> Self {
        let pool = if let Some(path) = db.url().strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .foreign_keys(true);
            let pool = SqlitePool::connect_with(options).await.unwrap();
            steps("sqlite", last).run(&pool).await.unwrap();
            Pool::Sqlite(pool)
        } else {
            let pool = PgPool::connect(db.url()).await.unwrap();
            steps("postgres", last).run(&pool).await.unwrap();
            Pool::Postgres(pool)
        };
        Self { db, pool }
    }

    /// Runs statements that both engines know.
    pub(crate) async fn run(&self, statements: String) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        match &self.pool {
            Pool::Sqlite(pool) => drop(statements.execute(pool).await.unwrap()),
            Pool::Postgres(pool) => drop(statements.execute(pool).await.unwrap()),
        }
    }

    /// Puts rows into a table; each is written as it stands between the parentheses.
    pub(crate) async fn insert(&self, into: &str, rows: &[String]) {
        for piece in rows.chunks(200) {
            self.run(format!(
                "insert into {into} values ({})",
                piece.join("), (")
            ))
            .await;
        }
    }

    /// Bytes, as this engine writes them.
    pub(crate) fn blob(&self, bytes: &[u8]) -> String {
        let mut hex = String::new();
        for byte in bytes {
            write!(hex, "{byte:02x}").unwrap();
        }
        match &self.pool {
            Pool::Sqlite(_) => format!("x'{hex}'"),
            Pool::Postgres(_) => format!("'\\x{hex}'"),
        }
    }

    /// The same database at this release's layout. The database is removed with the second value.
    pub(crate) async fn upgraded(self) -> (Store, TestDb) {
        match self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
        let store = connect(self.db.url(), 7).await.unwrap();
        (store, self.db)
    }
}

/// The steps up to `last`, from the same files as the binary's.
fn steps(engine: &str, last: i64) -> Migrator {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(engine);
    let mut steps = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let number: i64 = name.split('_').next().unwrap().parse().unwrap();
        if number <= last {
            let sql = AssertSqlSafe(std::fs::read_to_string(path).unwrap()).into_sql_str();
            let kind = MigrationType::Simple;
            steps.push(Migration::new(number, name.into(), kind, sql, false));
        }
    }
    assert_eq!(
        i64::try_from(steps.len()).unwrap(),
        last,
        "a step is missing"
    );
    Migrator::with_migrations(steps)
}

/// Runs each test on both engines, each on a database of its own at the layout of the given step.
macro_rules! upgrades_on_both_engines {
    ($(async fn $name:ident($old:ident: Old from $step:literal) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn check($old: Old) $body

            #[tokio::test]
            async fn sqlite() {
                check(Old::at(TestDb::sqlite(), $step).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                check(Old::at(TestDb::postgres(), $step).await).await;
            }
        }
    )+};
}
pub(crate) use upgrades_on_both_engines;
