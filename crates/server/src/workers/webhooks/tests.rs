//! Told to a scripted receiver, with a clock that stands still until it is told to move.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tollgate_domain::events::EventKind;
use tollgate_domain::ids::{AuditEntryId, WebhookId};
use tollgate_domain::{Clock as _, IdSource as _};
use tollgate_storage::audit::{self, NewAuditEntry};
use tollgate_storage::webhooks::deliveries::{self, Delivery, DeliveryState};
use tollgate_storage::webhooks::{self, StoredWebhook};
use tollgate_storage::{PageRequest, Store, Vault};
use tollgate_testkit::clock::{SequentialIds, TestClock};
use tollgate_testkit::provider::{MockProvider, Script};

use super::signature::sign;
use super::{Sender, WebhookMetrics, WebhookWorker, beside};
use crate::config::{Period, Webhooks};

const SECRET: &str = "a secret of the tests";

/// A worker, and a receiver with one webhook.
struct Stage {
    receiver: MockProvider,
    clock: Arc<TestClock>,
    ids: Arc<SequentialIds>,
    store: Store,
    hook: StoredWebhook,
    worker: WebhookWorker,
    _directory: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(TestClock::default());
        let vault = Arc::new(Vault::new(&[7; 32]).unwrap());
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = Store::connect(&url, vault, clock.now()).await.unwrap();
        let receiver = MockProvider::start().await;
        receiver.always(Script::answer(200, &[], ""));
        let ids = Arc::new(SequentialIds::default());
        let hook = StoredWebhook {
            id: WebhookId::from_uuid(ids.next_uuid()),
            url: format!("{}/hook?token=1", receiver.base_url()),
            events: vec![EventKind::KeyRotated],
            secret: SECRET.into(),
            allow_private_network: false,
            is_active: true,
            created_at: clock.now(),
            updated_at: clock.now(),
        };
        let mut tx = store.begin().await.unwrap();
        webhooks::create(&mut tx, &hook).await.unwrap();
        let _nothing = tx.commit().await.unwrap();
        let worker = WebhookWorker {
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            settings: Webhooks {
                retry_initial: Period::from_secs(10),
                max_attempts: 3,
                ..Webhooks::default()
            },
            sender: Sender::new(Duration::from_secs(5)).unwrap(),
            metrics: WebhookMetrics::default(),
        };
        Self {
            receiver,
            clock,
            ids,
            store,
            hook,
            worker,
            _directory: directory,
        }
    }

    /// Something happens that the webhook is told of.
    async fn rotate(&self) -> AuditEntryId {
        let id = AuditEntryId::from_uuid(self.ids.next_uuid());
        let entry = NewAuditEntry {
            id,
            at: self.clock.now(),
            actor: "test".to_owned(),
            action: "rotate",
            target_kind: "virtual_key",
            target_id: "vk_1".to_owned(),
            profile: None,
            user: None,
            previous_values: None,
            new_values: None,
            metadata: None,
        };
        let mut tx = self.store.begin().await.unwrap();
        audit::append(&mut tx, entry).await.unwrap();
        let _nothing = tx.commit().await.unwrap();
        id
    }

    async fn set_url(&mut self, url: String) {
        self.hook.url = url;
        let mut tx = self.store.begin().await.unwrap();
        webhooks::update(&mut tx, &self.hook).await.unwrap();
        let _nothing = tx.commit().await.unwrap();
    }

    /// One turn of the webhook, when something is due.
    async fn turn(&self) {
        for id in self.worker.next_turns(&[]).await.unwrap() {
            self.worker.tell(id, &CancellationToken::new()).await;
        }
    }

    /// Every delivery, oldest first.
    async fn deliveries(&self) -> Vec<Delivery> {
        let page = PageRequest::default();
        let found = deliveries::list(&self.store, self.hook.id, None, None, page).await;
        found.unwrap().items.into_iter().rev().collect()
    }

    /// What came for which event, in order of arrival.
    fn received(&self) -> Vec<String> {
        let exchanges = self.receiver.exchanges();
        let ids = exchanges
            .iter()
            .map(|exchange| exchange.request.header("webhook-id"));
        ids.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn an_event_is_told_once_and_signed() {
    let stage = Stage::new().await;
    let id = stage.rotate().await;
    stage.turn().await;
    stage.turn().await;
    let exchanges = stage.receiver.exchanges();
    assert_eq!(exchanges.len(), 1);
    let request = &exchanges[0].request;
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/hook?token=1")
    );
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), id.to_string());
    let seconds: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert_eq!(seconds, stage.clock.now().as_micros() / 1_000_000);
    let body = std::str::from_utf8(&request.body).unwrap();
    assert_eq!(
        request.header("webhook-signature"),
        sign(&SECRET.into(), &id.to_string(), seconds, body)
    );
    assert_eq!(request.json()["type"], "virtual_key.rotated");
    let delivery = stage.deliveries().await.remove(0);
    assert_eq!(
        (delivery.state, delivery.attempts, delivery.last_status),
        (DeliveryState::Delivered, 1, Some(200))
    );
}

#[tokio::test]
async fn a_failed_event_is_told_again_later_and_then_the_ones_behind_it() {
    let stage = Stage::new().await;
    let (first, second) = (stage.rotate().await, stage.rotate().await);
    stage.receiver.next(Script::answer(500, &[], "no"));
    stage.turn().await;
    stage.turn().await;
    assert_eq!(stage.received(), [first.to_string()], "the webhook rests");
    let failed = stage.deliveries().await.remove(0);
    assert_eq!(
        (failed.state, failed.last_status),
        (DeliveryState::Pending, Some(500))
    );
    assert_eq!(failed.last_error.as_deref(), Some("the answer was 500"));
    stage.clock.advance(Duration::from_secs(10));
    stage.turn().await;
    let told = [first, first, second].map(|id| id.to_string());
    assert_eq!(stage.received(), told);
    let bodies: Vec<_> = stage.receiver.exchanges();
    assert_eq!(bodies[0].request.body, bodies[1].request.body);
    let signatures = [0, 1].map(|at| bodies[at].request.header("webhook-signature").to_owned());
    assert_ne!(
        signatures[0], signatures[1],
        "each attempt is signed with its own time"
    );
    let states = stage.deliveries().await.into_iter().map(|each| each.state);
    assert!(
        states
            .into_iter()
            .all(|state| state == DeliveryState::Delivered)
    );
}

#[tokio::test]
async fn an_event_that_nobody_takes_is_given_up() {
    let stage = Stage::new().await;
    stage.receiver.always(Script::answer(503, &[], ""));
    stage.rotate().await;
    for _ in 0..5 {
        stage.turn().await;
        stage.clock.advance(Duration::from_hours(1));
    }
    assert_eq!(stage.received().len(), 3);
    let delivery = stage.deliveries().await.remove(0);
    assert_eq!(
        (delivery.state, delivery.attempts, delivery.next_attempt_at),
        (DeliveryState::Dead, 3, None)
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nothing_to_follow() {
    let stage = Stage::new().await;
    let elsewhere = format!("{}/elsewhere", stage.receiver.base_url());
    let headers = [("location", elsewhere.as_str())];
    stage.receiver.next(Script::answer(307, &headers, ""));
    stage.rotate().await;
    stage.turn().await;
    assert_eq!(stage.received().len(), 1);
    assert_eq!(stage.deliveries().await[0].last_status, Some(307));
}

#[tokio::test]
async fn a_name_leads_into_the_private_network_only_when_that_is_meant() {
    let mut stage = Stage::new().await;
    let by_name = stage.hook.url.replace("127.0.0.1", "localhost");
    stage.set_url(by_name).await;
    stage.rotate().await;
    stage.turn().await;
    let refused = stage.deliveries().await.remove(0);
    assert!(stage.received().is_empty());
    let error = refused.last_error.unwrap();
    assert!(error.contains("resolves to a private address"), "{error}");
    assert!(!error.contains("token"), "{error}");
    stage.hook.allow_private_network = true;
    stage.set_url(stage.hook.url.clone()).await;
    stage.clock.advance(Duration::from_secs(10));
    stage.turn().await;
    assert_eq!(stage.received().len(), 1);
}

#[tokio::test]
async fn the_running_worker_is_woken_by_what_happens() {
    let stage = Stage::new().await;
    let stop = CancellationToken::new();
    let happens = async {
        let id = stage.rotate().await;
        let exchanges = stage.receiver.wait_for(1).await;
        assert_eq!(exchanges[0].request.header("webhook-id"), id.to_string());
        stop.cancel();
    };
    tokio::join!(stage.worker.run(stop.clone()), happens);
}

#[tokio::test]
async fn old_deliveries_are_forgotten_now_and_then() {
    let stage = Stage::new().await;
    stage.rotate().await;
    let mut tidied_at = None;
    stage.worker.tidy(&mut tidied_at).await.unwrap();
    stage.clock.advance(stage.worker.settings.retention.0);
    stage
        .worker
        .tidy(&mut Some(stage.clock.now()))
        .await
        .unwrap();
    assert_eq!(stage.deliveries().await.len(), 1, "it looked a moment ago");
    stage.clock.advance(Duration::from_secs(1));
    stage.worker.tidy(&mut tidied_at).await.unwrap();
    assert_eq!(stage.deliveries().await.len(), 0);
}

#[tokio::test]
async fn looking_for_work_does_not_hold_up_those_who_have_what_it_waits_for() {
    let connections = tokio::sync::Semaphore::new(1);
    let (polled, is_polled) = tokio::sync::oneshot::channel();
    let mut running = FuturesUnordered::new();
    running.push(async {
        let _connection = connections.acquire().await.unwrap();
        polled.send(()).unwrap();
        // The answer of the database comes later.
        tokio::task::yield_now().await;
        "told"
    });
    let look = async {
        is_polled.await.unwrap();
        let _connection = connections.acquire().await.unwrap();
        "found"
    };
    assert_eq!(beside(&mut running, look).await, ("found", vec!["told"]));
}
