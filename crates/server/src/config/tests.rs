use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::*;

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_file(path: &Path) -> Overrides {
    Overrides {
        config: Some(path.to_owned()),
        ..Overrides::default()
    }
}

fn load_text(text: &str) -> Result<Loaded, String> {
    let file = file_with(text);
    load(&with_file(file.path()), &Environment::default()).map_err(|error| {
        error
            .to_string()
            .replace(&file.path().display().to_string(), "FILE")
    })
}

fn load_variables(pairs: &[(&str, &str)]) -> Result<Loaded, String> {
    let environment = Environment::from_pairs(pairs.iter().copied());
    load(&Overrides::default(), &environment).map_err(|error| error.to_string())
}

fn refusal(result: Result<Loaded, String>) -> String {
    match result {
        Ok(_) => panic!("accepted"),
        Err(message) => message,
    }
}

#[test]
fn the_example_is_the_default() {
    let example = load_text(EXAMPLE).unwrap().config;
    assert_eq!(format!("{example:#?}"), format!("{:#?}", Config::default()));
}

#[test]
fn the_example_names_every_key() {
    let mut section = String::new();
    let mut named = Vec::new();
    for line in EXAMPLE.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            named.push(format!("{section}{key}"));
        }
    }
    let expected: Vec<_> = keys::KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(named, expected);
}

#[test]
fn debug_prints_no_secret() {
    let loaded = load_variables(&[
        ("TOLLGATE_ADMIN_KEY", "tgm-hunter2-admin"),
        ("TOLLGATE_MASTER_KEY", "hunter2-master"),
        (
            "TOLLGATE_DATABASE_URL",
            "postgres://u:hunter2-password@host/db",
        ),
        ("TOLLGATE_METRICS_TOKEN", "hunter2-token"),
    ])
    .unwrap();
    let shown = format!("{:?}{:#?}{}", loaded.config, loaded.config, report(&loaded));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("[secret]"));
}

#[test]
fn later_layers_win_and_are_named() {
    let file = file_with("listen = '127.0.0.1:1'\n[http]\nmax_requests = 5\n");
    let environment = Environment::from_pairs([
        ("TOLLGATE_LISTEN", "127.0.0.1:2"),
        ("TOLLGATE_HTTP_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128"),
        ("TOLLGATE_DEMO", "yes"),
        ("TOLLGATE_LOG_FILTER", ""),
    ]);
    let overrides = Overrides {
        data_dir: Some(PathBuf::from("/elsewhere")),
        ..with_file(file.path())
    };
    let loaded = load(&overrides, &environment).unwrap();
    assert_eq!(loaded.config.listen.port(), 2);
    assert_eq!(loaded.config.http.max_requests, 5);
    assert_eq!(loaded.config.http.trusted_proxies.len(), 2);
    assert!(loaded.config.demo);
    assert_eq!(loaded.config.data_dir, Path::new("/elsewhere"));
    assert_eq!(loaded.config.log.filter, "info");
    let report = report(&loaded);
    for line in [
        "listen = \"127.0.0.1:2\"  # variable `TOLLGATE_LISTEN`",
        "data_dir = \"/elsewhere\"  # flag `--data-dir`",
        "log.filter = \"info\"  # default",
        "tls.cert_file = (not set)  # default",
    ] {
        assert!(report.contains(line), "{line} not in\n{report}");
    }
    assert!(report.contains("http.max_requests = 5  # file `"));
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let file = file_with("listen = '127.0.0.1:7'");
    let path = file.path().display().to_string();
    let loaded = load_variables(&[("TOLLGATE_CONFIG", &path)]).unwrap();
    assert_eq!(loaded.config.listen.port(), 7);
    assert_eq!(loaded.file.as_deref(), Some(file.path()));
}

#[test]
fn secrets_come_from_files_too() {
    let secret = file_with("tgm-from-a-file\n");
    let path = secret.path().display().to_string();
    let loaded = load_variables(&[("TOLLGATE_ADMIN_KEY_FILE", &path)]).unwrap();
    assert_eq!(loaded.config.admin_key.unwrap().expose(), "tgm-from-a-file");

    let both = load_variables(&[
        ("TOLLGATE_ADMIN_KEY_FILE", &path),
        ("TOLLGATE_ADMIN_KEY", "tgm-other"),
    ]);
    // Two layers of the same rank contradict each other; a later one would replace the twin.
    assert!(refusal(both).contains("admin_key"), "both were taken");
}

#[test]
fn a_variable_replaces_the_twin_in_the_file() {
    let file = file_with("master_key_file = '/nowhere'");
    let environment = Environment::from_pairs([("TOLLGATE_MASTER_KEY", "abc")]);
    let loaded = load(&with_file(file.path()), &environment).unwrap();
    assert_eq!(loaded.config.master_key.unwrap().expose(), "abc");
    assert!(loaded.config.master_key_file.is_none());
}

#[test]
fn bad_files_are_refused_with_the_way_out() {
    for (text, expected) in [
        (
            "lisen = 'x'",
            "`FILE` has an unknown key `lisen`; did you mean `listen`?",
        ),
        (
            "[http]\nmax_conections = 1",
            "`FILE` has an unknown key `http.max_conections`; did you mean `http.max_connections`?",
        ),
        (
            "[loging]\nformat = 'json'",
            "`FILE` has an unknown key `loging.format`; did you mean `log.format`?",
        ),
        (
            "listen = 'nowhere'",
            "`listen`: invalid socket address syntax",
        ),
        (
            "[http]\nmax_requests = 0",
            "`http.max_requests`: must be at least 1",
        ),
        (
            "[reservation]\noutput_limit = 0",
            "`reservation.output_limit`: must be from 1 to 2147483647",
        ),
        (
            "[reservation]\nusual_output_tokens = 2147483648",
            "`reservation.usual_output_tokens`: must be from 1 to 2147483647",
        ),
        (
            "[http]\nheader_timeout = '5'",
            "`http.header_timeout`: `5` is not a length of time such as `100ms`, `30s` or `5m`",
        ),
        (
            "[tls]\ncert_file = 'a.pem'",
            "`tls`: `cert_file` and `key_file` belong together; give both or none",
        ),
        (
            "[log]\nformat = 'xml'",
            "`log.format`: unknown variant `xml`, expected `text` or `json`",
        ),
        (
            "[providers]\nenv_allow = ['TOLLGATE_*']",
            "`providers.env_allow`: `TOLLGATE_*` would hand out our own variables; take it out",
        ),
    ] {
        assert_eq!(refusal(load_text(text)), expected);
    }
    assert!(refusal(load_text("listen =")).starts_with("`FILE` is not valid TOML: "));
    let missing = load(
        &with_file(Path::new("/nowhere.toml")),
        &Environment::default(),
    );
    assert!(missing.is_err());
}

#[test]
fn bad_variables_are_refused_with_the_way_out() {
    for (name, value, expected) in [
        (
            "TOLLGATE_LISTN",
            "x",
            "unknown variable `TOLLGATE_LISTN`; did you mean `TOLLGATE_LISTEN`?",
        ),
        (
            "TOLLGATE_DEMO",
            "maybe",
            "`TOLLGATE_DEMO`: is neither `true` nor `false`",
        ),
        (
            "TOLLGATE_HTTP_MAX_REQUESTS",
            "many",
            "`TOLLGATE_HTTP_MAX_REQUESTS`: is not a whole number",
        ),
        (
            "TOLLGATE_LISTEN",
            "8080",
            "`TOLLGATE_LISTEN`: invalid socket address syntax",
        ),
        (
            "TOLLGATE_HTTP_TRUSTED_PROXIES",
            "everywhere",
            "`TOLLGATE_HTTP_TRUSTED_PROXIES`: invalid IP address syntax",
        ),
    ] {
        assert_eq!(refusal(load_variables(&[(name, value)])), expected);
    }
}

#[test]
fn variables_that_kubernetes_makes_are_left_alone() {
    load_variables(&[
        ("TOLLGATE_PORT", "tcp://10.0.0.1:8080"),
        ("TOLLGATE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("TOLLGATE_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ])
    .unwrap();
}
