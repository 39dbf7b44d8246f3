//! Looks for holds that have outlived their requests. Each request ends its own; this is for mistakes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_gate::Gate;

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_secs(30);

/// Sweeps until `stop`. `rest` is the longest that a request may take after its provider has begun to answer.
pub(crate) async fn sweep(gate: Arc<Gate>, rest: Duration, stop: CancellationToken) {
    let pause = || tokio::time::sleep(INTERVAL);
    while stop.run_until_cancelled(pause()).await.is_some() {
        let swept = gate.sweep(rest);
        if swept > 0 {
            tracing::error!(
                holds = swept,
                "holds outlived their requests, which is a mistake of ours; they were charged in doubt"
            );
        }
    }
}
