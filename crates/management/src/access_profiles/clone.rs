use axum::response::IntoResponse;
use http::StatusCode;
use serde::Serialize;
use tollgate_domain::IdSource;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent};
use tollgate_domain::ids::{BudgetId, ProfileId, ProviderConfigId, RateLimitId};
use tollgate_domain::limits::LimitSet;

use super::create::store_new;
use super::get_existing;
use super::view::AccessProfileBody;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{CreateAccessProfiles, Require};
use crate::extract::{Json, Path, etag};
use crate::problem::Answer;

body! {
    /// The clone's name.
    struct CloneAccessProfile {
        /// 1 to 255 characters, unique without regard to case.
        name: required Name,
        /// For people. Left out: the description of the original.
        description: optional Description,
    }
}

/// What a clone was made from.
#[derive(Serialize)]
struct ClonedFrom {
    cloned_from: i64,
}

/// Clone an access profile
///
/// The clone has lines of its own, no roles and no holders.
#[utoipa::path(
    post, path = "/access-profiles/{profile_id}/clone", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0)),
    request_body = CloneAccessProfile,
    responses((status = 201, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn clone_access_profile(
    ctx: Require<CreateAccessProfiles>,
    Path(id): Path<ProfileId>,
    Json(body): Json<CloneAccessProfile>,
) -> Answer<impl IntoResponse> {
    let mut tx = ctx.begin().await?;
    let original = get_existing(&mut tx, id).await?;
    let wanted = AccessProfile {
        name: body.name.into(),
        description: body.description.map(String::from).or(original.description),
        content: with_fresh_ids(&original.content, ctx.parts().ids.as_ref()),
        is_active: original.is_active,
        tags: original.tags,
        ..original
    };
    let created = store_new(&ctx, &mut tx, wanted).await?;
    let access_profile = super::view(&created);
    let act = Act::new("clone", "access_profile", created.id)
        .about_profile(created.id)
        .after(&access_profile)
        .with(&ClonedFrom { cloned_from: id.0 });
    ctx.record(&mut tx, act).await?;
    let answer = Json(AccessProfileBody { access_profile });
    ctx.commit(tx, (StatusCode::CREATED, etag(created.version), answer))
        .await
}

/// The same content, with lines whose ids nothing has used yet. Provider configs are numbered when they are stored.
pub(crate) fn with_fresh_ids(content: &ProfileContent, ids: &dyn IdSource) -> ProfileContent {
    let mut content = content.clone();
    refresh(&mut content.limits, ids);
    for config in &mut content.provider_configs {
        config.id = ProviderConfigId(0);
        refresh(&mut config.limits, ids);
        for line in &mut config.model_budgets {
            refresh(&mut line.limits, ids);
        }
    }
    content
}

fn refresh(limits: &mut LimitSet, ids: &dyn IdSource) {
    for budget in &mut limits.budgets {
        budget.id = BudgetId::from_uuid(ids.next_uuid());
    }
    if let Some(rate) = &mut limits.rate_limit {
        rate.id = RateLimitId::from_uuid(ids.next_uuid());
    }
}
