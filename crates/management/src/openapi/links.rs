//! From the answer that names a thing to the operations on it.
//!
//! Clients and test tools follow these links: whoever created something learns from the description where it is read,
//! changed and deleted.

use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::{OpenApi, RefOr, Response};

use super::operations_mut;

/// An operation, the path of what its answer names, and where the path's parameters come from, in their order.
type Source = (&'static str, &'static str, &'static [&'static str]);

const SOURCES: [Source; 25] = [
    (
        "create_access_profile",
        "/api/governance/access-profiles/{profile_id}",
        &["$response.body#/access_profile/id"],
    ),
    (
        "clone_access_profile",
        "/api/governance/access-profiles/{profile_id}",
        &["$response.body#/access_profile/id"],
    ),
    (
        "update_access_profile",
        "/api/governance/access-profiles/{profile_id}/versions/{version}",
        &[
            "$request.path.profile_id",
            "$response.body#/access_profile/version",
        ],
    ),
    (
        "attach_access_profile_roles",
        "/api/governance/access-profiles/{profile_id}/roles/{role_id}",
        &["$request.path.profile_id", "$request.body#/role_ids/0"],
    ),
    (
        "create_user",
        "/api/governance/users/{user_id}",
        &["$response.body#/user/id"],
    ),
    (
        "assign_access_profile",
        "/api/governance/users/{user_id}/access-profiles/{profile_id}",
        &[
            "$request.path.user_id",
            "$response.body#/access_profile/parent_profile_id",
        ],
    ),
    (
        "assign_access_profile",
        "/api/governance/users/{user_id}/access-profiles/{profile_id}/budgets/{budget_id}",
        &[
            "$request.path.user_id",
            "$response.body#/access_profile/parent_profile_id",
            "$response.body#/access_profile/budgets/0/id",
        ],
    ),
    (
        "assign_access_profile",
        "/api/governance/users/{user_id}/access-profiles/virtual-keys/{vk_id}",
        &["$request.path.user_id", "$response.body#/virtual_key/id"],
    ),
    (
        "create_user_virtual_key",
        "/api/governance/users/{user_id}/access-profiles/virtual-keys/{vk_id}",
        &["$request.path.user_id", "$response.body#/virtual_key/id"],
    ),
    (
        "create_user_virtual_key",
        "/api/governance/virtual-keys/{vk_id}",
        &["$response.body#/virtual_key/id"],
    ),
    (
        "create_webhook",
        "/api/webhooks/{webhook_id}",
        &["$response.body#/webhook/id"],
    ),
    (
        "create_virtual_key",
        "/api/governance/virtual-keys/{vk_id}",
        &["$response.body#/virtual_key/id"],
    ),
    (
        "create_role",
        "/api/governance/rbac/roles/{role_id}",
        &["$response.body#/role/id"],
    ),
    (
        "create_team",
        "/api/governance/teams/{id}",
        &["$response.body#/team/id"],
    ),
    (
        "add_team_member",
        "/api/governance/teams/{id}/members/{user_id}",
        &["$request.path.id", "$request.body#/user_id"],
    ),
    (
        "create_customer",
        "/api/governance/customers/{id}",
        &["$response.body#/customer/id"],
    ),
    (
        "add_customer_member",
        "/api/governance/customers/{id}/members/{user_id}",
        &["$request.path.id", "$request.body#/user_id"],
    ),
    (
        "create_business_unit",
        "/api/governance/business-units/{id}",
        &["$response.body#/business_unit/id"],
    ),
    (
        "add_business_unit_member",
        "/api/governance/business-units/{id}/members/{user_id}",
        &["$request.path.id", "$request.body#/user_id"],
    ),
    (
        "create_model_config",
        "/api/governance/model-configs/{model_config_id}",
        &["$response.body#/model_config/id"],
    ),
    (
        "create_api_key",
        "/api/api-keys/{api_key_id}",
        &["$response.body#/api_key/id"],
    ),
    (
        "create_provider",
        "/api/providers/{provider}",
        &["$response.body#/provider/provider"],
    ),
    (
        "create_provider_key",
        "/api/providers/{provider}/keys/{key_id}",
        &["$request.path.provider", "$response.body#/key/id"],
    ),
    (
        "create_mcp_client",
        "/api/mcp/client/{mcp_client_id}",
        &["$response.body#/client/id"],
    ),
    (
        "create_tool_group",
        "/api/mcp/tool-groups/{tool_group_id}",
        &["$response.body#/tool_group/id"],
    ),
];

/// Adds every link to the answers of success.
pub(super) fn add(document: &mut OpenApi) {
    let operations: Vec<(String, String)> = document
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| {
            let ids =
                super::operations(item).filter_map(|operation| operation.operation_id.clone());
            ids.map(|id| (path.clone(), id))
        })
        .collect();
    for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
        let Some(id) = operation.operation_id.clone() else {
            continue;
        };
        let sources = SOURCES.iter().filter(|(source, ..)| *source == id);
        for (_, place, values) in sources {
            let targets = operations
                .iter()
                .filter(|(path, _)| is_at_or_below(path, place));
            for (_, target) in targets {
                let link = link(target, place, values);
                for response in successes(&mut operation.responses.responses) {
                    // The more exact one stands last in the table.
                    response.links.insert(target.clone(), link.clone().into());
                }
            }
        }
    }
}

fn is_at_or_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn link(target: &str, place: &str, values: &[&str]) -> Link {
    let names = place
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .zip(values)
        .fold(
            LinkBuilder::new().operation_id(target),
            |link, (name, value)| link.parameter(name, *value),
        )
        .build()
}

fn successes(
    responses: &mut std::collections::BTreeMap<String, RefOr<Response>>,
) -> impl Iterator<Item = &mut Response> {
    responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('2'))
        .filter_map(|(_, response)| match response {
            RefOr::T(response) => Some(response),
            RefOr::Ref(_) => None,
        })
}
