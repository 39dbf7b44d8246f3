use serde::{Deserialize, Serialize};
use tollgate_domain::ids::ProfileId;
use tollgate_storage::profiles::versions;
use utoipa::{IntoParams, ToSchema};

use super::VersionView;
use crate::access_profiles::get_existing;
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Page, Path, Query, count};
use crate::problem::Answer;

/// Which versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListVersions {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name then, or of the id of who made it so.
    search: Option<String>,
}

/// A part of the list of versions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionList {
    versions: Vec<VersionView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List the versions of an access profile
#[utoipa::path(
    get, path = "/access-profiles/{profile_id}/versions", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0), ListVersions),
    responses((status = 200, body = VersionList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_access_profile_versions(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<ProfileId>,
    Query(query): Query<ListVersions>,
) -> Answer<Json<VersionList>> {
    let page = Page::new(query.limit, query.offset)?;
    get_existing(ctx.store(), id).await?;
    let found = versions::list(ctx.store(), id, query.search.as_deref(), page.into()).await?;
    let versions: Vec<_> = found.items.into_iter().map(VersionView::from).collect();
    Ok(Json(VersionList {
        count: count(&versions),
        versions,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
