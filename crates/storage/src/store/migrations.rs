//! The layout of the database, forward only, the same steps for both engines.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::Pools;
use crate::error::{Result, StorageError};

macro_rules! steps {
    ($engine:literal: $($number:literal $name:literal,)+) => {
        vec![$(step(
            $number,
            $name,
            include_str!(concat!("../../migrations/", $engine, "/", $name, ".sql")),
        ),)+]
    };
}

macro_rules! all_steps {
    ($engine:literal) => {
        steps! { $engine:
            1 "0001_create_basics",
            2 "0002_create_people",
            3 "0003_create_providers",
            4 "0004_create_access_profiles",
            5 "0005_create_records",
            6 "0006_create_ledger",
            7 "0007_create_log_blocks",
            8 "0008_describe_in_doubt",
            9 "0009_create_webhooks_and_rotations",
            10 "0010_keep_answer_headers",
            11 "0011_keep_lists_in_segments",
            12 "0012_create_usage_resets",
            13 "0013_sum_up_usage",
            14 "0014_note_expired_copies",
            15 "0015_drop_index_of_grams",
            16 "0016_say_what_blocks_have",
        }
    };
}

pub(super) async fn run(pools: &Pools) -> Result<()> {
    // The migrator takes PostgreSQL's advisory lock by itself; SQLite's writer waits for the file's lock.
    match pools {
        Pools::Sqlite { write, .. } => {
            Migrator::with_migrations(all_steps!("sqlite"))
                .run(write)
                .await
        }
        Pools::Postgres { write, .. } => {
            Migrator::with_migrations(all_steps!("postgres"))
                .run(write)
                .await
        }
    }
    .map_err(|error| StorageError::Migration(Box::new(error)))
}

fn step(number: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(
        number,
        name.into(),
        MigrationType::Simple,
        sql.into_sql_str(),
        false,
    )
}
