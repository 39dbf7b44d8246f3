//! Keys of this API.

mod create;
mod delete;
mod get;
mod list;
mod update;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::ManagementKeyId;
use tollgate_domain::permission::Permission;
use tollgate_storage::Db;
use tollgate_storage::management_keys::{self, ManagementKey};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// The operations on management keys.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_api_keys, create::create_api_key))
        .routes(|| {
            routes!(
                get::get_api_key,
                update::update_api_key,
                delete::delete_api_key
            )
        })
}

/// A management key. Its secret is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    id: String,
    name: String,
    description: Option<String>,
    /// What can be shown of the secret.
    key_prefix: String,
    /// Ids of the permissions it has.
    scopes: Vec<i64>,
    /// Whether it has every permission, also those of later versions.
    is_unrestricted: bool,
    /// When it stops; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One management key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyBody {
    api_key: ApiKeyView,
}

impl From<ManagementKey> for ApiKeyView {
    fn from(key: ManagementKey) -> Self {
        let is_unrestricted = key.scopes.is_none();
        let scopes = key
            .scopes
            .unwrap_or_else(|| Permission::all().map(Permission::id).collect());
        Self {
            id: key.id.to_string(),
            name: key.name,
            description: key.description,
            key_prefix: key.key_prefix,
            scopes: scopes.into_iter().map(|id| id.0).collect(),
            is_unrestricted,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
            updated_at: key.updated_at,
        }
    }
}

/// The key, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: ManagementKeyId) -> Answer<ManagementKey> {
    management_keys::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("management key", id))
}
