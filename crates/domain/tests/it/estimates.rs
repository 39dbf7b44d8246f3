//! What a request holds: in the mode `bound`, nothing that it does to a provider costs more.

use proptest::prelude::*;
use tollgate_domain::access::profile::Reservation;
use tollgate_domain::access::{Endpoint, Estimate, LearnedModel, ModelRequest, OutputDefaults};
use tollgate_domain::catalog::{ModelInfo, ModelPrice, PriceTier, Prices};
use tollgate_domain::usage::{ServiceTier, TokenUsage};

/// Tokens that a provider may add around a request.
const OVERHEAD: u64 = 64;

fn prices() -> impl Strategy<Value = Prices> {
    prop::array::uniform9(0_u64..50_000_000).prop_map(|n| Prices {
        input: n[0],
        cache_read: n[1],
        cache_write_5m: n[2],
        cache_write_1h: n[3],
        audio_input: n[4],
        output: n[5],
        reasoning: n[6],
        audio_output: n[7],
        per_request: n[8],
    })
}

fn price() -> impl Strategy<Value = ModelPrice> {
    let tier = (
        prop::sample::select(ServiceTier::ALL.to_vec()),
        0_u64..2_000,
        prices(),
    )
        .prop_map(|(service, above, prices)| PriceTier {
            service,
            above,
            prices,
        });
    (prices(), prop::collection::vec(tier, 0..4))
        .prop_map(|(base, tiers)| ModelPrice { base, tiers })
}

fn request(body_bytes: u64, output: Option<u64>, choices: u64) -> ModelRequest<'static> {
    ModelRequest {
        endpoint: Endpoint::ChatCompletions,
        model: "mock/small",
        body_bytes,
        input_tokens: None,
        max_output_tokens: output,
        choices,
        has_media: false,
        unbounded: None,
    }
}

fn info(price: ModelPrice) -> ModelInfo {
    ModelInfo {
        price: Some(price),
        context_window: Some(3_000),
        max_output_tokens: Some(900),
        ..ModelInfo::default()
    }
}

/// `total` in parts of these weights, the last of which takes the rest.
fn parts<const N: usize>(total: u64, weights: [u64; N]) -> [u64; N] {
    let sum = weights.iter().sum::<u64>().max(1);
    let mut parts = weights.map(|weight| total * weight / sum);
    parts[N - 1] += total - parts.iter().sum::<u64>();
    parts
}

proptest! {
    #[test]
    fn nothing_that_a_bound_request_does_costs_more_than_it_holds(
        price in price(),
        bytes in 0_u64..4_000,
        named in prop::option::of(1_u64..500),
        choices in 1_u64..4,
        input_kinds in prop::array::uniform5(0_u64..10),
        output_kinds in prop::array::uniform3(0_u64..10),
        tier in prop::sample::select(ServiceTier::ALL.to_vec()),
        is_full in any::<bool>(),
    ) {
        let info = info(price.clone());
        let asked = request(bytes, named, choices);
        let bound = Estimate::new(Reservation::Bound, &asked, Some(&info), LearnedModel::default(), OutputDefaults::default());
        let limit = bound.output_limit_to_send.unwrap();
        let left = 3_000_u64.saturating_sub(bytes + OVERHEAD).clamp(1, 900);
        prop_assert_eq!(limit, named.unwrap_or(left));
        let (most_input, most_output) = (bytes + OVERHEAD, limit * choices);
        let share = if is_full { 1 } else { 2 };
        let [input, cache_read, cache_write_5m, cache_write_1h, audio_input] =
            parts(most_input / share, input_kinds);
        let [output, reasoning, audio_output] = parts(most_output / share, output_kinds);
        let usage = TokenUsage {
            input, cache_read, cache_write_5m, cache_write_1h, audio_input,
            output, reasoning, audio_output, tier,
        };
        prop_assert!(price.cost(&usage) <= bound.cost, "{:?} > {:?}", price.cost(&usage), bound);
        prop_assert!(usage.total() <= bound.total_tokens());
        if let Some(fits) = bound.largest_output_within(bound.cost) {
            prop_assert!(fits >= bound.output_tokens);
        }
    }

    /// Each byte counts, and a request of none is one token: an estimate is never rounded down.
    #[test]
    fn an_estimate_covers_every_byte_at_the_learned_ratio(
        bytes in 0_u64..100_000,
        ratio in 1_u64..9_000,
        output in 1_u64..2_000,
        choices in 1_u64..5,
    ) {
        let price = ModelPrice::flat(Prices { per_request: 7_000, ..Prices::flat(1_000, 3_000) });
        let learned = LearnedModel { milli_bytes_per_token: ratio, usual_output_tokens: None };
        let asked = request(bytes, Some(output), choices);
        let estimate = Estimate::new(Reservation::Estimate, &asked, Some(&info(price)), learned, OutputDefaults::default());
        prop_assert!(estimate.input_tokens * ratio > bytes * 1_000);
        prop_assert_eq!(estimate.output_tokens, output.min(900) * choices);
        let nanos = 7 + estimate.input_tokens + 3 * estimate.output_tokens;
        prop_assert_eq!(estimate.cost.nanos().unsigned_abs(), nanos);
        prop_assert_eq!(estimate.output_limit_to_send, None);
    }
}

/// What is left must pay for the input first.
#[test]
fn no_output_fits_where_not_even_the_input_does() {
    let info = info(ModelPrice::flat(Prices::flat(1_000_000, 1_000_000)));
    let asked = request(100, Some(10), 1);
    let mode = Reservation::Bound;
    let bound = Estimate::new(
        mode,
        &asked,
        Some(&info),
        LearnedModel::default(),
        OutputDefaults::default(),
    );
    let of = |nanos| bound.largest_output_within(tollgate_domain::Usd::from_nanos(nanos));
    assert_eq!(of(163_999), None);
    assert_eq!(of(164_000), Some(0));
    assert_eq!(of(165_999), Some(1));
}

/// The tokens of an image do not follow from its size; a model takes no more than its context.
#[test]
fn a_request_with_media_takes_no_more_than_the_context() {
    let info = info(ModelPrice::flat(Prices::flat(1_000, 3_000)));
    for bytes in [100, 100_000] {
        let asked = ModelRequest {
            has_media: true,
            ..request(bytes, None, 2)
        };
        let learned = LearnedModel::default();
        let defaults = OutputDefaults::default();
        let bound = Estimate::new(Reservation::Bound, &asked, Some(&info), learned, defaults);
        assert_eq!(bound.input_tokens, 3_000);
        assert_eq!(bound.output_limit_to_send, Some(900));
        assert_eq!(bound.cost.nanos(), 3_000 + 2 * 900 * 3);
    }
    for (bytes, tokens) in [(400, 101), (100_000, 3_000)] {
        let asked = ModelRequest {
            has_media: true,
            ..request(bytes, Some(1), 1)
        };
        let mode = Reservation::Estimate;
        let (learned, defaults) = (LearnedModel::default(), OutputDefaults::default());
        let estimate = Estimate::new(mode, &asked, Some(&info), learned, defaults);
        assert_eq!(
            estimate.input_tokens, tokens,
            "as text, and at most the context"
        );
    }
    let known = ModelRequest {
        has_media: true,
        input_tokens: Some(200),
        ..request(100, None, 1)
    };
    let learned = LearnedModel::default();
    let defaults = OutputDefaults::default();
    let bound = Estimate::new(Reservation::Bound, &known, Some(&info), learned, defaults);
    assert_eq!(bound.input_tokens, 200 + OVERHEAD);
}

#[test]
fn what_is_assumed_of_outputs_is_configured() {
    let defaults = OutputDefaults {
        usual_tokens: 70,
        limit: 80,
    };
    let output = |mode, model: Option<&ModelInfo>, learned, named| {
        let asked = request(1, named, 1);
        Estimate::new(mode, &asked, model, learned, defaults).output_tokens
    };
    let (nothing, info) = (LearnedModel::default(), info(ModelPrice::default()));
    assert_eq!(output(Reservation::Estimate, None, nothing, None), 70);
    assert_eq!(output(Reservation::Bound, None, nothing, None), 80);
    assert_eq!(output(Reservation::Bound, Some(&info), nothing, None), 80);
    assert_eq!(output(Reservation::Bound, None, nothing, Some(500)), 500);
    let learned = LearnedModel {
        usual_output_tokens: Some(60),
        ..nothing
    };
    assert_eq!(output(Reservation::Estimate, None, learned, None), 60);
}
