//! What the tests share: the gateway as a process, its management API, and a caller with a budget.

mod admin;
mod caller;
mod faults;
mod process;

pub(crate) use admin::Admin;
pub(crate) use caller::{Answer, Caller, nanos};
pub(crate) use faults::{ANY, Action, CUT, Errno, Faults, NAME, OPEN, Plan, SYNC, WRITE};
pub(crate) use process::{ADMIN_KEY, Gateway, Place, serve_command, start};

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_testkit::provider::MockProvider;

/// Prices of every model that the tests use, in nano-dollars a token.
pub(crate) const INPUT_NANOS: i64 = 1_000;
pub(crate) const OUTPUT_NANOS: i64 = 2_000;

/// For plain HTTP on loopback: it reads no certificates, of which there are many, and keeps its connections to itself.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap()
}

/// The cost of this many tokens, in nano-dollars.
pub(crate) const fn cost(input: u64, output: u64) -> i64 {
    input.cast_signed() * INPUT_NANOS + output.cast_signed() * OUTPUT_NANOS
}

/// The most that a chat request with this body and output limit can cost in the mode `bound`: a token for each byte,
/// 64 tokens that the provider may add, and all of the output.
pub(crate) fn bound(body_bytes: usize, max_tokens: u64) -> i64 {
    cost(u64::try_from(body_bytes).unwrap() + 64, max_tokens)
}

/// A gateway in front of a scripted upstream, and one caller whose daily budget is `max_limit` dollars.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) provider: MockProvider,
    pub(crate) caller: Caller,
}

impl Stage {
    pub(crate) async fn new(max_limit: f64, reservation: &str) -> Self {
        Self::at(Place::new(), max_limit, reservation).await
    }

    /// The same here.
    pub(crate) async fn at(place: Place, max_limit: f64, reservation: &str) -> Self {
        let provider = MockProvider::start().await;
        let gateway = Gateway::spawn(Arc::new(place)).await;
        let caller = Caller::behind(
            &gateway,
            &provider.base_url(),
            max_limit,
            reservation,
            json!({}),
        )
        .await;
        Self {
            gateway,
            provider,
            caller,
        }
    }

    /// With these fields of the profile.
    pub(crate) async fn with_profile(fields: &Value) -> Self {
        let provider = MockProvider::start().await;
        let gateway = start().await;
        let upstream = provider.base_url();
        let caller = Caller::with_profile(&gateway, &upstream, &json!({}), fields).await;
        Self {
            gateway,
            provider,
            caller,
        }
    }

    /// With a dollar, reserving as by default.
    pub(crate) async fn with_a_dollar() -> Self {
        Self::new(1.0, "estimate").await
    }
}

/// A chat request to the scripted upstream.
pub(crate) fn chat(model: &str, max_tokens: u64, is_stream: bool) -> Value {
    json!({
        "model": format!("mock/{model}"),
        "messages": [{"role": "user", "content": "Say hello"}],
        "max_tokens": max_tokens,
        "stream": is_stream,
    })
}
