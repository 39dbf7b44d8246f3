use proptest::prelude::*;

use super::*;
use crate::money::Usd;
use crate::usage::{ServiceTier, TokenUsage};

fn provider(name: &str, kind: ProviderType) -> Provider {
    Provider {
        name: name.parse().unwrap(),
        kind,
        is_keyless: true,
        network: None,
        keys: Vec::new(),
        meters: Vec::new(),
        revision: 0,
    }
}

fn openai(name: &str) -> Provider {
    provider(name, ProviderType::OpenAi)
}

fn price(provider_name: &str, model: &str) -> ModelPrice {
    let info = Catalog::default().find(&openai(provider_name), model);
    info.and_then(|info| info.price.clone())
        .unwrap_or_else(|| panic!("{provider_name}/{model}"))
}

/// A table of one row.
fn row(prices: &str) -> ModelPrice {
    let line = format!("p\tm\tchat\t\t\t\tlitellm\t{prices}");
    let entries = embedded::parse(Box::leak(line.into_boxed_str()));
    entries[0].info.price.clone().unwrap()
}

#[test]
fn every_line_of_the_table_is_read() {
    let text = include_str!("prices.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(embedded::parse(text).len(), lines);
    assert!(lines > 4_000, "{lines}");
}

#[test]
fn every_row_can_be_found_and_has_a_source() {
    let rows = embedded::rows();
    for entry in rows.entries() {
        let found = rows.find(&entry.provider, &entry.model.to_ascii_uppercase());
        assert_eq!(
            found.map(|found| &found.model),
            Some(&entry.model),
            "{}",
            entry.provider
        );
        let provenance = entry.info.provenance.unwrap();
        assert_eq!(provenance.date.len(), 10, "{provenance:?}");
        assert!(
            entry.provider.parse::<ProviderName>().is_ok(),
            "{}",
            entry.provider
        );
    }
}

#[test]
fn no_tier_has_a_price_beyond_reason() {
    // A thousand dollars per million tokens is more than anything sold by the token.
    for entry in embedded::rows().entries() {
        if let Some(price) = &entry.info.price {
            let dearest = price.dearest_within(u64::MAX);
            let most = dearest.dearest_input().max(dearest.dearest_output());
            assert!(
                most <= 1_000_000_000,
                "{}/{}: {most}",
                entry.provider,
                entry.model
            );
        }
    }
}

#[test]
fn vendors_published_prices() {
    let check = |provider: &str, model: &str, usage: TokenUsage, expect: &str| {
        assert_eq!(
            price(provider, model).cost(&usage),
            expect.parse::<Usd>().unwrap(),
            "{model}"
        );
    };
    let million = 1_000_000;
    let usage = TokenUsage {
        input: million,
        output: million,
        ..TokenUsage::default()
    };
    check("openai", "gpt-4o", usage, "12.5");
    check("openai", "gpt-4o-mini", usage, "0.75");
    check("openai", "o3", usage, "10");
    check(
        "openai",
        "text-embedding-3-small",
        TokenUsage { output: 0, ..usage },
        "0.02",
    );
    check("anthropic", "claude-sonnet-4-5", usage, "18");
    check("anthropic", "claude-haiku-4-5", usage, "6");
    check("groq", "llama-3.3-70b-versatile", usage, "1.38");
    // Above 200,000 tokens Gemini 2.5 Pro costs 2.50 and 15 instead of 1.25 and 10.
    check("gemini", "gemini-2.5-pro", usage, "17.5");
    check(
        "gemini",
        "gemini-2.5-pro",
        TokenUsage {
            input: 200_000,
            ..usage
        },
        "10.25",
    );
    let cached = TokenUsage {
        cache_read: million,
        cache_write_5m: million,
        cache_write_1h: million,
        ..TokenUsage::default()
    };
    check("anthropic", "claude-sonnet-4-5", cached, "10.05");
    check(
        "openai",
        "gpt-4o",
        TokenUsage {
            cache_read: million,
            ..TokenUsage::default()
        },
        "1.25",
    );
    let batch = TokenUsage {
        tier: ServiceTier::Batch,
        ..usage
    };
    check("openai", "gpt-4o", batch, "6.25");
    check(
        "openai",
        "gpt-4o",
        TokenUsage {
            tier: ServiceTier::Priority,
            ..usage
        },
        "21.25",
    );
    // One token of the cheapest kind is not lost in rounding.
    check(
        "openai",
        "gpt-4o-mini",
        TokenUsage {
            cache_read: 1,
            ..TokenUsage::default()
        },
        "0.000000075",
    );
}

#[test]
fn tiers_inherit_what_they_do_not_name() {
    let price = row("in=4 out=10 read=2 reason=12; batch in=2 out=5; >200 in=8; batch>200 out=7");
    let of = |tier, input| {
        *price.prices_for(&TokenUsage {
            input,
            tier,
            ..TokenUsage::default()
        })
    };
    let base = of(ServiceTier::Standard, 200);
    assert_eq!(
        (base.input, base.output, base.cache_read, base.reasoning),
        (4, 10, 2, 12)
    );
    assert_eq!(
        base.cache_write_1h, 4,
        "what is not named costs what it is a kind of"
    );
    let large = of(ServiceTier::Standard, 201);
    assert_eq!((large.input, large.output, large.cache_read), (8, 10, 2));
    let batch = of(ServiceTier::Batch, 1);
    assert_eq!(
        (batch.input, batch.output, batch.reasoning, batch.cache_read),
        (2, 5, 5, 2)
    );
    assert_eq!(of(ServiceTier::Batch, 201).output, 7);
    assert_eq!(
        of(ServiceTier::Fast, 201),
        large,
        "a tier without a price is charged as standard"
    );
}

#[test]
fn the_fastest_tier_is_never_charged_less_than_the_fast_one_that_is_known() {
    let fast = TokenUsage {
        input: 1,
        tier: ServiceTier::Fast,
        ..TokenUsage::default()
    };
    let input = |text: &str| row(text).prices_for(&fast).input;
    assert_eq!(input("in=4 out=10; priority in=7; fast in=24"), 24);
    assert_eq!(input("in=4 out=10; priority in=7; flex in=2"), 7);
    assert_eq!(input("in=4 out=10; flex in=2"), 4);
}

#[test]
fn an_unstated_corner_is_charged_at_the_dearer_price() {
    let price = row("in=4 out=10; batch in=2 out=20; >200 in=8");
    let usage = TokenUsage {
        input: 201,
        tier: ServiceTier::Batch,
        ..TokenUsage::default()
    };
    let prices = price.prices_for(&usage);
    assert_eq!((prices.input, prices.output), (8, 20));
}

#[test]
fn bound_leaves_out_tiers_that_the_input_cannot_reach() {
    let price = row("in=4 out=10; priority in=6 out=11; >200 in=8 out=30");
    assert_eq!(price.dearest_within(200).dearest_input(), 6);
    assert_eq!(price.dearest_within(200).dearest_output(), 11);
    assert_eq!(price.dearest_within(201).dearest_output(), 30);
}

#[test]
fn names_are_found_without_case_and_by_alias() {
    let catalog = Catalog::default();
    assert!(catalog.find(&openai("openai"), "GPT-4o").is_some());
    assert!(catalog.find(&openai("openai"), "gpt-4").is_some());
    assert!(catalog.find(&openai("openai"), "gpt-4ooo").is_none());
    assert_eq!(
        catalog.find(&openai("google"), "gemini-2.5-pro"),
        catalog.find(&openai("gemini"), "gemini-2.5-pro")
    );
    assert!(ALIASES.is_sorted());
    for (alias, name) in ALIASES {
        assert!(
            embedded::rows().of_provider(alias).is_empty(),
            "`{alias}` is a name of its own"
        );
        assert!(
            !embedded::rows().of_provider(name).is_empty(),
            "`{alias}` leads nowhere"
        );
    }
}

#[test]
fn own_server_has_no_embedded_price_and_the_sandbox_always_has() {
    let catalog = Catalog::default();
    assert!(catalog.find(&openai("my-vllm"), "gpt-4o").is_none());
    assert!(catalog.models_of(&openai("my-vllm")).is_empty());
    let sandbox = provider("playground", ProviderType::Sandbox);
    let models = ["sandbox-embedding", "sandbox-large", "sandbox-small"];
    assert_eq!(catalog.models_of(&sandbox), models);
    assert!(
        catalog
            .find(&sandbox, "sandbox-small")
            .unwrap()
            .price
            .is_some()
    );
}

#[test]
fn override_wins_and_keeps_the_limits() {
    let info = |input| ModelInfo {
        price: Some(ModelPrice::flat(Prices::flat(input, 2))),
        ..ModelInfo::default()
    };
    let name = |name: &str| name.parse::<ProviderName>().unwrap();
    let catalog = Catalog::with_overrides([
        (name("openai"), "GPT-4O".to_owned(), info(9)),
        (name("openai"), "gpt-4o".to_owned(), info(1)),
        (name("google"), "gemini-2.5-pro".to_owned(), info(3)),
        (name("my-vllm"), "llama".to_owned(), info(5)),
    ]);
    let found = catalog.find(&openai("openai"), "gpt-4o").unwrap();
    assert_eq!(
        found.price.as_ref().unwrap().base.input,
        1,
        "the later override holds"
    );
    assert_eq!(found.max_output_tokens, Some(16_384));
    assert!(found.provenance.is_none() && found.capabilities.tools);
    assert!(catalog.find(&openai("my-vllm"), "LLAMA").is_some());
    assert_eq!(catalog.models_of(&openai("my-vllm")), ["llama"]);
    let count = |wanted: &str, model: &str| {
        let same = |entry: &&Entry| {
            canonical(&entry.provider) == wanted && entry.model.eq_ignore_ascii_case(model)
        };
        catalog.entries().filter(same).count()
    };
    assert_eq!(count("openai", "gpt-4o"), 1);
    assert_eq!(count("gemini", "gemini-2.5-pro"), 1);
    assert_eq!(
        catalog.entries().count(),
        embedded::rows().entries().len() + 1
    );
}

fn any_prices() -> impl Strategy<Value = Prices> {
    prop::array::uniform9(any::<u64>()).prop_map(
        |[
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            per_request,
        ]| {
            Prices {
                input,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                audio_input,
                output,
                reasoning,
                audio_output,
                per_request,
            }
        },
    )
}

fn usage(counts: [u64; 8]) -> TokenUsage {
    let [
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        audio_input,
        output,
        reasoning,
        audio_output,
    ] = counts;
    TokenUsage {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        audio_input,
        output,
        reasoning,
        audio_output,
        tier: ServiceTier::Standard,
    }
}

/// Prices of 1, 2, 4, … in the order of the fields.
fn powers() -> Prices {
    Prices {
        input: 1,
        cache_read: 2,
        cache_write_5m: 4,
        cache_write_1h: 8,
        audio_input: 16,
        output: 32,
        reasoning: 64,
        audio_output: 128,
        per_request: 256,
    }
}

#[test]
fn every_kind_of_token_costs_its_own_price_and_the_request_one_more() {
    assert_eq!(powers().picos(&TokenUsage::default()), 256);
    for kind in 0..8 {
        let mut counts = [0; 8];
        counts[kind] = 1_000;
        assert_eq!(powers().picos(&usage(counts)), 256 + (1_000 << kind));
    }
    assert_eq!(powers().picos(&usage([1; 8])), 511);
}

/// Whichever kind is the dearest of its side, the bound is its price.
#[test]
fn each_kind_can_be_the_dearest() {
    let dearer = |kind: usize| {
        let mut prices = [10_u64; 9];
        prices[kind] = 99;
        let [
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            per_request,
        ] = prices;
        Prices {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
            per_request,
        }
    };
    for kind in 0..9 {
        let prices = dearer(kind);
        let (is_input, is_output) = (kind < 5, (5..8).contains(&kind));
        assert_eq!(prices.dearest_input(), if is_input { 99 } else { 10 });
        assert_eq!(prices.dearest_output(), if is_output { 99 } else { 10 });
        let base = Prices {
            per_request: 10,
            ..Prices::flat(10, 10)
        };
        assert_eq!(base.max(&prices), prices, "{kind}");
        assert_eq!(prices.max(&base), prices, "{kind}");
    }
}

#[test]
fn totals_count_every_kind_once() {
    let usage = usage([1, 2, 4, 8, 16, 32, 64, 128]);
    assert_eq!(
        (usage.total_input(), usage.total_output(), usage.total()),
        (31, 224, 255)
    );
}

proptest! {
    #[test]
    fn cost_is_additive_before_rounding(
        prices in any_prices(),
        a in prop::array::uniform8(0..u64::MAX / 2),
        b in prop::array::uniform8(0..u64::MAX / 2),
    ) {
        // Small enough that the sums stay exact.
        let small = |price: u64| price >> 8;
        let prices = Prices {
            input: small(prices.input),
            cache_read: small(prices.cache_read),
            cache_write_5m: small(prices.cache_write_5m),
            cache_write_1h: small(prices.cache_write_1h),
            audio_input: small(prices.audio_input),
            output: small(prices.output),
            reasoning: small(prices.reasoning),
            audio_output: small(prices.audio_output),
            per_request: 0,
        };
        let sum: [u64; 8] = std::array::from_fn(|at| a[at] + b[at]);
        prop_assert_eq!(prices.picos(&usage(sum)), prices.picos(&usage(a)) + prices.picos(&usage(b)));
    }

    #[test]
    fn cost_is_monotone_and_never_panics(
        prices in any_prices(),
        counts in prop::array::uniform8(any::<u64>()),
        at in 0..8_usize,
        more: u64,
    ) {
        let price = ModelPrice::flat(prices);
        let mut larger = counts;
        larger[at] = larger[at].saturating_add(more);
        let (small, large) = (price.cost(&usage(counts)), price.cost(&usage(larger)));
        prop_assert!(Usd::ZERO <= small && small <= large);
    }

    #[test]
    fn nothing_costs_more_than_the_bound(
        base in any_prices(), above in any_prices(), fast in any_prices(),
        counts in prop::array::uniform8(0..1_000_000_u64),
        threshold in 0..3_000_000_u64,
        tier in prop::sample::select(ServiceTier::ALL.to_vec()),
    ) {
        let price = ModelPrice {
            base,
            tiers: vec![
                PriceTier { service: ServiceTier::Standard, above: threshold, prices: above },
                PriceTier { service: ServiceTier::Fast, above: 0, prices: fast },
            ],
        };
        let usage = TokenUsage { tier, ..usage(counts) };
        let dearest = price.dearest_within(usage.total_input());
        let bound = Prices::flat(dearest.dearest_input(), dearest.dearest_output());
        let bound = Prices { per_request: dearest.per_request, ..bound };
        prop_assert!(price.prices_for(&usage).picos(&usage) <= bound.picos(&usage));
    }
}
