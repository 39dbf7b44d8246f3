//! PostgreSQL: a small pool, with time limits on everything.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::Pools;
use crate::error::{Result, StorageError};

/// How long a read or write waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const READERS: u32 = 8;

pub(super) async fn open(url: &str) -> Result<Pools> {
    let options = options(url)?;
    let pool = |connections| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
    };
    let write = pool(1).connect_with(options.clone()).await?;
    let read = pool(READERS).connect_lazy_with(options);
    Ok(Pools::Postgres { read, write })
}

/// The address with our session settings; `lock` uses it for the connection that holds the writer's lock.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions> {
    // The driver's message could quote the address, and with it the password.
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StorageError::Address("it is not a PostgreSQL address".to_owned()))?;
    Ok(options.application_name("tollgate").options([
        ("statement_timeout", "30s"),
        ("lock_timeout", "20s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("client_min_messages", "warning"),
    ]))
}
