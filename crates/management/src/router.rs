//! Every route in one place, and the layers around them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::operations::Operations;
use crate::problem::Problem;
use crate::state::ManagementState;
use crate::{
    access_profiles, api_keys, audit_trail, budgets, door, edge, groups, idempotency, in_doubt,
    logs, mcp, model_configs, openapi, policy, prices, providers, quota, roles, users,
    virtual_keys, webhooks,
};

/// What the description groups operations by.
pub(crate) const TAGS: &[(&str, &str)] = &[
    (
        "access profiles",
        "What their holders may use, and how much of it. Each holder has a copy with counters of its own.",
    ),
    ("users", "People, and agents that act as one."),
    ("roles", "What a role may do on this API."),
    (
        "policy",
        "What would be decided, and what a user really has.",
    ),
    ("teams", "Groups of users with limits of their own."),
    ("customers", "Groups of users with limits of their own."),
    (
        "business units",
        "Groups of users with limits of their own.",
    ),
    ("model limits", "Limits on models, wherever they are used."),
    (
        "request log",
        "What was asked, what it cost and how it ended.",
    ),
    (
        "corrections",
        "Amounts that nobody is sure of, and budgets that were charged wrongly.",
    ),
    (
        "MCP",
        "Servers of tools, and groups of their tools, which profiles grant.",
    ),
    ("audit trail", "Who changed what."),
    (
        "webhooks",
        "Who outside is told of what happens: signed requests, repeated until they are taken.",
    ),
    ("management keys", "Keys of this API."),
    ("virtual keys", "What callers of the data plane show."),
    (
        "providers",
        "Where requests go, with which credentials, and what models cost.",
    ),
];

/// Operations by where they are mounted and what guards them.
struct Places {
    /// Under `/api/governance`, behind the door.
    governance: Operations,
    /// Under `/api`, behind the door.
    api: Operations,
    /// Under `/api/governance`, with a door of their own.
    own_door: Operations,
    /// Under `/api` as well, and deprecated there: the same operations as under `/api/governance`.
    short: Operations,
    /// Under both, and deprecated everywhere.
    superseded: Operations,
}

fn places() -> Places {
    Places {
        governance: access_profiles::operations()
            .merge(users::operations())
            .merge(roles::operations())
            .merge(virtual_keys::operations())
            .merge(groups::operations())
            .merge(audit_trail::operations())
            .merge(model_configs::operations())
            .merge(policy::operations())
            .merge(in_doubt::operations())
            .merge(budgets::operations()),
        api: api_keys::operations()
            .merge(providers::operations())
            .merge(prices::operations())
            .merge(logs::operations())
            .merge(mcp::operations())
            .merge(webhooks::operations()),
        own_door: quota::operations().merge(virtual_keys::own_door_operations()),
        short: access_profiles::operations(),
        superseded: access_profiles::superseded_operations(),
    }
}

/// All operations, for the description.
pub(crate) fn documented() -> OpenApiRouter<ManagementState> {
    let places = places();
    let governance = places
        .governance
        .merge(places.own_door)
        .merge(places.superseded.clone());
    let api = places.api.merge(places.short).merge(places.superseded);
    OpenApiRouter::new()
        .nest("/api/governance", governance.documented())
        .nest("/api", api.documented())
}

/// The management API with its description.
///
/// A request passes, from outside: `edge::finish` (request id, one body for every error), a net for panics, the match of
/// the route, `edge::deprecated` or `edge::superseded` on paths that were replaced, `door::authenticate`, and the permission that the operation's
/// first argument demands. Nothing is decided on the raw path: what does not match a route exactly is not found.
pub fn router(state: ManagementState) -> Router {
    let places = places();
    let door = || from_fn_with_state(state.clone(), door::authenticate);
    let guarded = |operations: Operations| {
        let repeat = from_fn_with_state(state.clone(), idempotency::repeat);
        operations.router().route_layer(repeat).route_layer(door())
    };
    let short = guarded(places.short).route_layer(from_fn(edge::deprecated));
    let superseded = guarded(places.superseded).route_layer(from_fn(edge::superseded));
    Router::new()
        .nest(
            "/api/governance",
            guarded(places.governance)
                .merge(places.own_door.router())
                .merge(superseded.clone()),
        )
        .nest("/api", guarded(places.api).merge(short).merge(superseded))
        .route("/openapi.json", get(openapi::get_openapi))
        .route("/docs", get(openapi::get_docs))
        .fallback(edge::unknown_path)
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(state.clone(), edge::finish))
        .with_state(state)
}

/// A bug costs one request.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the layer's"
)]
fn answer_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let cause = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    Problem::internal(&cause).into_response()
}
