//! Boot configuration: read once from defaults, file, environment and flags, in that order, into plain structs.
//!
//! What administrators change while the process runs (profiles, providers, prices, limits) is not here: it lives in
//! the database and is edited through the API.

mod environment;
mod keys;
mod load;
mod report;
mod sections;
mod values;

#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use load::{ConfigError, Loaded, Overrides, load};
pub use report::report;
pub use sections::{
    Config, Database, Fold, Http, Journal, Log, LogFormat, Management, Metrics, Providers, Tls,
    Webhooks,
};
pub use values::{Period, Secret};

/// The reference of all keys; a test keeps it equal to [`Config::default`].
pub const EXAMPLE: &str = include_str!("../../../config.example.toml");
