//! What can be done with a group, whichever of the three it is.

use serde::{Deserialize, Serialize};
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::UserId;
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::StorageError;
use tollgate_storage::groups::{self, GroupKind, StoredGroup, members};
use utoipa::{IntoParams, ToSchema};

use super::content::{CreateGroup, UpdateGroup, apply_update};
use super::view::{GroupPage, GroupView};
use super::{explain, get_existing, id_text, thing};
use crate::answers::{Message, Reply};
use crate::audit::Act;
use crate::body::{Existing, body};
use crate::context::Context;
use crate::extract::{Json, Page, count};
use crate::limits::StartsAnew;
use crate::problem::{Answer, Problem};

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListGroups {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
}

/// Which members.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMembers {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name or e-mail address.
    search: Option<String>,
}

body! {
    /// Who becomes a member.
    struct AddMember {
        /// The user's id.
        user_id: required Existing<UserId>,
    }
}

/// A part of the list of members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberList {
    members: Vec<MemberView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    user_id: String,
    name: String,
    email: String,
}

pub(super) async fn list(ctx: &Context, kind: GroupKind, query: ListGroups) -> Answer<GroupPage> {
    let page = Page::new(query.limit, query.offset)?;
    let wanted = query.search.as_deref();
    let found = groups::list(ctx.store(), kind, wanted, page.into()).await?;
    let groups = found.items.iter().map(|group| GroupView::new(ctx, group));
    Ok(GroupPage {
        groups: groups.collect(),
        total_count: found.total,
        page,
    })
}

pub(super) async fn get(ctx: &Context, id: GroupId) -> Answer<GroupView> {
    let group = get_existing(ctx.store(), id).await?;
    Ok(GroupView::new(ctx, &group))
}

pub(super) async fn create<A: Reply>(
    ctx: &Context,
    id: GroupId,
    body: CreateGroup,
    answer: impl FnOnce(GroupView) -> A,
) -> Answer<A> {
    let now = ctx.now();
    let empty = StoredGroup {
        id,
        name: String::new(),
        description: None,
        content: ProfileContent::default(),
        parents: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let group = apply_update(&empty, body.into(), ctx.parts().ids.as_ref());
    let mut tx = ctx.begin().await?;
    groups::create(&mut tx, &group)
        .await
        .map_err(|error| explain(error, &group))?;
    let act = Act::new("create", GroupKind::of(id).as_str(), id_text(id));
    ctx.record(&mut tx, act.after(&GroupView::new(ctx, &group)))
        .await?;
    ctx.commit(tx, answer(GroupView::new(ctx, &group))).await
}

pub(super) async fn update<A: Reply>(
    ctx: &Context,
    id: GroupId,
    body: UpdateGroup,
    answer: impl FnOnce(GroupView) -> A,
) -> Answer<A> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let group = StoredGroup {
        updated_at: ctx.now(),
        ..apply_update(&old, body, ctx.parts().ids.as_ref())
    };
    groups::update(&mut tx, &group)
        .await
        .map_err(|error| explain(error, &group))?;
    let act = Act::new("update", GroupKind::of(id).as_str(), id_text(id));
    let act = act
        .before(&GroupView::new(ctx, &old))
        .after(&GroupView::new(ctx, &group))
        .starting_anew(&StartsAnew::find_live(
            ctx,
            &old.content,
            &group.content,
            group.created_at,
        ));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, answer(GroupView::new(ctx, &group))).await
}

pub(super) async fn delete(ctx: &Context, id: GroupId) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let group = get_existing(&mut tx, id).await?;
    groups::delete(&mut tx, id)
        .await
        .map_err(|error| match error {
            StorageError::Reference => Problem::conflict(
                "in_use",
                format!(
                    "teams stand below the {} `{}`; move them first",
                    thing(id),
                    group.name
                ),
            ),
            other => other.into(),
        })?;
    let act = Act::new("delete", GroupKind::of(id).as_str(), id_text(id));
    ctx.record(&mut tx, act.before(&GroupView::new(ctx, &group)))
        .await?;
    ctx.commit(tx, Message::new(format!("{} deleted", thing(id))))
        .await
}

pub(super) async fn list_members(
    ctx: &Context,
    id: GroupId,
    query: ListMembers,
) -> Answer<Json<MemberList>> {
    let page = Page::new(query.limit, query.offset)?;
    get_existing(ctx.store(), id).await?;
    let found = members::list(ctx.store(), id, query.search.as_deref(), page.into()).await?;
    let views: Vec<MemberView> = found
        .items
        .into_iter()
        .map(|member| MemberView {
            user_id: member.user.to_string(),
            name: member.name,
            email: member.email,
        })
        .collect();
    Ok(Json(MemberList {
        count: count(&views),
        members: views,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

pub(super) async fn add_member(
    ctx: &Context,
    id: GroupId,
    AddMember {
        user_id: Existing(user),
    }: AddMember,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    members::add(&mut tx, id, user)
        .await
        .map_err(|error| match error {
            StorageError::Reference => {
                Problem::unknown_reference("/user_id", "no such user exists")
            }
            other => other.into(),
        })?;
    let act = Act::new("add_member", GroupKind::of(id).as_str(), id_text(id));
    ctx.record(&mut tx, act.about_user(user)).await?;
    ctx.commit(tx, Message::new("member added")).await
}

pub(super) async fn remove_member(
    ctx: &Context,
    id: GroupId,
    user: UserId,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    if !members::remove(&mut tx, id, user).await? {
        return Err(Problem::not_found("member of this group", user));
    }
    let act = Act::new("remove_member", GroupKind::of(id).as_str(), id_text(id));
    ctx.record(&mut tx, act.about_user(user)).await?;
    ctx.commit(tx, Message::new("member removed")).await
}
