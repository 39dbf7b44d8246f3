use serde::Serialize;
use tollgate_domain::ids::{TeamId, UserId};
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::groups::{self, GroupKind, members};
use tollgate_storage::{Db, StorageError};
use utoipa::ToSchema;

use super::get_existing;
use crate::answers::{Refusals, WriteRefusals};
use crate::audit::Act;
use crate::body::{AtMost, Existing, body};
use crate::context::{Require, UpdateUsers, ViewUsers};
use crate::extract::{Json, PartQuery, Path, Query, count};
use crate::groups::id_text;
use crate::problem::{Answer, Problem};

body! {
    /// The teams of a user.
    struct SetUserTeams ignoring ["teams", "count", "total_count", "limit", "offset"] {
        /// Replaces the whole list; at most 1000.
        team_ids: required AtMost<1_000, Existing<TeamId>>,
    }
}

/// A team that a user is in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserTeam {
    id: String,
    name: String,
}

/// The teams of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserTeams {
    teams: Vec<UserTeam>,
    /// Their ids, as they can be sent back.
    team_ids: Vec<String>,
}

/// A part of the list of a user's teams.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserTeamList {
    teams: Vec<UserTeam>,
    /// Their ids, as they can be sent back.
    team_ids: Vec<String>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

async fn read_teams(db: impl Into<Db<'_>>, user: UserId) -> Answer<Vec<UserTeam>> {
    let mut db = db.into();
    let mut teams = members::of_user(db.again(), user).await?;
    teams.retain(|id| matches!(id, GroupId::Team(_)));
    let mut names = groups::names(db, &teams).await?;
    let view = |id: GroupId| {
        let name = names.remove(&id)?;
        Some(UserTeam {
            id: id_text(id),
            name,
        })
    };
    Ok(teams.into_iter().filter_map(view).collect())
}

fn ids_of(teams: &[UserTeam]) -> Vec<String> {
    teams.iter().map(|team| team.id.clone()).collect()
}

impl From<Vec<UserTeam>> for UserTeams {
    fn from(teams: Vec<UserTeam>) -> Self {
        Self {
            team_ids: ids_of(&teams),
            teams,
        }
    }
}

/// List the teams of a user
#[utoipa::path(
    get, path = "/users/{user_id}/teams", tag = "users",
    params(("user_id" = String, Path, description = "The user's id"), PartQuery),
    responses((status = 200, body = UserTeamList), Refusals),
    security(("management_key" = ["Users:View"]))
)]
pub(crate) async fn list_user_teams(
    ctx: Require<ViewUsers>,
    Path(user): Path<UserId>,
    Query(query): Query<PartQuery>,
) -> Answer<Json<UserTeamList>> {
    get_existing(ctx.store(), user).await?;
    let teams = read_teams(ctx.store(), user).await?;
    let part = query.of(teams, |team| vec![team.id.clone(), team.name.clone()])?;
    Ok(Json(UserTeamList {
        count: count(&part.items),
        team_ids: ids_of(&part.items),
        teams: part.items,
        total_count: part.total_count,
        limit: part.limit,
        offset: part.offset,
    }))
}

/// Replace the teams of a user
#[utoipa::path(
    put, path = "/users/{user_id}/teams", tag = "users",
    params(("user_id" = String, Path, description = "The user's id")),
    request_body = SetUserTeams,
    responses((status = 200, body = UserTeams), WriteRefusals),
    security(("management_key" = ["Users:Update"]))
)]
pub(crate) async fn set_user_teams(
    ctx: Require<UpdateUsers>,
    Path(user): Path<UserId>,
    Json(body): Json<SetUserTeams>,
) -> Answer<Json<UserTeams>> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, user).await?;
    let before = UserTeams::from(read_teams(&mut tx, user).await?);
    let AtMost(teams) = body.team_ids;
    let teams: Vec<_> = teams.into_iter().map(|id| GroupId::Team(id.0)).collect();
    members::set_of_user(&mut tx, user, GroupKind::Team, &teams)
        .await
        .map_err(|error| match error {
            StorageError::Reference => {
                Problem::unknown_reference("/team_ids", "one of the teams does not exist")
            }
            other => other.into(),
        })?;
    let after = UserTeams::from(read_teams(&mut tx, user).await?);
    let act = Act::new("update", "user_teams", user).about_user(user);
    ctx.record(&mut tx, act.before(&before).after(&after))
        .await?;
    ctx.commit(tx, Json(after)).await
}
