use serde::Serialize;
use tollgate_domain::access::profile::AccessProfile;
use tollgate_domain::ids::{ProfileId, RoleId};
use tollgate_storage::profiles::roles;
use tollgate_storage::users::{self, User, UserFilter};
use tollgate_storage::{PageRequest, Tx};
use utoipa::ToSchema;

use crate::access_profiles::assignment::assign;
use crate::access_profiles::get_existing;
use crate::access_profiles::provisioning::WITH_ROLE;
use crate::access_profiles::user_copies::NewVirtualKey;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{AtLeastOne, Existing, body};
use crate::context::{Context, CreateAccessProfiles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// Users that are read at once.
const BATCH: u32 = 500;

body! {
    /// The roles that the profile comes with.
    struct AttachRoles {
        /// At least one.
        role_ids: required AtLeastOne<Existing<RoleId>>,
        /// Whether users who get one of the roles get the profile. False unless said otherwise.
        is_default: optional bool,
        /// Whether users who have one of the roles get the profile now. False unless said otherwise.
        apply_to_existing: optional bool,
    }
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttachedRoles {
    message: &'static str,
    users_applied: u64,
    /// Keys of users who had none, with their secrets for the only time.
    virtual_keys: Vec<NewVirtualKey>,
}

/// Attach an access profile to roles
#[utoipa::path(
    post, path = "/access-profiles/{profile_id}/roles", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0)),
    request_body = AttachRoles,
    responses((status = 200, body = AttachedRoles), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn attach_access_profile_roles(
    ctx: Require<CreateAccessProfiles>,
    Path(id): Path<ProfileId>,
    Json(body): Json<AttachRoles>,
) -> Answer<Json<AttachedRoles>> {
    let mut tx = ctx.begin().await?;
    let profile = get_existing(&mut tx, id).await?;
    let apply = body.apply_to_existing.unwrap_or(false);
    if apply && !profile.is_active {
        return Err(Problem::conflict(
            "profile_inactive",
            format!(
                "the access profile `{}` is inactive; activate it first",
                profile.name
            ),
        ));
    }
    let is_default = body.is_default.unwrap_or(false);
    let mut answer = AttachedRoles {
        message: "roles attached",
        users_applied: 0,
        virtual_keys: Vec::new(),
    };
    for Existing(role) in body.role_ids.iter() {
        roles::attach(&mut tx, id, *role, is_default, ctx.now()).await?;
        let act = Act::new("attach_role", "access_profile", id)
            .about_profile(id)
            .with(&serde_json::json!({"role_id": role.0, "is_default": is_default}));
        ctx.record(&mut tx, act).await?;
        if apply {
            give_to_all(&ctx, &mut tx, *role, &profile, &mut answer).await?;
        }
    }
    ctx.commit(tx, Json(answer)).await
}

async fn give_to_all(
    ctx: &Context,
    tx: &mut Tx,
    role: RoleId,
    profile: &AccessProfile,
    answer: &mut AttachedRoles,
) -> Answer<()> {
    let filter = UserFilter {
        search: None,
        role: Some(role),
    };
    let mut page = PageRequest {
        limit: BATCH,
        offset: 0,
    };
    loop {
        let users: Vec<User> = users::list(&mut *tx, &filter, page).await?.items;
        for user in &users {
            if let Some(assigned) = assign(ctx, tx, user, profile, WITH_ROLE).await? {
                answer.users_applied += 1;
                answer
                    .virtual_keys
                    .extend(assigned.key.map(NewVirtualKey::from));
            }
        }
        if users.is_empty() {
            return Ok(());
        }
        page.offset += u64::from(BATCH);
    }
}
