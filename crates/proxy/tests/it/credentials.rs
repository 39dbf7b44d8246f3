//! Which credential counts, and that none is forwarded.

use http::{HeaderValue, Request};
use http_body_util::Full;
use secrecy::SecretString;
use tollgate_testkit::entities::key_text;
use tollgate_testkit::provider::MockProvider;

use crate::harness::{Answer, Setup, World, question, world};

async fn send(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut request =
        Request::post("/v1/chat/completions").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(question().to_string().into());
    world.answer(request.body(body).unwrap()).await
}

#[tokio::test]
async fn key_is_found_in_every_accepted_header_and_never_forwarded() {
    let (world, mock) = world().await;
    let key = key_text("ada");
    let bearer = format!("Bearer {key}");
    let dummy = ("authorization", "Bearer dummy");
    let cases: [&[(&str, &str)]; 7] = [
        &[("authorization", &bearer)],
        &[("x-api-key", &key), dummy],
        &[("api-key", &key), dummy],
        &[("x-goog-api-key", &key)],
        &[("x-tollgate-key", &key), dummy],
        &[("x-bf-vk", &key)],
        &[("x-api-key", &key), ("authorization", &bearer)],
    ];
    for headers in cases {
        assert_eq!(send(&world, headers).await.status, 200, "{headers:?}");
    }
    for exchange in mock.exchanges() {
        let request = exchange.request;
        assert_eq!(request.header("authorization"), "Bearer sk-upstream-mock");
        let all = format!("{:?} {:?}", request.headers, request.body);
        assert!(!all.contains(&key), "{all}");
        assert!(!all.contains("dummy"), "{all}");
    }
}

#[tokio::test]
async fn wrong_missing_and_conflicting_keys_are_refused() {
    let (world, mock) = world().await;
    let (ada, other) = (key_text("ada"), key_text("bob"));
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "virtual_key_required"),
        (&[("authorization", "Bearer dummy")], "virtual_key_required"),
        (&[("x-api-key", &other)], "virtual_key_not_found"),
        (&[("x-tollgate-key", "whatever")], "virtual_key_not_found"),
        (
            &[("x-api-key", &ada), ("api-key", &other)],
            "virtual_key_required",
        ),
        (
            &[("x-api-key", &ada), ("api-key", "tgm-123")],
            "virtual_key_required",
        ),
    ];
    for (headers, code) in cases {
        let answer = send(&world, headers).await;
        assert_eq!(answer.error(), (401, code.to_owned()), "{headers:?}");
        assert_eq!(answer.header("x-should-retry"), "false");
        assert!(!answer.text().contains(&ada));
    }
    assert_eq!(mock.exchanges().len(), 0);
}

#[tokio::test]
async fn management_key_in_the_query_is_refused() {
    let (world, mock) = world().await;
    for query in ["key=tgm-123", "a&x-api-key=tgm-123", "tgm-123"] {
        let request = Request::post(format!("/v1/chat/completions?{query}"))
            .header("content-type", "application/json")
            .header("x-api-key", key_text("ada"));
        let body = Full::new(question().to_string().into());
        let answer = world.answer(request.body(body).unwrap()).await;
        assert_eq!(answer.error(), (401, "virtual_key_required".to_owned()));
        assert!(!answer.text().contains("tgm-123"));
    }
    assert_eq!(mock.exchanges().len(), 0);
}

#[tokio::test]
async fn keyless_provider_gets_no_credential() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .provider(|provider| {
            provider.keys.clear();
            provider.is_keyless = true;
        })
        .start();
    assert_eq!(world.chat(&question()).await.status, 200);
    assert_eq!(mock.exchanges()[0].request.header("authorization"), "");
}

#[tokio::test]
async fn extra_headers_are_sent_and_the_credential_wins() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .network(|network| {
            network.extra_headers = [
                ("OpenAI-Organization", "org-1"),
                ("Authorization", "Bearer extra"),
            ]
            .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
            .into();
        })
        .start();
    assert_eq!(world.chat(&question()).await.status, 200);
    let request = &mock.exchanges()[0].request;
    assert_eq!(request.header("openai-organization"), "org-1");
    let values: Vec<&HeaderValue> = request.headers.get_all("authorization").iter().collect();
    assert_eq!(values, ["Bearer sk-upstream-mock"]);
}

#[tokio::test]
async fn extra_header_that_belongs_to_the_connection_is_refused() {
    let mock = MockProvider::start().await;
    for (name, value) in [
        ("Host", "elsewhere"),
        ("Transfer-Encoding", "chunked"),
        ("bad name", "x"),
        ("x", "a\nb"),
    ] {
        let world = Setup::at(&mock.base_url())
            .network(|network| {
                network.extra_headers = vec![(name.to_owned(), SecretString::from(value))];
            })
            .start();
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
        assert!(answer.text().contains("extra_headers"));
    }
    assert_eq!(mock.exchanges().len(), 0);
}
