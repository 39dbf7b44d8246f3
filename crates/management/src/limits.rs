//! Budgets and rate limits as requests write them and answers show them, wherever they stand: in a profile, a provider's
//! part of it, a key, a group or a model.

mod anew;
mod input;
mod merge;
mod usage;
mod view;

pub(crate) use anew::StartsAnew;
pub(crate) use input::{BudgetInput, RateLimitInput};
pub(crate) use merge::{merge_budgets, merge_rate_limit};
pub(crate) use usage::{Readings, no_usage};
pub(crate) use view::{BudgetView, Override, RateLimitView, money};
