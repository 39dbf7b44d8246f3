//! Limit lines and the windows they count in.
//!
//! A *meter* is one limit line: budgets count money; rate limits count tokens, requests and parallel requests. A meter
//! says what the limit is; what has been used lives in the ledger, keyed by line and window.

mod line;
mod meter;
mod verdict;
mod window;

pub use line::{BudgetLine, LimitSet, RateLimitLine, ResetDuration};
pub use meter::{Boost, Holder, HolderKind, Meter, MeterId, MeterKind, MeterPlace, Quantity};
pub use verdict::Verdict;
pub use window::{Window, WindowKey, WindowSpec};
