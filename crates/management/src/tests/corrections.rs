//! Amounts in doubt, and credits and debits.

use http::{Method, Request};
use serde_json::json;
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{
    CounterAmount, Ending, FoldBatch, HoldFacts, JournalPosition, LogEntry, OpenHold, Outcome,
};
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::limits::{MeterKind, ResetDuration, Window, WindowKey};
use tollgate_domain::live::AdjustError;
use tollgate_domain::{Clock as _, IdSource as _, TokenUsage, Usd};
use uuid::Uuid;

use crate::test_app::{ADMIN, TestApp, on_both_engines};

const IN_DOUBT: &str = "/api/governance/in-doubt";

/// One request of Ada's, charged a dollar and a half in doubt.
async fn charge_in_doubt(app: &TestApp, user: &str) -> RequestId {
    let (request, at) = (RequestId::from_uuid(app.ids.next_uuid()), app.clock.now());
    let facts = HoldFacts {
        request,
        at,
        key: VirtualKeyId::from_uuid(app.ids.next_uuid()),
        user: Some(user.parse::<UserId>().unwrap()),
        copy: None,
        profile: Some(ProfileId(1)),
        profile_version: Some(1),
        provider: "openai".parse().unwrap(),
        model: "gpt-5".to_owned(),
        endpoint: Endpoint::ChatCompletions,
        is_stream: true,
        is_bound: true,
        reserved_cost: Usd::from_nanos(1_500_000_000),
        reserved_tokens: 100,
        shadow: None,
    };
    let ending = Ending {
        at,
        outcome: Outcome::InDoubt,
        status: 499,
        error_code: Some("interrupted".to_owned()),
        usage: TokenUsage::default(),
        cost: facts.reserved_cost,
        duration_micros: 1,
        first_byte_micros: None,
        attempts: 1,
    };
    let window = Window {
        key: WindowKey(20_261_111),
        start: at,
        end: at.saturating_add_micros(1),
    };
    let charge = |kind| {
        CounterAmount::new(
            Uuid::from_u128(7),
            kind,
            ResetDuration::Day,
            window,
            1_500_000_000,
        )
    };
    let batch = FoldBatch {
        journal: app.ids.next_uuid(),
        from: JournalPosition::default(),
        to: JournalPosition {
            segment: 1,
            offset: 10,
        },
        last_instant: at,
        counters: Vec::new(),
        log: vec![LogEntry {
            facts: facts.clone(),
            ending,
        }],
        resolved: Vec::new(),
        corrections: Vec::new(),
        resets: Vec::new(),
        in_doubt: vec![OpenHold {
            facts,
            holds: vec![charge(MeterKind::Money), charge(MeterKind::Tokens)],
        }],
        opened: Vec::new(),
        closed: Vec::new(),
    };
    app.store.fold(&batch).await.unwrap();
    request
}

/// The id of the budget line at `pointer` in what `path` answers.
async fn line_at(app: &TestApp, path: &str, pointer: &str) -> String {
    app.get(path).await.expect(200).text_at(pointer)
}

fn adjust(line: &str) -> String {
    format!("/api/governance/budgets/{line}/adjust")
}

on_both_engines!(amounts_in_doubt_are_listed_with_whom_they_concern);
async fn amounts_in_doubt_are_listed_with_whom_they_concern(app: TestApp) {
    let user = app.add_user("ada").await;
    let request = charge_in_doubt(&app, &user).await;
    let list = app
        .get(&format!(
            "{IN_DOUBT}?resolved=false&user_id={user}&provider=openai&model=gpt-5"
        ))
        .await
        .expect(200);
    let row = &list.body["in_doubt"][0];
    assert_eq!(row["id"], request.to_string());
    assert_eq!(row["user_name"], "ada");
    assert_eq!(row["virtual_key_name"], json!(null));
    assert_eq!(row["reason"], "interrupted");
    assert!(
        list.text.contains("\"amount_charged\":1.5,"),
        "{}",
        list.text
    );
    assert_eq!(
        row["charges"],
        json!([{
            "budget_id": "bud_00000000000000000000000000000007",
            "window_start": row["at"],
            "window_end": row["charges"][0]["window_end"],
        }])
    );
    assert_eq!(list.body["total_count"], 1);
    for nothing in [
        "resolved=true",
        "access_profile_id=9",
        "to=2000-01-01T00:00:00Z",
    ] {
        let list = app.get(&format!("{IN_DOUBT}?{nothing}")).await.expect(200);
        assert_eq!(list.body["in_doubt"], json!([]), "{nothing}");
    }
    let refused = app.get(&format!("{IN_DOUBT}?user_id=ada")).await;
    assert_eq!(refused.error(), (400, "invalid_value", "/query/user_id"));
}

on_both_engines!(amount_in_doubt_is_corrected_by_somebody_for_a_reason);
async fn amount_in_doubt_is_corrected_by_somebody_for_a_reason(app: TestApp) {
    let user = app.add_user("ada").await;
    let request = charge_in_doubt(&app, &user).await;
    let path = format!("{IN_DOUBT}/{request}/resolve");
    let body = r#"{"amount": 0.25, "reason": " the invoice "}"#;
    let resolved = app.post(&path, body).await.expect(200);
    assert!(
        resolved.text.contains("\"amount_resolved\":0.25"),
        "{}",
        resolved.text
    );
    assert!(
        resolved.text.contains("\"amount_charged\":1.5,"),
        "{}",
        resolved.text
    );
    let corrected = app.live.corrected.lock().clone();
    let (of, amount, note) = &corrected[0];
    assert_eq!(
        (of.as_str(), *amount),
        (request.to_string().as_str(), 250_000_000)
    );
    assert_eq!(
        (note.reason.as_str(), note.profile),
        ("the invoice", Some(ProfileId(1)))
    );
    assert_eq!(note.user.unwrap().to_string(), user);
    assert!(note.actor.starts_with("mk_"));

    *app.live.refusal.lock() = Some(AdjustError::NotInDoubt);
    let again = app.post(&path, body).await;
    assert_eq!(again.error(), (409, "already_resolved", ""));
    *app.live.refusal.lock() = Some(AdjustError::BelowZero {
        line: Uuid::from_u128(7),
        used: Usd::from_nanos(1),
        taken: Usd::from_nanos(2),
    });
    let below = app.post(&path, body).await;
    assert_eq!(below.error(), (409, "below_zero", "/amount"));
    assert!(below.text.contains("bud_00000000000000000000000000000007"));
    *app.live.refusal.lock() = Some(AdjustError::Unavailable);
    assert_eq!(app.post(&path, body).await.error().0, 503);
    let unknown = format!("{IN_DOUBT}/req_{}/resolve", Uuid::from_u128(9).as_simple());
    assert_eq!(app.post(&unknown, body).await.error().0, 404);
    assert_eq!(
        app.post(&format!("{IN_DOUBT}/x/resolve"), body)
            .await
            .error()
            .0,
        404
    );
}

on_both_engines!(what_is_no_correction_is_refused_with_its_place);
async fn what_is_no_correction_is_refused_with_its_place(app: TestApp) {
    let user = app.add_user("ada").await;
    let request = charge_in_doubt(&app, &user).await;
    let resolve = format!("{IN_DOUBT}/{request}/resolve");
    let adjust = adjust("bud_00000000000000000000000000000007");
    for (path, body, param) in [
        (&resolve, r#"{"amount": -1, "reason": "x"}"#, "/amount"),
        (&resolve, r#"{"amount": 1e300, "reason": "x"}"#, "/amount"),
        (
            &resolve,
            r#"{"amount": 0.0000000001, "reason": "x"}"#,
            "/amount",
        ),
        (&resolve, r#"{"amount": "1", "reason": "x"}"#, "/amount"),
        (&resolve, r#"{"amount": null, "reason": "x"}"#, "/amount"),
        (&resolve, r#"{"amount": 1}"#, "/reason"),
        (&resolve, r#"{"amount": 1, "reason": "  "}"#, "/reason"),
        (&adjust, r#"{"delta": 0, "reason": "x"}"#, "/delta"),
        (&adjust, r#"{"delta": -0.0, "reason": "x"}"#, "/delta"),
        (
            &adjust,
            r#"{"delta": 9223372036.854775808, "reason": "x"}"#,
            "/delta",
        ),
        (
            &adjust,
            r#"{"delta": -9223372036.854775808, "reason": "x"}"#,
            "/delta",
        ),
        (&adjust, r#"{"delta": 1e-10, "reason": "x"}"#, "/delta"),
        (&adjust, r#"{"delta": 1, "reason": ""}"#, "/reason"),
        (
            &adjust,
            r#"{"delta": 1, "reason": "x", "amount": 1}"#,
            "/amount",
        ),
    ] {
        let refused = app.post(path, body).await;
        assert_eq!(
            (refused.error().0, refused.error().2),
            (400, param),
            "{body}: {}",
            refused.text
        );
    }
    let long = format!(r#"{{"delta": 1, "reason": "{}"}}"#, "x".repeat(1_001));
    assert_eq!(
        app.post(&adjust, &long).await.error(),
        (400, "invalid_value", "/reason")
    );
    // What JSON does not have.
    for number in ["NaN", "Infinity", "+1", "1,5"] {
        let body = format!(r#"{{"delta": {number}, "reason": "x"}}"#);
        assert_eq!(
            app.post(&adjust, &body).await.error().1,
            "malformed_json",
            "{number}"
        );
    }
    assert!(app.live.corrected.lock().is_empty());
}

/// A profile that the user holds, and a line of every holder with what it belongs to; the first is of the user's copy.
async fn lines_of_all(app: &TestApp, user: &str) -> (i64, Vec<(String, &'static str)>) {
    let budgets = r#""budgets": [{"max_limit": 5, "reset_duration": "1d"}]"#;
    let profile = app
        .add_profile(&format!(
            r#"{{"name": "P", {budgets}, "provider_configs": [{{"provider_name": "openai", "all_models_allowed": true,
               {budgets}, "model_budgets": [{{"model": "gpt-5", {budgets}}}]}}]}}"#
        ))
        .await;
    let copies = format!("/api/governance/users/{user}/access-profiles");
    app.post(&copies, &format!(r#"{{"access_profile_id": {profile}}}"#))
        .await
        .expect(201);
    let key = app
        .post(
            "/api/governance/virtual-keys",
            &format!(r#"{{"name": "CI", {budgets}, "provider_configs": [{{"provider": "openai", "all_models_allowed": true, {budgets}}}]}}"#),
        )
        .await
        .expect(201);
    let key = format!(
        "/api/governance/virtual-keys/{}",
        key.text_at("/virtual_key/id")
    );
    let mut lines = vec![
        (
            line_at(app, &copies, "/access_profiles/0/budgets/0/id").await,
            "access_profile",
        ),
        (
            line_at(
                app,
                &copies,
                "/access_profiles/0/provider_configs/0/budgets/0/id",
            )
            .await,
            "access_profile",
        ),
        (
            line_at(
                app,
                &copies,
                "/access_profiles/0/provider_configs/0/model_budgets/0/budgets/0/id",
            )
            .await,
            "access_profile",
        ),
        (
            line_at(app, &key, "/virtual_key/budgets/0/id").await,
            "virtual_key",
        ),
        (
            line_at(app, &key, "/virtual_key/provider_configs/0/budgets/0/id").await,
            "virtual_key",
        ),
    ];
    for (plural, singular) in [
        ("teams", "team"),
        ("customers", "customer"),
        ("business-units", "business_unit"),
    ] {
        let made = app
            .post(
                &format!("/api/governance/{plural}"),
                &format!(r#"{{"name": "G", {budgets}}}"#),
            )
            .await
            .expect(201);
        lines.push((made.text_at(&format!("/{singular}/budgets/0/id")), singular));
    }
    let limit = app
        .post(
            "/api/governance/model-configs",
            &format!(r#"{{"model_name": "*", "scope": "global", {budgets}}}"#),
        )
        .await
        .expect(201);
    lines.push((limit.text_at("/model_config/budgets/0/id"), "model_config"));
    (profile, lines)
}

on_both_engines!(any_line_of_any_holder_is_credited_and_debited);
async fn any_line_of_any_holder_is_credited_and_debited(app: TestApp) {
    let user = app.add_user("ada").await;
    let (profile, lines) = lines_of_all(&app, &user).await;
    for (line, holder) in &lines {
        let debited = app
            .post(&adjust(line), r#"{"delta": 0.000000001, "reason": "x"}"#)
            .await
            .expect(200);
        assert_eq!(debited.text_at("/budget/id"), *line);
        assert_eq!(
            debited.text_at("/budget/holder_kind"),
            *holder,
            "{}",
            debited.text
        );
    }
    assert_eq!(app.live.count.lock().used, 9);
    let credited = app
        .post(
            &adjust(&lines[0].0),
            r#"{"delta": -0.000000009, "reason": "x"}"#,
        )
        .await
        .expect(200);
    assert!(credited.text.contains("\"used\":0,"), "{}", credited.text);
    let (_, _, note) = app.live.corrected.lock()[0].clone();
    assert_eq!(note.profile, Some(ProfileId(profile)));
    assert_eq!(note.user.unwrap().to_string(), user);
}

on_both_engines!(line_of_a_template_has_no_usage_and_says_so);
async fn line_of_a_template_has_no_usage_and_says_so(app: TestApp) {
    let profile = app
        .add_profile(r#"{"name": "P", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}"#)
        .await;
    let path = format!("/api/governance/access-profiles/{profile}");
    let line = line_at(&app, &path, "/access_profile/budgets/0/id").await;
    let body = r#"{"delta": 1, "reason": "x"}"#;
    let refused = app.post(&adjust(&line), body).await;
    assert_eq!(refused.error(), (404, "not_found", ""));
    assert!(
        refused.text_at("/error/message").contains("has no usage"),
        "{}",
        refused.text
    );
    let unknown = app
        .post(&adjust("bud_00000000000000000000000000000009"), body)
        .await;
    assert_eq!(
        unknown.text_at("/error/message"),
        "no budget `bud_00000000000000000000000000000009` exists"
    );
}

on_both_engines!(repeated_credit_counts_once);
async fn repeated_credit_counts_once(app: TestApp) {
    let key = app
        .post(
            "/api/governance/virtual-keys",
            r#"{"name": "CI", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}"#,
        )
        .await
        .expect(201);
    let path = adjust(&key.text_at("/virtual_key/budgets/0/id"));
    let send = async |body: &str| {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&path)
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "credit-1");
        app.send(request.body(body.to_owned().into()).unwrap())
            .await
    };
    let body = r#"{"delta": 2, "reason": "x"}"#;
    let first = send(body).await.expect(200);
    let second = send(body).await.expect(200);
    assert_eq!(first.text, second.text);
    assert_eq!(app.live.corrected.lock().len(), 1);
    let other = send(r#"{"delta": 3, "reason": "x"}"#).await;
    assert_eq!(other.error().0, 409);
}

on_both_engines!(credit_whose_caller_goes_away_is_the_same_when_repeated);
async fn credit_whose_caller_goes_away_is_the_same_when_repeated(app: TestApp) {
    let key = app
        .post(
            "/api/governance/virtual-keys",
            r#"{"name": "CI", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}"#,
        )
        .await
        .expect(201);
    let path = adjust(&key.text_at("/virtual_key/budgets/0/id"));
    let send = async |body: &str| {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&path)
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "credit-1");
        app.send(request.body(body.to_owned().into()).unwrap())
            .await
    };
    let body = r#"{"delta": 2, "reason": "x"}"#;
    let stalled = app.fold.stall();
    {
        let mut first = Box::pin(send(body));
        tokio::select! {
            answer = &mut first => panic!("it waits for the database: {answer:?}"),
            told = stalled => told.unwrap(),
        }
    }
    send(body).await.expect(200);
    // It is the ledger's to know; here it is asked the same twice.
    let corrected = app.live.corrected.lock().clone();
    let names: Vec<_> = corrected
        .iter()
        .map(|(_, _, note)| note.once.clone())
        .collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0].as_ref().unwrap().key, "credit-1");
    assert_ne!(corrected[0].2.id, corrected[1].2.id);
    *app.live.refusal.lock() = Some(AdjustError::KeyReused);
    let path = adjust(&key.text_at("/virtual_key/budgets/0/id"));
    let refused = app.post(&path, body).await;
    assert_eq!(refused.error(), (409, "idempotency_key_reused", ""));
}
