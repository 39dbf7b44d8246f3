//! The management API: one folder a resource, one file an operation.
//!
//! [`router()`] is where to start: it lists the layers that every request passes. An operation is a file with its request
//! and answer, its handler and its tests; the folder listing is the list of operations. A handler's first argument is
//! the permission that the operation needs ([`context::Require`]), and it is the only way to the database.
//!
//! Every write is one transaction: the change, its audit entry, and what must be published; the answer leaves when the
//! change is in force. This crate knows the database and the policy's vocabulary, nothing of the data plane: live
//! counters and the policy in force come through small ports ([`ManagementParts`]). Tested by operation through the
//! router, on both databases.

mod access_profiles;
mod answers;
mod api_keys;
mod audit;
mod audit_trail;
mod body;
mod budgets;
mod context;
mod corrections;
mod diff;
mod door;
mod edge;
mod extract;
mod groups;
mod idempotency;
mod in_doubt;
mod limits;
mod logs;
mod mcp;
mod meters;
mod model_configs;
mod openapi;
mod operations;
mod policy;
mod prices;
mod problem;
mod provider_configs;
mod providers;
mod quota;
mod resets;
mod roles;
mod router;
mod secrets;
mod state;
mod users;
mod virtual_keys;
mod webhooks;

#[cfg(test)]
mod test_app;
#[cfg(test)]
mod tests;

pub use openapi::openapi_json;
pub use resets::ResetError;
pub use router::router;
pub use secrets::{
    EnvironmentNames, MANAGEMENT_KEY_PREFIX, NewSecret, NoRandomness, SecretSource, SystemSecrets,
    VIRTUAL_KEY_PREFIX, describe_secret, hash_secret,
};
pub use state::{
    BoxFuture, Fold, ManagementParts, ManagementState, Policy, PublishError, Publisher,
};
