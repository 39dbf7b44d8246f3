//! What there is to say of the candidates of the different kinds of requests.

use std::sync::Arc;

use tollgate_domain::access::{Candidate, EstimateView, Need, Passage, Payer, Refusal};
use tollgate_domain::error::LimitRefusal;
use tollgate_domain::provider::{Provider, ProviderKey};
use tollgate_domain::{GatewayError, Timestamp};

use crate::gate::refused_by_limit;

/// What there is to say of a candidate.
pub(super) trait Explained {
    fn payer(&self) -> &Payer;
    fn provider(&self) -> Option<&Provider>;
    fn model(&self) -> Option<&str>;
    fn keys(&self) -> &[Arc<ProviderKey>];
    fn needs(&self) -> &[Need];
    fn shadowed(&self) -> Option<&Refusal>;
    fn estimate(&self) -> Option<EstimateView>;
    fn refused_by(&self, limit: LimitRefusal, at: Timestamp) -> GatewayError;
}

impl Explained for Candidate {
    fn payer(&self) -> &Payer {
        &self.payer
    }

    fn provider(&self) -> Option<&Provider> {
        Some(&self.provider)
    }

    fn model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn keys(&self) -> &[Arc<ProviderKey>] {
        &self.keys
    }

    fn needs(&self) -> &[Need] {
        &self.needs
    }

    fn shadowed(&self) -> Option<&Refusal> {
        self.shadowed.as_deref()
    }

    fn estimate(&self) -> Option<EstimateView> {
        Some(EstimateView {
            input_tokens: self.estimate.input_tokens,
            output_tokens: self.estimate.output_tokens,
            cost: self.estimate.cost,
            is_bound: self.estimate.is_bound,
        })
    }

    fn refused_by(&self, limit: LimitRefusal, at: Timestamp) -> GatewayError {
        refused_by_limit(self, 1, limit, at)
    }
}

impl Explained for Passage {
    fn payer(&self) -> &Payer {
        &self.payer
    }

    fn provider(&self) -> Option<&Provider> {
        self.provider.as_deref()
    }

    fn model(&self) -> Option<&str> {
        None
    }

    fn keys(&self) -> &[Arc<ProviderKey>] {
        &self.keys
    }

    fn needs(&self) -> &[Need] {
        &self.needs
    }

    fn shadowed(&self) -> Option<&Refusal> {
        self.shadowed.as_deref()
    }

    fn estimate(&self) -> Option<EstimateView> {
        self.cost.map(|cost| EstimateView {
            input_tokens: 0,
            output_tokens: 0,
            cost,
            is_bound: true,
        })
    }

    fn refused_by(&self, limit: LimitRefusal, at: Timestamp) -> GatewayError {
        GatewayError::limit(limit, at)
    }
}
