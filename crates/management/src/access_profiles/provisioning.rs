//! The profiles that come with a role.

use tollgate_domain::ids::{ProfileId, RoleId};
use tollgate_storage::copies::CopySource;
use tollgate_storage::profiles::roles;
use tollgate_storage::users::User;
use tollgate_storage::{Tx, copies};

use super::assignment::{IssuedKey, Terms, assign, detach};
use super::get_existing;
use crate::context::Context;
use crate::problem::Answer;

/// How a role's profiles are given.
pub(crate) const WITH_ROLE: Terms = Terms {
    source: CopySource::Role,
    priority: None,
    expires_at: None,
};

/// Gives the user what the role has by default, and takes away what the user had from the role before. What was given
/// by hand stays. New profiles come first, so that the user's keys outlive the change.
pub(crate) async fn follow_role(
    ctx: &Context,
    tx: &mut Tx,
    user: &User,
) -> Answer<Option<IssuedKey>> {
    let defaults = match user.role_id {
        Some(role) => default_profiles(tx, role).await?,
        None => Vec::new(),
    };
    let mut issued = None;
    for profile in &defaults {
        let profile = get_existing(&mut *tx, *profile).await?;
        if profile.is_active
            && let Some(assigned) = assign(ctx, tx, user, &profile, WITH_ROLE).await?
        {
            issued = issued.or(assigned.key);
        }
    }
    for stored in copies::of_user(&mut *tx, user.id).await? {
        let came_with_role = stored.source == CopySource::Role;
        if came_with_role && !defaults.contains(&stored.copy.parent_profile_id) {
            detach(ctx, tx, stored).await?;
        }
    }
    Ok(issued)
}

async fn default_profiles(tx: &mut Tx, role: RoleId) -> Answer<Vec<ProfileId>> {
    let attached = roles::of_role(tx, role).await?;
    let defaults = attached.into_iter().filter(|one| one.is_default);
    Ok(defaults.map(|one| one.profile).collect())
}
