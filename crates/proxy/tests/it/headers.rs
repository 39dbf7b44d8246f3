//! Which headers cross.

use tollgate_testkit::provider::Script;

use crate::harness::{chat, question, streamed_question, world};

#[tokio::test]
async fn only_harmless_headers_go_up() {
    let (world, mock) = world().await;
    let mut request = chat(&question());
    for (name, value) in [
        ("accept", "application/json"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("openai-beta", "assistants=v2"),
        ("accept-encoding", "gzip, br"),
        ("cookie", "session=1"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic abc"),
        ("openai-organization", "org-of-the-caller"),
        ("x-forwarded-for", "10.0.0.1"),
        ("user-agent", "curl"),
        ("host", "gateway.example"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(world.answer(request).await.status, 200);
    let got = &mock.exchanges()[0].request;
    let mut names: Vec<&str> = got.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "openai-beta",
            "traceparent",
            "user-agent"
        ]
    );
    assert!(got.header("host").starts_with("127.0.0.1:"));
    assert!(got.header("user-agent").starts_with("tollgate/"));
}

#[tokio::test]
async fn only_harmless_headers_come_down() {
    let (world, mock) = world().await;
    let headers = [
        ("content-type", "application/json"),
        ("x-request-id", "req-of-the-provider"),
        ("openai-processing-ms", "12"),
        ("openai-organization", "org-secret"),
        ("authorization", "Bearer sk-upstream-mock"),
        ("set-cookie", "a=b"),
        ("x-ratelimit-limit-requests", "5"),
        ("keep-alive", "timeout=5"),
        ("server", "mock"),
        ("x-tollgate-cost-usd", "0"),
        ("retry-after", "9"),
    ];
    mock.always(Script::answer(
        200,
        &headers,
        "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":0}}",
    ));
    let answer = world.chat(&question()).await;
    let mut names: Vec<&str> = answer
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-type",
            "openai-processing-ms",
            "x-ratelimit-limit-requests",
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-requests",
            "x-ratelimit-reset-tokens",
            "x-request-id",
            "x-tollgate-budget-remaining-usd",
            "x-tollgate-cost-usd",
            "x-tollgate-model",
            "x-tollgate-provider",
            "x-tollgate-upstream-request-id",
        ]
    );
    assert_eq!(
        answer.header("x-tollgate-upstream-request-id"),
        "req-of-the-provider"
    );
    assert_eq!(answer.header("x-tollgate-cost-usd"), "0.000001");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "100");
}

#[tokio::test]
async fn stream_tells_the_limits_as_they_were_at_admission() {
    let (world, _mock) = world().await;
    let answer = world.chat(&streamed_question()).await;
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "99");
    assert_eq!(answer.header("x-tollgate-model"), "small");
    assert_eq!(answer.header("x-tollgate-cost-usd"), "");
    assert!(
        answer
            .header("x-tollgate-budget-remaining-usd")
            .starts_with("0.99")
    );
}
