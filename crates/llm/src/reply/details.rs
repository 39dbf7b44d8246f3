//! The facts of a refusal, for programs.

use serde_json::{Number, Value, json};
use tollgate_domain::limits::MeterKind;
use tollgate_domain::{GatewayError, Usd};

/// `details` of an error: the full meter, when one is; null otherwise.
///
/// Amounts are in the limit's `unit`; money in dollars, exact to nine decimals.
pub(super) fn details(error: &GatewayError) -> Value {
    let Some(refusal) = error.limit.as_deref() else {
        return Value::Null;
    };
    let reading = &refusal.reading;
    let amount = |amount: i64| in_unit(refusal.kind, amount);
    let mut details = json!({
        "holder": {
            "kind": reading.holder_kind,
            "id": reading.holder_id,
            "name": reading.holder_name,
        },
        "limit_id": reading.id,
        "scope": reading.scope,
        "kind": reading.kind,
        "unit": unit(refusal.kind),
        "limit": amount(reading.limit),
        "used": amount(reading.used),
        "reserved": amount(reading.reserved),
        "remaining": amount(reading.remaining),
        "needed": amount(refusal.needed),
        "is_transient": refusal.is_transient,
        "window_start": reading.window_start,
        "resets_at": reading.resets_at,
    });
    if let Some(tokens) = refusal.largest_output_that_fits {
        details["largest_output_that_fits"] = tokens.into();
    }
    details
}

const fn unit(kind: MeterKind) -> &'static str {
    match kind {
        MeterKind::Money => "usd",
        MeterKind::Tokens => "tokens",
        MeterKind::Requests | MeterKind::Parallel => "requests",
    }
}

fn in_unit(kind: MeterKind, amount: i64) -> Value {
    match kind {
        MeterKind::Money => usd(Usd::from_nanos(amount)),
        MeterKind::Tokens | MeterKind::Requests | MeterKind::Parallel => amount.into(),
    }
}

/// The nearest number: what JSON readers make of the decimal anyway.
fn usd(amount: Usd) -> Value {
    Number::from_f64(amount.as_f64()).map_or(Value::Null, Value::Number)
}
