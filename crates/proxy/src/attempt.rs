//! Phase "call upstream": one attempt, and whether there is another one.
//!
//! A further attempt is made only while nothing has come back that the client could have, and only when the attempt
//! before it cost nothing: no connection, or an error status. Each one takes the newest snapshot, exchanges the hold, and
//! goes on with the next credential where the last one was refused.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, response};
use http_body_util::Full;
use smallvec::SmallVec;
use tokio::time::Instant;
use tollgate_domain::access::{Candidate, ModelRequest};
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::{NetworkSettings, ProviderKey, ProviderType};
use tollgate_domain::{ErrorKind, GatewayError};
use tollgate_llm::openai::{Edits, Envelope, OutputField, OutputLimit, splice};
use tollgate_llm::sandbox;

use crate::metrics::AttemptResult;
use crate::run::Run;
use crate::source::{Sandbox, Source};
use crate::upstream::{Origin, UpstreamError, UpstreamRequest};
use crate::{headers, turn};

/// Largest body of a provider's error that is passed on.
const MAX_ERROR_BODY: usize = 256 << 10;
/// How long a provider that takes no configuration of its own is given.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// What the client sent, as every attempt needs it.
pub(crate) struct Asked<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) envelope: &'a Envelope<'a>,
    pub(crate) request: &'a ModelRequest<'a>,
}

/// What came of all attempts.
pub(crate) enum Attempted {
    /// Status and headers of a success. The body is still to come.
    Answered(response::Parts),
    /// An error of the provider, with its body.
    ErrorAnswer(response::Parts, Bytes),
    /// No answer.
    Failed(UpstreamError),
    /// The newest snapshot, or the ledger, refuses a further attempt.
    Refused(GatewayError),
}

/// Whether this route can be served by `candidate` without translating.
pub(crate) fn is_servable(candidate: &Candidate) -> bool {
    matches!(
        candidate.provider.kind,
        ProviderType::OpenAi | ProviderType::Sandbox
    )
}

/// Makes attempts until one is final. `run` knows at every moment what would be owed.
pub(crate) async fn make(run: &mut Run, asked: &Asked<'_>, deadline: Instant) -> Attempted {
    let mut tries = Tries::default();
    loop {
        let key = tries.next_key(&run.admission.candidate().keys).cloned();
        let attempted = once(run, asked, key.as_deref(), deadline).await;
        let Some(pause) = tries.pause_before_next(run, &attempted, key.as_deref()) else {
            return attempted;
        };
        if Instant::now() + pause >= deadline || run.shared().shutdown.soft.is_cancelled() {
            return attempted;
        }
        run.attempt_failed();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if let Err(refusal) = run.admission.exchange(asked.request, is_servable) {
            return Attempted::Refused(refusal);
        }
    }
}

/// From the first attempt to the head of the answer; for plain answers, to their end.
pub(crate) fn timeout(run: &Run) -> Duration {
    network(run).map_or(DEFAULT_TIMEOUT, |network| network.request_timeout)
}

fn network(run: &Run) -> Option<&NetworkSettings> {
    run.admission.candidate().provider.network.as_deref()
}

async fn once(
    run: &mut Run,
    asked: &Asked<'_>,
    key: Option<&ProviderKey>,
    deadline: Instant,
) -> Attempted {
    // The request counts as one from here on, also when the connection fails.
    run.admission.mark_dispatched();
    let answered = match run.admission.candidate().provider.kind {
        ProviderType::Sandbox => send_to_sandbox(run, asked, key).await,
        _ => tokio::time::timeout_at(deadline, send(run, asked, key))
            .await
            .unwrap_or_else(|_| {
                Err(if run.source.is_none() {
                    UpstreamError::ConnectTimeout
                } else {
                    UpstreamError::Timeout
                })
            }),
    };
    let metrics = &run.shared().metrics;
    let head = match answered {
        Ok(head) => head,
        Err(error) => {
            metrics.attempt(result_of(&error));
            return Attempted::Failed(error);
        }
    };
    let is_success = head.status.is_success();
    metrics.attempt(if is_success {
        AttemptResult::Answered
    } else {
        AttemptResult::ErrorStatus
    });
    run.answered(&head);
    if is_success {
        return Attempted::Answered(head);
    }
    // An error whose body does not come in full is an error all the same.
    let body = tokio::time::timeout_at(deadline, run.collect(MAX_ERROR_BODY)).await;
    Attempted::ErrorAnswer(head, body.ok().and_then(Result::ok).unwrap_or_default())
}

const fn result_of(error: &UpstreamError) -> AttemptResult {
    if error.is_timeout() {
        AttemptResult::TimedOut
    } else if error.is_unsent() {
        AttemptResult::NotConnected
    } else {
        AttemptResult::Broken
    }
}

/// Sends the request and waits for the head of the answer.
async fn send(
    run: &mut Run,
    asked: &Asked<'_>,
    key: Option<&ProviderKey>,
) -> Result<response::Parts, UpstreamError> {
    let origin = run
        .shared()
        .upstream
        .origin(&run.admission.candidate().provider)?;
    let request = build(run, asked, key, &origin)?;
    turn::others_first().await;
    let call = run.shared().upstream.start(&origin, request).await?;
    let is_reused = call.is_reused();
    run.dispatched(Source::Upstream(call));
    let answered = head(run).await;
    match answered {
        Err(error) if is_reused && error.is_stale() && may_be_repeated(run, &error) => {
            // The provider closed the idle connection while the request was on its way. It answered nothing.
            run.shared().metrics.stale_connection();
            run.attempt_failed();
            let request = build(run, asked, key, &origin)?;
            let call = run.shared().upstream.start_fresh(&origin, request).await?;
            run.dispatched(Source::Upstream(call));
            head(run).await
        }
        other => other,
    }
}

/// Nobody can know that a provider which closes a connection has not begun to work on what came in by it. Usually it has
/// not; `bound` promises that whatever a provider was made to do is charged.
fn may_be_repeated(run: &Run, error: &UpstreamError) -> bool {
    error.is_unsent() || !run.admission.candidate().estimate.is_bound
}

async fn head(run: &mut Run) -> Result<response::Parts, UpstreamError> {
    match &mut run.source {
        Some(source) => source.head().await,
        None => Err(UpstreamError::Timeout),
    }
}

fn build(
    run: &Run,
    asked: &Asked<'_>,
    key: Option<&ProviderKey>,
    origin: &Origin,
) -> Result<UpstreamRequest, UpstreamError> {
    let candidate = run.admission.candidate();
    let host = origin.network().base_url.host_str().unwrap_or_default();
    let body = spliced(candidate, asked, key, OutputField::for_host(host));
    let headers = headers::to_provider(
        asked.headers,
        origin.base_headers(),
        &candidate.provider,
        key,
    )
    .map_err(|error| UpstreamError::Settings(error.to_string()))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = origin.uri(asked.request.endpoint).clone();
    *request.headers_mut() = headers;
    Ok(request)
}

/// The client's body with what has to differ cut in.
fn spliced(
    candidate: &Candidate,
    asked: &Asked<'_>,
    key: Option<&ProviderKey>,
    field: OutputField,
) -> Bytes {
    let model = key.map_or(&*candidate.model, |key| key.resolve_alias(&candidate.model));
    let edits = Edits {
        model,
        ask_for_usage: true,
        output_limit: candidate
            .estimate
            .output_limit_to_send
            .map(|tokens| OutputLimit { field, tokens }),
    };
    splice(asked.body, asked.envelope, &edits)
}

async fn send_to_sandbox(
    run: &mut Run,
    asked: &Asked<'_>,
    key: Option<&ProviderKey>,
) -> Result<response::Parts, UpstreamError> {
    let candidate = run.admission.candidate();
    let body = spliced(candidate, asked, key, OutputField::MaxTokens);
    let id = run.admission.request_id().to_string();
    let now = run.shared().gate.now();
    let answer = sandbox::answer(asked.request.endpoint, &body, &id, now);
    let mut head = http::Response::new(()).into_parts().0;
    head.status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    head.headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(answer.content_type),
    );
    run.dispatched(Source::Sandbox(Sandbox {
        head: Some(head),
        body: answer.body,
        is_resting: false,
    }));
    self::head(run).await
}

/// What was tried already.
#[derive(Debug, Default)]
struct Tries {
    retries: u32,
    refused_keys: SmallVec<[ProviderKeyId; 4]>,
}

impl Tries {
    /// The best credential that was not refused yet; when all were, the best one again.
    fn next_key<'k>(
        &self,
        keys: &'k [std::sync::Arc<ProviderKey>],
    ) -> Option<&'k std::sync::Arc<ProviderKey>> {
        keys.iter()
            .find(|key| !self.refused_keys.contains(&key.id))
            .or_else(|| keys.first())
    }

    /// How long to wait before the next attempt; `None` when this one is final.
    fn pause_before_next(
        &mut self,
        run: &Run,
        attempted: &Attempted,
        key: Option<&ProviderKey>,
    ) -> Option<Duration> {
        let network = network(run)?;
        let wish = match attempted {
            Attempted::Failed(error) if error.is_transient() => None,
            Attempted::ErrorAnswer(head, _) => {
                let is_about_key = matches!(head.status.as_u16(), 401 | 403 | 429);
                if is_about_key && self.has_another_key(run, key) {
                    return Some(Duration::ZERO);
                }
                match head.status.as_u16() {
                    429 | 500 | 502 | 503 | 504 | 529 => {
                        headers::retry_after_seconds(&head.headers)
                    }
                    _ => return None,
                }
            }
            Attempted::Answered(_) | Attempted::Refused(_) | Attempted::Failed(_) => return None,
        };
        if self.retries >= network.max_retries {
            return None;
        }
        let longest = network.retry_backoff_max;
        let wish = wish.map(Duration::from_secs);
        if wish.is_some_and(|wish| wish > longest) {
            // The client learns how long to wait, and may know better what to do with the time.
            return None;
        }
        let step = backoff(network, self.retries, jitter(run));
        self.retries += 1;
        Some(wish.map_or(step, |wish| wish.max(step)))
    }
}

impl Tries {
    /// Sets the refused credential aside and says whether there is one left.
    fn has_another_key(&mut self, run: &Run, refused: Option<&ProviderKey>) -> bool {
        if let Some(key) = refused {
            self.refused_keys.push(key.id);
        }
        let keys = &run.admission.candidate().keys;
        keys.iter().any(|key| !self.refused_keys.contains(&key.id))
    }
}

/// Doubles with each retry; between half of the step and the whole of it, so that clients who failed together do not come
/// back together.
fn backoff(network: &NetworkSettings, retries: u32, jitter: u16) -> Duration {
    let step = network
        .retry_backoff_initial
        .saturating_mul(1_u32.checked_shl(retries).unwrap_or(u32::MAX))
        .min(network.retry_backoff_max);
    let half = step / 2;
    half + half.mul_f64(f64::from(jitter) / f64::from(u16::MAX))
}

/// The random end of the request's id.
fn jitter(run: &Run) -> u16 {
    let [.., a, b] = *run.admission.request_id().uuid().as_bytes();
    u16::from_be_bytes([a, b])
}

/// The failure of an attempt, for the caller.
pub(crate) fn failure(run: &Run, error: UpstreamError) -> GatewayError {
    let kind = if error.is_timeout() {
        ErrorKind::UpstreamTimeout
    } else {
        ErrorKind::UpstreamError
    };
    let provider = &run.admission.candidate().provider.name;
    GatewayError::new(kind, format!("provider `{provider}`: {error}")).with_source(error)
}
