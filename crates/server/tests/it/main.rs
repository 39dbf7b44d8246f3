//! The binary from outside: started as a process, fed with bad input, killed, and held against the books of the
//! upstream that it talked to.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod alerts;
mod bad_input;
mod black_box;
mod clock;
mod commands;
mod configuration;
mod crash;
mod data_dir;
mod hostile_upstream;
mod hostile_usage;
mod journal;
mod listeners;
mod mid_flight;
mod overshoot;
mod passthrough;
mod plain_process;
mod readers;
mod resets;
mod restarts;
mod shutdown;
mod slow_clients;
mod upstream_faults;
mod webhooks;
