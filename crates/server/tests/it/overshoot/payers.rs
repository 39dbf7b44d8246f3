//! Several copies that pay one after the other.

use serde_json::json;

use super::DOLLAR;
use super::crowd::{Crowd, half, upstream, varied};
use crate::black_box::{Stage, nanos};

#[tokio::test]
async fn what_one_copy_cannot_pay_the_next_one_does_and_none_is_overdrawn() {
    let stage = Stage::new(0.1, "bound").await;
    stage.provider.always(upstream(half));
    let admin = stage.gateway.admin();
    let path = format!(
        "/api/governance/users/{}/access-profiles",
        stage.caller.user_id
    );
    for (name, max_limit, priority) in [("second", 0.15, 2), ("third", 0.2, 3)] {
        let profile = json!({
            "name": name,
            "provider_configs": [{"provider_name": "mock", "all_models_allowed": true}],
            "budgets": [{"max_limit": max_limit, "reset_duration": "1d"}],
            "reservation": "bound",
        });
        let profile = admin
            .post("/api/governance/access-profiles", &profile)
            .await;
        let id = &profile["access_profile"]["id"];
        admin
            .post(
                &path,
                &json!({"access_profile_id": id, "priority": priority}),
            )
            .await;
    }
    let crowd = Crowd {
        clients: 200,
        usage: half,
        request: varied,
    };
    let outcome = crowd
        .ask(std::slice::from_ref(&stage.caller), async || ())
        .await;
    let copies = admin.get(&path).await;
    let mut sum = 0;
    for copy in copies["access_profiles"].as_array().unwrap() {
        let budget = &copy["budgets"][0];
        let (limit, spent) = (nanos(&budget["max_limit"]), nanos(&budget["current_usage"]));
        assert_eq!(nanos(&budget["reserved"]), 0, "{copy}");
        assert!(
            limit - outcome.largest < spent && spent <= limit,
            "{copy}, largest {}",
            outcome.largest
        );
        sum += spent;
    }
    assert_eq!(sum, outcome.answered, "each answer was paid once");
    assert!(sum > DOLLAR / 10 * 4);
    // The refusal is that of the first copy.
    assert_eq!(outcome.refused_by("budget_exceeded", "access_profile"), 200);
}
