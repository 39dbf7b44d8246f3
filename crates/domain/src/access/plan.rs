//! What [`super::evaluate()`] yields.

use std::sync::Arc;

use super::estimate::Estimate;
use super::grant::Copy;
use super::settings::Settings;
use crate::catalog::ModelInfo;
use crate::error::{ErrorKind, GatewayError};
use crate::ids::VirtualKeyId;
use crate::limits::Meter;
use crate::money::Usd;
use crate::provider::{Provider, ProviderKey};

/// Who is charged.
#[derive(Debug, Clone)]
pub enum Payer {
    /// A holder's copy of a profile.
    Copy(Arc<Copy>),
    /// A key without a profile.
    Key(VirtualKeyId),
}

/// How much of one meter an attempt needs.
#[derive(Debug, Clone)]
pub struct Need {
    /// The meter.
    pub meter: Arc<Meter>,
    /// In the meter's unit, at least zero.
    pub amount: i64,
    /// Whether a full meter refuses; a profile in shadow mode counts on its own meters without refusing.
    pub is_enforced: bool,
}

/// A refusal of policy: its kind, and for the caller why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub kind: ErrorKind,
    /// For the caller.
    pub message: String,
}

/// One way to serve the request. The ledger admits the first that has room.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Who is charged.
    pub payer: Payer,
    /// Where it goes.
    pub provider: Arc<Provider>,
    /// The model as the caller knows it, without the provider.
    pub model: Arc<str>,
    /// Credentials to try, best first; empty only for a provider that takes none.
    pub keys: Vec<Arc<ProviderKey>>,
    /// What the catalog knows of the model.
    pub info: Option<Arc<ModelInfo>>,
    /// What it will consume.
    pub estimate: Estimate,
    /// How the payer wants it treated.
    pub settings: Settings,
    /// Every limit that has to hold, whichever level it is on; rate before budget, nearest level first.
    pub needs: Vec<Need>,
    /// What a profile in shadow mode would have refused it with, were it not in shadow mode.
    pub shadowed: Option<Box<Refusal>>,
}

impl Candidate {
    /// The provider's own name for the model, with the best credential.
    pub fn upstream_model(&self) -> &str {
        self.keys
            .first()
            .map_or(&self.model, |key| key.resolve_alias(&self.model))
    }
}

/// One way to let something pass that names no model: a call of a tool, or a request of which only the provider is known.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Who is charged.
    pub payer: Payer,
    /// Where it goes, when that is a provider.
    pub provider: Option<Arc<Provider>>,
    /// The provider's credentials to try, best first.
    pub keys: Vec<Arc<ProviderKey>>,
    /// What it costs, when that is known.
    pub cost: Option<Usd>,
    /// As [`Candidate::needs`].
    pub needs: Vec<Need>,
    /// As [`Candidate::shadowed`].
    pub shadowed: Option<Box<Refusal>>,
}

/// Why a copy did or did not become a candidate.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It did.
    Applies,
    /// It did not.
    Refuses(Refusal),
}

/// One copy (or the key itself) that was looked at.
#[derive(Debug, Clone)]
pub struct Considered {
    /// Who would have paid.
    pub payer: Payer,
    /// The provider, when the name resolved to one.
    pub provider: Option<Arc<Provider>>,
    /// What came of it.
    pub outcome: Outcome,
}

/// The candidates, in the order in which they pay, or why there are none.
#[derive(Debug)]
pub struct Plan<C = Candidate> {
    /// First to last.
    pub candidates: Vec<C>,
    /// Everything that was looked at. What applies is in the order of the candidates.
    pub considered: Vec<Considered>,
    /// Set exactly when there is no candidate.
    pub refusal: Option<GatewayError>,
}

impl Refusal {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl<C> Plan<C> {
    /// A plan that refuses at once.
    pub fn refused(error: GatewayError) -> Self {
        Self {
            candidates: Vec::new(),
            considered: Vec::new(),
            refusal: Some(error),
        }
    }
}
