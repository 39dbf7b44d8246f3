//! One struct a section of the configuration file, each with its defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;
use tollgate_domain::access::OutputDefaults;

use super::values::{Period, Secret};

/// Everything that is decided before the process starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is served; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Holds the journal, the SQLite database, and the key file when no master key is given.
    pub data_dir: PathBuf,
    /// Adds the sandbox provider and a user to try it with.
    pub demo: bool,
    /// The first management key; without it the first start makes one and prints it.
    pub admin_key: Option<Secret>,
    /// A file with the same.
    pub admin_key_file: Option<PathBuf>,
    /// Encrypts secrets in the database; without it a key file is made in the data directory.
    pub master_key: Option<Secret>,
    /// A file with the same.
    pub master_key_file: Option<PathBuf>,
    /// The listener of the management API.
    pub management: Management,
    /// Where state lives.
    pub database: Database,
    /// How clients are served.
    pub http: Http,
    /// Certificates of the listeners.
    pub tls: Tls,
    /// The accounting journal.
    pub journal: Journal,
    /// Its way into the database.
    pub fold: Fold,
    /// What is assumed of requests that say too little.
    pub reservation: Reservation,
    /// What is logged.
    pub log: Log,
    /// Who may read metrics.
    pub metrics: Metrics,
    /// What provider settings may refer to.
    pub providers: Providers,
    /// How webhooks are told.
    pub webhooks: Webhooks,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("./data"),
            demo: false,
            admin_key: None,
            admin_key_file: None,
            master_key: None,
            master_key_file: None,
            management: Management::default(),
            database: Database::default(),
            http: Http::default(),
            tls: Tls::default(),
            journal: Journal::default(),
            fold: Fold::default(),
            reservation: Reservation::default(),
            log: Log::default(),
            metrics: Metrics::default(),
            providers: Providers::default(),
            webhooks: Webhooks::default(),
        }
    }
}

/// `[management]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Management {
    /// Moves `/api` and `/metrics` to a listener of their own.
    pub listen: Option<SocketAddr>,
}

/// `[database]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…` or `sqlite:…`; without it SQLite in the data directory.
    pub url: Option<Secret>,
    /// A file with the same.
    pub url_file: Option<PathBuf>,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Connections served at once; further ones wait in the system's queue.
    pub max_connections: usize,
    /// Requests on the data plane at once; further ones are refused as `overloaded`.
    pub max_requests: usize,
    /// Largest head of a request, in bytes.
    pub max_header_bytes: usize,
    /// Largest body of a request on the data plane, in bytes.
    pub max_body_bytes: usize,
    /// For a request's head to arrive; also how long an idle connection is kept.
    pub header_timeout: Period,
    /// For a request's body to arrive.
    pub body_timeout: Period,
    /// Longest time in which a client takes nothing of its answer.
    pub write_timeout: Period,
    /// How long running requests may take to finish after the first signal to stop.
    pub shutdown_grace: Period,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_requests: 8_192,
            max_header_bytes: 65_536,
            max_body_bytes: 33_554_432,
            header_timeout: Period::from_secs(60),
            body_timeout: Period::from_secs(60),
            write_timeout: Period::from_secs(60),
            shutdown_grace: Period::from_secs(30),
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[tls]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, PEM. With it every listener speaks TLS; SIGHUP reads both files again.
    pub cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_file: Option<PathBuf>,
}

/// `[journal]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// How often the journal is forced to the disk; 0 = before each answer ends.
    pub sync_interval: Period,
    /// Size at which a segment is closed, in bytes.
    pub segment_bytes: u64,
    /// Starts although the journal that the database knows is missing or another one is there.
    pub accept_foreign: bool,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            sync_interval: Period::from_millis(100),
            segment_bytes: 67_108_864,
            accept_foreign: false,
        }
    }
}

/// `[fold]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fold {
    /// Pause between two looks at the journal.
    pub interval: Period,
    /// Most records of one transaction.
    pub batch_records: usize,
    /// Longest pause between two tries while the database is down.
    pub max_backoff: Period,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            interval: Period::from_millis(200),
            batch_records: 3_000,
            max_backoff: Period::from_secs(10),
        }
    }
}

/// `[reservation]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reservation {
    /// Output tokens that `estimate` assumes for a model of which nothing is known.
    pub usual_output_tokens: u64,
    /// Largest output limit that `bound` writes into a request.
    pub output_limit: u64,
}

impl Default for Reservation {
    fn default() -> Self {
        let OutputDefaults {
            usual_tokens,
            limit,
        } = OutputDefaults::default();
        Self {
            usual_output_tokens: usual_tokens,
            output_limit: limit,
        }
    }
}

impl From<Reservation> for OutputDefaults {
    fn from(configured: Reservation) -> Self {
        Self {
            usual_tokens: configured.usual_output_tokens,
            limit: configured.output_limit,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For people or for machines; always to stderr.
    pub format: LogFormat,
    /// Levels by target, such as `info,tollgate_proxy=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

/// `[metrics]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The bearer token that `/metrics` asks for when the client is not on this host.
    pub token: Option<Secret>,
    /// A file with the same.
    pub token_file: Option<PathBuf>,
}

/// `[providers]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Variables that a provider key `env.NAME` may name; `*` stands for any text. Never `TOLLGATE_…`.
    pub env_allow: Vec<String>,
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            env_allow: vec!["*_API_KEY".to_owned()],
        }
    }
}

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// For a webhook to answer.
    pub timeout: Period,
    /// Pause after the first failed attempt; doubles with each, and up to half of it is cut off by chance.
    pub retry_initial: Period,
    /// Longest pause between two attempts.
    pub retry_max: Period,
    /// Attempts after which an event is given up.
    pub max_attempts: u32,
    /// How long deliveries are kept to be looked at, whatever became of them.
    pub retention: Period,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            timeout: Period::from_secs(10),
            retry_initial: Period::from_secs(10),
            retry_max: Period::from_secs(3_600),
            max_attempts: 15,
            retention: Period::from_secs(30 * 86_400),
        }
    }
}
