use serde_json::{Value, json};

use super::*;

async fn post(provider: &MockProvider, body: &Value) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::new()
        .post(format!("{}/v1/chat/completions", provider.base_url()))
        .json(body)
        .send()
        .await
}

#[tokio::test]
async fn plain_answer_is_billed_and_booked() {
    let provider = MockProvider::start().await;
    let answer: Value = post(&provider, &json!({"model": "m"}))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello there!");
    assert_eq!(answer["usage"]["total_tokens"], 13);
    let books = provider
        .wait_until(|books| books.iter().all(|exchange| exchange.end == End::Finished))
        .await;
    assert_eq!(books[0].billed.total(), 13);
    assert_eq!(books[0].request.model(), "m");
}

#[tokio::test]
async fn stream_reports_usage_only_when_asked() {
    let provider = MockProvider::start().await;
    for (asked, expect) in [(true, true), (false, false)] {
        let body =
            json!({"model": "m", "stream": true, "stream_options": {"include_usage": asked}});
        let text = post(&provider, &body).await.unwrap().text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"));
        assert_eq!(text.contains("prompt_tokens"), expect);
        assert_eq!(text.matches("\"content\":\" there\"").count(), 1);
    }
    let billed: u64 = provider
        .exchanges()
        .iter()
        .map(|exchange| exchange.billed.total())
        .sum();
    assert_eq!(billed, 26);
}

#[tokio::test]
async fn gate_holds_the_stream_and_the_bill() {
    let provider = MockProvider::start().await;
    let gate = Gate::new();
    provider.always(Chat::default().gated(&gate));
    let mut answer = post(&provider, &json!({"model": "m", "stream": true}))
        .await
        .unwrap();
    gate.pass(1);
    let books = provider
        .wait_until(|books| books[0].billed.output == 1)
        .await;
    assert_eq!(books[0].end, End::Running);
    gate.open();
    while answer.chunk().await.unwrap().is_some() {}
    assert_eq!(provider.exchanges()[0].billed.output, 3);
}

#[tokio::test]
async fn scripts_are_picked_by_queue_then_model() {
    let provider = MockProvider::start().await;
    provider.on_model(
        "busy",
        Script::error(429, &[("retry-after", "7")], "slow down"),
    );
    provider.next(Script::error(500, &[], "oops"));
    let status = |model: &'static str| {
        let provider = &provider;
        async move {
            let answer = post(provider, &json!({"model": model})).await.unwrap();
            answer.status().as_u16()
        }
    };
    assert_eq!(status("busy").await, 500);
    assert_eq!(status("busy").await, 429);
    assert_eq!(status("other").await, 200);
}

#[tokio::test]
async fn faults_break_the_answer() {
    let provider = MockProvider::start().await;
    for fault in [Fault::Reset, Fault::Close, Fault::HalfEvent] {
        for stream in [false, true] {
            provider.next(Chat::default().broken_after(1, fault.clone()));
            let answer = post(&provider, &json!({"model": "m", "stream": stream})).await;
            let whole = match answer {
                Ok(answer) => answer.bytes().await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert!(whole.is_err(), "{fault:?} {stream}");
        }
    }
    for script in [Script::reset(), Script::garbage()] {
        provider.next(script);
        assert!(post(&provider, &json!({"model": "m"})).await.is_err());
    }
    let closed = ClosedPort::new();
    assert!(
        reqwest::get(closed.base_url())
            .await
            .unwrap_err()
            .is_connect()
    );
}

#[tokio::test]
async fn client_that_leaves_is_noted() {
    let provider = MockProvider::start().await;
    provider.always(Script::hang());
    let mut client = JoinSet::new();
    let url = provider.base_url();
    client.spawn(async move { reqwest::get(url).await.map(|_| ()) });
    provider.wait_for(1).await;
    client.shutdown().await;
    let books = provider
        .wait_until(|books| books[0].end == End::PeerLeft)
        .await;
    assert_eq!(books[0].billed.total(), 0);
}
