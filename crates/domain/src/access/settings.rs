//! What a payer decides about the requests that it pays for.

use serde::{Deserialize, Serialize};

/// How much a request holds before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// What it will probably cost; the request is not edited.
    #[default]
    Estimate,
    /// The most it can cost; an output limit is written into it when it has none.
    Bound,
}

/// What happens to a model without a known price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknownPrice {
    /// It is refused.
    #[default]
    Deny,
    /// It is allowed, and costs nothing.
    Allow,
}

/// What a payer decides about its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// How much a request holds.
    pub reservation: Reservation,
    /// What happens to a model without a price.
    pub on_unknown_price: OnUnknownPrice,
    /// Records what it would have refused, and refuses nothing.
    pub shadow: bool,
}
