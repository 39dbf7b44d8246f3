use std::collections::BTreeSet;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use tollgate_domain::access::profile::McpGrants;
use tollgate_storage::Store;

use super::json::read_json;
use super::path::{Path, PathParam};
use crate::body::{FromJson, Reference, read_body_about};
use crate::problem::{Answer, Problem};
use crate::state::ManagementState;

/// The id of a thing that names others: what a profile grants, what a group of tools has in it.
pub(crate) trait NamesOthers: PathParam + Send {
    /// What the thing names now; nothing when there is no such thing.
    fn named(self, store: &Store) -> impl Future<Output = Answer<BTreeSet<Reference>>> + Send;
}

/// A JSON body about the thing that the path names. What the thing names already may stand in it: a tool group that was
/// deleted meanwhile grants nothing, and is no reason to refuse a profile that is sent back as it was read.
#[derive(Debug)]
pub(crate) struct About<I, T> {
    pub(crate) body: T,
    id: PhantomData<fn() -> I>,
}

impl<I: NamesOthers, T: FromJson + Send> FromRequest<ManagementState> for About<I, T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ManagementState) -> Result<Self, Problem> {
        let (mut head, body) = request.into_parts();
        let Path(id) = Path::<I>::from_request_parts(&mut head, state).await?;
        let bytes = read_json(Request::from_parts(head, body)).await?;
        let parts = state.parts();
        let body = read_body_about(&bytes, parts, || id.named(&parts.store)).await?;
        Ok(Self {
            body,
            id: PhantomData,
        })
    }
}

/// The tool groups and MCP clients that grants name.
pub(crate) fn named_by(mcp: &McpGrants) -> BTreeSet<Reference> {
    let groups = mcp.tool_groups.iter().copied().map(Reference::ToolGroup);
    let tools = mcp.tool_overrides.iter().map(|tool| tool.mcp_client_id);
    let servers = mcp.servers.iter().copied().chain(tools);
    groups.chain(servers.map(Reference::McpClient)).collect()
}
