//! What may be said of a group: the pure part of create and update.

use std::marker::PhantomData;

use tollgate_domain::IdSource;
use tollgate_domain::access::profile::{OnUnknownPrice, ProfileContent, Reservation};
use tollgate_domain::ids::{BusinessUnitId, CustomerId, TeamId};
use tollgate_domain::snapshot::GroupId;
use tollgate_domain::time::Zone;
use tollgate_storage::groups::StoredGroup;
use utoipa::openapi::{RefOr, Schema};

use crate::body::object::child;
use crate::body::{Description, Existing, FromJson, Name, Node, Object, Patch, Problems, body};
use crate::limits::{BudgetInput, RateLimitInput, merge_budgets, merge_rate_limit};

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

/// A kind of group, by the ids of its groups.
pub(crate) trait Kind: Send + Sync + 'static {
    /// Whether there may be groups above.
    const HAS_PARENTS: bool;
}

impl Kind for TeamId {
    const HAS_PARENTS: bool = true;
}

impl Kind for CustomerId {
    const HAS_PARENTS: bool = false;
}

impl Kind for BusinessUnitId {
    const HAS_PARENTS: bool = false;
}

/// What is said of a group of the kind `K`.
#[derive(Debug)]
pub(crate) struct Of<K, T> {
    pub(crate) body: T,
    kind: PhantomData<K>,
}

impl<K: Kind, T: FromJson> FromJson for Of<K, T> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let body = T::from_json(node, problems);
        if !K::HAS_PARENTS {
            refuse_parents(node, problems);
        }
        let kind = PhantomData;
        body.map(|body| Self { body, kind })
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

fn refuse_parents(node: &Node<'_>, problems: &mut Problems) {
    // What else is wrong with the object has been found.
    let mut found = Problems::default();
    let Some(object) = Object::read(node, &mut found) else {
        return;
    };
    let fields = [
        ("customer_id", "customer"),
        ("business_unit_id", "business unit"),
    ];
    for (name, parent) in fields.into_iter().filter(|(name, _)| object.has(name)) {
        let message = format!("only a team stands below a {parent}");
        problems.inconsistent(child(&node.pointer, name), message);
    }
}

/// The group after the update. Instants are left as they are.
pub(super) fn apply_update(
    current: &StoredGroup,
    body: UpdateGroup,
    ids: &dyn IdSource,
) -> StoredGroup {
    let parents = read_parents(current, body.customer_id, body.business_unit_id);
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
    StoredGroup {
        name: body.name.map_or_else(|| current.name.clone(), String::from),
        description: body.description.apply_to(current.description.clone()),
        content,
        parents,
        ..current.clone()
    }
}

/// The groups above after the update.
fn read_parents(
    current: &StoredGroup,
    customer: Patch<Existing<CustomerId>>,
    unit: Patch<Existing<BusinessUnitId>>,
) -> Vec<GroupId> {
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
