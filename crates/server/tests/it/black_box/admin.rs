//! The management API, with the administrator's key.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN_KEY, http_client, nanos};

#[derive(Clone)]
pub(crate) struct Admin {
    http: reqwest::Client,
    url: String,
}

impl Admin {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            http: http_client(),
            url: url.to_owned(),
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(ADMIN_KEY);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Everything in the request log: how many rows, and the nano-dollars in them.
    pub(crate) async fn logged(&self) -> (u64, i64) {
        let (mut rows, mut cost) = (0, 0);
        loop {
            let path = format!("/api/logs?limit=100&offset={rows}");
            let page = self.get(&path).await;
            let logs = page["logs"].as_array().unwrap();
            rows += u64::try_from(logs.len()).unwrap();
            cost += logs.iter().map(|log| nanos(&log["cost_usd"])).sum::<i64>();
            if logs.is_empty() {
                assert_eq!(page["total_count"].as_u64(), Some(rows));
                return (rows, cost);
            }
        }
    }

    /// An OpenAI-compatible provider `mock` at `base_url`, with `network` on top of short timeouts and no retries.
    pub(crate) async fn add_provider(&self, base_url: &str, network: &Value) {
        let mut config = json!({
            "base_url": base_url,
            "default_request_timeout_in_seconds": 30,
            "max_retries": 0,
        });
        for (name, value) in network.as_object().unwrap() {
            config[name] = value.clone();
        }
        let provider = json!({
            "provider": "mock",
            "network_config": config,
            "custom_provider_config": {"base_provider_type": "openai"},
        });
        self.post("/api/providers", &provider).await;
        let key = json!({"name": "mock", "value": "sk-upstream-mock"});
        self.post("/api/providers/mock/keys", &key).await;
    }

    /// A dollar for a thousand thousand input tokens, two for output; see [`super::INPUT_NANOS`].
    pub(crate) async fn set_price(&self, model: &str) {
        let price = json!({"input_usd_per_million": 1, "output_usd_per_million": 2});
        let path = format!("/api/pricing/mock/{model}");
        self.call(Method::PUT, &path, Some(&price)).await;
    }
}
