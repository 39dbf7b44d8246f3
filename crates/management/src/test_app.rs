//! The whole API over a real database, driven through its router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tollgate_domain::access::{Decision, Explain, Question, UnknownSubject};
use tollgate_domain::ids::{ManagementKeyId, PermissionId, RequestId};
use tollgate_domain::limits::Meter;
use tollgate_domain::live::{AdjustError, CorrectionNote, Count, LiveCounters, UsageReset};
use tollgate_domain::snapshot::{Snapshot, SnapshotChange};
use tollgate_domain::{Clock as _, IdSource as _, Timestamp, Usd};
use tollgate_storage::management_keys::{self, NewManagementKey};
use tollgate_storage::{Store, Vault, snapshot};
use tollgate_testkit::clock::{SequentialIds, TestClock};
use tollgate_testkit::test_db::TestDb;
use tower::ServiceExt as _;

use crate::secrets::{EnvironmentNames, SystemSecrets, describe_secret};
use crate::state::{
    BoxFuture, Fold, ManagementParts, ManagementState, Policy, PublishError, Publisher,
};

/// The management key that may do everything.
pub(crate) const ADMIN: &str = "tgm-admin-of-the-tests-0123456789";

pub(crate) struct TestApp {
    router: Router,
    pub(crate) state: ManagementState,
    pub(crate) store: Store,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) ids: Arc<SequentialIds>,
    pub(crate) live: Arc<TestCounters>,
    pub(crate) policy: Arc<TestPolicy>,
    pub(crate) fold: Arc<TestFold>,
    pub(crate) db: Arc<TestDb>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct TestAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// Counters that a test sets: every meter shows the same.
#[derive(Default)]
pub(crate) struct TestCounters {
    pub(crate) count: Mutex<Count>,
    /// Each once, also when it is asked for again.
    pub(crate) reset: Mutex<Vec<UsageReset>>,
    /// What every correction is refused with.
    pub(crate) refusal: Mutex<Option<AdjustError>>,
    /// Of what, by or to how much, and by whom.
    pub(crate) corrected: Mutex<Vec<(String, i64, CorrectionNote)>>,
}

/// A database that has everything already.
#[derive(Default)]
pub(crate) struct TestFold {
    /// Told when somebody waits for the database next, which then never ends.
    stall: Mutex<Option<oneshot::Sender<()>>>,
}

impl TestFold {
    /// Makes the next wait for the database hang for ever. Resolves when it does.
    pub(crate) fn stall(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        *self.stall.lock() = Some(sender);
        receiver
    }
}

impl Fold for TestFold {
    fn catch_up(&self) -> BoxFuture<'_, ()> {
        let stalled = self.stall.lock().take();
        Box::pin(async move {
            if let Some(stalled) = stalled {
                stalled.send(()).unwrap();
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Publishes as the server does: by reading what changed.
pub(crate) struct TestPolicy {
    store: Store,
    snapshot: Mutex<Arc<Snapshot>>,
    /// What explaining answers; nothing means that nobody like that exists.
    pub(crate) decision: Mutex<Option<Decision>>,
    /// What was asked last.
    pub(crate) asked: Mutex<String>,
    /// Told when the next change is published, which then never ends.
    stall: Mutex<Option<oneshot::Sender<()>>>,
}

impl LiveCounters for TestCounters {
    fn count(&self, _meter: &Meter, _now: Timestamp) -> Count {
        *self.count.lock()
    }

    fn reset(&self, pending: &[UsageReset], _now: Timestamp) -> Result<(), AdjustError> {
        if let Some(error) = self.refusal.lock().clone() {
            return Err(error);
        }
        let mut done = self.reset.lock();
        for reset in pending {
            if !done.contains(reset) {
                done.push(reset.clone());
            }
        }
        Ok(())
    }

    fn adjust(
        &self,
        meter: &Meter,
        delta: i64,
        note: CorrectionNote,
        _: Timestamp,
    ) -> Result<Count, AdjustError> {
        if let Some(error) = self.refusal.lock().clone() {
            return Err(error);
        }
        let mut count = self.count.lock();
        count.used += delta;
        self.corrected
            .lock()
            .push((meter.line_id.to_string(), delta, note));
        Ok(*count)
    }

    fn resolve_in_doubt(
        &self,
        request: RequestId,
        amount: Usd,
        note: CorrectionNote,
        _: Timestamp,
    ) -> Result<(), AdjustError> {
        if let Some(error) = self.refusal.lock().clone() {
            return Err(error);
        }
        let resolved = (request.to_string(), amount.nanos(), note);
        self.corrected.lock().push(resolved);
        Ok(())
    }
}

impl Publisher for TestPolicy {
    fn publish(&self, changes: Vec<SnapshotChange>) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let mut next = Snapshot::clone(&self.snapshot.lock());
            snapshot::apply(&self.store, &|_| None, &mut next, &changes)
                .await
                .map_err(|error| PublishError(error.to_string()))?;
            if let Some(stalled) = self.stalled() {
                stalled.send(()).unwrap();
                std::future::pending::<()>().await;
            }
            *self.snapshot.lock() = Arc::new(next);
            Ok(())
        })
    }
}

impl TestPolicy {
    /// Makes the next publication hang for ever, after the change was committed. Resolves when it does.
    pub(crate) fn stall(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        *self.stall.lock() = Some(sender);
        receiver
    }

    fn stalled(&self) -> Option<oneshot::Sender<()>> {
        self.stall.lock().take()
    }
}

impl Policy for TestPolicy {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.lock().clone()
    }
}

impl Explain for TestPolicy {
    fn explain(&self, question: &Question<'_>) -> Result<Decision, UnknownSubject> {
        *self.asked.lock() = format!("{:?}", question.wish);
        self.decision.lock().clone().ok_or(UnknownSubject)
    }
}

/// Runs a test on both engines, each on a database of its own.
macro_rules! on_both_engines {
    ($test:ident) => {
        mod $test {
            use crate::test_app::TestApp;

            #[tokio::test]
            async fn sqlite() {
                super::$test(TestApp::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$test(TestApp::postgres().await).await;
            }
        }
    };
}
pub(crate) use on_both_engines;

async fn connect(url: &str) -> Store {
    let vault = Arc::new(Vault::new(&[7; 32]).unwrap());
    let now = TestClock::default().now();
    Store::connect(url, vault, now).await.unwrap()
}

impl TestApp {
    /// On SQLite.
    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDb::sqlite()).await
    }

    /// On PostgreSQL, on a copy of one migrated database.
    pub(crate) async fn postgres() -> Self {
        let prepare = async |url: &str| connect(url).await.close().await;
        Self::on(TestDb::postgres_like(prepare).await).await
    }

    async fn on(db: TestDb) -> Self {
        let app = Self::open(Arc::new(db), Arc::default()).await;
        app.add_management_key(ADMIN, None).await;
        app
    }

    /// Over a database that is there already. Ids go on where `ids` is.
    pub(crate) async fn open(db: Arc<TestDb>, ids: Arc<SequentialIds>) -> Self {
        let clock = Arc::new(TestClock::default());
        let store = connect(db.url()).await;
        let live = Arc::new(TestCounters::default());
        let policy = Arc::new(TestPolicy {
            store: store.clone(),
            snapshot: Mutex::default(),
            decision: Mutex::default(),
            asked: Mutex::default(),
            stall: Mutex::default(),
        });
        let fold = Arc::new(TestFold::default());
        let state = ManagementState::new(ManagementParts {
            store: store.clone(),
            live: live.clone(),
            fold: fold.clone(),
            publisher: policy.clone(),
            policy: policy.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            secrets: Arc::new(SystemSecrets::new()),
            environment_names: EnvironmentNames::default(),
            tasks: TaskTracker::new(),
        });
        Self {
            router: crate::router(state.clone()),
            state,
            store,
            clock,
            ids,
            live,
            policy,
            fold,
            db,
        }
    }

    /// Stores a management key with this secret and these permissions (`None` = all).
    pub(crate) async fn add_management_key(
        &self,
        secret: &str,
        scopes: Option<Vec<PermissionId>>,
    ) -> ManagementKeyId {
        let (secret_hash, key_prefix) = describe_secret(secret, crate::MANAGEMENT_KEY_PREFIX);
        let key = NewManagementKey {
            id: ManagementKeyId::from_uuid(self.ids.next_uuid()),
            name: "test".to_owned(),
            description: None,
            secret_hash,
            key_prefix,
            scopes: scopes.map(|scopes| scopes.into_iter().collect()),
            expires_at: None,
        };
        let mut tx = self.store.begin().await.unwrap();
        management_keys::create(&mut tx, &key, self.clock.now())
            .await
            .unwrap();
        let _nothing_to_publish = tx.commit().await.unwrap();
        key.id
    }

    /// Sends any request.
    pub(crate) async fn send(&self, request: Request<Body>) -> TestAnswer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        TestAnswer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Sends a request with this management key.
    pub(crate) async fn call_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> TestAnswer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_owned())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> TestAnswer {
        self.call_as(ADMIN, Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> TestAnswer {
        self.call_as(ADMIN, Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> TestAnswer {
        self.call_as(ADMIN, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> TestAnswer {
        self.call_as(ADMIN, Method::PUT, path, Some(body)).await
    }

    /// Makes a user, and returns its id.
    pub(crate) async fn add_user(&self, name: &str) -> String {
        let body = format!(r#"{{"name": "{name}", "email": "{name}@example.com"}}"#);
        let answer = self.post("/api/governance/users", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.text_at("/user/id")
    }

    /// Makes an access profile, and returns its id.
    pub(crate) async fn add_profile(&self, body: &str) -> i64 {
        let answer = self.post("/api/governance/access-profiles", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.body["access_profile"]["id"].as_i64().unwrap()
    }
}

impl TestAnswer {
    /// The text at a JSON pointer of the body.
    pub(crate) fn text_at(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found
            .unwrap_or_else(|| panic!("no text at {pointer} in {}", self.text))
            .to_owned()
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Status, code and place of an error.
    pub(crate) fn error(&self) -> (u16, &str, &str) {
        let error = &self.body["error"];
        (
            self.status.as_u16(),
            error["code"].as_str().unwrap_or_default(),
            error["param"].as_str().unwrap_or_default(),
        )
    }
}
