use serde::{Deserialize, Serialize};
use tollgate_domain::ids::{ProfileId, UserId};
use tollgate_storage::copies;
use utoipa::{IntoParams, ToSchema};

use super::changes::{FieldChange, changes};
use super::copying::{Field, take_over};
use super::{count_holders, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Page, Path, Query, count};
use crate::problem::{Answer, Problem};

/// Which copies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDrift {
    /// At most so many copies, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After the copy of this user: `next_after` of the answer before.
    #[param(pattern = r"^user_[0-9a-f]{32}$")]
    after: Option<String>,
}

/// How copies differ from their template, in the order of user ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftList {
    profile_version: i64,
    copies: Vec<CopyDrift>,
    count: u64,
    /// How many copies there are.
    total_count: u64,
    /// Where the next page starts; null on the last one.
    next_after: Option<String>,
}

/// How a copy differs from its template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CopyDrift {
    user_id: String,
    copy_id: String,
    /// The template's version that the copy was last brought to.
    profile_version: i64,
    /// What the copy has and what propagating everything would give it; empty when it has no drift.
    fields: Vec<FieldChange>,
}

/// Compare copies with their template
#[utoipa::path(
    get, path = "/access-profiles/{profile_id}/drift", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0), ListDrift),
    responses((status = 200, body = DriftList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_access_profile_drift(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<ProfileId>,
    Query(query): Query<ListDrift>,
) -> Answer<Json<DriftList>> {
    let page = Page::new(query.limit, None)?;
    let after = query.after.map(|text| text.parse::<UserId>()).transpose();
    let after = after.map_err(|error| Problem::invalid("/query/after", error.to_string()))?;
    let profile = get_existing(ctx.store(), id).await?;
    let batch = copies::of_profile(ctx.store(), id, after, page.limit).await?;
    let is_full = count(&batch) == u64::from(page.limit);
    let last = batch.last().filter(|_| is_full);
    let next_after = last.map(|stored| stored.copy.user_id.to_string());
    let copies = batch
        .into_iter()
        .map(|stored| {
            let copy = stored.copy;
            let template = &profile.content;
            let wanted = take_over(copy.id.uuid(), &copy.content, template, &Field::ALL);
            Ok(CopyDrift {
                fields: changes(&copy.content, &wanted)?,
                user_id: copy.user_id.to_string(),
                copy_id: copy.id.to_string(),
                profile_version: copy.profile_version,
            })
        })
        .collect::<Answer<Vec<_>>>()?;
    Ok(Json(DriftList {
        profile_version: profile.version,
        count: count(&copies),
        copies,
        total_count: count_holders(ctx.store(), id).await?,
        next_after,
    }))
}
