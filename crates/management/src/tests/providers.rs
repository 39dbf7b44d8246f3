//! Providers, their keys, models and prices.

use crate::test_app::{TestApp, on_both_engines};

const PROVIDERS: &str = "/api/providers";
const KEYS: &str = "/api/providers/mine/keys";

async fn with_provider(app: TestApp) -> TestApp {
    let body = r#"{"provider": "mine", "network_config": {"base_url": "https://llm.example/v1/",
        "extra_headers": {"X-Org": "s3cret"}, "max_retries": 2}}"#;
    let made = app.post(PROVIDERS, body).await.expect(201);
    assert!(!made.text.contains("s3cret"));
    app
}

on_both_engines!(provider_is_made_with_defaults_and_read_back);
async fn provider_is_made_with_defaults_and_read_back(app: TestApp) {
    let app = with_provider(app).await;
    let read = app.get("/api/providers/mine").await.expect(200);
    insta::assert_json_snapshot!(read.body);
    let sent_back = read.body["provider"].to_string();
    let same = app.put("/api/providers/mine", &sent_back).await.expect(200);
    assert_eq!(same.body, read.body);
    let again = app
        .post(
            PROVIDERS,
            r#"{"provider": "mine", "network_config": {"base_url": "https://x.example"}}"#,
        )
        .await;
    assert_eq!(again.error(), (409, "name_taken", "/provider"));
    app.post(PROVIDERS, r#"{"provider": "openai"}"#)
        .await
        .expect(201);
    app.post(PROVIDERS, r#"{"provider": "sandbox"}"#)
        .await
        .expect(201);
    let unknown = app.post(PROVIDERS, r#"{"provider": "other"}"#).await;
    assert_eq!(
        unknown.error(),
        (400, "inconsistent", "/network_config/base_url")
    );
    let list = app
        .get(&format!("{PROVIDERS}?search=o&limit=1"))
        .await
        .expect(200);
    assert_eq!(
        (&list.body["total_count"], &list.body["count"]),
        (&2.into(), &1.into())
    );
    app.delete("/api/providers/mine").await.expect(200);
    assert_eq!(app.get("/api/providers/mine").await.error().0, 404);
}

on_both_engines!(key_values_are_never_shown);
async fn key_values_are_never_shown(app: TestApp) {
    let app = with_provider(app).await;
    let made = app
        .post(
            KEYS,
            r#"{"name": "main", "value": "sk-very-secret", "weight": 2}"#,
        )
        .await
        .expect(201);
    assert_eq!(made.body["key"]["value"], "********");
    let named = app
        .post(KEYS, r#"{"name": "env", "value": "env.MINE_API_KEY"}"#)
        .await
        .expect(201);
    assert_eq!(named.body["key"]["value"], "env.MINE_API_KEY");
    for (value, code) in [
        ("env.TOLLGATE_API_KEY", "unknown_reference"),
        ("env.PATH", "unknown_reference"),
        ("", "invalid_value"),
        ("********", "inconsistent"),
        ("a\\nb", "invalid_value"),
    ] {
        let body = format!(r#"{{"name": "x", "value": "{value}"}}"#);
        assert_eq!(
            app.post(KEYS, &body).await.error(),
            (400, code, "/value"),
            "{value}"
        );
    }
    assert_eq!(
        app.post(KEYS, r#"{"name": "main", "value": "y"}"#)
            .await
            .error(),
        (409, "name_taken", "/name")
    );
    for path in [KEYS, PROVIDERS, "/api/providers/mine"] {
        assert!(!app.get(path).await.expect(200).text.contains("very-secret"));
    }
    let path = format!("{KEYS}/{}", made.text_at("/key/id"));
    let same = app
        .put(&path, &made.body["key"].to_string())
        .await
        .expect(200);
    assert_eq!(same.body, made.body);
    app.delete(&path).await.expect(200);
    assert_eq!(app.delete(&path).await.error().0, 404);
    assert_eq!(
        app.post("/api/providers/none/keys", r#"{"name": "x", "value": "y"}"#)
            .await
            .error()
            .0,
        404
    );
}

on_both_engines!(another_origin_does_not_get_the_old_secrets);
async fn another_origin_does_not_get_the_old_secrets(app: TestApp) {
    let app = with_provider(app).await;
    let made = app
        .post(KEYS, r#"{"name": "main", "value": "sk-very-secret"}"#)
        .await
        .expect(201);
    let key = format!("{KEYS}/{}", made.text_at("/key/id"));
    let path = "/api/providers/mine";
    let same_origin = r#"{"network_config": {"base_url": "https://llm.example/other"}}"#;
    let same = app.put(path, same_origin).await.expect(200);
    assert_eq!(same.body["provider"]["keys"][0]["value"], "********");
    let moved = app
        .put(
            path,
            r#"{"network_config": {"base_url": "https://evil.example"}}"#,
        )
        .await
        .expect(200);
    let provider = &moved.body["provider"];
    assert_eq!(provider["keys"][0]["value"], "");
    assert_eq!(provider["keys"][0]["enabled"], false);
    assert_eq!(
        provider["network_config"]["extra_headers"],
        serde_json::json!({})
    );
    assert_eq!(
        app.put(&key, r#"{"enabled": true}"#).await.error(),
        (400, "inconsistent", "/value")
    );
    let entered = app.put(&key, r#"{"value": "sk-new"}"#).await.expect(200);
    assert_eq!(entered.body["key"]["enabled"], true);
}

on_both_engines!(forbidden_addresses_are_refused);
async fn forbidden_addresses_are_refused(app: TestApp) {
    for url in [
        "http://169.254.169.254",
        "http://[::ffff:a9fe:a9fe]",
        "ftp://x.example",
        "http://metadata.google.internal",
    ] {
        let body = format!(r#"{{"provider": "x", "network_config": {{"base_url": "{url}"}}}}"#);
        assert_eq!(
            app.post(PROVIDERS, &body).await.error(),
            (400, "unusable_address", "/network_config/base_url"),
            "{url}"
        );
    }
    let local = r#"{"provider": "x", "network_config": {"base_url": "http://127.0.0.1:9/v1"}}"#;
    app.post(PROVIDERS, local).await.expect(201);
}

on_both_engines!(override_wins_over_the_catalog_until_it_is_deleted);
async fn override_wins_over_the_catalog_until_it_is_deleted(app: TestApp) {
    app.post(PROVIDERS, r#"{"provider": "openai"}"#)
        .await
        .expect(201);
    let path = "/api/pricing/openai/gpt-4o-mini";
    let list = "/api/pricing?provider=openai&search=gpt-4o-mini";
    let before = app.get(list).await.expect(200).body["prices"][0].clone();
    assert_ne!(before["source"], "override");
    let body = r#"{"input_usd_per_million": 0.123456, "output_usd_per_million": 2, "per_request_usd": 0.000000000001}"#;
    let set = app.put(path, body).await.expect(200);
    assert!(
        set.text.contains(r#""input_usd_per_million":0.123456,"#),
        "{}",
        set.text
    );
    assert!(set.text.contains(r#""per_request_usd":0.000000000001"#));
    let shown = app.get(list).await.expect(200).body["prices"][0].clone();
    assert_eq!(shown["source"], "override");
    assert_eq!(shown["cache_read_usd_per_million"], 0.123_456);
    let finer = r#"{"input_usd_per_million": 0.0000001, "output_usd_per_million": -1}"#;
    assert_eq!(
        app.put(path, finer).await.expect(400).body["extra_fields"]["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    app.delete(path).await.expect(200);
    assert_eq!(app.delete(path).await.error().0, 404);
    assert_eq!(app.get(list).await.expect(200).body["prices"][0], before);
    let slash = app
        .put(
            "/api/pricing/mine/meta-llama%2FLlama-3",
            r#"{"input_usd_per_million": 1, "output_usd_per_million": 1}"#,
        )
        .await;
    assert_eq!(
        slash.expect(200).body["price"]["model"],
        "meta-llama/Llama-3"
    );
    let models = app
        .get("/api/models?provider=openai&search=gpt-4o-mini")
        .await
        .expect(200);
    assert_eq!(models.body["models"][0]["has_price"], true);
}
