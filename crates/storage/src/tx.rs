//! Write transactions, and reads inside and outside of them.

use sqlx::{Postgres, Sqlite, Transaction};
use tollgate_domain::snapshot::SnapshotChange;

use crate::error::Result;
use crate::sql::{Connection, Query, Row, query};
use crate::store::{Pools, Store};
use crate::vault::Vault;

/// Orders the writers of all processes that use the same PostgreSQL database ("tollgate" in ASCII).
const WRITERS: i64 = 0x746f_6c6c_6761_7465;

/// The write transaction. Dropped without [`Tx::commit`], it changes nothing.
pub struct Tx {
    transaction: Engine,
    store: Store,
    changes: Vec<SnapshotChange>,
    has_news: bool,
}

enum Engine {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// What a committed transaction changed of the snapshot, each thing once, in the order of first change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "publish the changes, or the data plane goes on with the old policy"]
pub struct Changes(Vec<SnapshotChange>);

impl Changes {
    /// The changes, for the publisher.
    pub fn into_vec(self) -> Vec<SnapshotChange> {
        self.0
    }

    /// Whether there is nothing to publish.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx")
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

impl Tx {
    /// The one place where writers meet. Everything that could make two of them fail (a busy file, a serialization
    /// failure, a deadlock) is settled here by waiting in line, so no statement after this needs a retry.
    pub(crate) async fn begin(store: Store) -> Result<Self> {
        let transaction = match store.pools() {
            Pools::Sqlite { write, .. } => {
                Engine::Sqlite(write.begin_with("begin immediate").await?)
            }
            Pools::Postgres { write, .. } => {
                let mut transaction = write.begin().await?;
                Connection::Postgres(&mut transaction)
                    .execute(query("select pg_advisory_xact_lock($1)").bind(WRITERS))
                    .await?;
                Engine::Postgres(transaction)
            }
        };
        Ok(Self {
            transaction,
            store,
            changes: Vec::new(),
            has_news: false,
        })
    }

    /// Makes the writes durable, and says what must be published.
    ///
    /// # Errors
    /// When the database fails; whether the writes took effect is then unknown, as with every database.
    pub async fn commit(self) -> Result<Changes> {
        match self.transaction {
            Engine::Sqlite(transaction) => transaction.commit().await?,
            Engine::Postgres(transaction) => transaction.commit().await?,
        }
        self.store.note_commit();
        if self.has_news {
            self.store.news().notify_one();
        }
        Ok(Changes(self.changes))
    }

    /// Gives the writes up at once, instead of when the transaction is dropped.
    ///
    /// # Errors
    /// When the database fails; the writes are gone all the same.
    pub async fn rollback(self) -> Result<()> {
        match self.transaction {
            Engine::Sqlite(transaction) => transaction.rollback().await?,
            Engine::Postgres(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }

    /// Notes that the publisher must read `change` again.
    pub(crate) fn changed(&mut self, change: SnapshotChange) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Notes that somebody outside is to be told of something.
    pub(crate) const fn has_news(&mut self) {
        self.has_news = true;
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn vault(&self) -> &Vault {
        self.store.vault()
    }

    fn connection(&mut self) -> Connection<'_> {
        match &mut self.transaction {
            Engine::Sqlite(transaction) => Connection::Sqlite(transaction),
            Engine::Postgres(transaction) => Connection::Postgres(transaction),
        }
    }

    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64> {
        self.connection().execute(query).await
    }

    pub(crate) async fn rows(&mut self, query: Query) -> Result<Vec<Row>> {
        self.connection().rows(query).await
    }

    pub(crate) async fn row(&mut self, query: Query) -> Result<Option<Row>> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// The integer in column `id` of the one row that a statement returns.
    pub(crate) async fn returned_id(&mut self, query: Query) -> Result<i64> {
        self.row(query)
            .await?
            .ok_or_else(|| crate::sql::corrupt("id", "no row was returned"))?
            .get("id")
    }
}

/// Where a read happens: outside of a transaction (`&Store`), or inside, where it sees the writes before it
/// (`&mut Tx`). Every read takes `impl Into<Db<'_>>`.
#[derive(Debug)]
pub enum Db<'a> {
    /// On a connection of its own.
    Store(&'a Store),
    /// In the write transaction.
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Store> for Db<'a> {
    fn from(store: &'a Store) -> Self {
        Self::Store(store)
    }
}

impl<'a> From<&'a mut Tx> for Db<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl Db<'_> {
    /// The same place once more, for a function that reads by several statements.
    pub fn again(&mut self) -> Db<'_> {
        match self {
            Self::Store(store) => Db::Store(store),
            Self::Tx(tx) => Db::Tx(tx),
        }
    }

    pub(crate) async fn rows(&mut self, query: Query) -> Result<Vec<Row>> {
        if query.has_unstorable_text() {
            return Ok(Vec::new());
        }
        match self {
            Self::Store(store) => store.rows(query).await,
            Self::Tx(tx) => tx.rows(query).await,
        }
    }

    pub(crate) async fn row(&mut self, query: Query) -> Result<Option<Row>> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    pub(crate) fn store(&self) -> &Store {
        match self {
            Self::Store(store) => store,
            Self::Tx(tx) => tx.store(),
        }
    }

    /// The number in column `amount` of the one row that a statement returns.
    pub(crate) async fn count(&mut self, query: Query) -> Result<u64> {
        match self.row(query).await? {
            Some(row) => row.unsigned("amount"),
            None => Ok(0),
        }
    }
}
