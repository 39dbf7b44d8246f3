//! Whether a tool of an MCP client may be called, and under which limits.

use std::collections::BTreeSet;

use super::caller::{Caller, Source};
use super::findings::Judged;
use super::needs::{Amounts, needs};
use crate::access::plan::{Passage, Refusal};
use crate::access::request::ToolRequest;
use crate::access::tools::ToolSet;
use crate::error::ErrorKind;
use crate::money::Usd;
use crate::snapshot::Snapshot;

/// What `source` says of the call. The client's own list is no rule of the source: it holds in shadow mode as well.
pub(super) fn judge(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    source: &Source<'_>,
    request: &ToolRequest<'_>,
) -> Result<Judged<Passage>, Refusal> {
    let blocked = |message| Refusal::new(ErrorKind::McpToolBlocked, message);
    let catalog = snapshot.mcp();
    let Some(client) = catalog.client(request.client) else {
        return Err(blocked(format!(
            "there is no MCP client `{}`",
            request.client
        )));
    };
    let what = match request.tool {
        Some(tool) => format!("the tool `{tool}` of `{}`", client.name),
        None => format!("any tool of `{}`", client.name),
    };
    let offered = ToolSet::offered_by(client);
    let mut wanted = match request.tool {
        Some(tool) => ToolSet::Only(BTreeSet::from([tool])).intersection(offered),
        None => offered,
    };
    if wanted.is_empty() {
        return Err(blocked(format!(
            "the list of tools that may be used, `tools_to_execute`, does not have {what}"
        )));
    }
    let by_cap = caller.check_tool_caps(catalog, client, &mut wanted, &what)?;
    let granted = wanted.intersection(source.mcp.tools_of(client.id, catalog));
    let mut by_source = None;
    if granted.is_empty() {
        let message = format!("`{}` does not grant {what}", source.name);
        source.refuse(blocked(message), &mut by_source)?;
    }
    let price = request.tool.and_then(|tool| client.tool_pricing.get(tool));
    let cost = price.copied().unwrap_or(Usd::ZERO);
    let amounts = Amounts { cost, tokens: 0 };
    Ok(Judged::new(by_source, by_cap, |shadowed| Passage {
        payer: source.payer.clone(),
        provider: None,
        keys: Vec::new(),
        cost: Some(cost),
        needs: needs(snapshot, caller, source, None, amounts),
        shadowed,
    }))
}
