//! One file for each module of the crate.

mod installation;
mod people;
