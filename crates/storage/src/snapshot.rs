//! Reads what the data plane needs, whole or the part that a write changed.

mod entities;

use secrecy::SecretString;
use tollgate_domain::access::ModelList;
use tollgate_domain::catalog::{Catalog, ModelInfo, ModelPrice};
use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::snapshot::{GroupId, McpCatalog, ModelLimit, Snapshot, SnapshotChange};

use self::entities::{compile_group, compile_key, compile_provider, compile_users};
use crate::error::Result;
use crate::groups::{self, profiles as group_profiles};
use crate::mcp;
use crate::model_configs::{self, ModelScope};
use crate::providers;
use crate::sql::corrupt;
use crate::store::Store;
use crate::tx::Db;
use crate::{prices, users, virtual_keys};

/// Looks up an environment variable that a provider key names. It says `None` for one that is not set or not allowed.
pub type EnvLookup = dyn Fn(&str) -> Option<SecretString> + Send + Sync;

/// Rows a statement: bounds both memory and the number of placeholders.
const BATCH: u32 = 500;

/// Reads everything, in bounded batches. The snapshot's revision is left to the publisher.
///
/// # Errors
/// When the database fails or holds damaged data. Nothing is guessed: a copy that cannot be read must not grant less or
/// more than it says.
pub async fn load(store: &Store, env: &EnvLookup) -> Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    apply(store, env, &mut snapshot, &[SnapshotChange::Everything]).await?;
    Ok(snapshot)
}

/// Reads again what `changes` name, and puts it in the place of what `snapshot` has of it. What is gone from the
/// database is taken out.
///
/// # Errors
/// As [`load`]; the snapshot may then have some of the changes, so callers drop it.
pub async fn apply(
    store: &Store,
    env: &EnvLookup,
    snapshot: &mut Snapshot,
    changes: &[SnapshotChange],
) -> Result<()> {
    let mut db = Db::from(store);
    for change in changes {
        match change {
            SnapshotChange::User(id) => put_user(&mut db, snapshot, *id).await?,
            SnapshotChange::Key(id) => put_key(&mut db, snapshot, *id).await?,
            SnapshotChange::Group(id) => put_group(&mut db, snapshot, *id).await?,
            SnapshotChange::Providers => set_providers(&mut db, env, snapshot).await?,
            SnapshotChange::ModelLimits => set_model_limits(&mut db, snapshot).await?,
            SnapshotChange::Prices => set_prices(&mut db, snapshot).await?,
            SnapshotChange::Mcp => set_mcp(&mut db, snapshot).await?,
            SnapshotChange::Everything => {
                let revision = snapshot.revision;
                *snapshot = Snapshot::default();
                snapshot.revision = revision;
                set_providers(&mut db, env, snapshot).await?;
                set_model_limits(&mut db, snapshot).await?;
                set_prices(&mut db, snapshot).await?;
                set_mcp(&mut db, snapshot).await?;
                put_all_groups(&mut db, snapshot).await?;
                put_all_users(&mut db, snapshot).await?;
                put_all_keys(&mut db, snapshot).await?;
            }
        }
    }
    Ok(())
}

async fn put_user(db: &mut Db<'_>, snapshot: &mut Snapshot, id: UserId) -> Result<()> {
    let user = users::find(db.again(), id).await?;
    match compile_users(db, user.into_iter().collect()).await?.pop() {
        Some(user) => snapshot.put_user(user),
        None => snapshot.remove_user(id),
    }
    Ok(())
}

async fn put_all_users(db: &mut Db<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let mut after = None;
    loop {
        let batch = users::batch(db, after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = Some(last.id);
        for user in compile_users(db, batch).await? {
            snapshot.put_user(user);
        }
    }
}

async fn put_key(db: &mut Db<'_>, snapshot: &mut Snapshot, id: VirtualKeyId) -> Result<()> {
    match virtual_keys::with_secrets(db, id).await? {
        Some((key, secrets)) => snapshot.put_key(compile_key(&key, secrets)?),
        None => snapshot.remove_key(id),
    }
    Ok(())
}

async fn put_all_keys(db: &mut Db<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let mut after = None;
    loop {
        let batch = virtual_keys::batch(db, after, BATCH).await?;
        let Some((last, _)) = batch.last() else {
            return Ok(());
        };
        after = Some(last.id);
        for (key, secrets) in batch {
            snapshot.put_key(compile_key(&key, secrets)?);
        }
    }
}

async fn put_group(db: &mut Db<'_>, snapshot: &mut Snapshot, id: GroupId) -> Result<()> {
    match groups::find(db.again(), id).await? {
        Some(group) => {
            let profile = group_profiles::find(db.again(), id).await?;
            snapshot.put_group(compile_group(&group, profile.as_ref())?);
        }
        None => snapshot.remove_group(id),
    }
    Ok(())
}

async fn put_all_groups(db: &mut Db<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let mut after = None;
    loop {
        let batch = groups::batch(db, after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = Some(last.id);
        let ids: Vec<GroupId> = batch.iter().map(|group| group.id).collect();
        let profiles = group_profiles::of_groups(db.again(), &ids).await?;
        for group in &batch {
            snapshot.put_group(compile_group(group, profiles.get(&group.id))?);
        }
    }
}

async fn set_providers(db: &mut Db<'_>, env: &EnvLookup, snapshot: &mut Snapshot) -> Result<()> {
    let stored = providers::list(db.again()).await?;
    let keys = providers::keys::list(db.again()).await?;
    let compiled = stored
        .iter()
        .map(|provider| compile_provider(provider, &keys, env))
        .collect::<Result<Vec<_>>>()?;
    snapshot.set_providers(compiled);
    Ok(())
}

async fn set_model_limits(db: &mut Db<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let limits = model_configs::all(db)
        .await?
        .iter()
        .map(|config| {
            let compiled = entities::compile_model_config(config)?;
            let (key, user) = match config.scope {
                ModelScope::Global => (None, None),
                ModelScope::VirtualKey(key) => (Some(key), None),
                ModelScope::User(user) => (None, Some(user)),
            };
            Ok(ModelLimit {
                models: ModelList::compile(std::slice::from_ref(&config.model_name))
                    .map_err(|error| corrupt("model_name", error))?,
                provider: config.provider.clone(),
                key,
                user,
                meters: compiled.meters,
            })
        })
        .collect::<Result<_>>()?;
    snapshot.set_model_limits(limits);
    Ok(())
}

async fn set_prices(db: &mut Db<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let overrides = prices::list(db.again()).await?.into_iter().map(|price| {
        let info = ModelInfo {
            price: Some(ModelPrice {
                base: price.prices,
                tiers: Vec::new(),
            }),
            ..ModelInfo::default()
        };
        (price.provider, price.model, info)
    });
    snapshot.set_catalog(Catalog::with_overrides(overrides));
    Ok(())
}

async fn set_mcp(db: &mut Db<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let clients = mcp::clients::all(db.again()).await?;
    let groups = mcp::tool_groups::all(db.again()).await?;
    snapshot.set_mcp(McpCatalog::new(clients, groups));
    Ok(())
}
