//! Bodies about a profile that exists.

use std::collections::BTreeSet;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use tollgate_domain::access::profile::McpGrants;
use tollgate_domain::ids::ProfileId;
use tollgate_storage::profiles;

use crate::body::{FromJson, Reference, read_body_about};
use crate::extract::{Path, read_json};
use crate::problem::Problem;
use crate::state::ManagementState;

/// A JSON body about the profile that the path names. What the profile names already may stand in it: a tool group that
/// was deleted meanwhile grants nothing, and is no reason to refuse a profile that is sent back as it was read.
#[derive(Debug)]
pub(crate) struct OfProfile<T>(pub(crate) T);

impl<T: FromJson + Send> FromRequest<ManagementState> for OfProfile<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ManagementState) -> Result<Self, Problem> {
        let (mut head, body) = request.into_parts();
        let Path(id) = Path::<ProfileId>::from_request_parts(&mut head, state).await?;
        let bytes = read_json(Request::from_parts(head, body)).await?;
        let parts = state.parts();
        let held = || async {
            let profile = profiles::find(&parts.store, id).await?;
            Ok(profile.map_or_else(BTreeSet::new, |profile| named(&profile.content.mcp)))
        };
        read_body_about(&bytes, parts, held).await.map(Self)
    }
}

fn named(mcp: &McpGrants) -> BTreeSet<Reference> {
    let groups = mcp.tool_groups.iter().copied().map(Reference::ToolGroup);
    let tools = mcp.tool_overrides.iter().map(|tool| tool.mcp_client_id);
    let servers = mcp.servers.iter().copied().chain(tools);
    groups.chain(servers.map(Reference::McpClient)).collect()
}
