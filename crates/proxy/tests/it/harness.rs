//! A data plane over a real ledger and a scripted provider.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_domain::access::{Copy, OutputDefaults};
use tollgate_domain::accounting::LedgerState;
use tollgate_domain::limits::{Meter, MeterKind};
use tollgate_domain::live::{Count, LiveCounters as _};
use tollgate_domain::provider::{NetworkSettings, Provider};
use tollgate_domain::snapshot::Snapshot;
use tollgate_domain::{Clock as _, IdSource as _};
use tollgate_gate::{Gate, GateParts};
use tollgate_ledger::{Ledger, LedgerConfig, LedgerStats};
use tollgate_proxy::{Proxy, ProxyBody, ProxyConfig, Shutdown, UpstreamClient, UpstreamConfig};
use tollgate_testkit::clock::{SequentialIds, TestClock};
use tollgate_testkit::entities::{
    catalog, copy, grant, key_text, meter, model_info, provider, snapshot_with,
};
use tollgate_testkit::provider::MockProvider;

/// Longest wait for something that has to happen; a test that gets here fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a test may change before the world starts.
pub(crate) struct Setup {
    pub(crate) config: ProxyConfig,
    pub(crate) provider: Provider,
    pub(crate) copy: Copy,
}

impl Setup {
    /// The provider `mock` at this address.
    pub(crate) fn at(base_url: &str) -> Self {
        let money = meter("money", MeterKind::Money, 1_000_000_000);
        let requests = meter("requests", MeterKind::Requests, 100);
        let tokens = meter("tokens", MeterKind::Tokens, 1_000_000);
        Self {
            config: ProxyConfig::default(),
            provider: provider("mock", base_url),
            copy: Copy {
                grants: vec![grant("mock")],
                meters: [money, requests, tokens].map(Arc::new).into(),
                ..copy("starter")
            },
        }
    }

    pub(crate) fn network(mut self, change: impl FnOnce(&mut NetworkSettings)) -> Self {
        let mut network = self.provider.network.as_deref().cloned().unwrap();
        change(&mut network);
        self.provider.network = Some(Arc::new(network));
        self
    }

    pub(crate) fn config(mut self, change: impl FnOnce(&mut ProxyConfig)) -> Self {
        change(&mut self.config);
        self
    }

    pub(crate) fn provider(mut self, change: impl FnOnce(&mut Provider)) -> Self {
        change(&mut self.provider);
        self
    }

    pub(crate) fn copy(mut self, change: impl FnOnce(&mut Copy)) -> Self {
        change(&mut self.copy);
        self
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let small = model_info(1, 2);
        let mut thinker = model_info(1, 2);
        thinker.capabilities.reasoning = true;
        let catalog = catalog([("mock", "small", small), ("mock", "thinker", thinker)]);
        snapshot_with(self.copy.clone(), self.provider.clone(), catalog)
    }

    pub(crate) fn start(self) -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let ids = Arc::new(SequentialIds::default());
        let config = LedgerConfig::new(dir.path(), ids.next_uuid());
        let ledger = Ledger::open(config, LedgerState::default(), clock.now()).unwrap();
        let mut registry = Registry::default();
        let parts = GateParts {
            ledger: Arc::new(ledger),
            clock: clock.clone(),
            ids,
            snapshot: self.snapshot(),
            output: OutputDefaults::default(),
        };
        let gate = Gate::new(parts, &mut registry);
        let shutdown = Shutdown::default();
        let proxy = Proxy::new(
            gate.clone(),
            UpstreamClient::new(UpstreamConfig::default()),
            self.config,
            shutdown.clone(),
            &mut registry,
        );
        World {
            proxy,
            gate,
            shutdown,
            clock,
            registry,
            setup_meters: self.copy.meters,
            _dir: dir,
        }
    }
}

/// A running data plane.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) gate: Arc<Gate>,
    pub(crate) shutdown: Shutdown,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) registry: Registry,
    setup_meters: Vec<Arc<Meter>>,
    _dir: TempDir,
}

/// A world whose provider is `mock`.
pub(crate) async fn world() -> (World, MockProvider) {
    let mock = MockProvider::start().await;
    (Setup::at(&mock.base_url()).start(), mock)
}

impl World {
    /// Sends `body` to the chat route as ada.
    pub(crate) async fn chat(&self, body: &Value) -> Answer {
        Answer::of(self.send(chat(body)).await).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<ProxyBody> {
        within(self.proxy.serve(request)).await
    }

    pub(crate) async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::of(self.send(request).await).await
    }

    /// What a meter has counted.
    pub(crate) fn count(&self, kind: MeterKind) -> Count {
        let meter = self
            .setup_meters
            .iter()
            .find(|meter| meter.id.kind == kind)
            .unwrap();
        self.gate.ledger().count(meter, self.clock.now())
    }

    /// Nano-dollars that were charged.
    pub(crate) fn spent(&self) -> i64 {
        let money = self.count(MeterKind::Money);
        assert_eq!(money.reserved, 0, "a hold outlived its request");
        money.used
    }

    pub(crate) fn stats(&self) -> LedgerStats {
        self.gate.ledger().stats()
    }

    /// Waits for everything that went to the background. No further request may follow.
    pub(crate) async fn settle_down(&self) {
        self.shutdown.soft.cancel();
        self.shutdown.tracker.close();
        within(self.shutdown.tracker.wait()).await;
    }

    /// The value of a metric, by the beginning of its line.
    pub(crate) fn metric(&self, line: &str) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines()
            .find_map(|found| found.strip_prefix(line))
            .map(|value| value.trim().to_owned())
    }
}

/// Fails the test when `future` does not come to an end.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it ends in time")
}

/// A chat request of ada's.
pub(crate) fn chat(body: &Value) -> Request<Full<Bytes>> {
    post("/v1/chat/completions", body.to_string())
}

/// Any POST of ada's.
pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", key_text("ada")))
        .body(Full::new(body.into()))
        .unwrap()
}

/// Any GET of ada's.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .uri(path)
        .header("authorization", format!("Bearer {}", key_text("ada")))
        .body(Full::default())
        .unwrap()
}

/// A question to the small model.
pub(crate) fn question() -> Value {
    json!({"model": "mock/small", "messages": [{"role": "user", "content": "Hi"}]})
}

/// The same, streamed.
pub(crate) fn streamed_question() -> Value {
    let mut question = question();
    question["stream"] = true.into();
    question
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: Response<ProxyBody>) -> Self {
        let (parts, body) = response.into_parts();
        let collected: Result<_, Infallible> = within(body.collect()).await;
        Self {
            status: parts.status,
            headers: parts.headers,
            body: collected.unwrap().to_bytes(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The status and the code of the error.
    pub(crate) fn error(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].as_str().unwrap().to_owned();
        (self.status.as_u16(), code)
    }
}

/// The next bytes of a streamed answer, `None` at its end.
pub(crate) async fn next(body: &mut ProxyBody) -> Option<Bytes> {
    let frame = within(body.frame()).await?;
    Some(frame.unwrap().into_data().unwrap())
}
