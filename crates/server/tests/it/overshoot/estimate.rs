//! The same in the mode `estimate`, which never edits a request: it may pass the limit by the estimation error of the
//! requests in flight.

use serde_json::{Value, json};

use super::DOLLAR;
use super::crowd::{Crowd, upstream};
use crate::black_box::Stage;

/// Texts of varied length that are denser or thinner than usual, and answers that use up all they may.
fn all(request: &Value) -> (u64, u64) {
    let text = request["messages"][0]["content"].as_str().unwrap();
    let length = u64::try_from(text.len()).unwrap();
    let tokens = request["max_tokens"].as_u64().unwrap();
    // 2.6 to 5.1 bytes a token.
    (7 + length * 10 / (26 + tokens % 26), tokens)
}

fn long_or_short(client: u64, turn: u64) -> Value {
    let dice = client * 7_919 + turn * 104_729;
    let words = usize::try_from(1 + dice % 331).unwrap();
    json!({
        "model": "mock/small",
        "messages": [{"role": "user", "content": "word ".repeat(words)}],
        "max_tokens": 1 + dice % 400,
        "stream": dice.is_multiple_of(3),
    })
}

/// What came of it, for those who look at the output.
#[expect(
    clippy::print_stdout,
    reason = "the measurement is shown with the test"
)]
fn report(answers: u64, requests: i64, reported: i64, over: i64) {
    println!(
        "{answers} answers, {requests} of them dearer than estimated, by {reported} nano-dollars in all; \
         the dollar was passed by {over} nano-dollars, {}.{:02} %",
        over * 100 / DOLLAR,
        over * 10_000 / DOLLAR % 100,
    );
}

#[tokio::test]
async fn a_budget_in_estimate_mode_is_passed_by_at_most_two_percent_and_says_so() {
    let stage = Stage::new(1.0, "estimate").await;
    stage.provider.always(upstream(all));
    let crowd = Crowd {
        clients: 500,
        usage: all,
        request: long_or_short,
    };
    let outcome = crowd
        .ask(std::slice::from_ref(&stage.caller), async || ())
        .await;
    let spent = stage.caller.spent_when_idle().await;
    assert_eq!(spent, outcome.answered);
    let over = (spent - DOLLAR).max(0);
    let of_estimates = async |name: &str| {
        let name = format!("tollgate_over_reserved_{name}_total{{reservation=\"estimate\"}}");
        stage.gateway.metric(&name).await
    };
    let requests = of_estimates("requests").await;
    let reported = of_estimates("nanodollars").await;
    report(outcome.answers, requests, reported, over);
    assert!(over <= DOLLAR / 50, "{over}");
    assert!(requests > 0 && over <= reported, "{over} of {reported}");
    assert!(spent > DOLLAR / 100 * 99 - outcome.largest, "{spent}");
}
