//! Crowds at the edge of a limit: not a nano-dollar over, and not refused early; at every level, and of every kind.

mod bound;
mod counts;
mod crowd;
mod estimate;
mod nested;
mod payers;

const DOLLAR: i64 = 1_000_000_000;
