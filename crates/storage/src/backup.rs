//! A consistent copy of an embedded database while it is used.

use std::path::Path;

use crate::error::{Result, StorageError};
use crate::sql::{Connection, query};
use crate::store::{Pools, Store};

impl Store {
    /// Writes a consistent copy of the database to the file `to`, which must not exist. Secrets stay sealed in it.
    ///
    /// # Errors
    /// [`StorageError::Address`] on PostgreSQL, whose own tools make better backups, or when the file exists; else when
    /// the database or the disk fails.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        let Pools::Sqlite { read, .. } = self.pools() else {
            return Err(StorageError::Address(
                "back a PostgreSQL database up with `pg_dump`".to_owned(),
            ));
        };
        if to.exists() {
            return Err(StorageError::Address(format!(
                "`{}` exists; name a new file",
                to.display()
            )));
        }
        let text = to.to_str().ok_or_else(|| {
            StorageError::Address("the file's name must be valid Unicode".to_owned())
        })?;
        let mut connection = read.acquire().await?;
        Connection::Sqlite(&mut connection)
            .execute(query("vacuum into $1").bind(text))
            .await
            .map(drop)
    }
}
