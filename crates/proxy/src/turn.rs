//! Requests that are ready together write together.

/// Lets the other requests that are ready come as far as this one, before it writes to a socket.
///
/// Whoever reads at the other end sleeps until something comes. Each write that stands alone wakes it anew, and on a busy
/// machine it takes the processor from the next request; of writes that follow each other the first wakes it for all. When
/// nothing else is ready this costs a turn of the scheduler. See `docs/adr/0019-ready-requests-write-together.md`.
pub(crate) async fn others_first() {
    tokio::task::yield_now().await;
}
