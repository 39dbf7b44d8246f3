use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::Timestamp;
use tollgate_domain::access::{
    AnyModelRequest, ConsideredView, Decision, Endpoint, MeterView, ModelWish, PayerView, Question,
    Reason, Subject, ToolRequest, Wish,
};
use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use utoipa::ToSchema;

use crate::answers::WriteRefusals;
use crate::body::{FromJson, Node, Problems, body};
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::Json;
use crate::limits::money;
use crate::meters::LimitReading;
use crate::problem::{Answer, Problem};

/// What a call of a tool has no use for.
const ONLY_OF_MODELS: [&str; 5] = [
    "model",
    "provider",
    "endpoint",
    "input_tokens",
    "max_output_tokens",
];
const TO_NO_MODEL: &str = "a call of a tool goes to no model; leave this or `mcp_client` out";
const WITHOUT_CLIENT: &str =
    "tools of several clients can have one name; name the `mcp_client` too";
const NEITHER_OR_BOTH: &str = "name either `virtual_key_id` or `user_id`";

body! {
    /// A request that might be made.
    struct ExplainDecision {
        /// Who asks: a key, with its own caps and limits.
        virtual_key_id: optional VirtualKeyId,
        /// Or a user, as with any uncapped key.
        user_id: optional UserId,
        /// `provider/model`, or a bare model name. Left out: what does not depend on the model.
        model: optional String,
        /// The provider, when the model is named without it, or not at all.
        provider: optional ProviderName,
        /// `chat_completions` (unless said otherwise) or `embeddings`.
        endpoint: optional EndpointName,
        /// Tokens of input. Left out: a short request, and without a model none.
        input_tokens: optional u64,
        /// The output limit that the request would name.
        max_output_tokens: optional u64,
        /// An MCP client, by its id or name: then the request is a call of one of its tools, and of no model.
        mcp_client: optional String,
        /// The tool that is called. Left out: any one of the client's.
        mcp_tool: optional String,
        /// The instant to decide at. Left out: now.
        at: optional Timestamp,
    }
    check |body| {
        if body.has("virtual_key_id") == body.has("user_id") {
            body.inconsistent("virtual_key_id", NEITHER_OR_BOTH);
        }
        if body.has("mcp_client") {
            for field in ONLY_OF_MODELS {
                if body.has(field) {
                    body.inconsistent(field, TO_NO_MODEL);
                }
            }
        } else if body.has("mcp_tool") {
            body.inconsistent("mcp_tool", WITHOUT_CLIENT);
        }
    }
}

/// What kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndpointName(Endpoint);

impl FromJson for EndpointName {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let found = Endpoint::parse(&node.text(problems, "an endpoint")?);
        if found.is_none() {
            problems.invalid(
                node.pointer.as_str(),
                "the endpoint is `chat_completions` or `embeddings`",
            );
        }
        found.map(Self)
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .enum_values(Some(["chat_completions", "embeddings"]))
            .into()
    }
}

/// What the data plane would do, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionView {
    allowed: bool,
    /// The first reason why not.
    reason: Option<ReasonView>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The revision of the policy that decided.
    revision: u64,
    /// Who pays.
    payer: Option<PayerBody>,
    provider: Option<String>,
    /// Without the provider.
    model: Option<String>,
    /// The name of the MCP client, when a tool is asked for and there is such a client.
    mcp_client: Option<String>,
    mcp_tool: Option<String>,
    /// The provider's credentials that may be used, best first.
    key_candidates: Vec<CandidateKey>,
    /// Every limit that has to hold.
    meters: Vec<JudgedLimit>,
    /// Every copy (or key) that was looked at.
    considered: Vec<ConsideredBody>,
    estimate: Option<EstimateBody>,
}

/// Why a request is refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReasonView {
    /// The code of the data plane's answer.
    code: &'static str,
    /// Its status.
    status: u16,
    message: String,
}

/// Who pays.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayerBody {
    /// The copy's id, or the key's when it pays by itself.
    id: String,
    name: String,
    profile_id: Option<i64>,
    profile_version: Option<i64>,
    /// When the copy, or the key that pays by itself, stops granting.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A credential of the provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateKey {
    id: String,
    name: String,
}

/// A limit, and what the request would do to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JudgedLimit {
    #[serde(flatten)]
    reading: LimitReading,
    /// What the request needs of it.
    #[schema(value_type = f64)]
    needed: Box<RawValue>,
    refuses: bool,
    /// Whether it refuses only because of running requests.
    is_transient: bool,
    /// False for limits of a profile in shadow mode.
    is_enforced: bool,
}

/// A copy that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsideredBody {
    payer: PayerBody,
    provider: Option<String>,
    applies: bool,
    reason: Option<ReasonView>,
    /// What a profile in shadow mode would have refused it with, were it not in shadow mode.
    shadow: Option<ReasonView>,
}

/// What the request would consume.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EstimateBody {
    input_tokens: u64,
    output_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    cost_usd: Box<RawValue>,
    /// Whether these are upper bounds.
    is_bound: bool,
}

/// Explain a decision
///
/// What the data plane would do with a request now, by the same code. Nothing is reserved or changed.
///
/// With a `model` the request is for its answer. Without one, the answer says what does not depend on the model: whether
/// the key and its holder may ask at all, which providers they may ask, and which limits on everything are full. With an
/// `mcp_client` the request is a call of a tool.
#[utoipa::path(
    post, path = "/explain", tag = "policy",
    request_body = ExplainDecision,
    responses((status = 200, body = DecisionView), WriteRefusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn explain_decision(
    ctx: Require<ViewAccessProfiles>,
    Json(body): Json<ExplainDecision>,
) -> Answer<Json<DecisionView>> {
    let subject = match (body.virtual_key_id, body.user_id) {
        (Some(key), None) => Subject::Key(key),
        (None, Some(user)) => Subject::User(user),
        _ => {
            // The body's own check has reported it.
            return Err(Problem::inconsistent("/virtual_key_id", NEITHER_OR_BOTH));
        }
    };
    let question = Question {
        subject,
        wish: wish(&body),
        at: body.at,
    };
    let decision = ctx
        .parts()
        .policy
        .explain(&question)
        .map_err(|_| match subject {
            Subject::Key(id) => Problem::not_found("virtual key", id).at("/virtual_key_id"),
            Subject::User(id) => Problem::not_found("user", id).at("/user_id"),
        })?;
    Ok(Json(decision.into()))
}

fn wish(body: &ExplainDecision) -> Wish<'_> {
    let provider = body.provider.as_ref().map(ProviderName::as_str);
    match (&body.mcp_client, &body.model) {
        (Some(client), _) => Wish::Tool(ToolRequest {
            client,
            tool: body.mcp_tool.as_deref(),
        }),
        (None, Some(model)) => Wish::Model(ModelWish {
            provider,
            model,
            endpoint: body
                .endpoint
                .map_or(Endpoint::ChatCompletions, |name| name.0),
            input_tokens: body.input_tokens,
            max_output_tokens: body.max_output_tokens,
        }),
        (None, None) => Wish::AnyModel(AnyModelRequest {
            provider,
            tokens: [body.input_tokens, body.max_output_tokens]
                .into_iter()
                .flatten()
                .fold(0, u64::saturating_add),
        }),
    }
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        Self {
            allowed: decision.allowed,
            reason: decision.reason.map(ReasonView::from),
            at: decision.at,
            revision: decision.revision,
            payer: decision.payer.map(PayerBody::from),
            provider: decision.provider,
            model: decision.model,
            mcp_client: decision.mcp_client,
            mcp_tool: decision.mcp_tool,
            key_candidates: decision
                .key_candidates
                .into_iter()
                .map(|key| CandidateKey {
                    id: key.id,
                    name: key.name,
                })
                .collect(),
            meters: decision.meters.into_iter().map(JudgedLimit::from).collect(),
            considered: decision
                .considered
                .into_iter()
                .map(ConsideredBody::from)
                .collect(),
            estimate: decision.estimate.map(|estimate| EstimateBody {
                input_tokens: estimate.input_tokens,
                output_tokens: estimate.output_tokens,
                cost_usd: money(estimate.cost),
                is_bound: estimate.is_bound,
            }),
        }
    }
}

impl From<Reason> for ReasonView {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code,
            status: reason.status,
            message: reason.message,
        }
    }
}

impl From<PayerView> for PayerBody {
    fn from(payer: PayerView) -> Self {
        Self {
            id: payer.id,
            name: payer.name,
            profile_id: payer.profile_id.map(|id| id.0),
            profile_version: payer.profile_version,
            expires_at: payer.expires_at,
        }
    }
}

impl From<MeterView> for JudgedLimit {
    fn from(meter: MeterView) -> Self {
        Self {
            needed: LimitReading::amount(meter.reading.kind, meter.needed),
            refuses: meter.refuses,
            is_transient: meter.is_transient,
            is_enforced: meter.is_enforced,
            reading: meter.reading.into(),
        }
    }
}

impl From<ConsideredView> for ConsideredBody {
    fn from(considered: ConsideredView) -> Self {
        Self {
            payer: considered.payer.into(),
            provider: considered.provider,
            applies: considered.applies,
            reason: considered.reason.map(ReasonView::from),
            shadow: considered.shadow.map(ReasonView::from),
        }
    }
}
