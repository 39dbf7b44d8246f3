//! What a start refuses, with which text and exit code.

use tempfile::TempDir;

use crate::plain_process::{finish, text, tollgate};

#[tokio::test]
async fn bad_usage_is_2_and_bad_configuration_is_78() {
    let usage = finish(&mut tollgate(&["serve", "--bogus"])).await;
    assert_eq!(usage.code, 2);
    assert!(usage.stderr.contains("--bogus"), "{}", usage.stderr);

    let mut unknown = tollgate(&["serve"]);
    let unknown = finish(unknown.env("TOLLGATE_LISTN", "x")).await;
    assert_eq!(unknown.code, 78);
    assert_eq!(
        unknown.stderr,
        "tollgate: unknown variable `TOLLGATE_LISTN`; did you mean `TOLLGATE_LISTEN`?\n"
    );
}

#[tokio::test]
async fn bad_files_say_what_is_wrong_with_them() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("tollgate.toml");
    for (content, expected) in [
        (
            "[http]\nmax_conections = 5",
            "has an unknown key `http.max_conections`; did you mean `http.max_connections`?",
        ),
        ("listen = 8080", "`listen`: "),
        ("listen =", "is not valid TOML"),
        ("[tls]\ncert_file = '/nowhere/a'", "`tls`: "),
        (
            "[tls]\ncert_file = '/nowhere/a'\nkey_file = '/nowhere/b'",
            "read certificates from `/nowhere/a`",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        for command in [&["serve"][..], &["config", "check"]] {
            let data_dir = directory.path().join("data");
            let arguments = ["--config", text(&file), "--data-dir", text(&data_dir)];
            let refused = finish(&mut tollgate(&[command, &arguments].concat())).await;
            assert_eq!(refused.code, 78, "{content}: {}", refused.stderr);
            assert!(refused.stderr.contains(expected), "{}", refused.stderr);
            assert!(!data_dir.exists(), "{content}: nothing may be made yet");
        }
    }
}

#[tokio::test]
async fn config_check_shows_values_and_their_sources_and_no_secret() {
    let mut command = tollgate(&["config", "check", "--listen", "127.0.0.1:7"]);
    command
        .env("TOLLGATE_MASTER_KEY", "hunter2")
        .env("TOLLGATE_HTTP_MAX_REQUESTS", "9");
    let checked = finish(&mut command).await;
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    for line in [
        "listen = \"127.0.0.1:7\"  # flag `--listen`",
        "http.max_requests = 9  # variable `TOLLGATE_HTTP_MAX_REQUESTS`",
        "master_key = (secret)  # variable `TOLLGATE_MASTER_KEY`",
        "http.shutdown_grace = \"30s\"  # default",
    ] {
        assert!(checked.stdout.contains(line), "{line}\n{}", checked.stdout);
    }
    assert!(!checked.stdout.contains("hunter2"));
}

#[tokio::test]
async fn a_short_admin_key_is_refused() {
    let directory = TempDir::new().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir"];
    let mut command = tollgate(&arguments);
    command
        .arg(directory.path())
        .env("TOLLGATE_ADMIN_KEY", "tgm-short");
    let refused = finish(&mut command).await;
    assert_eq!(refused.code, 78);
    assert!(refused.stderr.contains("`admin_key`"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("tgm-short"), "{}", refused.stderr);
}
