//! What reaches the upstream, and what of its answer reaches the client.

use serde_json::json;
use tollgate_testkit::provider::{Chat, Script};

use crate::black_box::{ADMIN_KEY, Place, Stage, chat};

#[tokio::test]
async fn body_passes_byte_for_byte_but_for_the_model() {
    let stage = Stage::with_a_dollar().await;
    let sent = "{ \"unknown\" : [1.0e2,  1E+2, 10000000000000000000000, -0.0],\n\t\"model\":\"mock/small\" ,\
        \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9 \\/ \u{1f600} \\ud83d\\ude00\"}], \"max_tokens\":5,\
        \"metadata\":{\"model\":\"mock/small\",\"Model\":1} }";
    let answer = stage.caller.raw("application/json", sent).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = stage.provider.exchanges()[0].request.body.clone();
    let expect = sent.replacen("\"mock/small\"", "\"small\"", 1);
    assert_eq!(String::from_utf8(received.to_vec()).unwrap(), expect);
}

#[tokio::test]
async fn answer_passes_byte_for_byte() {
    let stage = Stage::with_a_dollar().await;
    let body = "{ \"id\":\"x\",  \"choices\":[],\"own\":1.50, \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2} }\n";
    let headers = [
        ("content-type", "application/json"),
        ("x-own", "kept"),
        ("openai-processing-ms", "5"),
    ];
    stage.provider.next(Script::answer(200, &headers, body));
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.text, body);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn credentials_stay_on_their_side() {
    let stage = Stage::with_a_dollar().await;
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-upstream-mock"),
        ("set-cookie", "session=of-the-provider"),
        ("connection", "x-hop"),
        ("x-hop", "by hop"),
    ];
    stage.provider.next(Script::answer(
        200,
        &headers,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ));
    let request = stage
        .caller
        .request("/v1/chat/completions")
        .header("x-api-key", &stage.caller.key)
        .header("x-tollgate-key", &stage.caller.key)
        .header("cookie", "session=of-the-client")
        .header("connection", "x-secret-hop")
        .header("x-secret-hop", "by hop")
        .header("proxy-authorization", "Basic eA==")
        .header("te", "trailers")
        .header("accept-encoding", "gzip, br")
        .header("x-forwarded-for", "203.0.113.9")
        .json(&chat("small", 5, false));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    for gone in ["authorization", "set-cookie", "x-hop"] {
        assert!(!answer.headers().contains_key(gone), "{gone}");
    }
    let received = &stage.provider.exchanges()[0].request;
    assert_eq!(received.header("authorization"), "Bearer sk-upstream-mock");
    for gone in [
        "x-api-key",
        "x-tollgate-key",
        "cookie",
        "x-secret-hop",
        "proxy-authorization",
        "te",
        "accept-encoding",
    ] {
        assert!(!received.headers.contains_key(gone), "{gone}");
    }
    let all = format!("{:?} {:?}", received.headers, received.path);
    assert!(!all.contains(&stage.caller.key), "{all}");
    assert!(!all.contains(ADMIN_KEY), "{all}");
}

#[tokio::test]
async fn usage_is_asked_for_and_hidden_again() {
    let stage = Stage::with_a_dollar().await;
    for options in [
        json!(null),
        json!({"include_usage": false}),
        json!({}),
        json!({"include_usage": true}),
    ] {
        let mut body = chat("small", 5, true);
        if !options.is_null() {
            body["stream_options"] = options.clone();
        }
        let before = stage.caller.spent().await;
        let answer = stage.caller.chat(&body).await.unwrap();
        let wants = options["include_usage"] == json!(true);
        assert_eq!(answer.text.contains("prompt_tokens"), wants, "{options}");
        assert!(answer.text.ends_with("data: [DONE]\n\n"), "{options}");
        assert_eq!(
            stage.caller.spent().await - before,
            crate::black_box::cost(10, 3)
        );
        let received = stage.provider.exchanges().pop().unwrap().request;
        assert!(received.asks_for_usage(), "{options}");
    }
}

#[tokio::test]
async fn bound_writes_the_output_limit_that_the_client_left_out() {
    let stage = Stage::new(1.0, "bound").await;
    let mut body = chat("small", 5, false);
    body.as_object_mut().unwrap().remove("max_tokens");
    let answer = stage.caller.chat(&body).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = stage.provider.exchanges()[0].request.json();
    let limit = received["max_tokens"]
        .as_u64()
        .or_else(|| received["max_completion_tokens"].as_u64());
    assert!(limit.is_some_and(|limit| limit > 0), "{received}");
}

#[tokio::test]
async fn the_output_limit_that_bound_writes_is_configured() {
    let place = Place::new().with("TOLLGATE_RESERVATION_OUTPUT_LIMIT", "77");
    let stage = Stage::at(place, 1.0, "bound").await;
    let mut body = chat("small", 5, false);
    body.as_object_mut().unwrap().remove("max_tokens");
    stage.caller.chat(&body).await.unwrap();
    let received = stage.provider.exchanges()[0].request.json();
    assert_eq!(received["max_tokens"], 77, "{received}");
}

#[tokio::test]
async fn both_base_urls_reach_the_same_routes() {
    let stage = Stage::with_a_dollar().await;
    stage.provider.always(Chat::default());
    for prefix in ["/v1", "", "/openai/v1", "/openai"] {
        let answer = stage
            .caller
            .request(&format!("{prefix}/chat/completions"))
            .json(&chat("small", 5, false))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{prefix}");
        let embeddings = json!({"model": "mock/embed", "input": ["a", "b"]});
        let answer = stage
            .caller
            .request(&format!("{prefix}/embeddings"))
            .json(&embeddings)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{prefix}");
    }
    let paths: Vec<String> = stage
        .provider
        .exchanges()
        .iter()
        .map(|exchange| exchange.request.path.clone())
        .collect();
    assert_eq!(paths, ["/v1/chat/completions", "/v1/embeddings"].repeat(4));
}
