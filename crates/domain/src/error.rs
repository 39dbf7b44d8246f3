//! What can go wrong on the data plane, once: kind, origin, whether to retry, and the facts of a refusal.
//!
//! Inner layers return [`GatewayError`]; one place per dialect renders it. [`ErrorKind`]'s table is the only one that
//! maps a kind to code and status.

use std::fmt;

use serde::Serialize;

use crate::limits::{Meter, MeterKind, Quantity};
use crate::time::Timestamp;

/// Who caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The caller: a bad request, or one that policy refuses.
    Client,
    /// Tollgate itself.
    Gateway,
    /// The provider.
    Upstream,
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $code:literal, $origin:ident;)+) => {
        /// Every way in which a request on the data plane can fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $name,)+ }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The HTTP status. [`ErrorKind::UpstreamError`] passes the provider's own on where there is one.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The stable, machine-readable code; also the metric label.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// A kind with this [`Self::code`].
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }

            /// Who caused it.
            pub const fn origin(self) -> Origin {
                match self { $(Self::$name => Origin::$origin,)+ }
            }
        }
    };
}

error_kinds! {
    /// No credential at all, two different ones, or one of another door.
    VirtualKeyRequired = 401, "virtual_key_required", Client;
    /// A key that does not exist, or no longer.
    VirtualKeyNotFound = 401, "virtual_key_not_found", Client;
    /// The key, its holder or every copy is inactive or expired.
    AccessBlocked = 403, "access_blocked", Client;
    /// No grant names the provider.
    ProviderBlocked = 403, "provider_blocked", Client;
    /// The provider is granted, the model is not.
    ModelBlocked = 403, "model_blocked", Client;
    /// No grant names the tool.
    McpToolBlocked = 403, "mcp_tool_blocked", Client;
    /// No price is known, and the profile says deny.
    PriceUnknown = 403, "price_unknown", Client;
    /// Spent, or this request cannot fit what is left.
    BudgetExceeded = 402, "budget_exceeded", Client;
    /// The budget is only full of running requests.
    BudgetInFlight = 429, "budget_in_flight", Client;
    /// Too many requests in the window.
    RequestLimited = 429, "request_limited", Client;
    /// Too many tokens in the window.
    TokenLimited = 429, "token_limited", Client;
    /// Too many requests at once.
    ConcurrencyLimited = 429, "concurrency_limited", Client;
    /// Malformed, or a way around a check.
    InvalidRequest = 400, "invalid_request", Client;
    /// Several providers offer the bare name and nothing orders them.
    ModelAmbiguous = 400, "model_ambiguous", Client;
    /// No such route.
    NotFound = 404, "not_found", Client;
    /// The route exists, the method does not.
    MethodNotAllowed = 405, "method_not_allowed", Client;
    /// Not JSON.
    UnsupportedMediaType = 415, "unsupported_media_type", Client;
    /// The body is over the limit.
    BodyTooLarge = 413, "body_too_large", Client;
    /// The client was too slow to send its request.
    RequestTimeout = 408, "request_timeout", Client;
    /// The ledger cannot take a hold, so nothing is dispatched.
    LedgerUnavailable = 503, "ledger_unavailable", Gateway;
    /// The process is going down.
    ShuttingDown = 503, "shutting_down", Gateway;
    /// Too much at once.
    Overloaded = 503, "overloaded", Gateway;
    /// A bug of ours.
    InternalError = 500, "internal_error", Gateway;
    /// The provider failed, or could not be reached.
    UpstreamError = 502, "upstream_error", Upstream;
    /// The provider took too long.
    UpstreamTimeout = 504, "upstream_error", Upstream;
}

impl ErrorKind {
    /// The refusal of a full meter: spent for good, or only full of running requests.
    pub const fn limit_refusal(meter: MeterKind, is_transient: bool) -> Self {
        match (meter, is_transient) {
            (MeterKind::Money, false) => Self::BudgetExceeded,
            (MeterKind::Money, true) => Self::BudgetInFlight,
            (MeterKind::Tokens, _) => Self::TokenLimited,
            (MeterKind::Requests, _) => Self::RequestLimited,
            (MeterKind::Parallel, _) => Self::ConcurrencyLimited,
        }
    }
}

/// The numbers of one meter at one instant, as refusals, `explain` and quota show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeterReading {
    /// The kind of holder: `access_profile`, `team`, ….
    pub holder_kind: &'static str,
    /// The holder's id.
    pub holder_id: String,
    /// The holder's name.
    pub holder_name: String,
    /// The line's id.
    pub id: String,
    /// What part of the holder it covers.
    pub scope: String,
    /// `money`, `tokens`, `requests`, `parallel_requests`.
    pub kind: &'static str,
    /// The effective limit, in the kind's unit (nano-dollars for money).
    pub limit: i64,
    /// Settled in this window.
    pub used: i64,
    /// Held by running requests.
    pub reserved: i64,
    /// What is left, never less than zero.
    pub remaining: i64,
    /// The window's start; absent for parallel requests.
    pub window_start: Option<Timestamp>,
    /// When the window ends; absent for parallel requests.
    pub resets_at: Option<Timestamp>,
}

impl MeterReading {
    /// The reading of `meter` at `now` with these counts.
    pub fn new(meter: &Meter, now: Timestamp, used: i64, reserved: i64) -> Self {
        let limit = meter.effective_limit(now);
        let window = meter.window.as_ref().map(|spec| spec.window(now));
        Self {
            holder_kind: meter.holder.kind.as_str(),
            holder_id: meter.holder.id.to_string(),
            holder_name: meter.holder.name.to_string(),
            id: meter.line_id.to_string(),
            scope: meter.scope.to_string(),
            kind: meter.id.kind.as_str(),
            limit,
            used,
            reserved,
            remaining: limit.saturating_sub(used).saturating_sub(reserved).max(0),
            window_start: window.map(|window| window.start),
            resets_at: window.map(|window| window.end),
        }
    }
}

/// A full meter, and what the request wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRefusal {
    /// The meter's kind.
    pub kind: MeterKind,
    /// Its numbers under the ledger's lock.
    pub reading: MeterReading,
    /// What this request needed.
    pub needed: i64,
    /// Whether running requests alone fill it, so that it may pass in a moment.
    pub is_transient: bool,
    /// For money: the most output tokens that would still fit, when any would.
    pub largest_output_that_fits: Option<u64>,
}

impl fmt::Display for LimitRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = &self.reading;
        let quantity = |amount| Quantity(self.kind, amount);
        write!(
            f,
            "the limit of {} on {} `{}` ({}) does not allow this request: {} used, {} reserved by running requests, {} needed",
            quantity(reading.limit),
            reading.holder_kind.replace('_', " "),
            reading.holder_name,
            reading.scope,
            quantity(reading.used),
            quantity(reading.reserved),
            quantity(self.needed),
        )?;
        if let Some(at) = reading.resets_at {
            write!(f, "; it resets at {at}")?;
        }
        if let Some(tokens) = self.largest_output_that_fits {
            write!(f, "; the largest output that fits is {tokens} tokens")?;
        }
        Ok(())
    }
}

/// A failed request: what, why, and what the caller may do.
#[derive(Debug)]
pub struct GatewayError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// For the caller. Never holds a secret, an upstream's internals or a path of the host.
    pub message: String,
    /// The request field at fault, when one is.
    pub param: Option<String>,
    /// The full meter, when one is.
    pub limit: Option<Box<LimitRefusal>>,
    /// Seconds after which a retry may succeed.
    pub retry_after_seconds: Option<u64>,
    /// For the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl GatewayError {
    /// An error of this kind with a message for the caller.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            limit: None,
            retry_after_seconds: None,
            source: None,
        }
    }

    /// Names the request field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when a retry may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The refusal of a full meter at `now`.
    pub fn limit(refusal: LimitRefusal, now: Timestamp) -> Self {
        let kind = ErrorKind::limit_refusal(refusal.kind, refusal.is_transient);
        // Running requests end soon; a window ends when it ends.
        let retry_after = match (kind, refusal.reading.resets_at) {
            (ErrorKind::BudgetExceeded, _) => None,
            (ErrorKind::RequestLimited | ErrorKind::TokenLimited, Some(at))
                if !refusal.is_transient =>
            {
                Some(now.seconds_until(at).max(1))
            }
            _ => Some(1),
        };
        Self {
            kind,
            message: refusal.to_string(),
            param: None,
            limit: Some(Box::new(refusal)),
            retry_after_seconds: retry_after,
            source: None,
        }
    }

    /// Whether an SDK may retry by itself: not after a permanent refusal, nor when the window is longer than a minute.
    pub fn should_retry(&self) -> bool {
        match self.kind.status() {
            408 | 500..=599 => true,
            429 => self.retry_after_seconds.is_none_or(|seconds| seconds <= 60),
            _ => false,
        }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for GatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rename breaks callers who match on the code: change this table only on purpose.
    #[test]
    fn codes_and_statuses_are_the_published_ones() {
        let table: Vec<String> = ErrorKind::ALL
            .iter()
            .map(|kind| format!("{} {}", kind.status(), kind.code()))
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
