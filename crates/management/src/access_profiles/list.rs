use serde::{Deserialize, Serialize};
use tollgate_storage::profiles::{self, ProfileFilter};
use utoipa::{IntoParams, ToSchema};

use super::view::AccessProfileView;
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which profiles.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAccessProfiles {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name or description.
    search: Option<String>,
    /// Tags, separated by commas: profiles that have any of them.
    tags: Option<String>,
    /// Only active ones, or only the others.
    is_active: Option<bool>,
}

/// A part of the list of profiles.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessProfileList {
    access_profiles: Vec<AccessProfileView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List access profiles
#[utoipa::path(
    get, path = "/access-profiles", tag = "access profiles",
    params(ListAccessProfiles),
    responses((status = 200, body = AccessProfileList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_access_profiles(
    ctx: Require<ViewAccessProfiles>,
    Query(query): Query<ListAccessProfiles>,
) -> Answer<Json<AccessProfileList>> {
    let page = Page::new(query.limit, query.offset)?;
    let tags = query.tags.unwrap_or_default();
    let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
    let filter = ProfileFilter {
        search: query.search,
        tags: tags.map(str::to_owned).collect(),
        is_active: query.is_active,
    };
    let found = profiles::list(ctx.store(), &filter, page.into()).await?;
    let access_profiles: Vec<_> = found.items.iter().map(super::view).collect();
    Ok(Json(AccessProfileList {
        count: count(&access_profiles),
        access_profiles,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
