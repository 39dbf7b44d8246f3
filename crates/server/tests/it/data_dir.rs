//! One data directory has one writer.

use std::process::Stdio;

use crate::black_box::{Stage, chat, serve_command};

#[tokio::test]
async fn second_process_on_a_data_dir_refuses_and_the_first_goes_on() {
    let stage = Stage::with_a_dollar().await;
    let second = serve_command(&stage.gateway.data_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(!second.status.success());
    let output = [second.stdout, second.stderr].concat();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("another process"), "{output}");
    assert!(!output.contains("panicked"), "{output}");
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}
