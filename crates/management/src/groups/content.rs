//! What may be said of a group: the pure part of create and update.

use tollgate_domain::IdSource;
use tollgate_domain::access::profile::{OnUnknownPrice, ProfileContent, Reservation};
use tollgate_domain::ids::{BusinessUnitId, CustomerId};
use tollgate_domain::snapshot::GroupId;
use tollgate_domain::time::Zone;
use tollgate_storage::groups::StoredGroup;

use crate::body::{Description, Existing, Name, Patch, Problems, body};
use crate::limits::{BudgetInput, RateLimitInput, merge_budgets, merge_rate_limit};
use crate::problem::Problem;

body! {
    /// A new group.
    struct CreateGroup ignoring ["id", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique among its kind without regard to case.
        name: required Name,
        /// For people.
        description: optional Description,
        /// Budgets that all members share.
        budgets: optional Vec<BudgetInput>,
        /// Rate limit that all members share.
        rate_limit: optional RateLimitInput,
        /// Whether windows follow the calendar of `time_zone`.
        calendar_aligned: optional bool,
        /// The IANA zone of aligned windows.
        time_zone: optional Zone,
        /// How much a request holds before it is sent.
        reservation: optional Reservation,
        /// What happens to a model without a known price.
        on_unknown_price: optional OnUnknownPrice,
        /// The customer above a team, whose limits hold as well.
        customer_id: optional Existing<CustomerId>,
        /// The business unit above a team, whose limits hold as well.
        business_unit_id: optional Existing<BusinessUnitId>,
    }
}

body! {
    /// A partial update of a group.
    struct UpdateGroup ignoring ["id", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique among its kind without regard to case.
        name: given Name,
        /// Null clears it.
        description: patch Description,
        /// Replaces the whole list, as with access profiles.
        budgets: given Vec<BudgetInput>,
        /// Replaces the limit; null clears it.
        rate_limit: patch RateLimitInput,
        /// Null keeps the value.
        calendar_aligned: optional bool,
        /// The IANA zone of aligned windows.
        time_zone: given Zone,
        /// How much a request holds before it is sent.
        reservation: given Reservation,
        /// What happens to a model without a known price.
        on_unknown_price: given OnUnknownPrice,
        /// The customer above a team; null for none.
        customer_id: patch Existing<CustomerId>,
        /// The business unit above a team; null for none.
        business_unit_id: patch Existing<BusinessUnitId>,
    }
}

impl From<CreateGroup> for UpdateGroup {
    /// A new group is the empty one, updated.
    fn from(body: CreateGroup) -> Self {
        Self {
            name: Some(body.name),
            description: patch(body.description),
            budgets: body.budgets,
            rate_limit: patch(body.rate_limit),
            calendar_aligned: body.calendar_aligned,
            time_zone: body.time_zone,
            reservation: body.reservation,
            on_unknown_price: body.on_unknown_price,
            customer_id: patch(body.customer_id),
            business_unit_id: patch(body.business_unit_id),
        }
    }
}

fn patch<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Absent, Patch::Value)
}

/// The group after the update. Instants are left as they are.
///
/// # Errors
/// Everything that is wrong with the body.
pub(super) fn apply_update(
    current: &StoredGroup,
    body: UpdateGroup,
    ids: &dyn IdSource,
) -> Result<StoredGroup, Problem> {
    let mut problems = Problems::default();
    let parents = read_parents(
        current,
        body.customer_id,
        body.business_unit_id,
        &mut problems,
    );
    problems.into_result()?;
    let old = &current.content;
    let mut content = ProfileContent {
        calendar_aligned: body.calendar_aligned.unwrap_or(old.calendar_aligned),
        time_zone: body.time_zone.unwrap_or_else(|| old.time_zone.clone()),
        reservation: body.reservation.unwrap_or(old.reservation),
        on_unknown_price: body.on_unknown_price.unwrap_or(old.on_unknown_price),
        ..old.clone()
    };
    if let Some(budgets) = &body.budgets {
        content.limits.budgets = merge_budgets(&old.limits.budgets, budgets, ids);
    }
    match &body.rate_limit {
        Patch::Absent => {}
        Patch::Null => content.limits.rate_limit = None,
        Patch::Value(new) => {
            let before = old.limits.rate_limit.as_ref();
            content.limits.rate_limit = Some(merge_rate_limit(before, new, ids));
        }
    }
    Ok(StoredGroup {
        name: body.name.map_or_else(|| current.name.clone(), String::from),
        description: body.description.apply_to(current.description.clone()),
        content,
        parents,
        ..current.clone()
    })
}

/// The groups above after the update. Only teams have any.
fn read_parents(
    current: &StoredGroup,
    customer: Patch<Existing<CustomerId>>,
    unit: Patch<Existing<BusinessUnitId>>,
    problems: &mut Problems,
) -> Vec<GroupId> {
    if !matches!(current.id, GroupId::Team(_)) {
        if matches!(customer, Patch::Value(_)) {
            problems.inconsistent("/customer_id", "only a team stands below a customer");
        }
        if matches!(unit, Patch::Value(_)) {
            problems.inconsistent(
                "/business_unit_id",
                "only a team stands below a business unit",
            );
        }
        return current.parents.clone();
    }
    let old_customer = current.parents.iter().find_map(|parent| match parent {
        GroupId::Customer(id) => Some(*id),
        _ => None,
    });
    let old_unit = current.parents.iter().find_map(|parent| match parent {
        GroupId::BusinessUnit(id) => Some(*id),
        _ => None,
    });
    let customer = customer.map(|id| id.0).apply_to(old_customer);
    let unit = unit.map(|id| id.0).apply_to(old_unit);
    let customer = customer.map(GroupId::Customer);
    let unit = unit.map(GroupId::BusinessUnit);
    customer.into_iter().chain(unit).collect()
}
