use tollgate_domain::ids::VirtualKeyId;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_storage::virtual_keys::{self, Rotation};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use super::{VirtualKeyBody, get_existing, view};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{FromJson, Node, Problems, body};
use crate::context::{Require, UpdateVirtualKeys};
use crate::extract::{Json, OptionalJson, Path};
use crate::mcp::names;
use crate::problem::Answer;
use crate::secrets::{NewSecret, VIRTUAL_KEY_PREFIX};

/// Longest time for which an old secret may be honoured, in seconds: 30 days.
const MAX_GRACE: i64 = 30 * 86_400;

/// Up to 30 days in any of the units.
const GRACE_PATTERN: &str = "^0*([0-9]{1,6}|1[0-9]{6}|2[0-4][0-9]{5}|25[0-8][0-9]{4}|259[01][0-9]{3}|2592000)s$|^0*([0-9]{1,4}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)m$|^0*([0-9]{1,2}|[1-6][0-9]{2}|7[01][0-9]|720)h$|^0*([0-9]|[12][0-9]|30)d$";

body! {
    /// How to rotate.
    struct RotateVirtualKey {
        /// For how long the old secret is honoured too, at most `30d`. Left out: not at all.
        grace: optional Grace,
    }
}

/// A duration in seconds, written as `90s`, `15m`, `12h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grace(i64);

impl FromJson for Grace {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems, "a duration")?;
        let seconds = parse(&text).filter(|seconds| (0..=MAX_GRACE).contains(seconds));
        if seconds.is_none() {
            problems.invalid(
                node.pointer.as_str(),
                "a grace time is written as `90s`, `15m`, `12h` or `7d`, and lasts at most `30d`",
            );
        }
        seconds.map(Self)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(GRACE_PATTERN))
            .examples(["90s", "7d"])
            .into()
    }
}

fn parse(text: &str) -> Option<i64> {
    let factor = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        .then(|| digits.parse::<i64>().ok())
        .flatten()?
        .checked_mul(factor)
}

/// Rotate a virtual key
///
/// The key gets a new secret, shown once in this answer. Its id, counters and everything else stay.
#[utoipa::path(
    post, path = "/virtual-keys/{vk_id}/rotate", tag = "virtual keys",
    params(("vk_id" = String, Path, description = "The key's id")),
    request_body = Option<RotateVirtualKey>,
    responses((status = 200, body = VirtualKeyBody), WriteRefusals),
    security(("management_key" = ["VirtualKeys:Update"]))
)]
pub(crate) async fn rotate_virtual_key(
    ctx: Require<UpdateVirtualKeys>,
    Path(id): Path<VirtualKeyId>,
    OptionalJson(body): OptionalJson<RotateVirtualKey>,
) -> Answer<Json<VirtualKeyBody>> {
    let secret = NewSecret::generate(VIRTUAL_KEY_PREFIX, ctx.parts().secrets.as_ref())?;
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let names = names(&mut tx, [&old.content.mcp]).await?;
    let before = view(&ctx, &old, &names);
    let at = ctx.now();
    let grace = body.and_then(|body| body.grace).filter(|grace| grace.0 > 0);
    let rotation = Rotation {
        secret_hash: &secret.hash,
        masked_value: &secret.masked,
        honour_old_until: grace.map(|grace| at.saturating_add_micros(grace.0 * MICROS_PER_SECOND)),
        at,
    };
    virtual_keys::rotate(&mut tx, id, rotation).await?;
    let key = get_existing(&mut tx, id).await?;
    let mut virtual_key = view(&ctx, &key, &names);
    let act = Act::new("rotate", "virtual_key", id);
    ctx.record(&mut tx, act.before(&before).after(&virtual_key))
        .await?;
    virtual_key.value = secret.reveal();
    ctx.commit(tx, Json(VirtualKeyBody { virtual_key })).await
}
