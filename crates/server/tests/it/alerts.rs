//! Thresholds that are passed without a request: by a correction, by a limit that became lower, by an override that was
//! taken away. Each is told when it happens, and once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::black_box::{Admin, Caller, Gateway, Place, Stage};

const TRAIL: &str = "/api/governance/audit-logs?action=reach_threshold&limit=100";

/// A caller with two dollars a day and thresholds at a half and at four fifths.
struct Watched {
    gateway: Gateway,
    caller: Caller,
    line: String,
    profile: i64,
}

impl Watched {
    async fn at(place: Place) -> Self {
        let Stage {
            gateway, caller, ..
        } = Stage::at(place, 2.0, "estimate").await;
        let admin = gateway.admin();
        let profiles = admin.get("/api/governance/access-profiles").await;
        let profile = profiles["access_profiles"][0]["id"].as_i64().unwrap();
        let budget = caller.budget().await;
        let watched = Self {
            gateway,
            caller,
            line: budget["id"].as_str().unwrap().to_owned(),
            profile,
        };
        watched
            .edit(&json!({"alert_thresholds": [50, 80]}), "settings")
            .await;
        watched
    }

    fn admin(&self) -> Admin {
        self.gateway.admin()
    }

    async fn edit(&self, fields: &Value, part: &str) {
        let path = format!("/api/governance/access-profiles/{}", self.profile);
        self.admin().call(Method::PUT, &path, Some(fields)).await;
        let parts = json!({"fields": [part]});
        self.admin()
            .post(&format!("{path}/propagate"), &parts)
            .await;
    }

    async fn limit(&self, dollars: f64) {
        let template = format!("/api/governance/access-profiles/{}", self.profile);
        let template = self.admin().get(&template).await;
        let line = &template["access_profile"]["budgets"][0]["id"];
        let budgets =
            json!({"budgets": [{"id": line, "max_limit": dollars, "reset_duration": "1d"}]});
        self.edit(&budgets, "budgets").await;
    }

    async fn debit(&self, dollars: f64) {
        let path = format!("/api/governance/budgets/{}/adjust", self.line);
        let body = json!({"delta": dollars, "reason": "a test"});
        self.admin().post(&path, &body).await;
    }

    /// What was told, as soon as it is this much: threshold, used and limit, oldest first.
    async fn told(&self, count: u64) -> Vec<(u64, f64, f64)> {
        loop {
            let trail = self.admin().get(TRAIL).await;
            let total = trail["total_count"].as_u64().unwrap();
            assert!(total <= count, "more than {count}: {trail}");
            if total == count {
                let entries = trail["audit_logs"].as_array().unwrap();
                return entries.iter().rev().map(what).collect();
            }
        }
    }

    async fn restarted(self) -> Self {
        let gateway = self.gateway.killed_and_restarted().await;
        Self {
            caller: self.caller.at(&gateway),
            gateway,
            ..self
        }
    }
}

fn what(entry: &Value) -> (u64, f64, f64) {
    let data: Value = serde_json::from_str(entry["metadata"].as_str().unwrap()).unwrap();
    let amount = |name: &str| data[name].as_f64().unwrap();
    let percent = data["threshold_percent"].as_u64();
    (percent.unwrap(), amount("used"), amount("limit"))
}

/// Nothing more is told in two rounds of whoever tells.
async fn is_quiet(watched: &Watched, count: u64) {
    for _ in 0..2 {
        // It waits for a round, and is no step towards a threshold.
        watched.debit(0.000_000_001).await;
        watched.told(count).await;
    }
}

async fn correction_tells(place: Place) {
    let watched = Watched::at(place).await;
    watched.debit(0.9).await;
    is_quiet(&watched, 0).await;
    watched.debit(0.3).await;
    let first = watched.told(1).await;
    assert_eq!(first, [(50, 1.200_000_002, 2.0)]);
    watched.debit(-0.7).await;
    watched.debit(0.8).await;
    is_quiet(&watched, 1).await;
    let watched = watched.restarted().await;
    watched.debit(0.5).await;
    let both = watched.told(2).await;
    assert_eq!(both[1].0, 80);
    let watched = watched.restarted().await;
    is_quiet(&watched, 2).await;
}

#[tokio::test]
async fn correction_that_passes_a_threshold_is_told_without_a_request() {
    correction_tells(Place::new()).await;
}

#[tokio::test]
async fn correction_that_passes_a_threshold_is_told_on_postgres() {
    correction_tells(Place::new().on_postgres()).await;
}

async fn lowered_limit_tells(place: Place) {
    let watched = Watched::at(place).await;
    watched.debit(0.8).await;
    is_quiet(&watched, 0).await;
    watched.limit(1.5).await;
    let used = 0.800_000_002;
    assert_eq!(watched.told(1).await, [(50, used, 1.5)]);
    watched.limit(5.0).await;
    watched.limit(1.5).await;
    is_quiet(&watched, 1).await;
    // With an override the half is far away; without it, four fifths are passed.
    let path = format!(
        "/api/governance/users/{}/access-profiles/{}/budgets/{}/override",
        watched.caller.user_id, watched.profile, watched.line
    );
    let raise = json!({"amount": 100, "mode": "forever"});
    let admin = watched.admin();
    admin.call(Method::PUT, &path, Some(&raise)).await;
    watched.debit(0.5).await;
    is_quiet(&watched, 1).await;
    admin.call(Method::DELETE, &path, None).await;
    let told = watched.told(2).await;
    assert_eq!((told[1].0, told[1].2), (80, 1.5));
    let watched = watched.restarted().await;
    is_quiet(&watched, 2).await;
}

#[tokio::test]
async fn limit_that_becomes_lower_than_a_threshold_is_told_without_a_request() {
    lowered_limit_tells(Place::new()).await;
}

#[tokio::test]
async fn limit_that_becomes_lower_than_a_threshold_is_told_on_postgres() {
    lowered_limit_tells(Place::new().on_postgres()).await;
}

/// The database has the lower limit, and the process died before anybody looked.
#[tokio::test]
async fn threshold_that_nobody_looked_at_before_a_crash_is_told_after_it() {
    let watched = Watched::at(Place::new()).await;
    watched.debit(0.8).await;
    is_quiet(&watched, 0).await;
    watched.limit(1.0).await;
    let watched = watched.restarted().await;
    let told = watched.told(2).await;
    assert_eq!([told[0].0, told[1].0], [50, 80]);
    is_quiet(&watched, 2).await;
}

/// What an administrator learns of a request in doubt may be more than was held.
#[tokio::test]
async fn amount_in_doubt_that_turns_out_higher_is_told_without_a_request() {
    let stage = Stage::at(Place::new(), 2.0, "bound").await;
    let gate = tollgate_testkit::provider::Gate::new();
    let answer = tollgate_testkit::provider::Chat::default().gated(&gate);
    stage.provider.next(answer);
    let caller = stage.caller.clone();
    let mut client = tokio::task::JoinSet::new();
    client.spawn(async move {
        caller
            .chat(&crate::black_box::chat("small", 9, false))
            .await
    });
    stage.provider.wait_for_count(1).await;
    let gateway = stage.gateway.killed_and_restarted().await;
    let _gone = client.join_all().await;
    let watched = Watched {
        caller: stage.caller.at(&gateway),
        line: String::new(),
        profile: 1,
        gateway,
    };
    let admin = watched.admin();
    let profiles = admin.get("/api/governance/access-profiles").await;
    let watched = Watched {
        profile: profiles["access_profiles"][0]["id"].as_i64().unwrap(),
        ..watched
    };
    watched
        .edit(&json!({"alert_thresholds": [50]}), "settings")
        .await;
    let listed = admin.get("/api/governance/in-doubt").await;
    let id = listed["in_doubt"][0]["id"].as_str().unwrap();
    let resolve = format!("/api/governance/in-doubt/{id}/resolve");
    let body = json!({"amount": 1.25, "reason": "the invoice"});
    admin.post(&resolve, &body).await;
    assert_eq!(watched.told(1).await, [(50, 1.25, 2.0)]);
}

/// Whoever corrects finds the correction in the audit trail when the answer comes, however seldom the journal is folded.
#[tokio::test]
async fn correction_is_in_the_database_when_it_is_answered() {
    for place in [Place::new(), Place::new().on_postgres()] {
        let place = place.with("TOLLGATE_FOLD_INTERVAL", "1h");
        let stage = Stage::at(place, 1.0, "estimate").await;
        let budget = stage.caller.budget().await;
        let path = format!(
            "/api/governance/budgets/{}/adjust",
            budget["id"].as_str().unwrap()
        );
        let admin = stage.gateway.admin();
        for number in 1..=5 {
            admin
                .post(&path, &json!({"delta": 0.1, "reason": "a test"}))
                .await;
            let trail = admin
                .get("/api/governance/audit-logs?action=adjust&limit=1")
                .await;
            assert_eq!(trail["total_count"], number);
        }
    }
}
