use http::StatusCode;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::{ModelConfigId, UserId, VirtualKeyId};
use tollgate_domain::limits::LimitSet;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::model_configs::{self, ModelScope, StoredModelConfig};

use super::{ModelConfigBody, place_taken, view};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{FromJson, ModelEntry, Node, Problems, Reference, body};
use crate::context::{Context, CreateProviders, Require};
use crate::extract::Json;
use crate::limits::{BudgetInput, RateLimitInput, merge_budgets, merge_rate_limit};
use crate::problem::{Answer, Problem};

body! {
    /// A new limit on a model.
    struct CreateModelConfig ignoring ["id", "created_at", "updated_at"] {
        /// `*`, a name, or `regex:…`.
        model_name: required ModelEntry,
        /// Only at this provider. Left out: at any.
        provider: optional ProviderName,
        /// `global` (unless said otherwise), `virtual_key` or `user`.
        scope: optional ScopeKind,
        /// The id of the key or user; not with `global`.
        scope_id: optional String,
        /// Budgets on the model.
        budgets: optional Vec<BudgetInput>,
        /// Rate limit on the model.
        rate_limit: optional RateLimitInput,
    }
    check |limit| {
        let has_no_budget = matches!(&budgets, Some(lines) if lines.as_ref().is_none_or(Vec::is_empty));
        if has_no_budget && !limit.has("rate_limit") {
            limit.inconsistent("", "this sets no limit; send `budgets`, `rate_limit` or both");
        }
        if let (Some(scope), Some(scope_id)) = (&scope, &scope_id) {
            // A limit for somebody who does not exist would never hold.
            match read_scope(*scope, scope_id.as_deref()) {
                Ok(ModelScope::Global) => {}
                Ok(ModelScope::VirtualKey(id)) => limit.refer("scope_id", Reference::VirtualKey(id)),
                Ok(ModelScope::User(id)) => limit.refer("scope_id", Reference::User(id)),
                Err(message) => limit.inconsistent("scope_id", message),
            }
        }
    }
}

/// Whose use of the model is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Global,
    VirtualKey,
    User,
}

impl FromJson for ScopeKind {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match node.text(problems, "a scope")?.as_str() {
            "global" => Some(Self::Global),
            "virtual_key" => Some(Self::VirtualKey),
            "user" => Some(Self::User),
            _ => {
                problems.invalid(
                    node.pointer.as_str(),
                    "the scope is `global`, `virtual_key` or `user`",
                );
                None
            }
        }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .enum_values(Some(["global", "virtual_key", "user"]))
            .into()
    }
}

/// Create a limit on a model
#[utoipa::path(
    post, path = "/model-configs", tag = "model limits",
    request_body = CreateModelConfig,
    responses((status = 201, body = ModelConfigBody), WriteRefusals),
    security(("management_key" = ["Providers:Create"]))
)]
pub(crate) async fn create_model_config(
    ctx: Require<CreateProviders>,
    Json(body): Json<CreateModelConfig>,
) -> Answer<(StatusCode, Json<ModelConfigBody>)> {
    // The body's own check has reported what does not fit.
    let scope = read_scope(body.scope, body.scope_id.as_deref())
        .map_err(|message| Problem::invalid("/scope_id", message))?;
    let limits = read_limits(&ctx, &body);
    let now = ctx.now();
    let config = StoredModelConfig {
        id: ModelConfigId::from_uuid(ctx.parts().ids.next_uuid()),
        model_name: body.model_name.into(),
        provider: body.provider,
        scope,
        content: ProfileContent {
            limits,
            ..ProfileContent::default()
        },
        created_at: now,
        updated_at: now,
    };
    let mut tx = ctx.begin().await?;
    model_configs::create(&mut tx, &config)
        .await
        .map_err(place_taken)?;
    let act = Act::new("create", "model_config", config.id);
    ctx.record(&mut tx, act.after(&view(&ctx, &config))).await?;
    let model_config = view(&ctx, &config);
    ctx.commit(
        tx,
        (StatusCode::CREATED, Json(ModelConfigBody { model_config })),
    )
    .await
}

fn read_limits(ctx: &Context, body: &CreateModelConfig) -> LimitSet {
    let budgets = body.budgets.as_deref().unwrap_or_default();
    let ids = ctx.parts().ids.as_ref();
    LimitSet {
        budgets: merge_budgets(&[], budgets, ids),
        rate_limit: body
            .rate_limit
            .as_ref()
            .map(|limit| merge_rate_limit(None, limit, ids)),
    }
}

/// For whom the limit holds.
///
/// # Errors
/// What is wrong with the id.
fn read_scope(kind: Option<ScopeKind>, id: Option<&str>) -> Result<ModelScope, String> {
    match (kind.unwrap_or(ScopeKind::Global), id) {
        (ScopeKind::Global, None) => Ok(ModelScope::Global),
        (ScopeKind::Global, Some(_)) => Err("the scope `global` has no `scope_id`".to_owned()),
        (ScopeKind::VirtualKey, Some(id)) => id
            .parse::<VirtualKeyId>()
            .map(ModelScope::VirtualKey)
            .map_err(|error| error.to_string()),
        (ScopeKind::User, Some(id)) => id
            .parse::<UserId>()
            .map(ModelScope::User)
            .map_err(|error| error.to_string()),
        (ScopeKind::VirtualKey | ScopeKind::User, None) => {
            Err("this scope needs a `scope_id`".to_owned())
        }
    }
}
