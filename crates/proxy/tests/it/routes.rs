//! Paths and methods.

use http::{Method, Request};
use http_body_util::Full;
use tollgate_proxy::Proxy;

use crate::harness::{get, post, question, world};

#[tokio::test]
async fn every_base_url_leads_to_the_same_routes() {
    let (world, mock) = world().await;
    for base in ["", "/v1", "/openai", "/openai/v1"] {
        let path = format!("{base}/chat/completions");
        assert!(Proxy::handles(&path));
        let answer = world.answer(post(&path, question().to_string())).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(mock.exchanges().len(), 4);
    assert!(!Proxy::handles("/api/governance/virtual-keys"));
    assert!(!Proxy::handles("/health"));
}

#[tokio::test]
async fn unknown_routes_and_methods_are_told_in_the_dialect() {
    let (world, _mock) = world().await;
    let answer = world.answer(get("/v1/responses/x")).await;
    assert_eq!(answer.error(), (404, "not_found".to_owned()));
    for (method, path, allow) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::DELETE, "/v1/embeddings", "POST"),
        (Method::POST, "/v1/models", "GET"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::default())
            .unwrap();
        let answer = world.answer(request).await;
        assert_eq!(answer.error(), (405, "method_not_allowed".to_owned()));
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn models_are_those_that_the_caller_may_use() {
    let (world, _mock) = world().await;
    let answer = world.answer(get("/v1/models")).await;
    let mut ids: Vec<String> = answer.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["mock/small", "mock/thinker"]);
    for path in [
        "/v1/models/mock/small",
        "/openai/models/mock%2Fsmall",
        "/models/SMALL",
    ] {
        let answer = world.answer(get(path)).await;
        assert_eq!(answer.json()["id"], "mock/small", "{path}");
    }
    let answer = world.answer(get("/v1/models/mock/other")).await;
    assert_eq!(answer.error(), (404, "not_found".to_owned()));
    let nobody = Request::get("/v1/models").body(Full::default()).unwrap();
    assert_eq!(
        world.answer(nobody).await.error(),
        (401, "virtual_key_required".to_owned())
    );
}
