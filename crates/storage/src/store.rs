//! The database: two kinds, one interface.

mod migrations;
mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{PgPool, SqlitePool};
use tokio::sync::Notify;
use tollgate_domain::Timestamp;

use crate::audit::ChainKey;
use crate::error::{Result, StorageError};
use crate::lists::Known;
use crate::sql::{Connection, Query, Row};
use crate::tx::Tx;
use crate::vault::Vault;
use crate::{request_log, roles, settings};

/// Which database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Embedded, one file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// As logs and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// The database. Cheap to clone; all clones share the connections.
///
/// Reads take any of a few connections. Writes take the one write connection, in the order in which they ask: the audit
/// chain gives all writes one order anyway, and so no two writes can conflict or deadlock.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pools: Pools,
    vault: Arc<Vault>,
    chain_key: ChainKey,
    news: Notify,
    known: Known,
    commits: AtomicU64,
}

pub(crate) enum Pools {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
        path: PathBuf,
    },
    Postgres {
        read: PgPool,
        write: PgPool,
    },
}

/// Shows which kind of database it is, never its address.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `url` (`sqlite:<path>` or `postgres://…`), brings it to this version's layout, and fills a
    /// new one with what every installation has. A SQLite file is made when it is missing.
    ///
    /// # Errors
    /// [`StorageError::Sealed`] when the vault's master key is not the one that the database was made with; else when
    /// the address cannot be used or reached, or the database is newer than this binary.
    pub async fn connect(url: &str, vault: Arc<Vault>, now: Timestamp) -> Result<Self> {
        let pools = if let Some(path) = url.strip_prefix("sqlite:") {
            sqlite::open(path.strip_prefix("//").unwrap_or(path)).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            postgres::open(url).await?
        } else {
            return Err(StorageError::Address(
                "it must start with `sqlite:` or `postgres://`".to_owned(),
            ));
        };
        migrations::run(&pools).await?;
        // A store without its chain key exists only in here, to read that key.
        let unkeyed = Self {
            inner: Arc::new(Inner {
                pools,
                vault,
                chain_key: ChainKey::default(),
                news: Notify::new(),
                known: Known::default(),
                commits: AtomicU64::new(0),
            }),
        };
        let mut tx = unkeyed.begin().await?;
        settings::check_master_key(&mut tx).await?;
        let chain_key = settings::chain_key(&mut tx).await?;
        roles::ensure_system_roles(&mut tx, now).await?;
        let _nothing_is_published_yet = tx.commit().await?;
        let inner = Arc::into_inner(unkeyed.inner).ok_or_else(|| {
            StorageError::Address("the database was used before it was open".to_owned())
        })?;
        let store = Self {
            inner: Arc::new(Inner { chain_key, ..inner }),
        };
        request_log::convert::old_rows(&store).await?;
        Ok(store)
    }

    /// Starts the one write transaction; waits for the one before to end.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the database cannot be reached, or the wait took too long.
    pub async fn begin(&self) -> Result<Tx> {
        Tx::begin(self.clone()).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        self.rows(crate::sql::query("select 1 as one"))
            .await
            .map(drop)
    }

    /// How many write transactions were committed through this store and its clones; says whether somebody writes.
    pub fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn note_commit(&self) {
        self.inner.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Moves what was written to an embedded database from its log into its file, as far as it can without anybody having
    /// to wait. PostgreSQL does so by itself.
    ///
    /// # Errors
    /// When the database or the disk fails; the log has everything then, as before.
    pub async fn checkpoint(&self) -> Result<()> {
        match &self.inner.pools {
            Pools::Sqlite { read, .. } => sqlite::checkpoint(read).await,
            Pools::Postgres { .. } => Ok(()),
        }
    }

    /// Which database this is.
    pub fn engine(&self) -> Engine {
        match &self.inner.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Closes all connections, after what runs on them has ended.
    pub async fn close(&self) {
        match &self.inner.pools {
            Pools::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres { read, write } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// Wakes up whoever delivers to webhooks, each time a commit has put something into their outbox.
    pub fn news(&self) -> &Notify {
        &self.inner.news
    }

    /// What searches of long lists found.
    pub(crate) fn known(&self) -> &Known {
        &self.inner.known
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.inner.pools
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    pub(crate) fn chain_key(&self) -> &ChainKey {
        &self.inner.chain_key
    }

    pub(crate) async fn rows(&self, query: Query) -> Result<Vec<Row>> {
        match &self.inner.pools {
            Pools::Sqlite { read, .. } => {
                let mut connection = read.acquire().await?;
                Connection::Sqlite(&mut connection).rows(query).await
            }
            Pools::Postgres { read, .. } => {
                let mut connection = read.acquire().await?;
                Connection::Postgres(&mut connection).rows(query).await
            }
        }
    }
}
