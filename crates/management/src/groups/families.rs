//! The operations on groups, under the three names that they have.

use http::StatusCode;
use serde::Serialize;
use tollgate_domain::ids::{BusinessUnitId, CustomerId, TeamId, UserId};
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::groups::GroupKind;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::content::{CreateGroup, Of, UpdateGroup};
use super::entity_profile::{self, GroupProfileBody, SetGroupProfile};
use super::operations::{self, AddMember, ListGroups, ListMembers, MemberList};
use super::view::GroupView;
use crate::answers::{Message, Refusals, WriteRefusals};
use crate::context::{
    CreateAccessProfiles, CreateBusinessUnits, CreateCustomers, CreateTeams, DeleteAccessProfiles,
    DeleteBusinessUnits, DeleteCustomers, DeleteTeams, Require, UpdateBusinessUnits,
    UpdateCustomers, UpdateTeams, ViewAccessProfiles, ViewBusinessUnits, ViewCustomers, ViewTeams,
};
use crate::extract::{Json, Path, Query, count};
use crate::operations::Operations;
use crate::problem::Answer;

/// The operations on teams, customers and business units.
pub(crate) fn operations() -> Operations {
    team::operations()
        .merge(customer::operations())
        .merge(business_unit::operations())
}

/// One family of groups: thin handlers over [`mod@operations`], because each needs its own path, name and permission.
macro_rules! family {
    ($module:ident, $id:ident, $kind:ident, $one:ident, $many:ident, $list:ident, $body:ident, $tag:literal,
     [$root:literal, $path:literal, $members:literal, $member:literal, $profile:literal],
     [$view:ident, $create:ident, $update:ident, $delete:ident],
     [$view_name:literal, $create_name:literal, $update_name:literal, $delete_name:literal],
     [$list_op:ident, $get_op:ident, $create_op:ident, $update_op:ident, $delete_op:ident, $list_members_op:ident,
      $add_member_op:ident, $remove_member_op:ident, $get_profile_op:ident, $set_profile_op:ident,
      $remove_profile_op:ident]) => {
        mod $module {
            use super::*;

            pub(super) fn operations() -> Operations {
                Operations::new()
                    .routes(|| routes!($list_op, $create_op))
                    .routes(|| routes!($get_op, $update_op, $delete_op))
                    .routes(|| routes!($list_members_op, $add_member_op))
                    .routes(|| routes!($remove_member_op))
                    .routes(|| routes!($get_profile_op, $set_profile_op, $remove_profile_op))
            }

            /// A part of the list.
            #[derive(Debug, Serialize, ToSchema)]
            pub(crate) struct $list {
                $many: Vec<GroupView>,
                count: u64,
                total_count: u64,
                limit: u32,
                offset: u32,
            }

            /// One of them.
            #[derive(Debug, Serialize, ToSchema)]
            pub(crate) struct $body {
                $one: GroupView,
            }

            /// List all
            #[utoipa::path(get, path = $root, tag = $tag, params(ListGroups),
                responses((status = 200, body = $list), Refusals), security(("management_key" = [$view_name])))]
            pub(crate) async fn $list_op(ctx: Require<$view>, Query(query): Query<ListGroups>) -> Answer<Json<$list>> {
                let found = operations::list(&ctx, GroupKind::$kind, query).await?;
                Ok(Json($list {
                    count: count(&found.groups),
                    $many: found.groups,
                    total_count: found.total_count,
                    limit: found.page.limit,
                    offset: found.page.offset,
                }))
            }

            /// Create one
            #[utoipa::path(post, path = $root, tag = $tag, request_body = CreateGroup,
                responses((status = 201, body = $body), WriteRefusals), security(("management_key" = [$create_name])))]
            pub(crate) async fn $create_op(
                ctx: Require<$create>,
                Json(Of { body, .. }): Json<Of<$id, CreateGroup>>,
            ) -> Answer<(StatusCode, Json<$body>)> {
                let id = GroupId::$kind($id::from_uuid(ctx.parts().ids.next_uuid()));
                let answer = |$one| (StatusCode::CREATED, Json($body { $one }));
                operations::create(&ctx, id, body, answer).await
            }

            /// Read one
            #[utoipa::path(get, path = $path, tag = $tag, params(("id" = String, Path, description = "Its id")),
                responses((status = 200, body = $body), Refusals), security(("management_key" = [$view_name])))]
            pub(crate) async fn $get_op(ctx: Require<$view>, Path(id): Path<$id>) -> Answer<Json<$body>> {
                let $one = operations::get(&ctx, GroupId::$kind(id)).await?;
                Ok(Json($body { $one }))
            }

            /// Change one
            ///
            /// Partial: what is left out is kept.
            #[utoipa::path(put, path = $path, tag = $tag, params(("id" = String, Path, description = "Its id")),
                request_body = UpdateGroup,
                responses((status = 200, body = $body), WriteRefusals), security(("management_key" = [$update_name])))]
            pub(crate) async fn $update_op(
                ctx: Require<$update>,
                Path(id): Path<$id>,
                Json(Of { body, .. }): Json<Of<$id, UpdateGroup>>,
            ) -> Answer<Json<$body>> {
                let answer = |$one| Json($body { $one });
                operations::update(&ctx, GroupId::$kind(id), body, answer).await
            }

            /// Delete one
            ///
            /// Its keys, its profile and its memberships go as well.
            #[utoipa::path(delete, path = $path, tag = $tag, params(("id" = String, Path, description = "Its id")),
                responses((status = 200, body = Message), WriteRefusals), security(("management_key" = [$delete_name])))]
            pub(crate) async fn $delete_op(ctx: Require<$delete>, Path(id): Path<$id>) -> Answer<Json<Message>> {
                operations::delete(&ctx, GroupId::$kind(id)).await
            }

            /// List the members
            #[utoipa::path(get, path = $members, tag = $tag,
                params(("id" = String, Path, description = "Its id"), ListMembers),
                responses((status = 200, body = MemberList), Refusals), security(("management_key" = [$view_name])))]
            pub(crate) async fn $list_members_op(
                ctx: Require<$view>,
                Path(id): Path<$id>,
                Query(query): Query<ListMembers>,
            ) -> Answer<Json<MemberList>> {
                operations::list_members(&ctx, GroupId::$kind(id), query).await
            }

            /// Add a member
            ///
            /// Does nothing when the user is one.
            #[utoipa::path(post, path = $members, tag = $tag, params(("id" = String, Path, description = "Its id")),
                request_body = AddMember,
                responses((status = 200, body = Message), WriteRefusals), security(("management_key" = [$update_name])))]
            pub(crate) async fn $add_member_op(
                ctx: Require<$update>,
                Path(id): Path<$id>,
                Json(body): Json<AddMember>,
            ) -> Answer<Json<Message>> {
                operations::add_member(&ctx, GroupId::$kind(id), body).await
            }

            /// Remove a member
            #[utoipa::path(delete, path = $member, tag = $tag,
                params(("id" = String, Path, description = "Its id"),
                    ("user_id" = String, Path, description = "The user's id")),
                responses((status = 200, body = Message), WriteRefusals), security(("management_key" = [$update_name])))]
            pub(crate) async fn $remove_member_op(
                ctx: Require<$update>,
                Path((id, user)): Path<($id, UserId)>,
            ) -> Answer<Json<Message>> {
                operations::remove_member(&ctx, GroupId::$kind(id), user).await
            }

            /// Read the access profile that the members share
            #[utoipa::path(get, path = $profile, tag = $tag, params(("id" = String, Path, description = "Its id")),
                responses((status = 200, body = GroupProfileBody), Refusals),
                security(("management_key" = ["AccessProfiles:View"])))]
            pub(crate) async fn $get_profile_op(
                ctx: Require<ViewAccessProfiles>,
                Path(id): Path<$id>,
            ) -> Answer<Json<GroupProfileBody>> {
                entity_profile::get(&ctx, GroupId::$kind(id)).await
            }

            /// Give the members an access profile to share
            ///
            /// It takes the place of another one; one that was taken away comes back with its counters.
            #[utoipa::path(post, path = $profile, tag = $tag, params(("id" = String, Path, description = "Its id")),
                request_body = SetGroupProfile,
                responses((status = 201, body = GroupProfileBody), WriteRefusals),
                security(("management_key" = ["AccessProfiles:Create"])))]
            pub(crate) async fn $set_profile_op(
                ctx: Require<CreateAccessProfiles>,
                Path(id): Path<$id>,
                Json(body): Json<SetGroupProfile>,
            ) -> Answer<(StatusCode, Json<GroupProfileBody>)> {
                entity_profile::set(&ctx, GroupId::$kind(id), body).await
            }

            /// Take the access profile away
            #[utoipa::path(delete, path = $profile, tag = $tag, params(("id" = String, Path, description = "Its id")),
                responses((status = 200, body = Message), WriteRefusals),
                security(("management_key" = ["AccessProfiles:Delete"])))]
            pub(crate) async fn $remove_profile_op(
                ctx: Require<DeleteAccessProfiles>,
                Path(id): Path<$id>,
            ) -> Answer<Json<Message>> {
                entity_profile::remove(&ctx, GroupId::$kind(id)).await
            }
        }
    };
}

family! {
    team, TeamId, Team, team, teams, TeamList, TeamBody, "teams",
    ["/teams", "/teams/{id}", "/teams/{id}/members", "/teams/{id}/members/{user_id}",
     "/teams/{id}/access-profile"],
    [ViewTeams, CreateTeams, UpdateTeams, DeleteTeams],
    ["Teams:View", "Teams:Create", "Teams:Update", "Teams:Delete"],
    [list_teams, get_team, create_team, update_team, delete_team, list_team_members,
     add_team_member, remove_team_member, get_team_access_profile, set_team_access_profile,
     remove_team_access_profile]
}

family! {
    customer, CustomerId, Customer, customer, customers, CustomerList, CustomerBody, "customers",
    ["/customers", "/customers/{id}", "/customers/{id}/members", "/customers/{id}/members/{user_id}",
     "/customers/{id}/access-profile"],
    [ViewCustomers, CreateCustomers, UpdateCustomers, DeleteCustomers],
    ["Customers:View", "Customers:Create", "Customers:Update", "Customers:Delete"],
    [list_customers, get_customer, create_customer, update_customer, delete_customer, list_customer_members,
     add_customer_member, remove_customer_member, get_customer_access_profile, set_customer_access_profile,
     remove_customer_access_profile]
}

family! {
    business_unit, BusinessUnitId, BusinessUnit, business_unit, business_units, BusinessUnitList, BusinessUnitBody, "business units",
    ["/business-units", "/business-units/{id}", "/business-units/{id}/members", "/business-units/{id}/members/{user_id}",
     "/business-units/{id}/access-profile"],
    [ViewBusinessUnits, CreateBusinessUnits, UpdateBusinessUnits, DeleteBusinessUnits],
    ["BusinessUnits:View", "BusinessUnits:Create", "BusinessUnits:Update", "BusinessUnits:Delete"],
    [list_business_units, get_business_unit, create_business_unit, update_business_unit, delete_business_unit, list_business_unit_members,
     add_business_unit_member, remove_business_unit_member, get_business_unit_access_profile, set_business_unit_access_profile,
     remove_business_unit_access_profile]
}
