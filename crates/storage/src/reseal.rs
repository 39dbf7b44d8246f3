//! Rotation of the master key: every sealed secret is opened and sealed again.

use crate::error::Result;
use crate::sql::{Query, query};
use crate::store::Store;
use crate::tx::Tx;
use crate::vault::Place;

/// Where sealed secrets stand: the table, its key column, the column, and both statements.
struct Sealed {
    table: &'static str,
    column: &'static str,
    select: &'static str,
    update: &'static str,
}

const ALL: [Sealed; 6] = [
    Sealed {
        table: "providers",
        column: "extra_headers_sealed",
        select: "select name as id, extra_headers_sealed as sealed from providers
                 where extra_headers_sealed is not null",
        update: "update providers set extra_headers_sealed = $2 where name = $1",
    },
    Sealed {
        table: "provider_keys",
        column: "value_sealed",
        select: "select id, value_sealed as sealed from provider_keys where value_sealed is not null",
        update: "update provider_keys set value_sealed = $2 where id = $1",
    },
    Sealed {
        table: "mcp_clients",
        column: "secrets_sealed",
        select: "select id, secrets_sealed as sealed from mcp_clients where secrets_sealed is not null",
        update: "update mcp_clients set secrets_sealed = $2 where id = $1",
    },
    Sealed {
        table: "webhooks",
        column: "secret_sealed",
        select: "select id, secret_sealed as sealed from webhooks",
        update: "update webhooks set secret_sealed = $2 where id = $1",
    },
    Sealed {
        table: "key_rotations",
        column: "value_sealed",
        select: "select key_id as id, value_sealed as sealed from key_rotations",
        update: "update key_rotations set value_sealed = $2 where key_id = $1",
    },
    Sealed {
        table: "settings",
        column: "value",
        select: "select name as id, value as sealed from settings
                 where name in ('master_key_check', 'audit_chain_key')",
        update: "update settings set value = $2 where name = $1",
    },
];

impl Store {
    /// Seals every secret with the vault's active key that an older one sealed; afterwards the older key is needed no
    /// more. All or none. Returns how many were sealed again.
    ///
    /// # Errors
    /// [`StorageError::Sealed`](crate::StorageError::Sealed) when one of them opens with none of the vault's keys.
    pub async fn reseal(&self) -> Result<u64> {
        let mut tx = self.begin().await?;
        let mut resealed = 0;
        for sealed_in in &ALL {
            resealed += reseal_column(&mut tx, sealed_in).await?;
        }
        let _nothing_that_the_data_plane_sees = tx.commit().await?;
        Ok(resealed)
    }
}

async fn reseal_column(tx: &mut Tx, sealed_in: &Sealed) -> Result<u64> {
    let mut resealed = 0;
    for row in tx.rows(query(sealed_in.select)).await? {
        let sealed: String = row.get("sealed")?;
        if tx.vault().is_current(&sealed) {
            continue;
        }
        let id: String = row.get("id")?;
        let place = Place {
            table: sealed_in.table,
            column: sealed_in.column,
            row: &id,
        };
        let secret = tx.vault().open(&place, &sealed)?;
        let again = tx.vault().seal(&place, &secret)?;
        let update: Query = query(sealed_in.update).bind(id.as_str()).bind(again);
        tx.execute(update).await?;
        resealed += 1;
    }
    Ok(resealed)
}
