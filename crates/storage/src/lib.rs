//! The only crate with SQL: SQLite and PostgreSQL behind one interface.
//!
//! Start at [`Store`]: [`Store::connect`] opens either engine, [`Store::begin`] starts the one write transaction
//! ([`Tx`]), and each kind of thing has a module of plain functions. A function that writes takes `&mut Tx`; one that
//! reads takes `&Store` or `&mut Tx` (anything that is [`Into<Db>`](Db)). Every write that the data plane must see is
//! noted in the transaction, and [`Tx::commit`] hands the notes to the caller, who publishes them; [`snapshot`] reads
//! what they name.
//!
//! Statements are written once, for both engines, with `$1` placeholders and portable types: ids and JSON as text,
//! instants as microseconds, money as nano-dollars, secrets sealed by the [`Vault`]. Time and ids come from the caller.
//! This crate knows nothing of HTTP, of the journal's format or of what a request costs. Tested by
//! `tests/it/conformance`, which runs every public function on both engines.
#![warn(missing_docs)]

mod backup;
mod error;
mod fold;
mod group_id;
mod lists;
mod lock;
mod page;
mod reseal;
mod search;
mod sql;
mod store;
mod totals;
mod tx;
mod vault;

pub mod audit;
pub mod copies;
pub mod groups;
pub mod idempotency;
pub mod in_doubt;
pub mod management_keys;
pub mod mcp;
pub mod model_configs;
pub mod prices;
pub mod profiles;
pub mod providers;
pub mod request_log;
pub mod resets;
pub mod roles;
pub mod settings;
pub mod snapshot;
pub mod users;
pub mod virtual_keys;
pub mod webhooks;

pub use error::{Constraint, Result, StorageError};
pub use fold::{Watch, Watches};
pub use lock::WriterLock;
pub use page::{Page, PageRequest};
pub use store::{Engine, Store};
pub use tx::{Changes, Db, Tx};
pub use vault::{InvalidMasterKey, MASTER_KEY_BYTES, Vault};
