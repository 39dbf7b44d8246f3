//! MCP clients and tool groups as governed data.

use serde_json::json;

use crate::test_app::{TestApp, on_both_engines};

const CLIENT: &str = "/api/mcp/client";
const GROUPS: &str = "/api/mcp/tool-groups";
const PROFILES: &str = "/api/governance/access-profiles";
const KEYS: &str = "/api/governance/virtual-keys";

async fn with_client(app: TestApp) -> (TestApp, String) {
    let body = json!({"name": "Git", "connection_type": "http", "tools_to_execute": ["*"],
        "connection_string": "https://mcp.example/token-in-here", "headers": {"Authorization": "Bearer s3cret"},
        "tool_pricing": {"clone": 0.000_000_001}});
    let made = app.post(CLIENT, &body.to_string()).await.expect(201);
    assert!(
        !made.text.contains("s3cret") && !made.text.contains("token-in-here"),
        "{}",
        made.text
    );
    assert!(made.text.contains(r#""clone":0.000000001"#));
    assert_eq!(made.body["client"]["state"], "disconnected");
    let id = made.text_at("/client/id");
    (app, id)
}

on_both_engines!(client_is_read_changed_and_deleted);
async fn client_is_read_changed_and_deleted(app: TestApp) {
    let (app, id) = with_client(app).await;
    let path = format!("{CLIENT}/{id}");
    let read = app.get(&path).await.expect(200);
    let same = app
        .put(&path, &read.body["client"].to_string())
        .await
        .expect(200);
    assert_eq!(same.body, read.body);
    let moved = app
        .put(&path, r#"{"connection_string": "https://other.example"}"#)
        .await
        .expect(200);
    assert_eq!(
        moved.body["client"]["headers"],
        json!({}),
        "secrets of the old server"
    );
    let list = app.get("/api/mcp/clients?search=git").await.expect(200);
    assert_eq!(list.body["clients"][0], moved.body["client"]);
    for (body, place) in [
        (
            json!({"name": "x", "connection_type": "http"}),
            "/connection_string",
        ),
        (
            json!({"name": "x", "connection_type": "stdio"}),
            "/stdio_config",
        ),
        (
            json!({"name": "x", "connection_type": "sse", "connection_string": "http://169.254.169.254"}),
            "/connection_string",
        ),
        (
            json!({"name": "x", "connection_type": "pigeon"}),
            "/connection_type",
        ),
    ] {
        let refused = app.post(CLIENT, &body.to_string()).await;
        assert_eq!(
            (refused.error().0, refused.error().2),
            (400, place),
            "{body}"
        );
    }
    let stdio = json!({"name": "Local", "connection_type": "stdio",
        "stdio_config": {"command": "srv", "args": ["-x"], "envs": {"TOKEN": "s3cret"}}});
    let local = app.post(CLIENT, &stdio.to_string()).await.expect(201);
    assert_eq!(
        local.body["client"]["stdio_config"]["envs"]["TOKEN"],
        "********"
    );
    app.delete(&path).await.expect(200);
    assert_eq!(app.get(&path).await.error().0, 404);
}

on_both_engines!(profile_that_names_deleted_tools_can_be_sent_back);
async fn profile_that_names_deleted_tools_can_be_sent_back(app: TestApp) {
    let (app, client) = with_client(app).await;
    let group = app.post(GROUPS, r#"{"name": "Read", "tools": []}"#).await;
    let group = group.expect(201).body["tool_group"]["id"].clone();
    let named = json!({"name": "P", "mcp_tool_groups": [{"tool_group_id": group}],
        "mcp_servers": [{"mcp_server_id": client}],
        "mcp_tool_overrides": [{"mcp_client_id": client, "tool_name": "clone", "action": "exclude"}]});
    let path = format!("{PROFILES}/{}", app.add_profile(&named.to_string()).await);
    app.delete(&format!("{GROUPS}/{group}")).await.expect(200);
    app.delete(&format!("{CLIENT}/{client}")).await.expect(200);
    let read = app.get(&path).await.expect(200);
    let profile = &read.body["access_profile"];
    assert_eq!(profile["mcp_servers"], named["mcp_servers"]);
    let same = app.put(&path, &profile.to_string()).await.expect(200);
    assert_eq!(&same.body["access_profile"], profile);
    let simulated =
        json!({"draft": profile, "from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"});
    app.post(&format!("{path}/simulate"), &simulated.to_string())
        .await
        .expect(200);
    // Another profile cannot name it, and neither can this one once it does not any longer.
    let other = json!({"name": "Q", "mcp_servers": named["mcp_servers"]});
    let refused = app.post(PROFILES, &other.to_string()).await;
    let unknown = (400, "unknown_reference", "/mcp_servers/0/mcp_server_id");
    assert_eq!(refused.error(), unknown);
    app.put(&path, r#"{"mcp_servers": [], "mcp_tool_overrides": []}"#)
        .await
        .expect(200);
    let again = json!({"mcp_servers": named["mcp_servers"]});
    assert_eq!(app.put(&path, &again.to_string()).await.error(), unknown);
}

on_both_engines!(effective_policy_lists_the_tools_that_copies_grant);
async fn effective_policy_lists_the_tools_that_copies_grant(app: TestApp) {
    let (app, git) = with_client(app).await;
    let files = json!({"name": "Files", "connection_type": "http", "connection_string": "https://files.example",
        "tools_to_execute": ["read", "write", "list"]});
    let files = app.post(CLIENT, &files.to_string()).await.expect(201);
    let files = files.text_at("/client/id");
    let group = json!({"name": "Read", "tools": [{"mcp_client_id": files, "tool_names": ["read", "list"]}]});
    let group =
        app.post(GROUPS, &group.to_string()).await.expect(201).body["tool_group"]["id"].clone();
    let user = app.add_user("ada").await;
    let profile = json!({"name": "P", "mcp_tool_groups": [{"tool_group_id": group}],
        "mcp_servers": [{"mcp_server_id": git}],
        "mcp_tool_overrides": [
            {"mcp_client_id": git, "tool_name": "push", "action": "exclude"},
            {"mcp_client_id": files, "tool_name": "list", "action": "exclude"},
            {"mcp_client_id": files, "tool_name": "delete", "action": "include"}]});
    let profile = app.add_profile(&profile.to_string()).await;
    app.post(
        &format!("/api/governance/users/{user}/access-profiles"),
        &json!({"access_profile_id": profile}).to_string(),
    )
    .await
    .expect(201);
    let policy = app
        .get(&format!("/api/governance/users/{user}/effective-policy"))
        .await
        .expect(200);
    let mut tools = policy.body["tool_grants"].as_array().unwrap().clone();
    tools.sort_by_key(|grant| grant["mcp_client_name"].to_string());
    assert_eq!(tools.len(), 2, "{tools:?}");
    let told = |place: usize, fields: [&str; 4]| fields.map(|field| tools[place][field].clone());
    let fields = [
        "mcp_client_id",
        "all_tools_allowed",
        "allowed_tools",
        "excluded_tools",
    ];
    // `delete` is granted, but the client offers it to nobody.
    assert_eq!(
        told(0, fields),
        [json!(files), json!(false), json!(["read"]), json!([])]
    );
    assert_eq!(
        told(1, fields),
        [json!(git), json!(true), json!([]), json!(["push"])]
    );
    assert_eq!(tools[0]["granted_by"]["profile_id"], json!(profile));
}

on_both_engines!(group_and_key_that_name_a_deleted_client_can_be_sent_back);
async fn group_and_key_that_name_a_deleted_client_can_be_sent_back(app: TestApp) {
    let (app, client) = with_client(app).await;
    let group =
        json!({"name": "Read", "tools": [{"mcp_client_id": client, "tool_names": ["clone"]}]});
    let group = app.post(GROUPS, &group.to_string()).await.expect(201);
    let group = format!("{GROUPS}/{}", group.body["tool_group"]["id"]);
    let key = json!({"name": "K", "mcp_configs": [{"mcp_client_name": "git", "tools_to_execute": ["clone"]}]});
    let key = app.post(KEYS, &key.to_string()).await.expect(201);
    let key = format!("{KEYS}/{}", key.text_at("/virtual_key/id"));
    app.delete(&format!("{CLIENT}/{client}")).await.expect(200);

    let in_group = app.get(&group).await.expect(200).body["tool_group"].clone();
    assert_eq!(in_group["tools"][0]["mcp_client_id"], json!(client));
    let same = app.put(&group, &in_group.to_string()).await.expect(200);
    assert_eq!(same.body["tool_group"]["tools"], in_group["tools"]);
    let read = app.get(&key).await.expect(200).body["virtual_key"].clone();
    let gone = json!([{"mcp_client_name": client, "tools_to_execute": ["clone"]}]);
    assert_eq!(
        read["mcp_configs"], gone,
        "still capped to what there is no more"
    );
    let same = app.put(&key, &read.to_string()).await.expect(200);
    assert_eq!(same.body["virtual_key"]["mcp_configs"], gone);

    // Nobody else can name it, and neither can these once they do not any longer.
    let other = json!({"name": "Other", "tools": in_group["tools"]});
    let unknown = (400, "unknown_reference", "/tools/0/mcp_client_id");
    assert_eq!(app.post(GROUPS, &other.to_string()).await.error(), unknown);
    app.put(&group, r#"{"tools": []}"#).await.expect(200);
    let again = json!({"tools": in_group["tools"]}).to_string();
    assert_eq!(app.put(&group, &again).await.error(), unknown);
    let other = json!({"name": "Other", "mcp_configs": gone});
    let unknown = (400, "unknown_reference", "/mcp_configs/0/mcp_client_name");
    assert_eq!(app.post(KEYS, &other.to_string()).await.error(), unknown);
    app.put(&key, r#"{"mcp_configs": []}"#).await.expect(200);
    let again = json!({"mcp_configs": gone}).to_string();
    assert_eq!(app.put(&key, &again).await.error(), unknown);
}

on_both_engines!(key_that_names_a_client_without_tools_may_use_none_of_them);
async fn key_that_names_a_client_without_tools_may_use_none_of_them(app: TestApp) {
    let (app, _) = with_client(app).await;
    let none = json!([{"mcp_client_name": "Git", "tools_to_execute": []}]);
    let key = json!({"name": "K", "mcp_configs": none});
    let made = app.post(KEYS, &key.to_string()).await.expect(201);
    let path = format!("{KEYS}/{}", made.text_at("/virtual_key/id"));
    assert_eq!(made.body["virtual_key"]["mcp_configs"], none);
    let read = app.get(&path).await.expect(200).body["virtual_key"].clone();
    let same = app.put(&path, &read.to_string()).await.expect(200);
    assert_eq!(same.body["virtual_key"]["mcp_configs"], none);
    let cleared = app.put(&path, r#"{"mcp_configs": []}"#).await.expect(200);
    assert_eq!(cleared.body["virtual_key"]["mcp_configs"], json!([]));
}

on_both_engines!(groups_profiles_and_keys_name_only_what_exists);
async fn groups_profiles_and_keys_name_only_what_exists(app: TestApp) {
    let (app, client) = with_client(app).await;
    let nobody = "mcp_00000000000000000000000000000fff";
    let group =
        json!({"name": "Read", "tools": [{"mcp_client_id": client, "tool_names": ["clone"]}]});
    let made = app.post(GROUPS, &group.to_string()).await.expect(201);
    let id = made.body["tool_group"]["id"].as_i64().unwrap();
    let bad = json!({"name": "Bad", "tools": [{"mcp_client_id": nobody, "tool_names": []}]});
    assert_eq!(
        app.post(GROUPS, &bad.to_string()).await.error(),
        (400, "unknown_reference", "/tools/0/mcp_client_id")
    );
    let path = format!("{GROUPS}/{id}");
    let renamed = app.put(&path, r#"{"name": "Reading"}"#).await.expect(200);
    assert_eq!(
        renamed.body["tool_group"]["tools"],
        made.body["tool_group"]["tools"]
    );
    assert_eq!(
        app.get(GROUPS).await.expect(200).body["tool_groups"][0],
        renamed.body["tool_group"]
    );
    let profile = json!({"name": "P", "mcp_tool_groups": [{"tool_group_id": id}], "mcp_servers": [{"mcp_server_id": client}],
        "mcp_tool_overrides": [{"mcp_client_id": client, "tool_name": "push", "action": "exclude"}]});
    app.post("/api/governance/access-profiles", &profile.to_string())
        .await
        .expect(201);
    let bad = json!({"name": "Q", "mcp_tool_groups": [{"tool_group_id": 99}], "mcp_servers": [{"mcp_server_id": nobody}]});
    let refused = app
        .post("/api/governance/access-profiles", &bad.to_string())
        .await
        .expect(400);
    assert_eq!(
        refused.body["extra_fields"]["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let key = json!({"name": "K", "mcp_configs": [{"mcp_client_name": "GIT", "tools_to_execute": ["clone"]}]});
    let key = app
        .post("/api/governance/virtual-keys", &key.to_string())
        .await
        .expect(201);
    assert_eq!(
        key.body["virtual_key"]["mcp_configs"],
        json!([{"mcp_client_name": "Git", "tools_to_execute": ["clone"]}])
    );
    app.delete(&path).await.expect(200);
    assert_eq!(app.get(&path).await.error().0, 404);
}
