//! How much a request holds before it is sent.

use super::request::ModelRequest;
use super::settings::Reservation;
use crate::catalog::{ModelInfo, Prices};
use crate::money::Usd;

/// Tokens that a provider adds around a request (roles, separators, tool preambles), for the bound.
const OVERHEAD_TOKENS: u64 = 64;

/// What is assumed of the output of requests that name no limit, as the operator configured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputDefaults {
    /// Output that `estimate` assumes for a model of which nothing is known.
    pub usual_tokens: u64,
    /// The largest output limit that `bound` writes into a request.
    pub limit: u64,
}

impl Default for OutputDefaults {
    fn default() -> Self {
        Self {
            usual_tokens: 1_024,
            limit: 4_096,
        }
    }
}

/// What experience says of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedModel {
    /// Bytes of request body for each input token, in thousandths. At least 1.
    pub milli_bytes_per_token: u64,
    /// A high quantile of the output tokens of its answers.
    pub usual_output_tokens: Option<u64>,
}

impl Default for LearnedModel {
    /// Four bytes for each token: English text in JSON.
    fn default() -> Self {
        Self {
            milli_bytes_per_token: 4_000,
            usual_output_tokens: None,
        }
    }
}

/// Where experience comes from.
pub trait Learned {
    /// What is known of `model` at `provider`.
    fn model(&self, provider: &str, model: &str) -> LearnedModel;

    /// What is assumed where nothing is known.
    fn defaults(&self) -> OutputDefaults {
        OutputDefaults::default()
    }
}

/// No experience at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingLearned;

impl Learned for NothingLearned {
    fn model(&self, _: &str, _: &str) -> LearnedModel {
        LearnedModel::default()
    }
}

/// What one attempt is expected, or bound, to consume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens of all choices together.
    pub output_tokens: u64,
    /// What both cost.
    pub cost: Usd,
    /// Pico-dollars that do not depend on the output.
    pub fixed_picos: i128,
    /// Pico-dollars for each output token.
    pub picos_per_output_token: u64,
    /// Whether the three are upper bounds.
    pub is_bound: bool,
    /// The output limit (of one choice) that the provider has to be told, in the field that it takes.
    pub output_limit_to_send: Option<u64>,
}

impl Estimate {
    /// What this request will probably consume, or at most consumes, by mode.
    pub fn new(
        mode: Reservation,
        request: &ModelRequest<'_>,
        model: Option<&ModelInfo>,
        learned: LearnedModel,
        defaults: OutputDefaults,
    ) -> Self {
        let (input_tokens, per_choice, output_limit_to_send) = match mode {
            Reservation::Estimate => {
                let input = request
                    .input_tokens
                    .unwrap_or_else(|| usual_input(request, model, learned));
                let usual = learned.usual_output_tokens.unwrap_or(defaults.usual_tokens);
                (input, usual_output(request, model, usual), None)
            }
            Reservation::Bound => {
                let input = most_input(request, model);
                let limit = output_limit(request, model, input).min(defaults.limit);
                match request.max_output_tokens {
                    _ if !request.endpoint.has_output() => (input, 0, None),
                    Some(named) => (input, named, Some(named)),
                    None => (input, limit, Some(limit)),
                }
            }
        };
        let output_tokens = if request.endpoint.has_output() {
            per_choice.saturating_mul(request.choices.max(1))
        } else {
            0
        };
        let prices =
            model
                .and_then(|model| model.price.as_ref())
                .map_or_else(Prices::default, |price| match mode {
                    Reservation::Estimate => price.base,
                    Reservation::Bound => price.dearest_within(input_tokens),
                });
        let (input_price, output_price) = match mode {
            Reservation::Estimate => (prices.input, prices.output),
            Reservation::Bound => (prices.dearest_input(), prices.dearest_output()),
        };
        let fixed_picos =
            i128::from(input_tokens) * i128::from(input_price) + i128::from(prices.per_request);
        let cost = fixed_picos + i128::from(output_tokens) * i128::from(output_price);
        Self {
            input_tokens,
            output_tokens,
            cost: Usd::from_picos_rounded_up(cost),
            fixed_picos,
            picos_per_output_token: output_price,
            is_bound: mode == Reservation::Bound,
            output_limit_to_send,
        }
    }

    /// Input and output together.
    pub const fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// The most output tokens with which this request would cost no more than `amount`; `None` when not even none fit,
    /// or when output costs nothing.
    pub fn largest_output_within(&self, amount: Usd) -> Option<u64> {
        let left = i128::from(amount.nanos()) * crate::money::PICOS_PER_NANO - self.fixed_picos;
        if left < 0 || self.picos_per_output_token == 0 {
            return None;
        }
        u64::try_from(left / i128::from(self.picos_per_output_token)).ok()
    }
}

fn usual_input(
    request: &ModelRequest<'_>,
    model: Option<&ModelInfo>,
    learned: LearnedModel,
) -> u64 {
    let ratio = learned.milli_bytes_per_token.max(1);
    let as_text = request.body_bytes.saturating_mul(1_000) / ratio + 1;
    // The bytes of an image are far more than its tokens, which fit the context.
    let context = model.and_then(|model| model.context_window);
    context
        .filter(|_| request.has_media)
        .map_or(as_text, |context| as_text.min(context))
}

fn usual_output(request: &ModelRequest<'_>, model: Option<&ModelInfo>, usual: u64) -> u64 {
    let most = model
        .and_then(|model| model.max_output_tokens)
        .unwrap_or(u64::MAX);
    request.max_output_tokens.unwrap_or(usual).min(most)
}

/// No tokenizer makes more tokens of text than it has bytes. Those of images and audio do not follow from their size, but
/// no model takes more than its context.
fn most_input(request: &ModelRequest<'_>, model: Option<&ModelInfo>) -> u64 {
    let text = request
        .input_tokens
        .unwrap_or(request.body_bytes)
        .saturating_add(OVERHEAD_TOKENS);
    let context = model
        .and_then(|model| model.context_window)
        .filter(|_| request.has_media && request.input_tokens.is_none());
    context.unwrap_or(text)
}

/// The largest output that the model has room for behind so much input.
fn output_limit(request: &ModelRequest<'_>, model: Option<&ModelInfo>, input: u64) -> u64 {
    let of_model = model.and_then(|model| model.max_output_tokens);
    let left_of_context = model
        .and_then(|model| model.context_window)
        // The input of a request with media is most of all the whole context, and usually far less.
        .filter(|_| !request.has_media)
        .map(|window| window.saturating_sub(input).max(1));
    [of_model, left_of_context]
        .into_iter()
        .flatten()
        .fold(u64::MAX, u64::min)
}
