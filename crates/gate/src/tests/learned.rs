use tollgate_domain::TokenUsage;
use tollgate_domain::access::{Learned as _, LearnedModel};
use tollgate_domain::accounting::Outcome;

use super::kit::*;
use crate::Answer;
use crate::learned::Experiences;

fn usage(input: u64, output: u64) -> TokenUsage {
    TokenUsage {
        input,
        output,
        ..TokenUsage::default()
    }
}

#[test]
fn the_ratio_follows_what_is_seen() {
    let experiences = Experiences::default();
    assert_eq!(experiences.model("mock", "small"), LearnedModel::default());
    for _ in 0..200 {
        experiences.learn("mock", "small", Some(3_000), 1, &usage(1_000, 50));
    }
    let learned = experiences.model("mock", "small");
    assert_eq!(learned.milli_bytes_per_token, 3_000);
    assert_eq!(learned.usual_output_tokens, Some(50));
    assert_eq!(experiences.model("mock", "large"), LearnedModel::default());
}

#[test]
fn the_usual_output_is_a_high_quantile() {
    let experiences = Experiences::default();
    // Outputs 1 to 1,000, in an order that no step size favours.
    for step in 0..20_000_u64 {
        let output = step.wrapping_mul(7_919) % 1_000 + 1;
        experiences.learn("mock", "small", Some(100), 1, &usage(10, output));
    }
    let usual = experiences
        .model("mock", "small")
        .usual_output_tokens
        .unwrap();
    assert!((850..=1_000).contains(&usual), "{usual}");
}

#[test]
fn answers_without_tokens_and_made_up_names_do_no_harm() {
    let experiences = Experiences::default();
    experiences.learn("mock", "small", Some(100), 1, &usage(0, 0));
    assert_eq!(experiences.model("mock", "small"), LearnedModel::default());
    for name in 0..10_000 {
        experiences.learn("mock", &name.to_string(), Some(100), 1, &usage(10, 10));
    }
    assert_eq!(experiences.model("mock", "9999"), LearnedModel::default());
}

#[test]
fn what_one_choice_takes_is_learned_of_many() {
    let experiences = Experiences::default();
    experiences.learn("mock", "small", Some(100), 8, &usage(10, 400));
    let learned = experiences.model("mock", "small");
    assert_eq!(learned.usual_output_tokens, Some(50));
}

/// What we counted ourselves rests on what we believe already.
#[test]
fn our_own_count_teaches_nothing() {
    let test = TestGate::new(world(limited("starter", [])));
    let mut asked = request("mock/small", 100);
    (asked.input_tokens, asked.max_output_tokens) = (None, None);
    asked.body_bytes = 8_000;
    let mut admission = test.admit(&asked).unwrap();
    let believed = admission.candidate().estimate;
    admission.mark_dispatched();
    admission.settle(Answer {
        outcome: Outcome::Counted,
        ..reported(4_000, 70)
    });
    let next = test.admit(&asked).unwrap();
    assert_eq!(next.candidate().estimate, believed);
}

#[test]
fn an_answer_teaches_the_next_estimate() {
    let test = TestGate::new(world(limited("starter", [])));
    let mut asked = request("mock/small", 100);
    (asked.input_tokens, asked.max_output_tokens) = (None, None);
    asked.body_bytes = 8_000;
    let mut admission = test.admit(&asked).unwrap();
    assert_eq!(admission.candidate().estimate.input_tokens, 2_001);
    admission.mark_dispatched();
    admission.settle(reported(4_000, 70));
    let next = test.admit(&asked).unwrap();
    assert_eq!(next.candidate().estimate.input_tokens, 4_001);
    assert_eq!(next.candidate().estimate.output_tokens, 70);
}

/// Of an image the body has a thousand bytes for each token, of one that the provider fetches none at all. What callers
/// send of either must not make texts cheap, or dear, to hold.
#[test]
fn only_texts_teach_how_many_bytes_make_a_token() {
    type Change = fn(&mut tollgate_domain::access::ModelRequest<'_>);
    let changes: [Change; 2] = [
        |asked| asked.has_media = true,
        |asked| asked.unbounded = Some("an image that the provider fetches"),
    ];
    for change in changes {
        let test = TestGate::new(world(limited("starter", [])));
        let mut text = request("mock/small", 100);
        (text.input_tokens, text.max_output_tokens) = (None, None);
        text.body_bytes = 8_000;
        let mut asked = text;
        change(&mut asked);
        let mut admission = test.admit(&asked).unwrap();
        admission.mark_dispatched();
        admission.settle(reported(10, 70));
        let next = test.admit(&text).unwrap();
        assert_eq!(next.candidate().estimate.input_tokens, 2_001);
        assert_eq!(next.candidate().estimate.output_tokens, 70);
    }
}
