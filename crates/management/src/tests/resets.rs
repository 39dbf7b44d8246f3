//! Usage that a propagation sets back to zero.

use serde_json::json;
use tollgate_domain::live::AdjustError;

use super::mortal::{ends_within, in_a_mortal_process};
use super::propagation::{Held, held};
use crate::test_app::{TestApp, on_both_engines};

const RESET: &str = r#"{"fields": ["budgets"], "reset_usage": true}"#;

/// The limit of the one budget of the user's one copy.
async fn limit(app: &TestApp, copies: &str) -> serde_json::Value {
    let copies = app.get(copies).await.expect(200);
    copies.body["access_profiles"][0]["budgets"][0]["max_limit"].clone()
}

on_both_engines!(usage_that_the_ledger_does_not_reset_now_is_reset_later);
async fn usage_that_the_ledger_does_not_reset_now_is_reset_later(app: TestApp) {
    let Held {
        app, path, copies, ..
    } = held(app).await;
    let edit = r#"{"budgets": [{"max_limit": 77, "reset_duration": "1M"}]}"#;
    app.put(&path, edit).await.expect(200);
    let run = format!("{path}/propagate");
    *app.live.refusal.lock() = Some(AdjustError::Unavailable);
    let refused = app.post(&run, RESET).await;
    assert_eq!(refused.error().0, 503);
    assert!(refused.text.contains("nothing has to be sent again"));
    assert_eq!(limit(&app, &copies).await, 77);
    app.state.apply_resets().await.unwrap_err();
    *app.live.refusal.lock() = None;
    app.state.apply_resets().await.unwrap();
    let done = app.live.reset.lock().clone();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].meters.len(), 1);
    // Until the database hears of it, it is asked for again, which the ledger sees through by its id.
    app.state.apply_resets().await.unwrap();
    assert_eq!(*app.live.reset.lock(), done);
}

on_both_engines!(a_propagation_that_is_refused_resets_nothing);
async fn a_propagation_that_is_refused_resets_nothing(app: TestApp) {
    let Held { app, path, .. } = held(app).await;
    let run = format!("{path}/propagate");
    let dry = json!({"fields": ["budgets"], "reset_usage": true, "dry_run": true}).to_string();
    app.post(&run, &dry).await.expect(200);
    app.post(
        &run,
        r#"{"fields": ["budgets", "colour"], "reset_usage": true}"#,
    )
    .await
    .expect(400);
    app.state.apply_resets().await.unwrap();
    assert!(app.live.reset.lock().is_empty());
}

on_both_engines!(usage_is_reset_with_the_copies_whatever_instant_the_process_dies_at);
async fn usage_is_reset_with_the_copies_whatever_instant_the_process_dies_at(app: TestApp) {
    let Held {
        app, path, copies, ..
    } = held(app).await;
    let run = format!("{path}/propagate");
    let mut asked = 0;
    for wakes in (0..).step_by(4) {
        let wanted = 100 + wakes;
        let edit = json!({"budgets": [{"max_limit": wanted, "reset_duration": "1M"}]}).to_string();
        app.put(&path, &edit).await.expect(200);
        let (db, ids, run) = (app.db.clone(), app.ids.clone(), run.clone());
        let was_answered = in_a_mortal_process(async move || {
            let app = TestApp::open(db, ids).await;
            ends_within(wakes, app.post(&run, RESET)).await
        });
        let is_stored = limit(&app, &copies).await == wanted;
        let next = TestApp::open(app.db.clone(), app.ids.clone()).await;
        next.state.apply_resets().await.unwrap();
        // Nothing is folded here, so what earlier rounds asked for is there too.
        asked += usize::from(is_stored);
        assert_eq!(next.live.reset.lock().len(), asked, "after {wakes} wakes");
        if was_answered {
            assert!(is_stored);
            break;
        }
    }
}
