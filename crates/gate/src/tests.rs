//! Tests of the gate as a whole, over a real ledger in a temporary directory.

mod admission;
mod credentials;
mod explain;
mod kit;
mod learned;
mod levels;
mod models;
mod parity;
mod shadow;
mod simulation;
mod sweep;
