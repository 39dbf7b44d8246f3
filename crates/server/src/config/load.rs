//! Layers: defaults, then the file, then variables, then flags.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tollgate_llm::MAX_OUTPUT_LIMIT;
use toml::{Table, Value};

use super::environment::Environment;
use super::keys::{self, CONFIG_VARIABLE, KEYS, Kind};
use super::sections::Config;
use super::values::Secret;

/// What flags set.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--management-listen`
    pub management_listen: Option<SocketAddr>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--database-url`
    pub database_url: Option<String>,
    /// `--demo`
    pub demo: bool,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not readable.
    #[error("cannot read `{path}`: {cause}")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("`{path}` is not valid TOML: {message}")]
    Syntax {
        /// Which.
        path: String,
        /// Where and what.
        message: String,
    },
    /// The file has a key that means nothing.
    #[error("`{path}` has an unknown key `{key}`; did you mean `{nearest}`?")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// The most similar known one.
        nearest: &'static str,
    },
    /// A variable with our prefix means nothing.
    #[error("unknown variable `{name}`; did you mean `{nearest}`?")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The most similar known one.
        nearest: String,
    },
    /// A value is not of its kind, or not allowed.
    #[error("`{name}`: {message}")]
    Value {
        /// The setting, as the layer that set it calls it.
        name: String,
        /// What is wrong.
        message: String,
    },
}

/// The configuration and where it came from.
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// The file, when there was one.
    pub file: Option<PathBuf>,
    /// The layer that set each key that is not at its default: the file, a variable or a flag.
    pub sources: BTreeMap<&'static str, String>,
    /// The values as they were given, for `config check`.
    pub(super) given: Table,
}

/// Reads all layers.
///
/// # Errors
/// Anything that is unreadable, unknown, malformed or contradictory; nothing is guessed.
pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Loaded, ConfigError> {
    environment.check_names()?;
    let file = match &overrides.config {
        Some(path) => Some(path.clone()),
        None => environment.get(CONFIG_VARIABLE)?.map(PathBuf::from),
    };
    let mut layers = Layers::default();
    if let Some(path) = &file {
        layers.add_file(path)?;
    }
    layers.add_variables(environment)?;
    layers.add_flags(overrides);
    let config: Config =
        serde_path_to_error::deserialize(layers.table.clone()).map_err(|error| {
            let path = error.path().to_string();
            ConfigError::Value {
                name: layers.name_of(&path),
                message: error.inner().message().trim().to_owned(),
            }
        })?;
    let config = resolve_files(config)?;
    validate(&config)?;
    Ok(Loaded {
        config,
        file,
        sources: layers.sources,
        given: layers.table,
    })
}

#[derive(Default)]
struct Layers {
    table: Table,
    sources: BTreeMap<&'static str, String>,
}

impl Layers {
    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        let text = read(path)?;
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| ConfigError::Syntax {
                path: shown.clone(),
                message: error.to_string().trim().to_owned(),
            })?;
        for (name, value) in &table {
            let leaves: Vec<(String, &Value)> = match value {
                Value::Table(section) if keys::find(name).is_none() => section
                    .iter()
                    .map(|(inner, value)| (format!("{name}.{inner}"), value))
                    .collect(),
                value => vec![(name.clone(), value)],
            };
            if leaves.is_empty() && !KEYS.iter().any(|key| in_section(key.path, name)) {
                return Err(unknown(&shown, name));
            }
            for (key, value) in leaves {
                let known = keys::find(&key).ok_or_else(|| unknown(&shown, &key))?;
                self.set(known.path, value.clone(), format!("file `{shown}`"));
            }
        }
        Ok(())
    }

    fn add_variables(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        for key in KEYS {
            let name = key.variable();
            let Some(text) = environment.get(&name)? else {
                continue;
            };
            let refuse = |message: &str| ConfigError::Value {
                name: name.clone(),
                message: message.to_owned(),
            };
            let value = match key.kind {
                Kind::Text => Value::String(text.to_owned()),
                Kind::Number => Value::Integer(
                    text.trim()
                        .parse()
                        .map_err(|_| refuse("is not a whole number"))?,
                ),
                Kind::Flag => Value::Boolean(match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "1" | "yes" | "on" => true,
                    "false" | "0" | "no" | "off" => false,
                    _ => return Err(refuse("is neither `true` nor `false`")),
                }),
                Kind::List => Value::Array(
                    text.split(',')
                        .map(str::trim)
                        .filter(|entry| !entry.is_empty())
                        .map(|entry| Value::String(entry.to_owned()))
                        .collect(),
                ),
            };
            self.set(key.path, value, format!("variable `{name}`"));
        }
        Ok(())
    }

    fn add_flags(&mut self, overrides: &Overrides) {
        let Overrides {
            config: _,
            listen,
            management_listen,
            data_dir,
            database_url,
            demo,
        } = overrides;
        let mut text = |path, flag: &str, value: Option<String>| {
            if let Some(value) = value {
                self.set(path, Value::String(value), format!("flag `{flag}`"));
            }
        };
        let address = |address: &SocketAddr| address.to_string();
        text("listen", "--listen", listen.as_ref().map(address));
        text(
            "management.listen",
            "--management-listen",
            management_listen.as_ref().map(address),
        );
        text(
            "data_dir",
            "--data-dir",
            data_dir.as_ref().map(|path| path.display().to_string()),
        );
        text("database.url", "--database-url", database_url.clone());
        if *demo {
            self.set("demo", Value::Boolean(true), "flag `--demo`".to_owned());
        }
    }

    /// A later layer wins. A secret and its `_file` twin are one setting, so that a variable replaces a file's twin.
    fn set(&mut self, path: &'static str, value: Value, source: String) {
        for twin in twins(path) {
            if self
                .sources
                .get(twin)
                .is_some_and(|other| layer(other) != layer(&source))
            {
                self.remove(twin);
            }
        }
        let (section, leaf) = path
            .split_once('.')
            .map_or((None, path), |(s, l)| (Some(s), l));
        let table = match section {
            None => &mut self.table,
            Some(section) => {
                let entry = self
                    .table
                    .entry(section)
                    .or_insert_with(|| Value::Table(Table::new()));
                match entry {
                    Value::Table(table) => table,
                    _ => return,
                }
            }
        };
        table.insert(leaf.to_owned(), value);
        self.sources.insert(path, source);
    }

    fn remove(&mut self, path: &'static str) {
        self.sources.remove(path);
        match path.split_once('.') {
            None => {
                self.table.remove(path);
            }
            Some((section, leaf)) => {
                if let Some(Value::Table(table)) = self.table.get_mut(section) {
                    table.remove(leaf);
                }
            }
        }
    }

    /// How the layer that set `path` calls it: serde's path may end in an index.
    fn name_of(&self, path: &str) -> String {
        let key = KEYS
            .iter()
            .find(|key| path == key.path || path.starts_with(&format!("{}[", key.path)));
        match key.and_then(|key| Some((key, self.sources.get(key.path)?))) {
            Some((key, source)) if source.starts_with("variable") => key.variable(),
            _ => path.to_owned(),
        }
    }
}

/// `file`, `variable` or `flag`.
fn layer(source: &str) -> &str {
    source.split(' ').next().unwrap_or_default()
}

fn in_section(path: &str, section: &str) -> bool {
    path.split_once('.').is_some_and(|(own, _)| own == section)
}

fn unknown(path: &str, key: &str) -> ConfigError {
    ConfigError::UnknownKey {
        path: path.to_owned(),
        key: key.to_owned(),
        nearest: keys::nearest_path(key),
    }
}

fn twins(path: &str) -> impl Iterator<Item = &'static str> {
    let other = path
        .strip_suffix("_file")
        .map_or_else(|| format!("{path}_file"), str::to_owned);
    KEYS.iter()
        .map(|key| key.path)
        .filter(move |path| *path == other)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable {
        path: path.display().to_string(),
        cause,
    })
}

/// Reads each `*_file` into its secret.
fn resolve_files(mut config: Config) -> Result<Config, ConfigError> {
    let secrets = [
        ("admin_key", &mut config.admin_key, &config.admin_key_file),
        (
            "master_key",
            &mut config.master_key,
            &config.master_key_file,
        ),
        (
            "database.url",
            &mut config.database.url,
            &config.database.url_file,
        ),
        (
            "metrics.token",
            &mut config.metrics.token,
            &config.metrics.token_file,
        ),
    ];
    for (name, secret, file) in secrets {
        let Some(file) = file else { continue };
        let refuse = |message: String| ConfigError::Value {
            name: name.to_owned(),
            message,
        };
        if secret.is_some() {
            return Err(refuse(format!(
                "is set together with `{name}_file`; give one of them"
            )));
        }
        let text = read(file)?;
        let text = text.trim();
        if text.is_empty() {
            return Err(refuse(format!("file `{}` is empty", file.display())));
        }
        *secret = Some(Secret::new(text));
    }
    Ok(config)
}

fn validate(config: &Config) -> Result<(), ConfigError> {
    let refuse = |name: &str, message: String| {
        Err(ConfigError::Value {
            name: name.to_owned(),
            message,
        })
    };
    let http = &config.http;
    for (name, value) in [
        ("http.max_connections", http.max_connections),
        ("http.max_requests", http.max_requests),
        ("http.max_body_bytes", http.max_body_bytes),
        ("fold.batch_records", config.fold.batch_records),
    ] {
        if value == 0 {
            return refuse(name, "must be at least 1".to_owned());
        }
    }
    let reservation = &config.reservation;
    for (name, tokens) in [
        (
            "reservation.usual_output_tokens",
            reservation.usual_output_tokens,
        ),
        ("reservation.output_limit", reservation.output_limit),
    ] {
        if !(1..=MAX_OUTPUT_LIMIT).contains(&tokens) {
            return refuse(name, format!("must be from 1 to {MAX_OUTPUT_LIMIT}"));
        }
    }
    if config.webhooks.max_attempts == 0 {
        return refuse("webhooks.max_attempts", "must be at least 1".to_owned());
    }
    if http.max_header_bytes < 8_192 {
        return refuse("http.max_header_bytes", "must be at least 8192".to_owned());
    }
    for (name, period) in [
        ("http.header_timeout", http.header_timeout),
        ("http.body_timeout", http.body_timeout),
        ("http.write_timeout", http.write_timeout),
        ("fold.interval", config.fold.interval),
        ("fold.max_backoff", config.fold.max_backoff),
        ("webhooks.timeout", config.webhooks.timeout),
        ("webhooks.retry_initial", config.webhooks.retry_initial),
        ("webhooks.retry_max", config.webhooks.retry_max),
        ("webhooks.retention", config.webhooks.retention),
    ] {
        if period.0.is_zero() {
            return refuse(name, "must be longer than 0".to_owned());
        }
    }
    if config.journal.segment_bytes < 65_536 {
        return refuse("journal.segment_bytes", "must be at least 65536".to_owned());
    }
    if config.tls.cert_file.is_some() != config.tls.key_file.is_some() {
        return refuse(
            "tls",
            "`cert_file` and `key_file` belong together; give both or none".to_owned(),
        );
    }
    if config
        .management
        .listen
        .is_some_and(|listen| listen.port() != 0 && listen == config.listen)
    {
        return refuse(
            "management.listen",
            "is the same address as `listen`; leave it out to serve everything there".to_owned(),
        );
    }
    if let Err(error) = config.log.filter.parse::<tracing_subscriber::EnvFilter>() {
        return refuse("log.filter", format!("`{}`: {error}", config.log.filter));
    }
    for pattern in &config.providers.env_allow {
        if pattern.to_uppercase().starts_with(keys::PREFIX) {
            return refuse(
                "providers.env_allow",
                format!("`{pattern}` would hand out our own variables; take it out"),
            );
        }
    }
    Ok(())
}
