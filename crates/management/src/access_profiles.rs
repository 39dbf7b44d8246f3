//! Access profiles: templates, the copies that users hold, and the keys that come with them.

mod activate;
pub(crate) mod assignment;
mod audit_logs;
mod changes;
mod clone;
mod content;
pub(crate) mod copying;
mod create;
mod delete;
mod drift;
mod get;
mod list;
mod propagate;
pub(crate) mod provisioning;
mod roles;
mod simulate;
mod update;
pub(crate) mod user_copies;
mod user_keys;
mod versions;
pub(crate) mod view;

use std::collections::BTreeSet;

use tollgate_domain::access::profile::{AccessProfile, ProfileContent};
use tollgate_domain::ids::ProfileId;
use tollgate_storage::{Constraint, Db, StorageError, Store, Tx, copies, profiles};
use utoipa_axum::routes;

use self::view::AccessProfileView;
use crate::body::Reference;
use crate::extract::{NamesOthers, named_by};
use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// The operations on access profiles.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_access_profiles, create::create_access_profile))
        .routes(|| {
            routes!(
                get::get_access_profile,
                update::update_access_profile,
                update::patch_access_profile,
                delete::delete_access_profile
            )
        })
        .routes(|| routes!(activate::activate_access_profile))
        .routes(|| routes!(activate::deactivate_access_profile))
        .routes(|| routes!(clone::clone_access_profile))
        .routes(|| routes!(propagate::propagate_access_profile))
        .routes(|| routes!(drift::list_access_profile_drift))
        .routes(|| routes!(simulate::simulate_access_profile))
        .merge(roles::operations())
        .merge(versions::operations())
        .routes(|| routes!(audit_logs::list_all_access_profile_audit_logs))
        .routes(|| routes!(audit_logs::list_access_profile_audit_logs))
        .merge(user_copies::operations())
        .merge(user_keys::operations())
}

/// Operations that another one replaces, wherever they are mounted.
pub(crate) fn superseded_operations() -> Operations {
    user_keys::superseded_operations()
}

/// The profile, or 404.
pub(crate) async fn get_existing(db: impl Into<Db<'_>>, id: ProfileId) -> Answer<AccessProfile> {
    profiles::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("access profile", id))
}

/// The profile as answers, audit entries and the like show it.
pub(crate) fn view(profile: &AccessProfile) -> AccessProfileView {
    AccessProfileView::new(profile)
}

/// Gives ids to provider configs that have none yet.
pub(crate) async fn number_provider_configs(
    tx: &mut Tx,
    content: &mut ProfileContent,
) -> Answer<()> {
    let configs = &mut content.provider_configs;
    let is_new = |config: &tollgate_domain::access::profile::ProviderConfig| config.id.0 == 0;
    let count = configs.iter().filter(|config| is_new(config)).count();
    if count == 0 {
        return Ok(());
    }
    let ids = profiles::next_provider_config_ids(tx, count).await?;
    let unnumbered = configs.iter_mut().filter(|config| is_new(config));
    for (config, id) in unnumbered.zip(ids) {
        config.id = id;
    }
    Ok(())
}

/// A taken name as the 409 it is.
fn name_taken(error: StorageError, name: &str) -> Problem {
    if error.conflicts_with(Constraint::ProfileName) {
        name_conflict(name)
    } else {
        error.into()
    }
}

fn name_conflict(name: &str) -> Problem {
    Problem::conflict(
        "name_taken",
        format!("an access profile is named `{name}` already"),
    )
    .at("/name")
}

/// How many users hold the profile.
async fn count_holders(db: impl Into<Db<'_>>, id: ProfileId) -> Answer<u64> {
    Ok(copies::count_of_profile(db, id).await?)
}

impl NamesOthers for ProfileId {
    async fn named(self, store: &Store) -> Answer<BTreeSet<Reference>> {
        let profile = profiles::find(store, self).await?;
        Ok(profile.map_or_else(BTreeSet::new, |profile| named_by(&profile.content.mcp)))
    }
}
