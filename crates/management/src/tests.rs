//! What holds for every operation.

mod access_profiles;
mod attacks;
mod bodies;
mod concurrency;
mod corrections;
mod description;
mod doors;
mod groups;
mod idempotency;
mod mcp;
mod mortal;
mod people;
mod permissions;
mod propagation;
mod properties;
mod providers;
mod records;
mod resets;
mod simulation;
mod starting_anew;
mod unknown_fields;
mod virtual_keys;
mod webhooks;
