//! Phase by phase from a request to its answer.

use std::sync::Arc;

use http::{Request, Response, StatusCode, request};
use http_body::Body;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tollgate_domain::access::{Candidate, Endpoint};
use tollgate_domain::error::Origin;
use tollgate_domain::ids::RequestId;
use tollgate_domain::{ErrorKind, GatewayError};
use tollgate_gate::Gate;
use tollgate_llm::openai::Envelope;
use tollgate_llm::reply::Dialect;
use tracing::{Instrument as _, Span, field};

use crate::attempt::{self, Asked, Attempted};
use crate::body::ProxyBody;
use crate::config::ProxyConfig;
use crate::metrics::{self, Metrics};
use crate::route::Route;
use crate::run::{Facts, Run};
use crate::shared::{Shared, Shutdown, Slot};
use crate::upstream::UpstreamClient;
use crate::{credentials, guard, intake, models, reply, respond};

/// The data plane for model traffic. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Shared>);

impl Proxy {
    /// A data plane over this gate, whose metrics show up in `registry`. Closes idle connections in the background until
    /// `shutdown.soft` is cancelled, so it has to be made inside the runtime.
    pub fn new(
        gate: Arc<Gate>,
        upstream: UpstreamClient,
        config: ProxyConfig,
        shutdown: Shutdown,
        registry: &mut Registry,
    ) -> Self {
        let metrics = Metrics::new(registry);
        let shared = Arc::new(Shared::new(gate, upstream, config, shutdown, metrics));
        let sweeper = shared.clone();
        let soft = shared.shutdown.soft.clone();
        shared.shutdown.tracker.spawn(async move {
            let mut ticks = tokio::time::interval(sweeper.upstream.sweep_interval());
            while let Some(_tick) = soft.run_until_cancelled(ticks.tick()).await {
                sweeper.upstream.sweep();
            }
        });
        Self(shared)
    }

    /// Whether [`Self::serve`] is to answer this path. Everything else belongs to somebody else.
    pub fn handles(path: &str) -> bool {
        Route::of(path).is_some()
    }

    /// Answers a request. Every failure is an answer in the dialect of the route.
    ///
    /// Dropping the future, or the body of the answer before its end, says that the client has gone: what was sent is
    /// settled in the background, on the tracker of [`Shutdown`].
    pub async fn serve<B>(&self, request: Request<B>) -> Response<ProxyBody>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let arrived = Instant::now();
        let shared = &self.0;
        let id = shared.gate.new_request_id();
        let (parts, body) = request.into_parts();
        let route = Route::of(parts.uri.path()).unwrap_or(Route::Unknown);
        let name = route.name();
        let call = Incoming {
            shared,
            id,
            parts: &parts,
            arrived,
            route: name,
        };
        // At debug level: on the hot path a span costs more than the decision. The request log has a row for each request.
        let span = tracing::debug_span!(
            "request",
            request.id = %id,
            route.id = name,
            key.id = field::Empty,
            provider.name = field::Empty,
            gen_ai.request.model = field::Empty,
        );
        let refused = match call.answer(&route, body).instrument(span).await {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        shared.metrics.request(name, refused.kind.code());
        note(id, &refused);
        let response = respond::error(&refused, Dialect::OpenAi, &id.to_string());
        if refused.kind == ErrorKind::MethodNotAllowed {
            return respond::allow(response, &route.method());
        }
        response
    }
}

/// A refusal is the caller's to read; what is ours or the provider's is for the operator too.
pub(crate) fn note(id: RequestId, error: &GatewayError) {
    let cause = error.source.as_ref().map(tracing::field::display);
    if error.kind.origin() == Origin::Client {
        tracing::debug!(request.id = %id, error = %error, cause, "a request was refused");
    } else {
        tracing::warn!(request.id = %id, error = %error, cause, "a request failed");
    }
}

/// A request on its way through the phases.
struct Incoming<'a> {
    shared: &'a Arc<Shared>,
    id: RequestId,
    parts: &'a request::Parts,
    arrived: Instant,
    route: &'static str,
}

impl Incoming<'_> {
    async fn answer<B>(
        &self,
        route: &Route<'_>,
        body: B,
    ) -> Result<Response<ProxyBody>, GatewayError>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if matches!(route, Route::Unknown) {
            return Err(self.no_such_route());
        }
        if self.parts.method != route.method() {
            return Err(GatewayError::new(
                ErrorKind::MethodNotAllowed,
                format!("this route takes {} only", route.method()),
            ));
        }
        let slot = self.shared.enter()?;
        match route {
            Route::Model(endpoint) => self.model(*endpoint, body, slot).await,
            Route::Models => self.models(None),
            Route::OneModel(id) => self.models(Some(id)),
            Route::Unknown => Err(self.no_such_route()),
        }
    }

    fn no_such_route(&self) -> GatewayError {
        let path: String = self.parts.uri.path().chars().take(200).collect();
        GatewayError::new(
            ErrorKind::NotFound,
            format!("no route `{path}`; this is an OpenAI-compatible API under `/v1`"),
        )
    }

    fn models(&self, one: Option<&str>) -> Result<Response<ProxyBody>, GatewayError> {
        let gate = &self.shared.gate;
        let caller = gate.authenticate(&credentials::find(&self.parts.headers, &self.parts.uri))?;
        let body = match one {
            None => models::list(gate, &caller)?,
            Some(id) => models::one(gate, &caller, id)?,
        };
        self.shared.metrics.request(self.route, metrics::OK);
        Ok(respond::json(StatusCode::OK, body, &self.id.to_string()))
    }

    /// accept → authenticate → parse envelope → admit → call upstream → reply → settle.
    async fn model<B>(
        &self,
        endpoint: Endpoint,
        body: B,
        slot: Slot,
    ) -> Result<Response<ProxyBody>, GatewayError>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Self { shared, parts, .. } = self;
        let config = &shared.config;
        let caller = shared
            .gate
            .authenticate(&credentials::find(&parts.headers, &parts.uri))?;
        intake::check_type(&parts.headers)?;
        let body = intake::read(body, config.max_request_body, config.request_body_timeout).await?;
        let envelope = Envelope::parse(endpoint, &body)?;
        let span = Span::current();
        span.record("key.id", field::display(caller.key));
        span.record("gen_ai.request.model", &*envelope.model);
        let request = envelope.to_model_request(body.len());
        let admission = shared
            .gate
            .admit(&caller, self.id, &request, envelope.is_stream)?;
        if !attempt::is_servable(admission.candidate()) {
            return Err(not_servable(admission.candidate()));
        }
        let provider = &admission.candidate().provider.name;
        span.record("provider.name", provider.as_str());
        let facts = Facts {
            endpoint,
            is_stream: envelope.is_stream,
            hides_usage: envelope.is_stream && !envelope.wants_usage,
            body_bytes: body.len() as u64,
            arrived: self.arrived,
        };
        let mut guard = guard::guard(Run::new(admission, facts, slot));
        let asked = Asked {
            headers: &parts.headers,
            body: &body,
            envelope: &envelope,
            request: &request,
        };
        let deadline = Instant::now() + attempt::timeout(&guard);
        let attempted = attempt::make(&mut guard, &asked, deadline).await;
        Ok(match attempted {
            Attempted::Answered(head) => reply::answer(guard, head, deadline).await,
            Attempted::ErrorAnswer(head, body) => reply::upstream_error(guard, &head, body),
            Attempted::Failed(error) => reply::failure(guard, error),
            Attempted::Refused(refusal) => reply::refusal(guard, &refusal),
        })
    }
}

fn not_servable(candidate: &Candidate) -> GatewayError {
    let provider = &candidate.provider;
    GatewayError::new(
        ErrorKind::InvalidRequest,
        format!(
            "provider `{}` speaks the dialect `{}`, which this route cannot translate; name a model of an OpenAI-compatible provider",
            provider.name,
            provider.kind.as_str()
        ),
    )
    .with_param("model")
}
