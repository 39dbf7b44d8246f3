//! Limits on models, for everybody, one key or one user.

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::{ModelConfigId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::snapshot::SnapshotChange;

use crate::error::Result;
use crate::page::{Counted, Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, corrupt, query, to_json};
use crate::tx::{Db, Tx};

/// For whom a limit on a model holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelScope {
    /// Everybody together.
    Global,
    /// One key.
    VirtualKey(VirtualKeyId),
    /// One user.
    User(UserId),
}

impl ModelScope {
    /// As the API and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::VirtualKey(_) => "virtual_key",
            Self::User(_) => "user",
        }
    }

    /// The id of the key or user.
    pub fn id_text(self) -> Option<String> {
        match self {
            Self::Global => None,
            Self::VirtualKey(id) => Some(id.to_string()),
            Self::User(id) => Some(id.to_string()),
        }
    }
}

/// A limit on a model.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredModelConfig {
    /// Its id.
    pub id: ModelConfigId,
    /// As an entry of a model list: `*`, a name, `regex:…`.
    pub model_name: String,
    /// Only at this provider; `None` = at any.
    pub provider: Option<ProviderName>,
    /// For whom it holds.
    pub scope: ModelScope,
    /// The limits; its grants are empty.
    pub content: ProfileContent,
    /// When it was made; the anchor of its windows.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "select id, model_name, provider_name, scope, scope_id, content, created_at, updated_at \
                      from model_configs where true";

const LIST: Counted = Counted {
    table: "model_configs",
    select: SELECT,
    order: "created_at, id",
};

/// Stores a limit, whose instants are both `config.created_at`.
///
/// # Errors
/// [`Constraint::ModelConfigPlace`](crate::Constraint::ModelConfigPlace) when there is one for the same model,
/// provider and scope.
pub async fn create(tx: &mut Tx, config: &StoredModelConfig) -> Result<()> {
    tx.execute(
        query(
            "insert into model_configs
                 (id, model_name, provider_name, scope, scope_id, place, content, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind_text(config.id)
        .bind(config.model_name.as_str())
        .bind_opt_text(config.provider.as_ref())
        .bind(config.scope.as_str())
        .bind(config.scope.id_text())
        .bind(place(config))
        .bind(to_json("content", &config.content)?)
        .bind(config.created_at),
    )
    .await?;
    tx.changed(SnapshotChange::ModelLimits);
    Ok(())
}

/// The limit with this id.
pub async fn find(db: impl Into<Db<'_>>, id: ModelConfigId) -> Result<Option<StoredModelConfig>> {
    let mut statement = query(SELECT);
    statement.push(" and id = ");
    statement.push_value(id.to_string());
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The limits with `wanted` in their model, provider or scope, regardless of case, oldest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<StoredModelConfig>> {
    let pattern = search::pattern(wanted);
    let searched = |query: &mut Query| {
        if let Some(pattern) = &pattern {
            // The place has them all, lower-cased.
            search::push_any(query, &["place"], pattern);
        }
    };
    LIST.page(&mut db.into(), searched, page, read).await
}

/// Every limit, oldest first, for the snapshot.
pub(crate) async fn all(db: &mut Db<'_>) -> Result<Vec<StoredModelConfig>> {
    let mut rows = query(SELECT);
    rows.push(" order by created_at, id");
    db.rows(rows).await?.iter().map(read).collect()
}

/// Stores a changed limit, as of `config.updated_at`. False when there is no such limit.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, config: &StoredModelConfig) -> Result<bool> {
    let changed = tx
        .execute(
            query(
                "update model_configs set model_name = $2, provider_name = $3, scope = $4, scope_id = $5, place = $6,
                     content = $7, updated_at = $8
                 where id = $1",
            )
            .bind_text(config.id)
            .bind(config.model_name.as_str())
            .bind_opt_text(config.provider.as_ref())
            .bind(config.scope.as_str())
            .bind(config.scope.id_text())
            .bind(place(config))
            .bind(to_json("content", &config.content)?)
            .bind(config.updated_at),
        )
        .await?
        > 0;
    if changed {
        tx.changed(SnapshotChange::ModelLimits);
    }
    Ok(changed)
}

/// Deletes a limit. False when there is no such limit.
pub async fn delete(tx: &mut Tx, id: ModelConfigId) -> Result<bool> {
    let deleted = tx
        .execute(query("delete from model_configs where id = $1").bind_text(id))
        .await?
        > 0;
    if deleted {
        tx.changed(SnapshotChange::ModelLimits);
    }
    Ok(deleted)
}

/// What must be unique, in one text: neither scopes, ids nor provider names contain a slash.
fn place(config: &StoredModelConfig) -> String {
    format!(
        "{}/{}/{}/{}",
        config.scope.as_str(),
        config.scope.id_text().unwrap_or_default(),
        config.provider.as_ref().map_or("", ProviderName::as_str),
        config.model_name.to_lowercase()
    )
}

fn read(row: &Row) -> Result<StoredModelConfig> {
    let scope_id = |row: &Row| -> Result<String> {
        row.get::<Option<String>>("scope_id")?
            .ok_or_else(|| corrupt("scope_id", "missing"))
    };
    let scope = match row.get::<String>("scope")?.as_str() {
        "global" => ModelScope::Global,
        "virtual_key" => ModelScope::VirtualKey(
            scope_id(row)?
                .parse()
                .map_err(|error| corrupt("scope_id", error))?,
        ),
        "user" => ModelScope::User(
            scope_id(row)?
                .parse()
                .map_err(|error| corrupt("scope_id", error))?,
        ),
        _ => return Err(corrupt("scope", "unknown scope")),
    };
    Ok(StoredModelConfig {
        id: row.parse("id")?,
        model_name: row.get("model_name")?,
        provider: row.parse_opt("provider_name")?,
        scope,
        content: row.json("content")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
