//! A user with one profile, one budget and one key.

use serde_json::{Value, json};

use super::{Admin, Gateway, http_client};

/// The models that are priced for every caller.
const MODELS: [&str; 2] = ["small", "embed"];

#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) user_id: String,
    pub(crate) key: String,
}

/// A whole answer, as the client got it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Caller {
    /// Sets up the provider, the prices, the profile and the user.
    pub(crate) async fn behind(
        gateway: &Gateway,
        upstream: &str,
        max_limit: f64,
        reservation: &str,
        network: Value,
    ) -> Self {
        let profile = json!({
            "budgets": [{"max_limit": max_limit, "reset_duration": "1d"}],
            "reservation": reservation,
        });
        Self::with_profile(gateway, upstream, &network, &profile).await
    }

    /// With these fields of the profile.
    pub(crate) async fn with_profile(
        gateway: &Gateway,
        upstream: &str,
        network: &Value,
        fields: &Value,
    ) -> Self {
        let admin = gateway.admin();
        admin.add_provider(upstream, network).await;
        for model in MODELS {
            admin.set_price(model).await;
        }
        let mut profile = json!({
            "name": "black box",
            "provider_configs": [{"provider_name": "mock", "all_models_allowed": true}],
        });
        for (name, value) in fields.as_object().unwrap() {
            profile[name] = value.clone();
        }
        let profile = admin
            .post("/api/governance/access-profiles", &profile)
            .await;
        let user = json!({"name": "Ada", "email": "ada@example.com"});
        let user = admin.post("/api/governance/users", &user).await;
        let user_id = user["user"]["id"].as_str().unwrap().to_owned();
        let assigned = admin
            .post(
                &format!("/api/governance/users/{user_id}/access-profiles"),
                &json!({"access_profile_id": profile["access_profile"]["id"]}),
            )
            .await;
        let key = assigned["virtual_key"]["value"].as_str().unwrap();
        Self {
            http: http_client(),
            url: gateway.url.clone(),
            user_id,
            key: key.to_owned(),
        }
    }

    /// The same caller, who noticed that the gateway was restarted on another port.
    #[must_use]
    pub(crate) fn at(mut self, gateway: &Gateway) -> Self {
        self.url.clone_from(&gateway.url);
        self.http = http_client();
        self
    }

    pub(crate) fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    /// Sends a chat request and returns what comes, piece by piece.
    pub(crate) async fn begin(&self, body: &Value) -> reqwest::Result<reqwest::Response> {
        self.request("/v1/chat/completions").json(body).send().await
    }

    /// Sends a chat request and waits for the whole answer.
    pub(crate) async fn chat(&self, body: &Value) -> reqwest::Result<Answer> {
        whole(self.begin(body).await?).await
    }

    /// Sends these bytes as a chat request and waits for the whole answer.
    pub(crate) async fn raw(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request("/v1/chat/completions")
            .header("content-type", content_type)
            .body(body);
        whole(request.send().await.unwrap()).await.unwrap()
    }

    /// What the caller's budget shows.
    pub(crate) async fn budget(&self) -> Value {
        let path = format!("/api/governance/users/{}/access-profiles", self.user_id);
        let copies = Admin::new(&self.url).get(&path).await;
        copies["access_profiles"][0]["budgets"][0].clone()
    }

    /// What the caller sees of its own limits.
    pub(crate) async fn quota(&self) -> Value {
        let url = format!("{}/api/governance/virtual-keys/quota", self.url);
        let request = self.http.get(url).bearer_auth(&self.key);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Nano-dollars settled on the caller's budget.
    pub(crate) async fn spent(&self) -> i64 {
        nanos(&self.budget().await["current_usage"])
    }

    /// Nano-dollars held on the caller's budget by running requests.
    pub(crate) async fn reserved(&self) -> i64 {
        nanos(&self.budget().await["reserved"])
    }

    /// Waits until nothing is held any more, and returns what was spent.
    pub(crate) async fn spent_when_idle(&self) -> i64 {
        loop {
            let budget = self.budget().await;
            if nanos(&budget["reserved"]) == 0 {
                return nanos(&budget["current_usage"]);
            }
        }
    }
}

async fn whole(answer: reqwest::Response) -> reqwest::Result<Answer> {
    Ok(Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        text: answer.text().await?,
    })
}

/// Dollars in an answer as nano-dollars.
#[expect(
    clippy::cast_possible_truncation,
    reason = "amounts of tests are small"
)]
pub(crate) fn nanos(dollars: &Value) -> i64 {
    let dollars = dollars
        .as_f64()
        .unwrap_or_else(|| panic!("no amount: {dollars}"));
    (dollars * 1e9).round() as i64
}
