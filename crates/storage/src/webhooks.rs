//! Webhooks: who is told of what. The secret that signs what they are told is stored sealed.

pub mod deliveries;

use secrecy::SecretString;
use tollgate_domain::Timestamp;
use tollgate_domain::events::EventKind;
use tollgate_domain::ids::WebhookId;

use crate::error::Result;
use crate::page::{Counted, Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, corrupt, query, to_json};
use crate::tx::{Db, Tx};
use crate::vault::{Place, Vault};

/// A webhook.
#[derive(Debug, Clone)]
pub struct StoredWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Where it is told.
    pub url: String,
    /// What it is told of.
    pub events: Vec<EventKind>,
    /// Signs what it is told.
    pub secret: SecretString,
    /// Whether the name in the URL may resolve to a private address.
    pub allow_private_network: bool,
    /// Whether it is told anything.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "select id, url, events, secret_sealed, allow_private_network, is_active, created_at, updated_at \
                      from webhooks where true";

const LIST: Counted = Counted {
    table: "webhooks",
    select: SELECT,
    order: "created_at, id",
};

/// Stores a webhook, whose instants are both `webhook.created_at`.
pub async fn create(tx: &mut Tx, webhook: &StoredWebhook) -> Result<()> {
    let sealed = seal(tx.vault(), webhook)?;
    tx.execute(
        query(
            "insert into webhooks (id, url, events, secret_sealed, allow_private_network, is_active, created_at,
                 updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
        )
        .bind_text(webhook.id)
        .bind(webhook.url.as_str())
        .bind(events_text(&webhook.events)?)
        .bind(sealed)
        .bind(webhook.allow_private_network)
        .bind(webhook.is_active)
        .bind(webhook.created_at),
    )
    .await
    .map(drop)
}

/// The webhook with this id.
pub async fn find(db: impl Into<Db<'_>>, id: WebhookId) -> Result<Option<StoredWebhook>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" and id = ");
    statement.push_value(id.to_string());
    let row = db.row(statement).await?;
    row.map(|row| read(db.store().vault(), &row)).transpose()
}

/// The webhooks with `wanted` in their address or in the name of one of their events, regardless of case, oldest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<StoredWebhook>> {
    let mut db = db.into();
    let store = db.store().clone();
    let searched = |query: &mut Query| {
        if let Some(pattern) = search::pattern(wanted) {
            search::push_any(query, &["lower(url)", "events"], &pattern);
        }
    };
    let read = |row: &Row| read(store.vault(), row);
    LIST.page(&mut db, searched, page, read).await
}

/// Stores a changed webhook, as of `webhook.updated_at`. False when there is no such webhook.
pub async fn update(tx: &mut Tx, webhook: &StoredWebhook) -> Result<bool> {
    let sealed = seal(tx.vault(), webhook)?;
    tx.execute(
        query(
            "update webhooks set url = $2, events = $3, secret_sealed = $4, allow_private_network = $5,
                 is_active = $6, updated_at = $7
             where id = $1",
        )
        .bind_text(webhook.id)
        .bind(webhook.url.as_str())
        .bind(events_text(&webhook.events)?)
        .bind(sealed)
        .bind(webhook.allow_private_network)
        .bind(webhook.is_active)
        .bind(webhook.updated_at),
    )
    .await
    .map(|rows| rows > 0)
}

/// Deletes a webhook with all its deliveries. False when there is no such webhook.
pub async fn delete(tx: &mut Tx, id: WebhookId) -> Result<bool> {
    tx.execute(query("delete from webhooks where id = $1").bind_text(id))
        .await
        .map(|rows| rows > 0)
}

/// The active webhooks that are told of `event`. Webhooks are few, and the list of each is short.
async fn told_of(tx: &mut Tx, event: EventKind) -> Result<Vec<WebhookId>> {
    let mut statement = query("select id, events from webhooks where is_active = ");
    statement.push_value(true);
    statement.push(" order by id");
    let mut told = Vec::new();
    for row in tx.rows(statement).await? {
        if read_events(&row)?.contains(&event) {
            told.push(row.parse("id")?);
        }
    }
    Ok(told)
}

const fn place(id: &str) -> Place<'_> {
    Place {
        table: "webhooks",
        column: "secret_sealed",
        row: id,
    }
}

fn seal(vault: &Vault, webhook: &StoredWebhook) -> Result<String> {
    vault.seal(&place(&webhook.id.to_string()), &webhook.secret)
}

fn events_text(events: &[EventKind]) -> Result<String> {
    let names: Vec<_> = events.iter().map(|event| event.as_str()).collect();
    to_json("events", &names)
}

fn read_events(row: &Row) -> Result<Vec<EventKind>> {
    row.json::<Vec<String>>("events")?
        .iter()
        .map(|name| name.parse().map_err(|error| corrupt("events", error)))
        .collect()
}

fn read(vault: &Vault, row: &Row) -> Result<StoredWebhook> {
    let id: WebhookId = row.parse("id")?;
    Ok(StoredWebhook {
        id,
        url: row.get("url")?,
        events: read_events(row)?,
        secret: vault.open(
            &place(&id.to_string()),
            &row.get::<String>("secret_sealed")?,
        )?,
        allow_private_network: row.get("allow_private_network")?,
        is_active: row.get("is_active")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
