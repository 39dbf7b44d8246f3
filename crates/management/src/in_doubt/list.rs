use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ProfileId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_storage::in_doubt::{self, InDoubtFilter};
use utoipa::{IntoParams, ToSchema};

use super::InDoubtView;
use crate::answers::Refusals;
use crate::context::{Require, ViewLogs};
use crate::extract::{Json, Page, Query, count, parse_query};
use crate::problem::Answer;

/// Which amounts in doubt.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListInDoubt {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the provider's or model's name.
    search: Option<String>,
    /// Only those that were corrected, or only those that were not.
    resolved: Option<bool>,
    /// Admitted at this instant or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Admitted before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// With this key.
    #[param(pattern = r"^vk_[0-9a-f]{32}$")]
    virtual_key_id: Option<String>,
    /// Of this user.
    #[param(pattern = r"^user_[0-9a-f]{32}$")]
    user_id: Option<String>,
    /// Paid by a copy of this profile.
    access_profile_id: Option<i64>,
    /// Sent to this provider.
    #[param(pattern = r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    provider: Option<String>,
    /// For this model.
    model: Option<String>,
}

/// A part of the amounts in doubt, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InDoubtList {
    in_doubt: Vec<InDoubtView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List amounts in doubt
///
/// Requests whose end nobody learned, because the process died, a provider did not answer, or the client left. They are
/// charged what was held for them until somebody who knows better corrects it.
#[utoipa::path(
    get, path = "/in-doubt", tag = "corrections",
    params(ListInDoubt),
    responses((status = 200, body = InDoubtList), Refusals),
    security(("management_key" = ["Logs:View"]))
)]
pub(crate) async fn list_in_doubt(
    ctx: Require<ViewLogs>,
    Query(query): Query<ListInDoubt>,
) -> Answer<Json<InDoubtList>> {
    let page = Page::new(query.limit, query.offset)?;
    let filter = query.filter()?;
    let found = in_doubt::list(ctx.store(), &filter, page.into()).await?;
    let snapshot = ctx.parts().policy.snapshot();
    let rows = found.items.into_iter();
    let in_doubt: Vec<_> = rows.map(|row| InDoubtView::new(row, &snapshot)).collect();
    Ok(Json(InDoubtList {
        count: count(&in_doubt),
        in_doubt,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

impl ListInDoubt {
    fn filter(&self) -> Answer<InDoubtFilter> {
        Ok(InDoubtFilter {
            is_resolved: self.resolved,
            from: parse_query::<Timestamp>(self.from.as_deref(), "from")?,
            to: parse_query::<Timestamp>(self.to.as_deref(), "to")?,
            key: parse_query::<VirtualKeyId>(self.virtual_key_id.as_deref(), "virtual_key_id")?,
            user: parse_query::<UserId>(self.user_id.as_deref(), "user_id")?,
            profile: self.access_profile_id.map(ProfileId),
            provider: parse_query::<ProviderName>(self.provider.as_deref(), "provider")?,
            model: self.model.clone(),
            search: self.search.clone(),
        })
    }
}
