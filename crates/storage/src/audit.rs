//! The audit trail: who changed what, in an order that cannot be rewritten unseen.

use aws_lc_rs::hmac;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{AuditEntryId, ProfileId, UserId};

use crate::error::Result;
use crate::page::{Counted, Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, query};
use crate::store::Store;
use crate::tx::{Db, Tx};
use crate::webhooks::deliveries;

const LIST: Counted = Counted {
    table: "audit_entries",
    select: "select position, id, actor, action, target_kind, target_id, access_profile_id, user_id, previous_values, \
             new_values, metadata, created_at, hash from audit_entries where true",
    order: "position desc",
};

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// Its id.
    pub id: AuditEntryId,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: the name of a management key or user with its id.
    pub actor: String,
    /// What was done: `create`, `update`, …
    pub action: &'static str,
    /// The kind of thing it was done to, as in URLs: `access_profile`, `virtual_key`, …
    pub target_kind: &'static str,
    /// The thing's id.
    pub target_id: String,
    /// The profile that it is about, if any.
    pub profile: Option<ProfileId>,
    /// The user that it is about, if any.
    pub user: Option<UserId>,
    /// The thing before, as JSON text without secrets.
    pub previous_values: Option<String>,
    /// The thing after, as JSON text without secrets.
    pub new_values: Option<String>,
    /// More about the act, as JSON text.
    pub metadata: Option<String>,
}

/// An entry that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the chain, counting from 1.
    pub position: i64,
    /// Its id.
    pub id: AuditEntryId,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The kind of thing it was done to.
    pub target_kind: String,
    /// The thing's id.
    pub target_id: String,
    /// The profile that it is about, if any.
    pub profile: Option<ProfileId>,
    /// The user that it is about, if any.
    pub user: Option<UserId>,
    /// The thing before, as JSON text.
    pub previous_values: Option<String>,
    /// The thing after, as JSON text.
    pub new_values: Option<String>,
    /// More about the act, as JSON text.
    pub metadata: Option<String>,
    hash: Vec<u8>,
}

/// Which entries of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// About this profile.
    pub profile: Option<ProfileId>,
    /// About this user.
    pub user: Option<UserId>,
    /// Of this action.
    pub action: Option<String>,
    /// About things of this kind.
    pub target_kind: Option<String>,
    /// About the thing with this id.
    pub target_id: Option<String>,
    /// With this in the actor, the action, or the kind or id of the thing, regardless of case.
    pub search: Option<String>,
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainCheck {
    /// Every entry is as it was written, and none is missing before the last.
    Intact {
        /// How many entries there are.
        entries: u64,
    },
    /// The first entry that is not as it was written, or that follows a missing one.
    Broken {
        /// Its place in the chain.
        position: i64,
    },
}

/// The secret of the chain.
#[derive(Default)]
pub(crate) struct ChainKey(Option<hmac::Key>);

impl ChainKey {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Some(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The hash of `entry` after the entry that has the hash `previous`. Every field is preceded by its length, so
    /// that no two entries give the same bytes.
    fn hash(&self, previous: &[u8], entry: &AuditEntry) -> Vec<u8> {
        let Some(key) = &self.0 else {
            return Vec::new();
        };
        let mut context = hmac::Context::with_key(key);
        let mut field = |value: Option<&[u8]>| {
            let length = value.map_or(-1, |value| i64::try_from(value.len()).unwrap_or(i64::MAX));
            context.update(&length.to_be_bytes());
            context.update(value.unwrap_or_default());
        };
        field(Some(previous));
        field(Some(&entry.position.to_be_bytes()));
        field(Some(&entry.at.as_micros().to_be_bytes()));
        field(Some(entry.id.to_string().as_bytes()));
        field(Some(entry.actor.as_bytes()));
        field(Some(entry.action.as_bytes()));
        field(Some(entry.target_kind.as_bytes()));
        field(Some(entry.target_id.as_bytes()));
        field(
            entry
                .profile
                .map(|id| id.0.to_be_bytes())
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        );
        field(
            entry
                .user
                .map(|id| id.to_string())
                .as_deref()
                .map(str::as_bytes),
        );
        for text in [&entry.previous_values, &entry.new_values, &entry.metadata] {
            field(text.as_deref().map(str::as_bytes));
        }
        context.sign().as_ref().to_vec()
    }
}

/// Writes an entry, in the transaction of what it tells of. Webhooks that are told of such entries are told of it.
pub async fn append(tx: &mut Tx, new: NewAuditEntry) -> Result<()> {
    let last = tx
        .row(query(
            "select position, hash from audit_entries order by position desc limit 1",
        ))
        .await?;
    let (position, previous) = match last {
        Some(row) => (row.get::<i64>("position")? + 1, row.get("hash")?),
        None => (1, Vec::new()),
    };
    let mut entry = AuditEntry {
        position,
        id: new.id,
        at: new.at,
        actor: new.actor,
        action: new.action.to_owned(),
        target_kind: new.target_kind.to_owned(),
        target_id: new.target_id,
        profile: new.profile,
        user: new.user,
        previous_values: new.previous_values,
        new_values: new.new_values,
        metadata: new.metadata,
        hash: Vec::new(),
    };
    entry.hash = tx.store().chain_key().hash(&previous, &entry);
    deliveries::enqueue(tx, &entry).await?;
    tx.execute(
        query(
            "insert into audit_entries (position, id, actor, action, target_kind, target_id, access_profile_id,
                 user_id, previous_values, new_values, metadata, created_at, hash)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(entry.position)
        .bind_text(entry.id)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.target_kind)
        .bind(entry.target_id)
        .bind(entry.profile.map(|id| id.0))
        .bind_opt_text(entry.user)
        .bind(entry.previous_values)
        .bind(entry.new_values)
        .bind(entry.metadata)
        .bind(entry.at)
        .bind(entry.hash),
    )
    .await
    .map(drop)
}

/// The entries that `filter` lets through, newest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditEntry>> {
    let mut db = db.into();
    let filtered = |query: &mut Query| push_filter(query, filter);
    if *filter != AuditFilter::default() {
        return LIST.page(&mut db, filtered, page, read).await;
    }
    // Positions have no gaps, so the last one is the number of entries, without counting them.
    let last = query("select coalesce(max(position), 0) as amount from audit_entries");
    Ok(Page {
        total: db.count(last).await?,
        items: LIST.items(&mut db, filtered, page, read).await?,
    })
}

/// Checks every entry's hash, from the first on, in bounded pieces.
pub async fn verify(store: &Store) -> Result<ChainCheck> {
    const PIECE: i64 = 1_000;
    let mut previous = Vec::new();
    let mut position = 0_i64;
    loop {
        let mut piece = query(LIST.select);
        piece.push(" and position > ");
        piece.push_value(position);
        piece.push(" order by position limit ");
        piece.push_value(PIECE);
        let rows = store.rows(piece).await?;
        if rows.is_empty() {
            return Ok(ChainCheck::Intact {
                entries: position.unsigned_abs(),
            });
        }
        for row in &rows {
            let entry = read(row)?;
            position += 1;
            if entry.position != position || store.chain_key().hash(&previous, &entry) != entry.hash
            {
                return Ok(ChainCheck::Broken {
                    position: entry.position,
                });
            }
            previous = entry.hash;
        }
    }
}

fn push_filter(query: &mut Query, filter: &AuditFilter) {
    if let Some(profile) = filter.profile {
        query.push(" and access_profile_id = ");
        query.push_value(profile.0);
    }
    if let Some(user) = filter.user {
        query.push(" and user_id = ");
        query.push_value(user.to_string());
    }
    for (column, value) in [
        (" and action = ", &filter.action),
        (" and target_kind = ", &filter.target_kind),
        (" and target_id = ", &filter.target_id),
    ] {
        if let Some(value) = value {
            query.push(column);
            query.push_value(value.as_str());
        }
    }
    if let Some(pattern) = search::pattern(filter.search.as_deref()) {
        let searched = ["lower(actor)", "action", "target_kind", "lower(target_id)"];
        search::push_any(query, &searched, &pattern);
    }
}

fn read(row: &Row) -> Result<AuditEntry> {
    Ok(AuditEntry {
        position: row.get("position")?,
        id: row.parse("id")?,
        at: row.instant("created_at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        target_kind: row.get("target_kind")?,
        target_id: row.get("target_id")?,
        profile: row.get::<Option<i64>>("access_profile_id")?.map(ProfileId),
        user: row.parse_opt("user_id")?,
        previous_values: row.get("previous_values")?,
        new_values: row.get("new_values")?,
        metadata: row.get("metadata")?,
        hash: row.get("hash")?,
    })
}
