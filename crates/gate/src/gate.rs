//! The gate: one snapshot, one ledger, one way in.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use tollgate_domain::access::{Candidate, ModelRequest, OutputDefaults, evaluate};
use tollgate_domain::ids::RequestId;
use tollgate_domain::snapshot::Snapshot;
use tollgate_domain::{Clock, ErrorKind, GatewayError, IdSource, Timestamp};
use tollgate_ledger::{Ledger, ReserveError, Unavailable};

use crate::admission::Admission;
use crate::credentials::{Caller, Credentials};
use crate::facts::Asked;
use crate::learned::Experiences;
use crate::metrics::Metrics;
use crate::running::Running;

/// What a gate is made of.
pub struct GateParts {
    /// The ledger that admits and charges.
    pub ledger: Arc<Ledger>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// The first snapshot.
    pub snapshot: Snapshot,
    /// What is assumed of requests that name no output limit.
    pub output: OutputDefaults,
}

/// The one way to a model: shared by every request of the data plane.
pub struct Gate {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) learned: Experiences,
    pub(crate) metrics: Metrics,
    pub(crate) running: Arc<Running>,
    ids: Arc<dyn IdSource>,
}

impl Gate {
    /// A gate over these parts, whose metrics show up in `registry`.
    pub fn new(parts: GateParts, registry: &mut Registry) -> Arc<Self> {
        let GateParts {
            ledger,
            clock,
            ids,
            snapshot,
            output,
        } = parts;
        let running = Arc::new(Running::default());
        Arc::new(Self {
            metrics: Metrics::register(registry, &ledger, &running, &clock),
            running,
            snapshot: ArcSwap::from_pointee(snapshot),
            ledger,
            clock,
            learned: Experiences::new(output),
            ids,
        })
    }

    /// The snapshot that holds now. Keep it for one attempt, never longer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The ledger behind this gate.
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The present instant, as the gate sees it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new request id: the `x-request-id` of the answer, the hold in the ledger and the row in the request log.
    pub fn new_request_id(&self) -> RequestId {
        RequestId::from_uuid(self.ids.next_uuid())
    }

    /// Finds out who calls.
    ///
    /// # Errors
    /// 401: no key, two different ones, a management key, or one that opens nothing.
    pub fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Caller, GatewayError> {
        credentials
            .caller(&self.snapshot.load(), self.clock.now())
            .inspect_err(|error| self.metrics.refused(error.kind))
    }

    /// Decides on a request and reserves what it may consume.
    ///
    /// The candidates are tried in the order in which they pay; the first that has room in all of its limits is
    /// admitted. A refusal is recorded in the request log.
    ///
    /// # Errors
    /// The refusal: of policy, or of a full limit (429 when any candidate is only full of running requests, else the
    /// first candidate's), or 503 when the ledger takes no writes.
    pub fn admit(
        self: &Arc<Self>,
        caller: &Caller,
        id: RequestId,
        request: &ModelRequest<'_>,
        is_stream: bool,
    ) -> Result<Admission, GatewayError> {
        let asked = Asked {
            id,
            caller: *caller,
            request,
            is_stream,
            at: self.clock.now(),
        };
        let mut reserve = |candidate: &Candidate| {
            let facts = asked.facts(candidate);
            self.ledger.reserve(facts, &candidate.needs, asked.at)
        };
        match self.first_with_room(&asked, &mut |_| true, &mut reserve) {
            Ok((candidate, hold)) => {
                self.metrics.admitted();
                Ok(Admission::new(self.clone(), &asked, candidate, hold))
            }
            Err((error, candidate)) => {
                self.metrics.refused(error.kind);
                self.record_refusal(&asked, candidate.as_deref(), &error);
                Err(error)
            }
        }
    }

    fn record_refusal(
        &self,
        asked: &Asked<'_>,
        candidate: Option<&Candidate>,
        error: &GatewayError,
    ) {
        let entry = asked.refused(candidate, error, self.clock.now());
        if let Err(lost) = self.ledger.refuse(entry) {
            tracing::warn!(request.id = %asked.id, error = %lost, "a refusal is missing from the request log");
        }
    }

    /// Evaluates the newest snapshot and lets `take` have the candidates that `accepts` likes, until one has room.
    pub(crate) fn first_with_room<T>(
        &self,
        asked: &Asked<'_>,
        accepts: &mut dyn FnMut(&Candidate) -> bool,
        take: &mut dyn FnMut(&Candidate) -> Result<T, ReserveError>,
    ) -> Result<(Candidate, T), Refused> {
        // Borrowed: every request of every thread would count on the same number.
        let snapshot = self.snapshot.load();
        let key = asked
            .caller
            .find(&snapshot, asked.at)
            .map_err(|error| (error, None))?;
        let plan = evaluate(&snapshot, key, asked.request, &self.learned, asked.at);
        if let Some(refusal) = plan.refusal {
            return Err((refusal, None));
        }
        let mut refused: Option<Refused> = None;
        for candidate in plan.candidates {
            if !accepts(&candidate) {
                continue;
            }
            match take(&candidate) {
                Ok(taken) => return Ok((candidate, taken)),
                Err(ReserveError::Unavailable(unavailable)) => {
                    return Err((ledger_unavailable(unavailable), None));
                }
                Err(ReserveError::Full(refusal)) => {
                    let error =
                        refused_by_limit(&candidate, asked.request.choices, *refusal, asked.at);
                    let is_better = refused
                        .as_ref()
                        .is_none_or(|(kept, _)| is_transient(&error) && !is_transient(kept));
                    if is_better {
                        refused = Some((error, Some(Box::new(candidate))));
                    }
                }
            }
        }
        Err(refused.unwrap_or_else(|| (nothing_left(), None)))
    }
}

/// A refusal, with the candidate that it is about when policy allowed one.
pub(crate) type Refused = (GatewayError, Option<Box<Candidate>>);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("revision", &self.snapshot.load().revision)
            .finish_non_exhaustive()
    }
}

/// The refusal of a full limit, with the largest output that would fit what is left of a budget.
pub(crate) fn refused_by_limit(
    candidate: &Candidate,
    choices: u64,
    mut refusal: tollgate_domain::error::LimitRefusal,
    now: Timestamp,
) -> GatewayError {
    use tollgate_domain::Usd;
    use tollgate_domain::limits::MeterKind;
    if refusal.kind == MeterKind::Money && !refusal.is_transient {
        let left = refusal.reading.limit.saturating_sub(refusal.reading.used);
        refusal.largest_output_that_fits = Some(Usd::from_nanos(left))
            .filter(|left| *left > Usd::ZERO)
            .and_then(|left| candidate.estimate.largest_output_within(left))
            .map(|output| output / choices.max(1));
    }
    GatewayError::limit(refusal, now)
}

fn is_transient(error: &GatewayError) -> bool {
    error.limit.as_ref().is_some_and(|limit| limit.is_transient)
}

fn ledger_unavailable(unavailable: Unavailable) -> GatewayError {
    GatewayError::new(
        ErrorKind::LedgerUnavailable,
        "requests cannot be metered now; try again in a moment",
    )
    .with_retry_after(1)
    .with_source(unavailable)
}

/// Every candidate was left out by the one who asked.
fn nothing_left() -> GatewayError {
    GatewayError::new(
        ErrorKind::UpstreamError,
        "no other provider or payer may serve this request",
    )
}
