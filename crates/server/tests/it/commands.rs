//! What the binary does besides serving.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::black_box::{ADMIN_KEY, Gateway, Place, Stage, chat, cost};
use crate::plain_process::{Finished, Server, finish, text, tollgate};

/// Runs a command on a data directory; it must succeed.
async fn on(data_dir: &Path, arguments: &[&str]) -> Finished {
    let mut command = tollgate(arguments);
    let finished = finish(command.arg("--data-dir").arg(data_dir)).await;
    assert_eq!(finished.code, 0, "{arguments:?}: {}", finished.stderr);
    finished
}

async fn profiles(server: &Server, key: &str) -> u16 {
    let url = format!("http://{}/api/governance/access-profiles", server.listen());
    let request = reqwest::Client::new().get(url).bearer_auth(key);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_new_management_key_works_beside_a_running_server() {
    let server = Server::start(|_| {}).await;
    let made = on(&server.data_dir(), &["api-keys", "create"]).await;
    let key = made.stdout.trim();
    assert!(key.starts_with("tgm-"), "{key}");
    assert_eq!(profiles(&server, key).await, 200);
    assert_eq!(profiles(&server, ADMIN_KEY).await, 200);
    assert_eq!(profiles(&server, "tgm-other").await, 401);
    server.stop().await;
}

#[tokio::test]
async fn the_first_start_prints_a_management_key_once() {
    let directory = TempDir::new().unwrap();
    let start = async || {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir"];
        let mut command = tollgate(&arguments);
        command
            .arg(directory.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        while !directory.path().join("tollgate.run").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            tokio::task::yield_now().await;
        }
        let id = i32::try_from(child.id().unwrap()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(start().await.contains("tgm-"));
    assert_eq!(start().await, "");
}

#[tokio::test]
async fn healthcheck_finds_a_running_server_and_nothing_else() {
    let server = Server::start(|_| {}).await;
    on(&server.data_dir(), &["healthcheck"]).await;
    let directory = server.stop().await;
    let mut command = tollgate(&["healthcheck", "--data-dir"]);
    // Nothing listens on port 1, unlike perhaps on the default one.
    command
        .arg(directory.path().join("data"))
        .env("TOLLGATE_LISTEN", "127.0.0.1:1");
    assert_eq!(finish(&mut command).await.code, 1);
}

#[tokio::test]
async fn a_backup_beside_a_running_server_brings_back_policy_and_counters() {
    let stage = Stage::with_a_dollar().await;
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let elsewhere = TempDir::new().unwrap();
    let backup = elsewhere.path().join("backup");
    let restored = elsewhere.path().join("data");
    let original = stage.gateway.data_dir();
    on(&original, &["backup", "--to", text(&backup)]).await;
    on(&restored, &["restore", "--from", text(&backup)]).await;

    // Into a place that is taken it does not go.
    let mut again = tollgate(&["restore", "--from", text(&backup), "--data-dir"]);
    assert_eq!(finish(again.arg(&restored)).await.code, 1);

    // Without its key it says what is missing, and makes no other.
    let mut without_key = tollgate(&["audit", "verify", "--data-dir"]);
    let refused = finish(without_key.arg(&restored)).await;
    assert_eq!(refused.code, 78);
    assert!(refused.stderr.contains("key file"), "{}", refused.stderr);
    std::fs::copy(original.join("master.key"), restored.join("master.key")).unwrap();
    let verified = on(&restored, &["audit", "verify"]).await;
    assert!(verified.stdout.contains("intact"), "{}", verified.stdout);

    let report = on(&restored, &["journal", "verify"]).await;
    assert!(report.stdout.contains("records"), "{}", report.stdout);

    let gateway = Gateway::spawn(Arc::new(Place::at(elsewhere))).await;
    let caller = stage.caller.clone().at(&gateway);
    assert_eq!(caller.spent().await, cost(10, 3));
    let answer = caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(caller.spent().await, 2 * cost(10, 3));
    assert_eq!(stage.caller.spent().await, cost(10, 3));
}

#[tokio::test]
async fn a_rotated_master_key_opens_what_the_old_one_sealed() {
    let stage = Stage::with_a_dollar().await;
    let data_dir = stage.gateway.data_dir();
    let before = std::fs::read_to_string(data_dir.join("master.key")).unwrap();

    // A running server would go on with the old key.
    let mut beside = tollgate(&["master-key", "rotate", "--data-dir"]);
    let refused = finish(beside.arg(&data_dir)).await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("another process"),
        "{}",
        refused.stderr
    );

    let Stage {
        gateway,
        provider,
        caller,
    } = stage;
    let gateway = gateway
        .stopped_then(async |data_dir| {
            on(data_dir, &["master-key", "rotate"]).await;
        })
        .await;
    let after = std::fs::read_to_string(data_dir.join("master.key")).unwrap();
    assert_ne!(before, after);
    assert!(!data_dir.join("master.key.next").exists());
    let answer = caller
        .at(&gateway)
        .chat(&chat("small", 5, false))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(provider.exchanges().len(), 1);
}

#[tokio::test]
async fn another_master_key_does_not_start() {
    let server = Server::start(|command| {
        command.env("TOLLGATE_MASTER_KEY", "07".repeat(32));
    })
    .await;
    let directory = server.stop().await;
    let mut command = tollgate(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(directory.path().join("data"))
        .env("TOLLGATE_MASTER_KEY", "08".repeat(32));
    let refused = finish(&mut command).await;
    assert_eq!(refused.code, 78);
    assert!(refused.stderr.contains("master key"), "{}", refused.stderr);
}

#[tokio::test]
async fn the_api_describes_itself() {
    let printed = finish(&mut tollgate(&["openapi"])).await;
    assert_eq!(printed.code, 0);
    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert!(document["paths"]["/api/governance/access-profiles/{profile_id}"]["put"].is_object());
}
