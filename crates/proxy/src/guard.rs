//! Phase "settle" when nobody waits any more: a client that leaves does not leave its bill behind.

use scopeguard::ScopeGuard;
use tokio::runtime::Handle;
use tollgate_domain::TokenUsage;
use tollgate_domain::accounting::Outcome;

use crate::run::{CLIENT_GONE, Cut, Progress, Run};
use crate::upstream::UpstreamError;

/// Owns a run while a client waits for it. When it is dropped with the run still inside, the client has gone: the
/// provider is listened to for a while longer, in the background, and then the run is settled.
pub(crate) type Guard = ScopeGuard<Box<Run>, fn(Box<Run>)>;

/// Puts `run` under guard. [`ScopeGuard::into_inner`] takes it out, in order to settle it.
pub(crate) fn guard(run: Run) -> Guard {
    scopeguard::guard(Box::new(run), abandon)
}

fn abandon(run: Box<Run>) {
    let shared = run.shared();
    shared.metrics.client_gone();
    let shutdown = &shared.shutdown;
    let runtime = Handle::try_current();
    match runtime {
        Ok(runtime) if run.source.is_some() && !shutdown.hard.is_cancelled() => {
            let tracker = shutdown.tracker.clone();
            tracker.spawn_on(drain(run), &runtime);
        }
        _ => settle_gone(run),
    }
}

/// Listens to the rest of the answer, for a bounded time, and settles.
async fn drain(mut run: Box<Run>) {
    let patience = run.shared().config.drain_timeout;
    let hard = run.shared().shutdown.hard.clone();
    let max = run.shared().config.max_response_body;
    let listened = tokio::select! {
        listened = listen(&mut run, max) => Some(listened),
        () = tokio::time::sleep(patience) => None,
        () = hard.cancelled() => None,
    };
    match listened {
        Some(Ok(Heard::Plain(body))) => {
            let (outcome, usage) = match &run.progress {
                Progress::Collecting { status, .. } => run.charge_plain(*status, &body),
                _ => (Outcome::InDoubt, TokenUsage::default()),
            };
            run.settle(outcome, usage, CLIENT_GONE, Some("client_gone"));
        }
        Some(Ok(Heard::Stream)) => settle_stream(run, Cut::Complete),
        Some(Err(error)) if error.is_unsent() => {
            run.settle(
                Outcome::Failed,
                TokenUsage::default(),
                CLIENT_GONE,
                Some("client_gone"),
            );
        }
        Some(Err(_)) | None => settle_gone(run),
    }
}

/// What was heard to the end.
enum Heard {
    Plain(bytes::Bytes),
    /// Its meter knows.
    Stream,
}

async fn listen(run: &mut Run, max: usize) -> Result<Heard, UpstreamError> {
    if matches!(run.progress, Progress::Waiting)
        && let Some(source) = &mut run.source
    {
        let head = source.head().await?;
        run.answered(&head);
    }
    if let (Some(source), Progress::Streaming(meter)) = (&mut run.source, &mut run.progress) {
        while let Some(piece) = source.data().await.transpose()? {
            meter.push(&piece);
        }
        meter.finish();
        return Ok(Heard::Stream);
    }
    run.collect(max).await.map(Heard::Plain)
}

/// Settles without having heard the end.
fn settle_gone(run: Box<Run>) {
    let nothing = TokenUsage::default();
    let outcome = match &run.progress {
        Progress::Streaming(_) => return settle_stream(run, Cut::Abandoned),
        Progress::Between => Outcome::Failed,
        Progress::Collecting { status, .. } if !status.is_success() => Outcome::Failed,
        Progress::Waiting | Progress::Collecting { .. } => Outcome::InDoubt,
    };
    run.settle(outcome, nothing, CLIENT_GONE, Some("client_gone"));
}

fn settle_stream(run: Box<Run>, cut: Cut) {
    let Progress::Streaming(meter) = &run.progress else {
        return settle_gone(run);
    };
    let (outcome, usage) = run.charge_stream(&meter.summary(), cut);
    run.settle(outcome, usage, CLIENT_GONE, Some("client_gone"));
}
