use serde::{Deserialize, Serialize};
use tollgate_storage::virtual_keys::{self, VirtualKeyFilter};
use utoipa::{IntoParams, ToSchema};

use super::{VirtualKeyView, view};
use crate::answers::Refusals;
use crate::context::{Require, ViewVirtualKeys};
use crate::extract::{Json, Page, Query, count};
use crate::mcp::names;
use crate::problem::Answer;

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListVirtualKeys {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
}

/// A part of the list of virtual keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VirtualKeyList {
    virtual_keys: Vec<VirtualKeyView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List virtual keys
#[utoipa::path(
    get, path = "/virtual-keys", tag = "virtual keys",
    params(ListVirtualKeys),
    responses((status = 200, body = VirtualKeyList), Refusals),
    security(("management_key" = ["VirtualKeys:View"]))
)]
pub(crate) async fn list_virtual_keys(
    ctx: Require<ViewVirtualKeys>,
    Query(query): Query<ListVirtualKeys>,
) -> Answer<Json<VirtualKeyList>> {
    let page = Page::new(query.limit, query.offset)?;
    let filter = VirtualKeyFilter {
        search: query.search,
        user: None,
        group: None,
    };
    let found = virtual_keys::list(ctx.store(), &filter, page.into()).await?;
    let named = found.items.iter().map(|key| &key.content.mcp);
    let names = names(ctx.store(), named).await?;
    let views = found.items.iter().map(|key| view(&ctx, key, &names));
    let virtual_keys: Vec<_> = views.collect();
    Ok(Json(VirtualKeyList {
        count: count(&virtual_keys),
        virtual_keys,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
