//! The table of all settings: names in the file, variables, and how a variable's text is read.

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    /// Separated by commas.
    List,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// As in the file, sections separated by dots.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    /// Never printed.
    pub(super) is_secret: bool,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key {
        path,
        kind,
        is_secret: false,
    }
}

const fn secret(path: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Text,
        is_secret: true,
    }
}

/// Every setting; a test keeps it equal to the structs.
pub(super) const KEYS: &[Key] = &[
    key("listen", Kind::Text),
    key("data_dir", Kind::Text),
    key("demo", Kind::Flag),
    secret("admin_key"),
    key("admin_key_file", Kind::Text),
    secret("master_key"),
    key("master_key_file", Kind::Text),
    key("management.listen", Kind::Text),
    secret("database.url"),
    key("database.url_file", Kind::Text),
    key("http.max_connections", Kind::Number),
    key("http.max_requests", Kind::Number),
    key("http.max_header_bytes", Kind::Number),
    key("http.max_body_bytes", Kind::Number),
    key("http.header_timeout", Kind::Text),
    key("http.body_timeout", Kind::Text),
    key("http.write_timeout", Kind::Text),
    key("http.shutdown_grace", Kind::Text),
    key("http.trusted_proxies", Kind::List),
    key("tls.cert_file", Kind::Text),
    key("tls.key_file", Kind::Text),
    key("journal.sync_interval", Kind::Text),
    key("journal.segment_bytes", Kind::Number),
    key("journal.accept_foreign", Kind::Flag),
    key("fold.interval", Kind::Text),
    key("fold.batch_records", Kind::Number),
    key("fold.max_backoff", Kind::Text),
    key("reservation.usual_output_tokens", Kind::Number),
    key("reservation.output_limit", Kind::Number),
    key("log.format", Kind::Text),
    key("log.filter", Kind::Text),
    secret("metrics.token"),
    key("metrics.token_file", Kind::Text),
    key("providers.env_allow", Kind::List),
    key("webhooks.timeout", Kind::Text),
    key("webhooks.retry_initial", Kind::Text),
    key("webhooks.retry_max", Kind::Text),
    key("webhooks.max_attempts", Kind::Number),
    key("webhooks.retention", Kind::Text),
];

/// What all our variables begin with.
pub(super) const PREFIX: &str = "TOLLGATE_";

/// The variable that names the configuration file.
pub(super) const CONFIG_VARIABLE: &str = "TOLLGATE_CONFIG";

impl Key {
    /// Its variable: `http.max_connections` is `TOLLGATE_HTTP_MAX_CONNECTIONS`.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "_").to_uppercase())
    }
}

/// The setting with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The setting whose path is most like `wrong`.
pub(super) fn nearest_path(wrong: &str) -> &'static str {
    let leaf = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let wrong_leaf = leaf(wrong);
    let likeness = |key: &&Key| {
        let whole = strsim::jaro_winkler(key.path, wrong);
        // A key in the wrong section is as likely as a misspelt one; of two equal ones the better place wins.
        whole.max(strsim::jaro_winkler(&leaf(key.path), &wrong_leaf)) + whole / 100.0
    };
    KEYS.iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .map_or("", |key| key.path)
}

/// The variable that is most like `wrong`.
pub(super) fn nearest_variable(wrong: &str) -> String {
    KEYS.iter()
        .map(Key::variable)
        .chain([CONFIG_VARIABLE.to_owned()])
        .max_by(|a, b| {
            strsim::normalized_damerau_levenshtein(a, wrong)
                .total_cmp(&strsim::normalized_damerau_levenshtein(b, wrong))
        })
        .unwrap_or_default()
}

/// Whether Kubernetes makes a variable of this name for a service called `tollgate` or `tollgate-…`.
pub(super) fn is_from_kubernetes(name: &str) -> bool {
    name.ends_with("_PORT")
        || name.contains("_SERVICE_")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize as _;

    use super::*;
    use crate::config::Config;

    /// The fields that serde names when it meets an unknown one in `section`.
    fn fields_of(section: &str) -> Vec<String> {
        let text = if section.is_empty() {
            "zzz = 1".to_owned()
        } else {
            format!("[{section}]\nzzz = 1")
        };
        let table: toml::Table = text.parse().unwrap();
        let message = Config::deserialize(table).unwrap_err().to_string();
        // The second line names the section again.
        let names = message.lines().next().unwrap();
        names
            .split('`')
            .skip(3)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_table_names_exactly_the_fields_of_the_structs() {
        let mut expected = BTreeSet::new();
        let sections: BTreeSet<_> = KEYS
            .iter()
            .filter_map(|key| key.path.split_once('.').map(|(section, _)| section))
            .collect();
        for field in fields_of("") {
            if sections.contains(field.as_str()) {
                for inner in fields_of(&field) {
                    expected.insert(format!("{field}.{inner}"));
                }
            } else {
                expected.insert(field);
            }
        }
        let named: BTreeSet<_> = KEYS.iter().map(|key| key.path.to_owned()).collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn variables_are_unique_and_none_looks_like_one_of_kubernetes() {
        let names: BTreeSet<_> = KEYS.iter().map(Key::variable).collect();
        assert_eq!(names.len(), KEYS.len());
        for name in names {
            assert!(!is_from_kubernetes(&name), "{name}");
        }
        for name in [
            "TOLLGATE_PORT",
            "TOLLGATE_PORT_8080_TCP_ADDR",
            "TOLLGATE_SERVICE_HOST",
            "TOLLGATE_GATEWAY_SERVICE_PORT_HTTP",
        ] {
            assert!(is_from_kubernetes(name), "{name}");
        }
        assert!(!is_from_kubernetes("TOLLGATE_PORTS"));
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest_path("lisen"), "listen");
        assert_eq!(nearest_path("http.max_conections"), "http.max_connections");
        assert_eq!(nearest_variable("TOLLGATE_LISTN"), "TOLLGATE_LISTEN");
        assert_eq!(nearest_variable("TOLLGATE_DATADIR"), "TOLLGATE_DATA_DIR");
    }
}
