//! A store on a private database, and things to put into it.

use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tollgate_domain::access::profile::{ProfileContent, ProviderConfig, UserCopy};
use tollgate_domain::ids::{
    BudgetId, CopyId, ProfileId, ProviderConfigId, RateLimitId, UserId, VirtualKeyId,
};
use tollgate_domain::limits::{BudgetLine, LimitSet, RateLimitLine, ResetDuration};
use tollgate_domain::provider::{NetworkSettings, ProviderType};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_domain::{Timestamp, Usd};
use tollgate_storage::copies::{CopySource, StoredCopy};
use tollgate_storage::profiles::NewProfile;
use tollgate_storage::providers::StoredProvider;
use tollgate_storage::users::User;
use tollgate_storage::virtual_keys::VirtualKey;
use tollgate_storage::{Store, Vault};
use tollgate_testkit::test_db::TestDb;
use uuid::Uuid;

/// A store with its database.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) db: TestDb,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDb::sqlite()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(TestDb::postgres()).await
    }

    async fn on(db: TestDb) -> Self {
        let store = connect(db.url(), 7).await.unwrap();
        Self { store, db }
    }
}

impl Fixture {
    /// What a statement returns, as text, past the store: as somebody with access to the database could run it.
    pub(crate) async fn read_text(&self, statement: &'static str) -> String {
        let url = self.db.url();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new().filename(path);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            let row: Option<(String,)> = sqlx::query_as(statement)
                .fetch_optional(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
            return row.unwrap_or_default().0;
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        let row: Option<(String,)> = sqlx::query_as(statement)
            .fetch_optional(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        row.unwrap_or_default().0
    }
}

/// Opens a database with a master key that is `byte` all over.
pub(crate) async fn connect(url: &str, byte: u8) -> tollgate_storage::Result<Store> {
    let vault = Arc::new(Vault::new(&[byte; 32]).unwrap());
    Store::connect(url, vault, at(0)).await
}

/// Runs each test on both engines, each on a database of its own.
macro_rules! on_both_engines {
    ($(async fn $name:ident($fixture:ident: &Fixture) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn check($fixture: &Fixture) $body

            #[tokio::test]
            async fn sqlite() {
                let fixture = Fixture::sqlite().await;
                check(&fixture).await;
                fixture.store.close().await;
            }

            #[tokio::test]
            async fn postgres() {
                let fixture = Fixture::postgres().await;
                check(&fixture).await;
                fixture.store.close().await;
            }
        }
    )+};
}
pub(crate) use on_both_engines;

/// An instant, `seconds` after the tests' noon.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-11-11T12:30:00Z"
        .parse::<Timestamp>()
        .unwrap()
        .saturating_add_micros(seconds * 1_000_000)
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn user_id(number: u128) -> UserId {
    UserId::from_uuid(uuid(number))
}

pub(crate) fn key_id(number: u128) -> VirtualKeyId {
    VirtualKeyId::from_uuid(uuid(number))
}

pub(crate) fn user(number: u128, name: &str) -> User {
    User {
        id: user_id(number),
        name: name.to_owned(),
        email: format!("{}@example.com", name.to_lowercase()),
        role_id: None,
        is_active: true,
        created_at: at(i64::try_from(number).unwrap()),
        updated_at: at(i64::try_from(number).unwrap()),
    }
}

pub(crate) fn key(number: u128, name: &str, holder: KeyHolder) -> VirtualKey {
    VirtualKey {
        id: key_id(number),
        name: name.to_owned(),
        description: None,
        holder,
        is_managed: false,
        is_active: true,
        expires_at: None,
        masked_value: "sk-tg-…abcd".to_owned(),
        previous_until: None,
        content: ProfileContent::default(),
        created_at: at(i64::try_from(number).unwrap()),
        updated_at: at(i64::try_from(number).unwrap()),
    }
}

/// Content with something in every part that the database treats apart.
pub(crate) fn content() -> ProfileContent {
    ProfileContent {
        provider_configs: vec![ProviderConfig {
            id: ProviderConfigId(1),
            provider_name: "openai".parse().unwrap(),
            all_models_allowed: false,
            allowed_models: vec!["gpt-4o".to_owned(), "regex:o[0-9]".to_owned()],
            blacklisted_models: vec!["o1".to_owned()],
            key_ids: None,
            weight: Some(0.5),
            limits: LimitSet::default(),
            model_budgets: Vec::new(),
        }],
        limits: LimitSet {
            budgets: vec![BudgetLine {
                id: BudgetId::from_uuid(uuid(900)),
                max_limit: Usd::from_nanos(12_500_000_001),
                reset_duration: ResetDuration::Month,
                quarter_start_month: None,
            }],
            rate_limit: Some(RateLimitLine {
                id: RateLimitId::from_uuid(uuid(901)),
                tokens: Some((1_000, ResetDuration::Hour)),
                requests: None,
                parallel_requests: Some(3),
            }),
        },
        calendar_aligned: true,
        time_zone: "Europe/Berlin".parse().unwrap(),
        ..ProfileContent::default()
    }
}

pub(crate) fn profile(name: &str) -> NewProfile {
    NewProfile {
        name: name.to_owned(),
        description: Some(format!("for {name}")),
        is_active: true,
        tags: vec!["Team-A".to_owned(), "prod".to_owned()],
        content: content(),
    }
}

pub(crate) fn copy(number: u128, user: UserId, profile: ProfileId) -> StoredCopy {
    StoredCopy {
        copy: UserCopy {
            id: CopyId::from_uuid(uuid(number)),
            user_id: user,
            parent_profile_id: profile,
            name: "Engineering".to_owned(),
            profile_version: 1,
            is_active: true,
            expires_at: None,
            priority: 0,
            assigned_at: at(0),
            content: content(),
            overrides: std::collections::BTreeMap::new(),
        },
        source: CopySource::Hand,
        detached_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(crate) fn provider(name: &str) -> StoredProvider {
    use std::time::Duration;
    StoredProvider {
        name: name.parse().unwrap(),
        kind: ProviderType::OpenAi,
        is_keyless: false,
        network: Some(NetworkSettings {
            base_url: "https://api.example.com/openai".parse().unwrap(),
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(10),
            max_retries: 2,
            retry_backoff_initial: Duration::from_millis(500),
            retry_backoff_max: Duration::from_secs(5),
            extra_headers: vec![("x-team".to_owned(), "header-secret".into())],
            ca_cert_pem: None,
            allow_private_network: false,
        }),
        limits: LimitSet::default(),
        revision: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// Writes in one transaction and commits it.
macro_rules! in_tx {
    ($store:expr, $tx:ident => $body:expr) => {{
        let mut $tx = $store.begin().await.unwrap();
        let result = $body;
        (result, $tx.commit().await.unwrap().into_vec())
    }};
}
pub(crate) use in_tx;

/// Making what the fold is given.
pub(crate) mod journal {
    use tollgate_domain::ErrorKind;
    use tollgate_domain::access::Endpoint;
    use tollgate_domain::accounting::{
        CounterAmount, Ending, FoldBatch, HoldFacts, JournalPosition, LogEntry, OpenHold, Outcome,
        Shadow,
    };
    use tollgate_domain::ids::{ProfileId, RequestId};
    use tollgate_domain::limits::{MeterId, MeterKind, ResetDuration, Window, WindowKey};
    use tollgate_domain::usage::{ServiceTier, TokenUsage};

    use super::{Usd, at, key_id, user_id, uuid};

    pub(crate) fn request(number: u128) -> RequestId {
        RequestId::from_uuid(uuid(number))
    }

    pub(crate) const fn position(offset: u64) -> JournalPosition {
        JournalPosition { segment: 1, offset }
    }

    /// A piece of journal 77 with nothing in it.
    pub(crate) fn batch(from: u64, to: u64) -> FoldBatch {
        FoldBatch {
            journal: uuid(77),
            from: position(from),
            to: position(to),
            last_instant: at(i64::try_from(to).unwrap()),
            counters: Vec::new(),
            log: Vec::new(),
            resolved: Vec::new(),
            corrections: Vec::new(),
            resets: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            in_doubt: Vec::new(),
        }
    }

    /// `amount` on a counter of line `line`, in a window from the tests' noon that lasts `seconds`.
    pub(crate) fn amount(line: u128, seconds: i64, amount: i64) -> CounterAmount {
        let window = Window {
            key: WindowKey(at(0).as_micros()),
            start: at(0),
            end: at(seconds),
        };
        CounterAmount::new(
            uuid(line),
            MeterKind::Money,
            ResetDuration::Hour,
            window,
            amount,
        )
    }

    /// None, one of policy and one of a limit.
    fn shadow(number: u128) -> Option<Shadow> {
        let by_policy = Shadow {
            kind: ErrorKind::ModelBlocked,
            limit: None,
        };
        let limit = MeterId {
            line: uuid(number),
            kind: MeterKind::Tokens,
        };
        [None, Some(by_policy), Some(Shadow::of_limit(limit, true))]
            [usize::try_from(number % 3).unwrap()]
    }

    pub(crate) fn facts(number: u128) -> HoldFacts {
        HoldFacts {
            request: request(number),
            at: at(i64::try_from(number).unwrap()),
            key: key_id(1),
            user: Some(user_id(1)),
            copy: None,
            profile: Some(ProfileId(4)),
            profile_version: Some(2),
            provider: "openai".parse().unwrap(),
            model: "gpt-4o".to_owned(),
            endpoint: Endpoint::ChatCompletions,
            is_stream: true,
            is_bound: false,
            reserved_cost: Usd::from_nanos(90),
            reserved_tokens: 40,
            shadow: shadow(number),
        }
    }

    pub(crate) fn hold(number: u128, holds: Vec<CounterAmount>) -> OpenHold {
        OpenHold {
            facts: facts(number),
            holds,
        }
    }

    pub(crate) fn ended(number: u128, outcome: Outcome, cost: i64) -> LogEntry {
        LogEntry {
            facts: facts(number),
            ending: Ending {
                at: at(i64::try_from(number).unwrap() + 1),
                outcome,
                status: 200,
                error_code: None,
                usage: TokenUsage {
                    input: 1,
                    cache_read: 2,
                    cache_write_5m: 3,
                    cache_write_1h: 4,
                    audio_input: 5,
                    output: 6,
                    reasoning: 7,
                    audio_output: 8,
                    tier: ServiceTier::Flex,
                },
                cost: Usd::from_nanos(cost),
                duration_micros: 1_000,
                first_byte_micros: Some(400),
                attempts: 1,
            },
        }
    }
}
