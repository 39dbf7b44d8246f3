//! What experience teaches about models: how many bytes make a token, and how long answers usually are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tollgate_domain::TokenUsage;
use tollgate_domain::access::{Learned, LearnedModel, OutputDefaults};

/// Models that are remembered; a caller who makes names up cannot grow the table beyond.
const MODELS: usize = 4_096;
/// A new observation counts for one part in so many.
const INERTIA: u64 = 16;
/// The quantile of output lengths that is kept, in twentieths: 19 of 20 answers are shorter.
const QUANTILE: u64 = 19;
const QUANTILE_OF: u64 = 20;

#[derive(Debug, Default)]
struct Experience {
    /// Zero until something was seen.
    milli_bytes_per_token: AtomicU64,
    /// In thousandths of a token, so that small steps are not lost; zero until something was seen.
    usual_milli_output: AtomicU64,
}

type ByModel = HashMap<Box<str>, Experience>;

/// The experience with every model, by provider.
#[derive(Debug, Default)]
pub(crate) struct Experiences {
    defaults: OutputDefaults,
    models: RwLock<HashMap<Box<str>, ByModel>>,
}

impl Experiences {
    /// No experience yet, and these assumptions instead.
    pub(crate) fn new(defaults: OutputDefaults) -> Self {
        Self {
            defaults,
            models: RwLock::default(),
        }
    }

    fn find<T>(
        &self,
        provider: &str,
        model: &str,
        look: impl FnOnce(&Experience) -> T,
    ) -> Option<T> {
        self.models.read().get(provider)?.get(model).map(look)
    }

    /// Makes room for a model that is not known yet, if there is any.
    fn remember(&self, provider: &str, model: &str) {
        let mut models = self.models.write();
        if models.values().map(HashMap::len).sum::<usize>() < MODELS {
            let of_provider = models.entry(provider.into()).or_default();
            of_provider.entry(model.into()).or_default();
        }
    }

    /// Learns from one answer. `text_bytes`: of the input, `None` when it was not only text, which would teach that a
    /// token has as many bytes as a part of an image.
    pub(crate) fn learn(
        &self,
        provider: &str,
        model: &str,
        text_bytes: Option<u64>,
        choices: u64,
        usage: &TokenUsage,
    ) {
        let learn = |experience: &Experience| experience.learn(text_bytes, choices, usage);
        if self.find(provider, model, learn).is_none() {
            self.remember(provider, model);
            // When there was no room, nothing is learnt.
            let _ = self.find(provider, model, learn);
        }
    }
}

impl Experience {
    fn learn(&self, text_bytes: Option<u64>, choices: u64, usage: &TokenUsage) {
        let ratio_of = |bytes: u64| bytes.saturating_mul(1_000).checked_div(usage.total_input());
        if let Some(ratio) = text_bytes.and_then(ratio_of) {
            update(&self.milli_bytes_per_token, |kept| match kept {
                0 => ratio.max(1),
                kept => ((kept * (INERTIA - 1)).saturating_add(ratio) / INERTIA).max(1),
            });
        }
        let output = usage.total_output() / choices.max(1);
        if output > 0 {
            let seen = output.saturating_mul(1_000);
            update(&self.usual_milli_output, |kept| step(kept, seen));
        }
    }

    fn learned(&self) -> LearnedModel {
        let some =
            |value: &AtomicU64| Some(value.load(Ordering::Relaxed)).filter(|value| *value > 0);
        LearnedModel {
            milli_bytes_per_token: some(&self.milli_bytes_per_token)
                .unwrap_or(LearnedModel::default().milli_bytes_per_token),
            usual_output_tokens: some(&self.usual_milli_output).map(|milli| milli.div_ceil(1_000)),
        }
    }
}

/// One step of a running quantile: up by 19 parts when the observation is above, down by one part when it is below.
fn step(kept: u64, seen: u64) -> u64 {
    if kept == 0 {
        return seen;
    }
    let part = (kept / (INERTIA * QUANTILE_OF)).max(1);
    if seen > kept {
        kept.saturating_add(part * QUANTILE).min(seen)
    } else {
        kept.saturating_sub(part).max(seen)
    }
}

fn update(value: &AtomicU64, next: impl Fn(u64) -> u64) {
    // Never refused: the closure always yields a value.
    let _ = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| {
        Some(next(kept))
    });
}

impl Learned for Experiences {
    fn model(&self, provider: &str, model: &str) -> LearnedModel {
        self.find(provider, model, Experience::learned)
            .unwrap_or_default()
    }

    fn defaults(&self) -> OutputDefaults {
        self.defaults
    }
}
