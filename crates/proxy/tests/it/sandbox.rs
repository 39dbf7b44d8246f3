//! The built-in provider goes the same way as every other.

use serde_json::json;
use tollgate_domain::provider::{Provider, ProviderType};

use crate::harness::{Setup, World};

fn sandbox() -> World {
    let mut setup = Setup::at("http://127.0.0.1:1").provider(|provider| {
        *provider = Provider {
            name: "sandbox".parse().unwrap(),
            kind: ProviderType::Sandbox,
            is_keyless: true,
            network: None,
            keys: Vec::new(),
            meters: Vec::new(),
            revision: 1,
        };
    });
    setup.copy.grants[0].provider = setup.provider.name.clone();
    setup.start()
}

#[tokio::test]
async fn plain_and_streamed_answers_are_priced() {
    let world = sandbox();
    let mut question = json!({"model": "sandbox/sandbox-small", "messages": [{"role": "user", "content": "Hello"}]});
    let plain = world.chat(&question).await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert!(plain.json()["usage"]["total_tokens"].as_u64().unwrap() > 0);
    let after_plain = world.spent();
    assert!(after_plain > 0);
    question["stream"] = true.into();
    let streamed = world.chat(&question).await;
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    assert!(!streamed.text().contains("total_tokens"));
    assert_eq!(world.spent(), 2 * after_plain);
}

#[tokio::test]
async fn its_errors_cost_nothing() {
    let world = sandbox();
    let question = json!({"model": "sandbox/sandbox-embedding", "messages": []});
    let answer = world.chat(&question).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    assert_eq!(world.spent(), 0);
}
