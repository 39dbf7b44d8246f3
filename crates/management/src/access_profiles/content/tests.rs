//! Every row of the table of partial updates.

use tollgate_domain::access::profile::{AccessProfile, ProfileContent};
use tollgate_domain::ids::{ProfileId, ProviderConfigId};
use tollgate_domain::limits::ResetDuration;
use tollgate_domain::{Timestamp, Usd};
use tollgate_testkit::clock::SequentialIds;

use super::*;
use crate::access_profiles::view::AccessProfileView;
use crate::body::read_alone;
use crate::problem::Problem;

/// A profile that has something of everything.
fn full() -> AccessProfile {
    let empty = AccessProfile {
        id: ProfileId(7),
        name: "Research".to_owned(),
        description: Some("for the lab".to_owned()),
        is_active: true,
        version: 3,
        tags: vec!["lab".to_owned()],
        content: ProfileContent::default(),
        rotation: tollgate_domain::access::profile::Rotation::default(),
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    };
    let body = r#"{
        "provider_configs": [{
            "provider_name": "openai", "allowed_models": ["gpt-5", "regex:o.*"], "weight": 2.5,
            "budgets": [{"max_limit": 3, "reset_duration": "1d"}],
            "rate_limit": {"request_max_limit": 5, "request_reset_duration": "1m"},
            "model_budgets": [{"model": "gpt-5", "budgets": [{"max_limit": 1, "reset_duration": "1h"}]}]
        }],
        "budgets": [
            {"max_limit": 10, "reset_duration": "1M"},
            {"max_limit": 20, "reset_duration": "1M"},
            {"max_limit": 90, "reset_duration": "1Q", "reset_config": {"quarter_start_month": 4}}
        ],
        "rate_limit": {"token_max_limit": 1000, "token_reset_duration": "1h", "max_parallel_requests": 4},
        "calendar_aligned": true,
        "time_zone": "Europe/Berlin",
        "auto_rotation_interval": "30d",
        "alert_thresholds": [90, 50]
    }"#;
    let mut profile = update_of(&empty, body).unwrap();
    profile.content.provider_configs[0].id = ProviderConfigId(41);
    profile
}

/// The profile after this body, or the places that are wrong.
fn update_of(current: &AccessProfile, body: &str) -> Result<AccessProfile, Vec<String>> {
    let places = |problem: Problem| -> Vec<String> {
        problem.errors.into_iter().map(|one| one.param).collect()
    };
    let body = read_alone::<UpdateAccessProfile>(body.as_bytes()).map_err(places)?;
    // Ids of lines that are made now are far from those of the profile.
    let ids = SequentialIds::default();
    if current.version == 3 && !current.content.limits.is_empty() {
        for _ in 0..1_000 {
            ids.next_uuid();
        }
    }
    Ok(apply_update(current, body, &ids))
}

fn check(body: &str, expect: impl FnOnce(&mut AccessProfile)) {
    let current = full();
    let mut expected = current.clone();
    expect(&mut expected);
    assert_eq!(update_of(&current, body), Ok(expected), "{body}");
}

fn check_refused(body: &str, places: &[&str]) {
    let found = update_of(&full(), body).unwrap_err();
    assert_eq!(found, places, "{body}");
}

#[test]
fn omitted_field_keeps_its_value() {
    check("{}", |_| {});
    check(r#"{"is_active": false}"#, |profile| {
        profile.is_active = false;
    });
}

#[test]
fn rate_limit_null_clears_and_an_object_replaces() {
    check(r#"{"rate_limit": null}"#, |profile| {
        profile.content.limits.rate_limit = None;
    });
    check(
        r#"{"rate_limit": {"request_max_limit": 9, "request_reset_duration": "1d", "token_max_limit": null}}"#,
        |profile| {
            let limit = profile.content.limits.rate_limit.as_mut().unwrap();
            limit.tokens = None;
            limit.requests = Some((9, ResetDuration::Day));
            limit.parallel_requests = None;
        },
    );
}

#[test]
fn rate_limit_that_sets_nothing_or_half_a_limit_is_refused() {
    check_refused(r#"{"rate_limit": {}}"#, &["/rate_limit"]);
    check_refused(
        r#"{"rate_limit": {"token_max_limit": null}}"#,
        &["/rate_limit"],
    );
    check_refused(
        r#"{"rate_limit": {"token_max_limit": 1, "request_reset_duration": "1h"}}"#,
        &[
            "/rate_limit/token_reset_duration",
            "/rate_limit/request_max_limit",
        ],
    );
    check_refused(
        r#"{"rate_limit": {"token_max_limit": 1, "token_reset_duration": "1Q"}}"#,
        &["/rate_limit/token_reset_duration"],
    );
}

#[test]
fn description_null_clears() {
    check(r#"{"description": null}"#, |profile| {
        profile.description = None;
    });
}

#[test]
fn calendar_aligned_null_keeps() {
    check(r#"{"calendar_aligned": null}"#, |_| {});
    check(r#"{"calendar_aligned": false}"#, |profile| {
        profile.content.calendar_aligned = false;
    });
}

#[test]
fn array_replaces_the_whole_list() {
    check(
        r#"{"tags": [], "budgets": [], "provider_configs": []}"#,
        |profile| {
            profile.tags.clear();
            profile.content.limits.budgets.clear();
            profile.content.provider_configs.clear();
        },
    );
    check(r#"{"tags": [" a ", "b", "a"]}"#, |profile| {
        profile.tags = vec!["a".to_owned(), "b".to_owned()];
    });
}

#[test]
fn budget_line_keeps_its_id_by_name_or_by_order() {
    let old = full().content.limits.budgets;
    let id = |index: usize| old[index].id;
    let body = format!(
        r#"{{"budgets": [
            {{"max_limit": 1, "reset_duration": "1M"}},
            {{"max_limit": 2, "reset_duration": "1d", "id": "{}"}},
            {{"max_limit": 3, "reset_duration": "1M"}},
            {{"max_limit": 4, "reset_duration": "1Q"}},
            {{"max_limit": 5, "reset_duration": "1Q", "reset_config": {{"quarter_start_month": 4}}}}
        ]}}"#,
        id(0)
    );
    let new = update_of(&full(), &body).unwrap().content.limits.budgets;
    assert_eq!(new[0].id, id(1), "the first monthly line that is free");
    assert_eq!(new[1].id, id(0), "named, although the duration is another");
    assert!(!old.iter().any(|line| line.id == new[2].id), "a new line");
    assert!(
        !old.iter().any(|line| line.id == new[3].id),
        "another fiscal year"
    );
    assert_eq!(new[4].id, id(2));
    assert_eq!(new[4].max_limit, Usd::from_nanos(5_000_000_000));
}

#[test]
fn provider_that_stays_keeps_its_lines() {
    let old = &full().content.provider_configs[0];
    let body = r#"{"provider_configs": [
        {"provider_name": "anthropic", "budgets": [{"max_limit": 7, "reset_duration": "1d"}]},
        {"provider_name": "openai", "budgets": [{"max_limit": 8, "reset_duration": "1d"}]}
    ]}"#;
    let new = update_of(&full(), body).unwrap().content.provider_configs;
    assert_eq!(new[1].id, old.id);
    assert_eq!(new[1].limits.budgets[0].id, old.limits.budgets[0].id);
    assert!(new[1].allowed_models.is_empty() && new[1].limits.rate_limit.is_none());
    assert_ne!(new[0].limits.budgets[0].id, old.limits.budgets[0].id);
    assert_eq!(new[0].id, ProviderConfigId(0), "numbered when stored");
}

#[test]
fn name_is_trimmed_and_bounded() {
    check(r#"{"name": "  New name "}"#, |profile| {
        profile.name = "New name".to_owned();
    });
    check_refused(r#"{"name": "   "}"#, &["/name"]);
    check_refused(&format!(r#"{{"name": "{}"}}"#, "ä".repeat(256)), &["/name"]);
    assert!(update_of(&full(), &format!(r#"{{"name": "{}"}}"#, "ä".repeat(255))).is_ok());
}

#[test]
fn what_was_read_can_be_sent_back() {
    let profile = full();
    let read = serde_json::to_string(&AccessProfileView::new(&profile)).unwrap();
    assert_eq!(update_of(&profile, &read), Ok(profile));
}

#[test]
fn unknown_field_and_top_level_null_are_refused() {
    check_refused(r#"{"provider_config": []}"#, &["/provider_config"]);
    for field in [
        "name",
        "tags",
        "budgets",
        "provider_configs",
        "mcp_servers",
        "time_zone",
        "shadow",
    ] {
        check_refused(&format!(r#"{{"{field}": null}}"#), &[&format!("/{field}")]);
    }
}

#[test]
fn nested_null_means_not_set() {
    check(
        r#"{"provider_configs": [{"provider_name": "openai", "weight": null, "rate_limit": null,
            "allowed_models": null, "key_ids": null, "budgets": null, "model_budgets": null}]}"#,
        |profile| {
            let config = &mut profile.content.provider_configs[0];
            config.weight = None;
            config.allowed_models.clear();
            config.model_budgets.clear();
            config.limits = tollgate_domain::limits::LimitSet::default();
        },
    );
}

#[test]
fn update_enforces_three_sizes() {
    let repeat = |one: &str, times| vec![one; times].join(",");
    let budget = r#"{"max_limit": 1, "reset_duration": "1d"}"#;
    let tags = |count: usize| {
        (0..count)
            .map(|n| format!("\"t{n}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    let configs = |count: usize| {
        let all = (0..count).map(|n| format!(r#"{{"provider_name": "p{n}"}}"#));
        all.collect::<Vec<_>>().join(",")
    };
    let body = |configs: String, budgets: String, tags: String| {
        format!(r#"{{"provider_configs": [{configs}], "budgets": [{budgets}], "tags": [{tags}]}}"#)
    };
    assert!(update_of(&full(), &body(configs(100), repeat(budget, 100), tags(50))).is_ok());
    check_refused(
        &body(configs(101), repeat(budget, 101), tags(51)),
        &["/tags", "/provider_configs", "/budgets"],
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    check_refused(
        r#"{"budgets": [{"max_limit": -1, "reset_duration": "1m"}, {"max_limit": 0.0000000001}],
            "nam": "x", "calendar_aligned": "yes"}"#,
        &[
            "/budgets/0/max_limit",
            "/budgets/0/reset_duration",
            "/budgets/1/max_limit",
            "/budgets/1/reset_duration",
            "/calendar_aligned",
            "/nam",
        ],
    );
    check_refused(
        r#"{"provider_configs": [
                {"provider_name": "a", "allowed_models": ["x", "regex:("]},
                {"provider_name": "a", "blacklisted_models": [""]}
            ],
            "alert_thresholds": [0, 101]}"#,
        &[
            "/provider_configs/0/allowed_models/1",
            "/provider_configs/1/blacklisted_models/0",
            "/alert_thresholds/0",
            "/alert_thresholds/1",
        ],
    );
}

#[test]
fn values_that_do_not_fit_together_are_reported_at_once() {
    check_refused(
        r#"{"provider_configs": [
                {"provider_name": "a", "allowed_models": ["*", "x"]},
                {"provider_name": "a"}
            ],
            "budgets": [{"max_limit": 1, "reset_duration": "1M", "reset_config": {"quarter_start_month": 4}}]}"#,
        &[
            "/provider_configs/0/allowed_models/0",
            "/provider_configs/1/provider_name",
            "/budgets/0/reset_config",
        ],
    );
}

#[test]
fn amounts_are_exact() {
    check(
        r#"{"budgets": [{"max_limit": 9007199.254740993, "reset_duration": "1M"}]}"#,
        |profile| {
            profile.content.limits.budgets.truncate(1);
            profile.content.limits.budgets[0].max_limit = Usd::from_nanos(9_007_199_254_740_993);
        },
    );
}

#[test]
fn creating_takes_what_an_update_refuses() {
    let budgets = vec![r#"{"max_limit": 1, "reset_duration": "1d"}"#; 101].join(",");
    let body = format!(r#"{{"name": "Large", "budgets": [{budgets}]}}"#);
    let body = read_alone::<CreateAccessProfile>(body.as_bytes()).unwrap();
    let created = apply_update(&full(), body.into(), &SequentialIds::default());
    assert_eq!(created.content.limits.budgets.len(), 101);
}
