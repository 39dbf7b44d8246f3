//! Requests that were charged in doubt: nobody knows what they cost, so they were charged what was held for them.

mod list;
mod resolve;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::Timestamp;
use tollgate_domain::Usd;
use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::ids::BudgetId;
use tollgate_domain::limits::MeterKind;
use tollgate_domain::snapshot::Snapshot;
use tollgate_storage::in_doubt::InDoubt;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::limits::money;
use crate::operations::Operations;

/// The operations on amounts in doubt.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_in_doubt))
        .routes(|| routes!(resolve::resolve_in_doubt))
}

/// A request that was charged in doubt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InDoubtView {
    /// The id of the request, also in the request log.
    id: String,
    /// When it was admitted.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Why nobody knows what it cost: `interrupted` (the process died), `abandoned` (nobody waited for the answer),
    /// `expired` (it outlived its time), or the code of the error that the client got.
    reason: Option<String>,
    virtual_key_id: String,
    /// Null when the key is gone.
    virtual_key_name: Option<String>,
    user_id: Option<String>,
    /// Null when there is no user, or the user is gone.
    user_name: Option<String>,
    /// The copy that paid.
    copy_id: Option<String>,
    access_profile_id: Option<i64>,
    provider: String,
    model: String,
    endpoint: &'static str,
    is_stream: bool,
    /// Whether the amount is an upper bound rather than an estimate.
    is_bound: bool,
    /// What was charged, in US dollars.
    #[schema(value_type = f64)]
    amount_charged: Box<RawValue>,
    /// The budget lines that were charged with it, and in which windows.
    charges: Vec<ChargeView>,
    /// When it was corrected.
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    /// To how much, in US dollars.
    #[schema(value_type = Option<f64>)]
    amount_resolved: Option<Box<RawValue>>,
}

/// A budget line that was charged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChargeView {
    budget_id: String,
    #[schema(value_type = String, format = DateTime)]
    window_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    window_end: Timestamp,
}

impl InDoubtView {
    fn new(row: InDoubt, snapshot: &Snapshot) -> Self {
        let facts = row.charged.facts;
        let key = snapshot.key(facts.key);
        let user = facts.user.and_then(|id| snapshot.user(id));
        let is_money = |charge: &&CounterAmount| charge.key.kind == MeterKind::Money;
        Self {
            id: facts.request.to_string(),
            at: facts.at,
            ended_at: row.ended_at,
            reason: row.error_code,
            virtual_key_id: facts.key.to_string(),
            virtual_key_name: key.map(|key| key.name.to_string()),
            user_id: facts.user.map(|id| id.to_string()),
            user_name: user.map(|user| user.name.to_string()),
            copy_id: facts.copy.map(|id| id.to_string()),
            access_profile_id: facts.profile.map(|id| id.0),
            provider: facts.provider.to_string(),
            model: facts.model,
            endpoint: facts.endpoint.as_str(),
            is_stream: facts.is_stream,
            is_bound: facts.is_bound,
            amount_charged: money(facts.reserved_cost),
            charges: row
                .charged
                .holds
                .iter()
                .filter(is_money)
                .map(|charge| ChargeView {
                    budget_id: BudgetId::from_uuid(charge.key.line).to_string(),
                    window_start: charge.start,
                    window_end: charge.end,
                })
                .collect(),
            resolved_at: row.resolved.map(|(at, _)| at),
            amount_resolved: row.resolved.map(|(_, amount): (_, Usd)| money(amount)),
        }
    }
}
