//! Whatever is deleted or edited while requests run: what was admitted ends, and is charged, as it was admitted; the next
//! attempt of a request is decided anew. Nothing is lost on the way: the metric of settlements, a counter above, the
//! request log and its sums say the same.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Chat, Gate, MockProvider, Script, Step};

use crate::black_box::{Answer, Caller, Gateway, chat, cost, nanos, start};

/// What each answer costs at the prices of its admission.
const ANSWER: i64 = cost(30, 9);
/// A hundred times as much.
const DEAR: i64 = 100 * ANSWER;

struct Ground {
    gateway: Gateway,
    provider: MockProvider,
    caller: Caller,
    /// A team of the caller's, whose budget counts whatever becomes of the rest.
    team: String,
}

impl Ground {
    async fn new() -> Self {
        let provider = MockProvider::start().await;
        let gateway = start().await;
        let network = json!({"max_retries": 1, "retry_backoff_initial": 1, "retry_backoff_max": 2});
        let caller = Caller::behind(&gateway, &provider.base_url(), 1.0, "bound", network).await;
        let admin = gateway.admin();
        let team = json!({
            "name": "research",
            "budgets": [{"max_limit": 10, "reset_duration": "1d"}],
        });
        let made = admin.post("/api/governance/teams", &team).await;
        let team = format!(
            "/api/governance/teams/{}",
            made["team"]["id"].as_str().unwrap()
        );
        let member = json!({"user_id": caller.user_id});
        admin.post(&format!("{team}/members"), &member).await;
        Self {
            gateway,
            provider,
            caller,
            team,
        }
    }

    /// The id of the first of `list` at `path`.
    async fn first(&self, path: &str, list: &str) -> String {
        let answer = self.gateway.admin().get(path).await;
        match &answer[list][0]["id"] {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        }
    }

    /// A plain request, a stream, and one whose first attempt fails, all of them on their way while `act` happens. Yields
    /// what came of the last one.
    async fn meanwhile(&self, act: impl AsyncFnOnce(&Self)) -> Answer {
        let gate = Gate::new();
        let mut failing = Script::default().then(Step::Await(gate.clone()));
        failing.steps.extend(Script::error(500, &[], "oops").steps);
        let answer = Chat::default().usage(30, 9).gated(&gate);
        self.provider.next(failing);
        self.provider.always(answer);
        let ask = || {
            let (caller, mut client) = (self.caller.clone(), JoinSet::new());
            client.spawn(async move { caller.chat(&chat("small", 50, false)).await.unwrap() });
            client
        };
        let mut retried = ask();
        self.provider.wait_for(1).await;
        let mut plain = ask();
        self.provider.wait_for(2).await;
        let mut stream = self.caller.begin(&chat("small", 50, true)).await.unwrap();
        let mut text = stream.chunk().await.unwrap().unwrap().to_vec();
        act(self).await;
        gate.open();
        assert_eq!(plain.join_next().await.unwrap().unwrap().status, 200);
        while let Some(piece) = stream.chunk().await.unwrap() {
            text.extend_from_slice(&piece);
        }
        assert!(text.ends_with(b"data: [DONE]\n\n"));
        retried.join_next().await.unwrap().unwrap()
    }

    /// Everybody says that so much was charged, now and after a restart.
    async fn check(self, expected: i64) {
        let spent = async |gateway: &Gateway| {
            let team = gateway.admin().get(&self.team).await;
            let budget = &team["team"]["budgets"][0];
            assert_eq!(nanos(&budget["reserved"]), 0, "{budget}");
            nanos(&budget["current_usage"])
        };
        assert_eq!(spent(&self.gateway).await, expected);
        let metric = r#"tollgate_cost_nanodollars_total{provider="mock"}"#;
        assert_eq!(self.gateway.metric(metric).await, expected);
        assert_eq!(self.gateway.metric("tollgate_ledger_holds_open").await, 0);
        let gateway = self.gateway.stopped_and_restarted().await;
        assert_eq!(spent(&gateway).await, expected);
        let admin = gateway.admin();
        assert_eq!(admin.logged().await, (3, expected));
        let stats = admin.get("/api/logs/stats").await;
        assert_eq!(nanos(&stats["total"]["cost_usd"]), expected);
    }
}

async fn delete(ground: &Ground, path: &str) {
    ground
        .gateway
        .admin()
        .call(Method::DELETE, path, None)
        .await;
}

/// The request whose second attempt is refused costs nothing, and is told why.
async fn deleted(code: (u16, &str), act: impl AsyncFnOnce(&Ground)) {
    let ground = Ground::new().await;
    let retried = ground.meanwhile(act).await;
    assert_eq!((retried.status, retried.code().as_str()), code);
    ground.check(2 * ANSWER).await;
}

/// Takes the profile away from the caller, and the key that came with it.
async fn unassign(ground: &Ground) -> String {
    let id = ground
        .first("/api/governance/access-profiles", "access_profiles")
        .await;
    let user = &ground.caller.user_id;
    let path = format!("/api/governance/users/{user}/access-profiles/{id}");
    delete(ground, &path).await;
    id
}

#[tokio::test]
async fn assignment_that_is_taken_away() {
    deleted((401, "virtual_key_not_found"), async |ground| {
        unassign(ground).await;
    })
    .await;
}

#[tokio::test]
async fn profile_that_is_deleted() {
    deleted((401, "virtual_key_not_found"), async |ground| {
        // Before, it is in use.
        let id = unassign(ground).await;
        delete(ground, &format!("/api/governance/access-profiles/{id}")).await;
    })
    .await;
}

#[tokio::test]
async fn key_that_is_deleted() {
    deleted((401, "virtual_key_not_found"), async |ground| {
        let id = ground
            .first("/api/governance/virtual-keys", "virtual_keys")
            .await;
        delete(ground, &format!("/api/governance/virtual-keys/{id}")).await;
    })
    .await;
}

#[tokio::test]
async fn user_who_is_deleted() {
    deleted((401, "virtual_key_not_found"), async |ground| {
        let user = &ground.caller.user_id;
        delete(ground, &format!("/api/governance/users/{user}")).await;
    })
    .await;
}

#[tokio::test]
async fn model_that_is_taken_out_of_the_profile() {
    deleted((403, "model_blocked"), async |ground| {
        let id = ground
            .first("/api/governance/access-profiles", "access_profiles")
            .await;
        let edit = json!({"provider_configs": [{
            "provider_name": "mock",
            "all_models_allowed": true,
            "blacklisted_models": ["small"],
        }]});
        let admin = ground.gateway.admin();
        let path = format!("/api/governance/access-profiles/{id}");
        admin.call(Method::PUT, &path, Some(&edit)).await;
        let fields = json!({"fields": ["provider_configs"]});
        admin.post(&format!("{path}/propagate"), &fields).await;
    })
    .await;
}

#[tokio::test]
async fn provider_that_is_deleted() {
    // What was its name is now the beginning of a model's.
    deleted((403, "model_blocked"), async |ground| {
        delete(ground, "/api/providers/mock").await;
    })
    .await;
}

#[tokio::test]
async fn credential_that_is_deleted() {
    deleted((403, "provider_blocked"), async |ground| {
        let id = ground.first("/api/providers/mock/keys", "keys").await;
        delete(ground, &format!("/api/providers/mock/keys/{id}")).await;
    })
    .await;
}

#[tokio::test]
async fn price_that_is_deleted() {
    deleted((403, "price_unknown"), async |ground| {
        delete(ground, "/api/pricing/mock/small").await;
    })
    .await;
}

/// The price of the admission is what is charged. A further attempt is a new admission.
#[tokio::test]
async fn price_that_is_changed() {
    let ground = Ground::new().await;
    let retried = ground
        .meanwhile(async |ground| {
            let dear = json!({"input_usd_per_million": 100, "output_usd_per_million": 200});
            let admin = ground.gateway.admin();
            admin
                .call(Method::PUT, "/api/pricing/mock/small", Some(&dear))
                .await;
        })
        .await;
    assert_eq!(retried.status, 200, "{retried:?}");
    ground.check(2 * ANSWER + DEAR).await;
}
