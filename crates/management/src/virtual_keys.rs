//! Virtual keys: what callers of the data plane show.

mod collect;
mod content;
mod create;
mod delete;
mod get;
mod list;
mod rotate;
mod update;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{McpClientId, VirtualKeyId};
use tollgate_domain::snapshot::{GroupId, KeyHolder};
use tollgate_storage::virtual_keys::{self, VirtualKey};
use tollgate_storage::{Db, StorageError, Store};
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(crate) use self::content::McpConfigInput;
use crate::access_profiles::assignment::key_name_taken;
use crate::access_profiles::view::{price_word, reservation_word};
use crate::body::Reference;
use crate::context::Context;
use crate::extract::NamesOthers;
use crate::limits::{BudgetView, RateLimitView, Readings};
use crate::mcp::tools_by_client;
use crate::operations::Operations;
use crate::problem::{Answer, Problem};
use crate::provider_configs::{ProviderConfigView, view_budgets, view_rate_limit};

/// The operations on virtual keys.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_virtual_keys, create::create_virtual_key))
        .routes(|| {
            routes!(
                get::get_virtual_key,
                update::update_virtual_key,
                delete::delete_virtual_key
            )
        })
        .routes(|| routes!(rotate::rotate_virtual_key))
}

/// The operation whose credential is the key's secret from before a scheduled rotation.
pub(crate) fn own_door_operations() -> Operations {
    Operations::new().routes(|| routes!(collect::collect_virtual_key_secret))
}

/// A virtual key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VirtualKeyView {
    id: String,
    name: String,
    description: Option<String>,
    /// What can be shown of the secret; the whole of it only in the answer that makes it.
    value: String,
    is_active: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Whether it came with an access profile: then its holder's copies decide, and only name and description can be
    /// edited.
    is_access_profile_managed: bool,
    user_id: Option<String>,
    team_id: Option<String>,
    customer_id: Option<String>,
    /// Caps what its holder's profiles grant; is the grant itself when there are none.
    provider_configs: Vec<KeyProviderConfigView>,
    mcp_configs: Vec<McpConfigView>,
    budgets: Vec<BudgetView>,
    rate_limit: Option<RateLimitView>,
    calendar_aligned: bool,
    time_zone: String,
    /// `estimate` or `bound`.
    reservation: &'static str,
    /// `deny` or `allow`.
    on_unknown_price: &'static str,
    /// Until when the secret before the last rotation is honoured too.
    #[schema(value_type = Option<String>, format = DateTime)]
    previous_value_until: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One provider's part of a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyProviderConfigView {
    provider: String,
    #[serde(flatten)]
    config: ProviderConfigView,
}

/// The tools of one MCP client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct McpConfigView {
    /// Its id, when the client was deleted.
    mcp_client_name: String,
    /// `*` for all of them.
    tools_to_execute: BTreeSet<String>,
}

/// One virtual key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VirtualKeyBody {
    virtual_key: VirtualKeyView,
}

/// The key, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: VirtualKeyId) -> Answer<VirtualKey> {
    virtual_keys::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("virtual key", id))
}

impl NamesOthers for VirtualKeyId {
    /// A client that was deleted is named by its id.
    async fn named(self, store: &Store) -> Answer<BTreeSet<Reference>> {
        let key = virtual_keys::find(store, self).await?;
        let clients = key
            .into_iter()
            .flat_map(|key| tools_by_client(&key.content.mcp).into_keys());
        Ok(clients
            .map(|client| Reference::McpClientName(client.to_string()))
            .collect())
    }
}

/// The key as answers show it, with its live usage.
fn view(
    ctx: &Context,
    key: &VirtualKey,
    mcp_names: &HashMap<McpClientId, String>,
) -> VirtualKeyView {
    let content = &key.content;
    let readings = Readings::of(ctx, content, key.created_at);
    let group = match key.holder {
        KeyHolder::Group(group) => Some(group),
        _ => None,
    };
    VirtualKeyView {
        id: key.id.to_string(),
        name: key.name.clone(),
        description: key.description.clone(),
        value: key.masked_value.clone(),
        is_active: key.is_active,
        expires_at: key.expires_at,
        is_access_profile_managed: key.is_managed,
        user_id: match key.holder {
            KeyHolder::User(id) => Some(id.to_string()),
            _ => None,
        },
        team_id: match group {
            Some(GroupId::Team(id)) => Some(id.to_string()),
            _ => None,
        },
        customer_id: match group {
            Some(GroupId::Customer(id)) => Some(id.to_string()),
            _ => None,
        },
        provider_configs: content
            .provider_configs
            .iter()
            .map(|config| KeyProviderConfigView {
                provider: config.provider_name.to_string(),
                config: ProviderConfigView::new(config, &|_| None, &readings),
            })
            .collect(),
        mcp_configs: tools_by_client(&content.mcp)
            .into_iter()
            .map(|(client, tools_to_execute)| McpConfigView {
                mcp_client_name: mcp_names
                    .get(&client)
                    .map_or_else(|| client.to_string(), Clone::clone),
                tools_to_execute,
            })
            .collect(),
        budgets: view_budgets(&content.limits, "total", &|_| None, &readings),
        rate_limit: view_rate_limit(&content.limits, &readings),
        calendar_aligned: content.calendar_aligned,
        time_zone: content.time_zone.to_string(),
        reservation: reservation_word(content.reservation),
        on_unknown_price: price_word(content.on_unknown_price),
        previous_value_until: key.previous_until,
        created_at: key.created_at,
        updated_at: key.updated_at,
    }
}

/// What the database refused, in terms of the request.
fn explain(error: StorageError, name: &str) -> Problem {
    match error {
        StorageError::Reference => {
            Problem::unknown_reference("", "no such team or customer exists")
        }
        other => key_name_taken(other, name),
    }
}
