//! A decision with its reasons: what `explain` answers, number for number what the data plane would do.

use serde::Serialize;

use super::request::{AnyModelRequest, Endpoint, ToolRequest};
use crate::error::MeterReading;
use crate::ids::{ProfileId, UserId, VirtualKeyId};
use crate::money::Usd;
use crate::time::Timestamp;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A virtual key, with its own caps and limits.
    Key(VirtualKeyId),
    /// A user, as any uncapped key of that user.
    User(UserId),
}

/// What `explain` is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub subject: Subject,
    /// What is asked for.
    pub wish: Wish<'a>,
    /// The instant to decide at; now when absent.
    pub at: Option<Timestamp>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Wish<'a> {
    /// A model's answer.
    Model(ModelWish<'a>),
    /// A call of a tool, or of any tool of a client.
    Tool(ToolRequest<'a>),
    /// Whatever does not depend on the model.
    AnyModel(AnyModelRequest<'a>),
}

/// A model's answer that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ModelWish<'a> {
    /// The provider, when the model is named without it.
    pub provider: Option<&'a str>,
    /// The model, `provider/model` or bare.
    pub model: &'a str,
    /// What kind of work.
    pub endpoint: Endpoint,
    /// The input in tokens; a short request when absent.
    pub input_tokens: Option<u64>,
    /// The output limit that the request would name.
    pub max_output_tokens: Option<u64>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The code of the data plane's answer.
    pub code: &'static str,
    /// Its HTTP status.
    pub status: u16,
    /// For people.
    pub message: String,
}

/// Who pays, or would have paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayerView {
    /// The copy's id, or the key's when the key pays by itself.
    pub id: String,
    /// The copy's or key's name.
    pub name: String,
    /// The copy's template.
    pub profile_id: Option<ProfileId>,
    /// The template's version.
    pub profile_version: Option<i64>,
    /// When the copy, or the key that pays by itself, stops granting.
    pub expires_at: Option<Timestamp>,
}

/// A credential that may be used, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// One limit that the request touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeterView {
    /// Its numbers.
    #[serde(flatten)]
    pub reading: MeterReading,
    /// What the request needs of it, in its unit.
    pub needed: i64,
    /// Whether it refuses.
    pub refuses: bool,
    /// Whether it refuses only because of running requests.
    pub is_transient: bool,
    /// False for limits of a profile in shadow mode, which count without refusing.
    pub is_enforced: bool,
}

/// One copy (or key) that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsideredView {
    /// Which.
    pub payer: PayerView,
    /// The provider, when the model's name resolved to one.
    pub provider: Option<String>,
    /// Whether it may pay.
    pub applies: bool,
    /// Why not.
    pub reason: Option<Reason>,
    /// What a profile in shadow mode would have refused it with, were it not in shadow mode.
    pub shadow: Option<Reason>,
}

/// What the request is expected, or bound, to consume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EstimateView {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// What it costs.
    pub cost: Usd,
    /// Whether these are upper bounds.
    pub is_bound: bool,
}

/// What the data plane does with a request, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether it passes.
    pub allowed: bool,
    /// The first reason why not.
    pub reason: Option<Reason>,
    /// When this holds.
    pub at: Timestamp,
    /// The snapshot that decided.
    pub revision: u64,
    /// Who pays.
    pub payer: Option<PayerView>,
    /// Where it goes.
    pub provider: Option<String>,
    /// The model, without the provider.
    pub model: Option<String>,
    /// The MCP client's name, when a tool is asked for that a client has.
    pub mcp_client: Option<String>,
    /// The tool, when one is named.
    pub mcp_tool: Option<String>,
    /// The provider's credentials that may be used, best first.
    pub key_candidates: Vec<KeyView>,
    /// Every limit that has to hold.
    pub meters: Vec<MeterView>,
    /// Everything that was looked at.
    pub considered: Vec<ConsideredView>,
    /// What it would consume.
    pub estimate: Option<EstimateView>,
}

/// The subject of a question does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such virtual key or user")]
pub struct UnknownSubject;

/// Answers questions about decisions, as the data plane would decide them.
pub trait Explain: Send + Sync {
    /// The decision on this question. Changes nothing.
    ///
    /// # Errors
    /// When the key or user does not exist.
    fn explain(&self, question: &Question<'_>) -> Result<Decision, UnknownSubject>;
}
