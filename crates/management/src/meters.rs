//! Limits with their live numbers, as the holder's own view, the effective policy and `explain` show them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::access::Copy;
use tollgate_domain::error::MeterReading;
use tollgate_domain::limits::{Meter, MeterKind};
use tollgate_domain::live::LiveCounters;
use tollgate_domain::{Timestamp, Usd};
use utoipa::ToSchema;

use crate::limits::money;

/// One limit and what is left of it. Amounts are US dollars, tokens or requests, as `kind` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitReading {
    /// What has the limit: `access_profile` (a copy of one), `virtual_key`, `team`, `business_unit`, `customer`,
    /// `model_config` or `provider`.
    holder_kind: &'static str,
    holder_id: String,
    holder_name: String,
    /// The id of the budget or rate limit.
    id: String,
    /// What part of the holder it covers: `total`, `provider:<name>`, ….
    scope: String,
    /// `money`, `tokens`, `requests` or `parallel_requests`.
    kind: &'static str,
    #[schema(value_type = f64)]
    limit: Box<RawValue>,
    #[schema(value_type = f64)]
    used: Box<RawValue>,
    /// Held by running requests.
    #[schema(value_type = f64)]
    reserved: Box<RawValue>,
    #[schema(value_type = f64)]
    remaining: Box<RawValue>,
    #[schema(value_type = Option<String>, format = DateTime)]
    window_start: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<Timestamp>,
}

impl LimitReading {
    /// A value in the unit of a kind of limit: exact dollars, or a whole number.
    pub(crate) fn amount(kind: &str, value: i64) -> Box<RawValue> {
        if kind == MeterKind::Money.as_str() {
            money(Usd::from_nanos(value))
        } else {
            RawValue::from_string(value.to_string()).unwrap_or_default()
        }
    }
}

impl From<MeterReading> for LimitReading {
    fn from(reading: MeterReading) -> Self {
        let amount = |value: i64| Self::amount(reading.kind, value);
        Self {
            limit: amount(reading.limit),
            used: amount(reading.used),
            reserved: amount(reading.reserved),
            remaining: amount(reading.remaining),
            holder_kind: reading.holder_kind,
            holder_id: reading.holder_id,
            holder_name: reading.holder_name,
            id: reading.id,
            scope: reading.scope,
            kind: reading.kind,
            window_start: reading.window_start,
            resets_at: reading.resets_at,
        }
    }
}

/// What the meters show now.
pub(crate) fn read_meters<'a>(
    meters: impl IntoIterator<Item = &'a Arc<Meter>>,
    live: &dyn LiveCounters,
    now: Timestamp,
) -> Vec<LimitReading> {
    meters
        .into_iter()
        .map(|meter| {
            let count = live.count(meter, now);
            MeterReading::new(meter, now, count.used, count.reserved).into()
        })
        .collect()
}

/// Every meter of a copy: its own, its providers' and their models'.
pub(crate) fn copy_meters(copy: &Copy) -> Vec<Arc<Meter>> {
    let mut meters = copy.meters.clone();
    for grant in &copy.grants {
        meters.extend(grant.meters.iter().cloned());
        for line in &grant.model_meters {
            meters.extend(line.meters.iter().cloned());
        }
    }
    meters
}
