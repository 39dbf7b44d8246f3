//! One file for each part of the crate.

mod accounting;
mod audit;
mod concurrency;
mod copies;
mod groups;
mod in_doubt;
mod installation;
mod keys;
mod lists;
mod mcp;
mod model_configs;
mod people;
mod profiles;
mod providers;
mod request_log;
mod secrets;
mod snapshots;
mod webhooks;
