//! Drafts against the request log.

use serde_json::json;
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{
    Ending, FoldBatch, HoldFacts, JournalPosition, LogEntry, Outcome,
};
use tollgate_domain::ids::{CopyId, ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::{Clock as _, IdSource as _, Timestamp, TokenUsage, Usd};
use uuid::Uuid;

use crate::test_app::{TestAnswer, TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
/// What a request cost, in nano-dollars.
const COST: i64 = 400_000_000;

/// A profile that Ada holds, and her requests, one a second, of which her copy paid.
struct World {
    app: TestApp,
    profile: i64,
    user: UserId,
    copy: CopyId,
    start: Timestamp,
}

impl World {
    async fn new(app: TestApp) -> Self {
        let user = app.add_user("ada").await;
        let profile = app
            .add_profile(
                r#"{"name": "P", "on_unknown_price": "allow",
                    "provider_configs": [{"provider_name": "openai", "all_models_allowed": true}],
                    "budgets": [{"max_limit": 2, "reset_duration": "1d"}]}"#,
            )
            .await;
        let copies = format!("/api/governance/users/{user}/access-profiles");
        let body = format!(r#"{{"access_profile_id": {profile}}}"#);
        let assigned = app.post(&copies, &body).await.expect(201);
        Self {
            copy: assigned.text_at("/access_profile/id").parse().unwrap(),
            user: user.parse().unwrap(),
            start: app.clock.now(),
            app,
            profile,
        }
    }

    fn entry(&self, second: i64, model: &str, outcome: Outcome) -> LogEntry {
        let at = self.start.saturating_add_micros(second * 1_000_000);
        let is_refused = outcome == Outcome::Refused;
        let cost = Usd::from_nanos(COST);
        LogEntry {
            facts: HoldFacts {
                request: RequestId::from_uuid(self.app.ids.next_uuid()),
                at,
                key: VirtualKeyId::from_uuid(self.app.ids.next_uuid()),
                user: Some(self.user),
                copy: (!is_refused).then_some(self.copy),
                profile: (!is_refused).then_some(ProfileId(self.profile)),
                profile_version: Some(1),
                provider: "openai".parse().unwrap(),
                model: model.to_owned(),
                endpoint: Endpoint::ChatCompletions,
                is_stream: false,
                is_bound: false,
                reserved_cost: cost,
                reserved_tokens: 10,
                shadow: None,
            },
            ending: Ending {
                at: at.saturating_add_micros(500_000),
                outcome,
                status: if is_refused { 403 } else { 200 },
                error_code: None,
                usage: TokenUsage::default(),
                cost: if is_refused { Usd::ZERO } else { cost },
                duration_micros: 500_000,
                first_byte_micros: None,
                attempts: 1,
            },
        }
    }

    async fn log(&self, log: Vec<LogEntry>) {
        let from = self.app.store.ledger_state().await.unwrap().position;
        let batch = FoldBatch {
            journal: Uuid::from_u128(1),
            from,
            to: JournalPosition {
                segment: 1,
                offset: from.offset + 10,
            },
            last_instant: self.start,
            counters: Vec::new(),
            log,
            resolved: Vec::new(),
            corrections: Vec::new(),
            resets: Vec::new(),
            in_doubt: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
        };
        self.app.store.fold(&batch).await.unwrap();
    }

    async fn simulate(&self, draft: &str) -> TestAnswer {
        let to = self.start.saturating_add_micros(86_400_000_000);
        let body = format!(
            r#"{{"draft": {draft}, "from": "{}", "to": "{to}"}}"#,
            self.start
        );
        let path = format!("{PROFILES}/{}/simulate", self.profile);
        self.app.post(&path, &body).await
    }
}

on_both_engines!(draft_is_tried_on_what_its_holders_did);
async fn draft_is_tried_on_what_its_holders_did(app: TestApp) {
    let world = World::new(app).await;
    let mut log: Vec<_> = (0..4)
        .map(|second| world.entry(second, "gpt-5", Outcome::Reported))
        .collect();
    log.push(world.entry(4, "gpt-4", Outcome::Refused));
    // In the order in which they ended, not in which they began.
    log[0].ending.at = log[3].facts.at;
    log.rotate_left(1);
    // Somebody who does not hold the profile.
    let mut other = world.entry(5, "gpt-5", Outcome::Reported);
    other.facts.profile = Some(ProfileId(world.profile + 1));
    log.push(other);
    world.log(log).await;

    let same = world.simulate("{}").await.expect(200);
    assert_eq!(same.body["total"]["requests"], 5);
    assert_eq!(same.body["total"]["newly_refused"], 0);
    assert_eq!(same.body["refusals"], json!([]));

    let stricter = r#"{"budgets": [{"max_limit": 1, "reset_duration": "1d"}]}"#;
    let strict = world.simulate(stricter).await.expect(200);
    assert!(
        strict.text.contains(
            r#""total":{"requests":5,"newly_refused":2,"newly_allowed":0,"actual_cost":1.6,"draft_cost":0.8,"cost_difference":-0.8}"#
        ),
        "{}",
        strict.text
    );
    assert_eq!(
        strict.body["reasons"],
        json!([{"code": "budget_exceeded", "count": 1}, {"code": "budget_in_flight", "count": 1}])
    );
    assert_eq!(strict.body["holders"][0]["user_name"], "ada");
    assert_eq!(
        (
            &strict.body["total_holders"],
            &strict.body["total_refusals"]
        ),
        (&json!(1), &json!(2))
    );
    let refusal = &strict.body["refusals"][0];
    assert_eq!(
        (&refusal["code"], &refusal["status"]),
        (&json!("budget_in_flight"), &json!(429))
    );

    let blocked =
        r#"{"provider_configs": [{"provider_name": "openai", "allowed_models": ["gpt-4"]}]}"#;
    let blocked = world.simulate(blocked).await.expect(200);
    assert_eq!(
        (
            &blocked.body["total"]["newly_refused"],
            &blocked.body["total"]["newly_allowed"]
        ),
        (&json!(4), &json!(1))
    );
    // Nothing was changed by any of it.
    let profile = world
        .app
        .get(&format!("{PROFILES}/{}", world.profile))
        .await
        .expect(200);
    assert_eq!(profile.body["access_profile"]["version"], 1);
    assert!(world.app.live.corrected.lock().is_empty());
}

on_both_engines!(draft_passes_what_an_update_has_to_pass);
async fn draft_passes_what_an_update_has_to_pass(app: TestApp) {
    let world = World::new(app).await;
    world.app.add_profile(r#"{"name": "Taken"}"#).await;
    let update = format!("{PROFILES}/{}", world.profile);
    let many: Vec<String> = (0..51).map(|number| format!(r#""t{number}""#)).collect();
    for draft in [
        r#"{"nam": "x"}"#.to_owned(),
        r#"{"name": "", "budgets": [{"max_limit": -1, "reset_duration": "1x"}]}"#.to_owned(),
        r#"{"tags": null}"#.to_owned(),
        format!(r#"{{"tags": [{}]}}"#, many.join(",")),
        r#"{"mcp_tool_groups": [{"tool_group_id": 9}]}"#.to_owned(),
        r#"{"rate_limit": {}}"#.to_owned(),
        r#"{"name": "taken"}"#.to_owned(),
    ] {
        let refused = world.app.put(&update, &draft).await;
        let simulated = world.simulate(&draft).await;
        let (status, code, param) = refused.error();
        assert_eq!(
            simulated.error(),
            (status, code, format!("/draft{param}").as_str()),
            "{draft}"
        );
        let messages = |answer: &TestAnswer| {
            let errors = answer.body["extra_fields"]["errors"].as_array().cloned();
            let errors = errors.unwrap_or_default().into_iter();
            errors
                .map(|error| error["message"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(&simulated), messages(&refused), "{draft}");
    }
}

on_both_engines!(period_has_an_end_and_a_size);
async fn period_has_an_end_and_a_size(app: TestApp) {
    let world = World::new(app).await;
    let path = format!("{PROFILES}/{}/simulate", world.profile);
    for (from, to) in [
        ("2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"),
    ] {
        let body = format!(r#"{{"draft": {{}}, "from": "{from}", "to": "{to}"}}"#);
        let refused = world.app.post(&path, &body).await;
        assert_eq!(
            (refused.error().0, refused.error().2),
            (400, "/to"),
            "{from} {to}"
        );
    }
    let unknown = format!("{PROFILES}/999/simulate");
    let body = r#"{"draft": {}, "from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}"#;
    assert_eq!(world.app.post(&unknown, body).await.error().0, 404);
}

on_both_engines!(simulation_runs_alone);
async fn simulation_runs_alone(app: TestApp) {
    let world = World::new(app).await;
    let stalled = world.app.fold.stall();
    let mut first = Box::pin(world.simulate("{}"));
    tokio::select! {
        answer = &mut first => panic!("it waits for the database: {answer:?}"),
        told = stalled => told.unwrap(),
    }
    let second = world.simulate("{}").await;
    assert_eq!(second.error(), (429, "simulation_running", ""));
    assert_eq!(second.headers["retry-after"], "5");
    // Its caller goes away.
    drop(first);
    world.simulate("{}").await.expect(200);
}

on_both_engines!(period_with_too_many_requests_is_refused);
async fn period_with_too_many_requests_is_refused(app: TestApp) {
    let world = World::new(app).await;
    let refused = async |why: &str| {
        let answer = world.simulate("{}").await;
        assert_eq!(
            answer.error(),
            (400, "inconsistent", "/from"),
            "{}",
            answer.text
        );
        let message = answer.text_at("/error/message");
        assert!(message.contains(why), "{message}");
    };
    let entries = |count, outcome| {
        let entry = |second| world.entry(second, "gpt-5", outcome);
        (0..count).map(entry).collect::<Vec<_>>()
    };
    // Those that nobody's copy paid for are only counted while they are replayed.
    world.log(entries(20, Outcome::Refused)).await;
    world.simulate("{}").await.expect(200);
    world.log(entries(1, Outcome::Refused)).await;
    refused("has 21 requests of this profile, and at most 20 are replayed").await;
    world.log(entries(20, Outcome::Reported)).await;
    refused("has 41 requests of everybody, and at most 40 are replayed").await;
    world.log(entries(1, Outcome::Reported)).await;
    refused("has 21 requests of this profile").await;
}
